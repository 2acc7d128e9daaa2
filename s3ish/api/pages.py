"""Pages of listings: what all of them ask, and what all of them answer.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html
"""

from typing import Any, Self

from s3ish.api.shapes import BucketRequest, RequesterPays
from s3ish.errors import InvalidArgument
from s3ish.objects.listing import Page, Query
from s3ish.wire.fields import element, query
from s3ish.wire.scalars import Count
from s3ish.wire.shape import shape

MAX_RESULTS = 1000
_LARGEST = 2**31 - 1


def checked_count(asked: Count | None, name: str, default: int) -> int:
    """Return a number of a listing's query. Raises InvalidArgument."""
    if asked is None:
        return default
    if asked < 0:
        raise InvalidArgument(
            f"Argument {name} must be an integer between 0 and {_LARGEST}", ArgumentName=name, ArgumentValue=asked
        )
    return asked


@shape
class PageRequest(BucketRequest, RequesterPays):
    """What a listing in the order of keys takes."""

    delimiter: str | None = query("delimiter")
    encoding_type: str | None = query("encoding-type")
    prefix: str | None = query("prefix")

    def check_encoding(self) -> None:
        """Raises InvalidArgument unless keys are to come back plain, or percent-encoded."""
        asked = self.encoding_type
        if asked is not None and asked.lower() != "url":
            raise InvalidArgument(
                "Invalid Encoding Method specified in Request",
                ArgumentName="encoding-type",
                ArgumentValue=asked[:256],
            )

    def wanted(self, limit: int) -> Query:
        """Return what it asks for: at most ``limit`` results, and never more than a thousand."""
        return Query(self.bucket, self.prefix or "", self.delimiter or "", min(limit, MAX_RESULTS))


@shape
class PageElements:
    """What a page in the order of keys answers before its items."""

    delimiter: str | None = element("Delimiter", url=True)
    encoding_type: str | None = element("EncodingType")
    is_truncated: bool = element("IsTruncated", default=False)

    @classmethod
    def of(cls, request: PageRequest, page: Page[Any]) -> Self:
        """Return what is said of a page."""
        return cls(
            delimiter=request.delimiter or None, encoding_type=request.encoding_type, is_truncated=page.truncated
        )


def common_prefixes(page: Page[Any]) -> list[tuple[str]]:
    """Return the keys of a page that are rolled up, as rows of ``CommonPrefix``."""
    return [(prefix,) for prefix in page.prefixes]
