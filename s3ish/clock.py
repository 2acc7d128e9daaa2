"""Time, order and ids: the only source of each.

There are two times. Machine time is for leases, timeouts, the scrub and the order of versions. Service time is what
S3's clients see: Last-Modified, expiry, locks, lifecycle and signatures go by it. It is machine time, moved by what was
set; only stacks for tests set it.

Everything that asks for the time, a random number or a new identifier asks a ``Clock``, so that tests and the
simulation can replace it with one that is driven by a seed. No other module imports ``time``, ``random``, ``secrets``
or ``uuid``.
"""

import os
import time
from datetime import UTC, datetime
from threading import Lock

_POOL_BYTES = 4096
_FOLLOWED_NS = 900 * 1_000_000_000
"""By how much another clock may be ahead, as far as signatures are accepted of it."""
_BASE_32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _BASE_32 for second in _BASE_32]
"""The two characters of each number of ten bits."""


class _Pool:
    """Random bytes of the system, fetched many at a time; each is given out once, and none in two processes."""

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._bytes, self._next, self._lock = b"", 0, Lock()

    def take(self, count: int) -> bytes:
        """Return ``count`` bytes."""
        with self._lock:  # two threads must never get the same
            start = self._next
            if start + count > len(self._bytes):
                self._bytes, start = os.urandom(max(count, _POOL_BYTES)), 0
            self._next = start + count
            return self._bytes[start : start + count]


_POOL = _Pool()


class ServiceTime:
    """How service time differs from machine time: it is moved by an offset, or stands still.

    What is set counts from the next look on, for all that share it.

    Args:
        day_seconds: how long a day is, for what counts in days.
        restore_seconds: how long it takes to restore what is in an archive class.
    """

    def __init__(self, day_seconds: float = 86_400, restore_seconds: float = 0) -> None:
        self.day_ns = int(day_seconds * 1e9)
        self.restore_ns = int(restore_seconds * 1e9)
        self._offset_ns = 0
        self._standing_ns: int | None = None

    def set(self, at_ns: int, machine_ns: int, *, running: bool = True) -> None:
        """Let it be a moment now.

        Args:
            at_ns: that moment, in nanoseconds since the epoch.
            machine_ns: machine time now.
            running: whether it goes on from there with machine time, or stands still.
        """
        self._offset_ns = at_ns - machine_ns
        self._standing_ns = None if running else at_ns

    @property
    def is_running(self) -> bool:
        """Whether it goes on with machine time."""
        return self._standing_ns is None

    def reset(self) -> None:
        """Let it be machine time again."""
        self._offset_ns, self._standing_ns = 0, None

    def at(self, machine_ns: int) -> int:
        """Return what it is, in nanoseconds since the epoch, when machine time is that."""
        return machine_ns + self._offset_ns if self._standing_ns is None else self._standing_ns


class Clock:
    """The machine's clock, and the service's.

    Args:
        service: how service time differs.
    """

    def __init__(self, service: ServiceTime | None = None) -> None:
        self._last_sequence = 0
        self.service = service or ServiceTime()

    def now_ns(self) -> int:
        """Return machine time in nanoseconds since the epoch; it may jump in either direction."""
        return time.time_ns()

    def now(self) -> datetime:
        """Return machine time as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now_ns() / 1e9, UTC)

    def service_ns(self) -> int:
        """Return service time in nanoseconds since the epoch."""
        return self.service.at(self.now_ns())

    def service_now(self) -> datetime:
        """Return service time as an aware UTC datetime."""
        return datetime.fromtimestamp(self.service_ns() / 1e9, UTC)

    monotonic = staticmethod(time.monotonic)
    """Return seconds on a clock that never goes back; only differences have a meaning."""

    def sequence(self, after: int = 0) -> int:
        """Return a number greater than ``after`` and than every number that this clock has returned.

        It follows the wall clock in nanoseconds while that advances, so that numbers of several processes agree
        closely, and counts on by one while it does not (a hybrid logical clock). It does not follow an ``after`` that
        is further ahead than a clock that is right: a sender of replicas would move the numbers of all keys.
        """
        now = self.now_ns()
        own = max(now, self._last_sequence + 1)
        number = max(own, after + 1)
        self._last_sequence = number if number - now <= _FOLLOWED_NS else own
        return number

    def random_bytes(self, count: int) -> bytes:
        """Return ``count`` unpredictable bytes."""
        return _POOL.take(count)

    def token(self, count: int = 10) -> str:
        """Return an unpredictable identifier of ``count`` random bytes, a multiple of five, in lower-case base 32."""
        number = int.from_bytes(self.random_bytes(count), "big")
        return "".join([_PAIRS[number >> shift & 1023] for shift in range(count * 8 - 10, -1, -10)])
