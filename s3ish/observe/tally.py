"""Amounts on their way to a metric: added where work is done by a step or two of plain Python, and read now and then.

The client library's own metrics cost microseconds for each amount, more where several processes share them.
"""

from bisect import bisect_left

from s3ish.clock import Clock

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
BYTES = (0, *(1 << power for power in range(10, 34, 2)))
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Tally:
    """How many amounts were at most each of some bounds, and their sum.

    Args:
        bounds: in ascending order.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, amount: float) -> None:
        """Add an amount."""
        self.counts[bisect_left(self.bounds, amount)] += 1
        self.total += amount


class Stopwatch(Tally):
    """A tally of how long something takes, in seconds.

    Args:
        clock: tells the time.
    """

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def begin(self) -> float:
        """Return when it begins, for ``end``."""
        return self._clock.monotonic()

    def end(self, begun: float) -> None:
        """Add the time since it began."""
        self.add(self._clock.monotonic() - begun)
