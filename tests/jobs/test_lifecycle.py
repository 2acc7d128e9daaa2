"""What lifecycle rules remove, when, and what they leave alone."""

import pytest

from s3ish.index.protocol import Put
from s3ish.integrity.rebuild import rebuild
from s3ish.jobs import lifecycle as lifecycle_job
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import run_once
from s3ish.model import Attributes, Lock, Tag
from s3ish.objects import buckets, versions
from s3ish.objects.consequences import Cause
from s3ish.objects.lifecycle import Move, Rule
from s3ish.objects.listing import Query, list_objects, list_uploads, list_versions
from s3ish.objects.transition import move_version
from s3ish.tables import keys
from s3ish.tables.catalogue import VERSIONS
from s3ish.tables.state import LIFECYCLE
from tests.objects.support import add_part, begin, counted, head, keys_of, make_bucket, put, remove, versions_of

DAY_NS = 86_400 * 10**9


class Ageing:
    """A store whose buckets have rules, and whose days the test lets pass."""

    def __init__(self, store, **rules):
        self.store, self.rules = store, rules
        self.job = LifecycleJob(store, lambda bucket: self.rules.get(bucket.name, ()))

    async def after(self, days):
        """Carry out the rules when so many days have passed, and the next midnight."""
        clock = self.store.clock
        clock.service.set(clock.service_ns() + (days + 1) * DAY_NS, clock.now_ns())
        await run_once(self.job)


async def ids_of(store):
    return [number for _, number, _, _ in await versions_of(store, "a")]


async def markers_of(store):
    return [marker for _, _, _, marker in await versions_of(store, "a")]


async def test_objects_go_after_their_days_and_not_before(store):
    ageing = Ageing(store, b=[Rule(id="r", prefix="logs/", days=3)])
    for key in ("logs/a", "logs/b", "kept"):
        await put(store, key, b"data")
    await ageing.after(1)
    assert await keys_of(store) == ["kept", "logs/a", "logs/b"]
    await ageing.after(1)
    assert await keys_of(store) == ["kept"]


async def test_a_bucket_without_rules_is_left_alone(store):
    await make_bucket(store, "other")
    ageing = Ageing(store, other=[Rule(id="r", days=1)])
    await put(store, "a", b"data")
    await put(store, "a", b"data", bucket="other")
    await ageing.after(5)
    assert await keys_of(store) == ["a"]
    assert await keys_of(store, bucket="other") == []


async def test_every_bucket_and_key_has_its_turn(store):
    names = ["b", *(f"bucket{number}" for number in range(3))]
    for name in names[1:]:
        await make_bucket(store, name)
    for name in names:
        for number in range(250):
            await put(store, f"{number:03}", b"x", bucket=name)
    ageing = Ageing(store, **{name: [Rule(id="r", days=1)] for name in names})
    await ageing.after(1)
    assert [await keys_of(store, bucket=name) for name in names] == [[]] * 4


async def test_in_a_bucket_with_versions_a_marker_covers_what_expires(store):
    await buckets.set_versioning(store, "b", enabled=True)
    await put(store, "a", b"data")
    await Ageing(store, b=[Rule(id="r", days=1)]).after(1)
    assert await keys_of(store) == []
    assert await markers_of(store) == [True, False]


async def test_noncurrent_versions_go_but_for_the_newest(store):
    await buckets.set_versioning(store, "b", enabled=True)
    ids = [(await put(store, "a", b"%d" % number)).id for number in range(5)]
    await Ageing(store, b=[Rule(id="r", noncurrent_days=1, newer_versions=2)]).after(1)
    assert await ids_of(store) == [ids[4], ids[3], ids[2]]


async def test_a_noncurrent_version_counts_from_when_it_was_covered(store):
    await buckets.set_versioning(store, "b", enabled=True)
    ageing = Ageing(store, b=[Rule(id="r", noncurrent_days=3)])
    await put(store, "a", b"old")
    await ageing.after(9)
    await put(store, "a", b"new")
    await ageing.after(1)
    assert len(await versions_of(store, "a")) == 2
    await ageing.after(2)
    assert len(await versions_of(store, "a")) == 1


async def test_delete_markers_go_that_cover_nothing(store):
    await buckets.set_versioning(store, "b", enabled=True)
    await remove(store, "alone")
    await put(store, "covered", b"data")
    await remove(store, "covered")
    await Ageing(store, b=[Rule(id="r", markers=True)]).after(0)
    assert await versions_of(store, "alone") == []
    assert len(await versions_of(store, "covered")) == 2


