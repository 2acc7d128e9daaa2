"""Version ids, the null version, finding a version by its id, and amending one.

A version id carries its sequence, so that finding a version is one read. The null version is either the newest of its
key, or the ``nulls`` table says which one it is; that row is written when something newer covers it.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from s3ish.clock import Clock
from s3ish.errors import InvalidArgument, MethodNotAllowed, NoSuchKey, NoSuchVersion
from s3ish.index.protocol import Change
from s3ish.model import NULL_VERSION, Bucket, Version
from s3ish.objects.amend import amend_version_once
from s3ish.objects.consequences import BY_SERVER, Cause, Happening
from s3ish.objects.replication import JOB
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables.catalogue import NULLS, VERSIONS
from s3ish.tables.table import Held
from s3ish.wire.scalars import write_http_date

Amendment = Callable[[Version], Version]

_RANDOM_BYTES = 7
_ID_BYTES = 8 + _RANDOM_BYTES


def mint(sequence: int, clock: Clock) -> str:
    """Return a new version id for a sequence."""
    raw = sequence.to_bytes(8, "big") + clock.random_bytes(_RANDOM_BYTES)
    return base64.b32encode(raw).decode().lower()


def sequence_of(version_id: str) -> int:
    """Return the sequence in a version id.

    Raises:
        InvalidArgument: not an id of ours.
    """
    try:
        raw = base64.b32decode(version_id, casefold=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(version_id) from error
    if len(raw) != _ID_BYTES:
        raise _invalid(version_id)
    return int.from_bytes(raw[:8], "big")


def is_version_id(text: str) -> bool:
    """Whether a text has the form of a version id."""
    try:
        return text == NULL_VERSION or sequence_of(text) >= 0
    except InvalidArgument:
        return False


def _invalid(version_id: str) -> InvalidArgument:
    message = "Invalid version id specified" if version_id else "Version id cannot be the empty string"
    return InvalidArgument(message, ArgumentName="versionId", ArgumentValue=version_id[:256])


async def find_null(store: Store, bucket: str, key: str, newest: Held[Version] | None) -> Held[Version] | None:
    """Return a key's null version, or None, given its newest version."""
    if newest is None or newest.record.id == NULL_VERSION:
        return newest
    covered = await store.get(NULLS, bucket, key)
    return await store.get(VERSIONS, bucket, key, covered.record) if covered else None


async def find(store: Store, bucket: str, key: str, version_id: str | None) -> Held[Version] | None:
    """Return the version with an id, the newest one where ``version_id`` is None, or None if there is none.

    Raises:
        InvalidArgument: not a version id.
    """
    if version_id is not None and version_id != NULL_VERSION:
        held = await store.get(VERSIONS, bucket, key, sequence_of(version_id))
        return held if held and held.record.id == version_id else None
    newest = await store.newest(bucket, key)
    if not newest:
        await store.require_absence(bucket, key)
    head = newest[0] if newest else None
    return head if version_id is None else await find_null(store, bucket, key, head)


async def get(store: Store, bucket: str, key: str, version_id: str | None, method: str = "GET") -> Version:
    """Return the version to read, or to change by a request of another method.

    Raises:
        NoSuchKey: the key has no current object (with ``x-amz-delete-marker`` if a marker is the reason).
        NoSuchVersion: no such version of the key.
        MethodNotAllowed: the version asked for is a delete marker.
    """
    return present(await find(store, bucket, key, version_id), key, version_id, method).record


async def amend_version(
    store: Store,
    bucket: str,
    key: str,
    version_id: str | None,
    change: Amendment,
    *,
    method: str = "PUT",
    cause: Cause = BY_SERVER,
    also: Sequence[Change] = (),
) -> Version:
    """Change what is kept beside the bytes of a version: tags, access list, lock, annotations.

    Args:
        change: returns the version to be. It may be called again when another caller was faster.
        method: of the request, for the error that a delete marker gives.
        cause: why.
        also: further rows for the same commit.

    Returns:
        The version as it is now.

    Raises:
        NoSuchKey, NoSuchVersion, MethodNotAllowed: as ``get``; and what ``change`` raises.
    """

    async def found() -> Held[Version]:
        return present(await find(store, bucket, key, version_id), key, version_id, method)

    async with store.turn(bucket, key):
        return await _amend(store, found, change, cause, also)


async def amend_record(store: Store, version: Version, change: Amendment, cause: Cause) -> Version:
    """Change a version, or delete marker, that was found before; see ``amend_version``. Raises NoSuchVersion."""

    async def found() -> Held[Version]:
        held = await store.get(VERSIONS, version.bucket, version.key, version.sequence)
        if held is None:
            raise NoSuchVersion(Key=version.key, VersionId=version.id)
        return held

    async with store.turn(version.bucket, version.key):
        return await _amend(store, found, change, cause)


async def _amend(
    store: Store,
    found: Callable[[], Awaitable[Held[Version]]],
    change: Amendment,
    cause: Cause,
    also: Sequence[Change] = (),
) -> Version:
    with translated():
        for _ in attempts():
            held = await found()
            bucket = await store.bucket(held.record.bucket)
            before, after = held.record, change(held.record)
            if cause.job != JOB:
                after = _replicated_again(store, bucket.record, before, after)
            same = after == before
            after = replace(after, revision=store.clock.sequence(after.revision))
            happening = Happening(bucket.record, before, after, cause)
            if same and not store.consequences.of(happening):
                return before
            if await amend_version_once(store, held, happening, also, [bucket.row]):
                await store.discard(happening.garbage)
                return after
    raise AssertionError  # attempts() raises before


def _replicated_again(store: Store, bucket: Bucket, before: Version, after: Version) -> Version:
    """Return an amended version; what says something else to clients by then is replicated once more."""
    is_same = (after.attributes, after.annotations) == (before.attributes, before.annotations)
    if is_same or after.replication not in ("COMPLETED", "FAILED"):
        return after
    return replace(after, replication="PENDING") if store.consequences.is_replicated(bucket, after) else after


def present(held: Held[Version] | None, key: str, version_id: str | None, method: str) -> Held[Version]:
    """Return a version that was found, or raise why there is none to read or change."""
    if held is None:
        if version_id is None:
            raise NoSuchKey(Key=key)
        raise NoSuchVersion(Key=key, VersionId=version_id)
    version = held.record
    if version.marker:
        marks = {"x-amz-delete-marker": "true", "x-amz-version-id": version.id}
        if version_id is None:
            raise NoSuchKey(Key=key, headers=marks)
        marks["last-modified"] = write_http_date(version.modified_ns)
        marks["allow"] = "DELETE"
        raise MethodNotAllowed(headers=marks, Method=method, ResourceType="DeleteMarker")
    return held
