"""Multipart uploads.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from s3ish import checksum as checksums
from s3ish.api.acl import owner_and_acl
from s3ish.api.checksum_headers import chosen_algorithm, chosen_type
from s3ish.api.comparing import read_compared
from s3ish.api.context import Context
from s3ish.api.copy import find_source, read_source
from s3ish.api.customer_keys import CustomerKey, check_part_key, customer_key_of, source_key_of
from s3ish.api.encrypting import Keys, encodings_with, encrypted, keys_of, writing_key_of
from s3ish.api.lifecycle import AbortHeaders, shown_abortion, shown_expiry
from s3ish.api.lock import check_digest, lock_of
from s3ish.api.object_headers import attributes_of
from s3ish.api.operation import operation
from s3ish.api.put import shown_version, write_extras
from s3ish.api.replica import ReplicaHeaders, identity_of, make_replica
from s3ish.api.shapes import (
    AttributeHeaders,
    ChecksumElements,
    ChecksumHeaders,
    CopySourceHeaders,
    CustomerKeyHeaders,
    DataDigest,
    EncryptionEcho,
    NewEncryptionEcho,
    ObjectChecksumElements,
    ObjectEncryptionEcho,
    ObjectRequest,
    quoted,
)
from s3ish.auth.evaluator import Permit
from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML, NoSuchUpload, PreconditionFailed
from s3ish.model import Checksum, Part, Upload, Version
from s3ish.objects import copy, get, multipart
from s3ish.objects.conditions import WriteConditions
from s3ish.wire.fields import body, element, elements, group, header, query, stream
from s3ish.wire.scalars import Instant, read_integer, read_position
from s3ish.wire.shape import shape

MAX_PART_BYTES = 5 * 1024**3
_COUNT = re.compile(r"[1-9][0-9]{0,4}")
"""How many parts stand behind a composite checksum."""
_SOURCE_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")


@shape
class CreateMultipartUploadRequest(ObjectRequest, AttributeHeaders):
    """POST /{Bucket}/{Key+}?uploads"""

    checksum_algorithm: str | None = header("x-amz-checksum-algorithm")
    checksum_type: str | None = header("x-amz-checksum-type")


@shape(root="InitiateMultipartUploadResult")
class CreateMultipartUploadResponse:
    """The upload's id."""

    bucket: str = element("Bucket", default=...)
    key: str = element("Key", default=...)
    upload_id: str = element("UploadId", default=...)
    checksum_algorithm: str | None = header("x-amz-checksum-algorithm")
    checksum_type: str | None = header("x-amz-checksum-type")
    abort: AbortHeaders | None = group()
    encryption: NewEncryptionEcho | None = group()


@operation("POST /{Bucket}/{Key+}?uploads", action="s3:PutObject", permits=write_extras, is_of_parts=True)
async def create_multipart_upload(
    context: Context, request: CreateMultipartUploadRequest
) -> CreateMultipartUploadResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html"""
    context.require_signature("initiate multipart uploads")
    owner, acl = owner_and_acl(context, request)
    attributes = attributes_of(request, acl, lock_of(context, request))
    encryption = await encrypted(context, request, attributes, request.key)
    algorithm, kind = chosen_algorithm(request.checksum_algorithm) or "", chosen_type(request.checksum_type) or ""
    if kind and not algorithm:
        raise InvalidRequest(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
        )
    if algorithm:
        kind = kind or checksums.default_kind(algorithm)
        if not checksums.supports(algorithm, kind):
            raise InvalidRequest(
                f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
            )
    draft = Upload(
        bucket=request.bucket,
        key=request.key,
        id="",
        created_ns=0,
        owner=owner,
        initiator=context.owner,
        blob=context.target.blob,
        attributes=encryption.attributes,
        checksum_algorithm=algorithm,
        checksum_kind=kind,  # type: ignore[arg-type]  # one of CHECKSUM_TYPES
    )
    upload = await multipart.create_upload(
        context.store, draft, encryption.links, encodings_with(context.store, encryption.keys)
    )
    return CreateMultipartUploadResponse(
        bucket=request.bucket,
        key=request.key,
        upload_id=upload.id,
        checksum_algorithm=algorithm or None,
        checksum_type=kind or None,
        abort=shown_abortion(context, upload),
        encryption=NewEncryptionEcho.of(upload.attributes.encryption, encryption.key_md5),
    )


@shape
class PartRequest(ObjectRequest, CustomerKeyHeaders):
    """A request on one part."""

    part_number: int = query("partNumber", default=0)
    upload_id: str = query("uploadId", default="")


async def _upload_of(context: Context, request: ObjectRequest, upload_id: str, key: CustomerKey | None) -> Upload:
    """Return the upload of a part, to which the client's key must belong. Raises NoSuchUpload, InvalidRequest."""
    held = await multipart.find_upload(context.store, request.bucket, request.key, upload_id)
    check_part_key(held.record, key)
    return held.record


