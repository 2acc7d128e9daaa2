"""Whether a worker goes on: a thread looks, because an event loop that waits for a drive cannot look itself."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event

from s3ish.threads import OwnThread

_LOOKS = 15
"""In how many looks, one after the other, something must have stood still. Counted as ``watchdog.py`` counts."""


class _Standing:
    """How long something stands still."""

    def __init__(self) -> None:
        self._seen: object = None
        self._looks = 0

    def too_long(self, seen: object) -> bool:
        """Look once. ``seen`` is None while nothing is to be waited for, else what changes when it goes on."""
        self._looks = self._looks + 1 if seen is not None and seen == self._seen else 0
        self._seen = seen
        if self._looks < _LOOKS:
            return False
        self._looks = 0
        return True


class Heartbeat:
    """A watch over the running event loop, and a monitor of the index.

    Args:
        patience_seconds: how long the loop, or a transaction, may stand still; None for as long as it takes, and as
            long as the index fails without being damaged: where there is no other drive for it, to leave does not help.
        leave: called on the thread of the watch when one did for longer, or the index failed; again if that goes on.
    """

    def __init__(self, patience_seconds: float | None, leave: Callable[[], None]) -> None:
        self._seconds, self._leave = patience_seconds and patience_seconds / _LOOKS, leave
        self._loop = asyncio.get_running_loop()
        self._wake = Event()
        self._failed = self._ended = False
        self._steps = 0  # begins and ends of transactions
        self._asked = self._turned = 0  # how often the loop was asked to answer, and which of these it has answered
        self._lane = OwnThread("pulse", self._watch)

    def begin(self, commits: int) -> None:  # noqa: ARG002
        """A transaction of the index begins."""
        self._steps += 1

    def end(self, conflicts: int, failures: int) -> None:  # noqa: ARG002
        """It has ended."""
        self._steps += 1

    def fail(self, *, damaged: bool) -> None:
        """The index cannot be used."""
        if damaged or self._seconds is not None:
            self._failed = True
            self._wake.set()

    def close(self) -> None:
        """Look no more."""
        self._ended = True
        self._wake.set()
        self._lane.join()

    def _watch(self) -> None:
        loop, writer = _Standing(), _Standing()
        with suppress(RuntimeError):  # the loop has ended
            while not self._ended:
                if self._turned == self._asked:
                    self._asked += 1
                    self._loop.call_soon_threadsafe(self._turn)
                self._wake.wait(self._seconds)
                self._wake.clear()
                steps = self._steps
                looked = loop.too_long(self._asked), writer.too_long(steps if steps % 2 else None)
                if self._failed or any(looked):
                    self._failed = False
                    self._leave()

    def _turn(self) -> None:
        self._turned = self._asked
