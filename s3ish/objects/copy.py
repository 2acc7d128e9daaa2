"""Copying an object on the server, without moving its bytes where that is possible.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from itertools import accumulate
from typing import NamedTuple

from msgspec.structs import replace

from s3ish.blob.protocol import BlobWriter, Buffer, Corrupt, Missing
from s3ish.index.protocol import Change
from s3ish.model import Attributes, Owner, Part, Upload, Version
from s3ish.objects import annotations, multipart
from s3ish.objects import get as read
from s3ish.objects.conditions import UNCONDITIONAL, WriteConditions
from s3ish.objects.consequences import BY_SERVER, Cause
from s3ish.objects.digests import Claims
from s3ish.objects.encodings.chain import Encodings, Links
from s3ish.objects.ingest import Ingested, ingest
from s3ish.objects.own_parts import make_each, seal_part
from s3ish.objects.put import publish
from s3ish.objects.store import Store, translated

Commit = Callable[[Version, BlobWriter, tuple[Change, ...]], Awaitable[Version]]


class Summed(NamedTuple):
    """That digests are computed, and with which checksum; None for the usual one."""

    algorithm: str | None


class VersionSource:
    """The bytes of a range of a version, as a source for a write."""

    def __init__(self, pieces: read.Flow, size: int, algorithm: str | None) -> None:
        self.size: int | None = size
        self.algorithm = algorithm
        self.expects_sha256 = False
        self._pieces = pieces
        self._held = bytearray()

    async def gather(self, count: int) -> None:
        """Nothing: no bytes have to come of a version that is there."""

    async def read(self, limit: int) -> Buffer:
        """Return the next ``limit`` bytes; see ``ingest.Source``."""
        while len(self._held) < limit:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            if not self._held and len(piece) == limit:
                return piece
            self._held += piece
        taken = bytes(self._held[:limit])
        del self._held[:limit]
        return taken

    def claims(self) -> Claims:
        """Nothing: the bytes were verified as they were read."""
        return Claims()


async def copy_object(
    store: Store,
    source: Version,
    bucket: str,
    key: str,
    *,
    owner: Owner,
    attributes: Attributes,
    algorithm: str | None = None,
    conditions: WriteConditions = UNCONDITIONAL,
    encoding: Links | None = None,
    encodings: Encodings | None = None,
    annotated: bool = True,
    cause: Cause = BY_SERVER,
) -> Version:
    """Make a new version of ``bucket/key`` with the bytes of ``source``.

    Args:
        attributes: those of the new version, already chosen by the request's directives.
        algorithm: the checksum to have; the source's own if None.
        encoding: the links under which it is stored; the default ones if None.
        encodings: of a request that brings keys, of the source or of the new version; the store's if None.
        annotated: whether annotations are copied too.
        cause: why.

    Raises:
        NoSuchBucket, PreconditionFailed, NoSuchKey: as ``publish``.
        Replaced: the source was replaced or removed after the caller had found it.
    """
    conditions.check_form()
    wanted = algorithm or (source.checksum.algorithm if source.checksum else None)
    same_checksum = source.checksum is not None and source.checksum.algorithm == wanted
    draft = replace(
        source,
        bucket=bucket,
        key=key,
        owner=owner,
        attributes=attributes,
        upload="",
        id="",
        parts=(),
        marker=False,
        revision=0,
        sequence=0,
        modified_ns=0,
        restore=None,
        origin=None,
        appends=0,
        replication="",
        replicated=False,
        annotations=source.annotations if annotated else (),
    )

    async def commit(draft: Version, writer: BlobWriter, rows: tuple[Change, ...]) -> Version:
        onto_itself = (source.bucket, source.key) == (bucket, key)
        return await publish(store, draft, writer, conditions, rows, cause=cause, carries=onto_itself)

    with translated():
        known = (encodings or store.encodings).asked_for(encoding)
        return await copy_bytes(store, source, draft, commit, known, None if same_checksum else Summed(wanted))


async def copy_bytes(
    store: Store, source: Version, draft: Version, commit: Commit, encodings: Encodings, anew: Summed | None = None
) -> Version:
    """Give a new version the bytes of another one, without copying them where that is possible, and commit it.

    Args:
        draft: the new version, but for its blob and what depends on it.
        commit: seals and commits it, given its finished blob and rows that belong to it.
        encodings: how it is stored.
        anew: that its digests are computed again; None keeps those of the source.

    Raises:
        Replaced: the source was replaced or removed after the caller had found it.
    """
    chain = encodings.chain()
    async with AsyncExitStack() as stack:
        size = None if source.parts else source.size
        writer = await stack.enter_async_context(store.create(draft.bucket, draft.key, size, chain))
        rows: list[Change] = []
        if draft.annotations:
            carried = await annotations.carried(store, source, draft.bucket, draft.key, stack, rows, encodings)
            draft = replace(draft, annotations=carried)
        if source.parts and anew is None:
            parts = await _copy_parts(store, source, draft.bucket, draft.key, encodings, stack, rows)
            blob, links = await writer.finish(), chain.links
            draft = replace(draft, parts=parts, blob=blob, encoding=links, appends=source.appends)
        elif anew is None and chain.covers(source.encoding) and await _adopt(store, source, writer):
            draft = replace(draft, blob=await writer.finish())
        else:
            algorithm = anew.algorithm if anew else source.checksum.algorithm if source.checksum else None
            draft = await _through(store, source, draft, writer, encodings, algorithm)
        return await commit(draft, writer, tuple(rows))


async def _adopt(store: Store, source: Version, writer: BlobWriter) -> bool:
    """Take the bytes of the source without copying them; False where that is not possible."""
    try:
        return await writer.adopt(source.blob)
    except (Missing, Corrupt) as error:
        raise await read.cause(store, source, error) from error


async def _copy_parts(
    store: Store,
    source: Version,
    bucket: str,
    key: str,
    encodings: Encodings,
    stack: AsyncExitStack,
    rows: list[Change],
) -> tuple[Part, ...]:
    """Give every part a blob of its own, without copying its bytes where that is possible.

    ``rows`` collects the bytes of small ones, see ``seal_part``.
    """
    stack.enter_context(await read.hold_parts(store, source))
    chain = encodings.chain()

    async def copy(placed: tuple[Part, int]) -> Part:
        part, start = placed
        writer = await stack.enter_async_context(store.create(bucket, key, part.size, chain))
        if chain.covers(part.encoding) and await writer.adopt(part.blob):
            copied = replace(part, blob=await writer.finish())
        else:
            blob, _, links, _ = await _pour(store, source, start, start + part.size, writer, encodings, None)
            copied = replace(part, blob=blob, encoding=links)
        copied = replace(copied, modified_ns=store.clock.service_ns())
        await seal_part(store, copied, writer, bucket, key, stack, rows)
        return copied

    starts = accumulate((part.size for part in source.parts), initial=0)
    return await make_each(copy, zip(source.parts, starts, strict=False))


async def _through(
    store: Store, source: Version, draft: Version, writer: BlobWriter, encodings: Encodings, algorithm: str | None
) -> Version:
    """Copy byte by byte, computing the digests again."""
    blob, digests, links, etag = await _pour(store, source, 0, source.size, writer, encodings, algorithm)
    return replace(
        draft,
        blob=blob,
        encoding=links,
        size=digests.size,
        etag=etag,
        checksum=digests.checksum,
    )


async def _pour(
    store: Store,
    source: Version,
    start: int,
    stop: int,
    writer: BlobWriter,
    encodings: Encodings,
    algorithm: str | None,
) -> Ingested:
    async with aclosing(read.as_flow(await read.open_span(store, source, start, stop, encodings))) as pieces:
        source_bytes = VersionSource(pieces, stop - start, algorithm)
        return await ingest(source_bytes, writer, store.offload, store.room, algorithm, encodings.chain())


async def copy_part(
    store: Store,
    source: Version,
    start: int,
    stop: int,
    bucket: str,
    key: str,
    upload_id: str,
    number: int,
    encodings: Encodings | None = None,
) -> tuple[Upload, Part]:
    """Store the bytes ``[start, stop)`` of a version as a part of an upload.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html

    Args:
        encodings: of a request that brings keys; the store's if None.

    Raises:
        NoSuchUpload: no such upload.
        Replaced: the source was replaced or removed after the caller had found it.
    """
    held = await multipart.find_upload(store, bucket, key, upload_id)
    algorithm = held.record.checksum_algorithm or None
    async with aclosing(read.as_flow(await read.open_span(store, source, start, stop, encodings))) as pieces:
        source_bytes = VersionSource(pieces, stop - start, algorithm)
        return await multipart.put_part(store, bucket, key, upload_id, number, source_bytes, encodings)
