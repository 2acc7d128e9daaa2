"""Bucket names and object keys: the one parser for every place where they arrive.

A key can come in a URL, in a copy source, in a form field or in an XML body. All of them pass here, so that what is
authorised is what is opened.
"""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from s3ish.errors import InvalidArgument, InvalidBucketName, InvalidURI, KeyTooLongError

MAX_KEY_BYTES = 1024

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TARGET_ARN = re.compile(r"arn:[\w-]{1,32}:[a-z-]{1,32}:[\w-]{0,64}:[\w-]{0,64}:[\w:./$-]{1,256}", re.ASCII)
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_REGIONAL, _REGIONAL_SUFFIX = re.compile(r".+-[0-9]{12}-[a-z0-9-]+-an"), "-an"
"""Names in the part of an account and a region, as no others may end."""
_NAMES_KEPT = 1024
"""How many names of buckets stay checked."""
_HOST_LIKE = ("minio",)
"""Names that health probes of other servers use as the first path segment."""


def is_bucket_name(name: str) -> bool:
    """Whether a text follows the bucket naming rules.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    return (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
        and (not is_regional(name) or _REGIONAL.fullmatch(name) is not None)
        and name not in _HOST_LIKE
    )


def is_regional(name: str) -> bool:
    """Whether a name is in the part of an account and a region.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html
    """
    return name.endswith(_REGIONAL_SUFFIX)


def is_target_arn(text: str) -> bool:
    """Whether a text has the form of the ARN by which settings name a target; no ARN of a bucket has it."""
    return _TARGET_ARN.fullmatch(text) is not None


def decode_segment(raw: str) -> str:
    """Percent-decode one part of a URL path; a plus is a plus.

    Raises:
        InvalidURI: a broken escape, bytes that are not UTF-8, or a NUL.
    """
    if "%" not in raw:
        return raw
    decoded = unquote_to_bytes(raw)
    if b"\0" in decoded or _BROKEN_ESCAPE.search(raw):
        raise InvalidURI
    try:
        return decoded.decode()
    except UnicodeDecodeError as error:
        raise InvalidURI from error


@lru_cache(_NAMES_KEPT)
def check_bucket_name(name: str) -> str:
    """Return the name, or raise InvalidBucketName."""
    if not is_bucket_name(name):
        raise InvalidBucketName(BucketName=name[:255])
    return name


def check_key(key: str) -> str:
    """Return a decoded key that may be stored.

    Raises:
        KeyTooLongError: more than 1,024 bytes of UTF-8.
        InvalidArgument: empty, or with a NUL.
        InvalidURI: relative segments that climb above the bucket.
    """
    if not key or "\0" in key:
        raise InvalidArgument("The object key must not be empty or contain a NUL character.", ArgumentName="Key")
    try:
        size = len(key) if key.isascii() else len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidURI from error
    if size > MAX_KEY_BYTES:
        raise KeyTooLongError(Size=size, MaxSizeAllowed=MAX_KEY_BYTES)
    if ".." in key:
        _refuse_climbing(key)
    return key


def _refuse_climbing(key: str) -> None:
    """S3 allows ``..`` segments while, read from the left, they never outnumber the others."""
    depth = 0
    for segment in key.split("/"):
        depth += -1 if segment == ".." else 1
        if depth < 0:
            raise InvalidURI


def split_copy_source(text: str) -> tuple[str, str, str | None]:
    """Split ``x-amz-copy-source`` into bucket, key and version id.

    The form is ``[/]bucket/key[?versionId=id]``, encoded as the value of a query: a plus sign means a space.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html

    Raises:
        InvalidArgument: not of that form, or not encoded as a path is.
        InvalidBucketName, InvalidURI, KeyTooLongError: as for a request's own target.
    """
    path, _, version = text.replace("+", "%20").partition("?versionId=")
    if not version and "?versionId=" in text:
        raise InvalidArgument("Version id cannot be the empty string", ArgumentName="x-amz-copy-source")
    bucket, separator, key = path.removeprefix("/").partition("/")
    try:
        if not separator and "%2f" in path.lower():  # some clients encode the whole, slashes included
            bucket, separator, key = decode_segment(path).removeprefix("/").partition("/")
        else:
            bucket, key = decode_segment(bucket), decode_segment(key)
        version = decode_segment(version)
    except InvalidURI as error:
        raise InvalidArgument("Invalid copy source encoding.", ArgumentName="x-amz-copy-source") from error
    if not bucket or not key:
        raise InvalidArgument(
            f"Invalid copy source {'object key' if bucket else 'bucket name'}",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=text[:1024],
        )
    return check_bucket_name(bucket), check_key(key), version or None
