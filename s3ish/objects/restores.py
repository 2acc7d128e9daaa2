"""The moments of a restore from an archive class, which events report: when it is complete, and when it ends.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from collections.abc import Iterator

from s3ish.clock import Clock
from s3ish.index.protocol import Put
from s3ish.model import Restore, Version
from s3ish.objects.archive import is_archived
from s3ish.objects.consequences import Happening
from s3ish.tables.catalogue import RESTORES

COMPLETED, ENDED = "ObjectRestore:Completed", "ObjectRestore:Delete"
"""The events of the two moments."""


class Restores:
    """A source of consequences: the rows of the moments of a restore that begins, or is to last longer.

    Args:
        clock: knows how long a restore takes; that of one which takes no time is complete in the same commit.
    """

    def __init__(self, clock: Clock) -> None:
        self._service = clock.service

    def rows(self, happening: Happening) -> Iterator[Put]:
        """Return the rows that a change brings."""
        version = happening.after
        if version is None or version.restore is None:
            return
        before = happening.before.restore if happening.before and happening.is_amendment else None
        for put, name, at_ns in _moments(version, version.restore):
            is_told = name == COMPLETED and not self._service.restore_ns
            if not is_told and (before is None or at_ns not in (before.ready_ns, before.until_ns)):
                yield put


def coming(version: Version, now_ns: int) -> list[Put]:
    """Return the rows of the moments of a version's restore that are not past; ``now_ns`` is service time."""
    return [put for put, _, at_ns in _moments(version, version.restore) if at_ns > now_ns] if version.restore else []


def is_due(version: Version, name: str, at_ns: int) -> bool:
    """Whether a moment is still one of the restore of a version, which may have been prolonged since."""
    restore = version.restore
    if restore is None or not is_archived(version):
        return False
    return at_ns == (restore.ready_ns if name == COMPLETED else restore.until_ns)


def _moments(version: Version, restore: Restore) -> Iterator[tuple[Put, str, int]]:
    for name, at_ns in ((COMPLETED, restore.ready_ns), (ENDED, restore.until_ns)):
        yield RESTORES.put(name, at_ns, version.sequence, version.bucket, version.key), name, at_ns
