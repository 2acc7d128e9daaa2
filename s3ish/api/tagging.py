"""Tags of buckets and objects.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.documents import Effect, bucket_document
from s3ish.api.operation import operation
from s3ish.api.replica import ReplicaMark, cause_of, tag_replica
from s3ish.api.rules import TAGGING, Tagging
from s3ish.api.shapes import BucketRequest, DocumentDigest, RequesterPays, TagElement
from s3ish.api.tag_rules import MAX_TAGS, check_tags
from s3ish.auth.condition_keys import tags_said
from s3ish.errors import MalformedXML, NoSuchTagSet
from s3ish.model import Bucket, Tag, Version
from s3ish.objects import versions
from s3ish.objects.consequences import Cause
from s3ish.wire.fields import body, header, label, query
from s3ish.wire.shape import shape

MAX_BUCKET_TAGS = 50


def _tags_of(tagging: Tagging) -> tuple[Tag, ...]:
    """Return the tags of a document. Raises MalformedXML: it has no set of them, which is no empty one."""
    if tagging.tags is None:
        raise MalformedXML
    return tuple(Tag(tag.key, tag.value) for tag in tagging.tags)


def check_tagging(tagging: Tagging) -> Tagging:
    """Return tags that a bucket may have. Raises InvalidTag, BadRequest, MalformedXML."""
    check_tags(_tags_of(tagging), MAX_BUCKET_TAGS, of_bucket=True)
    return tagging


def _check(tagging: Tagging, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    check_tagging(tagging)


BUCKET_TAGGING = bucket_document(
    Tagging,
    TAGGING,
    "GetBucketTagging PutBucketTagging DeleteBucketTagging",
    action="s3:{}BucketTagging",
    effect=Effect.ACTED_UPON,
    missing=NoSuchTagSet,
    check=_check,
    status=204,
    needs_digest=True,
)


@shape
class ObjectTaggingRequest(BucketRequest):
    """A request about the tags of a version."""

    key: str = label("Key")
    version_id: str | None = query("versionId")


@shape
class GetObjectTaggingRequest(ObjectTaggingRequest, RequesterPays):
    """GET /{Bucket}/{Key+}?tagging"""


@shape
class PutObjectTaggingRequest(ObjectTaggingRequest, RequesterPays, DocumentDigest, ReplicaMark):
    """PUT /{Bucket}/{Key+}?tagging"""

    tagging: Tagging = body("Tagging")


@shape
class TaggedResponse:
    """Which version was changed."""

    version_id: str | None = header("x-amz-version-id")


@shape(root="Tagging")
class GetObjectTaggingResponse(Tagging, TaggedResponse):
    """The tags of a version."""


@operation("GET /{Bucket}/{Key+}?tagging", action="s3:GetObjectTagging", version_action="s3:GetObjectVersionTagging")
async def get_object_tagging(context: Context, request: GetObjectTaggingRequest) -> GetObjectTaggingResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html"""
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    return GetObjectTaggingResponse(
        tags=[TagElement(key=tag.key, value=tag.value) for tag in version.attributes.tags],
        version_id=_shown(context, version),
    )


def _given(request: PutObjectTaggingRequest) -> tuple[Tag, ...]:
    return check_tags(_tags_of(request.tagging), MAX_TAGS)


@operation(
    "PUT /{Bucket}/{Key+}?tagging",
    action="s3:PutObjectTagging",
    version_action="s3:PutObjectVersionTagging",
    permits=tag_replica,
    says=lambda request: tags_said((tag.key, tag.value) for tag in _given(request)),
)
async def put_object_tagging(context: Context, request: PutObjectTaggingRequest) -> TaggedResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html"""
    return await _tag(context, request, _given(request), "PUT", cause_of(context, request))


@operation(
    "DELETE /{Bucket}/{Key+}?tagging",
    action="s3:DeleteObjectTagging",
    version_action="s3:DeleteObjectVersionTagging",
    status=204,
)
async def delete_object_tagging(context: Context, request: ObjectTaggingRequest) -> TaggedResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html"""
    return await _tag(context, request, (), "DELETE", context.cause)


async def _tag(
    context: Context, request: ObjectTaggingRequest, tags: tuple[Tag, ...], method: str, cause: Cause
) -> TaggedResponse:
    def change(version: Version) -> Version:
        return replace(version, attributes=replace(version.attributes, tags=tags))

    version = await versions.amend_version(
        context.store, request.bucket, request.key, request.version_id, change, method=method, cause=cause
    )
    return TaggedResponse(version_id=_shown(context, version))


def _shown(context: Context, version: Version) -> str | None:
    return version.id if context.target.versioning else None
