"""The index in SQLite: one file, write-ahead log, every commit flushed before it is acknowledged.

Reads run at once on the caller's thread: the pages are in memory and a read takes microseconds. Reads in one turn of
the event loop share a snapshot, which spares each of them the locks; it begins after every request that it serves has
arrived and ends before the next turn, so that a request after an acknowledged commit sees it. Writes go to one
thread, which takes whatever is waiting, checks each commit's expectations against what came before it, and ends them
all with one transaction and one flush (group commit). Several processes may open one file. Its pages carry checksums
(``pages``), and the log has its own: what is damaged is an error, never an absence.
"""

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import apsw
from msgspec import Struct

from s3ish.batching import TurnBatch
from s3ish.index import pages, sqlite_file
from s3ish.index.marks import HeldMark, Marks
from s3ish.index.protocol import (
    Add,
    AtMost,
    Broken,
    Change,
    Conflict,
    Damaged,
    Delete,
    Expect,
    IndexFull,
    Layout,
    Monitor,
    Put,
    RangeEmpty,
    RowIs,
    Unavailable,
    Untouched,
)
from s3ish.index.reserve import Reserve
from s3ish.index.sums import PendingSums
from s3ish.index.write_lock import WriteLock
from s3ish.observe.families import Sample
from s3ish.threads import OwnThread

_MAX_BATCH = 256
_SEEN_BYTES, _ANSWER_BYTES = 8 << 20, 700
"""What the answers take that are remembered, and what each of them takes beside the values in it."""
_LASTING = (apsw.IOError, apsw.ReadOnlyError, apsw.CorruptError, apsw.NotADBError, apsw.BusyError)
_PASSING = (apsw.SQLITE_IOERR_NOMEM, apsw.SQLITE_IOERR_SHMSIZE)
"""Failures of the file or its drive, and those among them that mean too little memory or room."""
_COUNT = "UPDATE commits SET number=number+1 RETURNING number"
_COUNTED = "SELECT number FROM commits"


class _Waiting(Struct, frozen=True):
    changes: Sequence[Change]
    expect: Sequence[Expect]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"


class Seen:
    """What was read lately: it still holds in a later snapshot if there was no commit in between."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[object, ...], tuple[Any, int]] = OrderedDict()
        self._version: object = None
        self._left = _SEEN_BYTES
        self.missed = self.hits = 0

    def begin(self, version: object) -> None:
        """A snapshot begins, of a version of the data; None if that is not known."""
        if version is None or version != self._version:
            self._version, self._left = version, _SEEN_BYTES
            self._answers.clear()

    def get(self, *question: object) -> tuple[Any, int] | None:
        """Return the answer to a question, and its size; None if it was not asked: then it is to be added."""
        answer = self._answers.get(question)
        if answer is not None:
            self.hits += 1
        return answer

    def add(self, *question: object, answer: object, size: int) -> None:
        """Remember an answer of so many bytes, in place of the oldest ones."""
        self.missed += 1
        size += _ANSWER_BYTES
        self._answers[question] = answer, size
        self._left -= size
        while self._left < 0:
            self._left += self._answers.popitem(last=False)[1][1]


class Patience:
    """Ends what is waited for too long, with one timer for all: it is waited for in the order in which it comes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def wait_for(self, done: "asyncio.Future[None]") -> None:
        """Have a future raise Unavailable if it is not done in time: it may be done all the same, later."""
        loop = done.get_loop()
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((loop.time() + self._seconds, done))
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        while self._waiting:
            until, done = self._waiting[0]
            loop = done.get_loop()
            if not done.done() and until > loop.time():
                self._timer = loop.call_at(until, self._look)
                return
            self._waiting.popleft()
            if not done.done():
                done.set_exception(Unavailable("the drive of the index does not answer, or another process holds it"))

    def close(self) -> None:
        """End the timer."""
        if self._timer:
            self._timer.cancel()
            self._timer = None


class _NoMonitor:
    def begin(self, commits: int) -> None:
        pass

    def end(self, conflicts: int, failures: int) -> None:
        pass

    def fail(self, *, damaged: bool) -> None:
        pass


