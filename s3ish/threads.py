"""The only door to threads.

The event loop never waits for a disk: file work, hashing and coding of large buffers go through ``ThreadPool.run``. One
bounded pool serves a process. Tests and the simulation replace it with ``InlinePool``, which runs the work at once
and so makes every interleaving reproducible.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Condition, Lock, Thread, get_ident
from typing import Any, TypeVar, TypeVarTuple, cast

from msgspec import Struct

from s3ish.batching import TurnBatch

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


_TURNS = 64
"""So many calls that take turns are done before the first of their callers goes on."""


_END_SECONDS = 5.0
"""How long the end waits for a call that is still running; it cannot be ended."""


class GivenUp(BaseException):
    """A job was given up, because its thread is in a call of the system that does not come back.

    Its caller is told so at once; the job itself ends that way where it asks ``stop_if_given_up``, if ever the call
    comes back. No error that jobs expect, so that none of them takes it for one.
    """


_given_up: set[int] = set()
"""The threads whose jobs were given up."""


def is_given_up(thread: int) -> bool:
    """Whether the job of a thread was given up, and has not ended since."""
    return thread in _given_up


def stop_if_given_up() -> None:
    """Raise GivenUp if the caller's job was given up: another may be doing its work."""
    if _given_up and get_ident() in _given_up:
        raise GivenUp


class _Job(Struct, frozen=True):
    outcome: "asyncio.Future[Any]"
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class _Done(Struct, frozen=True):
    job: _Job
    value: Any
    error: BaseException | None


class Serial:
    """Calls that are done one after the other, of which few wait at a time; see ``ThreadPool.run_after``."""

    __slots__ = ("_busy", "_jobs", "_lock")

    def __init__(self) -> None:
        self._jobs: list[_Job] = []  # a deque takes half a KiB
        self._busy = False
        self._lock = Lock()

    def add(self, job: _Job) -> bool:
        """Add the last; returns whether no thread is at work on the others."""
        with self._lock:
            self._jobs.append(job)
            idle, self._busy = not self._busy, True
            return idle

    def take(self) -> _Job | None:
        """Return the next; with nothing the thread's work ends."""
        with self._lock:
            self._busy = bool(self._jobs)
            return self._jobs.pop(0) if self._jobs else None


class _Queue:
    """Calls that take turns on one thread, which is handed all those of a turn of the event loop together."""

    __slots__ = ("calls", "jobs", "thread")

    def __init__(self) -> None:
        self.jobs: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self.calls = TurnBatch(self.jobs.put, _TURNS)
        self.thread: Thread | None = None


