"""Shapes that several operations share: where a request goes, what it says of an object, checksums."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Self

from s3ish.model import Checksum, Owner
from s3ish.wire.fields import element, elsewhere, group, header, headers, label
from s3ish.wire.scalars import Instant
from s3ish.wire.shape import shape

ALGORITHMS = (
    "CRC32",
    "CRC32C",
    "CRC64NVME",
    "SHA1",
    "SHA256",
    "SHA512",
    "MD5",
    "XXHASH64",
    "XXHASH3",
    "XXHASH128",
)
CHECKSUM_TYPES = ("COMPOSITE", "FULL_OBJECT")
_HEADER_OF_FIELD = {
    "cache_control": "cache-control",
    "content_disposition": "content-disposition",
    "content_encoding": "content-encoding",
    "content_language": "content-language",
    "content_type": "content-type",
    "expires": "expires",
}
_FIELD_OF_HEADER = {header: field for field, header in _HEADER_OF_FIELD.items()}
WITH_BODY = "read with the body"
_FIELD_OF = {algorithm: f"checksum_{algorithm.lower()}" for algorithm in ALGORITHMS}
_ALGORITHM_OF = {field: algorithm for algorithm, field in _FIELD_OF.items()}


@shape
class BucketRequest:
    """A request on a bucket."""

    bucket: str = label("Bucket")
    expected_bucket_owner = elsewhere("x-amz-expected-bucket-owner", where="checked with the rights of the caller")


@shape
class RequesterPays:
    """Who pays for a request."""

    request_payer = elsewhere("x-amz-request-payer", where="checked with the rights of the caller")


@shape
class ObjectRequest(BucketRequest, RequesterPays):
    """A request on an object."""

    key: str = label("Key")


@shape
class DocumentDigest:
    """What a request says of its body that is a document."""

    digest = elsewhere("Content-MD5", "x-amz-sdk-checksum-algorithm", where=WITH_BODY)


@shape
class DataDigest(DocumentDigest):
    """What a request says of its body that is data."""

    length = elsewhere("Content-Length", where=WITH_BODY)
    checksums = elsewhere(*(f"x-amz-checksum-{algorithm.lower()}" for algorithm in ALGORITHMS), where=WITH_BODY)


@shape
class CustomerKeyHeaders:
    """Encryption with a key of the client's own (SSE-C)."""

    customer_algorithm: str | None = header("x-amz-server-side-encryption-customer-algorithm")
    customer_key: str | None = header("x-amz-server-side-encryption-customer-key", secret=True)
    customer_key_md5: str | None = header("x-amz-server-side-encryption-customer-key-MD5")


@shape
class CopySourceHeaders:
    """Where a copy takes its bytes from, and under which conditions."""

    copy_source: str = header("x-amz-copy-source", default="")
    copy_source_if_match: str | None = header("x-amz-copy-source-if-match")
    copy_source_if_none_match: str | None = header("x-amz-copy-source-if-none-match")
    copy_source_if_modified_since: Instant | None = header("x-amz-copy-source-if-modified-since")
    copy_source_if_unmodified_since: Instant | None = header("x-amz-copy-source-if-unmodified-since")
    source_customer_algorithm: str | None = header("x-amz-copy-source-server-side-encryption-customer-algorithm")
    source_customer_key: str | None = header("x-amz-copy-source-server-side-encryption-customer-key", secret=True)
    source_customer_key_md5: str | None = header("x-amz-copy-source-server-side-encryption-customer-key-MD5")
    expected_source_bucket_owner: str | None = header("x-amz-source-expected-bucket-owner")


@shape
class GrantHeaders:
    """Access given at creation."""

    acl: str | None = header("x-amz-acl")
    grant_full_control: str | None = header("x-amz-grant-full-control")
    grant_read: str | None = header("x-amz-grant-read")
    grant_read_acp: str | None = header("x-amz-grant-read-acp")
    grant_write_acp: str | None = header("x-amz-grant-write-acp")


