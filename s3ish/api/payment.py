"""Who pays for requests: a document of which nothing comes on one machine.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html
"""

from s3ish.api.documents import Effect, bucket_document
from s3ish.wire.fields import element
from s3ish.wire.shape import shape

OWNER, REQUESTER = "BucketOwner", "Requester"


@shape(root="RequestPaymentConfiguration")
class RequestPayment:
    """Who pays."""

    payer: str = element("Payer", default=..., choices=(OWNER, REQUESTER))


REQUEST_PAYMENT = bucket_document(
    RequestPayment,
    "requestPayment",
    "GetBucketRequestPayment PutBucketRequestPayment",
    action="s3:{}BucketRequestPayment",
    effect=Effect.NONE,
    missing=lambda _: RequestPayment(payer=OWNER),
)
