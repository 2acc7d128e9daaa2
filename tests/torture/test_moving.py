"""A short run of appends and renames over several workers, and histories that must be refused.

``python -m tests.torture.moving`` records many histories.
"""

import pytest

from tests.torture import linear, moving, register
from tests.torture.moving import Step
from tests.torture.register import MISSING, OK, REFUSED, UNKNOWN

EMPTY = (None, None, None)


def test_appends_and_renames_are_single_steps_while_a_worker_dies():  # case 10
    if reason := linear.can_run():
        pytest.skip(reason)
    counts, wrong = moving.run(4, seed=7, workers=2, operations=20, kill_every=4)
    assert wrong == []
    assert counts["histories"] == 4
    assert counts["workers killed"] == 1
    assert min(counts["append ok"], counts["append refused"], counts["rename ok"]) > 10


def step(what, start, end, outcome=OK, **fields):
    return Step(1, what, start, end, outcome, **fields)


MADE = step("append", 0, 1, key=0, data=b"ab")
MOVED = step("rename", 2, 9, key=1, source=0)

RIGHT = {
    "grown and renamed": [MADE, step("append", 2, 3, data=b"c", offset=2), step("rename", 4, 5, key=1, source=0)],
    "one name or the other": [
        MADE,
        MOVED,
        step("list", 3, 4, data=(2, None, None)),
        step("get", 5, 6, key=1, data=b"ab"),
    ],
    "refused and missing": [
        MADE,
        step("append", 2, 3, REFUSED, data=b"c", offset=1),
        step("rename", 4, 5, MISSING, key=0, source=2),
        step("put", 6, 7, key=2, data=b"z"),
        step("rename", 8, 9, REFUSED, key=2, source=0, alone=True),
    ],
    "an append that nobody knows of": [MADE, step("append", 2, 3, UNKNOWN, data=b"c", offset=2)],
}
WRONG = {
    "both names": [MADE, MOVED, step("list", 3, 4, data=(2, 2, None))],
    "no name": [MADE, MOVED, step("list", 3, 4, data=EMPTY)],
    "an append that is lost": [MADE, step("append", 2, 3, data=b"c", offset=2), step("get", 4, 5, data=b"ab")],
    "two appends at one place": [
        MADE,
        step("append", 2, 9, data=b"c", offset=2),
        step("append", 2, 9, data=b"d", offset=2),
    ],
    "an append that was refused and done": [
        MADE,
        step("append", 2, 3, REFUSED, data=b"c", offset=2),
    ],
    "a rename that was done twice": [
        MADE,
        step("rename", 2, 3, key=1, source=0),
        step("rename", 4, 5, key=2, source=0),
    ],
    "a rename over what it must not touch": [
        MADE,
        step("put", 2, 3, key=1, data=b"z"),
        step("rename", 4, 5, key=1, source=0, alone=True),
    ],
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_is_explained(name):
    assert register.check(RIGHT[name], EMPTY) is not None


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history_is_not(name):
    assert register.check(WRONG[name], EMPTY) is None
