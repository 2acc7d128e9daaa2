"""RestoreObject, and what answers say of a restore.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
"""

from s3ish.api.context import Context
from s3ish.api.operation import operation
from s3ish.api.shapes import DocumentDigest, ObjectRequest
from s3ish.errors import MalformedXML, NotImplemented
from s3ish.model import Restore, Version
from s3ish.objects import archive
from s3ish.wire.fields import body, element, query, status
from s3ish.wire.scalars import Instant, write_http_date
from s3ish.wire.shape import shape

TIERS = ("Standard", "Bulk", "Expedited")


@shape
class RetrievalParameters:
    """How soon it is wanted."""

    tier: str = element("Tier", default=..., choices=TIERS)


@shape
class Elsewhere:
    """Where and how the answer of a query is to be stored: that is refused, whatever it says."""


@shape
class RestoreRequest:
    """For how long, and how soon."""

    days: int | None = element("Days")
    parameters: RetrievalParameters | None = element("GlacierJobParameters")
    kind: str | None = element("Type", choices=("SELECT",))
    tier: str | None = element("Tier", choices=TIERS)
    description: str | None = element("Description")
    select: Elsewhere | None = element("SelectParameters")
    output: Elsewhere | None = element("OutputLocation")


@shape
class RestoreObjectRequest(ObjectRequest, DocumentDigest):
    """POST /{Bucket}/{Key+}?restore"""

    version_id: str | None = query("versionId")
    restore: RestoreRequest = body("RestoreRequest")


@shape
class RestoreObjectResponse:
    """Whether a restore has begun, or lasts longer now."""

    code: int = status(202)


@operation("POST /{Bucket}/{Key+}?restore", action="s3:RestoreObject")
async def restore_object(context: Context, request: RestoreObjectRequest) -> RestoreObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html"""
    wanted = request.restore
    if wanted.kind or wanted.select or wanted.output:
        raise NotImplemented("A restore that runs a query is not built.", Element="Type")
    if wanted.days is None or (wanted.tier and wanted.parameters):
        raise MalformedXML
    tier = wanted.parameters.tier if wanted.parameters else wanted.tier
    again = await archive.restore_object(
        context.store,
        request.bucket,
        request.key,
        request.version_id,
        wanted.days,
        expedited=tier == "Expedited",
        cause=context.cause,
    )
    return RestoreObjectResponse(code=200 if again else 202)


def shown_restore(version: Version, now_ns: int) -> str | None:
    """Return what ``x-amz-restore`` says of a version; ``now_ns`` is service time."""
    restore = archive.restore_of(version, now_ns)
    if restore is None:
        return None
    if now_ns < restore.ready_ns:
        return 'ongoing-request="true"'
    return f'ongoing-request="false", expiry-date="{write_http_date(restore.until_ns)}"'


@shape
class RestoreStatus:
    """The restore of an object in a listing."""

    ongoing: bool = element("IsRestoreInProgress", default=...)
    until: Instant | None = element("RestoreExpiryDate")

    @classmethod
    def of(cls, restore: Restore | None, now_ns: int) -> "RestoreStatus | None":
        """Return what a restore, or none, is now."""
        if restore is None:
            return None
        ongoing = now_ns < restore.ready_ns
        return cls(ongoing=ongoing, until=None if ongoing else Instant(restore.until_ns))
