"""Where decisions become refusals: the rights of a request, asked of ``auth.authorize``."""

from s3ish.auth.authorize import Circumstances, Denied, Permit, decide
from s3ish.auth.principals import Principal
from s3ish.errors import AccessDenied
from s3ish.model import Bucket


def check_permit(principal: Principal, permit: Permit, bucket: Bucket | None, circumstances: Circumstances) -> None:
    """Check that a caller has a right. Raises AccessDenied, whose ``reason`` names the rule that decided."""
    decision = decide(principal, permit, bucket, circumstances)
    if isinstance(decision, Denied):
        refusal = AccessDenied()
        refusal.reason = decision.by
        raise refusal


def check_owner(bucket: Bucket | None, expected: str | None) -> None:
    """Check that a bucket belongs to whom the caller expects. Raises AccessDenied.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    if bucket is not None and expected is not None and expected != bucket.owner.id:
        refusal = AccessDenied()
        refusal.reason = f"the bucket belongs to {bucket.owner.id}, not to the owner that the request expects"
        raise refusal
