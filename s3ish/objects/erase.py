"""Taking a bucket away with all that it holds, locks or not, in one commit. For stacks for tests alone."""

from s3ish.index.protocol import Change
from s3ish.model import Garbage
from s3ish.objects.store import Store, drop_blobs, garbage_of
from s3ish.tables import keys
from s3ish.tables.catalog import BUCKETS, CURRENT, NULLS, PARTS, UPLOADS, VERSIONS

_ALL = 1 << 62


async def erase_bucket(store: Store, name: str) -> None:
    """Take a bucket away. Raises NoSuchBucket.

    Args:
        store: with an index that commits any number of changes, as the one in memory does.
    """
    held = await store.bucket(name)
    rows = keys.bucket_range(name)
    garbage = [Garbage(held.record.blob)]
    changes: list[Change] = [BUCKETS.drop(held.key)]
    for key, value in await VERSIONS.rows(store.index, *rows, _ALL):
        garbage.append(garbage_of(store.hold(VERSIONS, key, value).record))
        changes.append(VERSIONS.drop(key))
    for key, value in await UPLOADS.rows(store.index, *rows, _ALL):
        upload = store.hold(UPLOADS, key, value).record
        parts = await PARTS.rows(store.index, *keys.parts_range(upload.id), _ALL)
        garbage.append(Garbage(upload.blob, tuple(part.blob for part in store.decode_rows(PARTS, parts))))
        changes += [UPLOADS.drop(key), *(PARTS.drop(part) for part, _ in parts)]
    changes += [CURRENT.drop(key) for key, _ in await CURRENT.rows(store.index, *rows, _ALL)]
    changes += [NULLS.drop(key) for key, _ in await NULLS.rows(store.index, *rows, _ALL)]
    await store.index.commit([*changes, *drop_blobs(garbage)])
    await store.discard(garbage, all_parts=True)
