"""A short week, and what the comparison must not let pass.

``python -m tests.torture.week`` is the long one.
"""

import msgspec
import pytest

from tests.torture import linear, week
from tests.torture.thaw import Restored, Thawer
from tests.torture.week import Keeper, Known
from tests.waiting import WAIT_SECONDS

DAY = 100.0
OLD = "a" * 24
NEW = "b" * 24


def test_a_week_of_rules_replication_and_notifications():
    if reason := linear.can_run():
        pytest.skip(reason)
    counts, wrong = week.run(10, seed=2, workers=1, rounds_a_day=1, slack_seconds=WAIT_SECONDS)
    assert wrong == []
    assert min(counts["expired"], counts["events"], counts["replicas"], counts["restores"]) > 0


@pytest.fixture
def keeper():
    """What a client knows of a version that was made just after a midnight, and of one of the day after."""
    keeper = Keeper(1, DAY)
    for key in ("old/0", "cold/0"):
        for version in (Known(OLD, 1010, 1011, size=200_000), Known(NEW, 1110, 1111, size=200_000)):
            keeper.known[key].insert(0, version)
            keeper.made[key, version.id] = version
    return keeper


HELD = {OLD: ("Version", "STANDARD", ""), NEW: ("Version", "STANDARD", "")}
MOVED = HELD | {NEW: ("Version", "GLACIER_IR", "")}
MARKED = HELD | {"c" * 24: ("DeleteMarker", "", "")}
WITHOUT_OLD = {NEW: HELD[NEW]}

FITS = {
    "nothing is due": ("old/0", HELD, 1290),
    "the old one was covered for a day": ("old/0", WITHOUT_OLD, 1301),
    "the new one has expired": ("old/0", MARKED, 1401),
    "the new one has moved": ("cold/0", MOVED, 1301),
}
DIFFERS = {
    "the old one goes early": ("old/0", WITHOUT_OLD, 1299, "went early"),
    "the new one expires early": ("old/0", MARKED, 1399, "covered early"),
    "one goes that no rule is about": ("cold/0", WITHOUT_OLD, 1800, "went early"),
    "a marker comes that no rule makes": ("cold/0", MARKED, 1800, "what is"),
    "a version comes that nobody made": ("old/0", HELD | {"c" * 24: HELD[NEW]}, 1200, "what is"),
    "nothing ever goes": ("old/0", HELD, 1800, "overdue"),
    "one moves early": ("cold/0", MOVED, 1299, "moved early"),
    "nothing moves": ("cold/0", HELD, 1800, "does not move"),
}


@pytest.mark.parametrize("name", FITS)
def test_what_the_rules_may_do_fits(keeper, name):
    keeper._compare(*FITS[name])
    assert keeper.wrong == []


@pytest.mark.parametrize("name", DIFFERS)
def test_what_the_rules_may_not_do_is_seen(keeper, name):
    *case, problem = DIFFERS[name]
    keeper._compare(*case)
    assert problem in "".join(keeper.wrong)


def test_small_objects_stay_where_they_are(keeper):
    keeper.known["cold/0"][0].size = 100_000
    keeper._compare("cold/0", HELD, 1800)
    assert keeper.wrong == []
    keeper._compare("cold/0", MOVED, 1800)
    assert "moved early" in "".join(keeper.wrong)


def missing(keeper, monkeypatch, path, events, replicas):
    """Return what has not followed, given names of events by id, and ids of replicas."""
    records = [{"eventName": name, "s3": {"object": {"key": "old/0", "versionId": it}}} for it, name in events]
    path.write_bytes(b"".join(msgspec.json.encode({"Records": [record]}) + b"\n" for record in records))
    monkeypatch.setattr(keeper, "listed", lambda _: {"old/0": dict.fromkeys(replicas)})
    return keeper.missing("http://127.0.0.1:1", path)


def test_what_has_not_followed_is_seen(monkeypatch, tmp_path):
    keeper, path = Keeper(1, DAY), tmp_path / "events"
    for version in (Known(OLD, 1, 2), Known(NEW, 3, 4)):
        keeper.known["old/0"].insert(0, version)
        keeper.made["old/0", version.id] = version
    made = [(OLD, "ObjectCreated:Put"), (NEW, "ObjectCreated:Put")]
    assert missing(keeper, monkeypatch, path, made, [OLD, NEW]) == []
    assert missing(keeper, monkeypatch, path, made[:1], [OLD, NEW]) == [("old/0", NEW)]
    assert missing(keeper, monkeypatch, path, made, [OLD]) == [("replica", "old/0", NEW)]
    keeper.gone.add(("old/0", OLD))
    assert missing(keeper, monkeypatch, path, made, [OLD, NEW]) == [("old/0", OLD)]
    assert missing(keeper, monkeypatch, path, [*made, (OLD, "LifecycleExpiration:Delete")], [OLD, NEW]) == []
    assert keeper.wrong == []
    missing(keeper, monkeypatch, path, [*made, ("d" * 24, "ObjectCreated:Put")], [OLD, NEW])
    assert "what never was" in keeper.wrong.pop()
    missing(keeper, monkeypatch, path, made, [OLD, NEW, "d" * 24])
    assert "not replicated" in keeper.wrong.pop()


@pytest.fixture
def thawer(tmp_path):
    """What a client knows that asked for an object at 1000, when a restore takes 25 seconds, for a day."""
    thawer = Thawer(1, DAY, tmp_path / "thaw")
    thawer.restores["k"] = Restored(1000, 1001, "digest")
    return thawer


@pytest.mark.parametrize(
    ("at", "status", "digest", "problem"),
    [
        (1020, 403, "", ""),
        (1020, 200, "digest", "early"),
        (1030, 200, "digest", ""),
        (1030, 200, "another", "other bytes"),
        (1030, 403, "", "not readable"),
        (1200, 200, "digest", ""),
        (1200, 403, "", ""),
        (1230, 200, "digest", "too long"),
    ],
)
def test_objects_can_be_read_while_their_restore_lasts(thawer, at, status, digest, problem):
    thawer.judge("k", at, at, status, digest)
    assert len(thawer.wrong) == bool(problem)
    assert problem in "".join(thawer.wrong)


@pytest.mark.parametrize(
    ("at", "names", "wrong", "missing"),
    [
        (1020, ["Post"], "", []),
        (1020, [], "", ["Post"]),
        (1020, ["Post", "Completed"], "early", []),
        (1030, ["Post"], "", ["Completed"]),
        (1100, ["Post", "Completed", "Delete"], "early", []),
        (1200, ["Post", "Completed", "Delete"], "", []),
        (1230, ["Post", "Completed"], "", ["Delete"]),
    ],
)
def test_events_of_restores_come_when_it_is_time(thawer, monkeypatch, at, names, wrong, missing):
    records = [{"eventName": f"ObjectRestore:{name}", "s3": {"object": {"key": "k"}}} for name in names]
    thawer.path.write_bytes(b"".join(msgspec.json.encode({"Records": [record]}) + b"\n" for record in records))
    monkeypatch.setattr("tests.torture.thaw.time.time", lambda: at)
    thawer.look("http://127.0.0.1:1")
    assert (wrong in "".join(thawer.wrong), len(thawer.wrong)) == (True, bool(wrong))
    assert thawer.missing() == [("k", name) for name in missing]
