"""Annotations of objects: put, get, list, delete.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/annotations-overview.html
"""

from typing import Any

from s3ish.api.checksum_headers import is_wanted
from s3ish.api.context import Context
from s3ish.api.encrypting import encodings_with, keys_of
from s3ish.api.lock import check_bypass, may_bypass
from s3ish.api.operation import operation
from s3ish.api.page_tokens import read_token, write_token
from s3ish.api.replica import ReplicaMark, cause_of, make_replica
from s3ish.api.shapes import DataDigest, EncryptionEcho, ObjectChecksumHeaders, ObjectRequest, quoted
from s3ish.errors import InvalidArgument, InvalidPrefix
from s3ish.model import Annotation, Version
from s3ish.objects import annotations, get, versions
from s3ish.wire.fields import element, elements, group, header, query, stream
from s3ish.wire.scalars import Count, Instant
from s3ish.wire.shape import shape

MOST_LISTED = 1000


@shape
class AnnotationRequest(ObjectRequest):
    """A request about one annotation."""

    name: str | None = query("annotationName")
    version_id: str | None = query("versionId")


@shape
class AnnotatedResponse:
    """Which version it is about."""

    version_id: str | None = header("x-amz-object-version-id")


@shape
class PutObjectAnnotationRequest(AnnotationRequest, DataDigest, ReplicaMark):
    """PUT /{Bucket}/{Key+}?annotation"""

    if_match: str | None = header("x-amz-object-if-match")
    body: Any = stream()


@shape(root="PutObjectAnnotationResult")
class PutObjectAnnotationResponse(AnnotatedResponse):
    """What was stored."""

    key: str = element("Key", default=...)
    name: str = element("AnnotationName", default=...)
    etag: str | None = header("ETag")
    checksum: ObjectChecksumHeaders | None = group()
    encryption: EncryptionEcho | None = group()


@operation(
    "PUT /{Bucket}/{Key+}?annotation",
    action="s3:PutObjectAnnotation",
    version_action="s3:PutObjectVersionAnnotation",
    permits=make_replica,
)
async def put_object_annotation(context: Context, request: PutObjectAnnotationRequest) -> PutObjectAnnotationResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAnnotation.html"""
    name = annotations.check_name(request.name)
    found = await versions.get(context.store, request.bucket, request.key, request.version_id, "PUT")
    annotations.check_annotatable(found, request.if_match)
    keys = await keys_of(context, found.attributes.encryption, found.encoding)
    version, made = await annotations.put_annotation(
        context.store,
        found,
        request.version_id,
        name,
        context.body,
        if_match=request.if_match,
        encodings=encodings_with(context.store, keys),
        cause=cause_of(context, request),
    )
    return PutObjectAnnotationResponse(
        key=request.key,
        name=name,
        version_id=_shown(context, version),
        etag=quoted(made.part.etag),
        checksum=ObjectChecksumHeaders.of(made.part.checksum),
        encryption=EncryptionEcho.of(version.attributes.encryption),
    )


@shape
class GetObjectAnnotationRequest(AnnotationRequest):
    """GET /{Bucket}/{Key+}?annotation&annotationName"""

    checksum_mode: str | None = header("x-amz-checksum-mode")


@shape
class GetObjectAnnotationResponse(AnnotatedResponse):
    """The text of an annotation."""

    last_modified: Instant | None = header("Last-Modified")
    content_length: int | None = header("Content-Length")
    etag: str | None = header("ETag")
    checksum: ObjectChecksumHeaders | None = group()
    encryption: EncryptionEcho | None = group()
    replication: str | None = header("x-amz-replication-status")
    nosniff: str = header("x-content-type-options", default="nosniff")
    content_type: str = header("Content-Type", default="binary/octet-stream")
    body: bytes | None = stream()


@operation(
    "GET /{Bucket}/{Key+}?annotation&annotationName",
    action="s3:GetObjectAnnotation",
    version_action="s3:GetObjectVersionAnnotation",
)
async def get_object_annotation(context: Context, request: GetObjectAnnotationRequest) -> GetObjectAnnotationResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAnnotation.html"""
    name, wants_checksum = annotations.check_name(request.name), is_wanted(request.checksum_mode)

    async def attempt() -> tuple[Version, Annotation, bytes]:
        version = await versions.get(context.store, request.bucket, request.key, request.version_id)
        annotation = annotations.find(version, name)
        keys = await keys_of(context, version.attributes.encryption, annotation.part.encoding)
        text = await annotations.text_of(context.store, version, annotation, encodings_with(context.store, keys))
        return version, annotation, text

    version, annotation, text = await get.decided(attempt)
    part = annotation.part
    return GetObjectAnnotationResponse(
        version_id=_shown(context, version),
        last_modified=Instant(part.modified_ns),
        content_length=part.size,
        etag=quoted(part.etag),
        checksum=ObjectChecksumHeaders.of(part.checksum) if wants_checksum else None,
        encryption=EncryptionEcho.of(version.attributes.encryption),
        replication=version.replication or None,
        body=text,
    )


