"""Moving a version to another storage class: its record changes, its bytes stay where they are."""

from msgspec.structs import replace

from s3ish.index.protocol import Expect
from s3ish.model import Version
from s3ish.objects.amend import amend_version_once
from s3ish.objects.consequences import Cause, Happening
from s3ish.objects.store import Store, translated
from s3ish.tables.catalogue import VERSIONS

_ATTEMPTS = 5


async def move_version(store: Store, version: Version, storage_class: str, cause: Cause) -> bool:
    """Move a version to a class, in one commit with what listings show of it.

    Args:
        version: as the caller decided on it.
        cause: why.

    Returns:
        Whether it was done; not if it is gone, has gone to another class, or is being changed again and again.

    Raises:
        S3Error: the engines failed, and it may have happened all the same.
    """
    with translated():
        async with store.turn(version.bucket, version.key):
            for _ in range(_ATTEMPTS):
                held = await store.get(VERSIONS, version.bucket, version.key, version.sequence)
                if held is None or held.record.attributes.storage_class != version.attributes.storage_class:
                    return False
                bucket = await store.bucket(version.bucket)
                newest = (await store.newest(version.bucket, version.key))[0]
                wanted = replace(
                    held.record,
                    attributes=replace(held.record.attributes, storage_class=storage_class),
                    revision=store.clock.sequence(held.record.revision),
                    restore=None,
                )
                shown, expect = None, list[Expect]([newest.row])  # a noncurrent version is not what listings show
                if newest.key == held.key:
                    shown, expect = (held.record, wanted), VERSIONS.newest(version.bucket, version.key, held)
                happening = Happening(bucket.record, held.record, wanted, cause, shown)
                if await amend_version_once(store, held, happening, expect=expect):
                    return True
        return False