@shape
class BucketGrantHeaders(GrantHeaders):
    """Access given to a bucket."""

    grant_write: str | None = header("x-amz-grant-write")


@shape
class KeptHeaders:
    """The headers that are kept with an object and given back with it."""

    cache_control: str | None = header("Cache-Control")
    content_disposition: str | None = header("Content-Disposition")
    content_encoding: str | None = header("Content-Encoding")
    content_language: str | None = header("Content-Language")
    content_type: str | None = header("Content-Type")
    expires: str | None = header("Expires")

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Self:
        """Return the headers of these values, by lower-case name."""
        made = cls()
        for name, value in values.items():
            setattr(made, _FIELD_OF_HEADER[name], value)
        return made

    def by_name(self) -> dict[str, str]:
        """Return the values that are there, by lower-case name."""
        return {_HEADER_OF_FIELD[field]: value for field, value in vars(self).items()}


@shape
class AttributeHeaders(GrantHeaders, CustomerKeyHeaders):
    """What a client says about an object that it makes."""

    kept: KeptHeaders | None = group()
    content_sha256: str | None = header("x-amz-content-sha256")
    metadata: dict[str, str] = headers("x-amz-meta-")
    server_side_encryption: str | None = header("x-amz-server-side-encryption")
    kms_key_id: str | None = header("x-amz-server-side-encryption-aws-kms-key-id")
    kms_context: str | None = header("x-amz-server-side-encryption-context")
    bucket_key_enabled: bool | None = header("x-amz-server-side-encryption-bucket-key-enabled")
    storage_class: str | None = header("x-amz-storage-class")
    website_redirect: str | None = header("x-amz-website-redirect-location")
    tagging: str | None = header("x-amz-tagging")
    lock_mode: str | None = header("x-amz-object-lock-mode")
    lock_until: str | None = header("x-amz-object-lock-retain-until-date")
    legal_hold: str | None = header("x-amz-object-lock-legal-hold")
    event_hold: str | None = header("x-amz-object-lock-event-hold")
    event_hold_days: int | None = header("x-amz-object-lock-event-hold-duration-days")
    event_hold_years: int | None = header("x-amz-object-lock-event-hold-duration-years")


class _Checksums:
    """What has one field for each algorithm."""

    @classmethod
    def of(cls, checksum: Checksum | None) -> Self | None:
        """Return the one field that a checksum fills; None where there is none."""
        if checksum is None:
            return None
        made = cls()
        setattr(made, _FIELD_OF[checksum.algorithm], checksum.value)
        return made

    def by_algorithm(self) -> dict[str, str]:
        """Return the checksums that a request gives."""
        return {_ALGORITHM_OF[field]: value for field, value in vars(self).items()}


class _ObjectChecksum(_Checksums):
    """What says beside it what the checksum is taken of."""

    checksum_type: str | None

    @classmethod
    def of(cls, checksum: Checksum | None) -> Self | None:
        if checksum is None:
            return None
        made = cls()
        setattr(made, _FIELD_OF[checksum.algorithm], checksum.value)
        made.checksum_type = checksum.kind
        return made


@shape
class ChecksumHeaders(_Checksums):
    """A checksum in headers, of a request or a response."""

    checksum_crc32: str | None = header("x-amz-checksum-crc32")
    checksum_crc32c: str | None = header("x-amz-checksum-crc32c")
    checksum_crc64nvme: str | None = header("x-amz-checksum-crc64nvme")
    checksum_sha1: str | None = header("x-amz-checksum-sha1")
    checksum_sha256: str | None = header("x-amz-checksum-sha256")
    checksum_sha512: str | None = header("x-amz-checksum-sha512")
    checksum_md5: str | None = header("x-amz-checksum-md5")
    checksum_xxhash64: str | None = header("x-amz-checksum-xxhash64")
    checksum_xxhash3: str | None = header("x-amz-checksum-xxhash3")
    checksum_xxhash128: str | None = header("x-amz-checksum-xxhash128")


