"""The moments of a restore from an archive class, which events report: when it is complete, and when it ends.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from s3ish.clock import Clock
from s3ish.index.protocol import Change, Put
from s3ish.model import Version
from s3ish.objects.archive import is_archived
from s3ish.objects.consequences import Happening
from s3ish.tables.catalogue import RESTORES

COMPLETED, ENDED = "ObjectRestore:Completed", "ObjectRestore:Delete"
"""The events of the two moments."""


class Restores:
    """A source of consequences: the rows of the moments of restores that begin, last longer, or are no more.

    Args:
        clock: knows how long a restore takes; that of one which takes no time is complete in the same commit.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def rows(self, happening: Happening) -> Iterator[Change]:
        """Return the rows that a change brings, and those that it takes away."""
        gone, come = _moments(happening.before), _moments(happening.after)
        yield from (RESTORES.drop(moment.put.key) for moment in gone if moment not in come)
        for moment in come:
            if moment not in gone and not self._is_told(moment, happening):
                yield moment.put

    def _is_told(self, moment: "_Moment", happening: Happening) -> bool:
        if happening.is_amendment:
            return moment.name == COMPLETED and not self._clock.service.restore_ns
        return moment.at_ns <= self._clock.service_ns()  # of a renamed version


def coming(version: Version, now_ns: int) -> list[Put]:
    """Return the rows of the moments of a version's restore that are not past; ``now_ns`` is service time."""
    return [moment.put for moment in _moments(version) if moment.at_ns > now_ns]


def is_due(version: Version, name: str, at_ns: int) -> bool:
    """Whether a moment is still one of the restore of a version, which may have been prolonged since."""
    restore = version.restore
    if restore is None or not is_archived(version):
        return False
    return at_ns == (restore.ready_ns if name == COMPLETED else restore.until_ns)


class _Moment(NamedTuple):
    put: Put
    name: str
    at_ns: int


def _moments(version: Version | None) -> Sequence[_Moment]:
    if version is None or version.restore is None:
        return ()
    moments = ((COMPLETED, version.restore.ready_ns), (ENDED, version.restore.until_ns))
    place = version.sequence, version.bucket, version.key
    return [_Moment(RESTORES.put(name, at_ns, *place), name, at_ns) for name, at_ns in moments]