async def test_locked_versions_stay(store):
    await buckets.set_versioning(store, "b", enabled=True)
    forever = Lock(mode="GOVERNANCE", until_ns=2**62)
    locked = await put(store, "a", b"locked", attributes=Attributes(lock=forever))
    held = await put(store, "a", b"held", attributes=Attributes(lock=Lock(legal_hold=True)))
    await put(store, "a", b"free")
    newest = await put(store, "a", b"newest")
    await Ageing(store, b=[Rule(id="r", noncurrent_days=1)]).after(1)
    assert await ids_of(store) == [newest.id, held.id, locked.id]


async def test_tags_and_sizes_choose(store):
    await put(store, "small", b"1", attributes=Attributes(tags=(Tag("keep", "no"),)))
    await put(store, "large", b"1" * 20, attributes=Attributes(tags=(Tag("keep", "no"),)))
    await put(store, "other", b"1" * 20, attributes=Attributes(tags=(Tag("keep", "yes"),)))
    await Ageing(store, b=[Rule(id="r", days=1, tags=(Tag("keep", "no"),), greater_than=10)]).after(1)
    assert await keys_of(store) == ["other", "small"]


async def test_uploads_are_aborted_and_their_parts_removed(store):
    upload = await begin(store, "logs/a")
    other = await begin(store, "kept")
    await add_part(store, upload, 1, b"x" * 300)
    await Ageing(store, b=[Rule(id="r", prefix="logs/", upload_days=2)]).after(2)
    page = await list_uploads(store, Query("b", "", "", 10), "", "")
    assert [found.id for _, found in page.items] == [other.id]


async def test_what_was_overwritten_since_it_was_looked_at_stays(store, monkeypatch):
    await put(store, "a", b"old")
    ageing = Ageing(store, b=[Rule(id="r", days=1)])
    remove_due = ageing.job._remove

    async def late(*given):
        await put(store, "a", b"new")
        await remove_due(*given)

    monkeypatch.setattr(ageing.job, "_remove", late)
    await ageing.after(1)
    assert (await head(store, "a")).size == 3
    assert await keys_of(store) == ["a"]


async def test_a_noncurrent_version_that_comes_up_again_while_it_is_looked_at_stays(store, monkeypatch):
    """Who removes the marker of an object that was deleted by mistake has the object back."""
    await buckets.set_versioning(store, "b", enabled=True)
    version = await put(store, "a", b"data")
    marker = await remove(store, "a")
    ageing = Ageing(store, b=[Rule(id="r", noncurrent_days=1)])
    remove_due = ageing.job._remove

    async def late(*given, **more):
        await remove(store, "a", marker.version_id)
        await remove_due(*given, **more)

    monkeypatch.setattr(ageing.job, "_remove", late)
    await ageing.after(1)
    assert await ids_of(store) == [version.id]


async def test_of_noncurrent_versions_the_newest_stay_though_one_is_removed_meanwhile(store, monkeypatch):
    await buckets.set_versioning(store, "b", enabled=True)
    ids = [(await put(store, "a", b"%d" % number)).id for number in range(3)]
    ageing = Ageing(store, b=[Rule(id="r", noncurrent_days=1, newer_versions=1)])
    remove_due = ageing.job._remove

    async def late(*given, **more):
        await remove(store, "a", ids[1])
        await remove_due(*given, **more)

    monkeypatch.setattr(ageing.job, "_remove", late)
    await ageing.after(1)
    assert await ids_of(store) == [ids[2], ids[0]]


async def test_a_damaged_row_holds_up_nothing_but_its_key(store):
    await buckets.set_versioning(store, "b", enabled=True)
    for key in ("a", "b", "c"):
        await put(store, key, b"1")
        await put(store, key, b"2")
    (first, value), *_ = await VERSIONS.rows(store.index, *keys.versions_range("b", "b"), 1)
    await store.index.commit([Put(VERSIONS.name, first, value[:-1] + bytes([value[-1] ^ 1]))])
    await Ageing(store, b=[Rule(id="r", days=1, noncurrent_days=1)]).after(1)
    await Ageing(store, b=[Rule(id="r", days=1, noncurrent_days=1)]).after(1)
    shown = [key for key, *_ in await versions_of(store, "a")], [key for key, *_ in await versions_of(store, "c")]
    assert shown == (["a"], ["c"])
    assert len(await VERSIONS.rows(store.index, *keys.versions_range("b", "b"), 9)) == 2


async def test_a_pass_goes_on_where_another_process_left_it(store, world, monkeypatch):
    monkeypatch.setattr(lifecycle_job, "_ROWS_A_STEP", 200)
    rules = {"b": [Rule(id="r", days=1)]}
    first, second = Ageing(store, **rules), Ageing(world.open(), **rules)
    for number in range(450):
        await put(store, f"{number:03}", b"x")
    clock = store.clock
    clock.service.set(clock.service_ns() + 2 * DAY_NS, clock.now_ns())
    for _ in range(2):  # the beginning, and two hundred keys
        assert (await first.job.step()).more
    assert len(await keys_of(store)) == 250
    await run_once(second.job)
    assert await keys_of(store) == []


