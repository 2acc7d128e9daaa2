"""Leaving the machine to requests: what jobs write durably they write in turns, and rest after each.

A commit or a flush of a job stands before those of a request that comes while it is under way: one costs the request
little, eight at once cost it several times what it takes alone. So while requests come to the server, in any of
its processes, each has one turn at a time, and a rest after it. While none do, jobs have the machine. They also
have it for what has waited too long: to lag behind for ever is worse than to be slow.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from s3ish.clock import Clock
from s3ish.index.protocol import Index, Mark

TELL_SECONDS = 0.5
"""How often a process tells the others whether it is asked anything."""
_RESTS = 1
"""So many times as long as a turn took, requests have the machine before the next one."""
_LONGEST_REST_SECONDS = 0.25
_CALM_SECONDS = 3.0
"""So long after the last request began the server is idle."""
_PATIENCE_NS = 60 * 10**9
"""What has waited so long is not held up."""
_MARK = b"requests"


class Pace:
    """The pace of the jobs of one process.

    Args:
        index: where processes tell each other that they are asked something.
        clock: tells how long turns take.
        begun: returns how many requests this process has begun to answer.
    """

    def __init__(self, index: Index, clock: Clock, begun: Callable[[], int] = lambda: 0) -> None:
        self._index, self._clock, self._begun = index, clock, begun
        self._seen, self._calm_at, self._rests_until = begun(), float("-inf"), float("-inf")
        self._mark: Mark | None = None
        self._lock = asyncio.Lock()

    async def look(self) -> None:
        """Tell the other processes whether this one is asked anything. Raises Unavailable."""
        if self._is_asked_here():
            self._mark = self._mark or self._index.mark(_MARK)
        elif self._mark:
            self._mark.release()
            self._mark = None

    @property
    def is_asked(self) -> bool:
        """Whether requests come to the server. Raises Unavailable."""
        return self._is_asked_here() or self._index.is_marked(_MARK)

    @property
    def rest_seconds(self) -> float:
        """How long the next turn is still to wait."""
        return max(0.0, self._rests_until - self._clock.monotonic())

    @asynccontextmanager
    async def turn(self, since_ns: int | None = None) -> AsyncIterator[None]:
        """Return a context for what is written durably: it begins when its turn has come. Raises Unavailable.

        Args:
            since_ns: since when that waits, in nanoseconds of machine time; None for what may wait for ever.
        """
        is_late = since_ns is not None and self._clock.now_ns() - since_ns > _PATIENCE_NS
        if is_late or not self.is_asked:
            yield
            return
        async with self._lock:
            await asyncio.sleep(self.rest_seconds)
            began = self._clock.monotonic()
            try:
                yield
            finally:
                ended = self._clock.monotonic()
                self._rests_until = ended + min(_RESTS * (ended - began), _LONGEST_REST_SECONDS)

    def _is_asked_here(self) -> bool:
        begun, now = self._begun(), self._clock.monotonic()
        if begun != self._seen:
            self._seen, self._calm_at = begun, now + _CALM_SECONDS
        return now < self._calm_at
