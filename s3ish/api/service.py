"""The service itself: the list of buckets."""

from s3ish.api.context import Context
from s3ish.api.operation import operation
from s3ish.api.page_tokens import read_token, write_token
from s3ish.api.shapes import OwnerElement, arn_of, owner_element
from s3ish.errors import InvalidArgument
from s3ish.objects import buckets
from s3ish.wire.fields import Rows, element, query, rows
from s3ish.wire.scalars import Count, Instant
from s3ish.wire.shape import shape

MAX_BUCKETS = 10_000


@shape
class BucketElement:
    """A bucket in the list."""

    name: str = element("Name", default=...)
    creation_date: Instant = element("CreationDate", default=...)
    region: str | None = element("BucketRegion")
    arn: str | None = element("BucketArn")


@shape
class ListBucketsRequest:
    """GET /"""

    max_buckets: Count | None = query("max-buckets")
    continuation_token: str | None = query("continuation-token")
    prefix: str | None = query("prefix")
    bucket_region: str | None = query("bucket-region")


@shape(root="ListAllMyBucketsResult")
class ListBucketsResponse:
    """The buckets of the caller."""

    owner: OwnerElement = element("Owner", default=...)
    buckets: Rows[BucketElement] = rows("Bucket", wrapper="Buckets")
    continuation_token: str | None = element("ContinuationToken")
    prefix: str | None = element("Prefix")


@operation("GET /", action="s3:ListAllMyBuckets")
async def list_buckets(context: Context, request: ListBucketsRequest) -> ListBucketsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html"""
    limit = MAX_BUCKETS if request.max_buckets is None else request.max_buckets
    if not 1 <= limit <= MAX_BUCKETS:
        raise InvalidArgument(
            f"Argument max-buckets must be an integer between 1 and {MAX_BUCKETS}",
            ArgumentName="max-buckets",
            ArgumentValue=limit,
        )
    after = read_token("buckets", request.continuation_token) if request.continuation_token else ""
    found, more = await buckets.list_buckets(context.store, context.owner, request.prefix or "", after, limit)
    asked = request.bucket_region
    paged = request.max_buckets is not None or request.prefix is not None or request.continuation_token is not None
    told = paged or bool(asked)
    return ListBucketsResponse(
        owner=owner_element(context.owner),
        buckets=[
            (bucket.name, bucket.created_ns, bucket.region if told else None, arn_of(bucket.name))
            for bucket in found
            if asked in (None, bucket.region)
        ],
        continuation_token=write_token("buckets", found[-1].name) if more and found else None,
        prefix=request.prefix,
    )
