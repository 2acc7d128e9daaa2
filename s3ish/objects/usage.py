"""How much changes with a commit: what is added to the counters of a bucket and its owner.

The counters change in the commit that makes the change, and by numbers that follow from rows which the commit expects.
So they are right in each order of commits, and no two writers meet.
"""

from collections.abc import Iterable

from s3ish.model import Part, Usage, Version

UPLOAD = Usage(uploads=1)
"""An upload without a part."""


def of_version(version: Version | None, keys: int = 0) -> Usage:
    """Return what one version adds, and so many keys that listings show with it; see ``of_key``."""
    if version is None:
        return Usage(objects=keys)
    return Usage(keys, markers=1) if version.marker else Usage(keys, 1, bytes=bytes_of(version))


def bytes_of(version: Version) -> int:
    """Return the bytes of a version and its annotations."""
    if not version.annotations:
        return version.size
    return version.size + sum(one.part.size for one in version.annotations)


def of_parts(parts: Iterable[Part]) -> Usage:
    """Return what parts of an upload in progress add."""
    return Usage(upload_bytes=sum(part.size for part in parts))


def of_key(before: Version | None, after: Version | None) -> int:
    """Return how many keys more listings show when another version is the newest of a key."""
    return _is_shown(after) - _is_shown(before)


def _is_shown(version: Version | None) -> bool:
    return version is not None and not version.marker
