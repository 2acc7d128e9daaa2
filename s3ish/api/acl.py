"""Access lists of buckets and objects.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.grants import (
    XML_ID,
    AccessControlPolicy,
    default_acl,
    element_of,
    given_list,
    kept,
    list_of,
    list_of_object,
)
from s3ish.api.operation import operation
from s3ish.api.replica import ReplicaMark, cause_of, make_replica
from s3ish.api.rules import ACL, ENFORCED, ownership_of, rules_of
from s3ish.api.shapes import BucketGrantHeaders, BucketRequest, DocumentDigest, GrantHeaders, ObjectRequest
from s3ish.auth.acl import AccessList
from s3ish.auth.evaluator import BucketRules, Permit
from s3ish.errors import (
    AccessControlListNotSupported,
    AccessDenied,
    InvalidArgument,
    MalformedACLError,
    MissingSecurityHeader,
    UnexpectedContent,
)
from s3ish.model import Grant, Owner, Version
from s3ish.objects import buckets, versions
from s3ish.wire.fields import body, query
from s3ish.wire.shape import shape, write_document


@shape
class GetBucketAclRequest(BucketRequest):
    """GET /{Bucket}?acl"""


@operation("GET /{Bucket}?acl", action="s3:GetBucketAcl")
async def get_bucket_acl(context: Context, request: GetBucketAclRequest) -> AccessControlPolicy:  # noqa: ARG001
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html"""
    rules = rules_of(context.target)
    return element_of(rules.acl if rules.acls_count and rules.acl else default_acl(rules.owner))


@shape
class PutBucketAclRequest(BucketRequest, BucketGrantHeaders, DocumentDigest):
    """PUT /{Bucket}?acl"""

    policy: AccessControlPolicy | None = body("AccessControlPolicy", required=False, malformed=MalformedACLError)


@operation("PUT /{Bucket}?acl", action="s3:PutBucketAcl")
async def put_bucket_acl(context: Context, request: PutBucketAclRequest) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html"""
    bucket = context.target
    acl = chosen_list(request, request.policy, bucket.owner, bucket.owner)
    check_grantees(context, acl, XML_ID if request.policy else "id")
    _check_change(request, acl, rules_of(bucket), bucket.owner)
    text = write_document(element_of(acl), "AccessControlPolicy").decode()
    await buckets.set_documents(context.store, bucket.name, {ACL: text})


@shape
class GetObjectAclRequest(ObjectRequest):
    """GET /{Bucket}/{Key+}?acl"""

    version_id: str | None = query("versionId")


@operation("GET /{Bucket}/{Key+}?acl", action="s3:GetObjectAcl", version_action="s3:GetObjectVersionAcl")
async def get_object_acl(context: Context, request: GetObjectAclRequest) -> AccessControlPolicy:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html"""
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    rules = rules_of(context.target)
    if not rules.acls_count:
        return element_of(default_acl(rules.owner))
    return element_of(list_of_object(version.owner, version.attributes.acl))


@shape
class PutObjectAclRequest(ObjectRequest, BucketGrantHeaders, DocumentDigest, ReplicaMark):
    """PUT /{Bucket}/{Key+}?acl"""

    version_id: str | None = query("versionId")
    policy: AccessControlPolicy | None = body("AccessControlPolicy", required=False, malformed=MalformedACLError)


