"""CopyObject, and what a copy reads.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from collections.abc import Iterable

from msgspec.structs import replace

from s3ish.api.acl import owner_and_acl
from s3ish.api.authorize import check_owner
from s3ish.api.checksum_headers import chosen_algorithm
from s3ish.api.comparing import read_compared
from s3ish.api.context import Context, SourceRead
from s3ish.api.customer_keys import CustomerKey, check_key, source_key_of
from s3ish.api.encrypting import Encryption, encodings_with, encrypted, keys_of
from s3ish.api.lifecycle import shown_expiry
from s3ish.api.lock import lock_of
from s3ish.api.object_headers import attributes_of
from s3ish.api.operation import operation
from s3ish.api.put import shown_version, write_extras
from s3ish.api.shapes import (
    AttributeHeaders,
    CopySourceHeaders,
    NewEncryptionEcho,
    ObjectChecksumElements,
    ObjectRequest,
    quoted,
)
from s3ish.auth.condition_keys import copied_tags_said
from s3ish.auth.evaluator import Permit
from s3ish.errors import InvalidArgument, InvalidBucketName, InvalidRequest, InvalidURI
from s3ish.model import Attributes, Version
from s3ish.objects import archive, copy, get, versions
from s3ish.objects.conditions import ReadConditions, WriteConditions
from s3ish.objects.encodings import customer
from s3ish.objects.encodings.chain import Links
from s3ish.wire.fields import body, element, group, header
from s3ish.wire.names import split_copy_source
from s3ish.wire.scalars import Instant
from s3ish.wire.shape import shape


@shape
class CopyObjectRequest(ObjectRequest, AttributeHeaders, CopySourceHeaders):
    """PUT /{Bucket}/{Key+} with x-amz-copy-source"""

    checksum_algorithm: str | None = header("x-amz-checksum-algorithm")
    if_match: str | None = header("If-Match")
    if_none_match: str | None = header("If-None-Match")
    metadata_directive: str = header("x-amz-metadata-directive", default="COPY")
    tagging_directive: str = header("x-amz-tagging-directive", default="COPY")
    annotation_directive: str = header("x-amz-object-annotation-directive", default="COPY", choices=("COPY", "EXCLUDE"))


@shape
class CopyObjectResult:
    """The new object."""

    last_modified: Instant | None = element("LastModified")
    etag: str | None = element("ETag")
    checksum: ObjectChecksumElements | None = group()


@shape
class CopyObjectResponse:
    """What was copied to what."""

    result: CopyObjectResult = body("CopyObjectResult")
    source_version_id: str | None = header("x-amz-copy-source-version-id")
    version_id: str | None = header("x-amz-version-id")
    expiration: str | None = header("x-amz-expiration")
    encryption: NewEncryptionEcho | None = group()


def _named_source(request: CopySourceHeaders) -> tuple[str, str, str | None]:
    """Return bucket, key and version id of what a copy reads. Raises InvalidArgument, KeyTooLongError."""
    try:
        return split_copy_source(request.copy_source)
    except (InvalidBucketName, InvalidURI) as error:
        raise InvalidArgument("Invalid copy source bucket name or key", ArgumentName="x-amz-copy-source") from error


def read_source(request: CopySourceHeaders) -> Iterable[Permit]:
    """Return the right that a copy needs beside that to write: to read its source."""
    bucket, key, version_id = _named_source(request)
    action = "s3:GetObject" if version_id is None else "s3:GetObjectVersion"
    return (Permit(action, bucket, key, version_id=version_id),)


def _rights(request: CopyObjectRequest) -> Iterable[Permit]:
    extras = write_extras(request, tagged=request.tagging_directive == "REPLACE")
    return (*read_source(request), *extras, *read_compared(request.if_match, request.bucket, request.key))


@operation("PUT /{Bucket}/{Key+}", action="s3:PutObject", header="x-amz-copy-source", permits=_rights)
async def copy_object(context: Context, request: CopyObjectRequest) -> CopyObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html"""
    context.require_signature("copy objects")
    owner, acl = owner_and_acl(context, request)
    given = attributes_of(request, acl, lock_of(context, request))
    algorithm = chosen_algorithm(request.checksum_algorithm)
    _check_directive("metadata", request.metadata_directive)
    _check_directive("tagging", request.tagging_directive)
    source_key = source_key_of(context, request)
    wanted = await encrypted(context, request, given, request.key)

    async def attempt() -> tuple[Version, str | None]:
        source, source_id = await find_source(context, request, source_key)
        if source.size > MAX_COPY_BYTES:
            raise InvalidRequest(f"{_TOO_LARGE}: {MAX_COPY_BYTES}")
        _refuse_idle_copy(request, source)
        await _require_tags(context, request, source)
        annotated = await _copies_annotations(context, request, source, under_key=bool(wanted.keys.customer))
        source_keys = await keys_of(context, source.attributes.encryption, source.encoding, source_key)
        links = _under_same_key(wanted, source, source_key)
        copied = await copy.copy_object(
            context.store,
            source,
            request.bucket,
            request.key,
            owner=owner,
            attributes=_directed(request, wanted.attributes, source.attributes),
            encoding=links,
            cause=context.cause,
            annotated=annotated,
            encodings=encodings_with(context.store, wanted.keys, source_keys),
            algorithm=algorithm,
            conditions=WriteConditions(if_match=request.if_match, if_none_match=request.if_none_match),
        )
        return copied, source_id

    version, source_id = await get.decided(attempt)
    return CopyObjectResponse(
        result=CopyObjectResult(
            last_modified=Instant(version.modified_ns),
            etag=quoted(version.etag),
            checksum=ObjectChecksumElements.of(version.checksum),
        ),
        source_version_id=source_id,
        version_id=shown_version(version),
        expiration=shown_expiry(context, version),
        encryption=NewEncryptionEcho.of(version.attributes.encryption, wanted.key_md5),
    )


