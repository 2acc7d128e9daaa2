"""Is a history of one key the history of a register with compare-and-set?

The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of what was tried
("Testing for linearizability", 2017): put the operations in an order that respects real time, one after the other,
each legal where it stands. A write whose outcome the client never learned may stand anywhere after its beginning, or
nowhere.
"""

import math
from typing import NamedTuple

ANY = object()
"""The expectation of a write that has none."""

OK, REFUSED, MISSING, UNKNOWN = "ok", "refused", "missing", "unknown"
"""Outcomes: done; 412, the object is another one; 404, there is none to compare with; nobody knows."""


class GaveUp(Exception):
    """The search took more steps than it was given: neither right nor wrong is shown."""


class Operation(NamedTuple):
    """One operation of one client on one key.

    Args:
        client: who.
        kind: ``read`` or ``write``; a delete is a write of None, a create one that expects None.
        value: what was read or written; None for no object.
        start, end: when it was sent and answered, on one monotonic clock. An unknown outcome has no end.
        outcome: one of the four.
        expected: what the write required to find.
    """

    client: int
    kind: str
    value: str | None
    start: float
    end: float
    outcome: str = OK
    expected: object = ANY

    def allows(self, state):
        """Whether the operation may stand where the register holds ``state``."""
        if self.kind == "read":
            return state == self.value
        holds = self.expected is ANY or self.expected == state
        if self.outcome == REFUSED:
            return state is not None and not holds
        if self.outcome == MISSING:
            return state is None and not holds
        return holds

    def after(self, state):
        """What the register holds after it."""
        return self.value if self.kind == "write" and self.outcome in {OK, UNKNOWN} else state


def check(history, initial=None, max_steps=1_000_000):
    """Return an order of the operations that explains a history, None if there is none.

    Args:
        history: operations in any order.
        initial: what the register holds at first.
        max_steps: how many placements are tried.

    Raises:
        GaveUp: more would be needed.
    """
    ahead = [o for o in history if o.outcome != UNKNOWN or o.kind == "write"]
    ahead = sorted((o._replace(end=math.inf) if o.outcome == UNKNOWN else o for o in ahead), key=lambda o: o.start)
    needed = sum(1 << number for number, o in enumerate(ahead) if o.outcome != UNKNOWN)
    tried = {(0, initial)}
    path = [(None, 0, initial, _next(ahead, 0, initial))]
    steps = 0
    while path:
        _, done, state, choices = path[-1]
        if done & needed == needed:
            return [ahead[number] for number, *_ in path[1:]]
        number = next(choices, None)
        if number is None:
            path.pop()
            continue
        steps += 1
        if steps > max_steps:
            raise GaveUp
        reached = done | 1 << number, ahead[number].after(state)
        if reached not in tried:
            tried.add(reached)
            path.append((number, *reached, _next(ahead, *reached)))
    return None


def _next(operations, done, state):
    """Yield the numbers of the operations that may come next: none that has ended began before the end of another."""
    first_end, doubtful = math.inf, []
    for number in range(((~done & (done + 1)).bit_length() - 1), len(operations)):
        operation = operations[number]
        if operation.start > first_end:
            break
        if done >> number & 1:
            continue
        first_end = min(first_end, operation.end)
        if operation.allows(state):
            if operation.outcome == UNKNOWN:
                doubtful.append(number)  # last: it need not have happened
            else:
                yield number
    yield from doubtful
