"""Object Lock: what keeps a version from being removed, and who may loosen it. Pure: it is asked, and told the time.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from datetime import UTC, datetime

from msgspec.structs import replace

from s3ish.errors import AccessDenied, InvalidArgument
from s3ish.model import Lock, Version

_DAY_NS = 86_400 * 1_000_000_000
_SHOWN_NS = 1_000_000
"""What the end of a retention is shown to; a client knows no more of it."""
NO_LOCK = Lock()


def is_retained(lock: Lock, now_ns: int) -> bool:
    """Tell whether the retention of a lock lasts; ``now_ns`` is service time."""
    return bool(lock.mode) and (lock.event_hold or now_ns < lock.until_ns)


def check_removal(version: Version, now_ns: int, *, bypass: bool) -> None:
    """Check that a version may be removed.

    Args:
        now_ns: service time in nanoseconds since the epoch.
        bypass: whether the caller may remove what is retained in governance mode, and asks to.

    Raises:
        AccessDenied: its lock forbids it. No caller is exempt from a legal hold or from compliance mode.
    """
    lock = version.attributes.lock
    if lock is None:
        return
    governed = lock.mode == "GOVERNANCE" and bypass
    if lock.legal_hold or (is_retained(lock, now_ns) and not governed):
        raise AccessDenied("Access Denied because object protected by object lock.")


def with_retention(lock: Lock | None, wanted: Lock, now_ns: int, *, bypass: bool) -> Lock:
    """Return a lock with another retention: mode, end and event hold of ``wanted``.

    A retention that lasts can be made longer by who may write it; it can be loosened in governance mode with a bypass,
    and in compliance mode never.

    Raises:
        AccessDenied: it would be loosened.
    """
    lock = lock or NO_LOCK
    if is_retained(lock, now_ns) and _loosens(lock, wanted, now_ns) and (lock.mode == "COMPLIANCE" or not bypass):
        raise AccessDenied("Access Denied because object protected by object lock.")
    if lock.event_hold and wanted.mode and not wanted.event_hold and not wanted.until_ns:
        wanted = replace(wanted, until_ns=after(now_ns, lock.event_days, lock.event_years))
    return replace(
        lock,
        mode=wanted.mode,
        until_ns=wanted.until_ns,
        event_hold=wanted.event_hold,
        event_days=wanted.event_days,
        event_years=wanted.event_years,
    )


def no_looser(lock: Lock | None, wanted: Lock | None, now_ns: int) -> Lock | None:
    """Return the lock of a replica, given its own and that of its source: what holds the replica goes on to hold it.

    Who may loosen a lock of one bucket may not be one who may loosen that of the other.
    """
    if lock is None or wanted is None:
        return lock or wanted
    own = replace(lock, mode=wanted.mode) if wanted.mode == "COMPLIANCE" else lock  # which is the stricter mode
    released = lock.event_hold and not wanted.event_hold
    keeps = is_retained(lock, now_ns) and (released or _loosens(own, wanted, now_ns))
    hold = lock.legal_hold or wanted.legal_hold
    if hold is None:
        hold = lock.legal_hold  # one that was taken off shows as such
    return replace(lock if keeps else wanted, legal_hold=hold)


def _loosens(lock: Lock, wanted: Lock, now_ns: int) -> bool:
    if wanted.mode != lock.mode:
        return True
    if lock.event_hold and not wanted.event_hold:
        return bool(wanted.until_ns)  # a hold that is released lasts as long as was promised, and no other time
    end_ns = _earliest_end(lock, now_ns)
    return _earliest_end(wanted, now_ns) < end_ns - end_ns % _SHOWN_NS


def _earliest_end(lock: Lock, now_ns: int) -> int:
    """Return when a retention can end at the earliest; an event hold can be released at once."""
    return after(now_ns, lock.event_days, lock.event_years) if lock.event_hold else lock.until_ns


def with_hold(lock: Lock | None, *, on: bool) -> Lock:
    """Return a lock with a legal hold, or without one."""
    return replace(lock or NO_LOCK, legal_hold=on)


def after(now_ns: int, days: int, years: int) -> int:
    """Return the moment so many days, or years of the calendar, after another. Raises InvalidArgument beyond 9999."""
    if not years:
        return now_ns + days * _DAY_NS
    at = datetime.fromtimestamp(now_ns / 1e9, UTC)
    try:
        end = at.replace(year=at.year + years)
    except ValueError:  # 29 February, or beyond the calendar
        if at.year + years > 9999:
            raise InvalidArgument("The retention period is too large.") from None
        end = at.replace(year=at.year + years, day=28)
    return now_ns + int((end - at).total_seconds()) * 1_000_000_000
