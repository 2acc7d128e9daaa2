"""Pages of listings: what all of them ask, and what all of them answer.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html
"""

from typing import Any, Self

from s3ish.api.shapes import BucketRequest, CommonPrefix, RequesterPays
from s3ish.errors import InvalidArgument
from s3ish.objects.listing import Page, Query
from s3ish.wire.fields import Rows, element, query, rows
from s3ish.wire.shape import shape

MAX_RESULTS = 1000
_LARGEST = 2**31 - 1


def query_number(asked: int | None, name: str) -> int | None:
    """Return a number of a listing's query. Raises InvalidArgument."""
    if asked is not None and not 0 <= asked <= _LARGEST:
        raise InvalidArgument(
            f"Argument {name} must be an integer between 0 and {_LARGEST}", ArgumentName=name, ArgumentValue=asked
        )
    return asked


def page_limit(asked: int | None, name: str) -> int:
    """Return how many results a page may have. Raises InvalidArgument."""
    limit = query_number(asked, name)
    return MAX_RESULTS if limit is None else min(limit, MAX_RESULTS)


@shape
class PageRequest(BucketRequest, RequesterPays):
    """What a listing in the order of keys takes."""

    delimiter: str | None = query("delimiter")
    encoding_type: str | None = query("encoding-type", choices=("url",))
    prefix: str | None = query("prefix")

    def wanted(self, limit: int) -> Query:
        """Return what it asks for, at most ``limit`` results."""
        return Query(self.bucket, self.prefix or "", self.delimiter or "", limit)


@shape
class PageElements:
    """What a page in the order of keys answers beside its items."""

    prefix: str = element("Prefix", default="", url=True)
    delimiter: str | None = element("Delimiter", url=True)
    is_truncated: bool = element("IsTruncated", default=False)
    encoding_type: str | None = element("EncodingType")
    common_prefixes: Rows[CommonPrefix] = rows("CommonPrefixes")

    @classmethod
    def of(cls, request: PageRequest, page: Page[Any]) -> Self:
        """Return what is said of a page."""
        return cls(
            prefix=request.prefix or "",
            delimiter=request.delimiter or None,
            is_truncated=page.truncated,
            encoding_type=request.encoding_type,
            common_prefixes=[(prefix,) for prefix in page.prefixes],
        )
