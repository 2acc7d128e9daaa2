"""DeleteObject and DeleteObjects.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

import asyncio
from collections.abc import Iterable

from s3ish.api.comparing import read_compared
from s3ish.api.context import Context, KeyOutcome
from s3ish.api.lock import check_bypass, may_bypass
from s3ish.api.operation import operation
from s3ish.api.replica import ReplicaHeaders, identity_of, make_marker
from s3ish.api.shapes import BucketRequest, DocumentDigest, ObjectRequest, RequesterPays
from s3ish.auth.evaluator import Permit
from s3ish.errors import InvalidArgument, MalformedXML, NoSuchVersion, S3Error, UserKeyMustBeSpecified
from s3ish.objects import delete
from s3ish.objects.arrival import take_marker
from s3ish.objects.conditions import WriteConditions
from s3ish.wire.fields import body, element, elements, header, ignored, query
from s3ish.wire.names import check_key
from s3ish.wire.scalars import Instant
from s3ish.wire.shape import shape

MAX_KEYS = 1000
_AT_ONCE = 32
"""How many keys of one request are deleted at the same time."""


@shape
class SecondFactor:
    """Proof of a second factor."""

    mfa = ignored("x-amz-mfa", because="lets those pass who must show a second factor, and no request must")


@shape
class DeleteObjectRequest(ObjectRequest, SecondFactor, ReplicaHeaders):
    """DELETE /{Bucket}/{Key+}"""

    version_id: str | None = query("versionId")
    bypass_governance: bool | None = header("x-amz-bypass-governance-retention")
    if_match: str | None = header("If-Match")
    if_match_modified: Instant | None = header("x-amz-if-match-last-modified-time")
    if_match_size: int | None = header("x-amz-if-match-size")


@shape
class DeleteObjectResponse:
    """What was deleted, where the bucket is versioned."""

    delete_marker: bool | None = header("x-amz-delete-marker")
    version_id: str | None = header("x-amz-version-id")


def _extras(request: DeleteObjectRequest) -> Iterable[Permit]:
    compared = read_compared(request.if_match, request.bucket, request.key, request.version_id)
    return (*make_marker(request), *compared)


@operation(
    "DELETE /{Bucket}/{Key+}",
    action="s3:DeleteObject",
    version_action="s3:DeleteObjectVersion",
    permits=_extras,
    status=204,
)
async def delete_object(context: Context, request: DeleteObjectRequest) -> DeleteObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html"""
    if (identity := identity_of(context, request)) and request.version_id is None:
        marker = await take_marker(context.store, request.bucket, request.key, identity, context.owner)
        return DeleteObjectResponse(delete_marker=True, version_id=marker.id)
    check_bypass(context.target, request.bypass_governance)
    bypass = await may_bypass(context, request.bucket, request.key, request.bypass_governance)
    deleted = await delete.delete_object(
        context.store,
        request.bucket,
        request.key,
        request.version_id,
        owner=context.owner,
        conditions=WriteConditions(
            if_match=request.if_match,
            if_match_size=request.if_match_size,
            if_match_modified=request.if_match_modified,
        ),
        bypass=bypass,
        cause=context.cause,
    )
    return DeleteObjectResponse(delete_marker=deleted.marker or None, version_id=deleted.version_id)


@shape
class ObjectIdentifier:
    """One key to delete."""

    key: str = element("Key", default=...)
    version_id: str | None = element("VersionId")
    etag: str | None = element("ETag")
    last_modified: Instant | None = element("LastModifiedTime")
    size: int | None = element("Size")


@shape
class Delete:
    """The body of DeleteObjects."""

    objects: list[ObjectIdentifier] = elements("Object", limit=MAX_KEYS)
    quiet: str | None = element("Quiet")


@shape
class DeleteObjectsRequest(BucketRequest, RequesterPays, SecondFactor, DocumentDigest):
    """POST /{Bucket}?delete"""

    delete: Delete = body("Delete")
    bypass_governance: bool | None = header("x-amz-bypass-governance-retention")


@shape
class DeletedElement:
    """A key that was deleted."""

    key: str = element("Key", default=...)
    version_id: str | None = element("VersionId")
    delete_marker: bool | None = element("DeleteMarker")
    delete_marker_version_id: str | None = element("DeleteMarkerVersionId")


@shape
class ErrorElement:
    """A key that was not deleted, and why."""

    key: str = element("Key", default=...)
    version_id: str | None = element("VersionId")
    code: str = element("Code", default=...)
    message: str = element("Message", default=...)


@shape(root="DeleteResult")
class DeleteObjectsResponse:
    """The outcome for every key."""

    deleted: list[DeletedElement] = elements("Deleted")
    errors: list[ErrorElement] = elements("Error")


@operation(
    "POST /{Bucket}?delete",
    action="s3:DeleteObject",
    version_action="s3:DeleteObjectVersion",
    is_of_each_key=True,
    needs_digest=True,
    body_bytes=2 * 1024 * 1024,
)
async def delete_objects(context: Context, request: DeleteObjectsRequest) -> DeleteObjectsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
    check_bypass(context.target, request.bypass_governance)
    objects = request.delete.objects
    if not objects:
        raise MalformedXML
    if not all(each.key for each in objects):
        raise UserKeyMustBeSpecified
    quiet = (request.delete.quiet or "").strip().lower() == "true"
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(wanted: ObjectIdentifier) -> DeletedElement | ErrorElement:
        async with gate:
            return await _delete_one(context, request, wanted)

    outcomes = await asyncio.gather(*(one(wanted) for wanted in objects))
    return DeleteObjectsResponse(
        deleted=[item for item in outcomes if isinstance(item, DeletedElement) and not quiet],
        errors=[item for item in outcomes if isinstance(item, ErrorElement)],
    )


async def _delete_one(
    context: Context, request: DeleteObjectsRequest, wanted: ObjectIdentifier
) -> DeletedElement | ErrorElement:
    action = "s3:DeleteObject" if wanted.version_id is None else "s3:DeleteObjectVersion"
    try:
        key = check_key(wanted.key)
        said = (("if-match", wanted.etag or ""),)
        await context.require(Permit(action, request.bucket, key, version_id=wanted.version_id, said=said))
        for permit in read_compared(wanted.etag, request.bucket, key, wanted.version_id):
            await context.require(permit)
        bypass = await may_bypass(context, request.bucket, key, request.bypass_governance, wanted.version_id)
        deleted = await delete.delete_object(
            context.store,
            request.bucket,
            key,
            wanted.version_id,
            owner=context.owner,
            conditions=WriteConditions(
                if_match=wanted.etag, if_match_size=wanted.size, if_match_modified=wanted.last_modified
            ),
            bypass=bypass,
            cause=context.cause,
        )
    except S3Error as refusal:
        malformed = isinstance(refusal, InvalidArgument) and refusal.details.get("ArgumentName") == "versionId"
        error = NoSuchVersion() if malformed else refusal  # in a batch S3 tells no id from one that cannot be
        context.each.append(KeyOutcome(wanted.key, wanted.version_id or "", error.status, error.code))
        return ErrorElement(key=wanted.key, version_id=wanted.version_id, code=error.code, message=error.message)
    context.each.append(KeyOutcome(key, deleted.version_id or ""))
    return DeletedElement(
        key=wanted.key,
        version_id=wanted.version_id,
        delete_marker=deleted.marker or None,
        delete_marker_version_id=deleted.version_id if deleted.marker else None,
    )
