"""GetObject and HeadObject.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
"""

from typing import Self, TypeVar

from s3ish.api.checksum_headers import is_wanted
from s3ish.api.context import Context
from s3ish.api.customer_keys import CustomerKey, check_key, customer_key_of
from s3ish.api.encrypting import encodings_with, keys_of, needs_keys
from s3ish.api.lifecycle import shown_expiry
from s3ish.api.lock import LockEcho, shown_lock
from s3ish.api.operation import operation
from s3ish.api.restore import shown_restore
from s3ish.api.shapes import (
    CustomerKeyHeaders,
    KeptHeaders,
    ObjectChecksumHeaders,
    ObjectEncryptionEcho,
    ObjectRequest,
    quoted,
)
from s3ish.auth.evaluator import Permit
from s3ish.errors import InvalidRequest, NotModified, PreconditionFailed
from s3ish.model import Version
from s3ish.objects import archive, get, versions
from s3ish.objects.conditions import ReadConditions
from s3ish.objects.multipart import check_number
from s3ish.wire.fields import group, header, headers, query, status, stream
from s3ish.wire.headers import check_value, write_metadata
from s3ish.wire.scalars import Instant, read_http_date, write_http_date
from s3ish.wire.shape import shape

Answer = TypeVar("Answer", bound="HeadObjectResponse")
_FEW_METADATA = 16
"""Versions with no more metadata keep their headers: a name and a value of two bytes take more than a hundred there."""
_SECOND = 1_000_000_000
_FRESHNESS = ("cache-control", "expires")
"""The kept headers that tell a cache for how long its copy may be used."""


@shape
class ConditionHeaders:
    """Under which conditions an object is wanted."""

    if_match: str | None = header("If-Match")
    if_modified_since: str | None = header("If-Modified-Since")
    if_none_match: str | None = header("If-None-Match")
    if_unmodified_since: str | None = header("If-Unmodified-Since")


@shape
class Overrides:
    """Headers that a client wants in the answer instead of those that are kept."""

    cache_control: str | None = query("response-cache-control")
    content_disposition: str | None = query("response-content-disposition")
    content_encoding: str | None = query("response-content-encoding")
    content_language: str | None = query("response-content-language")
    content_type: str | None = query("response-content-type")
    expires: str | None = query("response-expires")

    def by_name(self) -> dict[str, str]:
        """Return those that say something, by lower-case name. Raises InvalidArgument."""
        given = ((field.replace("_", "-"), value) for field, value in vars(self).items() if value)
        return {name: check_value(f"response-{name}", value) for name, value in given}


@shape
class GetObjectRequest(ObjectRequest, CustomerKeyHeaders):
    """GET or HEAD /{Bucket}/{Key+}"""

    conditions: ConditionHeaders | None = group()
    range: str | None = header("Range")
    if_range: str | None = header("If-Range")
    overrides: Overrides | None = group()
    version_id: str | None = query("versionId")
    part_number: int | None = query("partNumber")
    checksum_mode: str | None = header("x-amz-checksum-mode")


@shape
class HeadObjectRequest(GetObjectRequest):
    """HEAD /{Bucket}/{Key+}"""


@shape
class VersionHeaders:
    """What the record of a version says, whoever asks and whenever."""

    accept_ranges: str = header("accept-ranges", default="bytes")
    last_modified: Instant | None = header("Last-Modified")
    etag: str | None = header("ETag")
    encryption: ObjectEncryptionEcho | None = group()
    replication: str | None = header("x-amz-replication-status")
    kept: KeptHeaders | None = group()
    website_redirect: str | None = header("x-amz-website-redirect-location")
    metadata: dict[str, str] = headers("x-amz-meta-")
    storage_class: str | None = header("x-amz-storage-class")
    nosniff: str = header("x-content-type-options", default="nosniff")

    @classmethod
    def of(cls, version: Version, kept: dict[str, str], key_md5: str = "") -> Self:
        """Return what a version says, with the headers ``kept`` and of the client's key."""
        attributes = version.attributes
        return cls(
            last_modified=Instant(version.modified_ns),
            etag=quoted(version.etag),
            encryption=ObjectEncryptionEcho.of(attributes.encryption, key_md5),
            replication=version.replication or None,
            kept=KeptHeaders.of(kept),
            website_redirect=attributes.website_redirect or None,
            metadata={name: write_metadata(value) for name, value in attributes.metadata.items()},
            storage_class=None if attributes.storage_class == "STANDARD" else attributes.storage_class,
        )


@shape
class HeadObjectResponse:
    """Everything about an object but its bytes."""

    code: int = status()
    version: VersionHeaders | None = group(once=True)
    content_length: int | None = header("Content-Length")
    checksum: ObjectChecksumHeaders | None = group()
    version_id: str | None = header("x-amz-version-id")
    expiration: str | None = header("x-amz-expiration")
    restore: str | None = header("x-amz-restore")
    content_range: str | None = header("Content-Range")
    parts_count: int | None = header("x-amz-mp-parts-count")
    tag_count: int | None = header("x-amz-tagging-count")
    lock: LockEcho | None = group()


@shape
class GetObjectResponse(HeadObjectResponse):
    """An object."""

    body: get.Flow | bytes | None = stream()


