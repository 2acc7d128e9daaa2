"""Transfer acceleration: a document of which nothing comes on one machine.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAccelerateConfiguration.html
"""

from s3ish.api.documents import Effect, bucket_document
from s3ish.api.shapes import BucketRequest, RequesterPays
from s3ish.errors import InvalidRequest, MalformedXML
from s3ish.model import Bucket
from s3ish.wire.fields import element
from s3ish.wire.shape import shape


@shape
class AccelerateHeaders(BucketRequest, RequesterPays):
    """What the request carries that reads the document."""


@shape(root="AccelerateConfiguration")
class AccelerateConfiguration:
    """Whether transfers are accelerated; nothing if that was never said."""

    status: str | None = element("Status", choices=("Enabled", "Suspended"))


def _check(configuration: AccelerateConfiguration, bucket: Bucket) -> None:
    if configuration.status is None:
        raise MalformedXML
    if "." in bucket.name:
        raise InvalidRequest("S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")


ACCELERATE = bucket_document(
    AccelerateConfiguration,
    "accelerate",
    "GetBucketAccelerateConfiguration PutBucketAccelerateConfiguration",
    action="s3:{}AccelerateConfiguration",
    effect=Effect.NONE,
    missing=lambda _: AccelerateConfiguration(),
    check=_check,
    read_headers=AccelerateHeaders,
)
