"""Lists of the objects of a bucket: what stands in them, and how.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import base64
import hashlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from s3ish.model import Version
from s3ish.objects.encodings import customer
from s3ish.tables.state import ListedFile

KEPT_AS = {"CSV": "csv.gz", "Parquet": "parquet"}
"""How the names of the files of each format end."""
_EACH_WEEK_FROM = 3
"""Weeks begin with a Sunday; the first one since the epoch was that day."""


class List(Struct, frozen=True, kw_only=True):
    """What a list is of and where it goes: one configuration that is enabled.

    ``fields`` are the optional ones in S3's order; ``all_versions`` includes noncurrent versions and delete markers.
    ``encryption`` is that of its files, as attributes of objects have it; empty for what their bucket gives.
    """

    id: str
    target: str
    target_prefix: str = ""
    form: str = "CSV"
    prefix: str = ""
    all_versions: bool = False
    weekly: bool = False
    fields: tuple[str, ...] = ()
    encryption: dict[str, str] = {}

    def period(self, now_ns: int, day_ns: int) -> int:
        """Return the number of the day, or of the week, in which there is one list."""
        day = now_ns // day_ns
        return (day - _EACH_WEEK_FROM) // 7 if self.weekly else day

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        of_versions = ("VersionId", "IsLatest", "IsDeleteMarker") if self.all_versions else ()
        return ("Bucket", "Key", *of_versions, *self.fields)

    def row(self, version: Version, *, latest: bool) -> list[Any]:
        """Return the values of a version, None where there is none."""
        return [_VALUES[column](version, latest) for column in self.columns]

    def folder(self, bucket: str) -> str:
        """Return what the keys of all files begin with, given the bucket that is listed."""
        return f"{self.target_prefix}{'/' if self.target_prefix else ''}{bucket}/{self.id}"


def csv_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as CSV: every value in quotes, keys as in a URL."""
    return "".join(
        ",".join([_quoted(bucket), _quoted(quote(key)), *map(_quoted, rest)]) + "\n" for bucket, key, *rest in rows
    ).encode()


def _quoted(value: Any) -> str:
    if value is None:
        return '""'
    text = _TEXTS[type(value)](value) if type(value) in _TEXTS else str(value)
    return '"' + text.replace('"', '""') + '"'


_TEXTS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    datetime: lambda value: f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z",
}


def has_parquet() -> bool:
    """Whether the library is there that writes Parquet, of the extra ``s3ish[inventory]``."""
    return importlib.util.find_spec("pyarrow") is not None


