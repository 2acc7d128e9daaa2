"""Multipart uploads: create, add parts, complete or abort.

A part is a blob with its own sidecar. Completing commits a list of part blobs and copies no byte, so that it costs the
same for a kilobyte and a terabyte. All state stands in the index, so that workers share it and a restart keeps it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from s3ish import checksum
from s3ish.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    NoSuchUpload,
)
from s3ish.index.protocol import Change
from s3ish.model import Bucket, Checksum, Garbage, Part, Upload, Usage, Version
from s3ish.objects import usage
from s3ish.objects.arrival import Identity, arrived
from s3ish.objects.conditions import UNCONDITIONAL, WriteConditions
from s3ish.objects.consequences import BY_SERVER, Cause
from s3ish.objects.digests import DEFAULT_ALGORITHM
from s3ish.objects.encodings.chain import Encodings, Links
from s3ish.objects.ingest import Source, ingest
from s3ish.objects.put import publish
from s3ish.objects.quotas import LONG_BYTES
from s3ish.objects.replica_place import publish_replica
from s3ish.objects.store import Conflicted, Store, attempts, translated
from s3ish.objects.unreachable import drop_blobs
from s3ish.tables import keys
from s3ish.tables.catalogue import INLINE, PARTS, UPLOADS, USAGE
from s3ish.tables.table import Held

MAX_PARTS = 10_000
_ID, _LONGEST_ID = re.compile("[0-9a-f]{16}[0-9a-z]+"), 64
MIN_PART_BYTES = 5 * 1024 * 1024
"""The least size of every part but the last."""


class Chosen(NamedTuple):
    """A part as a CompleteMultipartUpload request names it."""

    number: int
    etag: str
    checksum: dict[str, str]


async def create_upload(
    store: Store, draft: Upload, encoding: Links | None = None, encodings: Encodings | None = None
) -> Upload:
    """Begin an upload.

    Args:
        draft: the upload without id, time and blob.
        encoding: the links under which its parts are stored; the default ones if None.
        encodings: of a request that brings a key; the store's if None.

    Raises:
        NoSuchBucket.
        QuotaExceeded: the bucket or its owner holds as many objects as it may.
    """
    created_ns = store.clock.service_ns()
    upload_id = f"{store.clock.now_ns():016x}{store.clock.token()}"  # uploads of a key are listed as they began
    with translated():
        links = (encodings or store.encodings).chain(encoding).links  # refused now rather than at the first part
        upload = replace(draft, id=upload_id, created_ns=created_ns, encoding=links)
        async with store.blobs.create(f"{upload.bucket}/{upload.key}", 0) as writer:
            upload = replace(upload, blob=await writer.finish())
            async with store.provisional(upload.blob):
                await writer.seal(UPLOADS.seal(upload))
                for _ in attempts():
                    bucket = await store.bucket(upload.bucket)
                    await _refuse_early(store, bucket.record, upload.key)
                    if await store.commit([UPLOADS.put(upload), *USAGE.add(bucket.record, usage.UPLOAD)], [bucket.row]):
                        return upload
    raise AssertionError  # attempts() raises before


async def _refuse_early(store: Store, bucket: Bucket, key: str) -> None:
    """Refuse an upload whose object a quota would leave no room for now; its completion decides. Raises QuotaExceeded.

    With versioning suspended that depends on whether there is a null version: it is left to the completion.
    """
    if bucket.versioning == "Suspended" or not store.quotas.limit(bucket):
        return
    if bucket.versioning or not await store.newest(bucket.name, key):
        await store.quotas.check(store.index, bucket, Usage(versions=1))


def is_upload_id(text: str) -> bool:
    """Whether a text has the form of an upload's id."""
    return len(text) <= _LONGEST_ID and _ID.fullmatch(text) is not None


async def find_upload(store: Store, bucket: str, key: str, upload_id: str) -> Held[Upload]:
    """Return an upload in progress. Raises NoSuchUpload."""
    if not is_upload_id(upload_id):
        raise NoSuchUpload(UploadId=upload_id[:256])
    held = await store.get(UPLOADS, bucket, key, upload_id)
    if held is None:
        raise NoSuchUpload(UploadId=upload_id)
    return held


