"""Writing damaged rows of the index anew.

What a row said stands in the sidecar of the blob that it named, and what a listing shows in the row of the newest
version. Where more than one sidecar could be meant, the rules are those of a rebuild; what is named as garbage is never
meant.
"""

from collections.abc import AsyncIterator
from contextlib import suppress

from msgspec.structs import replace

from s3ish.blob.paths import home_of, mint
from s3ish.blob.protocol import BlobError
from s3ish.index.protocol import Change, Conflict, Damaged, Delete, Expect, Put, RowIs
from s3ish.integrity.moved import put_back
from s3ish.model import BlobRef
from s3ish.objects.store import Store, is_newest, put_entry, put_version
from s3ish.tables import keys, records, sidecars

_BATCH = 1000


async def restore(store: Store, row: RowIs) -> bool:
    """Write a damaged row anew, unless it is another one by now. Returns False where nothing says what it was."""
    if await put_back(store, row):
        return True
    try:
        change, expect = await (_entry(store, row) if row.table == "current" else _sealed(store, row))
    except (BlobError, Damaged, UnicodeDecodeError):  # out of reach; or its key, or what it is made of, is damaged too
        return False
    if change is None:
        return False
    with suppress(Conflict):
        await store.index.commit([change], [row, *expect])
    return True


def name_of(row: RowIs) -> str:
    """Return for people what a row is about."""
    try:
        if row.table == "versions":
            return "{}/{} version {}".format(*keys.split_version_key(row.key))
        if row.table == "uploads":
            return "{}/{} upload {}".format(*keys.split_upload_key(row.key))
        if row.table == "parts":
            return "upload {} part {}".format(*keys.split_part_key(row.key))
    except UnicodeDecodeError:
        pass
    return row.key.decode("utf-8", "replace").replace("\0", "/")


async def _entry(store: Store, row: RowIs) -> tuple[Change | None, list[Expect]]:
    """What a listing shows is made of the newest version."""
    bucket, key = keys.split_object_key(row.key)
    newest = next(iter(await store.newest(bucket, key)), None)
    change = put_entry(newest.record) if newest else Delete("current", row.key)
    return change, is_newest(bucket, key, newest)


async def _sealed(store: Store, row: RowIs) -> tuple[Change | None, list[Expect]]:
    """Everything else stands in a sidecar at the row's home; of several the one that was made last holds."""
    home = await _home(store, row)
    found: list[tuple[int, Put]] = []
    if home is not None:
        async for ref, told in _sealed_at(store, home):
            put = row_of(ref, told)
            if put and (put.table, put.key) == (row.table, row.key):
                found.append((sidecars.made_ns(told), put))
    return (max(found)[1] if found else None), []


async def _home(store: Store, row: RowIs) -> str | None:
    """Return where the blob lies that a row names; None for a part whose upload is unknown."""
    if row.table == "buckets":
        return row.key.decode()
    if row.table == "versions":
        return "{}/{}".format(*keys.split_version_key(row.key))
    if row.table == "uploads":
        return "{}/{}".format(*keys.split_upload_key(row.key))
    wanted, start = keys.split_part_key(row.key)[0], b""
    while page := await store.index.scan("uploads", start, b"\xff", _BATCH):
        for key, _ in page:
            bucket, name, upload_id = keys.split_upload_key(key)
            if upload_id == wanted:
                return f"{bucket}/{name}"
        start = keys.after(page[-1][0])
    return None


async def _sealed_at(store: Store, home: str) -> AsyncIterator[tuple[BlobRef, sidecars.AnySidecar]]:
    """Yield the sidecars of all blobs of a bucket and key that are no garbage."""
    async for ref, content, _ in store.blobs.scan(mint(home, "")):
        if home_of(ref.id) != home:
            return
        if await store.index.get("garbage", keys.garbage_key(ref.id)) is None:
            with suppress(ValueError):
                yield ref, sidecars.read(content)


def row_of(ref: BlobRef, told: sidecars.AnySidecar) -> Put | None:
    """Return the row that a sidecar stands for; None for a part of a copied object: its version names it."""
    if isinstance(told, sidecars.VersionSidecar):
        return put_version(replace(told.version, blob=ref))
    if isinstance(told, sidecars.BucketSidecar):
        bucket = replace(told.bucket, blob=ref)
        key = keys.bucket_key(bucket.name)
        return Put("buckets", key, records.encode("buckets", key, bucket))
    if isinstance(told, sidecars.UploadSidecar):
        upload = replace(told.upload, blob=ref)
        key = keys.upload_key(upload.bucket, upload.key, upload.id)
        return Put("uploads", key, records.encode("uploads", key, upload))
    if not told.upload:
        return None
    key = keys.part_key(told.upload, told.part.number)
    return Put("parts", key, records.encode("parts", key, replace(told.part, blob=ref)))
