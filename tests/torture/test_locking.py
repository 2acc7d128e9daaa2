"""A short run of locks set against removals over several workers, and histories that must be refused.

``python -m tests.torture.locking`` records many histories.
"""

import pytest

from tests.torture import linear, locking, register
from tests.torture.locking import GONE, Held, Step
from tests.torture.register import MISSING, OK, REFUSED, UNKNOWN


def test_locks_and_removals_are_single_steps_while_a_worker_dies():  # case 10
    if reason := linear.can_run():
        pytest.skip(reason)
    counts, wrong = locking.run(3, seed=7, workers=2, operations=30, kill_every=3)
    assert wrong == []
    assert counts["histories"] == 3 * locking.VERSIONS
    assert counts["workers killed"] == 1
    assert min(counts[name] for name in ("hold ok", "retain ok", "look ok")) > 10
    assert min(counts["remove refused"] + counts["bypass refused"], counts["remove ok"] + counts["bypass ok"]) > 2


def step(what, start, end, outcome=OK, seen=GONE):
    return Step(1, what, start, end, outcome, seen)


RIGHT = {
    "held, and refused": [step("hold", 0, 1), step("remove", 2, 3, REFUSED), step("bypass", 4, 5, REFUSED)],
    "removed, and missing": [step("remove", 0, 1), step("hold", 2, 3, MISSING), step("remove", 4, 5)],
    "one of two at once": [step("hold", 0, 9, MISSING), step("remove", 0, 9), step("look", 10, 11)],
    "a bypass of retention": [step("retain", 0, 1), step("remove", 2, 3, REFUSED), step("bypass", 4, 5)],
    "released": [step("retain", 0, 1), step("release", 2, 3), step("look", 4, 5, seen=Held()), step("remove", 6, 7)],
    "a hold that nobody knows of": [step("hold", 0, 1, UNKNOWN), step("remove", 2, 3, REFUSED)],
}
WRONG = {
    "removed while it was held": [step("hold", 0, 1), step("remove", 2, 3)],
    "a bypass of a hold": [step("hold", 0, 1), step("bypass", 2, 3)],
    "both at once, and gone": [step("hold", 0, 9), step("remove", 0, 9, REFUSED), step("look", 10, 11)],
    "back again": [step("remove", 0, 1), step("look", 2, 3, seen=Held())],
    "a lock on what is gone": [step("remove", 0, 1), step("retain", 2, 3)],
    "a lock that is lost": [step("hold", 0, 1), step("retain", 2, 3), step("look", 4, 5, seen=Held(hold=True))],
    "refused without a lock": [step("hold", 0, 1), step("unhold", 2, 3), step("remove", 4, 5, REFUSED)],
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_is_explained(name):
    assert register.check(RIGHT[name], Held()) is not None


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history_is_not(name):
    assert register.check(WRONG[name], Held()) is None
