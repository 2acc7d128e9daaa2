"""GetObjectAttributes: what an object is, without its bytes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
"""

from collections.abc import Iterable

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.customer_keys import check_key, customer_key_of
from s3ish.api.operation import operation
from s3ish.api.shapes import (
    ChecksumElements,
    CustomerKeyHeaders,
    ObjectChecksumElements,
    ObjectRequest,
)
from s3ish.auth.evaluator import Permit
from s3ish.errors import InvalidArgument, InvalidRequest
from s3ish.model import Checksum, Part, Version
from s3ish.objects import versions
from s3ish.objects.digests import DEFAULT_ALGORITHM
from s3ish.wire.fields import element, elements, group, header, query
from s3ish.wire.scalars import Instant, read_position
from s3ish.wire.shape import shape

NAMES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
MAX_PARTS = 1000


@shape
class GetObjectAttributesRequest(ObjectRequest, CustomerKeyHeaders):
    """GET /{Bucket}/{Key+}?attributes"""

    version_id: str | None = query("versionId")
    max_parts: str | None = header("x-amz-max-parts")
    part_number_marker: int | None = header("x-amz-part-number-marker")
    names: str | None = header("x-amz-object-attributes")


@shape
class PartElement:
    """A part of the object."""

    part_number: int = element("PartNumber", default=...)
    size: int = element("Size", default=...)
    checksum: ChecksumElements | None = group()


@shape
class ObjectPartsElement:
    """The parts of the object."""

    total: int = element("PartsCount", default=...)
    part_number_marker: int | None = element("PartNumberMarker")
    next_part_number_marker: int | None = element("NextPartNumberMarker")
    max_parts: int | None = element("MaxParts")
    is_truncated: bool | None = element("IsTruncated")
    parts: list[PartElement] = elements("Part")


@shape(root="GetObjectAttributesResponse")
class GetObjectAttributesResponse:
    """What was asked for."""

    last_modified: Instant | None = header("Last-Modified")
    version_id: str | None = header("x-amz-version-id")
    etag: str | None = element("ETag")
    checksum: ObjectChecksumElements | None = element("Checksum")
    parts: ObjectPartsElement | None = element("ObjectParts")
    storage_class: str | None = element("StorageClass")
    size: int | None = element("ObjectSize")


def _reading(request: GetObjectAttributesRequest) -> Iterable[Permit]:
    """Return the right that it takes beside that on attributes: to read the object."""
    action = "s3:GetObject" if request.version_id is None else "s3:GetObjectVersion"
    return (Permit(action, request.bucket, request.key),)


@operation(
    "GET /{Bucket}/{Key+}?attributes",
    action="s3:GetObjectAttributes",
    version_action="s3:GetObjectVersionAttributes",
    permits=_reading,
)
async def get_object_attributes(context: Context, request: GetObjectAttributesRequest) -> GetObjectAttributesResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html"""
    key = customer_key_of(context, request)
    wanted = _wanted(request.names)
    version = await versions.get(context.store, request.bucket, request.key, request.version_id)
    check_key(version, key)
    return GetObjectAttributesResponse(
        last_modified=Instant(version.modified_ns),
        version_id=version.id if context.target.versioning else None,
        etag=version.etag if "ETag" in wanted else None,
        checksum=_checksum(version.checksum) if "Checksum" in wanted else None,
        parts=_parts(version, request) if version.sent_parts and "ObjectParts" in wanted else None,
        storage_class=version.attributes.storage_class if "StorageClass" in wanted else None,
        size=version.size if "ObjectSize" in wanted else None,
    )


def _wanted(names: str | None) -> frozenset[str]:
    """Return which attributes are asked for; an empty name counts for none only at the end.

    Raises:
        InvalidRequest, InvalidArgument: none, or one that there is not.
    """
    given = [] if names is None else [name.strip() for name in (names and names.rstrip(",")).split(",")]
    if not given or (names and given == [""]):
        raise InvalidRequest(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty"
        )
    for name in given:
        if name not in NAMES:
            raise InvalidArgument(
                "Invalid attribute name specified.", ArgumentName="x-amz-object-attributes", ArgumentValue=name[:128]
            )
    return frozenset(given)


def _checksum(checksum: Checksum | None) -> ObjectChecksumElements | None:
    """Return the checksum of an object; one that is made of those of its parts without their count, as S3 does."""
    if checksum is None:
        return None
    value, _, _ = checksum.value.partition("-")
    return ObjectChecksumElements.of(replace(checksum, value=value))


def _parts(version: Version, request: GetObjectAttributesRequest) -> ObjectPartsElement:
    """Return the page of parts after a marker; their count alone where no client has chosen checksums, as S3 does.

    They count 1, 2, 3 ... as in ``partNumber`` of GetObject, whatever numbers the upload gave them.
    """
    marker = request.part_number_marker or 0
    if marker < 0:
        raise InvalidArgument(ArgumentName="x-amz-part-number-marker")
    if not any(_is_chosen(part) for part in version.parts[:1]):
        return ObjectPartsElement(total=len(version.parts))
    limit = _limit(request.max_parts)
    page = list(enumerate(version.parts[marker : marker + limit], marker + 1))
    return ObjectPartsElement(
        total=len(version.parts),
        part_number_marker=marker,
        next_part_number_marker=page[-1][0] if page else 0,
        max_parts=limit,
        is_truncated=bool(page) and marker + limit < len(version.parts),
        parts=[
            PartElement(part_number=number, size=part.size, checksum=ChecksumElements.of(part.checksum))
            for number, part in page
            if _is_chosen(part)
        ],
    )


def _is_chosen(part: Part) -> bool:
    """Whether a client has chosen the checksum of a part."""
    return part.checksum is not None and part.checksum.algorithm != DEFAULT_ALGORITHM


def _limit(text: str | None) -> int:
    """Return how many parts a page may have; S3 takes no notice of what is no number of them."""
    if text is None or not (text.isascii() and text.isdigit()):
        return MAX_PARTS
    return min(read_position(text), MAX_PARTS)