class SQLiteIndex:
    """An index in one SQLite file.

    Args:
        path: the file; made if it is not there.
        tables: those that it must have; what it lacks is made.
        durable: flush every commit. False is for throw-away stores.
        contended: several processes write all the time.
        monitor: told of transactions, and when the file or its drive fails; not when there is no room.
        first: how many commits it has seen at the least, as it takes the place of another one.
        on_commit: called with the number of commits on the event loop, before the callers that wait for one go on.
        reserved: leave room on the file system for what removes rows.

    Raises:
        Damaged: the file is not a database, or a broken one.
        NewerFormat: it was made by a newer release.
        Unavailable: it cannot be opened.

    One of the first format is used as it is.
    """

    def __init__(
        self,
        path: Path,
        tables: Sequence[Layout],
        *,
        durable: bool = True,
        contended: bool = False,
        monitor: Monitor | None = None,
        first: int = 0,
        on_commit: Callable[[int], None] | None = None,
        reserved: bool = False,
    ) -> None:
        self._path = path
        self._reserve = Reserve(path, tables) if reserved else None
        self._durable = durable
        self._monitor = monitor or _NoMonitor()
        self._on_commit = on_commit
        try:
            self._writer = sqlite_file.prepared(path, tables, durable=durable)
            self._commits = sqlite_file.count_from(self._writer, first)
            self._reader = sqlite_file.connect(path, durable=durable)
            self._reader.execute("PRAGMA query_only=ON")
            self._others = WriteLock(path.with_name(path.name + "-queue")) if contended else None
            self._marks = Marks(path.with_name(path.name + "-marks"))
        except (apsw.Error, OSError) as error:
            if pages.is_damage(error):
                raise Damaged(sqlite_file.broken(path, error)) from error
            raise Unavailable(f"{path} cannot be opened: {error}{sqlite_file.missing_right(path)}") from error
        names = [table.name for table in tables]
        self._gets = {table: f"SELECT value FROM {table} WHERE key=?" for table in names}
        self._scans = {table: f"SELECT key, value FROM {table} WHERE key>=? AND key<? ORDER BY key" for table in names}
        self._sums = PendingSums(tables)
        self._queue: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._gathered = TurnBatch(self._queue.put, _MAX_BATCH)
        self._closing = False
        self._patience = Patience(sqlite_file.BUSY_MILLISECONDS / 1000)
        self._snapshot = False
        self._seen, self._scans_read = Seen(), 0
        self._lane = OwnThread("index-writer", self._write_forever)

    async def get(self, table: str, key: bytes) -> bytes | None:
        """See ``Index.get``."""
        try:
            self._share_snapshot()
            if seen := self._seen.get(table, key):
                return cast("bytes | None", seen[0])
            row = self._reader.execute(self._gets[table], (key,)).fetchone()
        except apsw.Error as error:
            raise self._failure(error) from error
        value = None if row is None else cast("bytes", row[0])
        self._seen.add(table, key, answer=value, size=_size(value))
        return value

    async def scan(self, table: str, start: bytes, stop: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """See ``Index.scan``."""
        try:
            self._share_snapshot()
            if limit == 1 and (seen := self._seen.get(table, start, stop)):
                return cast("list[tuple[bytes, bytes]]", seen[0])
            rows = self._reader.execute(self._scans[table], (start, stop))
            self._scans_read += limit != 1
            found = cast("list[tuple[bytes, bytes]]", list(islice(rows, limit)))  # a bound LIMIT costs microseconds
        except apsw.Error as error:
            raise self._failure(error) from error
        if found and (found[0][0] < start or found[-1][0] < found[0][0]):  # SQLite compares with the end alone
            self._monitor.fail(damaged=True)
            raise Broken(sqlite_file.broken(self._path, f"rows of table {table} are out of order"))
        if limit == 1:
            self._seen.add(table, start, stop, answer=found, size=sum(_size(value) for _, value in found))
        return found

    async def commit(self, changes: Sequence[Change], expect: Sequence[Expect] = ()) -> None:
        """See ``Index.commit``."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(changes, expect, loop, loop.create_future())
        if self._closing:
            raise Unavailable("the index is closed")
        self._gathered.add(waiting)
        self._patience.wait_for(waiting.done)
        await waiting.done

    def mark(self, name: bytes) -> HeldMark:
        """See ``Index.mark``."""
        return self._marks.add(name)

    def is_marked(self, name: bytes) -> bool:
        """See ``Index.is_marked``."""
        return name in self._marks

    async def close(self) -> None:
        """Finish waiting commits, then close the file."""
        if not self._closing:
            self._closing = True
            self._gathered.flush()
            self._queue.put(None)
        self._lane.join()
        self._patience.close()
        self._end_snapshot()
        self._reader.close()
        self._writer.close()
        self._marks.close()
        if self._others:
            self._others.close()

    @property
    def commits(self) -> int:
        """See ``Index.commits``."""
        return self._commits

    def samples(self) -> Iterator[Sample]:
        """See ``Source``."""
        yield "index_reads", (), self._seen.missed + self._seen.hits + self._scans_read
        yield "index_read_hits", (), self._seen.hits
        for name, suffix in (("index_size_bytes", ""), ("index_log_bytes", "-wal")):
            with suppress(OSError):
                yield name, (), os.stat(f"{self._path}{suffix}").st_size

    async def verify(self) -> None:
        """See ``Index.verify``. It takes a second for some hundred MB, on a thread of its own."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()

        def tell(fault: object) -> None:
            if not done.done():
                done.set_result(fault)

        def look() -> None:
            fault: object
            try:
                with closing(sqlite_file.connect(self._path, durable=self._durable)) as connection:
                    fault = pages.find_fault(connection)
            except apsw.Error as error:
                fault = error
            with suppress(RuntimeError):  # the loop has ended, so nothing waits
                loop.call_soon_threadsafe(tell, fault)

        OwnThread("index-verify", look)
        fault = await done
        if isinstance(fault, apsw.Error):
            raise self._failure(fault) from fault
        if fault:
            self._monitor.fail(damaged=True)
            raise Broken(sqlite_file.broken(self._path, fault))

    def _failure(self, error: BaseException) -> Exception:
        """Return what an error of SQLite's means, after telling of one that does not pass by itself."""
        if isinstance(error, _LASTING) and getattr(error, "extendedresult", 0) not in _PASSING:
            self._monitor.fail(damaged=pages.is_damage(error))
        return sqlite_file.failure(error, self._path)

    def _share_snapshot(self) -> None:
        """Begin a snapshot, unless there is one already, that ends before the event loop's next turn."""
        if not self._snapshot:
            self._snapshot = True  # first: if it fails half-way, what has begun ends nevertheless
            asyncio.get_running_loop().call_soon(self._end_snapshot)
            version = None
            try:
                version = self._reader.execute("BEGIN; PRAGMA data_version").fetchone()
            finally:
                self._seen.begin(version)

    def _end_snapshot(self) -> None:
        if self._snapshot:
            self._snapshot = False
            with suppress(apsw.Error):  # of a read that failed, which was told; the snapshot ends all the same
                self._reader.execute("COMMIT")

    # --- the writer's thread -----------------------------------------------------------------------------------------

    def _write_forever(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = first
            while len(batch) < _MAX_BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:  # the end, once this is done
                    self._queue.put(None)
                    break
                batch += following
            self._monitor.begin(len(batch))
            outcomes = self._apply(batch)
            conflicts = sum(isinstance(each, Conflict) for each in outcomes)
            self._monitor.end(conflicts, sum(map(bool, outcomes)) - conflicts)
            self._tell(batch, outcomes)

    def _tell(self, batch: list[_Waiting], outcomes: list[Exception | None]) -> None:
        """Wake all callers of a batch, one call per event loop."""

        def settle() -> None:
            if self._on_commit:
                self._on_commit(self._commits)
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if waiting.done.done():
                    continue
                if outcome is None:
                    waiting.done.set_result(None)
                else:
                    waiting.done.set_exception(outcome)

        try:
            batch[0].loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop has ended, so nothing waits
            return

    def _apply(self, batch: list[_Waiting]) -> list[Exception | None]:
        """Run one transaction, again if the log had to be emptied for it; return the outcome of every commit in it."""
        try:
            return self._try(batch)
        except IndexFull as full:
            if not self._empty_log():
                return [full] * len(batch)
        try:
            return self._try(batch)
        except IndexFull as full:
            return [full] * len(batch)

    def _empty_log(self) -> bool:
        """Let the log begin anew in the space that it has: a deletion must not need space. Tells whether it could."""
        try:
            self._writer.execute("PRAGMA wal_checkpoint(RESTART)")
        except apsw.Error:
            return False
        return True

    def _try(self, batch: list[_Waiting]) -> list[Exception | None]:
        """Run one transaction. Raises IndexFull if there was no space for it."""
        outcomes: list[Exception | None] = []
        self._sums.clear()
        try:
            with self._others or nullcontext():
                self._writer.execute("BEGIN IMMEDIATE")
                if self._reserve:
                    self._reserve.begin(self._count_pages)
                for waiting in batch:
                    outcomes.append(self._apply_one(waiting, is_first=None not in outcomes))
                self._write_sums()
                commits = self._writer.execute(_COUNT).fetchone() if None in outcomes else None
                self._writer.execute("COMMIT")
                if commits:
                    self._commits = cast("int", commits[0])
        except Exception as error:  # whatever it is, every waiting caller must be told
            self._roll_back()
            failure = self._failure(error)
            if isinstance(failure, IndexFull):
                raise failure from error
            return [failure] * len(batch)
        return outcomes

    def _count_pages(self) -> int:
        """Return how many pages are used."""
        return cast("int", self._writer.pragma("page_count")) - cast("int", self._writer.pragma("freelist_count"))

    def _apply_one(self, waiting: _Waiting, *, is_first: bool) -> Exception | None:
        for expectation in waiting.expect:
            if isinstance(expectation, Untouched):
                holds = is_first and self._writer.execute(_COUNTED).fetchone() == (expectation.commits,)
            else:
                holds = self._holds(expectation)
            if not holds:
                return Conflict()
        if self._reserve and self._reserve.refuses(waiting.changes, self._value):
            return IndexFull(f"what is left on the file system of {self._path} is kept for removals")
        for change in waiting.changes:
            if isinstance(change, Add):
                self._sums.add(change)
                continue
            if self._sums.are_in(change.table):
                self._write_sums()
            self._write(change)
        return None

    def _write(self, change: Put | Delete) -> None:
        if isinstance(change, Put):
            self._writer.execute(f"INSERT OR REPLACE INTO {change.table} VALUES(?,?)", (change.key, change.value))
        else:
            self._writer.execute(f"DELETE FROM {change.table} WHERE key=?", (change.key,))

    def _write_sums(self) -> None:
        for change in self._sums.take(self._value):
            self._write(change)

    def _holds(self, expectation: RowIs | RangeEmpty | AtMost) -> bool:
        if self._sums.are_in(expectation.table):
            self._write_sums()
        if isinstance(expectation, RangeEmpty):
            found = self._writer.execute(self._scans[expectation.table], (expectation.start, expectation.stop))
            return found.fetchone() is None
        if isinstance(expectation, AtMost):
            return self._sums.hold(expectation, self._value(expectation.table, expectation.key))
        return self._value(expectation.table, expectation.key) == expectation.value

    def _value(self, table: str, key: bytes) -> bytes | None:
        row = self._writer.execute(self._gets[table], (key,)).fetchone()
        return None if row is None else cast("bytes", row[0])

    def _roll_back(self) -> None:
        """Leave the connection usable after a failure; some failures have rolled back already."""
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except apsw.Error:
                self._writer = sqlite_file.connect(self._path, durable=self._durable)


def _size(value: object) -> int:
    """Return the length of a value in bytes; damage can make it something else than bytes."""
    return len(value) if isinstance(value, bytes) else 0
