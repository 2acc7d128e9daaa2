"""The rows of the state table: what a server remembers between its requests, and between its runs.

Each row has one declaration, in ``STATE_ROWS``: what it is called, what it holds and which modules write it. Marks are
bytes as they are; the others are records with format and checksum.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any, Generic, Self, TypeVar

from msgspec import Struct

from s3ish.index.protocol import Damaged, Delete, Index, Put, RowIs
from s3ish.tables import keys, records
from s3ish.tables.table import Table

T = TypeVar("T")

STATE: Table[bytes, [bytes]] = Table(
    "state",
    bytes,
    lambda name: name,
    lambda key: (key.decode("utf-8", "surrogateescape"),),
    title="{}",
    spared=True,
)


class StateRow:
    """A row of the state table, or a family of rows whose names begin alike.

    Args:
        name: of the row; of a family, what the names begin with, ending in a slash.
        holds: for people, what it says.
        writers: the files of this package that write it.
    """

    def __init__(self, name: str, holds: str, *writers: str) -> None:
        self.name, self.holds, self.writers = name, holds, writers
        self.key = name.encode()

    @property
    def is_family(self) -> bool:
        """Whether there are many such rows."""
        return self.name.endswith("/")

    def of(self, key: bytes) -> Self:
        """Return one row of a family, given what its name ends with."""
        one = copy(self)
        one.key = self.key + key
        return one

    async def value(self, index: Index) -> bytes | None:
        """Return the row as it is. Raises Unavailable."""
        return await index.get(STATE.name, self.key)

    async def family(self, index: Index, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Return what names end with, and values, of up to ``limit`` rows of a family. Raises Unavailable."""
        rows = await STATE.rows(index, *keys.prefix_range(self.key), limit)
        return [(key.removeprefix(self.key), value) for key, value in rows]

    async def between(self, index: Index, start: bytes, stop: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Return the same of the rows of a family whose names end with what is in ``[start, stop)``."""
        rows = await STATE.rows(index, self.key + start, self.key + stop, limit)
        return [(key.removeprefix(self.key), value) for key, value in rows]

    def one(self, name: bytes) -> Self:
        """Return one row of a family, to read it; see ``of``."""
        return self.of(name)

    def drop(self) -> Delete:
        """The change that removes the row."""
        return STATE.drop(self.key)

    def expect(self, value: bytes | None) -> RowIs:
        """The expectation that the row has a value, or is absent."""
        return STATE.expect(self.key, value)


class Mark(StateRow):
    """A row of plain bytes, without format and checksum."""

    def put(self, value: bytes = b"1") -> Put:
        """The change that writes the row."""
        return Put(STATE.name, self.key, value)


class Kept(StateRow, Generic[T]):
    """A row that holds a record.

    Args:
        record: what it is.
    """

    def __init__(self, name: str, record: type[T], holds: str, *writers: str) -> None:
        super().__init__(name, holds, *writers)
        self._record = record

    def put(self, record: T) -> Put:
        """The change that writes the row."""
        return Put(STATE.name, self.key, records.encode(STATE.name, self.key, record))

    def read(self, value: bytes | None) -> T | None:
        """Return the record in the row; None if there is none, or it is damaged. Raises NewerFormat."""
        if value is None:
            return None
        try:
            return records.decode(STATE.name, self.key, value, self._record)
        except Damaged:
            return None


class Lease(Struct, frozen=True):
    """Who does a job, until when (nanoseconds of the wall clock)."""

    holder: str
    until_ns: int


class JobState(Struct, frozen=True):
    """What has become of a job: how many steps it did, how many of them failed, and how long they took together.

    The last one ended at ``ended_ns``, the next one is due at ``next_ns`` (nanoseconds of the wall clock); ``error`` is
    why the last one failed, empty if it did not.
    """

    steps: int = 0
    failures: int = 0
    seconds: float = 0.0
    ended_ns: int = 0
    next_ns: int = 0
    error: str = ""


class LifecycleProgress(Struct, frozen=True):
    """Where a pass of lifecycle rules is.

    ``day`` is the day of the pass and ``rules`` a checksum of all rules in it. ``bucket`` is being looked through; it
    is "" at the end. Of its versions ``row`` is the last that was looked at, of the key ``key``; so far ``newer``
    versions of this key were, and the last of these was made at ``made_ns``. When ``stage`` is "uploads", ``row`` is
    the last upload that was looked at; when it is "next", the bucket is done, and another one behind it is looked for.
    """

    day: int = -1
    rules: int = 0
    bucket: str = ""
    row: bytes = b""
    key: str = ""
    newer: int = 0
    made_ns: int = 0
    stage: str = ""


class ReplicationProgress(Struct, frozen=True):
    """How far the versions of a bucket have been looked through for some rules, of which ``rules`` is a checksum.

    ``created_ns`` tells the bucket from another one of its name, ``row`` is the next version, ``ended`` says that
    there is none.
    """

    rules: int = 0
    created_ns: int = 0
    row: bytes = b""
    ended: bool = False


class AgainProgress(Struct, frozen=True):
    """How far the versions of a bucket have been looked through for those that are to be replicated again.

    ``states`` are those that were asked for at ``asked_ns``, "" for versions that were not replicated so far.
    ``created_ns`` tells the bucket from another one of its name. ``row`` is the next version; ``looked`` versions have
    been looked at, and ``found`` of them wait now. ``ended`` says that there are no more.
    """

    created_ns: int
    states: tuple[str, ...]
    asked_ns: int
    row: bytes = b""
    looked: int = 0
    found: int = 0
    ended: bool = False


class SendingUpload(Struct, frozen=True):
    """A multipart upload of a version to another server: its id there, and the revision that it was begun with."""

    upload: str
    revision: int = 0


class ListedFile(Struct, frozen=True):
    """A file of a list of objects: its key, size in bytes and MD5."""

    key: str
    size: int
    md5: str


class InventoryProgress(Struct, frozen=True):
    """How far a list of the objects of a bucket is.

    It is the one of ``period``, a number of a day or a week, began at ``began_ns`` of service time, and is made by the
    configuration whose checksum is ``form``. ``row`` is the last row that stands in one of its ``files``, whose names
    begin with ``token``; ``done`` says that the list is complete.
    """

    period: int
    began_ns: int
    form: int
    token: str
    row: bytes = b""
    files: tuple[ListedFile, ...] = ()
    done: bool = False


class ScrubProgress(Struct, frozen=True):
    """Where a pass of the scrub is.

    ``total`` is the weight of the whole and ``weighed_ns`` when that was found; ``done`` is the weight behind us.
    ``table`` ("" for the first one), ``key`` and ``item`` say which blob is next. The step that began at ``at_ns``
    looked at the weight ``spent``, which pays for that much time. Times are nanoseconds of the wall clock.

    ``lacking`` says how many blobs were found in this pass that lack a shard or sidecar at a position and could not be
    repaired; ``lacked`` says it of the last look at everything, which ended at ``looked_ns``: a pass, or a check.
    """

    total: int = 0
    weighed_ns: int = 0
    done: int = 0
    table: str = ""
    key: bytes = b""
    item: int = 0
    at_ns: int = 0
    spent: int = 0
    lacking: dict[int, int] = {}
    lacked: dict[int, int] = {}
    looked_ns: int = 0

    @property
    def ratio(self) -> float:
        """How far the pass is; below 1, even where the store has grown since it was weighed."""
        return min(self.done / self.total, 0.9999) if self.total else 0.0


AGAIN = Kept(
    "replicate-again/",
    AgainProgress,
    "how far the versions of a bucket have been looked through for those that are to be replicated again",
    "jobs/replicate_again.py",
    "objects/replicating_again.py",
)
ACCESS_KEYS_USED = Mark(
    "access-key-used/",
    "when an access key was used last, in nanoseconds since the epoch",
    "identity/last_used.py",
)
AWAY: Kept[list[int]] = Kept(
    "away",
    list[int],
    "the positions of volumes that the server or one of its workers cannot reach; their return orders a sweep",
    "integrity/startup.py",
)
BARRIER = Mark(
    "barrier",
    "is written to know that the index works, and that earlier commits are decided",
    "integrity/unresolved.py",
)
COUNTED = Mark(
    "counted",
    "the generation of which the table of usage is; if the index is of another one, an older release has written "
    "since, or a row was damaged, and the next start counts",
    "integrity/startup.py",
)
GAPS = Mark(
    "gap/",
    "the start of ids of blobs that a rebuild could not read, and what was wrong: none of them is removed for want of "
    "a row that names it",
    "integrity/blind_spots.py",
)
GENERATION = Mark(
    "generation",
    "how many starts the index has seen; the volumes have the number too, and an index with a lower one is refused",
    "integrity/startup.py",
)
INVENTORY = Kept(
    "inventory/",
    InventoryProgress,
    "how far the list of objects is of which the name says bucket and configuration",
    "jobs/inventory.py",
)
JOBS = Kept("job/", JobState, "what has become of a job", "jobs/runner.py")
LATE: Kept[bytes] = Kept(
    "replication-late/",
    bytes,
    "from which row on versions have not been looked at that may miss the time of their rules; named after the "
    "destination",
    "jobs/late.py",
)
LEASES = Kept("lease/", Lease, "which process runs a job, until when", "jobs/runner.py")
MISSING_TARGETS: Kept[int] = Kept(
    "missing-target/",
    int,
    "since when versions wait for a target of replication that is not in the settings, in nanoseconds since the epoch",
    "jobs/missing_targets.py",
)
LIFECYCLE = Kept("lifecycle", LifecycleProgress, "where the pass of lifecycle rules is", "jobs/lifecycle.py")
REPLICATION = Kept(
    "replication/",
    ReplicationProgress,
    "how far the versions of a bucket have been looked through for its replication rules",
    "jobs/replicate.py",
)
SCRUB = Kept(
    "scrub",
    ScrubProgress,
    "where the scrub is, and what it or a check found missing on which volume",
    "integrity/scrub.py",
)
SENDING_UPLOADS = Kept(
    "sending-upload/",
    SendingUpload,
    "the multipart upload at another server of a version that is on its way there; named after its row of sendings",
    "peers/unfinished.py",
)
SET = Mark("set", "the id of the set of volumes; an index of another set is refused", "integrity/startup.py")
SWEEP = Mark(
    "sweep",
    "asks for a look through all blobs",
    "integrity/garbage.py",
    "integrity/rebuild.py",
    "integrity/startup.py",
)
SYSTEM_MARK = Mark(
    "system-records",
    "is another text after each change of a system record, so that processes notice it",
    "objects/snapshots.py",
    "objects/system.py",
)
TOKENS = Mark(
    "token/",
    "a hash of the request that was done with a token of a client; named after the day and a hash of caller and token",
    "objects/client_tokens.py",
)
UNCLEAN = Mark(
    "unclean",
    "since when a server runs, in nanoseconds since the epoch; found at start, the last stop was not clean",
    "integrity/startup.py",
)

STATE_ROWS: tuple[Mark | Kept[Any], ...] = (
    ACCESS_KEYS_USED,
    AWAY,
    BARRIER,
    COUNTED,
    GAPS,
    GENERATION,
    INVENTORY,
    JOBS,
    LEASES,
    LIFECYCLE,
    MISSING_TARGETS,
    AGAIN,
    LATE,
    REPLICATION,
    SCRUB,
    SENDING_UPLOADS,
    SET,
    SWEEP,
    SYSTEM_MARK,
    TOKENS,
    UNCLEAN,
)
"""All of them."""
