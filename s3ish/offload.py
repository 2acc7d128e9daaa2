"""The only door to threads.

The event loop never waits for a disk: file work, hashing and coding of large buffers go through ``Offload.run``. One
bounded pool serves a process. Tests and the simulation replace it with ``InlineOffload``, which runs the work at once
and so makes every interleaving reproducible.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Offload:
    """A bounded pool of threads.

    Args:
        threads: how many calls may run at once; further ones wait in order.
    """

    def __init__(self, threads: int = 16) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="offload")

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run ``function(*arguments)`` on a thread and return its result or raise its error."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def close(self) -> None:
        """Wait for running calls and end the threads."""
        self._pool.shutdown()


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
