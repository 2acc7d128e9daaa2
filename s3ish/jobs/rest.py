"""How long what takes nothing is left alone: a second after the first failure, then twice as long after each."""

from s3ish.clock import Clock

_FIRST_SECONDS, _LONGEST_SECONDS = 1.0, 60.0


class Rest:
    """The rests of one destination.

    Args:
        clock: tells when they end.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._until = clock, float("-inf")
        self.failures = 0

    @property
    def seconds(self) -> float:
        """How long it is still left alone; 0 if it may be tried."""
        return max(0.0, self._until - self._clock.monotonic())

    def begin(self) -> float:
        """Leave it alone; return for how many seconds. What fails while it rests makes that no longer."""
        if not self.seconds:
            self._until = self._clock.monotonic() + min(_FIRST_SECONDS * 2 ** min(self.failures, 10), _LONGEST_SECONDS)
            self.failures += 1
        return self.seconds

    def end(self) -> None:
        """It has taken something: the next rest is a short one."""
        self.failures = 0