@shape
class ObjectChecksumHeaders(ChecksumHeaders, _ObjectChecksum):
    """The checksum of an object in the headers of a response, and what it is taken of."""

    checksum_type: str | None = header("x-amz-checksum-type", choices=CHECKSUM_TYPES)


@shape
class ChecksumElements(_Checksums):
    """A checksum in XML."""

    checksum_crc32: str | None = element("ChecksumCRC32")
    checksum_crc32c: str | None = element("ChecksumCRC32C")
    checksum_crc64nvme: str | None = element("ChecksumCRC64NVME")
    checksum_sha1: str | None = element("ChecksumSHA1")
    checksum_sha256: str | None = element("ChecksumSHA256")
    checksum_sha512: str | None = element("ChecksumSHA512")
    checksum_md5: str | None = element("ChecksumMD5")
    checksum_xxhash64: str | None = element("ChecksumXXHASH64")
    checksum_xxhash3: str | None = element("ChecksumXXHASH3")
    checksum_xxhash128: str | None = element("ChecksumXXHASH128")


@shape
class ObjectChecksumElements(ChecksumElements, _ObjectChecksum):
    """The checksum of an object in XML, and what it is taken of."""

    checksum_type: str | None = element("ChecksumType", choices=CHECKSUM_TYPES)


@shape
class EncryptionEcho:
    """How an object says it is encrypted."""

    server_side_encryption: str | None = header("x-amz-server-side-encryption")
    kms_key_id: str | None = header("x-amz-server-side-encryption-aws-kms-key-id")
    bucket_key_enabled: bool | None = header("x-amz-server-side-encryption-bucket-key-enabled")

    @classmethod
    def of(cls, encryption: Mapping[str, str]) -> Self | None:
        """Return what the attributes of an object say; None where it is not encrypted."""
        if not encryption:
            return None
        return cls(
            server_side_encryption=encryption.get("type"),
            kms_key_id=encryption.get("key"),
            bucket_key_enabled=True if encryption.get("bucket-key") == "true" else None,
        )


@shape
class ObjectEncryptionEcho(EncryptionEcho):
    """The same, and of an object under a client's key what confirms that."""

    customer_algorithm: str | None = header("x-amz-server-side-encryption-customer-algorithm")
    customer_key_md5: str | None = header("x-amz-server-side-encryption-customer-key-MD5")

    @classmethod
    def of(cls, encryption: Mapping[str, str], key_md5: str = "") -> Self | None:
        """Return what the attributes of an object say, and of the client's key; None where it is not encrypted."""
        if key_md5:
            return cls(customer_algorithm="AES256", customer_key_md5=key_md5)
        return super().of(encryption) if encryption else None


@shape
class NewEncryptionEcho(ObjectEncryptionEcho):
    """How an object that was just made says it is encrypted: with its context."""

    kms_context: str | None = header("x-amz-server-side-encryption-context")

    @classmethod
    def of(cls, encryption: Mapping[str, str], key_md5: str = "") -> Self | None:
        """Return what the attributes of an object say, and of the client's key; None where it is not encrypted."""
        made = super().of(encryption, key_md5)
        if made is not None and "context" in encryption:
            made.kms_context = encryption["context"]
        return made


@shape
class OwnerElement:
    """An owner or initiator in XML."""

    id: str = element("ID", default=...)
    display_name: str | None = element("DisplayName")


@shape
class TagElement:
    """A tag."""

    key: str = element("Key", default=...)
    value: str = element("Value", default=...)


@shape
class CommonPrefix:
    """Keys rolled up at a delimiter."""

    prefix: str = element("Prefix", default=..., url=True)


@lru_cache(256)
def owner_element(owner: Owner) -> OwnerElement:
    """Return an owner as S3 writes it."""
    return OwnerElement(id=owner.id, display_name=owner.display_name or None)


def arn_of(bucket: str) -> str:
    """Return the resource name of a bucket."""
    return f"arn:aws:s3:::{bucket}"


def quoted(etag: str) -> str:
    """Return an entity tag as it stands on the wire."""
    return f'"{etag}"'
