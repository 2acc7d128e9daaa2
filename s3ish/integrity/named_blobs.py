"""Every blob that the index names, with what its sidecar must say.

It reads rows a page at a time and raises nothing for a damaged one: it yields it as such, for the caller to report.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from s3ish.blob.paths import home_of
from s3ish.index.protocol import Damaged, RowIs
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.table import Named, SealedTable, Table

_PAGE = 200
_BEYOND_BYTES = 16
"""How many bytes more than a key has are looked at, to tell it from the next one."""


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


async def inventory(
    store: Store, table: str = "", key: bytes = b"", *, over_damage: bool = False
) -> AsyncIterator[WalkedRow]:
    """Yield what each row of the index names.

    Args:
        store: the engines.
        table, key: the row to begin with, or with what follows where it is gone; the first one if there is no such
            table.
        over_damage: pass over pages of the index that are damaged.
    """
    names = [it.name for it in store.tables.walked]
    for it in store.tables.walked[names.index(table) if table in names else 0 :]:
        async for row_key, value in rows_of(store, it, key if it.name == table else b"", over_damage=over_damage):
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
    store: Store, table: Table[Any, ...], start: bytes = b"", stop: bytes = keys.END, *, over_damage: bool = False
) -> AsyncIterator[tuple[bytes, bytes]]:
    """Yield the rows of a table with keys in ``[start, stop)``; see ``inventory`` for ``over_damage``."""
    read = _readable if over_damage else _all
    while page := await read(store, table, start, stop):
        for row in page:
            yield row
        start = keys.after(page[-1][0])
        await asyncio.sleep(0)  # a long pass over rows that are all there at once must not hold up requests


async def _all(store: Store, table: Table[Any, ...], start: bytes, stop: bytes) -> Sequence[tuple[bytes, bytes]]:
    return await table.rows(store.index, start, stop, _PAGE)


async def _readable(store: Store, table: Table[Any, ...], start: bytes, stop: bytes) -> Sequence[tuple[bytes, bytes]]:
    """Return the next rows that can be read: those before a damaged page one by one, then the first one behind it."""
    for limit in (_PAGE, 1):
        with suppress(Damaged):
            return await table.rows(store.index, start, stop, limit)
    low, high = await _around_end_of_damage(store, table, start, stop)
    found = [] if high == stop else [*await table.rows(store.index, high, stop, 1)]
    while True:  # bisect the keys: reads from ``low`` on meet the page, those from ``high`` on do not
        size = len(found[0][0] if found else start) + _BEYOND_BYTES
        middle = (_number(low, size) + _number(high, size)) // 2
        if middle == _number(low, size):
            return found
        key = middle.to_bytes(size, "big")
        try:
            found = [*await table.rows(store.index, key, stop, 1)] or found
        except Damaged:
            low = key
        else:
            high = key


async def _around_end_of_damage(store: Store, table: Table[Any, ...], start: bytes, stop: bytes) -> tuple[bytes, bytes]:
    """Return two keys: reads from the first on meet a damaged page, those from the second on do not.

    It goes in steps that grow from the last byte of a key on, so as to pass over as few whole pages as it can.
    """
    low = start
    for length in range(len(start), 0, -1):
        for step in (1, 2, 4, 8, 16, 32, 64, 128):
            last = start[length - 1] + step
            key = start[: length - 1] + bytes([min(last, 255)])
            if last > 255 or key >= stop:
                break
            try:
                await table.rows(store.index, key, stop, 1)
            except Damaged:
                low = key
            else:
                return low, key
    return low, stop


def _number(key: bytes, size: int) -> int:
    return int.from_bytes(key[:size].ljust(size, b"\0"), "big")


async def _items(store: Store, table: Table[Any, ...], key: bytes, value: bytes) -> list[Named | BrokenRow]:
    try:
        held = table.hold(key, value)
        named = await table.named(store.index, held) if isinstance(table, SealedTable) else []
    except Damaged as error:
        return [BrokenRow(table.title(key), str(error), table.expect(key, value))]
    return [item for item in named if isinstance(item, Named)]  # a damaged row is found in a table of its own
