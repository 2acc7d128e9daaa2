"""Archive classes: what is in one cannot be read until it is restored, for some days.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
"""

from collections.abc import Iterable

from msgspec.structs import replace

from s3ish.errors import InvalidArgument, InvalidObjectState, RestoreAlreadyInProgress
from s3ish.model import Entry, Restore, Version
from s3ish.objects import versions
from s3ish.objects.consequences import BY_SERVER, Cause
from s3ish.objects.lifecycle import counted
from s3ish.objects.store import Store

ARCHIVES = frozenset(("GLACIER", "DEEP_ARCHIVE"))
"""The classes whose objects are away; those of GLACIER_IR can be read at any time."""

_YEAR_10000_NS = 253_402_300_800 * 10**9


def is_archived(version: Version) -> bool:
    """Tell whether a version is in an archive class."""
    return version.attributes.storage_class in ARCHIVES


def restore_of(version: Version, now_ns: int) -> Restore | None:
    """Return the restore of a version that is under way or still lasts; ``now_ns`` is service time."""
    restore = version.restore
    return restore if restore and is_archived(version) and now_ns < restore.until_ns else None


def check_readable(version: Version, now_ns: int, *, copy: bool = False) -> None:
    """Check that the bytes of a version may be read, or copied, of which S3 has other words.

    Raises:
        InvalidObjectState: it is in an archive class and not restored.
    """
    if not is_archived(version):
        return
    restore = restore_of(version, now_ns)
    if restore is None or now_ns < restore.ready_ns:
        raise InvalidObjectState(
            "Operation is not valid for the source object's storage class"
            if copy
            else "The operation is not valid for the object's storage class",
            StorageClass=version.attributes.storage_class,
        )


async def restores(store: Store, bucket: str, entries: Iterable[tuple[str, Entry]], now_ns: int) -> dict[str, Restore]:
    """Return by their keys the restores of the objects of a listing: those that are under way or still last."""
    found: dict[str, Restore] = {}
    for key, entry in entries:
        if entry.storage_class in ARCHIVES and (newest := await store.newest(bucket, key)):
            restore = restore_of(newest[0].record, now_ns)
            if restore:
                found[key] = restore
    return found


async def restore_object(
    store: Store,
    bucket: str,
    key: str,
    version_id: str | None,
    days: int,
    *,
    expedited: bool,
    cause: Cause = BY_SERVER,
) -> bool:
    """Restore a version, or let its restore last longer.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html

    Args:
        days: how long it can be read then, to the midnight that follows.
        expedited: whether the client wants it at once, which no object of DEEP_ARCHIVE can be.
        cause: why.

    Returns:
        Whether it was restored already.

    Raises:
        NoSuchKey, NoSuchVersion, MethodNotAllowed: there is nothing to restore.
        InvalidObjectState: it is in no archive class.
        RestoreAlreadyInProgress: another restore is under way.
        InvalidArgument: so many days cannot be, or the class has no such retrieval.
    """
    again = False

    def change(version: Version) -> Version:
        nonlocal again
        storage_class = version.attributes.storage_class
        if not is_archived(version):
            raise InvalidObjectState(
                "Restore is not allowed for the object's current storage class", StorageClass=storage_class
            )
        if expedited and storage_class == "DEEP_ARCHIVE":
            raise InvalidArgument(
                "Retrieval option is not supported by this storage class",
                ArgumentName="Tier",
                ArgumentValue="Expedited",
            )
        now_ns = store.clock.service_ns()
        before = restore_of(version, now_ns)
        if before and now_ns < before.ready_ns:
            raise RestoreAlreadyInProgress
        again = before is not None
        ready_ns = before.ready_ns if before else now_ns + store.clock.service.restore_ns
        until_ns = counted(now_ns if before else ready_ns, days, store.clock.service.day_ns)
        if days < 1 or until_ns >= _YEAR_10000_NS:
            raise InvalidArgument(
                "Days must be a positive number, and end before the year 10000.",
                ArgumentName="Days",
                ArgumentValue=days,
            )
        return replace(version, restore=Restore(ready_ns=ready_ns, until_ns=until_ns))

    await versions.amend_version(store, bucket, key, version_id, change, method="POST", cause=cause)
    return again
