"""Every blob that the index names, with what its sidecar must say.

It reads rows a page at a time and raises nothing for a damaged one: it yields it as such, for the caller to report.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from s3ish.blob.paths import home_of
from s3ish.index.protocol import Damaged, RowIs
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.table import Named, SealedTable, Table

_PAGE = 200


class BrokenRow(NamedTuple):
    """A row of the index whose value is damaged."""

    name: str
    problem: str
    row: RowIs


class WalkedRow(NamedTuple):
    """All that one row names."""

    table: str
    key: bytes
    items: list[Named | BrokenRow]


async def count_rows(store: Store) -> int:
    """Return how many rows ``inventory`` will yield."""
    total = 0
    for table in store.tables.walked:
        async for _ in rows_of(store, table):
            total += 1
    return total


async def inventory(store: Store, table: str = "", key: bytes = b"") -> AsyncIterator[WalkedRow]:
    """Yield what each row of the index names.

    Args:
        store: the engines.
        table, key: the row to begin with, or with what follows where it is gone; the first one if there is no such
            table.
    """
    names = [it.name for it in store.tables.walked]
    for it in store.tables.walked[names.index(table) if table in names else 0 :]:
        async for row_key, value in rows_of(store, it, key if it.name == table else b""):
            yield WalkedRow(it.name, row_key, await _items(store, it, row_key, value))


async def find(store: Store, blob: str) -> Named | None:
    """Return what the index says of a blob of which nothing but the id is known; None if no valid row names it."""
    home = home_of(blob)
    for table in store.tables.sealed:
        async for key, value in rows_of(store, table, *table.at_home(home)):
            for item in await _items(store, table, key, value):
                if isinstance(item, Named) and item.ref.id == blob:
                    return item
    return None


async def rows_of(
    store: Store, table: Table[Any, ...], start: bytes = b"", stop: bytes = keys.END
) -> AsyncIterator[tuple[bytes, bytes]]:
    """Yield the rows of a table with keys in ``[start, stop)``."""
    while page := await table.rows(store.index, start, stop, _PAGE):
        for row in page:
            yield row
        start = keys.after(page[-1][0])
        await asyncio.sleep(0)  # a long pass over rows that are all there at once must not hold up requests


async def _items(store: Store, table: Table[Any, ...], key: bytes, value: bytes) -> list[Named | BrokenRow]:
    try:
        held = table.hold(key, value)
        named = await table.named(store.index, held) if isinstance(table, SealedTable) else []
    except Damaged as error:
        return [BrokenRow(table.title(key), str(error), table.expect(key, value))]
    return [item for item in named if isinstance(item, Named)]  # a damaged row is found in a table of its own
