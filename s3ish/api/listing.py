"""ListObjects, ListObjectsV2 and ListObjectVersions.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from typing import Any

from s3ish.api.context import Context
from s3ish.api.operation import operation
from s3ish.api.page_tokens import read_token, write_token
from s3ish.api.pages import PageElements, PageRequest, page_limit
from s3ish.api.restore import RestoreStatus
from s3ish.api.shapes import OwnerElement, owner_element
from s3ish.errors import InvalidArgument
from s3ish.model import Entry, Owner
from s3ish.objects import archive, listing
from s3ish.wire.fields import Rows, element, elements, group, header, query, rows
from s3ish.wire.scalars import EntityTag, Instant
from s3ish.wire.shape import shape


@shape
class ListingRequest(PageRequest):
    """What all listings of keys take."""

    max_keys: int | None = query("max-keys")
    optional_attributes: str | None = header("x-amz-optional-object-attributes", choices=("RestoreStatus",))


@shape
class ObjectElement:
    """An object in a listing."""

    key: str = element("Key", default=..., url=True)
    last_modified: Instant = element("LastModified", default=...)
    etag: EntityTag = element("ETag", default=...)
    checksum_algorithm: list[str] = elements("ChecksumAlgorithm")
    checksum_type: str | None = element("ChecksumType")
    size: int = element("Size", default=...)
    owner: OwnerElement | None = element("Owner")
    storage_class: str = element("StorageClass", default="STANDARD")
    restore: RestoreStatus | None = element("RestoreStatus")


async def _objects(context: Context, request: ListingRequest, page: listing.Page[Entry], *, owner: bool) -> list[Any]:
    """Return a page as rows of ``ObjectElement``."""
    if not request.optional_attributes:
        return [_object(key, entry, None, owner=owner) for key, entry in page.items]
    now_ns = context.store.clock.service_ns()
    restores = await archive.restores(context.store, request.bucket, page.items, now_ns)
    return [_object(key, entry, RestoreStatus.of(restores.get(key), now_ns), owner=owner) for key, entry in page.items]


def _object(key: str, entry: Entry, restore: RestoreStatus | None, *, owner: bool) -> tuple[Any, ...]:
    """Return the row of an ``ObjectElement``."""
    return (
        key,
        entry.modified_ns,
        entry.etag,
        (entry.checksum_algorithm,) if entry.checksum_algorithm else (),
        entry.checksum_kind or None,
        entry.size,
        owner_element(Owner(entry.owner_id, entry.owner_name)) if owner else None,
        entry.storage_class,
        restore,
    )


@shape
class ListObjectsRequest(ListingRequest):
    """GET /{Bucket}"""

    marker: str | None = query("marker")


@shape(root="ListBucketResult")
class ListObjectsResponse:
    """A page of keys, the first way."""

    name: str = element("Name", default=...)
    marker: str = element("Marker", default=..., url=True)
    next_marker: str | None = element("NextMarker", url=True)
    max_keys: int = element("MaxKeys", default=...)
    contents: Rows[ObjectElement] = rows("Contents")
    page: PageElements | None = group()


@operation("GET /{Bucket}", action="s3:ListBucket")
async def list_objects(context: Context, request: ListObjectsRequest) -> ListObjectsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html"""
    limit = page_limit(request.max_keys, "max-keys")
    page = await listing.list_objects(context.store, request.wanted(limit), request.marker or "")
    return ListObjectsResponse(
        name=request.bucket,
        marker=request.marker or "",
        next_marker=page.last if page.truncated and request.delimiter else None,
        max_keys=limit,
        contents=await _objects(context, request, page, owner=True),
        page=PageElements.of(request, page),
    )


@shape
class ListObjectsV2Request(ListingRequest):
    """GET /{Bucket}?list-type=2"""

    continuation_token: str | None = query("continuation-token")
    fetch_owner: bool | None = query("fetch-owner")
    start_after: str | None = query("start-after")


@shape(root="ListBucketResult")
class ListObjectsV2Response:
    """A page of keys, the second way."""

    name: str = element("Name", default=...)
    start_after: str | None = element("StartAfter", url=True)
    continuation_token: str | None = element("ContinuationToken")
    next_continuation_token: str | None = element("NextContinuationToken")
    key_count: int = element("KeyCount", default=...)
    max_keys: int = element("MaxKeys", default=...)
    contents: Rows[ObjectElement] = rows("Contents")
    page: PageElements | None = group()