async def put_part(
    store: Store,
    bucket: str,
    key: str,
    upload_id: str,
    number: int,
    source: Source,
    encodings: Encodings | None = None,
) -> tuple[Upload, Part]:
    """Store one part; an earlier one of the same number is replaced.

    Args:
        encodings: of a request that brings a key; the store's if None. The links are those of the upload.

    Raises:
        NoSuchUpload, InvalidArgument: no such upload, or not a part number.
        InvalidRequest: the part's checksum is of another algorithm than the upload's, or missing where the whole's is
            made of them.
    """
    check_number(number)
    held = await find_upload(store, bucket, key, upload_id)
    algorithm = held.record.checksum_algorithm
    needed = held.record.checksum_kind == "COMPOSITE"
    if algorithm and source.algorithm != algorithm and (source.algorithm or needed):
        raise InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, "
            f"actual checksum Type: {(source.algorithm or 'null').lower()}"
        )
    with translated():
        if source.size and source.size > LONG_BYTES:
            owned = (await store.bucket(bucket)).record
            if store.quotas.limit(owned):  # before the body is read; _commit_part() decides
                old = await store.get(PARTS, upload_id, number)
                more = Usage(upload_bytes=source.size - (old.record.size if old else 0))
                await store.quotas.check(store.index, owned, more)
        chain = (encodings or store.encodings).chain(held.record.encoding)
        async with store.create(bucket, key, source.size, chain) as writer:
            ref, digests, links, etag = await ingest(
                source, writer, store.offload, store.room, algorithm or None, chain
            )
            part = Part(
                number=number,
                size=digests.size,
                etag=etag,
                modified_ns=store.clock.service_ns(),
                blob=ref,
                checksum=digests.checksum,
                encoding=links,
            )
            async with store.provisional(part.blob):
                inline = await writer.seal(PARTS.seal(part, bucket, key, upload_id))
                await _commit_part(store, held, part, inline)
            return held.record, part


def check_number(number: int) -> None:
    """Raises InvalidArgument unless the part number is between 1 and 10,000."""
    if not 1 <= number <= MAX_PARTS:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=number,
        )


async def _commit_part(store: Store, upload: Held[Upload], part: Part, inline: bytes | None) -> None:
    """Make a sealed part visible, unless its upload has ended meanwhile."""
    record = upload.record
    put = PARTS.put(part, record.bucket, record.key, record.id)
    for _ in attempts():
        old = await store.get(PARTS, record.id, part.number)
        bucket = await store.bucket(record.bucket)
        more = usage.of_parts([part]) + -usage.of_parts([old.record] if old else [])
        room = await store.quotas.check(store.index, bucket.record, more)
        garbage = []
        if old and old.record.blob.id != part.blob.id:  # it is ours if a repair has found its sidecar before us
            garbage.append(Garbage(old.record.blob))
        changes = [
            put,
            *INLINE.keep(part.blob, inline),
            *drop_blobs(garbage),
            *USAGE.add(bucket.record, more),
        ]
        if await store.commit(
            changes, [upload.row, bucket.row, PARTS.expect(put.key, old.value if old else None), *room]
        ):
            await store.discard(garbage)
            return
        await find_upload(store, record.bucket, record.key, record.id)


async def list_parts(store: Store, upload_id: str, after: int, limit: int) -> tuple[list[Part], bool]:
    """Return up to ``limit`` parts with numbers above ``after``, and whether more come; after none, none come."""
    start, stop = keys.parts_range(upload_id)
    if after > 0:
        start = keys.after(keys.part_key(upload_id, min(after, MAX_PARTS)))
    rows = await PARTS.rows(store.index, start, stop, limit + 1)
    return store.decode_rows(PARTS, rows[:limit]), len(rows) > limit > 0


async def abort_upload(store: Store, bucket: str, key: str, upload_id: str) -> None:
    """End an upload and remove its parts. Raises NoSuchUpload."""
    with translated():
        for _ in attempts():
            held = await find_upload(store, bucket, key, upload_id)
            parts = await _all_parts(store, upload_id)
            owned = await store.bucket(bucket)
            garbage = [Garbage(held.record.blob, tuple(part.record.blob for part in parts))]
            changes: list[Change] = [UPLOADS.drop(held.key), *drop_blobs(garbage)]
            changes += [PARTS.drop(part.key) for part in parts]
            changes += USAGE.add(owned.record, -_held_by_upload(parts))
            if await store.commit(changes, [held.row, owned.row, *(part.row for part in parts)]):
                await store.discard(garbage)
                return


def _held_by_upload(parts: Sequence[Held[Part]]) -> Usage:
    """Return what an upload with all its parts adds to what the bucket holds."""
    return usage.UPLOAD + usage.of_parts(part.record for part in parts)


