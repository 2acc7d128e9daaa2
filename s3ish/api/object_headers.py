"""From request headers to the attributes of an object: what is kept, what is refused.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
"""

import base64

import msgspec

from s3ish.api.shapes import AttributeHeaders, KeptHeaders
from s3ish.api.tag_rules import read_tagging
from s3ish.errors import (
    InvalidArgument,
    InvalidRedirectLocation,
    InvalidStorageClass,
    MetadataTooLarge,
)
from s3ish.model import Attributes, Grant, Lock
from s3ish.wire.headers import check_metadata, check_value

MAX_METADATA_BYTES = 2048
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
        if request.kms_key_id or request.kms_context:
            raise without_type()
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


def without_type() -> InvalidArgument:
    """Return the refusal of what only SSE-KMS takes, in a request that does not ask for it."""
    return InvalidArgument(
        "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        ArgumentName="x-amz-server-side-encryption",
    )


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
