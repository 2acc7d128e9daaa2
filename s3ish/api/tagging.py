"""Tags of buckets.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
"""

from s3ish.api.documents import bucket_document
from s3ish.api.object_headers import check_tags
from s3ish.api.shapes import TagElement
from s3ish.errors import NoSuchTagSet
from s3ish.model import Bucket, Tag
from s3ish.wire.fields import elements
from s3ish.wire.shape import shape

MAX_BUCKET_TAGS = 50


@shape(root="Tagging")
class Tagging:
    """A set of tags."""

    tags: list[TagElement] = elements("Tag", wrapper="TagSet")


def _check(tagging: Tagging, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    check_tags(tuple(Tag(tag.key, tag.value) for tag in tagging.tags), MAX_BUCKET_TAGS)


BUCKET_TAGGING = bucket_document(
    Tagging,
    "tagging",
    "GetBucketTagging PutBucketTagging DeleteBucketTagging",
    action="s3:{}BucketTagging",
    missing=NoSuchTagSet,
    check=_check,
    status=204,
)
