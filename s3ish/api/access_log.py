"""Where the requests on a bucket are logged: the document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLogging.html
"""

from typing import Any

from s3ish.api.context import Context
from s3ish.api.documents import Effect, bucket_document
from s3ish.api.grants import (
    MAX_GRANTS,
    AccessControlPolicy,
    GranteeElement,
    GrantElement,
    default_acl,
    kept,
    list_of,
)
from s3ish.api.lock import OBJECT_LOCK
from s3ish.api.rules import ENFORCED, ownership_of, requester_pays
from s3ish.api.shapes import OwnerElement
from s3ish.auth.acl import AccessList
from s3ish.auth.evaluator import Permit
from s3ish.errors import InvalidArgument, InvalidTargetBucketForLogging, MalformedXML
from s3ish.model import Bucket, Grant, Owner
from s3ish.wire.fields import element, elements
from s3ish.wire.shape import shape

MAX_PREFIX = 800
"""In UTF-8; the time and the number of a log object have room in a key behind it."""


@shape
class LogGrant:
    """To whom log objects are given."""

    grantee: GranteeElement = element("Grantee", default=...)
    permission: str = element("Permission", default=..., choices=("FULL_CONTROL", "READ", "WRITE"))


@shape
class SimplePrefix:
    """Keys of the prefix and the time of delivery."""


@shape
class PartitionedPrefix:
    """Keys of folders by owner, region, bucket and day."""

    date_source: str | None = element("PartitionDateSource", choices=("EventTime", "DeliveryTime"))


@shape
class KeyFormat:
    """What the keys of log objects look like."""

    simple: SimplePrefix | None = element("SimplePrefix")
    partitioned: PartitionedPrefix | None = element("PartitionedPrefix")


@shape
class LoggingEnabled:
    """Where log objects go."""

    target: str = element("TargetBucket", default=...)
    grants: list[LogGrant] | None = elements("Grant", wrapper="TargetGrants", limit=MAX_GRANTS, optional=True)
    prefix: str = element("TargetPrefix", default=...)
    key_format: KeyFormat | None = element("TargetObjectKeyFormat")


@shape(root="BucketLoggingStatus")
class LoggingStatus:
    """Where requests are logged; nothing if they are not."""

    enabled: LoggingEnabled | None = element("LoggingEnabled")


def _check(status: LoggingStatus, bucket: Bucket) -> None:
    enabled = status.enabled
    if enabled is None:
        return
    form = enabled.key_format
    if form and (form.simple is None) == (form.partitioned is None):
        raise MalformedXML
    if len(enabled.prefix.encode()) > MAX_PREFIX:
        raise InvalidArgument(
            f"The TargetPrefix must not be longer than {MAX_PREFIX} bytes", ArgumentName="TargetPrefix"
        )
    if enabled.grants:
        _list_of(enabled.grants, bucket.owner)


def grants_of(enabled: LoggingEnabled, target: Bucket) -> tuple[Grant, ...]:
    """Return the access list of log objects as the records of objects keep it."""
    if not enabled.grants or ownership_of(target) == ENFORCED:
        return ()
    return kept(_list_of(enabled.grants, target.owner), target.owner)


def _list_of(grants: list[LogGrant], owner: Owner) -> AccessList:
    """Return the access list that grants make, beside the rights of the owner. Raises what is wrong with a grantee."""
    given = [GrantElement(grantee=grant.grantee, permission=grant.permission) for grant in grants]
    found = list_of(AccessControlPolicy(owner=OwnerElement(id=owner.id), grants=given))
    return AccessList(owner, default_acl(owner).grants + found.grants)


async def _admit(context: Context, request: Any) -> None:
    """Check the bucket that takes the log. Raises InvalidTargetBucketForLogging."""
    enabled = request.document.enabled
    if enabled is None:
        return
    held = await context.store.find_bucket(enabled.target)
    if held is None:
        raise InvalidTargetBucketForLogging("The target bucket for logging does not exist", TargetBucket=enabled.target)
    target, lock = held.record, OBJECT_LOCK.of(held.record)
    if target.owner.id != context.target.owner.id:
        wrong = "The owner for the bucket to be logged and the target bucket must be the same."
    elif target.region != context.target.region:
        wrong = "The target bucket for logging must be in the region of the bucket to be logged."
    elif requester_pays(target):
        wrong = "The target bucket for logging must not have Requester Pays enabled."
    elif lock and lock.rule:
        wrong = "The target bucket for logging must not have a default retention of Object Lock."
    elif enabled.grants and ownership_of(target) == ENFORCED:
        wrong = "The target bucket for logging has access control lists disabled, so that no TargetGrants can be given."
    else:
        await context.require(Permit("s3:PutObject", target.name, enabled.prefix, below=True))
        return
    raise InvalidTargetBucketForLogging(wrong, TargetBucket=enabled.target)


LOGGING = bucket_document(
    LoggingStatus,
    "logging",
    "GetBucketLogging PutBucketLogging",
    action="s3:{}BucketLogging",
    effect=Effect.ACTED_UPON,
    missing=lambda _: LoggingStatus(),
    check=_check,
    admit=_admit,
)