async def test_a_pass_notes_its_place_once_a_second_and_gives_way_to_another_process(store, world, monkeypatch):
    """Each note is a flush; what was looked at since the last one is looked at once more."""
    monkeypatch.setattr(lifecycle_job, "_ROWS_A_STEP", 10)
    seconds = [0.0]
    monkeypatch.setattr(store.clock, "monotonic", lambda: seconds[0])
    rules = {"b": [Rule(id="r", days=10)]}
    first, second = Ageing(store, **rules), Ageing(world.open(), **rules)
    for number in range(90):
        await put(store, f"{number:03}", b"x")

    async def noted():
        return LIFECYCLE.read(await LIFECYCLE.value(store.index)).key

    places = []
    for step in range(7):
        await first.job.step()
        places.append(await noted())
        seconds[0] += 0.4 if step else 0
    assert places == ["", "", "", "", "039", "039", "039"]
    await run_once(second.job)
    seconds[0] += 1
    assert not (await first.job.step()).more  # another process was further
    await run_once(first.job)
    assert len(await keys_of(store)) == 90


async def test_there_is_one_pass_a_day_and_one_for_new_rules(store):
    ageing = Ageing(store, b=[Rule(id="r", prefix="x", days=1)])
    await put(store, "a", b"data")
    await ageing.after(3)
    assert not (await ageing.job.step()).more
    ageing.rules["b"] = [Rule(id="r", days=1)]
    await run_once(ageing.job)
    assert await keys_of(store) == []
    assert not (await ageing.job.step()).more


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
async def test_an_expired_null_version_is_covered(store, versioning):
    await put(store, "a", b"data")
    await buckets.set_versioning(store, "b", enabled=True)
    await buckets.set_versioning(store, "b", enabled=versioning == "Enabled")
    await Ageing(store, b=[Rule(id="r", days=1)]).after(1)
    assert await markers_of(store) == ([True, False] if versioning == "Enabled" else [True])
    assert await versions.find(store, "b", "a", "null")


async def test_after_a_jump_of_the_clock_nothing_is_removed_for_an_hour(store, world, monkeypatch):
    ageing = Ageing(store, b=[Rule(id="r", days=1)])
    await put(store, "a", b"data")
    world.clock.ns += 30 * DAY_NS
    await run_once(ageing.job)
    assert await keys_of(store) == ["a"]
    later = world.clock.monotonic() + 3601
    world.clock.ns += 3601 * 10**9
    monkeypatch.setattr(world.clock, "monotonic", lambda: later)
    await run_once(ageing.job)
    assert await keys_of(store) == []


# --- transitions


def moved(storage_class, **when):
    return Move(storage_class=storage_class, **when)


async def classes_of(store, key="a"):
    page = await list_versions(store, Query("b", key, "", 100), "", "")
    return [item.version.attributes.storage_class for _, item in page.items]


async def shown(store, key="a"):
    page = await list_objects(store, Query("b", key, "", 100), "")
    return [entry.storage_class for _, entry in page.items]


async def test_objects_move_from_class_to_class_as_they_grow_old(store):
    rule = Rule(id="r", moves=(moved("STANDARD_IA", days=3), moved("GLACIER", days=9)))
    ageing = Ageing(store, b=[rule])
    before = await put(store, "a", b"data")
    await ageing.after(1)
    assert await classes_of(store) == ["STANDARD"]
    await ageing.after(2)
    assert (await classes_of(store), await shown(store)) == (["STANDARD_IA"], ["STANDARD_IA"])
    await ageing.after(9)
    assert (await classes_of(store), await shown(store)) == (["GLACIER"], ["GLACIER"])
    after = await head(store, "a")
    assert (after.etag, after.modified_ns, after.id) == (before.etag, before.modified_ns, before.id)
    kept, found = await counted(store)
    assert kept == found


async def test_a_move_is_in_the_sidecar_and_survives_the_loss_of_the_index(store, world, tmp_path):
    await put(store, "a", b"data")
    await Ageing(store, b=[Rule(id="r", moves=(moved("GLACIER_IR", days=0),))]).after(1)
    rebuilt = world.open(tmp_path / "other.db")
    await rebuild(rebuilt)
    assert (await classes_of(rebuilt), await shown(rebuilt)) == (["GLACIER_IR"], ["GLACIER_IR"])


