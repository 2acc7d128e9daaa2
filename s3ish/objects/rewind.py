"""Taking one bucket back to what it was in an earlier state of the store, locks or not, in one commit.

For stacks for tests alone: their index commits any number of changes.
"""

from collections.abc import Iterator
from typing import NamedTuple

from s3ish.errors import NoSuchBucket
from s3ish.index.protocol import Change, Delete, Put
from s3ish.model import BlobRef, Bucket, Garbage, Usage
from s3ish.objects import holdings
from s3ish.objects.store import Store
from s3ish.objects.unreachable import drop_blobs, garbage_of
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, CURRENT, INLINE, NULLS, OF_BUCKET, PARTS, UPLOADS, USAGE, VERSIONS

_ALL = 1 << 62


class _Contents(NamedTuple):
    """All rows of a bucket, the bytes of small blobs included, the blobs that go with it, and how much it holds."""

    rows: list[Put]
    blobs: list[Garbage]
    bucket: Bucket | None = None
    held: Usage = Usage()

    def counted(self, change: Usage) -> list[Change]:
        """The changes that count what it has more, or less."""
        return USAGE.add(self.bucket, change) if self.bucket else []

    def refs(self) -> Iterator[BlobRef]:
        for item in self.blobs:
            yield item.ref
            yield from item.parts


async def rewind_bucket(store: Store, name: str, earlier: Store) -> frozenset[str]:
    """Have a bucket be what it was in an earlier state of a store, or be gone if it was not there.

    Returns:
        The ids of the blobs that it has then. Some may be gone from the store by now: the caller puts them back.

    Raises:
        NoSuchBucket: it is in neither.
    """
    now, then = await _contents(store, name), await _contents(earlier, name)
    if not now.rows and not then.rows:
        raise NoSuchBucket(BucketName=name)
    kept = frozenset(ref.id for ref in then.refs())
    gone: list[Garbage] = []
    for item in now.blobs:
        if item.ref.id not in kept:
            gone.append(Garbage(item.ref, tuple(part for part in item.parts if part.id not in kept)))
        else:  # an upload may have got further parts
            gone += [Garbage(part) for part in item.parts if part.id not in kept]
    drops: list[Change] = [Delete(row.table, row.key) for row in now.rows]
    counts = [*now.counted(-now.held), *then.counted(then.held)]
    await store.index.commit([*drops, *drop_blobs(gone), *then.rows, *counts])
    await store.discard(gone, all_parts=True)
    return kept


async def _contents(store: Store, name: str) -> _Contents:
    held = await store.find_bucket(name)
    if held is None:
        return _Contents([], [])
    usages = await holdings.held_by(store, OF_BUCKET, name)
    found = _Contents([Put(BUCKETS.name, held.key, held.value)], [Garbage(held.record.blob)], held.record, usages)
    rows = keys.bucket_range(name)
    for key, value in await VERSIONS.rows(store.index, *rows, _ALL):
        found.blobs.append(garbage_of(store.hold(VERSIONS, key, value).record))
        found.rows.append(Put(VERSIONS.name, key, value))
    for key, value in await UPLOADS.rows(store.index, *rows, _ALL):
        upload = store.hold(UPLOADS, key, value).record
        parts = await PARTS.rows(store.index, *keys.parts_range(upload.id), _ALL)
        found.blobs.append(Garbage(upload.blob, tuple(part.blob for part in store.decode_rows(PARTS, parts))))
        found.rows.append(Put(UPLOADS.name, key, value))
        found.rows.extend(Put(PARTS.name, *part) for part in parts)
    for table in (CURRENT, NULLS):
        found.rows.extend([Put(table.name, *row) for row in await table.rows(store.index, *rows, _ALL)])
    for ref in found.refs():
        small = INLINE.key(ref.id)
        if (data := await store.index.get(INLINE.name, small)) is not None:
            found.rows.append(Put(INLINE.name, small, data))
    return found
