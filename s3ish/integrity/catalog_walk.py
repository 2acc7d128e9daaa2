"""Every blob that the index names, with what its sidecar must say.

It reads rows a page at a time and raises nothing for a damaged one: it yields it as such, for the caller to report.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import NamedTuple

from s3ish.blob.paths import home_of
from s3ish.index.protocol import Damaged
from s3ish.index.protocol import RowIs as Expected
from s3ish.integrity.restore_rows import name_of
from s3ish.model import BlobRef, Bucket, Entry, Part, Upload, Version
from s3ish.objects.store import Store
from s3ish.tables import keys, records, sidecars

TABLES = ("buckets", "versions", "uploads", "parts", "current", "nulls")
"""The tables that are gone through, in this order. What parts name is found with their uploads; their own table is
looked through for damaged ones. The last two name no blob, but may be damaged as well; what an entry of a listing is
written anew from comes before it."""

_PAGE = 200
_END = b"\xff"


class Owned(NamedTuple):
    """A blob, the row that names it as that was, and what the sidecar must say; ``name`` is for people."""

    name: str
    ref: BlobRef
    seal: sidecars.AnySidecar
    row: Expected


class BrokenRow(NamedTuple):
    """A row of the index whose value is damaged."""

    name: str
    problem: str
    row: Expected


class WalkedRow(NamedTuple):
    """All that one row names."""

    table: str
    key: bytes
    items: list[Owned | BrokenRow]


async def count_rows(store: Store) -> int:
    """Return how many rows ``inventory`` will yield."""
    total = 0
    for table in TABLES:
        async for _ in _rows(store, table):
            total += 1
    return total


async def inventory(store: Store, table: str = TABLES[0], key: bytes = b"") -> AsyncIterator[WalkedRow]:
    """Yield what each row of the index names: buckets, versions with their parts, uploads with theirs.

    Args:
        store: the engines.
        table, key: the row to begin with, or with what follows where it is gone.
    """
    for name in TABLES[TABLES.index(table) :]:
        async for row_key, value in _rows(store, name, key if name == table else b""):
            yield WalkedRow(name, row_key, await _items(store, name, row_key, value))


async def find(store: Store, blob: str) -> Owned | None:
    """Return what the index says of a blob of which nothing but the id is known; None if no valid row names it."""
    bucket, _, key = home_of(blob).partition("/")
    row = keys.bucket_key(bucket)
    of_key = keys.prefix_range(keys.versions_prefix(bucket, key))
    # uploads come before versions, because that is how a part moves: so it is not missed on its way
    for table, start, stop in (("buckets", row, keys.after(row)), ("uploads", *of_key), ("versions", *of_key)):
        async for row_key, value in _rows(store, table, start, stop):
            for item in await _items(store, table, row_key, value):
                if isinstance(item, Owned) and item.ref.id == blob:
                    return item
    return None


async def _rows(store: Store, table: str, start: bytes = b"", stop: bytes = _END) -> AsyncIterator[tuple[bytes, bytes]]:
    while page := await store.index.scan(table, start, stop, _PAGE):
        for row in page:
            yield row
        start = keys.after(page[-1][0])
        await asyncio.sleep(0)  # a long pass over rows that are all there at once must not hold up requests


async def _items(store: Store, table: str, key: bytes, value: bytes) -> list[Owned | BrokenRow]:
    row = Expected(table, key, value)
    try:
        if table == "buckets":
            bucket = records.decode(table, key, value, Bucket)
            return [Owned(f"bucket {bucket.name}", bucket.blob, sidecars.BucketSidecar(bucket), row)]
        if table == "versions":
            return list(_of_version(records.decode(table, key, value, Version), row))
        if table == "parts":
            records.decode_bytes(table, key, value)
            return []
        if table == "current":
            records.decode(table, key, value, Entry)
            return []
        if table == "nulls":
            records.decode_bytes(table, key, value)
            return []
        upload = records.decode(table, key, value, Upload)
    except Damaged as error:
        return [BrokenRow(name_of(row), str(error), row)]
    name = f"{upload.bucket}/{upload.key} upload {upload.id}"
    items: list[Owned | BrokenRow] = [Owned(name, upload.blob, sidecars.UploadSidecar(upload), row)]
    async for part_key, part_value in _rows(store, "parts", *keys.parts_range(upload.id)):
        with suppress(Damaged):
            items.append(_of_part(upload, name, part_key, part_value))
    return items


def _of_version(version: Version, row: Expected) -> Iterator[Owned]:
    name = f"{version.bucket}/{version.key} version {version.id}"
    yield Owned(name, version.blob, sidecars.VersionSidecar(version), row)
    for part in version.parts:
        sealed = sidecars.PartSidecar(version.bucket, version.key, version.upload, part)
        yield Owned(f"{name} part {part.number}", part.blob, sealed, row)


def _of_part(upload: Upload, name: str, key: bytes, value: bytes) -> Owned:
    part = records.decode("parts", key, value, Part)
    sealed = sidecars.PartSidecar(upload.bucket, upload.key, upload.id, part)
    return Owned(f"{name} part {part.number}", part.blob, sealed, Expected("parts", key, value))
