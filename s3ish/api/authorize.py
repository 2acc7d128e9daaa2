"""Where decisions become refusals: the rights of a request, asked of ``auth.authorize``."""

from msgspec.structs import replace

from s3ish.api.grants import list_of_object
from s3ish.api.rules import rules_of
from s3ish.auth.acl import PERMISSION_OF
from s3ish.auth.authorize import BucketRules, Decision, Denied, Permit, decide
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.principals import Principal
from s3ish.errors import AccessDenied, S3Error
from s3ish.model import ACCOUNT, Bucket, Version
from s3ish.objects import versions
from s3ish.objects.store import Store


async def check_permit(
    store: Store, principal: Principal, permit: Permit, bucket: Bucket | None, circumstances: Circumstances
) -> str:
    """Check that a caller has a right, and return which rule gives it.

    Raises:
        AccessDenied: its ``reason`` names the rule that decided.
    """
    decision = await decision_on(store, principal, permit, bucket, circumstances)
    if isinstance(decision, Denied):
        raise AccessDenied.because(decision.by)
    return decision.by


async def decision_on(
    store: Store, principal: Principal, permit: Permit, bucket: Bucket | None, circumstances: Circumstances
) -> Decision:
    """Return whether a caller has a right; the object is looked at only where a rule asks something of it."""
    rules = None if bucket is None else rules_of(bucket)
    if rules is None or not permit.key or permit.below or not _asks_object(rules, permit):
        return decide(principal, permit, rules, circumstances)
    version = await _object(store, permit, circumstances)
    if version is None:
        return decide(principal, permit, rules, circumstances)
    tags = tuple((tag.key, tag.value) for tag in version.attributes.tags)
    acl = list_of_object(version.owner, version.attributes.acl) if rules.acls_count else None
    return decide(principal, permit, rules, replace(circumstances, existing_tags=tags), acl)


def _asks_object(rules: BucketRules, permit: Permit) -> bool:
    of_object, _ = PERMISSION_OF.get(permit.action.partition(":")[2].lower(), (False, ""))
    return (rules.acls_count and of_object) or (rules.policy is not None and rules.policy.asks_tags)


async def _object(store: Store, permit: Permit, circumstances: Circumstances) -> Version | None:
    """Return the version that a request is about, or None."""
    try:
        return await versions.get(store, permit.bucket, permit.key, circumstances.query.get("versionId"))
    except S3Error:  # there is none: the handler says so, to those who may know
        return None


def check_owner(bucket: Bucket | None, expected: str | None, caller: Principal) -> None:
    """Check that a bucket belongs to whom the caller expects: an owner's id, or the caller's own account.

    Raises AccessDenied. GetCallerIdentity tells every caller the same account, so its number means the caller's own.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    if bucket is None or expected is None:
        return
    if bucket.owner.id != (caller.owner.id if expected == ACCOUNT else expected):
        raise AccessDenied.because(
            f"the bucket belongs to {bucket.owner.id}, not to the owner that the request expects"
        )
