"""The upper waist: ordered tables of bytes with atomic, serialisable, durable commits.

An index knows neither S3 nor blobs. A commit is data, not a callback, so that an engine can merge the commits that are
waiting into one transaction with one flush (group commit), and so that another engine can take SQLite's place.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct


class Sums(Protocol):
    """How numbers stand in the values of a table. It is pure: an engine calls it on a thread of its own."""

    def numbers(self, key: bytes, value: bytes | None) -> Sequence[int]:
        """Return the numbers in a row, zeros where there is none. Raises Damaged, NewerFormat."""

    def value(self, key: bytes, numbers: Sequence[int]) -> bytes:
        """Return the value that says these numbers."""


class Layout(Struct, frozen=True):
    """A table as an engine is handed it: its name, whether its values are long, how they are sums if they are, and
    whether its rows are written as well where there is no room but for removals: they follow from others.

    An engine makes the tables that an existing index lacks when it opens it. Keys and values are bytes; ``tables`` says
    what they mean.
    """

    name: str
    long_values: bool = False
    sums: Sums | None = None
    spared: bool = False


class Put(Struct, frozen=True):
    """Insert or replace one row."""

    table: str
    key: bytes
    value: bytes


class Delete(Struct, frozen=True):
    """Remove one row if it is there."""

    table: str
    key: bytes


class Add(Struct, frozen=True):
    """Add to the numbers in a row of a table of sums: it conflicts with no other commit.

    Where all are zero then, there is no row. A row that is damaged stays as it is.
    """

    table: str
    key: bytes
    numbers: tuple[int, ...]


class RowIs(Struct, frozen=True):
    """Expect that a row has this value, or with ``None`` that it is absent."""

    table: str
    key: bytes
    value: bytes | None


class RangeEmpty(Struct, frozen=True):
    """Expect that no row has a key in ``[start, stop)``."""

    table: str
    start: bytes
    stop: bytes


class AtMost(Struct, frozen=True):
    """Expect that numbers in a row of a table of sums are together no more than that; a damaged row fails nothing.

    Args:
        places: which of the numbers.
    """

    table: str
    key: bytes
    places: tuple[int, ...]
    most: int


class Untouched(Struct, frozen=True):
    """Expect that the index has seen no commit since it had seen so many: for what depends on all of its rows."""

    commits: int


Change = Put | Delete | Add
Expect = RowIs | RangeEmpty | AtMost | Untouched


class IndexFailure(Exception):
    """Base of what an index raises."""


class Conflict(IndexFailure):
    """An expectation of a commit did not hold; nothing was changed."""


class Unavailable(IndexFailure):
    """The index cannot be read or written now (disk full, I/O error, damaged file); the outcome of a commit that
    raised it is that nothing was changed."""


class IndexFull(Unavailable):
    """There is no space for a commit; nothing was changed."""


class Damaged(IndexFailure):
    """A row, or the index as a whole, is not what was written."""


class Broken(Damaged):
    """The index as a whole is not what was written: a server that meets that rebuilds it."""


class NewerFormat(IndexFailure):
    """The index was written by a newer release than this one."""


class Monitor(Protocol):
    """Notified, from any thread, of how an index is. It can act on one that does not work."""

    def begin(self, commits: int) -> None:
        """A transaction begins, of so many commits."""

    def end(self, conflicts: int, failures: int) -> None:
        """It has ended; of so many commits an expectation did not hold, and so many failed."""

    def fail(self, *, damaged: bool) -> None:
        """The index cannot be read or written, for a reason that does not pass by itself.

        ``damaged`` tells whether it is not what was written, and not the drive that fails.
        """


class Mark(AbstractContextManager["Mark"], Protocol):
    """A name that is marked until ``release``, or until the context ends."""

    def release(self) -> None:
        """Take the mark back; idempotent."""


class Rows(Protocol):
    """Tables that can be read."""

    async def get(self, table: str, key: bytes) -> bytes | None:
        """Return the value of a row, or None."""

    async def scan(self, table: str, start: bytes, stop: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Return up to ``limit`` rows with keys in ``[start, stop)``, in ascending order."""