@operation(
    "PUT /{Bucket}/{Key+}?acl", action="s3:PutObjectAcl", version_action="s3:PutObjectVersionAcl", permits=make_replica
)
async def put_object_acl(context: Context, request: PutObjectAclRequest) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html"""
    bucket = context.target
    version = await versions.get(context.store, request.bucket, request.key, request.version_id, "PUT")
    cause = cause_of(context, request)
    if request.replica is None:
        acl = chosen_list(request, request.policy, version.owner, bucket.owner)
        check_grantees(context, acl, XML_ID if request.policy else "id")
    else:
        acl = _replicated_list(request, version.owner)
    _check_change(request, acl, rules_of(bucket), version.owner)
    grants = kept(acl, version.owner)

    def change(version: Version) -> Version:
        return replace(version, attributes=replace(version.attributes, acl=grants))

    await versions.amend_version(context.store, request.bucket, request.key, request.version_id, change, cause=cause)


def _replicated_list(request: PutObjectAclRequest, owner: Owner) -> AccessList:
    """Return the list of a source for its replica, which may have another owner; it may name users of that server.

    Raises:
        MissingSecurityHeader: there is none in the body.
        MalformedACLError, InvalidArgument: it is a wrong one.
    """
    if request.policy is None:
        raise MissingSecurityHeader(MissingHeaderName="x-amz-acl")
    source = list_of(request.policy)
    if source.grants == default_acl(source.owner).grants:
        return default_acl(owner)
    return AccessList(owner, source.grants)


def chosen_list(
    request: GrantHeaders, policy: AccessControlPolicy | None, owner: Owner, bucket_owner: Owner
) -> AccessList:
    """Return the list that a request puts, which gives it in headers or in its body.

    Raises:
        UnexpectedContent: it gives both.
        MissingSecurityHeader: it gives none.
        MalformedACLError, InvalidArgument, InvalidRequest: it gives a wrong one.
    """
    given = given_list(request, owner, bucket_owner)
    if policy is None:
        if given is None:
            raise MissingSecurityHeader(MissingHeaderName="x-amz-acl")
        return given
    if given is not None:
        raise UnexpectedContent
    acl = list_of(policy)
    if acl.owner.id != owner.id:
        raise AccessDenied
    return AccessList(owner, acl.grants)


def check_grantees(context: Context, acl: AccessList, argument: str = "id") -> None:
    """Check that there is everybody whom an access list grants something. Raises InvalidArgument.

    A server that does not know who can own buckets takes any id.

    Args:
        argument: what the error calls an id.
    """
    known = {f"id={owner.id}" for owner in context.names.owners()}
    if not known:
        return
    known |= {f"id={owner.id}" for owner in (acl.owner, context.owner)}
    known |= {f"id={context.bucket.owner.id}"} if context.bucket else set()
    for grant in acl.grants:
        if grant.grantee.startswith("id=") and grant.grantee not in known:
            raise InvalidArgument("Invalid id", ArgumentName=argument, ArgumentValue=grant.grantee[3:])


def _check_change(request: GrantHeaders, acl: AccessList, rules: BucketRules, owner: Owner) -> None:
    """Check that a bucket takes a list in place of another: no canned one that names something else than the owner.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-ownership-error-responses.html

    Raises:
        AccessControlListNotSupported, AccessDenied: see ``check_list``.
    """
    if not rules.acls_count and request.acl not in (None, "bucket-owner-full-control"):
        raise AccessControlListNotSupported
    check_list(acl, rules, owner)


def check_list(acl: AccessList, rules: BucketRules, owner: Owner) -> None:
    """Check that a bucket takes an access list, for itself or for an object in it.

    Raises:
        AccessControlListNotSupported: lists have no meaning there, and this is not the one that stands for that.
        AccessDenied: the public access block refuses it.
    """
    if not rules.acls_count and acl.grants != default_acl(owner).grants:
        raise AccessControlListNotSupported
    if rules.block.block_acls and acl.is_public:
        raise AccessDenied.because("the public access block refuses public access lists")


def owner_and_acl(context: Context, request: GrantHeaders) -> tuple[Owner, tuple[Grant, ...]]:
    """Return whom a new object belongs to, and its access list as its record keeps it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html

    Raises:
        AccessControlListNotSupported, AccessDenied, InvalidArgument, InvalidRequest: it cannot have that list.
    """
    bucket = context.target
    if bucket.owner.id == context.owner.id and not has_list(request):
        return bucket.owner, ()
    rules, ownership = rules_of(bucket), ownership_of(bucket)
    gives_away = ownership == "BucketOwnerPreferred" and request.acl == "bucket-owner-full-control"
    owner = bucket.owner if ownership == ENFORCED or gives_away else context.owner
    acl = given_list(request, owner, bucket.owner)
    if acl is None:
        return owner, ()
    check_grantees(context, acl)
    check_list(acl, rules, owner)
    return owner, kept(acl, owner)


def has_list(request: GrantHeaders) -> bool:
    """Tell whether the headers of a request give an access list."""
    return (
        request.acl is not None
        or request.grant_full_control is not None
        or request.grant_read is not None
        or request.grant_read_acp is not None
        or request.grant_write_acp is not None
    )


def write_list(request: Any) -> Iterable[Permit]:
    """Return the right that a request to make an object needs beside its own if it gives an access list.

    Who makes an object for a bucket of another account has it from its own one.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-condition-keys.html
    """
    return (Permit("s3:PutObjectAcl", request.bucket, request.key, made=True),) if has_list(request) else ()