@operation("GET /{Bucket}?list-type=2", action="s3:ListBucket")
async def list_objects_v2(context: Context, request: ListObjectsV2Request) -> ListObjectsV2Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""
    limit = page_limit(request.max_keys, "max-keys")
    after = request.start_after or ""
    if request.continuation_token is not None:
        after = read_token(request.bucket, request.continuation_token)
    page = await listing.list_objects(context.store, request.wanted(limit), after)
    return ListObjectsV2Response(
        name=request.bucket,
        start_after=request.start_after,
        continuation_token=request.continuation_token,
        next_continuation_token=write_token(request.bucket, page.last) if page.truncated else None,
        key_count=page.count,
        max_keys=limit,
        contents=await _objects(context, request, page, owner=bool(request.fetch_owner)),
        page=PageElements.of(request, page),
    )


@shape
class ListObjectVersionsRequest(ListingRequest):
    """GET /{Bucket}?versions"""

    key_marker: str | None = query("key-marker")
    version_id_marker: str | None = query("version-id-marker")


@shape
class DeleteMarkerElement:
    """A delete marker in a listing."""

    key: str = element("Key", default=..., url=True)
    version_id: str = element("VersionId", default=...)
    is_latest: bool = element("IsLatest", default=...)
    last_modified: Instant = element("LastModified", default=...)
    owner: OwnerElement = element("Owner", default=...)


@shape
class VersionElement(ObjectElement):
    """A version in a listing."""

    version_id: str = element("VersionId", default=...)
    is_latest: bool = element("IsLatest", default=...)


@shape(root="ListVersionsResult")
class ListObjectVersionsResponse:
    """A page of versions."""

    name: str = element("Name", default=...)
    key_marker: str = element("KeyMarker", default=..., url=True)
    version_id_marker: str = element("VersionIdMarker", default=...)
    next_key_marker: str | None = element("NextKeyMarker", url=True)
    next_version_id_marker: str | None = element("NextVersionIdMarker")
    max_keys: int = element("MaxKeys", default=...)
    versions: Rows[VersionElement] = rows("Version", gaps=True)
    delete_markers: Rows[DeleteMarkerElement] = rows("DeleteMarker", fills="versions")
    page: PageElements | None = group()


@operation("GET /{Bucket}?versions", action="s3:ListBucketVersions")
async def list_object_versions(context: Context, request: ListObjectVersionsRequest) -> ListObjectVersionsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
    if request.version_id_marker and not request.key_marker:
        raise InvalidArgument(
            "A version-id marker cannot be specified without a key marker.", ArgumentName="version-id-marker"
        )
    limit = page_limit(request.max_keys, "max-keys")
    page = await listing.list_versions(
        context.store, request.wanted(limit), request.key_marker or "", request.version_id_marker or ""
    )
    asked_ns = context.store.clock.service_ns() if request.optional_attributes else None
    last_version = page.items[-1][1].version if page.items and page.items[-1][0] == page.last else None
    return ListObjectVersionsResponse(
        name=request.bucket,
        key_marker=request.key_marker or "",
        version_id_marker=request.version_id_marker or "",
        next_key_marker=page.last if page.truncated else None,
        next_version_id_marker=last_version.id if page.truncated and last_version else None,
        max_keys=limit,
        versions=[None if item.version.marker else _version(item, asked_ns) for _, item in page.items],
        delete_markers=[_marker(item) for _, item in page.items if item.version.marker],
        page=PageElements.of(request, page),
    )


def _version(item: listing.ListedVersion, asked_ns: int | None) -> tuple[Any, ...]:
    """Return the row of a ``VersionElement``, with its restore at the time when that was asked for."""
    version, checksum = item.version, item.version.checksum
    restore = None if asked_ns is None else RestoreStatus.of(archive.restore_of(version, asked_ns), asked_ns)
    return (
        version.key,
        version.modified_ns,
        version.etag,
        (checksum.algorithm,) if checksum else (),
        checksum.kind if checksum else None,
        version.size,
        owner_element(version.owner),
        version.attributes.storage_class,
        restore,
        version.id,
        item.latest,
    )


def _marker(item: listing.ListedVersion) -> tuple[Any, ...]:
    """Return the row of a ``DeleteMarkerElement``."""
    version = item.version
    return version.key, version.id, item.latest, version.modified_ns, owner_element(version.owner)
