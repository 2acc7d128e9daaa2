"""Which uploads are in progress, and which parts they have.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from s3ish.api.context import Context
from s3ish.api.customer_keys import check_part_key, customer_key_of
from s3ish.api.lifecycle import AbortHeaders, shown_abortion
from s3ish.api.operation import operation
from s3ish.api.pages import MAX_RESULTS, PageElements, PageRequest, checked_count, common_prefixes
from s3ish.api.shapes import (
    ChecksumElements,
    CommonPrefix,
    CustomerKeyHeaders,
    ObjectRequest,
    OwnerElement,
    owner_element,
    quoted,
)
from s3ish.errors import InvalidArgument
from s3ish.model import Part, Upload
from s3ish.objects import listing, multipart
from s3ish.wire.fields import Rows, element, elements, group, query, rows
from s3ish.wire.scalars import Count, Instant
from s3ish.wire.shape import shape


@shape
class ListPartsRequest(ObjectRequest, CustomerKeyHeaders):
    """GET /{Bucket}/{Key+}?uploadId"""

    upload_id: str = query("uploadId", default="")
    max_parts: Count | None = query("max-parts")
    part_number_marker: Count | None = query("part-number-marker")


@shape
class PartElement:
    """A part of an upload."""

    part_number: int = element("PartNumber", default=...)
    last_modified: Instant = element("LastModified", default=...)
    etag: str = element("ETag", default=...)
    size: int = element("Size", default=...)
    checksum: ChecksumElements | None = group()


@shape(root="ListPartsResult")
class ListPartsResponse:
    """A page of parts."""

    bucket: str = element("Bucket", default=...)
    key: str = element("Key", default=...)
    upload_id: str = element("UploadId", default=...)
    initiator: OwnerElement = element("Initiator", default=...)
    owner: OwnerElement = element("Owner", default=...)
    storage_class: str = element("StorageClass", default=...)
    part_number_marker: int = element("PartNumberMarker", default=...)
    next_part_number_marker: int = element("NextPartNumberMarker", default=0)
    max_parts: int = element("MaxParts", default=...)
    is_truncated: bool = element("IsTruncated", default=...)
    checksum_algorithm: str | None = element("ChecksumAlgorithm")
    checksum_type: str | None = element("ChecksumType")
    abort: AbortHeaders | None = group()
    parts: list[PartElement] = elements("Part")


@operation("GET /{Bucket}/{Key+}?uploadId", action="s3:ListMultipartUploadParts")
async def list_parts(context: Context, request: ListPartsRequest) -> ListPartsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html"""
    key = customer_key_of(context, request)
    limit = min(checked_count(request.max_parts, "max-parts", MAX_RESULTS), MAX_RESULTS)
    marker = checked_count(request.part_number_marker, "part-number-marker", 0)
    held = await multipart.find_upload(context.store, request.bucket, request.key, request.upload_id)
    upload = held.record
    check_part_key(upload, key, needed=False)
    parts, truncated = await multipart.list_parts(context.store, upload.id, marker, limit)
    return ListPartsResponse(
        bucket=request.bucket,
        key=request.key,
        upload_id=upload.id,
        initiator=owner_element(upload.initiator),
        owner=owner_element(upload.owner),
        storage_class=upload.attributes.storage_class,
        part_number_marker=marker,
        next_part_number_marker=parts[-1].number if parts else 0,
        max_parts=limit,
        is_truncated=truncated,
        checksum_algorithm=upload.checksum_algorithm or None,
        checksum_type=upload.checksum_kind or None,
        abort=shown_abortion(context, upload),
        parts=[_part(part, shown=bool(upload.checksum_algorithm)) for part in parts],
    )


def _part(part: Part, *, shown: bool) -> PartElement:
    return PartElement(
        part_number=part.number,
        last_modified=Instant(part.modified_ns),
        etag=quoted(part.etag),
        size=part.size,
        checksum=ChecksumElements.of(part.checksum if shown else None),
    )


@shape
class ListMultipartUploadsRequest(PageRequest):
    """GET /{Bucket}?uploads"""

    key_marker: str | None = query("key-marker")
    max_uploads: Count | None = query("max-uploads")
    upload_id_marker: str | None = query("upload-id-marker")


@shape
class UploadElement:
    """An upload in progress."""

    encoding_type: str | None = None
    upload_id: str = element("UploadId", default=...)
    key: str = element("Key", default=..., url=True)
    initiated: Instant = element("Initiated", default=...)
    storage_class: str = element("StorageClass", default=...)
    owner: OwnerElement = element("Owner", default=...)
    initiator: OwnerElement = element("Initiator", default=...)
    checksum_algorithm: str | None = element("ChecksumAlgorithm")
    checksum_type: str | None = element("ChecksumType")


@shape(root="ListMultipartUploadsResult")
class ListMultipartUploadsResponse:
    """A page of uploads."""

    bucket: str = element("Bucket", default=...)
    key_marker: str = element("KeyMarker", default=..., url=True)
    upload_id_marker: str = element("UploadIdMarker", default=...)
    next_key_marker: str = element("NextKeyMarker", default="", url=True)
    next_upload_id_marker: str = element("NextUploadIdMarker", default="")
    prefix: str | None = element("Prefix", url=True)
    max_uploads: int = element("MaxUploads", default=...)
    page: PageElements | None = group()
    uploads: list[UploadElement] = elements("Upload")
    common_prefixes: Rows[CommonPrefix] = rows("CommonPrefixes")


@operation("GET /{Bucket}?uploads", action="s3:ListBucketMultipartUploads")
async def list_multipart_uploads(
    context: Context, request: ListMultipartUploadsRequest
) -> ListMultipartUploadsResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html"""
    request.check_encoding()
    limit = min(checked_count(request.max_uploads, "max-uploads", MAX_RESULTS), MAX_RESULTS)
    upload_marker = (request.upload_id_marker or "") if request.key_marker else ""
    if upload_marker and not multipart.is_upload_id(upload_marker):
        raise InvalidArgument(
            "Invalid uploadId marker", ArgumentName="upload-id-marker", ArgumentValue=upload_marker[:256]
        )
    page = await listing.list_uploads(context.store, request.wanted(limit), request.key_marker or "", upload_marker)
    last = page.items[-1][1] if page.items and page.items[-1][0] == page.last else None
    return ListMultipartUploadsResponse(
        bucket=request.bucket,
        key_marker=request.key_marker or "",
        upload_id_marker=upload_marker,
        next_key_marker=page.last,
        next_upload_id_marker=last.id if last else "",
        prefix=request.prefix or None,
        max_uploads=limit,
        page=PageElements.of(request, page),
        uploads=[_upload(upload, request.encoding_type) for _, upload in page.items],
        common_prefixes=common_prefixes(page),
    )


def _upload(upload: Upload, encoding: str | None) -> UploadElement:
    return UploadElement(
        encoding_type=encoding,
        upload_id=upload.id,
        key=upload.key,
        initiated=Instant(upload.created_ns),
        storage_class=upload.attributes.storage_class,
        owner=owner_element(upload.owner),
        initiator=owner_element(upload.initiator),
        checksum_algorithm=upload.checksum_algorithm or None,
        checksum_type=upload.checksum_kind or None,
    )
