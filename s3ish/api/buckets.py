"""Buckets: create, look, delete, place, versioning."""

import re
from collections.abc import Iterator

from s3ish.api.access import OWNERSHIP
from s3ish.api.acl import check_grantees
from s3ish.api.authorize import check_permit
from s3ish.api.context import Context
from s3ish.api.grants import default_acl, element_of, given_list
from s3ish.api.lock import OBJECT_LOCK, LockConfiguration, is_lockable
from s3ish.api.operation import operation
from s3ish.api.replication import REPLICATION
from s3ish.api.rules import ACL, ENFORCED, OWNERSHIPS, OwnershipControls, OwnershipRule, Tagging
from s3ish.api.shapes import BucketGrantHeaders, BucketRequest, DocumentDigest, TagElement, arn_of
from s3ish.api.tagging import BUCKET_TAGGING, check_tagging
from s3ish.auth.acl import AccessList
from s3ish.auth.condition_keys import Tags, place_said, tags_given
from s3ish.auth.evaluator import Permit
from s3ish.errors import (
    BucketAlreadyOwnedByYou,
    IllegalLocationConstraintException,
    IllegalVersioningConfigurationException,
    InvalidArgument,
    InvalidBucketAclWithObjectOwnership,
    InvalidBucketName,
    InvalidBucketState,
    InvalidLocationConstraint,
    NotImplemented,
)
from s3ish.model import ACCOUNT
from s3ish.objects import buckets
from s3ish.objects.store import Store
from s3ish.wire.fields import body, element, elements, header, label, text
from s3ish.wire.names import is_regional
from s3ish.wire.shape import shape, write_document

CLASSIC_REGION = "us-east-1"
"""The region whose location constraint is empty."""
_REGION = re.compile("[a-zA-Z0-9-]{1,64}")
_REGION_NAME = re.compile("EU|[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}")
"""What a region at AWS is called; one here may have any name."""
REGIONAL = "account-regional"
"""The namespace of an account in a region."""


@shape
class LocationElement:
    """The zone of a directory bucket."""

    type: str | None = element("Type")
    name: str | None = element("Name")


@shape
class DirectoryElement:
    """What a directory bucket would be."""

    data_redundancy: str | None = element("DataRedundancy")
    type: str | None = element("Type")


@shape
class CreateBucketConfiguration:
    """The body of CreateBucket."""

    location_constraint: str | None = element("LocationConstraint")
    location: LocationElement | None = element("Location")
    directory: DirectoryElement | None = element("Bucket")
    tags: list[TagElement] = elements("Tag", wrapper="Tags")


@shape
class CreateBucketRequest(BucketGrantHeaders):
    """PUT /{Bucket}"""

    bucket: str = label("Bucket")
    configuration: CreateBucketConfiguration | None = body("CreateBucketConfiguration", required=False)
    object_lock: bool | None = header("x-amz-bucket-object-lock-enabled")
    ownership: str | None = header("x-amz-object-ownership")
    namespace: str | None = header("x-amz-bucket-namespace", choices=("global", REGIONAL))


@shape
class CreateBucketResponse:
    """Where the new bucket is."""

    location: str | None = header("Location")
    arn: str | None = header("x-amz-bucket-arn")


def _said(request: CreateBucketRequest) -> Tags:
    """Return what conditions may ask of the body."""
    given = request.configuration or CreateBucketConfiguration()
    return place_said(given.location_constraint) + tags_given((tag.key, tag.value) for tag in given.tags)


@operation("PUT /{Bucket}", action="s3:CreateBucket", needs_bucket=False, says=_said)
async def create_bucket(context: Context, request: CreateBucketRequest) -> CreateBucketResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html"""
    _check_namespace(request, context.store.region)
    acl = given_list(request, context.owner, context.owner)
    acl = None if acl == default_acl(context.owner) else acl
    for action in _beside(request, acl):
        permit = Permit(action, request.bucket, said=_said(request))
        await check_permit(context.store, context.principal, permit, None, context.circumstances)
    documents = _documents(context, request, acl)
    region = _region_of(request.configuration, context.store)
    try:
        await buckets.create_bucket(
            context.store,
            request.bucket,
            context.owner,
            region,
            documents=documents,
            versioning="Enabled" if request.object_lock else "",
        )
    except BucketAlreadyOwnedByYou:
        if region != CLASSIC_REGION:  # there, and only there, S3 has always answered 200
            raise
    return CreateBucketResponse(location=f"/{request.bucket}")


def _beside(request: CreateBucketRequest, acl: AccessList | None) -> Iterator[str]:
    """Yield the actions that a request needs a right to beside its own, for what the new bucket is to have.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    if acl is not None:
        yield "s3:PutBucketAcl"
    if request.object_lock:
        yield from ("s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning")
    if request.ownership is not None:
        yield "s3:PutBucketOwnershipControls"
    if request.configuration and request.configuration.tags:
        yield "s3:TagResource"


def _check_namespace(request: CreateBucketRequest, region: str) -> None:
    """Check that a name is in the namespace that the request names, of its account and region.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
    """
    wanted = request.namespace == REGIONAL
    if wanted != is_regional(request.bucket) or (wanted and not request.bucket.endswith(f"-{ACCOUNT}-{region}-an")):
        raise InvalidBucketName(BucketName=request.bucket)


