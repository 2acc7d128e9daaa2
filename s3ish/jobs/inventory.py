"""Every blob that the index names, with what its sidecar must say.

It reads rows a page at a time and raises nothing for a damaged one: it yields it as such, for the caller to report.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from s3ish.index import keys, records
from s3ish.index.protocol import Damaged
from s3ish.model import BlobRef, Bucket, Part, Upload, Version
from s3ish.objects import seal
from s3ish.objects.store import Store

_PAGE = 200


class Owned(NamedTuple):
    """A blob that a row names: ``name`` is for people, ``seal`` what the sidecar must say."""

    name: str
    ref: BlobRef
    seal: seal.Seal


class BrokenRow(NamedTuple):
    """A row of the index whose value is damaged."""

    name: str
    problem: str


class Row(NamedTuple):
    """All that one row names."""

    items: list[Owned | BrokenRow]


async def count_rows(store: Store) -> int:
    """Return how many rows ``inventory`` will yield."""
    total = 0
    for table in ("buckets", "versions", "uploads", "parts"):
        async for page in _pages(store, table):
            total += len(page)
    return total


async def inventory(store: Store) -> AsyncIterator[Row]:
    """Yield what each row of the index names: buckets, versions with their parts, uploads, parts of uploads."""
    async for page in _pages(store, "buckets"):
        for key, value in page:
            yield _row("buckets", key, value, Bucket, _of_bucket)
    async for page in _pages(store, "versions"):
        for key, value in page:
            yield _row("versions", key, value, Version, _of_version)
    uploads: dict[str, Upload] = {}
    async for page in _pages(store, "uploads"):
        for key, value in page:
            yield _row("uploads", key, value, Upload, _of_upload)
            upload = records.decode("uploads", key, value, Upload) if _is_whole("uploads", key, value) else None
            if upload:
                uploads[upload.id] = upload
    async for page in _pages(store, "parts"):
        for key, value in page:
            owner = uploads.get(keys.split_part_key(key)[0])
            yield _row("parts", key, value, Part, lambda part, owner=owner: _of_part(part, owner))


async def _pages(store: Store, table: str) -> AsyncIterator[list[tuple[bytes, bytes]]]:
    start = b""
    while page := list(await store.index.scan(table, start, b"\xff", _PAGE)):
        yield page
        start = keys.after(page[-1][0])


def _is_whole(table: str, key: bytes, value: bytes) -> bool:
    try:
        records.decode_bytes(table, key, value)
    except Damaged:
        return False
    return True


def _row(table: str, key: bytes, value: bytes, kind: type[Any], owned: Any) -> Row:
    try:
        return Row(list(owned(records.decode(table, key, value, kind))))
    except Damaged as error:
        return Row([BrokenRow(key.decode("utf-8", "replace").replace("\0", " "), str(error))])


def _of_bucket(bucket: Bucket) -> Iterator[Owned]:
    yield Owned(f"bucket {bucket.name}", bucket.blob, seal.BucketSeal(bucket))


def _of_version(version: Version) -> Iterator[Owned]:
    name = f"{version.bucket}/{version.key} version {version.id}"
    yield Owned(name, version.blob, seal.VersionSeal(version))
    for part in version.parts:
        sealed = seal.PartSeal(version.bucket, version.key, version.upload, part)
        yield Owned(f"{name} part {part.number}", part.blob, sealed)


def _of_upload(upload: Upload) -> Iterator[Owned]:
    yield Owned(f"{upload.bucket}/{upload.key} upload {upload.id}", upload.blob, seal.UploadSeal(upload))


def _of_part(part: Part, upload: Upload | None) -> Iterator[Owned]:
    if upload:
        sealed = seal.PartSeal(upload.bucket, upload.key, upload.id, part)
        yield Owned(f"{upload.bucket}/{upload.key} upload {upload.id} part {part.number}", part.blob, sealed)
