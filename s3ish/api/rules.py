"""The rules of a bucket: what its documents about access say, read for the decision.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-iam.html
"""

from functools import lru_cache

from s3ish.api.grants import AccessControlPolicy, default_acl, list_of
from s3ish.api.shapes import TagElement
from s3ish.auth.evaluator import Block, BucketRules
from s3ish.auth.policy import read_policy
from s3ish.errors import InternalError, S3Error
from s3ish.model import Bucket, Owner
from s3ish.wire.fields import element, elements
from s3ish.wire.shape import read_document, shape

ENFORCED = "BucketOwnerEnforced"
REQUESTER = "Requester"
OWNERSHIPS = (ENFORCED, "BucketOwnerPreferred", "ObjectWriter")


@shape
class OwnershipRule:
    """Who owns what others put."""

    ownership: str = element("ObjectOwnership", default=..., choices=OWNERSHIPS)


@shape(root="OwnershipControls")
class OwnershipControls:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html"""

    rules: list[OwnershipRule] = elements("Rule")


@shape(root="PublicAccessBlockConfiguration")
class PublicAccessBlock:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"""

    block_acls: bool = element("BlockPublicAcls", default=False)
    ignore_acls: bool = element("IgnorePublicAcls", default=False)
    block_policy: bool = element("BlockPublicPolicy", default=False)
    restrict: bool = element("RestrictPublicBuckets", default=False)


@shape(root="RequestPaymentConfiguration")
class RequestPayment:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html"""

    payer: str = element("Payer", default=..., choices=("BucketOwner", REQUESTER))


@shape(root="Tagging")
class Tagging:
    """A set of tags, of a bucket or of an object."""

    tags: list[TagElement] | None = elements("Tag", wrapper="TagSet", optional=True)


@shape(root="AbacStatus")
class AbacStatus:
    """Whether the tags of a bucket count for access.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html
    """

    status: str | None = element("Status", choices=("Enabled", "Disabled"))


POLICY, ACL, PUBLIC_ACCESS_BLOCK, OWNERSHIP = "policy", "acl", "publicAccessBlock", "ownershipControls"
PAYMENT, TAGGING, ABAC = "requestPayment", "tagging", "abac"
"""The names of these documents in the bucket's record."""


def ownership_of(bucket: Bucket) -> str:
    """Return who owns what others put into a bucket; the bucket's owner if nothing else was said."""
    text = bucket.documents.get(OWNERSHIP)
    return _controls(text).rules[0].ownership if text else ENFORCED


@lru_cache(64)
def _controls(text: str) -> OwnershipControls:
    return read_document(OwnershipControls, text.encode())


def requester_pays(bucket: Bucket) -> bool:
    """Tell whether others than the owner of a bucket must say that they pay for what they ask of it."""
    text = bucket.documents.get(PAYMENT)
    return text is not None and _payment(text).payer == REQUESTER


@lru_cache(64)
def _payment(text: str) -> RequestPayment:
    return read_document(RequestPayment, text.encode())


def _tagging(text: str) -> Tagging:
    return read_document(Tagging, text.encode("utf-8", "surrogatepass"))


def rules_of(bucket: Bucket) -> BucketRules:
    """Return the rules of a bucket; the same documents are read once.

    Raises:
        InternalError: a document cannot be read, which only damage or a newer release can bring about: it gives nobody
            anything.
    """
    if not bucket.documents:
        return _rules(bucket.name, bucket.owner)
    text = bucket.documents.get
    return _rules(
        bucket.name,
        bucket.owner,
        text(POLICY, ""),
        text(ACL, ""),
        text(PUBLIC_ACCESS_BLOCK, ""),
        text(OWNERSHIP, ""),
        text(TAGGING, "") if text(ABAC) else "",  # kept where the status is Enabled alone
    )


@lru_cache(512)
def _rules(
    name: str, owner: Owner, policy: str = "", acl: str = "", block: str = "", ownership: str = "", tagging: str = ""
) -> BucketRules:
    try:
        blocked = read_document(PublicAccessBlock, block.encode()) if block else PublicAccessBlock()
        return BucketRules(
            owner=owner,
            policy=read_policy(policy, name) if policy else None,
            acl=list_of(read_document(AccessControlPolicy, acl.encode())) if acl else default_acl(owner),
            acls_count=bool(ownership) and _controls(ownership).rules[0].ownership != ENFORCED,
            block=Block(blocked.block_acls, blocked.ignore_acls, blocked.block_policy, blocked.restrict),
            tags=tuple((tag.key, tag.value) for tag in _tagging(tagging).tags or ()) if tagging else (),
        )
    except S3Error as error:
        raise InternalError("A rule of the bucket about access cannot be read.") from error
