"""The only door to threads.

The event loop never waits for a disk: file work, hashing and coding of large buffers go through ``Offload.run``. One
bounded pool serves a process. Tests and the simulation replace it with ``InlineOffload``, which runs the work at once
and so makes every interleaving reproducible.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar, TypeVarTuple, cast

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class _Job(NamedTuple):
    outcome: "asyncio.Future[Any]"
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class _Done(NamedTuple):
    outcome: "asyncio.Future[Any]"
    value: Any
    error: BaseException | None


class Offload:
    """A bounded pool of threads.

    Outcomes go back to the event loop in batches: one wake-up serves all that have come meanwhile, which costs a
    fraction of what the standard library's executors do for each call.

    Args:
        threads: how many calls may run at once; further ones wait in order.
    """

    def __init__(self, threads: int = 16) -> None:
        self._limit = threads
        self._threads: list[Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[_Done] = deque()
        self._waiting = 0
        self._told = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run ``function(*arguments)`` on a thread and return its result or raise its error.

        A caller that is cancelled goes on at once; a function that runs, runs to its end.
        """
        loop = self._loop = asyncio.get_running_loop()
        outcome = loop.create_future()
        self._waiting += 1
        if self._waiting > len(self._threads) < self._limit:
            thread = Thread(target=self._work, name=f"offload-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put(_Job(outcome, function, arguments))
        return cast("T", await outcome)

    def close(self) -> None:
        """Wait for running calls and end the threads."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                done = _Done(job.outcome, job.function(*job.arguments), None)
            except StopIteration as error:  # which no future can carry
                done = _Done(job.outcome, None, RuntimeError(f"the function raised {error!r}"))
            except BaseException as error:  # noqa: BLE001 - whatever it is, the caller must get it
                done = _Done(job.outcome, None, error)
            self._done.append(done)
            del job, done
            if not self._told:
                self._told = True
                self._tell()

    def _tell(self) -> None:
        loop = self._loop
        assert loop is not None
        try:
            loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # the loop has ended: nobody waits any more
            return

    def _settle(self) -> None:
        self._told = False  # before the first look: what comes later tells again
        while self._done:
            outcome, value, error = self._done.popleft()
            self._waiting -= 1
            if outcome.done():  # its caller was cancelled
                continue
            if error is None:
                outcome.set_result(value)
            else:
                outcome.set_exception(error)


class InlineOffload(Offload):
    """Runs everything at once on the caller's thread."""

    def __init__(self) -> None:  # no pool
        pass

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        return function(*arguments)

    def close(self) -> None:
        pass


class Lane:
    """One thread of its own for one function that runs until it has nothing more to do."""

    def __init__(self, name: str, function: Callable[[], None]) -> None:
        self._thread = Thread(target=function, name=name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the function to return."""
        self._thread.join()
