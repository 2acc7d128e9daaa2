"""How much callers may ask for at once and in a second: what is too much is asked to come back, before it is read.

The limits hold for one process. What a caller takes is counted from when its rights are known until its answer is sent.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from s3ish.api.operation import Operation
from s3ish.errors import S3Error, SlowDown
from s3ish.server.body import MAX_BODY_BYTES, Longest

_REMEMBERED_SECONDS = 1.0
"""For how long a caller that was refused counts as one that wants a place."""
_SPARED = 4
"""A quarter of all places is for callers that have fewer than their share."""


class Bounds(Struct, frozen=True):
    """The limits of one process; 0 for none.

    ``requests``, ``uploads`` and ``downloads`` are at once, those with ``user_`` of one caller. ``user_rate`` is in
    requests a second, ``user_burst`` how many may come at once after a rest, ``body_bytes`` the longest body.
    """

    requests: int = 0
    uploads: int = 0
    downloads: int = 0
    user_requests: int = 0
    user_uploads: int = 0
    user_downloads: int = 0
    user_rate: float = 0.0
    user_burst: int = 0
    body_bytes: int = 0


class Places:
    """Places for requests of one kind, shared fairly by those who want some.

    Args:
        most: how many there are in all; 0 for no limit.
        most_of_one: how many a caller may have; 0 for no limit.
        now: returns the time in seconds.
    """

    def __init__(self, most: int, most_of_one: int, now: Callable[[], float]) -> None:
        self._most, self._most_of_one, self._now = most, most_of_one, now
        self._taken: Counter[str] = Counter()
        self._total = 0
        self._refused: dict[str, float] = {}

    def take(self, caller: str) -> bool:
        """Take a place for a caller; return False if there is none for it."""
        if not self._has_place_for(caller):
            return False
        self._refused.pop(caller, None)
        self._taken[caller] += 1
        self._total += 1
        return True

    def give_back(self, caller: str) -> None:
        """A caller's request has ended."""
        self._total -= 1
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]

    def _has_place_for(self, caller: str) -> bool:
        mine = self._taken.get(caller, 0)
        if self._most_of_one and mine >= self._most_of_one:
            return False
        if not self._most:
            return True
        now = self._now()
        if self._total < self._most and mine < self._share(caller, now):
            return True
        if self._total < self._most - self._most // _SPARED:
            return True
        self._refused[caller] = now
        return False

    def _share(self, caller: str, now: float) -> int:
        """Return how many places a caller is sure of, when all who want some have as many."""
        if self._refused:
            self._refused = {each: at for each, at in self._refused.items() if now - at < _REMEMBERED_SECONDS}
        return max(1, self._most // len({caller, *self._taken, *self._refused}))


class Rate:
    """How many requests a second each caller may begin: a bucket of tokens for each.

    Args:
        rate: tokens that come back in a second.
        burst: tokens in a full bucket.
        now: returns the time in seconds.
    """

    def __init__(self, rate: float, burst: int, now: Callable[[], float]) -> None:
        self._rate, self._burst, self._now = rate, max(1, burst or math.ceil(rate)), now
        self._buckets: dict[str, tuple[float, float]] = {}
        self._cleared = now()

    def wait(self, caller: str) -> float:
        """Take a token; return 0, or in how many seconds there will be one."""
        now = self._now()
        self._clear(now)
        tokens, at = self._buckets.get(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        if tokens < 1:
            self._buckets[caller] = tokens, now
            return (1 - tokens) / self._rate
        self._buckets[caller] = tokens - 1, now
        return 0.0

    def _clear(self, now: float) -> None:
        """Forget full buckets when all of them could be: a user can begin sessions without end."""
        seconds = self._burst / self._rate
        if now - self._cleared >= seconds:
            self._buckets = {caller: it for caller, it in self._buckets.items() if now - it[1] < seconds}
            self._cleared = now


Ticket = tuple[str, list[Places]]
"""Whose request it is, and of what it has a place."""


class Admission:
    """Lets requests in, as far as the limits allow.

    Args:
        bounds: the limits.
        now: returns the time in seconds, which never goes back.
        refused: called with the name of the limit that has refused a request.
    """

    def __init__(self, bounds: Bounds, now: Callable[[], float], refused: Callable[[str], None]) -> None:
        self._refused = refused
        self.longest = Longest()
        if bounds.body_bytes:
            self.longest = Longest(min(bounds.body_bytes, MAX_BODY_BYTES), functools.partial(refused, "body"))
        self._rate = Rate(bounds.user_rate, bounds.user_burst, now) if bounds.user_rate else None
        kinds = {
            "requests": (bounds.requests, bounds.user_requests),
            "uploads": (bounds.uploads, bounds.user_uploads),
            "downloads": (bounds.downloads, bounds.user_downloads),
        }
        self._places = {kind: Places(*most, now) for kind, most in kinds.items() if any(most)}

    def enter(self, caller: str, operation: Operation) -> Ticket:
        """Let a request in, until ``leave``.

        Args:
            caller: who shares nothing with others; all anonymous callers are one.
            operation: what it asks for.

        Raises:
            SlowDown: too much is under way, or has begun a moment ago.
        """
        if self._rate and (seconds := self._rate.wait(caller)):
            raise self._refuse("rate", math.ceil(seconds))
        kind = "uploads" if operation.reads_stream or operation.reads_form else "downloads"
        wanted = ["requests", kind] if kind == "uploads" or operation.name == "GetObject" else ["requests"]
        taken: list[Places] = []
        for name in wanted:
            places = self._places.get(name)
            if places is None:
                continue
            if not places.take(caller):
                self.leave((caller, taken))
                raise self._refuse(name, 1)
            taken.append(places)
        return caller, taken

    def leave(self, ticket: Ticket) -> None:
        """The request has ended."""
        caller, taken = ticket
        for places in taken:
            places.give_back(caller)

    def _refuse(self, limit: str, seconds: int) -> S3Error:
        self._refused(limit)
        return SlowDown(headers={"retry-after": str(max(1, seconds))})
