"""Appending to an object: its bytes become a list of segments, of which the last ones are merged as it grows.

An append stores what it brings together with the segments at the end that are less than twice as long as what comes
after them. So each segment is at least twice as long as the next one: there are as many as the logarithm of the size
of the object, and a byte is stored again about as often. Segments of 64 MiB are merged no more.

Each append makes a version that takes the place of the one before, as a PUT does, and takes over its segments. The
blobs that both name stay: those alone are garbage that were merged.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html
"""

import hashlib
from contextlib import AsyncExitStack, aclosing
from typing import NamedTuple

from msgspec.structs import replace

from s3ish.blob.protocol import BlobWriter, Buffer, Corrupt, Missing
from s3ish.checksum import Hasher, combine, supports
from s3ish.errors import (
    ConditionalRequestConflict,
    InvalidBucketState,
    InvalidWriteOffset,
    TooManyParts,
)
from s3ish.index.protocol import Change
from s3ish.model import Bucket, Checksum, Part, Version
from s3ish.objects import get as read
from s3ish.objects.conditions import WriteConditions
from s3ish.objects.consequences import BY_SERVER, Cause
from s3ish.objects.digests import Claims
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.ingest import Ingested, Source, ingest
from s3ish.objects.linking import link
from s3ish.objects.own_parts import seal_part
from s3ish.objects.put import publish
from s3ish.objects.store import Conflicted, Store, attempts, translated

CLOSED_BYTES = 64 * 1024 * 1024
"""From this size on a segment is not merged any more: a request must not wait for more than that."""
MAX_SEGMENTS = 10_000


class Unchanged(WriteConditions, frozen=True):
    """The conditions of an append: the object is the one whose bytes are there already, or there is still none."""

    blob: str = ""
    size: int = 0

    def check(self, current: Version | None, key: str) -> None:
        """As of a write; and what another writer has made of the object must not be built upon.

        Raises:
            InvalidWriteOffset: it has another size by now.
            ConditionalRequestConflict: it is another one of the same size.
        """
        super().check(current, key)
        if (current.blob.id if current else "") != self.blob:
            raise InvalidWriteOffset if (current.size if current else 0) != self.size else ConditionalRequestConflict


class Appended(NamedTuple):
    """The object as it is now, and the checksum of what was appended."""

    version: Version
    checksum: Checksum | None


class _Segments(NamedTuple):
    """What an append leaves alone: the first parts; and from where on the bytes are stored again."""

    kept: tuple[Part, ...]
    start: int


class _Watched:
    """A source whose bytes are summed up by another algorithm than the sender's as well."""

    def __init__(self, source: Source, algorithm: str) -> None:
        self.size, self.algorithm, self.expects_sha256 = source.size, source.algorithm, source.expects_sha256
        self.hasher = Hasher(algorithm)
        self._source = source

    async def gather(self, count: int) -> None:
        """See ``ingest.Source``."""
        await self._source.gather(count)

    async def read(self, limit: int) -> Buffer:
        """See ``ingest.Source``."""
        piece = await self._source.read(limit)
        self.hasher.update(piece)
        return piece

    def claims(self) -> Claims:
        """See ``ingest.Source``."""
        return self._source.claims()


async def find_base(store: Store, bucket: str, key: str, offset: int) -> Version | None:
    """Return the object that is appended to; None if there is none, and one can be made.

    Raises:
        NoSuchBucket: there is no such bucket.
        InvalidBucketState: it is or was versioned.
        InvalidWriteOffset: the object does not end at the offset.
    """
    _refuse_versions((await store.bucket(bucket)).record)
    newest = await store.newest(bucket, key)
    if offset != (newest[0].record.size if newest else 0):
        raise InvalidWriteOffset(Key=key)
    return newest[0].record if newest else None


async def append(
    store: Store,
    version: Version,
    source: Source,
    *,
    conditions: WriteConditions,
    encodings: Encodings | None = None,
    cause: Cause = BY_SERVER,
) -> Appended:
    """Append to an object that ``find_base`` has returned.

    Args:
        source: what is appended.
        conditions: what must be true of the object.
        encodings: of a request that brings a key; the store's if None.
        cause: why.

    Raises:
        InvalidWriteOffset, ConditionalRequestConflict: another writer was faster.
        NoSuchKey, PreconditionFailed: a condition does not hold.
        TooManyParts: it has as many segments as an object can have.
        S3Error: a broken body, or a digest that does not match.
    """
    conditions.check_form()
    conditions.check(version, version.key)
    with translated():
        segments = _segments(version, source.size or 0)
        algorithm = _joint_algorithm(version)
        watched = _Watched(source, algorithm) if algorithm and source.algorithm not in (None, algorithm) else None
        async with AsyncExitStack() as stack:
            changes: list[Change] = []
            chosen = None if watched else algorithm
            writer, ingested = await _store(
                store, version, segments.start, watched or source, encodings or store.encodings, chosen, stack
            )
            digests = ingested.digests
            if not digests.size:
                return Appended(version, digests.checksum)
            kept = segments.kept
            if not kept and segments.start:
                kept = (await _as_part(store, version, stack, changes),)
            part = Part(
                number=kept[-1].number + 1 if kept else 1,
                size=version.size - segments.start + digests.size,
                etag="",
                modified_ns=store.clock.service_ns(),
                blob=ingested.blob,
                encoding=ingested.encoding,
            )
            await seal_part(store, part, writer, version.bucket, version.key, stack, changes)
            value = watched.hasher.value() if watched else digests.checksum.value
            draft = replace(
                version,
                parts=(*kept, part),
                size=version.size + digests.size,
                etag=_etag(version, ingested.etag),
                checksum=_checksum(version, algorithm, value, digests.size),
                appends=version.appends + 1,
            )
            made = await _publish(store, version, draft, conditions, changes, cause)
            return Appended(made, digests.checksum)


