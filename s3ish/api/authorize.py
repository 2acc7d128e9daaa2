"""Where decisions become refusals: the rights of a request, asked of ``auth.evaluator``."""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from s3ish.api.grants import list_of_object
from s3ish.api.rules import REQUESTER, requester_pays, rules_of
from s3ish.auth.acl import PERMISSION_OF
from s3ish.auth.condition_keys import Circumstances, encryption_said
from s3ish.auth.evaluator import Allowed, BucketRules, Decision, Denied, Permit, decide
from s3ish.auth.principals import Principal
from s3ish.errors import AccessDenied, InvalidBucketOwnerAWSAccountID, NoSuchKey, NoSuchUpload, S3Error
from s3ish.model import ACCOUNT, Bucket
from s3ish.objects import multipart, versions
from s3ish.objects.encodings import customer
from s3ish.objects.store import Store

PAYER = "x-amz-request-payer"
"""The header by which a request says that its sender pays for it."""
_OF_INITIATOR = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
"""What who began an upload may do with it in a bucket of another account."""
_ACCOUNT_ID = re.compile("[0-9]{12}")


async def check_permit(
    store: Store, principal: Principal, permit: Permit, bucket: Bucket | None, circumstances: Circumstances
) -> str:
    """Check that a caller has a right, and return which rule gives it.

    Raises:
        AccessDenied: its ``reason`` names the rule that decided.
        NoSuchKey: there is no object whose access list could give the right, as the caller may know who may list.
    """
    decision, missing = await _weigh(store, principal, permit, bucket, circumstances)
    if isinstance(decision, Denied):
        if missing and not decision.explicit and bucket and _may_list(principal, bucket, circumstances):
            raise missing
        raise AccessDenied.because(decision.by)
    return decision.by


async def check_permit_of_upload(
    store: Store, principal: Principal, permit: Permit, bucket: Bucket | None, circumstances: Circumstances
) -> str:
    """Check that a caller has a right on an upload in parts; see ``check_permit``.

    The request that begins an upload says how it is encrypted. S3 takes no word of that with a part, and a policy that
    demands it means all that belongs to the upload. What an account has begun it may look at and end.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
    """
    try:
        return await check_permit(store, principal, permit, bucket, circumstances)
    except AccessDenied as refusal:
        try:
            upload_id = circumstances.query.get("uploadId", "")
            upload = (await multipart.find_upload(store, permit.bucket, permit.key, upload_id)).record
        except NoSuchUpload:
            raise refusal from None
        has, under_key = upload.attributes.encryption, customer.link_in(upload.encoding) is not None
        said = encryption_said(has.get("type"), has.get("key"), under_key=under_key)
        own = upload.initiator.id == principal.owner.id and permit.action in _OF_INITIATOR
    return await check_permit(store, principal, replace(permit, said=said, made=own), bucket, circumstances)


async def decision_on(
    store: Store, principal: Principal, permit: Permit, bucket: Bucket | None, circumstances: Circumstances
) -> Decision:
    """Return whether a caller has a right; the object is looked at only where a rule asks something of it."""
    return (await _weigh(store, principal, permit, bucket, circumstances))[0]


async def _weigh(
    store: Store, principal: Principal, permit: Permit, bucket: Bucket | None, circumstances: Circumstances
) -> tuple[Decision, NoSuchKey | None]:
    """Return whether a caller has a right, and the error of an object that is not there to be asked for its list."""
    rules = None if bucket is None else rules_of(bucket)
    if rules is None or not permit.key or permit.below or not _asks_object(principal, rules, permit):
        return decide(principal, permit, rules, circumstances), None
    version_id = permit.version_id or circumstances.query.get("versionId")
    counts = rules.acls_count and not permit.made
    try:
        version = await versions.get(store, permit.bucket, permit.key, version_id)
    except S3Error as error:  # there is none: the handler says so, to those who may know
        missing = error if isinstance(error, NoSuchKey) and counts and _asked_of(permit)[0] else None
        return decide(principal, permit, rules, circumstances), missing
    tags = tuple((tag.key, tag.value) for tag in version.attributes.tags)
    acl = list_of_object(version.owner, version.attributes.acl) if counts else None
    return decide(principal, permit, rules, replace(circumstances, existing_tags=tags), acl), None


def _may_list(principal: Principal, bucket: Bucket, circumstances: Circumstances) -> bool:
    """Tell whether a caller without policies of its own, whom lists give rights, may list a bucket."""
    listing = Permit("s3:ListBucket", bucket.name)
    return not principal.is_of_account and isinstance(
        decide(principal, listing, rules_of(bucket), circumstances), Allowed
    )


def _asked_of(permit: Permit) -> tuple[bool, str]:
    """Return what access lists are asked for a right; see ``PERMISSION_OF``."""
    return PERMISSION_OF.get(permit.action.partition(":")[2].lower(), (False, ""))


def _asks_object(principal: Principal, rules: BucketRules, permit: Permit) -> bool:
    if rules.acls_count and not permit.made:
        of_object, permission = _asked_of(permit)
        is_of_owner = principal.is_root or principal.owner.id == rules.owner.id
        if of_object or (permission == "WRITE" and not is_of_owner):
            return True
    for policy in (rules.policy, principal.boundary, principal.session, *(principal.policies or ())):
        if policy is not None and policy.asks_tags:
            return True
    return False


def check_owner(bucket: Bucket | None, expected: str | None, caller: Principal) -> None:
    """Check that a bucket belongs to whom the caller expects: an owner's id, or the caller's own account.

    GetCallerIdentity tells every caller the same account, so its number means the caller's own.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html

    Raises:
        AccessDenied: it belongs to another owner.
        InvalidBucketOwnerAWSAccountID: it does, and what is expected is no number of an account.
    """
    if bucket is None or expected is None:
        return
    if bucket.owner.id != (caller.owner.id if expected == ACCOUNT else expected):
        if not _ACCOUNT_ID.fullmatch(expected):
            raise InvalidBucketOwnerAWSAccountID(f"{InvalidBucketOwnerAWSAccountID.text} [{expected[:64]}]")
        raise AccessDenied.because(
            f"the bucket belongs to {bucket.owner.id}, not to the owner that the request expects"
        )


def check_payer(bucket: Bucket, caller: Principal, headers: Mapping[str, str]) -> bool:
    """Return whether the caller pays for a request, and says so.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html

    Raises:
        AccessDenied: the caller must pay, and is anonymous or does not say that it will.
    """
    if not requester_pays(bucket) or caller.is_root:
        return False
    if not caller.is_anonymous and caller.owner.id == bucket.owner.id:
        return False
    if caller.is_anonymous or headers.get(PAYER, "").lower() != REQUESTER.lower():
        raise AccessDenied.because("requesters pay for the bucket, and the request does not say that its sender will")
    return True
