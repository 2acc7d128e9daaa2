"""What a commit does to the versions of a key, and all that follows from it.

Every commit that makes, replaces, removes or amends a version says so by a ``Happening`` among its changes, and
``Store.commit`` takes no row of a version in another way. The rows of the version itself, what listings show, what
becomes garbage and what is counted follow from it here. So do the rows of others: what notifies or replicates can
neither miss a change nor see one that did not happen. A source is a function that is given what happens and returns
rows. It is asked again when another writer was faster and the change is decided anew, so it does nothing but answer,
and where its bucket wants nothing it answers after one look into the bucket's documents.

Three commits go past it: rows that are restored from sidecars and a rebuild of the index, which change no version, and
the restoring of a store or bucket in stacks for tests.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from s3ish.index.protocol import Change
from s3ish.model import Bucket, Garbage, Replicating, Version
from s3ish.objects import usage
from s3ish.objects.unreachable import drop_blobs, garbage_of
from s3ish.tables.catalogue import CURRENT, USAGE, VERSIONS


class Cause(Struct, frozen=True):
    """Why a version changes.

    ``operation`` is the name of the S3 operation; it is empty where the server acts by itself, and ``job`` then names
    what acts. ``principal`` is the id of who called, ``source`` the address of the client, ``request_id`` the request
    to the server ``host_id``.
    """

    operation: str = ""
    principal: str = ""
    source: str = ""
    request_id: str = ""
    host_id: str = ""
    job: str = ""


LIFECYCLE = "lifecycle"
"""What acts where a lifecycle rule says so."""
BY_SERVER = Cause()
"""The cause where no client asked for it."""


Shown = tuple[Version | None, Version | None]
"""What listings show of a key before and after a change: its newest version, or none."""


class Happening:
    """What one commit does to the versions of a key.

    ``before`` is the version that is removed, replaced or amended, ``after`` the one that is made, or what it is
    amended to. A new version that replaces no other has no ``before``, a removal has no ``after``.

    Args:
        shown: what listings show, if the change is about that.

    Attributes:
        is_amendment: whether a version stays, and what is kept beside its bytes changes.
        put: the row of the version that is made or amended.
        garbage: the blobs that no row names any more; see ``Store.discard``.
        usage: what the bucket holds more, or less.
        following: the rows of others, when they were asked for.
    """

    def __init__(
        self,
        bucket: Bucket,
        before: Version | None,
        after: Version | None,
        cause: Cause,
        shown: Shown | None = None,
    ) -> None:
        self.bucket, self.before, self.after, self.cause, self._shown = bucket, before, after, cause, shown
        self.is_amendment = before is not None and after is not None and before.sequence == after.sequence
        self.put = VERSIONS.put(after) if after else None
        self.garbage = _garbage(before, after, self.is_amendment) if before else []
        self.usage = usage.of_version(after, usage.of_key(*shown) if shown else 0)
        if before:
            self.usage += -usage.of_version(before)
        self.following: Sequence[Change] | None = None

    @property
    def version(self) -> Version:
        """The version that it is about: the new one, or the one that goes."""
        version = self.after or self.before
        assert version is not None, "something happens to a version"
        return version

    @property
    def floor(self) -> int:
        """The greatest number that the clock gave these versions: ``clock.sequence(floor)`` comes after all that
        happened to them."""
        return max(max(it.sequence, it.revision) for it in (self.before, self.after) if it is not None)

    def rows(self) -> list[Change]:
        """Return the rows of the version itself, of listings, garbage and counters."""
        rows: list[Change] = [self.put] if self.put else []
        if self.before and not self.is_amendment:
            rows.append(VERSIONS.delete(self.before.bucket, self.before.key, self.before.sequence))
        if self._shown:
            newest, version = self._shown[1], self.version
            rows.append(CURRENT.show(newest) if newest else CURRENT.delete(version.bucket, version.key))
        if self.garbage:
            rows += drop_blobs(self.garbage)
        rows += USAGE.add(self.bucket, self.usage)
        return rows


def _garbage(before: Version, after: Version | None, is_amendment: bool) -> list[Garbage]:
    """Return the blobs that were named by a version and are not by what it becomes."""
    if after is None or not is_amendment:
        return [garbage_of(before, after)]
    kept = {one.part.blob.id for one in after.annotations}
    return [Garbage(one.part.blob) for one in before.annotations if one.part.blob.id not in kept]


class Occasion(Struct, frozen=True):
    """What becomes of a version that stays as it is, and targets of events may want to know.

    ``name`` is that of the event (``ObjectRestore:Completed``); ``replication`` is what has become of a replica.
    """

    name: str
    bucket: Bucket
    version: Version
    replication: Replicating | None = None


Row = Change
"""A change of one row."""
Source = Callable[[Happening], Iterable[Row]]
Tell = Callable[[Occasion], Iterable[Row]]
Wanted = Callable[[Bucket, Version], bool]


def _nowhere(_bucket: Bucket, _version: Version) -> bool:
    return False


def _nobody(_occasion: Occasion) -> Iterable[Row]:
    return ()


class Consequences:
    """All that follows from changes of versions.

    Args:
        sources: return the rows that a change brings.
        is_replicated: whether a version is to be replicated that is made now, or amended.
        tell: returns the rows that report an occasion.
    """

    def __init__(self, *sources: Source, is_replicated: Wanted = _nowhere, tell: Tell = _nobody) -> None:
        self._sources = sources
        self.is_replicated, self.tell = is_replicated, tell

    def of(self, happening: Happening) -> Sequence[Change]:
        """Return the rows of others that follow."""
        if happening.following is None:
            following: list[Change] = []
            for source in self._sources:
                following += source(happening)
            happening.following = following
        return happening.following

    def rows(self, changes: Iterable[Change | Happening]) -> list[Change]:
        """Return the rows that a commit changes."""
        rows: list[Change] = []
        for change in changes:
            if isinstance(change, Happening):
                rows += change.rows()
                rows += self.of(change)
            else:
                assert change.table != VERSIONS.name, "a version changes by a happening alone"
                rows.append(change)
        return rows
