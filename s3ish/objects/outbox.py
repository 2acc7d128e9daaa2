"""Events on their way to targets: rows that a commit writes together with what they tell, and that go when a target has
taken them. A queue of this server is its own outbox: there the row is the message.
"""

import re
from collections.abc import Iterable

from s3ish.clock import Clock
from s3ish.index.protocol import Change
from s3ish.model import ACCOUNT, Event, QueuedMessage, dashed
from s3ish.tables.catalogue import MESSAGES, OUTBOX

_TOKEN_BYTES = 5
_SENDER = "s3.amazonaws.com"
_BUS = "events"
"""The service in the ARN of an event bus."""
_QUEUE = re.compile(rf"arn:aws:sqs:[a-z0-9-]+:{ACCOUNT}:([A-Za-z0-9_-]{{1,80}})")
"""The ARN of a queue of this server."""


class Targets:
    """The ARNs to which events can go, and the buckets of other servers to which replicas can.

    Args:
        arns, peers: as the configurations of buckets name them.
    """

    def __init__(self, arns: Iterable[str] = (), peers: Iterable[str] = ()) -> None:
        self.arns, self.peers = frozenset(arns), frozenset(peers)
        self.buses = tuple(sorted(arn for arn in self.arns if is_bus(arn)))

    def has(self, arn: str) -> bool:
        """Whether the settings name such a target."""
        return arn in self.arns

    def queue(self, arn: str) -> str:
        """Return the name of the queue of this server that an ARN means; empty if it means none."""
        found = None if arn in self.arns else _QUEUE.fullmatch(arn)
        return found[1] if found else ""


NO_TARGETS = Targets()


def is_bus(arn: str) -> bool:
    """Whether an ARN is that of an event bus, whose messages have a form of their own."""
    return arn.split(":")[2:3] == [_BUS]


def rows_for(clock: Clock, targets: Targets, arn: str, event: Event) -> list[Change]:
    """Return the rows that bring an event to what an ARN means; none if it means nothing here."""
    if targets.has(arn):
        return [waiting(clock, arn, event)]
    queue = targets.queue(arn)
    return [queued(clock, queue, event)] if queue else []


def waiting(clock: Clock, target: str, event: Event) -> Change:
    """Return the row of an event for a target, given the target's ARN."""
    return OUTBOX.put(event, target, event.sequencer, clock.random_bytes(_TOKEN_BYTES))


def queued(clock: Clock, queue: str, event: Event) -> Change:
    """Return the row of an event in a queue."""
    message = QueuedMessage(dashed(clock.random_bytes(16).hex()), event.at_ns, event.at_ns, event=event, sender=_SENDER)
    return MESSAGES.put(message, queue, event.sequencer, clock.random_bytes(_TOKEN_BYTES))
