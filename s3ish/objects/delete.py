"""Removing versions, and covering them with delete markers.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html
"""

from msgspec import Struct

from s3ish.errors import PreconditionFailed
from s3ish.index.protocol import Change, Expect
from s3ish.model import NULL_VERSION, Bucket, Owner, Version
from s3ish.objects import versions
from s3ish.objects.conditions import UNCONDITIONAL, WriteConditions
from s3ish.objects.consequences import BY_SERVER, Cause, Happening
from s3ish.objects.lock import check_removal
from s3ish.objects.put import publish
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables import keys
from s3ish.tables.catalogue import NULLS, VERSIONS
from s3ish.tables.table import Held


class Deleted(Struct, frozen=True):
    """What a delete did: the version that was removed or the marker that was made, if there was one.

    ``marker`` says that the version is a delete marker, ``made`` that it is a new one.
    """

    version_id: str | None = None
    marker: bool = False
    made: bool = False


async def delete_object(
    store: Store,
    bucket: str,
    key: str,
    version_id: str | None = None,
    *,
    owner: Owner,
    conditions: WriteConditions = UNCONDITIONAL,
    bypass: bool = False,
    cause: Cause = BY_SERVER,
    below: int = 0,
) -> Deleted:
    """Delete an object or one version of it.

    Args:
        bypass: whether a version may go that is retained in governance mode.
        cause: why.
        below: how many newer versions of its key a version must have at that moment.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html

    Raises:
        InvalidArgument: not a version id.
        NoSuchKey, PreconditionFailed: a condition does not hold.
        AccessDenied: the version is locked.
    """
    with translated():
        if version_id is not None:
            return await _remove_version(store, bucket, key, version_id, conditions, cause, bypass=bypass, below=below)
        held = await store.bucket(bucket)
        if held.record.versioning:
            return await _mark(store, bucket, key, owner, conditions, cause)
        return await _remove_newest(store, bucket, key, conditions, cause)


async def _mark(
    store: Store, bucket: str, key: str, owner: Owner, conditions: WriteConditions, cause: Cause
) -> Deleted:
    """Put a delete marker on top; with versioning suspended it takes the null version's place."""
    async with store.blobs.create(f"{bucket}/{key}", 0) as writer:
        ref = await writer.finish()
        draft = Version(bucket=bucket, key=key, id="", sequence=0, modified_ns=0, owner=owner, blob=ref, marker=True)
        version = await publish(store, draft, writer, conditions, cause=cause)
    return Deleted(version.id, marker=True, made=True)


async def _remove_newest(store: Store, bucket: str, key: str, conditions: WriteConditions, cause: Cause) -> Deleted:
    """Delete in a bucket that never was versioned: the object is gone."""
    async with store.turn(bucket, key):
        for _ in attempts():
            held = await store.bucket(bucket)
            newest = await store.newest(bucket, key, 2)
            conditions.check(newest[0].record if newest else None, key)
            if not newest:
                await store.require_absence(bucket, key)
                return Deleted()
            check_removal(newest[0].record, store.clock.service_ns(), bypass=False)
            if await _remove(store, held.record, newest[0], newest, [held.row], cause):
                return Deleted()
    raise AssertionError  # attempts() raises before


async def _remove_version(
    store: Store,
    bucket: str,
    key: str,
    version_id: str,
    conditions: WriteConditions,
    cause: Cause,
    *,
    bypass: bool,
    below: int,
) -> Deleted:
    """Delete one version for good; what lies below the newest comes up."""
    async with store.turn(bucket, key):
        for _ in attempts():
            target = await versions.find(store, bucket, key, version_id)
            if conditions.any:
                conditions.check(target.record if target else None, key)
            if target is None:
                return Deleted(version_id)
            check_removal(target.record, store.clock.service_ns(), bypass=bypass)
            newest = await store.newest(bucket, key, max(below, 2))
            newer = [version for version in newest[:below] if version.key < target.key]
            if len(newer) < below:
                raise PreconditionFailed
            held = await store.bucket(bucket)
            # the first of the newer ones _remove() expects by itself
            expect: list[Expect] = [held.row, *(version.row for version in newer[1:])]
            if await _remove(store, held.record, target, newest, expect, cause):
                return Deleted(version_id, marker=target.record.marker)
    raise AssertionError  # attempts() raises before


async def _remove(
    store: Store,
    bucket: Bucket,
    target: Held[Version],
    newest: list[Held[Version]],
    expect: list[Expect],
    cause: Cause,
) -> bool:
    """Commit the removal of one version, given the newest two of its key; tell whether it was done."""
    version = target.record
    below, shown = None, None
    if newest and newest[0].key != target.key:
        expect = [*expect, target.row, newest[0].row]  # while it is there, the target is not what listings show
    else:
        below = newest[1] if len(newest) > 1 else None
        expect = [*expect, *VERSIONS.newest(version.bucket, version.key, target)]
        shown = version, below.record if below else None
        _, end = keys.versions_range(version.bucket, version.key)
        expect.append(VERSIONS.empty(keys.after(target.key), below.key if below else end))  # replicas come there
        if below:
            expect.append(below.row)
    happening = Happening(bucket, version, None, cause, shown)
    changes: list[Change | Happening] = [happening]
    if version.id == NULL_VERSION or (below and below.record.id == NULL_VERSION):  # it is the newest then
        changes.append(NULLS.delete(version.bucket, version.key))
    if not await store.commit(changes, expect):
        return False
    await store.discard(happening.garbage)
    return True
