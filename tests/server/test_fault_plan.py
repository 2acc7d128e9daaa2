"""Which requests a plan of faults falls on."""

import msgspec
import pytest

from s3ish.server.fault_plan import FaultPlan


def plan(**fields):
    return msgspec.json.decode(msgspec.json.encode({"drop": True, **fields}), type=FaultPlan)


def falls_on(made, most=12):
    return [number for number in range(1, most + 1) if made.falls_on(number)]


def test_the_nth_and_those_behind_it():
    assert falls_on(plan(nth=10)) == [10, 11, 12]
    assert plan(nth=10).most == 1
    assert plan(nth=10, count=2).most == 2


def test_a_pattern_is_repeated_from_the_nth_on():
    assert falls_on(plan(pattern="x.")) == [1, 3, 5, 7, 9, 11]
    assert falls_on(plan(pattern=".xx", nth=4)) == [5, 6, 8, 9, 11, 12]
    assert plan(pattern="x.", count=2).most == 2
    assert plan(pattern="x.").most > 1_000_000


def test_a_seed_decides_what_a_probability_falls_on():
    first = falls_on(plan(probability=0.3, seed=1), 1000)
    assert first == falls_on(plan(probability=0.3, seed=1), 1000)
    assert first != falls_on(plan(probability=0.3, seed=2), 1000)
    assert 240 < len(first) < 360
    assert len(falls_on(plan(probability=1), 100)) == 100


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pattern": "..."}, "needs an x"),
        ({"pattern": "xy"}, "regex"),
        ({"probability": 0}, "> 0"),
        ({"probability": 1.5}, "<= 1"),
        ({"seconds": 0}, "> 0"),
        ({"drop": False, "status": 302}, "status is >= 400"),
        ({"drop": False, "status": 200, "operation": "PutObject"}, "status is >= 400, or 200 with"),
        ({"drop": False, "status": 200, "operation": "Copy*"}, "status is >= 400, or 200 with"),
        ({"wrong_checksum": True}, "a plan has one of"),
        ({"drop": False, "bytes_per_second": 0}, ">= 1"),
    ],
)
def test_plans_that_cannot_be(fields, says):
    with pytest.raises(msgspec.ValidationError, match=says):
        plan(**fields)