async def _keys_of(context: Context, upload: Upload, key: CustomerKey | None) -> Keys:
    return await keys_of(context, upload.attributes.encryption, upload.encoding, key)


@shape
class UploadPartRequest(PartRequest, DataDigest):
    """PUT /{Bucket}/{Key+}?partNumber&uploadId"""

    body: Any = stream()


@shape
class UploadPartResponse:
    """What was stored."""

    etag: str | None = header("ETag")
    checksum: ChecksumHeaders | None = group()
    encryption: ObjectEncryptionEcho | None = group()


@operation("PUT /{Bucket}/{Key+}?partNumber&uploadId", action="s3:PutObject", is_of_parts=True)
async def upload_part(context: Context, request: UploadPartRequest) -> UploadPartResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html"""
    key = writing_key_of(context, request)
    upload = await _upload_of(context, request, request.upload_id, key)
    check_digest(context, upload.attributes.lock, "Put Part")
    keys = await _keys_of(context, upload, key)
    upload, part = await multipart.put_part(
        context.store,
        request.bucket,
        request.key,
        request.upload_id,
        request.part_number,
        context.body,
        encodings_with(context.store, keys),
    )
    return UploadPartResponse(
        etag=quoted(part.etag),
        checksum=ChecksumHeaders.of(part.checksum),
        encryption=ObjectEncryptionEcho.of(upload.attributes.encryption, key.md5 if key else ""),
    )


@shape
class UploadPartCopyRequest(PartRequest, CopySourceHeaders):
    """PUT /{Bucket}/{Key+}?partNumber&uploadId with x-amz-copy-source"""

    copy_source_range: str | None = header("x-amz-copy-source-range")


@shape
class CopyPartResult:
    """The new part."""

    last_modified: Instant | None = element("LastModified")
    etag: str | None = element("ETag")
    checksum: ChecksumElements | None = group()


@shape
class UploadPartCopyResponse:
    """What was copied."""

    result: CopyPartResult = body("CopyPartResult")
    source_version_id: str | None = header("x-amz-copy-source-version-id")
    encryption: ObjectEncryptionEcho | None = group()


@operation(
    "PUT /{Bucket}/{Key+}?partNumber&uploadId",
    action="s3:PutObject",
    header="x-amz-copy-source",
    permits=read_source,
    is_of_parts=True,
)
async def upload_part_copy(context: Context, request: UploadPartCopyRequest) -> UploadPartCopyResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html"""
    context.require_signature("copy objects")
    key, source_key = writing_key_of(context, request), source_key_of(context, request)
    multipart.check_number(request.part_number)
    keys = await _keys_of(context, await _upload_of(context, request, request.upload_id, key), key)

    async def attempt() -> tuple[Upload, Part, str | None]:
        source, source_id = await find_source(context, request, source_key)
        start, stop = _source_range(request.copy_source_range, source)
        source_keys = await keys_of(context, source.attributes.encryption, source.encoding, source_key)
        copied = await copy.copy_part(
            context.store,
            source,
            start,
            stop,
            request.bucket,
            request.key,
            request.upload_id,
            request.part_number,
            encodings_with(context.store, keys, source_keys),
        )
        return *copied, source_id

    upload, part, source_id = await get.decided(attempt)
    return UploadPartCopyResponse(
        result=CopyPartResult(
            last_modified=Instant(part.modified_ns),
            etag=quoted(part.etag),
            checksum=ChecksumElements.of(part.checksum),
        ),
        source_version_id=source_id,
        encryption=ObjectEncryptionEcho.of(upload.attributes.encryption, key.md5 if key else ""),
    )


def _source_range(text: str | None, source: Version) -> tuple[int, int]:
    """Return the bytes of the source that a part takes. Raises InvalidArgument, InvalidRequest."""
    if text is None:
        if source.size > MAX_PART_BYTES:
            raise InvalidRequest(f"The specified copy source is larger than the maximum part size: {MAX_PART_BYTES}")
        return 0, source.size
    matched = _SOURCE_RANGE.fullmatch(text)
    first, last = map(read_position, matched.groups()) if matched else (1, 0)
    if first > last:
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text[:128],
        )
    start, stop = first, last + 1
    if stop > source.size:
        raise InvalidArgument(
            f"Range specified is not valid for source object of size: {source.size}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text[:128],
        )
    if stop - start > MAX_PART_BYTES:
        raise InvalidRequest(f"The specified copy range is larger than the maximum part size: {MAX_PART_BYTES}")
    return start, stop


@shape
class CompletedPart:
    """A part that the object is made of."""

    part_number: int = element("PartNumber", default=...)
    etag: str = element("ETag", default=...)
    checksum: ChecksumElements | None = group()


@shape
class CompletedMultipartUpload:
    """The body of CompleteMultipartUpload."""

    parts: list[CompletedPart] = elements("Part", limit=multipart.MAX_PARTS)