async def test_of_several_classes_the_last_is_taken_and_none_goes_back(store):
    ageing = Ageing(
        store, b=[Rule(id="r", moves=(moved("GLACIER", days=1),)), Rule(id="s", moves=(moved("STANDARD_IA", days=1),))]
    )
    for name in ("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "DEEP_ARCHIVE"):
        await put(store, name, b"data", attributes=Attributes(storage_class=name))
    await ageing.after(1)
    assert [await classes_of(store, name) for name in ("REDUCED", "STANDARD_IA", "DEEP_ARCHIVE")] == [
        ["GLACIER"],
        ["GLACIER"],
        ["DEEP_ARCHIVE"],
    ]
    ageing.rules["b"] = [Rule(id="r", moves=(moved("GLACIER_IR", days=1),))]
    await put(store, "one", b"data", attributes=Attributes(storage_class="ONEZONE_IA"))
    await ageing.after(2)
    assert await classes_of(store, "one") == ["ONEZONE_IA"], "S3 has no such way"


async def test_expiry_goes_before_a_move(store):
    await put(store, "a", b"data")
    await Ageing(store, b=[Rule(id="r", days=2, moves=(moved("GLACIER", days=1),))]).after(3)
    assert await keys_of(store) == []


@pytest.mark.parametrize("state", ["Enabled", "Suspended"])
async def test_a_move_goes_before_the_marker_that_covers(store, state):
    """The marker follows on the next day. What it replaces for good is removed, and not moved before."""
    await buckets.set_versioning(store, "b", enabled=True)
    await put(store, "a", b"data")
    await buckets.set_versioning(store, "b", enabled=state == "Enabled")
    if state == "Suspended":
        await put(store, "null", b"data")
    ageing = Ageing(store, b=[Rule(id="r", days=2, moves=(moved("GLACIER", days=1),))])
    await ageing.after(3)
    assert (await keys_of(store), await classes_of(store)) == (["a"], ["GLACIER"])
    await ageing.after(0)
    assert (await keys_of(store), await classes_of(store)) == ([], ["STANDARD", "GLACIER"])
    assert await classes_of(store, "null") == ["STANDARD"] * (state == "Suspended")


async def test_small_objects_and_those_of_other_rules_stay(store):
    rule = Rule(id="r", prefix="a", moves=(moved("GLACIER", days=1, least=10),))
    for key, size in (("a", 10), ("ab", 9), ("b", 10)):
        await put(store, key, bytes(size))
    await Ageing(store, b=[rule]).after(1)
    assert [await classes_of(store, key) for key in ("ab", "b")] == [["STANDARD"], ["STANDARD"]]
    assert await classes_of(store) == ["GLACIER", "STANDARD"]


async def test_noncurrent_versions_move_but_for_the_newest(store):
    await buckets.set_versioning(store, "b", enabled=True)
    for number in range(4):
        await put(store, "a", b"%d" % number)
    await remove(store, "a")
    rule = Rule(id="r", noncurrent_moves=(moved("GLACIER", days=1, newer_versions=2),))
    await Ageing(store, b=[rule]).after(1)
    assert await classes_of(store) == ["STANDARD", "STANDARD", "STANDARD", "GLACIER", "GLACIER"]
    assert await shown(store) == []


async def test_what_was_overwritten_since_it_was_looked_at_does_not_move(store):
    await put(store, "a", b"old")
    old = await head(store, "a")
    await put(store, "a", b"new")
    assert not await move_version(store, old, "GLACIER", Cause(job="lifecycle"))
    assert (await classes_of(store), await shown(store)) == (["STANDARD"], ["STANDARD"])


# --- bounds


async def test_no_step_reads_more_than_some_rows(store, monkeypatch):
    """Buckets without rules, versions, uploads: each is gone through a piece at a time."""
    monkeypatch.setattr(lifecycle_job, "_ROWS_A_STEP", 3)
    monkeypatch.setattr(lifecycle_job, "_UPLOADS_A_STEP", 3)
    for number in range(7):
        await make_bucket(store, f"empty{number}")
    await make_bucket(store, "last")
    for number in range(7):
        await put(store, f"{number}", b"x")
        await begin(store, f"{number}")
        await begin(store, f"{number}", bucket="last")
    asked = []
    scan = store.index.scan

    async def watched(table, start, stop, limit):
        asked.append(limit)
        return await scan(table, start, stop, limit)

    monkeypatch.setattr(store.index, "scan", watched)
    rules = [Rule(id="r", days=1, upload_days=1)]
    ageing = Ageing(store, b=rules, last=rules)
    clock = store.clock
    clock.service.set(clock.service_ns() + 3 * DAY_NS, clock.now_ns())
    steps = 0
    while True:
        asked.clear()
        step = await ageing.job.step()
        assert sum(limit for limit in asked if limit > 2 and limit < 10_000) <= 3
        if not step.more:
            break
        assert step.rest_seconds > 0, "requests have the machine meanwhile"
        steps += 1
    assert steps > 20
    assert await keys_of(store) == []
    for bucket in ("b", "last"):
        assert (await list_uploads(store, Query(bucket, "", "", 100), "", "")).items == []