@shape
class ListObjectAnnotationsRequest(ObjectRequest):
    """GET /{Bucket}/{Key+}?annotation"""

    version_id: str | None = query("versionId")
    most: Count | None = query("max-annotation-results")
    prefix: str | None = query("annotation-prefix")
    token: str | None = query("continuation-token")


@shape
class AnnotationEntry:
    """An annotation in a listing."""

    name: str = element("AnnotationName", default=...)
    last_modified: Instant = element("LastModified", default=...)
    etag: str | None = element("ETag")
    algorithms: list[str] = elements("ChecksumAlgorithm")
    size: int = element("Size", default=...)


@shape(root="ListObjectAnnotationsOutput")
class ListObjectAnnotationsResponse(AnnotatedResponse):
    """A page of annotations."""

    entries: list[AnnotationEntry] = elements("AnnotationEntry", wrapper="Annotations")
    bucket: str = element("Bucket", default=...)
    key: str = element("Key", default=...)
    prefix: str | None = element("AnnotationPrefix")
    most: int | None = element("MaxAnnotationResults")
    count: int = element("AnnotationCount", default=...)
    token: str | None = element("ContinuationToken")
    next_token: str | None = element("NextContinuationToken")


@operation(
    "GET /{Bucket}/{Key+}?annotation",
    action="s3:ListObjectAnnotations",
    version_action="s3:ListObjectVersionAnnotations",
)
async def list_object_annotations(
    context: Context, request: ListObjectAnnotationsRequest
) -> ListObjectAnnotationsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectAnnotations.html"""
    most = MOST_LISTED if request.most is None else request.most
    if not 1 <= most <= MOST_LISTED:
        raise InvalidArgument(
            f"Argument max-annotation-results must be an integer between 1 and {MOST_LISTED}",
            ArgumentName="max-annotation-results",
            ArgumentValue=most,
        )
    prefix = request.prefix or ""
    if len(prefix.encode()) > annotations.MAX_NAME_BYTES:
        raise InvalidPrefix
    place = f"{request.bucket}/{request.key}"
    after = "" if request.token is None else read_token(place, request.token)
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    found = [one for one in version.annotations if one.name.startswith(prefix) and one.name.encode() > after.encode()]
    page = found[:most]
    return ListObjectAnnotationsResponse(
        version_id=_shown(context, version),
        bucket=request.bucket,
        key=request.key,
        prefix=request.prefix,
        most=request.most,
        count=len(page),
        token=request.token,
        next_token=write_token(place, page[-1].name) if len(found) > most else None,
        entries=[_entry(one) for one in page],
    )


def _entry(annotation: Annotation) -> AnnotationEntry:
    part = annotation.part
    return AnnotationEntry(
        name=annotation.name,
        last_modified=Instant(part.modified_ns),
        etag=quoted(part.etag),
        algorithms=[part.checksum.algorithm] if part.checksum else [],
        size=part.size,
    )


@shape
class DeleteObjectAnnotationRequest(AnnotationRequest, ReplicaMark):
    """DELETE /{Bucket}/{Key+}?annotation"""

    if_match: str | None = header("x-amz-object-if-match")
    bypass_governance: bool | None = header("x-amz-bypass-governance-retention")


@operation(
    "DELETE /{Bucket}/{Key+}?annotation",
    action="s3:DeleteObjectAnnotation",
    version_action="s3:DeleteObjectVersionAnnotation",
    permits=make_replica,
    status=204,
)
async def delete_object_annotation(context: Context, request: DeleteObjectAnnotationRequest) -> AnnotatedResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectAnnotation.html"""
    name = annotations.check_name(request.name)
    check_bypass(context.target, request.bypass_governance)
    version = await annotations.delete_annotation(
        context.store,
        request.bucket,
        request.key,
        request.version_id,
        name,
        if_match=request.if_match,
        bypass=await may_bypass(context, request.bucket, request.key, request.bypass_governance),
        cause=cause_of(context, request),
    )
    return AnnotatedResponse(version_id=_shown(context, version))


def _shown(context: Context, version: Version) -> str | None:
    return version.id if context.target.versioning else None