@shape
class CompleteMultipartUploadRequest(ObjectRequest, CustomerKeyHeaders, ReplicaHeaders):
    """POST /{Bucket}/{Key+}?uploadId"""

    upload: CompletedMultipartUpload | None = body("CompleteMultipartUpload", required=False)
    upload_id: str = query("uploadId", default="")
    checksum: ChecksumHeaders | None = group()
    checksum_type: str | None = header("x-amz-checksum-type")
    object_size: str | None = header("x-amz-mp-object-size")
    if_match: str | None = header("If-Match")
    if_none_match: str | None = header("If-None-Match")


@shape(root="CompleteMultipartUploadResult")
class CompleteMultipartUploadResponse:
    """The object."""

    location: str = element("Location", default=...)
    bucket: str = element("Bucket", default=...)
    key: str = element("Key", default=...)
    etag: str = element("ETag", default=...)
    checksum: ObjectChecksumElements | None = group()
    version_id: str | None = header("x-amz-version-id")
    expiration: str | None = header("x-amz-expiration")
    encryption: EncryptionEcho | None = group()


def _completing(request: CompleteMultipartUploadRequest) -> Iterable[Permit]:
    return (*make_replica(request), *read_compared(request.if_match, request.bucket, request.key))


@operation("POST /{Bucket}/{Key+}?uploadId", action="s3:PutObject", permits=_completing, body_bytes=8 * 1024 * 1024)
async def complete_multipart_upload(
    context: Context, request: CompleteMultipartUploadRequest
) -> CompleteMultipartUploadResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html"""
    if key := customer_key_of(context, request):
        with suppress(NoSuchUpload):  # it may be complete already
            await _upload_of(context, request, request.upload_id, key)
    parts = request.upload.parts if request.upload else []
    if not parts:
        raise MalformedXML
    version = await multipart.complete_upload(
        context.store,
        request.bucket,
        request.key,
        request.upload_id,
        [multipart.Chosen(part.part_number, part.etag, _of_part(part)) for part in parts],
        expected=_expected(_given(request.checksum)),
        expected_kind=chosen_type(request.checksum_type),
        expected_size=_size(request.object_size),
        conditions=WriteConditions(if_match=request.if_match, if_none_match=request.if_none_match),
        cause=context.cause,
        identity=identity_of(context, request),
    )
    return CompleteMultipartUploadResponse(
        location=context.url,
        bucket=request.bucket,
        key=request.key,
        etag=quoted(version.etag),
        checksum=ObjectChecksumElements.of(version.checksum),
        version_id=shown_version(version),
        expiration=shown_expiry(context, version),
        encryption=EncryptionEcho.of(version.attributes.encryption),
    )


def _given(checksum: ChecksumHeaders | ChecksumElements | None) -> dict[str, str]:
    return checksum.by_algorithm() if checksum else {}


def _of_part(part: CompletedPart) -> dict[str, str]:
    """Return the checksum of a part, if there is one. Raises InvalidArgument."""
    given = _given(part.checksum)
    if len(given) > 1 or not all(checksums.valid(algorithm, value) for algorithm, value in given.items()):
        raise InvalidArgument("Invalid Base64 or multiple checksums present in request", ArgumentName="Checksum")
    return given


def _size(text: str | None) -> int | None:
    """Return the size that the object shall have. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        size = read_integer(text)
    except ValueError as error:
        raise InvalidRequest(f"Value for x-amz-mp-object-size header is invalid: '{text[:64]}'") from error
    if size < 0:
        raise InvalidRequest(f"Value for x-amz-mp-object-size header is less than zero: '{size}'")
    return size


def _expected(given: dict[str, str]) -> Checksum | None:
    """Return the checksum that the client says the object has. Raises InvalidRequest."""
    if len(given) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    for algorithm, text in given.items():
        value, dash, count = text.partition("-")
        if not checksums.valid(algorithm, value) or (dash and not _COUNT.fullmatch(count)):
            raise InvalidRequest(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
        return Checksum(algorithm, text)
    return None


@shape
class AbortMultipartUploadRequest(ObjectRequest):
    """DELETE /{Bucket}/{Key+}?uploadId"""

    upload_id: str = query("uploadId", default="")
    if_match_initiated: Instant | None = header("x-amz-if-match-initiated-time")


@operation("DELETE /{Bucket}/{Key+}?uploadId", action="s3:AbortMultipartUpload", status=204)
async def abort_multipart_upload(context: Context, request: AbortMultipartUploadRequest) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html"""
    if request.if_match_initiated is not None:
        held = await multipart.find_upload(context.store, request.bucket, request.key, request.upload_id)
        if held.record.created_ns // 10**9 != request.if_match_initiated // 10**9:
            raise PreconditionFailed(Condition="If-Match-Initiated-Time")
    await multipart.abort_upload(context.store, request.bucket, request.key, request.upload_id)
