"""The scalars of S3's formats: how a number, a truth value or a moment is written and read.

Pure functions on text. Moments are nanoseconds since the epoch everywhere in the program; they become text here:
ISO 8601 with milliseconds in XML, RFC 9110's IMF-fixdate in headers. A text that does not parse raises ``ValueError``;
the caller knows which S3 error that is.
"""

import base64
import re
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NewType
from urllib.parse import quote

Instant = NewType("Instant", int)
"""A moment in nanoseconds since the epoch, UTC."""

Count = NewType("Count", int)
"""How many results a page may have, or after which number it begins: 32 bits with a sign."""

EntityTag = NewType("EntityTag", str)
"""An entity tag without its quotes: hexadecimal digits, with a dash and a number behind them for multipart objects."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_unsafe = re.compile("[^A-Za-z0-9/_.~*-]").search
_SECOND = 1_000_000_000
_DATES_KEPT = 1024
_DAYS_KEPT = 4096
_EPOCH = date(1970, 1, 1)
_MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60))
_SECONDS = tuple(f"{second:02}." for second in range(60))
_MILLISECONDS = tuple(f"{millisecond:03}Z" for millisecond in range(1000))


def write_iso8601(moment: int) -> str:
    """Write a moment as S3's XML does, for example ``2026-01-31T09:30:00.123Z``."""
    at = moment // 1_000_000
    # A page of a listing writes a thousand moments: texts of days and tables cost a seventh of datetime.
    day, minute = _day(at // 86_400_000), _MINUTES[at // 60_000 % 1440]
    return f"{day}{minute}{_SECONDS[at // 1000 % 60]}{_MILLISECONDS[at % 1000]}"


@lru_cache(_DAYS_KEPT)
def _day(number: int) -> str:
    return f"{_EPOCH + timedelta(number)}T"


@lru_cache(_DATES_KEPT)
def write_http_date(moment: int) -> str:
    """Write a moment as an HTTP header does, for example ``Sat, 31 Jan 2026 09:30:00 GMT``; fractions are dropped."""
    at = datetime.fromtimestamp(moment // _SECOND, UTC)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} GMT"
    )


def _instant(at: datetime) -> Instant:
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    whole = int(at.replace(microsecond=0).timestamp())
    return Instant(whole * _SECOND + at.microsecond * 1000)


def read_iso8601(text: str) -> Instant:
    """Read an ISO 8601 moment with or without a fraction and a zone (UTC if none)."""
    return _instant(datetime.fromisoformat(text))


def read_http_date(text: str) -> Instant:
    """Read any of HTTP's three date forms, or ISO 8601, which some clients send in headers."""
    try:
        return _instant(parsedate_to_datetime(text))
    except (TypeError, ValueError, IndexError, OverflowError):
        return read_iso8601(text)


def read_integer(text: str) -> int:
    """Read a decimal integer: an optional minus and ASCII digits, nothing else, at most 19 digits."""
    digits = text[1:] if text[:1] == "-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        raise ValueError(text[:32])
    return int(text)


def read_count(text: str) -> int | None:
    """Read a count of a listing's query; an empty text gives none."""
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(text[:32])
    value = int(digits.lstrip("0")[:11] or "0")
    value = -value if text[0] == "-" else value
    if not -(1 << 31) <= value < 1 << 31:
        raise ValueError(text[:32])
    return value


def read_position(text: str) -> int:
    """Read ASCII digits of any number; what lies beyond every object is 2^63."""
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= 18 else 1 << 63


def read_boolean(text: str) -> bool:
    """Read ``true`` or ``false`` in any case."""
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise ValueError(text[:32])
    return lowered == "true"


def write_boolean(value: bool) -> str:
    """Write ``true`` or ``false``."""
    return "true" if value else "false"


def read_base64(text: str, length: int) -> bytes:
    """Read base 64 of exactly ``length`` bytes."""
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:  # also of what is not ASCII
        raise ValueError(text[:64]) from error
    if len(value) != length:
        raise ValueError(text[:64])
    return value


def write_url(text: str) -> str:
    """Percent-encode a key as ``encoding-type=url`` does: slashes and unreserved characters stay."""
    return quote(text, safe="/-_.~*") if _unsafe(text) else text
