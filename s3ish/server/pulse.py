"""Whether the event loop turns: a thread looks, because a loop that waits for a drive cannot look itself."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event

from s3ish.offload import Lane

_LOOKS = 15
"""In how many looks, one after the other, the loop must have stood still. Counted, as in ``blob/watch.py``."""


class Pulse:
    """A watch over the running event loop, on a thread that can still do something when the loop cannot.

    Args:
        patience_seconds: how long the loop may stand still.
        leave: called on that thread when it stood still for longer, or after ``fail``; again if that goes on.
    """

    def __init__(self, patience_seconds: float, leave: Callable[[], None]) -> None:
        self._seconds, self._leave = patience_seconds / _LOOKS, leave
        self._loop = asyncio.get_running_loop()
        self._wake = Event()
        self._failed = self._ended = False
        self._missed = 0
        self._lane = Lane("pulse", self._watch)

    def fail(self) -> None:
        """This process cannot go on. From any thread."""
        self._failed = True
        self._wake.set()

    def close(self) -> None:
        """Look no more."""
        self._ended = True
        self._wake.set()
        self._lane.join()

    def _watch(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            while not self._ended:
                if not self._missed:
                    self._loop.call_soon_threadsafe(self._beat)
                self._missed += 1
                self._wake.wait(self._seconds)
                self._wake.clear()
                if self._failed or self._missed > _LOOKS:
                    self._failed, self._missed = False, 1  # the beat is still to come
                    self._leave()

    def _beat(self) -> None:
        self._missed = 0
