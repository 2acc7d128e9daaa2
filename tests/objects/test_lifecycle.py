"""When versions and uploads are due, by lifecycle rules: days end at midnight, and the earliest rule wins."""

import pytest

from s3ish.model import Attributes, Tag, Upload, Version
from s3ish.objects import lifecycle
from s3ish.objects.lifecycle import Due, Move, Rule, transition
from tests.objects.support import NO_BLOB, OWNER

DAY_NS = 86_400 * 10**9
TEN_THIRTY = 20_000 * DAY_NS + DAY_NS * 21 // 48


def version(key="logs/a", *, size=100, tags=(), marker=False, storage_class="STANDARD"):
    attributes = Attributes(tags=tuple(Tag(*tag) for tag in tags), storage_class=storage_class)
    return Version(
        bucket="b",
        key=key,
        id="v",
        sequence=1,
        modified_ns=TEN_THIRTY,
        owner=OWNER,
        blob=NO_BLOB,
        size=size,
        marker=marker,
        attributes=attributes,
    )


def expiry(rules, version, day_ns=DAY_NS):
    return lifecycle.expiry(rules, version, day_ns)


def noncurrent_expiry(rules, version, covered_ns, newer):
    return lifecycle.noncurrent_expiry(rules, version, covered_ns, newer, DAY_NS)


def upload_expiry(rules, upload):
    return lifecycle.upload_expiry(rules, upload, DAY_NS)


def test_days_end_at_the_midnight_after_them():
    assert expiry([Rule(id="r", days=1)], version()) == Due(20_002 * DAY_NS, "r")


def test_a_day_may_be_short():
    second = 10**9
    assert expiry([Rule(id="r", days=2)], version(), 10 * second).at_ns == TEN_THIRTY // (10 * second) * 10 * second + (
        30 * second
    )


def test_the_earliest_of_several_rules_wins():
    rules = [Rule(id="late", days=9), Rule(id="early", at_ns=5), Rule(id="other", prefix="x", at_ns=1)]
    assert expiry(rules, version()) == Due(5, "early")


@pytest.mark.parametrize(
    ("conditions", "about"),
    [
        ({}, True),
        ({"prefix": "logs/"}, True),
        ({"prefix": "log/"}, False),
        ({"tags": (Tag("a", "1"),)}, True),
        ({"tags": (Tag("a", "1"), Tag("b", "2"))}, True),
        ({"tags": (Tag("a", "2"),)}, False),
        ({"tags": (Tag("c", "1"),)}, False),
        ({"greater_than": 99}, True),
        ({"greater_than": 100}, False),
        ({"less_than": 101}, True),
        ({"less_than": 100}, False),
        ({"prefix": "logs/", "greater_than": 100, "less_than": 200}, False),
    ],
)
def test_all_conditions_of_a_filter_must_hold(conditions, about):
    rule = Rule(id="r", at_ns=1, **conditions)
    assert (expiry([rule], version(tags=[("a", "1"), ("b", "2")])) is not None) == about


def test_a_rule_with_tags_or_sizes_is_not_about_delete_markers():
    marker = version(marker=True, size=0)
    assert expiry([Rule(id="r", markers=True)], marker) == Due(TEN_THIRTY, "r")
    assert expiry([Rule(id="r", markers=True)], version()) is None
    assert expiry([Rule(id="r", days=1)], marker), "markers that cover nothing go with the days, too"
    assert expiry([Rule(id="r", days=1, less_than=9)], marker) is None
    assert expiry([Rule(id="r", days=1, tags=(Tag("a", "1"),))], marker) is None


def test_a_covered_delete_marker_has_no_bytes_and_goes_with_what_has_none():
    """As in AWS's example of noncurrent versions without data."""
    marker, empty = version(marker=True, size=0), version(size=0)
    for conditions, goes in (({"less_than": 1}, True), ({"less_than": 9}, True), ({"greater_than": 1}, False)):
        rule = Rule(id="r", noncurrent_days=1, **conditions)
        for it in (marker, empty):
            assert (noncurrent_expiry([rule], it, TEN_THIRTY, 0) is not None) == goes
    assert noncurrent_expiry([Rule(id="r", noncurrent_days=1, tags=(Tag("a", "1"),))], marker, TEN_THIRTY, 0) is None


@pytest.mark.parametrize(
    ("now", "due", "taken"),
    [
        ("STANDARD", ("INTELLIGENT_TIERING", "ONEZONE_IA"), "INTELLIGENT_TIERING"),
        ("STANDARD_IA", ("GLACIER_IR", "INTELLIGENT_TIERING"), "INTELLIGENT_TIERING"),
        ("STANDARD", ("INTELLIGENT_TIERING", "GLACIER"), "GLACIER"),
        ("STANDARD", ("DEEP_ARCHIVE", "INTELLIGENT_TIERING", "GLACIER"), "DEEP_ARCHIVE"),
        ("INTELLIGENT_TIERING", ("INTELLIGENT_TIERING", "ONEZONE_IA"), "ONEZONE_IA"),
        ("STANDARD", ("STANDARD_IA", "ONEZONE_IA"), "ONEZONE_IA"),
    ],
)
def test_of_several_classes_tiering_goes_before_all_but_archives(now, due, taken):
    moves = tuple(Move(storage_class=name, days=0) for name in due)
    at = version(storage_class=now)
    assert transition([Rule(id="r", moves=moves)], at, DAY_NS, TEN_THIRTY + 2 * DAY_NS) == taken


def test_noncurrent_days_count_from_when_a_version_was_covered():
    rule = Rule(id="r", noncurrent_days=3)
    assert noncurrent_expiry([rule], version(), TEN_THIRTY + DAY_NS, 0) == Due(20_005 * DAY_NS, "r", 1)


@pytest.mark.parametrize(("newer", "goes"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_newest_noncurrent_versions_stay(newer, goes):
    rule = Rule(id="r", noncurrent_days=3, newer_versions=2)
    assert (noncurrent_expiry([rule], version(), TEN_THIRTY, newer) is not None) == goes


def test_uploads_are_due_by_their_prefix():
    upload = Upload(bucket="b", key="logs/a", id="u", created_ns=TEN_THIRTY, owner=OWNER, initiator=OWNER, blob=NO_BLOB)
    assert upload_expiry([Rule(id="r", upload_days=7)], upload) == Due(20_008 * DAY_NS, "r")
    assert upload_expiry([Rule(id="r", upload_days=7, prefix="x")], upload) is None
    assert upload_expiry([Rule(id="r", days=7)], upload) is None
