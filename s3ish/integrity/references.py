"""Whether the index names a blob. Where a row that would say so is damaged the answer is yes: what decides on a removal
must not guess.
"""

from s3ish.blob.paths import home_of
from s3ish.index.protocol import Damaged
from s3ish.model import BlobRef, Part, Upload, Version
from s3ish.objects import multipart
from s3ish.objects.store import Store
from s3ish.tables import keys, records, sidecars

_BATCH = 100


async def is_reachable(store: Store, ref: BlobRef, sealed: sidecars.AnySidecar) -> bool:
    """Whether the index names a blob with this sidecar."""
    try:
        return await _is_reachable(store, ref, sealed)
    except Damaged:
        return True


async def _is_reachable(store: Store, ref: BlobRef, sealed: sidecars.AnySidecar) -> bool:
    if isinstance(sealed, sidecars.BucketSidecar):
        held = await store.find_bucket(sealed.bucket.name)
        return held is not None and held.record.blob.id == ref.id
    if isinstance(sealed, sidecars.VersionSidecar):
        version = sealed.version
        found = await store.by_sequence(version.bucket, version.key, version.sequence)
        return found is not None and found.record.blob.id == ref.id
    if isinstance(sealed, sidecars.UploadSidecar):
        upload = sealed.upload
        key = keys.upload_key(upload.bucket, upload.key, upload.id)
        value = await store.index.get("uploads", key)
        return value is not None and records.decode("uploads", key, value, Upload).blob.id == ref.id
    if sealed.upload:
        key = keys.part_key(sealed.upload, sealed.part.number)
        value = await store.index.get("parts", key)
        if value is not None and records.decode("parts", key, value, Part).blob.id == ref.id:
            return True
    return await _in_versions(store, sealed.bucket, sealed.key, ref.id)


async def is_named(store: Store, blob: str) -> bool:
    """Whether the index names a blob of which nothing but the id is known: it lies where its bucket and key say."""
    try:
        bucket, _, key = home_of(blob).partition("/")
        held = await store.find_bucket(bucket)
        if held is not None and held.record.blob.id == blob:
            return True
        # uploads come first: a part moves from there to a version, and must not be missed on its way
        return await _in_uploads(store, bucket, key, blob) or await _in_versions(store, bucket, key, blob)
    except (Damaged, UnicodeDecodeError):  # the latter: a folder that is none of ours
        return True


async def _in_versions(store: Store, bucket: str, key: str, blob: str) -> bool:
    start, stop = keys.prefix_range(keys.versions_prefix(bucket, key))
    while rows := await store.index.scan("versions", start, stop, _BATCH):
        for row_key, value in rows:
            version = records.decode("versions", row_key, value, Version)
            if version.blob.id == blob or any(part.blob.id == blob for part in version.parts):
                return True
        start = keys.after(rows[-1][0])
    return False


async def _in_uploads(store: Store, bucket: str, key: str, blob: str) -> bool:
    start, stop = keys.prefix_range(keys.versions_prefix(bucket, key))
    while rows := await store.index.scan("uploads", start, stop, _BATCH):
        for row_key, value in rows:
            upload = records.decode("uploads", row_key, value, Upload)
            parts, _ = await multipart.list_parts(store, upload.id, 0, multipart.MAX_PARTS)
            if upload.blob.id == blob or any(part.blob.id == blob for part in parts):
                return True
        start = keys.after(rows[-1][0])
    return False