def parquet(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows as a Parquet file, with S3's names and types of columns. Raises ImportError: see ``has_parquet``."""
    import pyarrow
    from pyarrow.parquet import write_table

    kinds = {"IsLatest": pyarrow.bool_(), "IsDeleteMarker": pyarrow.bool_(), "IsMultipartUploaded": pyarrow.bool_()}
    kinds |= {"Size": pyarrow.int64()}
    kinds |= dict.fromkeys(("LastModifiedDate", "ObjectLockRetainUntilDate"), pyarrow.timestamp("ms", tz="UTC"))
    schema = pyarrow.schema([(_snake(name), kinds.get(name, pyarrow.string())) for name in columns])
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    table = pyarrow.Table.from_arrays(
        [pyarrow.array(list(column), field.type) for column, field in zip(values, schema, strict=True)], schema=schema
    )
    sink = pyarrow.BufferOutputStream()
    write_table(table, sink)
    return bytes(sink.getvalue())


def _snake(name: str) -> str:
    """Return what S3 calls a column in Parquet: ``e_tag``, ``last_modified_date``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def manifest(wanted: List, bucket: str, began_ns: int, files: Sequence[ListedFile]) -> bytes:
    """Return ``manifest.json`` of a list that is complete."""
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "sourceBucket": bucket,
                "destinationBucket": f"arn:aws:s3:::{wanted.target}",
                "version": "2016-11-30",
                "creationTimestamp": str(began_ns // 1_000_000),
                "fileFormat": wanted.form,
                "fileSchema": ", ".join(wanted.columns),
                "files": [{"key": file.key, "size": file.size, "MD5checksum": file.md5} for file in files],
            }
        )
    )


def md5_of(data: bytes) -> str:
    """Return the MD5 of bytes in hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // 1_000_000 / 1000, UTC)


_ENCRYPTIONS = {"": "NOT-SSE", "AES256": "SSE-S3", "aws:kms": "SSE-KMS", "aws:kms:dsse": "DSSE-KMS"}


def _encryption(version: Version, _: bool) -> str | None:
    if version.marker:
        return None
    if customer.link_in(version.encoding):
        return "SSE-C"
    return _ENCRYPTIONS[version.attributes.encryption.get("type", "")]


def _bucket_key(version: Version, _: bool) -> str | None:
    encryption = version.attributes.encryption
    if not encryption.get("type", "").startswith("aws:kms"):
        return None
    return "ENABLED" if encryption.get("bucket-key") else "DISABLED"


def _grants(version: Version, _: bool) -> str | None:
    if version.marker:
        return None
    grants = [{"canonicalId": version.owner.id, "type": "CanonicalUser", "permission": "FULL_CONTROL"}]
    for grant in version.attributes.acl:
        is_group = grant.grantee.startswith("http")
        name, kind = ("uri", "Group") if is_group else ("canonicalId", "CanonicalUser")
        grants.append({name: grant.grantee, "type": kind, "permission": grant.permission})
    acl = {"version": "2022-11-10", "status": "AVAILABLE", "grants": grants}
    return base64.b64encode(msgspec.json.encode(acl)).decode()


def _of_object(get: Callable[[Version], Any]) -> Callable[[Version, bool], Any]:
    """Return what gives a value of an object, and none of a delete marker."""
    return lambda version, _: None if version.marker else get(version)


def _nothing(_version: Version, _latest: bool) -> None:
    return None


_VALUES: dict[str, Callable[[Version, bool], Any]] = {
    "Bucket": lambda version, _: version.bucket,
    "Key": lambda version, _: version.key,
    "VersionId": lambda version, _: "" if version.id == "null" else version.id,
    "IsLatest": lambda _, latest: latest,
    "IsDeleteMarker": lambda version, _: version.marker,
    "Size": _of_object(lambda version: version.size),
    "LastModifiedDate": lambda version, _: _moment(version.modified_ns),
    "ETag": _of_object(lambda version: version.etag),
    "StorageClass": _of_object(lambda version: version.attributes.storage_class),
    "IsMultipartUploaded": _of_object(lambda version: bool(version.sent_parts)),
    "ReplicationStatus": lambda version, _: version.replication or None,
    "EncryptionStatus": _encryption,
    "ObjectLockRetainUntilDate": lambda version, _: (
        _moment(version.attributes.lock.until_ns) if version.attributes.lock and version.attributes.lock.mode else None
    ),
    "ObjectLockMode": lambda version, _: (version.attributes.lock and version.attributes.lock.mode) or None,
    "ObjectLockLegalHoldStatus": _of_object(
        lambda version: "ON" if version.attributes.lock and version.attributes.lock.legal_hold else "OFF"
    ),
    "ObjectLockEventHoldStatus": _of_object(
        lambda version: "ON" if version.attributes.lock and version.attributes.lock.event_hold else "OFF"
    ),
    "ObjectLockEventHoldDuration": _nothing,
    "IntelligentTieringAccessTier": _of_object(
        lambda version: "FREQUENT" if version.attributes.storage_class == "INTELLIGENT_TIERING" else None
    ),
    "BucketKeyStatus": _bucket_key,
    "ChecksumAlgorithm": _of_object(lambda version: version.checksum.algorithm if version.checksum else None),
    "ObjectAccessControlList": _grants,
    "ObjectOwner": _of_object(lambda version: version.owner.id),
    "LifecycleExpirationDate": _nothing,
    "IntelligentTieringReferenceDate": _nothing,
}
"""The value of each column; nothing where a server on one machine has none."""
FIELDS = tuple(_VALUES)[5:]
"""The optional ones, in their order."""
