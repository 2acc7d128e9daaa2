"""What lifecycle rules mean for a version or an upload: when it is to go. Nothing is done here.

A day counts from the midnight that follows the moment from which S3 counts: of a current version and an upload that it
was made, of a noncurrent version that it was covered.

``day_ns`` is how long a day is, in nanoseconds.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from collections.abc import Sequence

from msgspec import Struct

from s3ish.model import Tag, Upload, Version

CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
"""Where objects may go, each class before those behind it; STANDARD and others come before all."""
_PREFERRED = ("STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE")
"""Of several classes at once the last of these is taken.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-conflicts.html
"""


class Move(Struct, frozen=True, kw_only=True):
    """A transition of versions of at least ``least`` bytes to another class, after days or at a moment.

    Of noncurrent versions the newest ``newer_versions`` stay where they are.
    """

    storage_class: str
    days: int | None = None
    at_ns: int | None = None
    least: int = 0
    newer_versions: int = 0


class Rule(Struct, frozen=True, kw_only=True):
    """One rule that is enabled: what it is about, and which actions it asks for; None where it does not.

    Sizes are in bytes, moments in nanoseconds since the epoch. ``markers`` says that delete markers go that cover
    nothing. Of the noncurrent versions the newest ``newer_versions`` stay.
    """

    id: str
    prefix: str = ""
    tags: tuple[Tag, ...] = ()
    greater_than: int | None = None
    less_than: int | None = None
    days: int | None = None
    at_ns: int | None = None
    markers: bool = False
    noncurrent_days: int | None = None
    newer_versions: int = 0
    upload_days: int | None = None
    moves: tuple[Move, ...] = ()
    noncurrent_moves: tuple[Move, ...] = ()

    def is_about(self, version: Version, *, covered: bool = False) -> bool:
        """Whether a version is one that the rule speaks of.

        A delete marker has no tags; its size is 0 if it is covered by a later version, and none if it is current.
        """
        if not version.key.startswith(self.prefix):
            return False
        if version.marker and not covered and (self.greater_than is not None or self.less_than is not None):
            return False
        return (
            set(self.tags) <= set(version.attributes.tags)
            and (self.greater_than is None or version.size > self.greater_than)
            and (self.less_than is None or version.size < self.less_than)
        )


class Due(Struct, frozen=True):
    """When something is to go, in nanoseconds since the epoch, and the id of the rule that says so.

    ``below`` is how many newer versions a noncurrent version must have then.
    """

    at_ns: int
    rule: str
    below: int = 0


def counted(since_ns: int, days: int, day_ns: int) -> int:
    """Return the end of so many days: the first midnight after them."""
    return (since_ns // day_ns + days + 1) * day_ns


def expiry(rules: Sequence[Rule], version: Version, day_ns: int) -> Due | None:
    """Return when a current version expires; a delete marker does when it covers nothing, which the caller knows."""
    dues = [Due(at, rule.id) for rule in rules for at in _expiries(rule, version, day_ns) if rule.is_about(version)]
    return min(dues, key=_at, default=None)


def _expiries(rule: Rule, version: Version, day_ns: int) -> list[int]:
    ends = [counted(version.modified_ns, rule.days, day_ns)] if rule.days is not None else []
    if rule.at_ns is not None:
        ends.append(rule.at_ns)
    if version.marker and rule.markers:
        ends.append(version.modified_ns)
    return ends


def noncurrent_expiry(rules: Sequence[Rule], version: Version, covered_ns: int, newer: int, day_ns: int) -> Due | None:
    """Return when a noncurrent version expires.

    Args:
        covered_ns: when the next newer version was made.
        newer: how many noncurrent versions of the key are newer.
    """
    dues = [
        Due(counted(covered_ns, rule.noncurrent_days, day_ns), rule.id, rule.newer_versions + 1)
        for rule in rules
        if rule.noncurrent_days is not None and newer >= rule.newer_versions and rule.is_about(version, covered=True)
    ]
    return min(dues, key=_at, default=None)


def transition(rules: Sequence[Rule], version: Version, day_ns: int, now_ns: int) -> str:
    """Return the class where a current version should be by now; empty if it is there, or behind it."""
    due = [
        move.storage_class
        for rule in rules
        for move in rule.moves
        if _is_due(move, version.modified_ns, day_ns, now_ns) and move.least <= version.size and rule.is_about(version)
    ]
    return _last(version, due)


def noncurrent_transition(
    rules: Sequence[Rule], version: Version, covered_ns: int, newer: int, day_ns: int, now_ns: int
) -> str:
    """Return the class where a noncurrent version should be by now; see ``transition``, ``noncurrent_expiry``."""
    due = [
        move.storage_class
        for rule in rules
        for move in rule.noncurrent_moves
        if _is_due(move, covered_ns, day_ns, now_ns)
        and move.least <= version.size
        and newer >= move.newer_versions
        and rule.is_about(version)
    ]
    return _last(version, due)


def _is_due(move: Move, since_ns: int, day_ns: int, now_ns: int) -> bool:
    at = move.at_ns if move.days is None else counted(since_ns, move.days, day_ns)
    return at is not None and at <= now_ns


def _last(version: Version, due: Sequence[str]) -> str:
    """Return the last of some classes that a version may go to, empty if there is none."""
    now = version.attributes.storage_class
    if version.marker:
        return ""
    return max((name for name in due if is_behind(name, now)), key=_PREFERRED.index, default="")


def is_behind(storage_class: str, now: str) -> bool:
    """Whether an object of the class ``now`` may go to another one.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
    """
    if (now, storage_class) == ("ONEZONE_IA", "GLACIER_IR"):
        return False
    return now not in CLASSES or CLASSES.index(storage_class) > CLASSES.index(now)


def upload_expiry(rules: Sequence[Rule], upload: Upload, day_ns: int) -> Due | None:
    """Return when an upload is aborted that was not completed."""
    dues = [
        Due(counted(upload.created_ns, rule.upload_days, day_ns), rule.id)
        for rule in rules
        if rule.upload_days is not None and upload.key.startswith(rule.prefix)
    ]
    return min(dues, key=_at, default=None)


def _at(due: Due) -> int:
    return due.at_ns
