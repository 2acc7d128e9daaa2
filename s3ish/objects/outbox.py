"""Events on their way to targets: rows that a commit writes together with what they tell, and that go when a target has
taken them."""

from collections.abc import Iterable

from s3ish.clock import Clock
from s3ish.index.protocol import Change
from s3ish.model import Event
from s3ish.tables.catalog import OUTBOX

_TOKEN_BYTES = 5
_BUS = "events"
"""The service in the ARN of an event bus."""


class Targets:
    """The ARNs to which events can go.

    Args:
        arns: as the configurations of buckets name them.
    """

    def __init__(self, arns: Iterable[str] = ()) -> None:
        self.arns = frozenset(arns)
        self.buses = tuple(sorted(arn for arn in self.arns if is_bus(arn)))

    def has(self, arn: str) -> bool:
        """Whether there is a target of that name."""
        return arn in self.arns


NO_TARGETS = Targets()


def is_bus(arn: str) -> bool:
    """Whether an ARN is that of an event bus, whose messages have a form of their own."""
    return arn.split(":")[2:3] == [_BUS]


def waiting(clock: Clock, target: str, event: Event) -> Change:
    """Return the row of an event for a target, given the target's ARN."""
    return OUTBOX.put(event, target, event.sequencer, clock.random_bytes(_TOKEN_BYTES))
