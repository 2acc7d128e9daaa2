"""Access by the tags of a bucket: a document of which nothing comes, as no policy asks for them.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAbac.html
"""

from s3ish.api.documents import Effect, bucket_document
from s3ish.errors import MalformedXML
from s3ish.model import Bucket
from s3ish.wire.fields import element
from s3ish.wire.shape import shape


@shape(root="AbacStatus")
class AbacStatus:
    """Whether the tags of the bucket count."""

    status: str | None = element("Status", choices=("Enabled", "Disabled"))


def _check(abac: AbacStatus, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    if abac.status is None:
        raise MalformedXML


ABAC = bucket_document(
    AbacStatus,
    "abac",
    "GetBucketAbac PutBucketAbac",
    action="s3:{}BucketAbac",
    effect=Effect.NONE,
    missing=lambda _: AbacStatus(status="Disabled"),
    check=_check,
)
