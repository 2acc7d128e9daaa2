"""A short run of the listings, and pages that lie and must be caught.

``python -m tests.torture.listings`` does the same with many keys.
"""

import pytest

from tests.torture import linear, listings
from tests.torture.listings import Ledger, Page

KEYS = ["a", "b", "f/1", "f/2", "z"]


@pytest.mark.parametrize("filled", [0, 100])
def test_pages_are_true_while_writers_write_and_delete(filled):  # case 49
    if reason := linear.can_run():
        pytest.skip(reason)
    counts, wrong = listings.run(300 + filled, seed=5, workers=2, filled=filled)
    assert wrong == []
    assert counts["writes"] == 450
    assert counts["pages"] > 20


@pytest.fixture
def ledger():
    """At the time 10 all keys are there but ``b``, which was deleted; at 20 ``a`` is being deleted and ``b`` put."""
    ledger = Ledger(KEYS)
    for number in range(len(KEYS)):
        ledger.begin(number, 1, present=True)
        ledger.done(number, 2)
    ledger.begin(1, 3, present=False)
    ledger.done(1, 4)
    ledger.begin(0, 20, present=False)
    ledger.begin(1, 20, present=True)
    return ledger


def judge(ledger, entries, *, at=10, after="", truncated=False, delimited=False):
    return ledger.judge(Page(at, at + 1, after, tuple(entries), truncated, delimited))


def test_the_truth_passes(ledger):
    assert judge(ledger, ["a", "f/1", "f/2", "z"]) == []
    assert judge(ledger, ["a", "f/", "z"], delimited=True) == []
    assert judge(ledger, ["a", "f/1"], truncated=True) == []
    assert judge(ledger, ["f/2", "z"], after="f/1") == []
    assert judge(ledger, ["z"], after="f/", delimited=True) == []
    assert judge(ledger, ["f/", "z"], after="f/1", delimited=True) == []
    assert judge(ledger, [], after="z") == []


@pytest.mark.parametrize("entries", [["a"], ["b"], ["a", "b"], []])
def test_what_changes_while_the_page_is_made_may_be_on_it_or_not(ledger, entries):
    for at in (19.5, 20, 30):
        assert judge(ledger, [*entries, "f/1", "f/2", "z"], at=at) == []
    ledger.done(0, 40)
    assert judge(ledger, [*entries, "f/1", "f/2", "z"], at=39.5) == []


LIES = {
    "an acknowledged key is missing": (["a", "f/2", "z"], {}, "f/1 is not listed, but was there"),
    "the last key is missing": (["a", "f/1", "f/2"], {}, "z is not listed, but was there"),
    "the first key of a page is missing": (["z"], {"after": "f/1"}, "f/2 is not listed, but was there"),
    "a deleted key is shown": (["a", "b", "f/1", "f/2", "z"], {}, "b is listed, but was not there"),
    "a key that never was": (["a", "c", "f/1", "f/2", "z"], {}, "c is listed, but never was"),
    "a folder is missing": (["a", "z"], {"delimited": True}, "f/ is not listed, but was there"),
    "a key within a folder": (["a", "f/", "f/1", "z"], {"delimited": True}, "f/1 is listed, but never was"),
    "doubled": (["a", "a", "f/1", "f/2", "z"], {}, "entries are not in order or doubled"),
    "out of order": (["f/1", "a", "f/2", "z"], {}, "entries are not in order or doubled"),
    "shown on the page before": (["f/1", "f/2", "z"], {"after": "f/1"}, "f/1 is not behind f/1"),
    "an empty page that is not the last": ([], {"truncated": True}, "empty, but more is to follow"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_caught(ledger, name):
    entries, options, told = LIES[name]
    (wrong,) = judge(ledger, entries, **options)
    assert wrong.startswith(told)


def test_a_change_that_was_acknowledged_late_is_held_to_afterwards(ledger):
    ledger.done(0, 40)
    ledger.done(1, 40)
    assert judge(ledger, ["b", "f/1", "f/2", "z"], at=41) == []
    assert judge(ledger, ["a", "b", "f/1", "f/2", "z"], at=41) == ["a is listed, but was not there"]
    assert judge(ledger, ["f/1", "f/2", "z"], at=41) == ["b is not listed, but was there"]


def test_old_changes_are_forgotten_and_the_last_state_is_not(ledger):
    for number, moment in enumerate(range(100, 1000, 100)):
        ledger.begin(3, moment, present=number % 2 == 1)
        ledger.done(3, moment + 1)
    assert len(ledger._changes[3]) == 2
    assert judge(ledger, ["f/1", "z"], at=950, after="b") == []
    assert judge(ledger, ["f/1", "f/2", "z"], at=950, after="b") == ["f/2 is listed, but was not there"]