@operation("GET /{Bucket}/{Key+}", action="s3:GetObject", version_action="s3:GetObjectVersion")
async def get_object(context: Context, request: GetObjectRequest) -> GetObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""

    key = customer_key_of(context, request)

    async def attempt() -> GetObjectResponse:
        version, span = await _look(context, request, key)
        if archive.is_archived(version):
            archive.check_readable(version, context.store.clock.service_ns())
        answer = _describe(GetObjectResponse, context, request, version, span, key)  # before files are open: may refuse
        if version.attributes.lock or version.attributes.tags:
            await _hide(context, request, version, answer)
        encodings = None
        if key or needs_keys(version.attributes.encryption):
            keys = await keys_of(context, version.attributes.encryption, version.encoding, key)
            encodings = encodings_with(context.store, keys)
        answer.body = await get.open_span(context.store, version, span.start, span.stop, encodings)
        return answer

    return await get.decided(attempt)


@operation("HEAD /{Bucket}/{Key+}", action="s3:GetObject", version_action="s3:GetObjectVersion")
async def head_object(context: Context, request: HeadObjectRequest) -> HeadObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"""
    key = customer_key_of(context, request)
    version, span = await _look(context, request, key)
    answer = _describe(HeadObjectResponse, context, request, version, span, key)
    if version.attributes.lock or version.attributes.tags:
        await _hide(context, request, version, answer)
    return answer


async def _hide(context: Context, request: GetObjectRequest, version: Version, answer: HeadObjectResponse) -> None:
    """Say of lock and tags only what the caller may see."""
    if version.attributes.lock:
        answer.lock = await shown_lock(context, version)
    if version.attributes.tags:
        action = "s3:GetObjectTagging" if request.version_id is None else "s3:GetObjectVersionTagging"
        permit = Permit(action, request.bucket, request.key, version_id=request.version_id)
        if not await context.may(permit):
            answer.tag_count = None


async def _look(context: Context, request: GetObjectRequest, key: CustomerKey | None) -> tuple[Version, get.Span]:
    """Find the version, check key and conditions, and choose the bytes."""
    if context.principal.is_anonymous and request.overrides and request.overrides.by_name():
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
    is_wanted(request.checksum_mode)
    if request.part_number is not None:
        if request.range is not None:
            raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
        check_number(request.part_number)
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    check_key(version, key)
    if request.conditions:
        _check_conditions(request, version, context.store.clock.service_ns())
    wanted = request.range if request.if_range is None or _is_same(request.if_range, version) else None
    return version, get.select(version, wanted, request.part_number)


def _is_same(validator: str, version: Version) -> bool:
    """Whether If-Range means this very version: else a client has bytes of another one, and needs all of this.

    https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
    """
    if validator.strip('"') == version.etag:
        return True
    return _moment(validator) == version.modified_ns // _SECOND * _SECOND


def _check_conditions(request: GetObjectRequest, version: Version, now_ns: int) -> None:
    """Raises PreconditionFailed, and NotModified with what the copy of a cache goes on with.

    https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
    """
    given = request.conditions or ConditionHeaders()
    conditions = ReadConditions(
        if_match=given.if_match,
        if_none_match=given.if_none_match,
        if_modified_since=_moment(given.if_modified_since),
        if_unmodified_since=_moment(given.if_unmodified_since),
    )
    try:
        conditions.check(version, now_ns)
    except (NotModified, PreconditionFailed) as refusal:
        refusal.headers |= {"etag": quoted(version.etag), "last-modified": write_http_date(version.modified_ns)}
        if isinstance(refusal, NotModified):
            kept = _kept_headers(request, version)
            refusal.headers |= {name: kept[name] for name in _FRESHNESS if name in kept}
        raise


def _kept_headers(request: GetObjectRequest, version: Version) -> dict[str, str]:
    """Return the headers that are kept with a version, as the request wants them. Raises InvalidArgument."""
    kept = version.attributes.headers
    return kept | request.overrides.by_name() if request.overrides else kept


def _moment(text: str | None) -> int | None:
    """Read a condition's date; one that cannot be read is ignored, as RFC 9110 says."""
    try:
        return read_http_date(text) if text else None
    except ValueError:
        return None


def _describe(
    kind: type[Answer],
    context: Context,
    request: GetObjectRequest,
    version: Version,
    span: get.Span,
    key: CustomerKey | None,
) -> Answer:
    """Return the answer but for its body. Raises InvalidArgument."""
    checksum = get.checksum_of(version, span, request.part_number) if is_wanted(request.checksum_mode) else None
    return kind(
        code=206 if span.partial else 200,
        version=_said_of(version, request, key),
        content_length=span.length,
        content_range=span.content_range,
        checksum=ObjectChecksumHeaders.of(checksum),
        version_id=version.id if context.target.versioning else None,
        expiration=shown_expiry(context, version) if request.version_id is None else None,
        restore=shown_restore(version, context.store.clock.service_ns()) if version.restore else None,
        tag_count=len(version.attributes.tags) or None,
        parts_count=len(version.sent_parts) if request.part_number and version.sent_parts else None,
    )


def _said_of(version: Version, request: GetObjectRequest, key: CustomerKey | None) -> VersionHeaders:
    """Return what a version says. It stays with the record, unless the request changes some of it."""
    if key or request.overrides or len(version.attributes.metadata) > _FEW_METADATA:
        return VersionHeaders.of(version, _kept_headers(request, version), key.md5 if key else "")
    said: VersionHeaders | None = version.derived.get("headers")
    if said is None:
        said = version.derived["headers"] = VersionHeaders.of(version, version.attributes.headers)
    return said