async def _all_parts(store: Store, upload_id: str) -> list[Held[Part]]:
    rows = await PARTS.rows(store.index, *keys.parts_range(upload_id), MAX_PARTS)
    parts = store.decode_rows(PARTS, rows)
    return [Held(PARTS.name, part, *row) for part, row in zip(parts, rows, strict=True)]


async def complete_upload(
    store: Store,
    bucket: str,
    key: str,
    upload_id: str,
    chosen: Sequence[Chosen],
    *,
    expected: Checksum | None = None,
    expected_kind: str | None = None,
    expected_size: int | None = None,
    conditions: WriteConditions = UNCONDITIONAL,
    cause: Cause = BY_SERVER,
    identity: Identity | None = None,
) -> Version:
    """Make an object of the chosen parts, in order; a repeated request gets the same answer.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html

    Args:
        expected, expected_kind, expected_size: what the client says of the whole object.
        cause: why.
        identity: what it has in common with the version of another server of which it is a replica.

    Raises:
        NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, BadDigest, InvalidRequest: the request is wrong.
        NoSuchKey, PreconditionFailed: a condition does not hold.
    """
    conditions.check_form()
    _check_order(chosen)
    make: Callable[..., Awaitable[Version]] = partial(publish, store, conditions=conditions, cause=cause)
    if identity:
        make = partial(publish_replica, store)
    with translated():
        for _ in attempts():
            if identity and (there := await arrived(store, bucket, key, identity)):
                with suppress(NoSuchUpload):
                    await abort_upload(store, bucket, key, upload_id)
                return there
            try:
                held = await find_upload(store, bucket, key, upload_id)
            except NoSuchUpload:
                return await _completed_before(store, bucket, key, upload_id, chosen)
            _check_numbers(held.record, chosen)
            stored = await _all_parts(store, upload_id)
            parts = _choose(held.record, {part.record.number: part for part in stored}, chosen)
            draft = _assemble(held.record, [part.record for part in parts])
            _check_kind(held.record, expected_kind)
            _check_whole(draft, held.record, expected, expected_size)
            try:
                draft = identity.of(draft) if identity else draft
                return await _publish(store, held, draft, stored, parts, make)
            except Conflicted:
                continue
    raise AssertionError  # attempts() raises before


def _check_order(chosen: Sequence[Chosen]) -> None:
    numbers = [part.number for part in chosen]
    if numbers and min(numbers) < 1:
        raise InvalidArgument("PartNumber must be >= 1", ArgumentName="PartNumber", ArgumentValue=min(numbers))
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise InvalidPartOrder
    for number in numbers:
        check_number(number)


def _check_numbers(upload: Upload, chosen: Sequence[Chosen]) -> None:
    """Where parts have checksums that the client has chosen, their numbers must be 1, 2, 3 ... Raises InvalidPartOrder.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompletedPart.html
    """
    if upload.checksum_algorithm in ("", DEFAULT_ALGORITHM):
        return
    if any(part.number != position for position, part in enumerate(chosen, 1)):
        raise InvalidPartOrder("Parts of an upload with checksums must be numbered 1, 2, 3 and so on.")


def _choose(upload: Upload, stored: dict[int, Held[Part]], chosen: Sequence[Chosen]) -> list[Held[Part]]:
    """Return the stored parts that the request names. Raises InvalidPart, InvalidRequest, EntityTooSmall."""
    parts: list[Held[Part]] = []
    for position, wanted in enumerate(chosen):
        if upload.checksum_kind == "COMPOSITE" and upload.checksum_algorithm not in wanted.checksum:
            raise InvalidRequest(
                f"The upload was created using a {upload.checksum_algorithm.lower()} checksum. The complete request "
                f"must include the checksum for each part. It was missing for part {wanted.number} in the request."
            )
        held = stored.get(wanted.number)
        etag = wanted.etag.strip('"')
        if held is None or held.record.etag != etag or not _same_checksum(held.record, wanted):
            raise InvalidPart(UploadId=upload.id, PartNumber=wanted.number, ETag=etag[:128])
        if held.record.size < MIN_PART_BYTES and position < len(chosen) - 1:
            raise EntityTooSmall(
                ProposedSize=held.record.size, MinSizeAllowed=MIN_PART_BYTES, PartNumber=wanted.number, ETag=etag
            )
        parts.append(held)
    return parts


