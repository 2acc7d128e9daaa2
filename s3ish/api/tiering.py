"""When objects that no client reads go to an archive: documents without effect, as there is one kind of storage.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketIntelligentTieringConfiguration.html
"""

from s3ish.api.documents import Effect, numbered_document
from s3ish.api.filters import Filter, check_filter
from s3ish.errors import InvalidArgument, MalformedXML
from s3ish.model import Bucket
from s3ish.wire.fields import element, elements
from s3ish.wire.shape import shape

ARCHIVE, DEEP_ARCHIVE = "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"
_MIN_DAYS, MAX_DAYS = {ARCHIVE: 90, DEEP_ARCHIVE: 180}, 730


@shape
class Tiering:
    """After how many days without a read an object goes to a tier."""

    days: int = element("Days", default=...)
    tier: str = element("AccessTier", default=..., choices=(ARCHIVE, DEEP_ARCHIVE))


@shape(root="IntelligentTieringConfiguration")
class TieringConfiguration:
    """One rule."""

    id: str = element("Id", default=...)
    filter: Filter | None = element("Filter")
    status: str = element("Status", default=..., choices=("Enabled", "Disabled"))
    tierings: list[Tiering] = elements("Tiering", limit=len(_MIN_DAYS))


def _check(configuration: TieringConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    check_filter(configuration.filter, needs_one=True)
    days = {tiering.tier: tiering.days for tiering in configuration.tierings}
    if not days or len(days) < len(configuration.tierings):
        raise MalformedXML
    for tier, count in days.items():
        if not _MIN_DAYS[tier] <= count <= MAX_DAYS:
            raise InvalidArgument(
                f"'Days' for {tier} must be between {_MIN_DAYS[tier]} and {MAX_DAYS}",
                ArgumentName="Days",
                ArgumentValue=str(count),
            )
    if len(days) == 2 and days[ARCHIVE] >= days[DEEP_ARCHIVE]:
        raise InvalidArgument(f"'Days' for {DEEP_ARCHIVE} must be greater than 'Days' for {ARCHIVE}")


TIERING = numbered_document(
    TieringConfiguration,
    "intelligent-tiering",
    action="s3:{}IntelligentTieringConfiguration",
    effect=Effect.NONE,
    listed_root="ListBucketIntelligentTieringConfigurationsOutput",
    check=_check,
)
