"""Counting what all buckets hold, row by row: where the counters cannot be trusted, and to see whether they can.

They cannot in an index that was built from the sidecars, that an older release has written, or of which a row was
damaged. There all are counted, and nothing else may write meanwhile; from then on each commit keeps them right.

A check looks beside the requests of other processes. All its reads are in one turn of the event loop, and so of one
state of the index. What a counter lacks is added to it, which is right in each order of commits.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import NamedTuple, ParamSpec, TypeVar

from msgspec.structs import astuple

from s3ish.index.protocol import Add, Change, Damaged
from s3ish.model import Usage, Version
from s3ish.objects import usage
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, OF_BUCKET, OF_OWNER, PARTS, UPLOADS, USAGE, VERSIONS
from s3ish.tables.table import Table

R = TypeVar("R")
K = ParamSpec("K")

_ROWS_AT_ONCE = 1000


async def count_usage(store: Store) -> bool:
    """Write all counters as the rows say; return whether every row could be read. Raises Unavailable, NewerFormat."""
    count = _Count(store)
    found = await count.all()
    changes: list[Change] = [USAGE.drop(key) async for rows in _raw(store, USAGE) for key, _ in rows]
    changes += [USAGE.put(held, *of) for of, held in found.items() if held != Usage()]
    await store.index.commit(changes)
    return count.complete


class Miscount(NamedTuple):
    """A counter that is wrong: its row, what it says, and what there is."""

    row: bytes
    kept: Usage
    there: Usage


async def find_miscounts(store: Store) -> list[Miscount]:
    """Return the counters that are wrong; none is known to be where a row cannot be read. Raises Unavailable.

    It does not let the event loop go on, for as long as it takes to read all rows: it is for the shell.
    """
    await asyncio.sleep(0)  # reads see what there is in this turn, not what was when another one began
    count = _Count(store)
    there = {USAGE.key(*of): held for of, held in (await count.all()).items()}
    kept = {key: held async for page in count.pages(USAGE) for key, held in page}
    if not count.complete:
        return []
    nothing = Usage()
    rows = sorted(there.keys() | kept.keys())
    pairs = [Miscount(row, kept.get(row, nothing), there.get(row, nothing)) for row in rows]
    return [pair for pair in pairs if pair.kept != pair.there]


async def mend(store: Store, miscounts: Sequence[Miscount]) -> None:
    """Add to counters what they lack. Raises Unavailable."""
    await store.index.commit([Add(USAGE.name, it.row, astuple(it.there + -it.kept)) for it in miscounts])


class _Count:
    """A walk over all rows.

    ``complete`` tells whether no row was damaged.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: defaultdict[str, Usage] = defaultdict(Usage)
        self.complete = True

    async def all(self) -> dict[tuple[str, str], Usage]:
        """Return what each bucket and each owner holds."""
        await self._versions()
        await self._uploads()
        found = {(OF_BUCKET, bucket): held for bucket, held in self._held.items()}
        async for buckets in self.pages(BUCKETS):
            for _, bucket in buckets:
                of_owner = OF_OWNER, bucket.owner.id
                found[of_owner] = found.get(of_owner, Usage()) + self._held[bucket.name]
        return found

    async def _versions(self) -> None:
        """Count all versions; those of a key are in one run, the newest first."""
        newest = ("", "")
        async for page in self.pages(VERSIONS):
            for bucket, group in groupby((version for _, version in page), lambda version: version.bucket):
                some = list(group)
                objects = 0
                for version in some:
                    if (bucket, version.key) != newest:
                        newest = bucket, version.key
                        objects += not version.marker
                self._held[bucket] += _sum_of(some) + Usage(objects=objects)

    async def _uploads(self) -> None:
        """Count the uploads in progress and their parts."""
        bucket_of: dict[str, str] = {}
        async for uploads in self.pages(UPLOADS):
            bucket_of |= {upload.id: upload.bucket for _, upload in uploads}
        for bucket, number in Counter(bucket_of.values()).items():
            self._held[bucket] += Usage(uploads=number)
        async for parts in self.pages(PARTS):
            for key, part in parts:
                if bucket := bucket_of.get(keys.split_part_key(key)[0], ""):
                    self._held[bucket] += usage.of_parts([part])

    async def pages(self, table: Table[R, K]) -> AsyncIterator[list[tuple[bytes, R]]]:
        """Yield keys and records of all rows that are not damaged."""
        async for rows in _raw(self._store, table):
            try:
                yield [(key, record) for (key, _), record in zip(rows, table.decode_rows(rows), strict=True)]
            except Damaged:
                self.complete = False
                yield [(key, record) for row in rows for key, record in self._readable(table, *row)]

    def _readable(self, table: Table[R, K], key: bytes, value: bytes) -> list[tuple[bytes, R]]:
        try:
            return [(key, table.decode(key, value))]
        except Damaged:
            return []


def _sum_of(versions: list[Version]) -> Usage:
    markers = sum(version.marker for version in versions)
    return Usage(
        versions=len(versions) - markers, markers=markers, bytes=sum(usage.bytes_of(version) for version in versions)
    )


async def _raw(store: Store, table: Table[R, K]) -> AsyncIterator[Sequence[tuple[bytes, bytes]]]:
    start = b""
    while rows := await table.rows(store.index, start, keys.END, _ROWS_AT_ONCE):
        yield rows
        start = keys.after(rows[-1][0])
