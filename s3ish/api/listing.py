"""ListObjects, ListObjectsV2 and ListObjectVersions.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from collections.abc import Mapping
from typing import Any

from s3ish.api.context import Context
from s3ish.api.operation import operation
from s3ish.api.page_tokens import read_token, write_token
from s3ish.api.pages import MAX_RESULTS, PageElements, PageRequest, checked_count, common_prefixes
from s3ish.api.restore import RestoreStatus
from s3ish.api.shapes import CommonPrefix, OwnerElement, owner_element
from s3ish.errors import InvalidArgument
from s3ish.model import Entry, Owner
from s3ish.objects import archive, listing
from s3ish.objects.versions import is_version_id
from s3ish.wire.fields import Rows, element, elements, group, header, query, rows
from s3ish.wire.scalars import Count, EntityTag, Instant
from s3ish.wire.shape import shape


@shape
class ListingRequest(PageRequest):
    """What all listings of keys take."""

    max_keys: Count | None = query("max-keys")
    optional_attributes: str | None = header("x-amz-optional-object-attributes", choices=("RestoreStatus",))


@shape
class ListedKey:
    """The key of something that is listed."""

    key: str = element("Key", default=..., url=True)


@shape
class ListedFacts:
    """What a listing says of an object."""

    last_modified: Instant = element("LastModified", default=...)
    etag: EntityTag = element("ETag", default=...)
    checksum_algorithm: list[str] = elements("ChecksumAlgorithm")
    checksum_type: str | None = element("ChecksumType")
    size: int = element("Size", default=...)
    owner: OwnerElement | None = element("Owner")
    storage_class: str = element("StorageClass", default="STANDARD")
    restore: RestoreStatus | None = element("RestoreStatus")


@shape
class ObjectElement(ListedFacts, ListedKey):
    """An object in a listing."""


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


def _of_second(given: Mapping[str, str]) -> None:
    """Refuse what the second version of the listing takes: where to go on would be lost. Raises InvalidArgument."""
    for name, spelt in (("continuation-token", "continuation-token"), ("start-after", "startAfter")):
        if name in given:
            message = f"{spelt} only supported in REST.GET.BUCKET with list-type=2"
            raise InvalidArgument(message, ArgumentName=name)


def _of_first(given: Mapping[str, str]) -> None:
    """Refuse what the first version of the listing takes: where to go on would be lost. Raises InvalidArgument."""
    if "marker" in given:
        raise InvalidArgument("Marker unsupported with REST.GET.BUCKET in list-type=2", ArgumentName="marker")


@shape(root="ListBucketResult")
class ListObjectsResponse:
    """A page of keys, the first way."""

    name: str = element("Name", default=...)
    prefix: str = element("Prefix", default="", url=True)
    marker: str = element("Marker", default=..., url=True)
    next_marker: str | None = element("NextMarker", url=True)
    max_keys: int = element("MaxKeys", default=...)
    page: PageElements | None = group()
    contents: Rows[ObjectElement] = rows("Contents")
    common_prefixes: Rows[CommonPrefix] = rows("CommonPrefixes")


@operation("GET /{Bucket}", action="s3:ListBucket", refuses=_of_second)
async def list_objects(context: Context, request: ListObjectsRequest) -> ListObjectsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html"""
    request.check_encoding()
    limit = checked_count(request.max_keys, "maxKeys", MAX_RESULTS)
    wanted = request.wanted(limit)
    page = await listing.list_objects(context.store, wanted, listing.beyond_group(wanted, request.marker or ""))
    return ListObjectsResponse(
        name=request.bucket,
        prefix=wanted.prefix,
        marker=request.marker or "",
        next_marker=page.last if page.truncated and request.delimiter else None,
        max_keys=limit,
        page=PageElements.of(request, page),
        contents=await _objects(context, request, page, owner=True),
        common_prefixes=common_prefixes(page),
    )


@shape
class ListObjectsV2Request(ListingRequest):
    """GET /{Bucket}?list-type=2"""

    continuation_token: str | None = query("continuation-token")
    fetch_owner: str | None = query("fetch-owner")
    start_after: str | None = query("start-after")


@shape(root="ListBucketResult")
class ListObjectsV2Response:
    """A page of keys, the second way."""

    name: str = element("Name", default=...)
    prefix: str = element("Prefix", default="", url=True)
    start_after: str | None = element("StartAfter", url=True)
    continuation_token: str | None = element("ContinuationToken")
    next_continuation_token: str | None = element("NextContinuationToken")
    key_count: int = element("KeyCount", default=...)
    max_keys: int = element("MaxKeys", default=...)
    page: PageElements | None = group()
    contents: Rows[ObjectElement] = rows("Contents")
    common_prefixes: Rows[CommonPrefix] = rows("CommonPrefixes")


