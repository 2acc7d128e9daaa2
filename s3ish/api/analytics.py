"""Analyses of storage classes: documents of which nothing comes on one machine.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAnalyticsConfiguration.html
"""

from s3ish.api.destinations import check_destination
from s3ish.api.documents import Effect, numbered_document
from s3ish.api.filters import Filter, check_filter
from s3ish.model import Bucket
from s3ish.wire.fields import element
from s3ish.wire.shape import shape


@shape
class ExportBucket:
    """The bucket and the form of an export."""

    format: str = element("Format", default=..., choices=("CSV",))
    account: str | None = element("BucketAccountId")
    bucket: str = element("Bucket", default=...)
    prefix: str | None = element("Prefix")


@shape
class ExportDestination:
    """Where an analysis goes."""

    bucket: ExportBucket = element("S3BucketDestination", default=...)


@shape
class DataExport:
    """How an analysis is written."""

    version: str = element("OutputSchemaVersion", default=..., choices=("V_1",))
    destination: ExportDestination = element("Destination", default=...)


@shape
class Analysis:
    """What is analysed."""

    export: DataExport | None = element("DataExport")


@shape(root="AnalyticsConfiguration")
class AnalyticsConfiguration:
    """One analysis."""

    id: str = element("Id", default=...)
    filter: Filter | None = element("Filter")
    analysis: Analysis = element("StorageClassAnalysis", default=...)


def _check(configuration: AnalyticsConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    check_filter(configuration.filter, needs_one=True)
    if configuration.analysis.export:
        destination = configuration.analysis.export.destination.bucket
        check_destination(destination.bucket, destination.prefix)


ANALYTICS = numbered_document(
    AnalyticsConfiguration,
    "analytics",
    action="s3:{}AnalyticsConfiguration",
    effect=Effect.NONE,
    listed_root="ListBucketAnalyticsConfigurationResult",
    check=_check,
)
