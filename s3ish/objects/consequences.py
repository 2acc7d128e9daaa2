"""What follows from a change of a version: rows of others, which the commit that makes the change writes as well.

Every commit that makes, replaces, removes or amends a version asks here, so that what notifies, replicates or counts
can neither miss a change nor see one that did not happen. A source is a function that is given what happens and returns
rows. It is asked again when another writer was faster and the change is decided anew, so it does nothing but answer,
and where its bucket wants nothing it answers after one look into the bucket's documents.

Three commits do not ask: rows that are restored from sidecars and a rebuild of the index, which change no version, and
the erasure of a whole bucket in stacks for tests.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from s3ish.index.protocol import Change
from s3ish.model import Bucket, Version


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


class Happening(Struct, frozen=True):
    """What one commit does to the versions of a key.

    ``before`` is the version that is removed, replaced or amended, ``after`` the one that is made, or what it is
    amended to. A new version that replaces no other has no ``before``, a removal has no ``after``.
    """

    bucket: Bucket
    before: Version | None
    after: Version | None
    cause: Cause

    @property
    def version(self) -> Version:
        """The version that it is about: the new one, or the one that goes."""
        version = self.after or self.before
        assert version is not None, "something happens to a version"
        return version

    @property
    def is_amendment(self) -> bool:
        """Whether a version stays, and what is kept beside its bytes changes."""
        return self.before is not None and self.after is not None and self.before.sequence == self.after.sequence

    @property
    def floor(self) -> int:
        """The greatest number that the clock gave these versions: ``clock.sequence(floor)`` comes after all that
        happened to them."""
        return max(max(it.sequence, it.revision) for it in (self.before, self.after) if it is not None)


Row = Change
"""A change of one row."""
Source = Callable[[Happening], Iterable[Row]]
Wanted = Callable[[Bucket, Version], bool]


def _nowhere(_bucket: Bucket, _version: Version) -> bool:
    return False


class Consequences:
    """All that follows from changes of versions.

    Args:
        sources: return the rows that a change brings.
        is_replicated: whether a version is to be replicated that is made now, or amended.
    """

    def __init__(self, *sources: Source, is_replicated: Wanted = _nowhere) -> None:
        self._sources = sources
        self.is_replicated = is_replicated

    def rows(self, bucket: Bucket, before: Version | None, after: Version | None, cause: Cause) -> list[Change]:
        """Return the rows that are to be committed with a change; see ``Happening``."""
        if not self._sources:
            return []
        happening = Happening(bucket, before, after, cause)
        return [change for source in self._sources for change in source(happening)]
