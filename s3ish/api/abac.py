"""Access by the tags of a bucket: whether they count is a document of its own.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAbac.html
"""

from s3ish.api import rules
from s3ish.api.documents import Effect, bucket_document
from s3ish.api.rules import AbacStatus
from s3ish.errors import MalformedXML
from s3ish.model import Bucket


def _check(abac: AbacStatus, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    if abac.status is None:
        raise MalformedXML


ABAC = bucket_document(
    AbacStatus,
    rules.ABAC,
    "GetBucketAbac PutBucketAbac",
    action="s3:{}BucketAbac",
    effect=Effect.ACTED_UPON,
    missing=lambda _: AbacStatus(status="Disabled"),
    check=_check,
)
