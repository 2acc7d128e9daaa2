"""GetObject and HeadObject.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
"""

from typing import Any

from s3ish.api.context import Context
from s3ish.api.object_headers import refuse_customer_key
from s3ish.api.operation import operation
from s3ish.api.shapes import (
    CHECKSUM_TYPES,
    ChecksumHeaders,
    CustomerKeyHeaders,
    EncryptionEcho,
    ObjectRequest,
    checksum_fields,
    encryption_fields,
    quoted,
)
from s3ish.errors import NotModified, PreconditionFailed
from s3ish.model import Version
from s3ish.objects import get, versions
from s3ish.objects.conditions import ReadConditions
from s3ish.objects.multipart import check_number
from s3ish.wire.fields import header, headers, query, status, stream
from s3ish.wire.headers import check_value, write_metadata
from s3ish.wire.scalars import Instant, read_http_date, write_http_date
from s3ish.wire.shape import shape

_FIELDS = {
    name: name.replace("-", "_")
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    )
}
"""The headers that are stored with an object, and the fields that give them back."""
_OVERRIDES = {f"response_{field}": name for name, field in _FIELDS.items()}
"""The fields with which a request wants others instead."""
_CONDITIONS = frozenset(("if_match", "if_none_match", "if_modified_since", "if_unmodified_since"))


@shape
class GetObjectRequest(ObjectRequest, CustomerKeyHeaders):
    """GET or HEAD /{Bucket}/{Key+}"""

    if_match: str | None = header("If-Match")
    if_modified_since: str | None = header("If-Modified-Since")
    if_none_match: str | None = header("If-None-Match")
    if_unmodified_since: str | None = header("If-Unmodified-Since")
    range: str | None = header("Range")
    response_cache_control: str | None = query("response-cache-control")
    response_content_disposition: str | None = query("response-content-disposition")
    response_content_encoding: str | None = query("response-content-encoding")
    response_content_language: str | None = query("response-content-language")
    response_content_type: str | None = query("response-content-type")
    response_expires: str | None = query("response-expires")
    version_id: str | None = query("versionId")
    part_number: int | None = query("partNumber")
    checksum_mode: str | None = header("x-amz-checksum-mode", choices=("ENABLED", "enabled"))  # small: C++ SDK


@shape
class HeadObjectRequest(GetObjectRequest):
    """HEAD /{Bucket}/{Key+}"""


@shape
class HeadObjectResponse(ChecksumHeaders, EncryptionEcho):
    """Everything about an object but its bytes."""

    code: int = status()
    accept_ranges: str = header("accept-ranges", default="bytes")
    last_modified: Instant | None = header("Last-Modified")
    content_length: int | None = header("Content-Length")
    etag: str | None = header("ETag")
    checksum_type: str | None = header("x-amz-checksum-type", choices=CHECKSUM_TYPES)
    version_id: str | None = header("x-amz-version-id")
    cache_control: str | None = header("Cache-Control")
    content_disposition: str | None = header("Content-Disposition")
    content_encoding: str | None = header("Content-Encoding")
    content_language: str | None = header("Content-Language")
    content_range: str | None = header("Content-Range")
    content_type: str | None = header("Content-Type")
    expires: str | None = header("Expires")
    website_redirect: str | None = header("x-amz-website-redirect-location")
    metadata: dict[str, str] = headers("x-amz-meta-")
    storage_class: str | None = header("x-amz-storage-class")
    parts_count: int | None = header("x-amz-mp-parts-count")
    tag_count: int | None = header("x-amz-tagging-count")
    nosniff: str = header("x-content-type-options", default="nosniff")


@shape
class GetObjectResponse(HeadObjectResponse):
    """An object."""

    body: get.Flow | bytes | None = stream()


@operation("GET /{Bucket}/{Key+}", action="s3:GetObject", version_action="s3:GetObjectVersion")
async def get_object(context: Context, request: GetObjectRequest) -> GetObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""

    async def attempt() -> GetObjectResponse:
        version, span = await _look(context, request)
        described = _describe(context, request, version, span)  # before files are open: it may refuse the request
        return GetObjectResponse(body=await get.open_span(context.store, version, span.start, span.stop), **described)

    return await get.decided(attempt)


@operation("HEAD /{Bucket}/{Key+}", action="s3:GetObject", version_action="s3:GetObjectVersion")
async def head_object(context: Context, request: HeadObjectRequest) -> HeadObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"""
    version, span = await _look(context, request)
    return HeadObjectResponse(**_describe(context, request, version, span))


async def _look(context: Context, request: GetObjectRequest) -> tuple[Version, get.Span]:
    """Find the version, check the conditions and choose the bytes."""
    refuse_customer_key(request)
    if request.part_number is not None:
        check_number(request.part_number)
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    if not _CONDITIONS.isdisjoint(vars(request)):
        _check_conditions(request, version, context.store.clock.service_ns())
    return version, get.select(version, request.range, request.part_number)


def _check_conditions(request: GetObjectRequest, version: Version, now_ns: int) -> None:
    conditions = ReadConditions(
        if_match=request.if_match,
        if_none_match=request.if_none_match,
        if_modified_since=_moment(request.if_modified_since),
        if_unmodified_since=_moment(request.if_unmodified_since),
    )
    try:
        conditions.check(version, now_ns)
    except (NotModified, PreconditionFailed) as refusal:
        refusal.headers |= {"etag": quoted(version.etag), "last-modified": write_http_date(version.modified_ns)}
        raise


def _moment(text: str | None) -> int | None:
    """Read a condition's date; one that cannot be read is ignored, as RFC 9110 says."""
    try:
        return read_http_date(text) if text else None
    except ValueError:
        return None


def _describe(context: Context, request: GetObjectRequest, version: Version, span: get.Span) -> dict[str, Any]:
    """Return the fields of a response."""
    attributes = version.attributes
    described: dict[str, Any] = {
        "code": 206 if span.partial else 200,
        "last_modified": version.modified_ns,
        "content_length": span.length,
        "content_range": span.content_range,
        "etag": quoted(version.etag),
        "version_id": version.id if context.target.versioning else None,
        "storage_class": None if attributes.storage_class == "STANDARD" else attributes.storage_class,
        "website_redirect": attributes.website_redirect or None,
        "tag_count": len(attributes.tags) or None,
        "parts_count": len(version.parts) if request.part_number and version.parts else None,
    }
    for name, value in attributes.headers.items():
        described[_FIELDS[name]] = value
    if not _OVERRIDES.keys().isdisjoint(vars(request)):
        described |= _overrides(request)
    if attributes.metadata:
        described["metadata"] = {name: write_metadata(value) for name, value in attributes.metadata.items()}
    if attributes.encryption:
        described |= encryption_fields(attributes.encryption)
    if request.checksum_mode and (checksum := get.checksum_of(version, span, request.part_number)):
        described |= checksum_fields(checksum)
        described["checksum_type"] = checksum.kind
    return described


def _overrides(request: GetObjectRequest) -> dict[str, str]:
    """Return the fields that the request wants with other values. Raises InvalidArgument."""
    chosen = {}
    for override, name in _OVERRIDES.items():
        value = getattr(request, override)
        if value:
            chosen[_FIELDS[name]] = check_value(f"response-{name}", value)
    return chosen