def _documents(context: Context, request: CreateBucketRequest, acl: AccessList | None) -> dict[str, str]:
    """Return the documents that a new bucket has: who owns its objects, its access list, its tags.

    Args:
        acl: the list; None for that which every bucket has.

    Raises:
        InvalidArgument: a header is wrong.
        InvalidTag, BadRequest: a tag is wrong.
        InvalidBucketAclWithObjectOwnership: access lists have no meaning in the bucket.
    """
    ownership = request.ownership or ENFORCED
    if ownership not in OWNERSHIPS:
        raise InvalidArgument(
            f"Invalid x-amz-object-ownership header: {ownership[:64]}", ArgumentName="x-amz-object-ownership"
        )
    documents = first_documents(ownership, lock=bool(request.object_lock))
    if acl is not None:
        check_grantees(context, acl)
        if ownership == ENFORCED:
            raise InvalidBucketAclWithObjectOwnership
        documents[ACL] = write_document(element_of(acl), "AccessControlPolicy").decode()
    if request.configuration and request.configuration.tags:
        documents |= BUCKET_TAGGING.written(check_tagging(Tagging(tags=request.configuration.tags)))
    return documents


def first_documents(ownership: str = ENFORCED, *, lock: bool = False) -> dict[str, str]:
    """Return the documents that each new bucket has: who owns its objects, and whether they may be locked."""
    controls = OwnershipControls(rules=[OwnershipRule(ownership=ownership)])
    return OWNERSHIP.written(controls) | (OBJECT_LOCK.written(LockConfiguration(enabled="Enabled")) if lock else {})


def _region_of(configuration: CreateBucketConfiguration | None, store: Store) -> str:
    """Return the region of a new bucket.

    Raises:
        InvalidLocationConstraint, IllegalLocationConstraintException: the request wants another one.
        NotImplemented: it wants a directory bucket.
    """
    region = store.region
    if configuration is None:
        return region
    if configuration.location or configuration.directory:
        raise NotImplemented("Directory buckets are not implemented.")
    wanted = configuration.location_constraint
    if wanted is None:
        return region
    if not wanted or wanted == CLASSIC_REGION:
        if wanted:
            raise InvalidLocationConstraint(LocationConstraint=wanted)
        return region
    if store.any_region and _REGION.fullmatch(wanted):
        return wanted
    if wanted not in (region, "EU" if region == "eu-west-1" else region):
        if not _REGION_NAME.fullmatch(wanted):
            raise InvalidLocationConstraint(LocationConstraint=wanted[:64])
        raise IllegalLocationConstraintException(
            f"The {wanted[:64]} location constraint is incompatible for the region specific endpoint this request "
            "was sent to."
        )
    return region


@shape
class HeadBucketRequest(BucketRequest):
    """HEAD /{Bucket}"""


@shape
class HeadBucketResponse:
    """That the bucket exists, and where."""

    region: str | None = header("x-amz-bucket-region")
    arn: str | None = header("x-amz-bucket-arn")
    alias: str | None = header("x-amz-access-point-alias")


@operation("HEAD /{Bucket}", action="s3:ListBucket")
async def head_bucket(context: Context, request: HeadBucketRequest) -> HeadBucketResponse:  # noqa: ARG001
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html"""
    bucket = context.target
    return HeadBucketResponse(region=bucket.region, arn=arn_of(bucket.name), alias="false")


@shape
class DeleteBucketRequest(BucketRequest):
    """DELETE /{Bucket}"""


@operation("DELETE /{Bucket}", action="s3:DeleteBucket", status=204)
async def delete_bucket(context: Context, request: DeleteBucketRequest) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html"""
    await buckets.delete_bucket(context.store, request.bucket)


@shape
class GetBucketLocationRequest(BucketRequest):
    """GET /{Bucket}?location"""


@shape(root="LocationConstraint")
class GetBucketLocationResponse:
    """The region, empty for the classic one."""

    location: str = text()


@operation("GET /{Bucket}?location", action="s3:GetBucketLocation")
async def get_bucket_location(
    context: Context,
    request: GetBucketLocationRequest,  # noqa: ARG001
) -> GetBucketLocationResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html"""
    region = context.target.region
    return GetBucketLocationResponse(location="" if region == CLASSIC_REGION else region)


@shape
class GetBucketVersioningRequest(BucketRequest):
    """GET /{Bucket}?versioning"""


@shape(root="VersioningConfiguration")
class GetBucketVersioningResponse:
    """The versioning state, nothing if it was never set."""

    status: str | None = element("Status")
    mfa_delete: str | None = element("MfaDelete")


@operation("GET /{Bucket}?versioning", action="s3:GetBucketVersioning")
async def get_bucket_versioning(
    context: Context,
    request: GetBucketVersioningRequest,  # noqa: ARG001
) -> GetBucketVersioningResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketVersioning.html"""
    return GetBucketVersioningResponse(status=context.target.versioning or None)


@shape
class VersioningConfiguration:
    """The body of PutBucketVersioning."""

    status: str | None = element("Status", choices=("Enabled", "Suspended"))
    mfa_delete: str | None = element("MfaDelete", choices=("Enabled", "Disabled"))


@shape
class PutBucketVersioningRequest(BucketRequest, DocumentDigest):
    """PUT /{Bucket}?versioning"""

    mfa: str | None = header("x-amz-mfa")
    configuration: VersioningConfiguration = body("VersioningConfiguration")


@operation("PUT /{Bucket}?versioning", action="s3:PutBucketVersioning")
async def put_bucket_versioning(context: Context, request: PutBucketVersioningRequest) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html"""
    configuration = request.configuration
    if configuration.status is None:
        raise IllegalVersioningConfigurationException("The Versioning element must be specified")
    if configuration.mfa_delete == "Enabled" or request.mfa:
        raise NotImplemented(Header="x-amz-mfa")
    if configuration.status == "Suspended" and is_lockable(context.target):
        raise InvalidBucketState(
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
        )
    if configuration.status == "Suspended" and REPLICATION.of(context.target):
        raise InvalidBucketState(
            "A replication configuration is present on this bucket, so the versioning state cannot be changed."
        )
    await buckets.set_versioning(context.store, request.bucket, configuration.status == "Enabled")