async def _store(
    store: Store,
    version: Version,
    start: int,
    source: Source,
    encodings: Encodings,
    algorithm: str | None,
    stack: AsyncExitStack,
) -> tuple[BlobWriter, Ingested]:
    """Store the object's bytes from ``start`` on, and what is appended, as one blob, under the links of the object.

    What an encoder has added to these links, the next one replaces.
    """
    chain = encodings.chain(version.encoding)
    size = None if source.size is None else version.size - start + source.size
    writer = await stack.enter_async_context(store.create(version.bucket, version.key, size, chain))
    try:
        before = await read.open_span(store, version, start, version.size, encodings)
    except read.Replaced as error:
        raise ConditionalRequestConflict from error
    pieces = await stack.enter_async_context(aclosing(read.as_flow(before)))
    return writer, await ingest(source, writer, store.offload, store.room, algorithm, chain, pieces)


def _segments(version: Version, size: int) -> _Segments:
    """Choose what is stored again with so many bytes that are appended. Raises TooManyParts."""
    parts = list(version.parts) if version.parts else []
    whole = [part.size for part in parts] or [version.size]
    start = version.size
    while whole and whole[-1] < 2 * size and max(whole[-1], size) < CLOSED_BYTES:
        start -= whole[-1]
        size += whole.pop()
    if len(whole) >= MAX_SEGMENTS:
        raise TooManyParts
    return _Segments(tuple(parts[: len(whole)]), start)


def _joint_algorithm(version: Version) -> str | None:
    """Return the algorithm of the object's checksum, if that of the whole follows from those of its pieces."""
    checksum = version.checksum
    if checksum is None or checksum.kind != "FULL_OBJECT" or not supports(checksum.algorithm, "FULL_OBJECT"):
        return None
    return checksum.algorithm


def _checksum(version: Version, algorithm: str | None, value: str, size: int) -> Checksum | None:
    """Return the checksum of the whole; None where it cannot be known without reading all of it."""
    if algorithm is None or version.checksum is None:
        return None
    return Checksum(algorithm, combine(algorithm, [(version.checksum.value, version.size), (value, size)]))


def _etag(version: Version, appended: str) -> str:
    """Return an entity tag that follows from the one before and that of what was appended. It looks like no MD5."""
    digest = hashlib.md5(f"{version.etag} {appended}".encode(), usedforsecurity=False).hexdigest()
    count = version.etag.partition("-")[2]
    return f"{digest}-{int(count or 1) + 1}"


async def _as_part(store: Store, version: Version, stack: AsyncExitStack, changes: list[Change]) -> Part:
    """Have the bytes of an object that has no segments yet be its first one, without copying them if possible."""
    writer = await stack.enter_async_context(store.create(version.bucket, version.key, version.blob.size))
    try:
        blob = await link(store, version.blob, writer)
    except (Missing, Corrupt) as error:
        if isinstance(await read.cause(store, version, error), read.Replaced):
            raise ConditionalRequestConflict from error
        raise
    part = Part(
        number=1,
        size=version.size,
        etag=version.etag,
        modified_ns=store.clock.service_ns(),
        blob=blob,
        checksum=version.checksum,
        encoding=version.encoding,
    )
    await seal_part(store, part, writer, version.bucket, version.key, stack, changes)
    return part


async def _publish(
    store: Store,
    base: Version,
    draft: Version,
    conditions: WriteConditions,
    changes: list[Change],
    cause: Cause,
) -> Version:
    """Publish the version that takes the place of the base, of whose bytes the draft is; what was amended meanwhile
    stays.

    Raises:
        ConditionalRequestConflict: the data keys of these bytes are sealed otherwise by now.
    """
    unchanged = Unchanged(
        if_match=conditions.if_match,
        if_none_match=conditions.if_none_match,
        blob=base.blob.id,
        size=base.size,
    )
    for _ in attempts():
        bucket = await store.bucket(draft.bucket)
        _refuse_versions(bucket.record)
        newest = next(iter(await store.newest(draft.bucket, draft.key)), None)
        unchanged.check(newest.record if newest else None, draft.key)
        assert newest, "an object that is gone is another one"
        record = newest.record
        if (record.encoding, record.parts) != (base.encoding, base.parts):
            raise ConditionalRequestConflict
        async with store.blobs.create(f"{draft.bucket}/{draft.key}", 0) as writer:
            made = replace(
                record,
                parts=draft.parts,
                size=draft.size,
                etag=draft.etag,
                checksum=draft.checksum,
                appends=draft.appends,
                blob=await writer.finish(),
                sequence=max(record.sequence, record.revision),
                modified_ns=0,
                revision=0,
                origin=None,
            )
            try:
                expect = bucket.row, newest.row
                return await publish(store, made, writer, unchanged, tuple(changes), expect, cause, carries=True)
            except Conflicted:
                continue
    raise AssertionError  # attempts() raises before


def _refuse_versions(bucket: Bucket) -> None:
    """What is appended to has no versions: two of them would name the same segments. Raises InvalidBucketState."""
    if bucket.versioning:
        raise InvalidBucketState("Objects are appended to in buckets that were never versioned alone.")
