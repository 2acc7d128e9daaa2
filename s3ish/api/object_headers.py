"""From request headers to the attributes of an object: what is kept, what is refused.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

import base64
from unicodedata import category

import msgspec

from s3ish.api.shapes import AttributeHeaders, KeptHeaders
from s3ish.errors import (
    BadRequest,
    InvalidArgument,
    InvalidRedirectLocation,
    InvalidStorageClass,
    InvalidTag,
    InvalidURI,
    MetadataTooLarge,
)
from s3ish.model import Attributes, Grant, Lock, Tag
from s3ish.wire.headers import check_metadata, check_value
from s3ish.wire.names import decode_segment

MAX_METADATA_BYTES = 2048
MAX_TAGS = 10
MAX_TAG_KEY, MAX_TAG_VALUE = 128, 256
"""In UTF-16 code units, as S3 counts characters of tags."""
DEFAULT_TYPE = "binary/octet-stream"

STORAGE_CLASSES = frozenset(
    (
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "GLACIER_IR",
    )
)
_CHUNKED = "aws-chunked"
_UNSIGNED, _STREAMING = "UNSIGNED-PAYLOAD", "STREAMING-"
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
_TAG_SIGNS = "_.:/=+-@"
"""What a tag may hold beside letters, digits and spaces of any script."""


def attributes_of(request: AttributeHeaders, acl: tuple[Grant, ...] = (), lock: Lock | None = None) -> Attributes:
    """Return the attributes that a request gives to a new object, with its access list and its lock.

    Raises:
        MetadataTooLarge, InvalidStorageClass, InvalidArgument, InvalidTag, InvalidRequest: a header is wrong.
    """
    storage_class = request.storage_class or "STANDARD"
    if storage_class not in STORAGE_CLASSES:
        raise InvalidStorageClass(StorageClassRequested=storage_class[:64])
    return Attributes(
        headers=_headers_of(request.kept, request.content_sha256 or ""),
        metadata=_metadata_of(request.metadata),
        tags=read_tagging(request.tagging) if request.tagging else (),
        storage_class=storage_class,
        encryption=_encryption_of(request),
        website_redirect=_redirect_of(request.website_redirect),
        acl=acl,
        lock=lock,
    )


def _headers_of(given: KeptHeaders | None, payload: str) -> dict[str, str]:
    kept = {"content-type": DEFAULT_TYPE}
    for name, text in given.by_name().items() if given else ():
        value = _encoding_of(text, payload) if name == "content-encoding" else text
        if value:
            kept[name] = check_value(name, value)
    return kept


def _encoding_of(text: str, payload: str) -> str:
    """Return the codings of the object itself, as the client wrote them: of a chunked body ``aws-chunked`` is none.

    Args:
        payload: how the signature covers the body; one that it does not cover cannot be taken out of its chunks.

    Raises InvalidArgument.
    """
    if _CHUNKED not in (item.strip().lower() for item in text.split(",")):
        return text
    if payload == _UNSIGNED:
        raise InvalidArgument(
            "aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.",
            ArgumentName="Content-Encoding",
            ArgumentValue=text[:128],
        )
    if not payload.startswith(_STREAMING):
        return text
    return ",".join(item for item in text.split(",") if item.strip().lower() != _CHUNKED).strip()


def _metadata_of(metadata: dict[str, str]) -> dict[str, str]:
    if not metadata:
        return {}
    for name, value in metadata.items():
        check_metadata(name, value)
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise MetadataTooLarge(Size=size, MaxSizeAllowed=MAX_METADATA_BYTES)
    return metadata


def _encryption_of(request: AttributeHeaders) -> dict[str, str]:
    kind = request.server_side_encryption
    if kind is None:
        if request.kms_key_id or request.kms_context or request.bucket_key_enabled:
            raise InvalidArgument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
                ArgumentName="x-amz-server-side-encryption",
            )
        return {}
    if kind not in _ENCRYPTIONS:
        raise InvalidArgument(
            "The encryption method specified is not supported",
            ArgumentName="x-amz-server-side-encryption",
            ArgumentValue=kind[:64],
        )
    if request.customer_algorithm is not None or request.customer_key is not None:
        raise InvalidArgument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            ArgumentName="x-amz-server-side-encryption",
            ArgumentValue=kind,
        )
    kept = {"type": kind}
    if kind != "AES256":
        for name, value, header in (
            ("key", request.kms_key_id, "x-amz-server-side-encryption-aws-kms-key-id"),
            ("context", request.kms_context, "x-amz-server-side-encryption-context"),
        ):
            if value:
                kept[name] = check_value(header, value)
        if request.kms_context:
            read_context(request.kms_context)
        if request.bucket_key_enabled and kind == "aws:kms":
            kept["bucket-key"] = "true"
    elif request.kms_key_id or request.kms_context or request.bucket_key_enabled:
        raise InvalidArgument(
            "Server Side Encryption with AES256 does not take a key, a context or a bucket key",
            ArgumentName="x-amz-server-side-encryption",
            ArgumentValue=kind,
        )
    return kept


def read_context(text: str) -> dict[str, str]:
    """Return an encryption context: pairs that are authenticated with the key of an object. Raises InvalidArgument."""
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True), type=dict[str, str])
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise InvalidArgument(
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which "
            "represents a string-string map",
            ArgumentName="x-amz-server-side-encryption-context",
        ) from error


def _redirect_of(location: str | None) -> str:
    if location is None:
        return ""
    if not location.startswith(("/", "http://", "https://")) or len(location) > 2048:
        raise InvalidRedirectLocation
    return check_value("x-amz-website-redirect-location", location)


def read_tagging(text: str) -> tuple[Tag, ...]:
    """Read the ``x-amz-tagging`` header, tags as URL query parameters; one without ``=`` has an empty value.

    Raises:
        InvalidArgument, InvalidTag, BadRequest: malformed, or beyond the limits.
    """
    try:
        pairs = [item.replace("+", " ").partition("=") for item in text.split("&") if item]
        tags = tuple(Tag(decode_segment(key), decode_segment(value)) for key, _, value in pairs)
        if len({tag.key for tag in tags} - {""}) < len(tags):
            raise InvalidURI
    except InvalidURI as error:
        raise InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
            "name duplicates.",
            ArgumentName="x-amz-tagging",
            ArgumentValue=text,
        ) from error
    return check_tags(tags, MAX_TAGS)


_RESERVED_OF_BUCKETS = "System tags cannot be added/updated by requester"


def check_tags(tags: tuple[Tag, ...], limit: int, *, of_bucket: bool = False) -> tuple[Tag, ...]:
    """Return tags that follow the rules of https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html

    Args:
        of_bucket: whether a bucket is tagged; errors say so.

    Raises:
        BadRequest: more than ``limit`` tags.
        InvalidTag: a key or value is too long, reserved or holds other characters, or a key appears twice.
    """
    if len(tags) > limit:
        raise BadRequest(f"{'Bucket tag count' if of_bucket else 'Object tags'} cannot be greater than {limit}")
    seen: set[str] = set()
    for tag in tags:
        if tag.key in seen:
            raise InvalidTag("Cannot provide multiple Tags with the same key", TagKey=tag.key)
        seen.add(tag.key)
        if not tag.key or not _fits(tag.key, MAX_TAG_KEY):
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=tag.key)
        if tag.key.startswith("aws:"):
            reserved = _RESERVED_OF_BUCKETS if of_bucket else "Your TagKey cannot be prefixed with aws:"
            raise InvalidTag(reserved, TagKey=tag.key)
        if not _fits(tag.value, MAX_TAG_VALUE):
            raise InvalidTag("The TagValue you have provided is invalid", TagKey=tag.key, TagValue=tag.value)
    return tags


def _fits(text: str, limit: int) -> bool:
    """Whether a key or value is short enough and has no other characters than S3 allows."""
    if len(text) > limit or len(text.encode("utf-16-le", "replace")) > 2 * limit:
        return False
    return all(character in _TAG_SIGNS or category(character)[0] in "LNZ" for character in text)
