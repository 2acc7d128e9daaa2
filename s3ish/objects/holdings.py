"""How much buckets and owners hold, as it was counted; see ``usage.py`` for what is counted."""

import asyncio
from contextlib import suppress
from heapq import nlargest

from s3ish.index.protocol import Damaged, Index, Unavailable
from s3ish.model import Usage
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import OF_BUCKET, USAGE

MAX_SHOWN = 1000
"""Of so many buckets metrics are shown."""
_ROWS_AT_ONCE = 500


async def of_all(index: Index, kind: str) -> list[tuple[str, Usage]]:
    """Return what every bucket, or every owner, holds, by name; those that hold nothing are left out.

    Args:
        kind: ``OF_BUCKET`` or ``OF_OWNER``.

    Raises:
        Unavailable: the index cannot be read. A damaged row is left out.
    """
    found: list[tuple[str, Usage]] = []
    start, stop = keys.prefix_range(keys.usage_key(kind, ""))
    while rows := await USAGE.rows(index, start, stop, _ROWS_AT_ONCE):
        for key, value in rows:
            with suppress(Damaged):
                found.append((USAGE.split(key)[1], USAGE.decode(key, value)))
        start = keys.after(rows[-1][0])
        await asyncio.sleep(0)  # requests come first
    return found


async def largest(index: Index | None) -> list[tuple[str, int, int]]:
    """Return name, bytes and current objects of the buckets that hold most; none if the index cannot be read."""
    found = []
    if index:
        with suppress(Unavailable):
            found = await of_all(index, OF_BUCKET)
    rows = ((name, held.bytes, held.objects) for name, held in found)
    return nlargest(MAX_SHOWN, rows, key=lambda row: row[1])


async def held_by(store: Store, kind: str, name: str) -> Usage:
    """Return what a bucket or an owner holds. Raises Damaged, Unavailable.

    Args:
        kind: ``OF_BUCKET`` or ``OF_OWNER``.
    """
    held = await store.get(USAGE, kind, name)
    return held.record if held else Usage()
