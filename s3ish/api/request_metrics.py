"""Metrics of requests on a part of a bucket: documents of which nothing comes, as ``/metrics`` has its own.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketMetricsConfiguration.html
"""

import re

from s3ish.api.documents import Effect, numbered_document
from s3ish.api.filters import AllOf, Filter, check_filter
from s3ish.errors import InvalidArgument
from s3ish.model import Bucket
from s3ish.wire.fields import element
from s3ish.wire.shape import shape

_ACCESS_POINT = re.compile(r"arn:[a-z-]{1,32}:s3:[a-z0-9-]{1,32}:[0-9]{12}:accesspoint[/:][a-z0-9-]{3,50}")


@shape
class AllOfMetrics(AllOf):
    """Conditions that must all hold."""

    access_point: str | None = element("AccessPointArn")


@shape
class MetricsFilter(Filter):
    """Which requests count."""

    access_point: str | None = element("AccessPointArn")
    all_of: AllOfMetrics | None = element("And")


@shape(root="MetricsConfiguration")
class MetricsConfiguration:
    """One set of metrics."""

    id: str = element("Id", default=...)
    filter: MetricsFilter | None = element("Filter")


def _check(metrics: MetricsConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    check_filter(metrics.filter, needs_one=True)
    if metrics.filter is None:
        return
    given = metrics.filter.all_of.access_point if metrics.filter.all_of else metrics.filter.access_point
    if given is not None and not _ACCESS_POINT.fullmatch(given):
        raise InvalidArgument("Invalid access point ARN.", ArgumentName="AccessPointArn", ArgumentValue=given[:256])


METRICS = numbered_document(
    MetricsConfiguration,
    "metrics",
    action="s3:{}MetricsConfiguration",
    effect=Effect.NONE,
    listed_root="ListMetricsConfigurationsResult",
    check=_check,
    status=204,
)
