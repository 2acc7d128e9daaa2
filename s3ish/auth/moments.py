"""When a request was signed: the dates that it names, and how far they may be from the server's clock."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from s3ish.errors import AccessDenied, RequestTimeTooSkewed

MAX_SKEW = timedelta(minutes=15)
_TEXTS_KEPT = 128


@lru_cache(_TEXTS_KEPT)
def read_iso(text: str) -> datetime | None:
    """Return the moment of a text of the form ``20260131T093000Z``, None if it is not one."""
    if len(text) != 16 or text[8] != "T" or text[15] != "Z" or not (text[:8] + text[9:15]).isdecimal():
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def read_http(text: str) -> datetime | None:
    """Return the moment of a text of the form ``Sat, 31 Jan 2026 09:30:00 GMT`` in UTC, None if it is not one."""
    try:
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def write_iso(at: datetime) -> str:
    """Return a moment as Version 4 signs it."""
    return at.strftime("%Y%m%dT%H%M%SZ")


def show(at: datetime) -> str:
    """Return a moment as errors name it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def header_time(headers: Mapping[str, str], *, iso_only: bool) -> datetime:
    """Return when a request says that it was signed: ``x-amz-date``, and ``date`` where that is absent.

    Args:
        iso_only: whether ``x-amz-date`` must be of Version 4's form.

    Raises:
        AccessDenied: neither is there, or it is not a date.
    """
    text = headers.get("x-amz-date")
    if text is None:
        at = read_http(headers.get("date", ""))
    else:
        at = read_iso(text) or (None if iso_only else read_http(text))
    if at is None:
        raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
    return at


def check_skew(at: datetime, now: datetime) -> None:
    """Refuse what was signed more than fifteen minutes ago or ahead. Raises RequestTimeTooSkewed."""
    if abs(now - at) > MAX_SKEW:
        raise RequestTimeTooSkewed(
            RequestTime=write_iso(at),
            ServerTime=show(now),
            MaxAllowedSkewMilliseconds=MAX_SKEW // timedelta(milliseconds=1),
        )


def expired(end: datetime, now: datetime, seconds: int | None = None) -> AccessDenied:
    """Return the error that says when a presigned URL ended; ``seconds`` is how long it was good, if it says that."""
    period: dict[str, Any] = {} if seconds is None else {"X-Amz-Expires": seconds}
    return AccessDenied("Request has expired", **period, Expires=show(end), ServerTime=show(now))


def early(at: datetime, end: datetime, now: datetime) -> AccessDenied:
    """Return the error that says that a presigned URL is not good yet, when it was signed, and when it ends."""
    signed: dict[str, Any] = {"X-Amz-Date": int(at.timestamp()) * 1000}
    return AccessDenied("Request is not yet valid", **signed, Expires=show(end), ServerTime=show(now))
