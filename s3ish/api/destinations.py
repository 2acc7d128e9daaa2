"""Buckets that a configuration document names as the place where something goes."""

import re

from s3ish.api.filters import check_prefix
from s3ish.errors import InvalidS3DestinationBucket

_BUCKET = re.compile(r"arn:[a-z-]{1,32}:s3:::(?P<name>[A-Za-z0-9._-]{3,255})")


def bucket_named(arn: str) -> str:
    """Return the name of the bucket that an ARN means. Raises InvalidS3DestinationBucket."""
    found = _BUCKET.fullmatch(arn)
    if not found:
        raise InvalidS3DestinationBucket
    return found["name"]


def check_destination(arn: str, prefix: str | None) -> None:
    """Check where reports go. Raises InvalidS3DestinationBucket, InvalidArgument."""
    bucket_named(arn)
    check_prefix(prefix or "")
