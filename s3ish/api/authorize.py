"""Whether a caller may do what it asks.

Until policies and access lists are built the rule is S3's own default: a bucket belongs to whom created it, and nobody
else has a right to it. The root user may do everything. Anonymous callers may do nothing.
"""

from s3ish.api.operation import Operation
from s3ish.auth.credentials import User
from s3ish.errors import AccessDenied
from s3ish.model import Bucket


def authorize(user: User | None, operation: Operation, bucket: Bucket | None, expected_owner: str | None) -> User:
    """Return the caller if it may run the operation on the bucket.

    Args:
        expected_owner: the ``x-amz-expected-bucket-owner`` header.

    Raises:
        AccessDenied: it may not, or the bucket is not its who the caller thinks.
    """
    if user is None:
        raise AccessDenied
    if bucket is not None and operation.needs_bucket:
        _check(user, bucket, expected_owner)
    return user


def check_source(user: User, bucket: Bucket, expected_owner: str | None) -> None:
    """Check that a caller may read a copy's source. Raises AccessDenied."""
    _check(user, bucket, expected_owner)


def _check(user: User, bucket: Bucket, expected_owner: str | None) -> None:
    if expected_owner is not None and expected_owner != bucket.owner.id:
        raise AccessDenied
    if not user.root and bucket.owner.id != user.owner.id:
        raise AccessDenied