@operation("GET /{Bucket}?list-type=2", action="s3:ListBucket", refuses=_of_first)
async def list_objects_v2(context: Context, request: ListObjectsV2Request) -> ListObjectsV2Response:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html"""
    request.check_encoding()
    after, shown = request.start_after or "", request.start_after
    if request.continuation_token is not None:
        after, shown = read_token(request.bucket, request.continuation_token), None
    limit = checked_count(request.max_keys, "maxKeys", MAX_RESULTS)
    wanted = request.wanted(limit)
    page = await listing.list_objects(context.store, wanted, after)
    return ListObjectsV2Response(
        name=request.bucket,
        prefix=wanted.prefix,
        start_after=shown,
        continuation_token=request.continuation_token,
        next_continuation_token=write_token(request.bucket, page.last) if page.truncated else None,
        key_count=page.count,
        max_keys=limit,
        page=PageElements.of(request, page),
        contents=await _objects(context, request, page, owner=(request.fetch_owner or "").lower() == "true"),
        common_prefixes=common_prefixes(page),
    )


@shape
class ListObjectVersionsRequest(ListingRequest):
    """GET /{Bucket}?versions"""

    key_marker: str | None = query("key-marker")
    version_id_marker: str | None = query("version-id-marker")


@shape
class VersionKey(ListedKey):
    """Which version is listed."""

    version_id: str = element("VersionId", default=...)
    is_latest: bool = element("IsLatest", default=...)


@shape
class DeleteMarkerElement(VersionKey):
    """A delete marker in a listing."""

    last_modified: Instant = element("LastModified", default=...)
    owner: OwnerElement = element("Owner", default=...)


@shape
class VersionElement(ListedFacts, VersionKey):
    """A version in a listing."""


@shape(root="ListVersionsResult")
class ListObjectVersionsResponse:
    """A page of versions."""

    name: str = element("Name", default=...)
    prefix: str = element("Prefix", default="", url=True)
    key_marker: str = element("KeyMarker", default=..., url=True)
    version_id_marker: str = element("VersionIdMarker", default=...)
    next_key_marker: str | None = element("NextKeyMarker", url=True)
    next_version_id_marker: str | None = element("NextVersionIdMarker")
    max_keys: int = element("MaxKeys", default=...)
    page: PageElements | None = group()
    versions: Rows[VersionElement] = rows("Version", gaps=True)
    delete_markers: Rows[DeleteMarkerElement] = rows("DeleteMarker", fills="versions")
    common_prefixes: Rows[CommonPrefix] = rows("CommonPrefixes")


def _lone_marker(given: Mapping[str, str]) -> None:
    """Raises InvalidArgument unless a version marker says something, and stands beside a key marker."""
    version_id = given.get("version-id-marker")
    if version_id is None or (version_id and "key-marker" in given):
        return
    alone = "A version-id marker cannot be specified without a key marker."
    message = "A version-id marker cannot be empty." if "key-marker" in given else alone
    raise InvalidArgument(message, ArgumentName="version-id-marker", ArgumentValue=version_id[:256])


@operation("GET /{Bucket}?versions", action="s3:ListBucketVersions", refuses=_lone_marker)
async def list_object_versions(context: Context, request: ListObjectVersionsRequest) -> ListObjectVersionsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""
    id_marker = request.version_id_marker or ""
    if id_marker and not is_version_id(id_marker):
        raise InvalidArgument(
            "Invalid version id specified", ArgumentName="version-id-marker", ArgumentValue=id_marker[:256]
        )
    request.check_encoding()
    limit = MAX_RESULTS if request.max_keys is None else request.max_keys
    if limit < 0:
        raise InvalidArgument("max-keys cannot be negative", ArgumentName="max-keys")
    wanted, key_marker = request.wanted(limit), request.key_marker or ""
    after = listing.beyond_group(wanted, key_marker)
    page = await listing.list_versions(context.store, wanted, after, id_marker if after == key_marker else "")
    asked_ns = context.store.clock.service_ns() if request.optional_attributes else None
    last_version = page.items[-1][1].version if page.items and page.items[-1][0] == page.last else None
    return ListObjectVersionsResponse(
        name=request.bucket,
        prefix=wanted.prefix,
        key_marker=key_marker,
        version_id_marker=id_marker,
        next_key_marker=page.last if page.truncated else None,
        next_version_id_marker=last_version.id if page.truncated and last_version else None,
        max_keys=limit,
        versions=[None if item.version.marker else _version(item, asked_ns) for _, item in page.items],
        delete_markers=[_marker(item) for _, item in page.items if item.version.marker],
        page=PageElements.of(request, page),
        common_prefixes=common_prefixes(page),
    )


def _version(item: listing.ListedVersion, asked_ns: int | None) -> tuple[Any, ...]:
    """Return the row of a ``VersionElement``, with its restore at the time when that was asked for."""
    version, checksum = item.version, item.version.checksum
    restore = None if asked_ns is None else RestoreStatus.of(archive.restore_of(version, asked_ns), asked_ns)
    return (
        version.key,
        version.id,
        item.latest,
        version.modified_ns,
        version.etag,
        (checksum.algorithm,) if checksum else (),
        checksum.kind if checksum else None,
        version.size,
        owner_element(version.owner),
        version.attributes.storage_class,
        restore,
    )


def _marker(item: listing.ListedVersion) -> tuple[Any, ...]:
    """Return the row of a ``DeleteMarkerElement``."""
    version = item.version
    return version.key, version.id, item.latest, version.modified_ns, owner_element(version.owner)
