"""Who may: the documents of a bucket that say it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-iam.html
"""

from s3ish.api import rules
from s3ish.api.context import Context
from s3ish.api.documents import DocumentHeaders, Effect, bucket_document
from s3ish.api.operation import operation
from s3ish.api.rules import OwnershipControls, PublicAccessBlock, rules_of
from s3ish.api.shapes import BucketRequest
from s3ish.auth.lasting import with_principals
from s3ish.auth.policy import read_policy
from s3ish.auth.policy_fit import check_fit
from s3ish.errors import (
    AccessDenied,
    InvalidBucketAclWithObjectOwnership,
    MalformedXML,
    NoSuchBucketPolicy,
    NoSuchPublicAccessBlockConfiguration,
    OwnershipControlsNotFoundError,
)
from s3ish.model import Bucket
from s3ish.wire.fields import element, ignored
from s3ish.wire.shape import shape


def _check_ownership(controls: OwnershipControls, bucket: Bucket) -> None:
    if len(controls.rules) != 1:
        raise MalformedXML
    acl = rules_of(bucket).acl
    if controls.rules[0].ownership == rules.ENFORCED and acl and not acl.is_of_owner:
        raise InvalidBucketAclWithObjectOwnership


OWNERSHIP = bucket_document(
    OwnershipControls,
    rules.OWNERSHIP,
    "GetBucketOwnershipControls PutBucketOwnershipControls DeleteBucketOwnershipControls",
    action="s3:{}BucketOwnershipControls",
    effect=Effect.ACTED_UPON,
    missing=OwnershipControlsNotFoundError,
    check=_check_ownership,
)


PUBLIC_ACCESS_BLOCK = bucket_document(
    PublicAccessBlock,
    rules.PUBLIC_ACCESS_BLOCK,
    "GetPublicAccessBlock PutPublicAccessBlock DeletePublicAccessBlock",
    action="s3:{}BucketPublicAccessBlock",
    effect=Effect.ACTED_UPON,
    missing=NoSuchPublicAccessBlockConfiguration,
)


def _check_policy(text: str, bucket: Bucket) -> None:
    policy = read_policy(text, bucket.name)
    check_fit(text)
    if rules_of(bucket).block.block_policy and policy.is_public:
        raise AccessDenied.because("the public access block refuses public policies")


def _by_id(context: Context, text: str) -> str:
    return with_principals(text, context.names.id_of)


def _by_name(context: Context, text: str | None) -> str | None:
    return text and with_principals(text, context.names.arn_of)


@shape
class PolicyHeaders(DocumentHeaders):
    """What a request carries that puts a policy."""

    confirm_remove_self = ignored(
        "x-amz-confirm-remove-self-bucket-access",
        because="the owner of a bucket keeps the right to its policy, so that no policy locks all out",
    )


BUCKET_POLICY = bucket_document(
    str,
    rules.POLICY,
    "GetBucketPolicy PutBucketPolicy DeleteBucketPolicy",
    action="s3:{}BucketPolicy",
    delete_action="s3:DeleteBucketPolicy",
    of_owner_alone=True,
    effect=Effect.ACTED_UPON,
    missing=NoSuchBucketPolicy,
    check=_check_policy,
    stored=_by_id,
    shown=_by_name,
    headers=PolicyHeaders,
    status=204,
)


@shape
class GetBucketPolicyStatusRequest(BucketRequest):
    """GET /{Bucket}?policyStatus"""


@shape(root="PolicyStatus")
class GetBucketPolicyStatusResponse:
    """Whether the policy gives rights to everybody."""

    is_public: bool = element("IsPublic", default=...)


@operation("GET /{Bucket}?policyStatus", action="s3:GetBucketPolicyStatus")
async def get_bucket_policy_status(
    context: Context,
    request: GetBucketPolicyStatusRequest,  # noqa: ARG001 - the form of every handler
) -> GetBucketPolicyStatusResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html"""
    policy = rules_of(context.target).policy
    if policy is None:
        raise NoSuchBucketPolicy(BucketName=context.target.name)
    return GetBucketPolicyStatusResponse(is_public=policy.is_public)
