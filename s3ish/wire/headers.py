"""Texts in HTTP headers: what a value may hold, and how one that is beyond ASCII is told.

A header carries ISO-8859-1. Metadata may be any Unicode text, and comes back as an encoded word (RFC 2047).
"""

import base64
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from s3ish.errors import InvalidArgument

_NAMES_KEPT = 256
"""So many names of headers stay encoded: most come again with every answer."""
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_carried = re.compile("[\t\x20-\x7e\x80-\xff]*").fullmatch
_plain = re.compile("[\t\x20-\x7e]*").fullmatch
_token = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_controls = re.compile("[\x00-\x08\x0a-\x1f\x7f]").search


def check_value(name: str, value: str) -> str:
    """Return a value that a header can carry as it is.

    Args:
        name: what the error calls it: the header or the parameter that it came in.

    Raises:
        InvalidArgument: it is beyond ISO-8859-1, or has control characters.
    """
    if not _carried(value):
        raise InvalidArgument(
            "Header value cannot contain control characters."
            if _controls(value)
            else "Header value cannot be represented using ISO-8859-1.",
            ArgumentName=name,
            ArgumentValue=value,
        )
    return value


def encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers as they are on the wire: values in UTF-8 where ISO-8859-1 does not have them."""
    try:
        return [(_encode_name(name), value.encode("latin-1")) for name, value in headers]
    except UnicodeEncodeError:
        return [(_encode_name(name), _encode_value(value)) for name, value in headers]


def encode_section(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return headers as the lines of a header section; see ``encode``."""
    try:
        return "\r\n".join([*map(": ".join, headers), ""]).encode("latin-1")
    except UnicodeEncodeError:
        return b"\r\n".join([*map(b": ".join, encode(headers)), b""])


@lru_cache(_NAMES_KEPT)
def _encode_name(name: str) -> bytes:
    return name.encode("latin-1")


def _encode_value(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def check_metadata(name: str, value: str) -> None:
    """Refuse metadata that could not be given back.

    Raises:
        InvalidArgument: a name that is no token (RFC 9110 section 5.6.2), control characters, or no Unicode text.
    """
    if not _token(name) or _controls(value) or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidArgument("A metadata name or value is not valid.", ArgumentName=f"x-amz-meta-{name[:64]}")


def write_text(text: str) -> str:
    """Return a text as a header carries it: what is no printable ASCII is percent-encoded, and all else as it is."""
    return quote(text, _PRINTABLE)


def write_metadata(value: str) -> str:
    """Return metadata as a header carries it: itself, or an encoded word if it is not ASCII.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata
    """
    return value if _plain(value) else f"=?UTF-8?B?{base64.b64encode(value.encode('utf-8', 'replace')).decode()}?="
