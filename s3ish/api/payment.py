"""Who pays for requests: the document. Where requesters do, they must say that they know (``authorize.check_payer``).

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketRequestPayment.html
"""

from s3ish.api.documents import Effect, bucket_document
from s3ish.api.rules import PAYMENT, RequestPayment

REQUEST_PAYMENT = bucket_document(
    RequestPayment,
    PAYMENT,
    "GetBucketRequestPayment PutBucketRequestPayment",
    action="s3:{}BucketRequestPayment",
    effect=Effect.ACTED_UPON,
    missing=lambda _: RequestPayment(payer="BucketOwner"),
)