class ThreadPool:
    """A bounded pool of threads, and two for calls that take turns.

    Outcomes go back to the event loop in batches: one wake-up serves all that have come meanwhile, which costs a
    fraction of what the standard library's executors do for each call.

    Args:
        threads: how many calls may run at once; further ones wait in order.
    """

    def __init__(self, threads: int = 16) -> None:
        self._limit = threads
        self._threads: list[Thread] = []
        self._running: dict[int, _Job] = {}
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._brief, self._short = _Queue(), _Queue()
        self._done: deque[_Done] = deque()
        self._told = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run ``function(*arguments)`` on a thread and return its result or raise its error.

        A caller that is cancelled goes on at once; a function that runs, runs to its end. Raises GivenUp, MemoryError.
        """
        outcome = self._expect()
        if len(self._threads) < self._limit:
            self._fill()
        self._jobs.put(_Job(outcome, function, arguments))
        return cast("T", await outcome)

    async def run_after(self, strand: Serial, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Do the same when all that was given with this strand before is done.

        The thread that has done one of them goes on with the next by itself: the event loop need not be quick.
        """
        outcome = self._expect()
        if len(self._threads) < self._limit:
            self._fill()
        if strand.add(_Job(outcome, function, arguments)):
            self._jobs.put(_Job(self._expect(), self._follow, (strand,)))
        return cast("T", await outcome)

    async def run_brief(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Do the same with a function that takes microseconds, such as a write into the page cache.

        Such calls take turns on one thread: on many they would spend ten times as long handing the interpreter's lock
        to each other.
        """
        return await self._take_turns(self._brief, function, arguments)

    async def run_short(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Do the same with a function that takes up to a millisecond, on another thread: brief calls do not wait."""
        return await self._take_turns(self._short, function, arguments)

    def samples(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Return how many threads there are, how many are at work, and how many calls wait for one."""
        yield "offload_threads", (), len(self._threads)
        yield "offload_running", (), len(self._running)
        yield "offload_waiting", (), self._jobs.qsize()

    def give_up(self, thread: int) -> None:
        """Wait no longer for the job of a thread, if it has one; another thread takes its place."""
        _given_up.add(thread)  # first: the thread that takes the job off ``_running`` last forgets it
        job = self._running.pop(thread, None)
        if job is None:
            _given_up.discard(thread)
            return
        self._threads = [other for other in self._threads if other.ident != thread]
        if not job.outcome.done():
            job.outcome.set_exception(GivenUp())
        with suppress(MemoryError):
            self._fill()

    def close(self) -> None:
        """Wait a while for running calls, but for those that were given up, and end the threads."""
        for _ in self._threads:
            self._jobs.put(None)
        for queue in (self._brief, self._short):
            queue.calls.flush()
            queue.jobs.put(None)
        for thread in [*self._threads, *filter(None, [self._brief.thread, self._short.thread])]:
            thread.join(_END_SECONDS)
        self._threads.clear()
        self._brief.thread = self._short.thread = None

    async def _take_turns(self, queue: _Queue, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        outcome = self._expect()
        if queue.thread is None:
            self._fill()
        queue.calls.add(_Job(outcome, function, arguments))
        return cast("T", await outcome)

    def _expect(self) -> "asyncio.Future[Any]":
        self._loop = asyncio.get_running_loop()
        return self._loop.create_future()

    def _fill(self) -> None:
        """Start all threads, as far as there is room for them. Raises MemoryError if there is for none.

        None is left for later: when memory has become short, a thread may die at its very beginning, and whoever
        started it waits for its sign of life for ever.
        """
        for queue, name in ((self._brief, "offload-brief"), (self._short, "offload-short")):
            if queue.thread is None:
                queue.thread = _started(functools.partial(self._work_in_turns, queue.jobs), name)
        try:
            while len(self._threads) < self._limit:
                self._threads.append(_started(self._work, f"offload-{len(self._threads)}"))
        except MemoryError:
            if not self._threads:
                raise

    def _work(self) -> None:
        thread = get_ident()
        while (job := self._jobs.get()) is not None:
            self._running[thread] = job
            done = _do(job)
            if self._running.pop(thread, None) is None:  # given up: this thread has been replaced
                _given_up.discard(thread)
                return
            self._done.append(done)
            del job, done
            self._tell()

    def _follow(self, strand: Serial) -> None:
        while (job := strand.take()) is not None:
            self._done.append(_do(job))
            del job
            self._tell()

    def _work_in_turns(self, queue: "SimpleQueue[list[_Job] | None]") -> None:
        """Do whatever is waiting, then tell of all of it at once."""
        done: list[_Done] = []
        while (jobs := queue.get()) is not None:
            done.extend(map(_do, jobs))
            del jobs
            if queue.empty() or len(done) >= _TURNS:  # not before: small groups would cost more on their further way
                self._done.extend(done)
                done.clear()
                self._tell()
        self._done.extend(done)
        self._tell()  # of the last: the end was waiting behind it

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        loop = self._loop
        assert loop is not None
        try:
            loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # the loop has ended, so nothing waits
            return

    def _settle(self) -> None:
        self._told = False  # before the first look: what comes later tells again
        while self._done:
            done = self._done.popleft()
            outcome, error = done.job.outcome, done.error
            if outcome.done():  # its caller was cancelled
                continue
            if error is None:
                outcome.set_result(done.value)
            else:
                outcome.set_exception(error)


def _do(job: _Job) -> _Done:
    try:
        return _Done(job, job.function(*job.arguments), None)
    except StopIteration as error:  # which no future can carry
        return _Done(job, None, RuntimeError(f"the function raised {error!r}"))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must get it
        return _Done(job, None, error)


def _started(function: Callable[[], None], name: str) -> Thread:
    """Return a thread that runs a function. Raises MemoryError if there is no room for one."""
    thread = Thread(target=function, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError(str(error)) from error
    return thread


class InlinePool(ThreadPool):
    """Runs everything at once on the caller's thread."""

    def __init__(self) -> None:  # no pool
        pass

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        return function(*arguments)

    async def run_after(self, strand: Serial, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:  # noqa: ARG002
        return await self.run(function, *arguments)

    async def run_brief(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        return await self.run(function, *arguments)

    async def run_short(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        return await self.run(function, *arguments)

    def give_up(self, thread: int) -> None:
        pass

    def close(self) -> None:
        pass


def each_within(seconds: float | None, functions: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Call functions at once, each on a thread of its own.

    Args:
        seconds: how long to wait for them; None to call them here, one after the other, however long that takes.

    Returns:
        What each of them returned or raised; TimeoutError for one that was not ready by then. It goes on, and its
        outcome is lost.
    """
    if seconds is None:
        return [_outcome(function) for function in functions]
    outcomes: dict[int, T | Exception] = {}
    changed = Condition()

    def call(number: int, function: Callable[[], T]) -> None:
        outcome = _outcome(function)
        with changed:
            outcomes[number] = outcome
            changed.notify_all()

    for number, function in enumerate(functions):
        _started(functools.partial(call, number, function), f"within-{number}")
    with changed:
        changed.wait_for(lambda: len(outcomes) == len(functions), seconds)
        return [outcomes.get(number, TimeoutError()) for number in range(len(functions))]


def _outcome(function: Callable[[], T]) -> T | Exception:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller must get it
        return error


class OwnThread:
    """One thread of its own for one function that runs until it has nothing more to do."""

    def __init__(self, name: str, function: Callable[[], None]) -> None:
        self._thread = _started(function, name)

    @property
    def ended(self) -> bool:
        """Whether the function has returned."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Wait for the function to return."""
        self._thread.join()