class Index(Rows, Protocol):
    """Ordered tables of bytes.

    Required of every implementation:

    * A read sees every commit that was acknowledged before it began, in this or any other process on the same index.
    * Reads in one turn of the event loop see one state.
    * ``commit`` applies all changes or none. Expectations are checked and changes applied as one step in a serial
      order of all commits. Expectations see the state before any change of the same commit.
    * ``commit`` returns only when the changes survive a loss of power (if the index was opened as durable).
    * Keys are ordered as byte strings. Keys may hold any bytes, and are at most 8,192 bytes long.
    * Of one who commits and then looks for a mark, and one who marks and then reads in a later turn of the event loop
      (reads in one turn share a snapshot), at least one sees what the other did, also in another process.
    """

    async def commit(self, changes: Sequence[Change], expect: Sequence[Expect] = ()) -> None:
        """Apply ``changes`` in order if every expectation holds.

        Raises:
            Conflict: an expectation did not hold.
            Unavailable: the engine failed; nothing was changed.
        """

    @property
    def commits(self) -> int:
        """How many commits it has seen, of all processes, as far as this one knows: it never goes back, unless the
        index does."""

    async def verify(self) -> None:
        """Look whether the index is whole, so that a row which is not found is one that is not there.

        Raises Damaged, Unavailable.
        """

    def mark(self, name: bytes) -> Mark:
        """Mark a name for all processes on this index, until it is released or this process ends.

        Several may mark one name. Nothing is written, and no drive is waited for. Raises Unavailable.
        """

    def is_marked(self, name: bytes) -> bool:
        """Whether a reader has marked a name; rarely also if none has. Raises Unavailable."""

    async def close(self) -> None:
        """Finish waiting commits, take back all marks, and release the files."""


class IndexPlace(Protocol):
    """Where an index is, or may be.

    Places can be compared, hashed and sent to another process; as text one says for people where it is. Everything may
    raise OSError beside what is said.
    """

    @property
    def volume(self) -> str:
        """The root of the volume that it is on; "" if it is elsewhere."""

    def is_blank(self) -> bool:
        """Whether no index is there."""

    def open(
        self,
        tables: Sequence[Layout],
        *,
        durable: bool = True,
        contended: bool = False,
        monitor: Monitor | None = None,
        first: int = 0,
        on_commit: Callable[[int], None] | None = None,
        reserved: bool = False,
    ) -> Index:
        """Return the index that is there; a blank place gets one.

        Args:
            tables: those that it must have; what it lacks is made.
            durable: flush every commit. False is for throw-away stores.
            contended: several processes write all the time.
            monitor: notified of transactions, and when the index fails; not when there is no room.
            first: how many commits it has seen at the least, as it takes the place of another one.
            on_commit: called with the number of commits on the event loop, before the callers that wait for one go on.
            reserved: leave room for what removes rows: what adds some is refused before, as there is no space.

        Raises:
            Damaged, NewerFormat, Unavailable: it cannot be used.
        """

    def peek(self, table: str, key: bytes) -> bytes | None:
        """Return a row of an index that may be in use. Raises Damaged, Unavailable."""

    def find_damage(self) -> str:
        """Look through the whole index; return what is wrong with it, "" if nothing. Raises Unavailable."""

    def renew(self) -> None:
        """Bring an index that nothing uses into the current format. Raises Damaged, IndexFull, Unavailable."""

    def draft(self) -> "IndexPlace":
        """Return a blank place beside this one, where another index can be built."""

    def take_draft(self) -> None:
        """Put what was built there in the place of what is here; it survives a loss of power."""

    def set_aside(self) -> None:
        """Keep what is here elsewhere, if it may be something else than an index of a store."""

    def remove(self) -> None:
        """Remove what is here, and a draft, if there is anything."""
