"""What lifecycle rules remove, when, and what they leave alone."""

import pytest

from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import run_once
from s3ish.model import Attributes, Lock, Tag
from s3ish.objects import buckets, versions
from s3ish.objects.lifecycle import Rule
from s3ish.objects.listing import Query, list_uploads
from tests.objects.support import add_part, begin, head, keys_of, make_bucket, put, remove, versions_of

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


async def test_a_pass_goes_on_where_another_process_left_it(store, world):
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
