"""Rows whose key was damaged: the value says whose it is, and its checksum, which covers the key, proves it.

The row is no longer found where it belongs, so that what it says seems not to be there.
"""

from s3ish.blob.protocol import BlobError
from s3ish.index.protocol import Change, Conflict, Damaged, Delete, Expect, Put, RowIs
from s3ish.model import NULL_VERSION, Bucket, Part, Upload, Version
from s3ish.objects.store import Store, is_newest, put_entry
from s3ish.tables import keys, records, sidecars


async def put_back(store: Store, row: RowIs) -> bool:
    """Put a row where it belongs, unless that is taken. Returns False where nothing proves that it belongs anywhere."""
    if row.value is None:
        return False
    try:
        key, changes, expect = await _place(store, row.table, row.value)
        if key == row.key:
            return False
        records.decode_bytes(row.table, key, row.value)
        put = Put(row.table, key, row.value)
        await store.index.commit([put, *changes], [RowIs(row.table, key, None), *expect])
        await store.index.commit([Delete(row.table, row.key)], [row])
    except (BlobError, Conflict, Damaged, ValueError):  # the last: where it is now it may not be found, to be removed
        return False
    return True


async def _place(store: Store, table: str, value: bytes) -> tuple[bytes, list[Change], list[Expect]]:
    """Return the key that a row says it has, what changes with it, and what must be so. Raises Damaged, ValueError."""
    if table == "buckets":
        return keys.bucket_key(records.peek(table, value, Bucket).name), [], []
    if table == "versions":
        version = records.peek(table, value, Version)
        key = keys.version_key(version.bucket, version.key, version.sequence)
        return key, *await _of_version(store, version)
    if table == "uploads":
        upload = records.peek(table, value, Upload)
        return keys.upload_key(upload.bucket, upload.key, upload.id), [], []
    if table == "parts":
        part = records.peek(table, value, Part)
        told = sidecars.read(await store.blobs.read_sidecar(part.blob))
        if isinstance(told, sidecars.PartSidecar) and told.upload:
            return keys.part_key(told.upload, part.number), [], []
    raise Damaged(f"a row of table {table} does not say where it belongs")


async def _of_version(store: Store, version: Version) -> tuple[list[Change], list[Expect]]:
    """A version may be the newest again, which listings show; but it must not come back if it was replaced meanwhile.

    One with an id of its own is replaced by nothing. Of a null version it is known only where nothing else is there and
    listings still show it.
    """
    newest = next(iter(await store.newest(version.bucket, version.key)), None)
    entry = put_entry(version)
    if version.id == NULL_VERSION:
        if newest or not isinstance(entry, Put):
            raise Damaged("a null version may have been replaced")
        return [], [RowIs(entry.table, entry.key, entry.value), *is_newest(version.bucket, version.key, None)]
    if newest and newest.record.sequence > version.sequence:
        return [], []
    return [entry], is_newest(version.bucket, version.key, newest)