def _check_directive(what: str, text: str) -> None:
    if text not in ("COPY", "REPLACE"):
        raise InvalidArgument(
            f"Unknown {what} directive.", ArgumentName=f"x-amz-{what}-directive", ArgumentValue=text[:64]
        )


async def _require_tags(context: Context, request: CopyObjectRequest, source: Version) -> None:
    """Check that the caller may copy the tags of a source, where it copies some. Raises AccessDenied."""
    if not source.attributes.tags or request.tagging_directive == "REPLACE":
        return
    bucket, key, version_id = _named_source(request)
    action = "s3:GetObjectTagging" if version_id is None else "s3:GetObjectVersionTagging"
    await context.require(Permit(action, bucket, key, version_id=version_id))
    said = copied_tags_said((tag.key, tag.value) for tag in source.attributes.tags)
    for write in ("s3:PutObjectTagging", "s3:PutObject"):  # either may be denied for a tag
        await context.require(Permit(write, request.bucket, request.key, said=said))


async def _copies_annotations(
    context: Context, request: CopyObjectRequest, source: Version, *, under_key: bool
) -> bool:
    """Tell whether the annotations of a source are copied.

    Args:
        under_key: whether the copy is encrypted under a key of the client's.

    Raises:
        AccessDenied: the caller may not read them, or write those of the copy.
        InvalidRequest: the copy cannot have any.
    """
    if not source.annotations or request.annotation_directive == "EXCLUDE":
        return False
    if under_key:
        raise InvalidRequest("Objects encrypted with SSE-C cannot have annotations.")
    bucket, key, version_id = _named_source(request)
    action = "s3:GetObjectAnnotation" if version_id is None else "s3:GetObjectVersionAnnotation"
    await context.require(Permit(action, bucket, key, version_id=version_id))
    await context.require(Permit("s3:PutObjectAnnotation", request.bucket, request.key))
    return True


MAX_COPY_BYTES = 5 * 1024**3
"""The largest object that one CopyObject copies; larger ones go part by part."""
_TOO_LARGE = "The specified copy source is larger than the maximum allowable size for a copy source"


async def find_source(
    context: Context, request: CopySourceHeaders, key: CustomerKey | None
) -> tuple[Version, str | None]:
    """Return the version that a copy reads, and its id where its bucket is versioned.

    Args:
        key: what the request brings to read it by.

    Raises:
        AccessDenied, NoSuchBucket, NoSuchKey, NoSuchVersion: it cannot be read by the caller.
        InvalidArgument, KeyTooLongError: it is not the name of an object.
        InvalidRequest: it is a delete marker, or needs a key that did not come, or none where one came.
        InvalidObjectState: it is in an archive class and not restored.
        PreconditionFailed: a condition on the source does not hold.
    """
    bucket, name, version_id = _named_source(request)
    held = await context.store.bucket(bucket)
    check_owner(held.record, request.expected_source_bucket_owner, context.principal)
    if version_id is not None:
        found = await versions.find(context.store, bucket, name, version_id)
        if found and found.record.marker:
            raise InvalidRequest(
                "The source of a copy request may not specifically refer to a delete marker by version id."
            )
    version = await versions.get(context.store, bucket, name, version_id)
    check_key(version, key)
    now_ns = context.store.clock.service_ns()
    ReadConditions(
        if_match=request.copy_source_if_match,
        if_none_match=request.copy_source_if_none_match,
        if_modified_since=request.copy_source_if_modified_since,
        if_unmodified_since=request.copy_source_if_unmodified_since,
    ).check(version, now_ns, copy=True)
    archive.check_readable(version, now_ns, copy=True)
    source_id = version.id if held.record.versioning else None
    context.each[:] = [SourceRead(held.record, name, source_id or "", version.size)]
    return version, source_id


def _refuse_idle_copy(request: CopyObjectRequest, source: Version) -> None:
    """A copy onto itself must change something. Raises InvalidRequest."""
    onto_itself = (source.bucket, source.key) == (request.bucket, request.key)
    by_version = "?versionId=" in request.copy_source
    changes = (
        request.metadata_directive == "REPLACE"
        or request.tagging_directive == "REPLACE"
        or request.storage_class not in (None, source.attributes.storage_class)
        or request.website_redirect
        or request.server_side_encryption
        or request.bucket_key_enabled is not None
        or request.customer_algorithm
        or request.source_customer_algorithm  # the copy has another key then, or none
        or request.checksum_algorithm
    )
    if onto_itself and not by_version and not changes:
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


def _under_same_key(wanted: Encryption, source: Version, source_key: CustomerKey | None) -> Links | None:
    """Return the links of a copy: those of its source where both have one key, so that no byte need be moved."""
    same = source_key and wanted.key_md5 == source_key.md5
    link = customer.link_in(source.encoding) if same else None
    return (link,) if link else wanted.links


def _directed(request: CopyObjectRequest, given: Attributes, source: Attributes) -> Attributes:
    """Combine what the request gives with what the source has, as the directives say; S3 ignores the rest."""
    replaced = request.metadata_directive == "REPLACE"
    return replace(
        given,
        headers=given.headers if replaced else source.headers,
        metadata=given.metadata if replaced else source.metadata,
        tags=given.tags if request.tagging_directive == "REPLACE" else source.tags,
    )
