"""The checker itself: it must accept what is right and, above all, refuse what is wrong."""

import math
import random

import pytest

from tests.torture.register import ANY, MISSING, OK, REFUSED, UNKNOWN, GaveUp, Operation, check


def read(client, value, start, end):
    return Operation(client, "read", value, start, end)


def write(client, value, start, end, outcome=OK, expected=ANY):
    return Operation(client, "write", value, start, end, outcome, expected)


RIGHT = {
    "nothing": [],
    "one after the other": [write(1, "a", 0, 1), read(2, "a", 2, 3), write(1, None, 4, 5), read(2, None, 6, 7)],
    "a read during a write sees old or new": [write(1, "a", 0, 9), read(2, None, 1, 2), read(2, "a", 3, 4)],
    "overlapping writes in either order": [write(1, "a", 0, 9), write(2, "b", 0, 9), read(3, "a", 10, 11)],
    "an answer came later than the effect": [write(1, "a", 0, 9), write(2, "b", 1, 2, OK, "a")],
    "a chain of swaps": [write(1, "a", 0, 1, OK, None), write(2, "b", 2, 3, OK, "a"), write(1, "c", 4, 5, OK, "b")],
    "a swap that lost": [
        write(1, "a", 0, 1),
        write(2, "b", 2, 3),
        write(1, "c", 4, 5, REFUSED, "a"),
        read(1, "b", 6, 7),
    ],
    "a create that lost": [write(1, "a", 0, 9, OK, None), write(2, "b", 0, 9, REFUSED, None)],
    "a swap with nothing": [write(1, "a", 0, 1), write(1, None, 2, 3), write(2, "b", 4, 5, MISSING, "a")],
    "unknown and done": [write(1, "a", 0, 1, UNKNOWN), read(2, "a", 2, 3)],
    "unknown and done much later": [write(1, "a", 0, 1, UNKNOWN), read(2, None, 2, 3), read(2, "a", 4, 5)],
    "unknown and never done": [write(1, "a", 0, 1, UNKNOWN), read(2, None, 2, 3), write(2, "b", 4, 5, OK, None)],
    "an unknown read says nothing": [Operation(1, "read", "z", 0, 1, UNKNOWN)],
}

WRONG = {
    "stale read": [write(1, "a", 0, 1), write(1, "b", 2, 3), read(2, "a", 4, 5)],
    "a read of an object before it was written": [read(2, "a", 0, 1), write(1, "a", 2, 3)],
    "an acknowledged object is missing": [write(1, "a", 0, 1), read(2, None, 2, 3)],
    "a deleted object is seen": [write(1, "a", 0, 1), write(1, None, 2, 3), read(2, "a", 4, 5)],
    "new, then old again": [write(1, "a", 0, 1), write(1, "b", 2, 9), read(2, "b", 3, 4), read(2, "a", 5, 6)],
    "two readers see two orders": [
        write(1, "a", 0, 9),
        write(2, "b", 0, 9),
        read(3, "a", 10, 11),
        read(4, "b", 10, 11),
    ],
    "lost update": [write(1, "a", 0, 1), write(2, "b", 2, 9, OK, "a"), write(3, "c", 2, 9, OK, "a")],
    "two creates succeed": [write(1, "a", 0, 9, OK, None), write(2, "b", 0, 9, OK, None)],
    "a swap succeeds with what was never there": [write(1, "a", 0, 1), write(2, "b", 2, 3, OK, "z")],
    "a swap succeeds with what is gone": [write(1, "a", 0, 1), write(1, "b", 2, 3), write(2, "c", 4, 5, OK, "a")],
    "a refused swap is done": [write(1, "a", 0, 1), write(2, "b", 2, 3, REFUSED, "z"), read(1, "b", 4, 5)],
    "a refusal without reason": [write(1, "a", 0, 1), write(2, "b", 2, 3, REFUSED, "a")],
    "a create is refused where nothing is": [write(1, "a", 0, 1, REFUSED, None)],
    "missing where something is": [write(1, "a", 0, 1), write(2, "b", 2, 3, MISSING, "z")],
    "unknown, done twice": [
        write(1, "a", 0, 1, UNKNOWN),
        read(2, "a", 2, 3),
        write(2, "b", 4, 5),
        read(2, "a", 6, 7),
    ],
    "unknown, done before it was sent": [read(2, "a", 0, 1), write(1, "a", 2, 3, UNKNOWN)],
    "an unknown swap cannot be done": [write(1, "a", 0, 1, UNKNOWN, "z"), read(2, "a", 2, 3)],
}


@pytest.mark.parametrize("name", RIGHT)
def test_accepts(name):
    assert check(RIGHT[name]) is not None


@pytest.mark.parametrize("name", WRONG)
def test_refuses(name):
    assert check(WRONG[name]) is None


@pytest.mark.parametrize("name", WRONG)
def test_the_order_in_which_operations_were_noted_does_not_matter(name):
    assert check(WRONG[name][::-1]) is None
    assert check(RIGHT["a chain of swaps"][::-1]) is not None


def play(seed, operations=100, clients=8):
    """A history of a register that is right: every operation takes effect at one moment between start and end."""
    choose, state, history = random.Random(seed), None, []
    free = dict.fromkeys(range(clients), 0.0)
    for number in range(operations):
        client = min(free, key=free.get)
        start = free[client] + choose.random()
        history.append([client, number, start, start + choose.uniform(0.1, 6)])
        free[client] = history[-1][3]
    played, known = [], [None]
    for client, number, start, end in sorted(history, key=lambda item: (item[2] + item[3]) / 2):
        value, expected = f"v{number}", choose.choice((ANY, ANY, None, choose.choice(known)))
        if choose.random() < 0.4:
            played.append(read(client, state, start, end))
            continue
        holds = expected is ANY or expected == state
        outcome = OK if holds else MISSING if state is None else REFUSED
        if choose.random() < 0.03:
            outcome = UNKNOWN
        played.append(write(client, value, start, end, outcome, expected))
        if holds:
            state = value
            known.append(value)
    return played


@pytest.mark.parametrize("seed", range(20))
def test_long_histories_are_decided(seed):
    history = play(seed)
    order = check(history)
    assert order is not None
    state = None
    for operation in order:
        assert operation.allows(state)
        state = operation.after(state)
    ended = -math.inf  # nothing stands behind what began after its end
    for operation in reversed(order):
        assert operation.outcome == UNKNOWN or ended == -math.inf or operation.start <= ended
        ended = operation.end if ended == -math.inf or operation.outcome == UNKNOWN else min(ended, operation.end)


@pytest.mark.parametrize("seed", range(20))
def test_one_wrong_read_in_a_long_history_is_found(seed):
    history = play(seed)
    choose = random.Random(seed)
    last = max(operation.end for operation in history)
    written = [operation.value for operation in history if operation.kind == "write" and operation.outcome == OK]
    stale = read(0, written[0], last + 1, last + 2)
    assert check([*history, stale]) is None
    never = read(0, "never written", *sorted(choose.uniform(0, last) for _ in range(2)))
    assert check([*history, never]) is None


def test_gives_up_aloud():
    with pytest.raises(GaveUp):
        check(play(1), max_steps=10)