def _same_checksum(part: Part, wanted: Chosen) -> bool:
    stored = part.checksum
    return all(
        stored is not None and stored.algorithm == algorithm and stored.value == value
        for algorithm, value in wanted.checksum.items()
    )


def _assemble(upload: Upload, parts: list[Part]) -> Version:
    """Return the version that the parts make, without id and blob."""
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False).hexdigest()
    return Version(
        bucket=upload.bucket,
        key=upload.key,
        id="",
        sequence=0,
        modified_ns=0,
        owner=upload.owner,
        blob=upload.blob,
        size=sum(part.size for part in parts),
        etag=f"{digest}-{len(parts)}",
        checksum=_checksum_of(upload, parts),
        attributes=upload.attributes,
        encoding=upload.encoding,
        parts=tuple(parts),
        upload=upload.id,
    )


def _checksum_of(upload: Upload, parts: list[Part]) -> Checksum | None:
    first = parts[0].checksum
    algorithm = upload.checksum_algorithm or (first.algorithm if first else DEFAULT_ALGORITHM)
    values = [
        (part.checksum.value, part.size) for part in parts if part.checksum and part.checksum.algorithm == algorithm
    ]
    if len(values) != len(parts) or not checksum.supports(algorithm, upload.checksum_kind or "FULL_OBJECT"):
        return None
    if upload.checksum_kind == "COMPOSITE":
        return Checksum(algorithm, checksum.composite(algorithm, [value for value, _ in values]), "COMPOSITE")
    return Checksum(algorithm, checksum.combine(algorithm, values))


def _check_kind(upload: Upload, kind: str | None) -> None:
    actual = upload.checksum_kind or "FULL_OBJECT"
    if kind is not None and kind != actual:
        raise InvalidRequest(
            f"The upload was created using the {actual} checksum mode. The complete request must use the same "
            "checksum mode."
        )


def _check_whole(draft: Version, upload: Upload, expected: Checksum | None, size: int | None) -> None:
    if size is not None and size != draft.size:
        raise InvalidRequest(
            f"The provided 'x-amz-mp-object-size' header value {size} does not match what was computed: {draft.size}"
        )
    if expected is None:
        return
    if upload.checksum_algorithm and expected.algorithm != upload.checksum_algorithm:
        raise InvalidRequest("The checksum algorithm is not the one that the upload was created with.")
    if draft.checksum is None or not _confirms(expected, draft.checksum):
        raise BadDigest(f"The {expected.algorithm} you specified did not match the calculated checksum.")


def _confirms(expected: Checksum, actual: Checksum) -> bool:
    """Whether a client means this checksum; it may leave out how many parts stand behind a composite one."""
    forms = {actual.value, actual.value.partition("-")[0]}
    return expected.algorithm == actual.algorithm and expected.value in forms


async def _publish(
    store: Store,
    held: Held[Upload],
    draft: Version,
    stored: list[Held[Part]],
    parts: list[Held[Part]],
    make: Callable[..., Awaitable[Version]],
) -> Version:
    """Publish the version and end its upload in one commit; parts that were not chosen become garbage."""
    used = {part.record.number for part in parts}
    unused = tuple(part.record.blob for part in stored if part.record.number not in used)
    garbage = [Garbage(held.record.blob, unused)]
    changes: list[Change] = [UPLOADS.drop(held.key), *drop_blobs(garbage)]
    changes += [PARTS.drop(part.key) for part in stored]
    async with store.blobs.create(f"{draft.bucket}/{draft.key}", 0) as writer:
        draft = replace(draft, blob=await writer.finish())
        expect = (held.row, *(part.row for part in stored))
        version = await make(draft, writer, changes=tuple(changes), expect=expect, beside=-_held_by_upload(stored))
    short = tuple(part.record.blob for part in parts if part.record.blob.inline)  # of others no rebuild needs sidecars
    await store.discard(garbage, after=Garbage(version.blob, short))
    return version


async def _completed_before(store: Store, bucket: str, key: str, upload_id: str, chosen: Sequence[Chosen]) -> Version:
    """Return the object that this upload became, for a client that repeats its request. Raises NoSuchUpload."""
    for held in await store.newest(bucket, key, 20):
        version = held.record
        if version.upload == upload_id and [(part.number, part.etag) for part in version.parts] == [
            (part.number, part.etag.strip('"')) for part in chosen
        ]:
            return version
    raise NoSuchUpload(UploadId=upload_id)
