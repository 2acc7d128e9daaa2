"""Replication between buckets of one server: what is replicated, once, in which order, and what versions say of it."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from s3ish.api.replication import given_to
from s3ish.errors import ServiceUnavailable
from s3ish.index.protocol import Unavailable
from s3ish.integrity.rebuild import rebuild
from s3ish.jobs.destination import Unreachable
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.pace import Pace
from s3ish.jobs.replicas_here import ReplicasHere
from s3ish.jobs.replicate import ReplicationJob
from s3ish.jobs.replicate_again import ReplicateAgainJob
from s3ish.jobs.runner import run_once
from s3ish.jobs.settle import settle
from s3ish.model import Attributes, Grant, Lock, Tag
from s3ish.objects import annotations, archive, buckets, multipart, versions
from s3ish.objects.consequences import Cause, Consequences
from s3ish.objects.lifecycle import Rule
from s3ish.objects.quota_settings import set_of_bucket
from s3ish.objects.quotas import Limits
from s3ish.objects.replicating_again import replicate_again
from s3ish.objects.replication import Replication, ReplicationRule
from s3ish.objects.transition import move_version
from s3ish.observe.observer import Observer
from s3ish.tables.catalogue import BUCKETS, REPLICATIONS, VERSIONS
from s3ish.tables.state import REPLICATION
from tests.objects.support import (
    Bytes,
    add_part,
    begin,
    complete,
    copy_to,
    counted,
    get,
    head,
    keys_of,
    make_bucket,
    put,
    read_all,
    referenced,
    remove,
    sample,
    sealed,
    versions_of,
)

TO_D = (ReplicationRule(destination="d", markers=True),)


class Mirrored:
    """A store whose bucket ``b`` is replicated by the rules of the test, with ``b`` and ``d`` as buckets."""

    def __init__(self, store, **rules):
        self.store, self.rules = store, rules
        replication = Replication(self.rules_of)
        store.consequences = Consequences(replication.rows, is_replicated=replication.is_wanted)
        self.may = True
        self.job = self.make_job()

    def rules_of(self, bucket):
        return self.rules.get(bucket.name, ())

    def make_job(self, pace=None):
        here = ReplicasHere(self.store, lambda *_: self.may, given_to)
        return ReplicationJob(self.store, self.rules_of, here, Observer(), pace)

    async def run(self):
        await run_once(self.job)

    async def waiting(self):
        return len(await REPLICATIONS.rows(self.store.index, b"", b"\xff", 1000))


@pytest.fixture
async def mirrored(store):
    for name in ("b", "d"):
        if await store.find_bucket(name) is None:
            await make_bucket(store, name)
        await buckets.set_versioning(store, name, enabled=True)
        held = await store.bucket(name)
        await buckets.change_bucket(store, name, lambda it: replace(it, documents={"replication": "<x/>"}))
        assert held
    yield Mirrored(store, b=TO_D)
    kept, found = await counted(store)
    assert kept == found


async def status(store, key, version_id=None, bucket="b"):
    return (await head(store, key, version_id, bucket=bucket)).replication


@pytest.mark.parametrize("size", [0, 10, 2500])
async def test_a_replica_is_the_version_in_another_bucket(store, mirrored, size):
    attributes = Attributes(metadata={"a": "b"}, tags=(Tag("k", "v"),), headers={"content-type": "text/plain"})
    version = await put(store, "a", sample(size), attributes=attributes)
    assert version.replication == "PENDING"
    await mirrored.run()
    replica = await head(store, "a", bucket="d")
    assert await read_all(store, replica) == sample(size)
    for field in ("id", "sequence", "modified_ns", "etag", "size", "checksum", "attributes", "owner"):
        assert getattr(replica, field) == getattr(version, field), field
    assert (replica.replication, await status(store, "a")) == ("REPLICA", "COMPLETED")
    assert await mirrored.waiting() == 0
    assert await sealed(store) == await referenced(store)


async def test_a_multipart_object_keeps_its_parts(store, mirrored, monkeypatch):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 200)
    upload = await begin(store, "a")
    parts = [await add_part(store, upload, number, sample(300, number)) for number in (1, 2)]
    version = await complete(store, upload, parts)
    await mirrored.run()
    replica = await head(store, "a", bucket="d")
    assert await read_all(store, replica) == sample(300, 1) + sample(300, 2)
    assert (replica.etag, len(replica.parts)) == (version.etag, 2)
    await remove(store, "a", version.id)
    assert await read_all(store, replica) == sample(300, 1) + sample(300, 2)


async def test_a_restore_of_the_source_is_none_of_the_replica(store, mirrored):
    upload = await begin(store, "a", attributes=Attributes(storage_class="GLACIER"))
    version = await complete(store, upload, [await add_part(store, upload, 1, sample(300))])
    await archive.restore_object(store, "b", "a", None, 2, expedited=False)
    await mirrored.run()
    replica = await head(store, "a", bucket="d")
    assert (replica.id, replica.restore, replica.upload) == (version.id, None, "")


async def test_delete_markers_follow_where_the_rule_says_so(store, mirrored):
    await put(store, "a")
    await remove(store, "a")
    await mirrored.run()
    assert await keys_of(store, bucket="d") == []
    assert [it[1:] for it in await versions_of(store, "a", bucket="d")] == [
        it[1:] for it in await versions_of(store, "a")
    ]
    mirrored.rules["b"] = (ReplicationRule(destination="d"),)
    await put(store, "c")
    await remove(store, "c")
    await mirrored.run()
    assert await keys_of(store, bucket="d") == ["c"]


async def test_what_a_lifecycle_rule_does_is_not_replicated(store, mirrored):
    version = await put(store, "a")
    await mirrored.run()
    clock = store.clock
    clock.service.set(clock.service_ns() + 3 * 86_400 * 10**9, clock.now_ns())
    await run_once(LifecycleJob(store, lambda bucket: [Rule(id="r", days=1)] if bucket.name == "b" else []))
    marker = (await store.newest("b", "a"))[0].record
    assert (marker.marker, marker.replication) == (True, "")
    assert await mirrored.waiting() == 0
    await mirrored.run()
    assert (await head(store, "a", bucket="d")).id == version.id


async def test_a_version_that_cannot_be_noted_holds_up_no_other(store, mirrored, monkeypatch):
    async def unwritable(store, version, *more, **options):
        if version.key == "a":
            raise ServiceUnavailable
        await settle(store, version, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr("s3ish.jobs.replicate.settle", unwritable)
        for key in "abc":
            await put(store, key)
        await mirrored.run()
        assert [await status(store, key) for key in "abc"] == ["PENDING", "COMPLETED", "COMPLETED"]
        assert await keys_of(store, bucket="d") == ["a", "b", "c"]
        assert await mirrored.waiting() == 1
    await mirrored.run()
    assert await status(store, "a") == "COMPLETED"
    assert len(await versions_of(store, "a", bucket="d")) == 1


async def test_removing_a_version_for_good_removes_no_replica(store, mirrored):
    version = await put(store, "a")
    await mirrored.run()
    await remove(store, "a", version.id)
    await mirrored.run()
    assert await get(store, "a", bucket="d") == b"data"


async def test_a_version_that_is_gone_before_its_turn_is_forgotten(store, mirrored):
    version = await put(store, "a")
    await remove(store, "a", version.id)
    await mirrored.run()
    assert await versions_of(store, bucket="d") == []
    assert await mirrored.waiting() == 0


async def test_versions_are_in_the_order_of_the_source_whenever_they_come(store, mirrored):
    first = await put(store, "a", b"first")
    mirrored.rules["b"] = ()
    second = await put(store, "a", b"second")
    mirrored.rules["b"] = TO_D
    own = await put(store, "a", b"made here", bucket="d")
    await mirrored.run()
    assert [it[1] for it in await versions_of(store, "a", bucket="d")] == [own.id, first.id]
    assert await get(store, "a", bucket="d") == b"made here"
    assert await get(store, "a", first.id, bucket="d") == b"first"
    assert second.replication == ""
    await remove(store, "a", own.id, bucket="d")
    assert await get(store, "a", bucket="d") == b"first"
    assert await keys_of(store, bucket="d") == ["a"]


async def test_a_replica_that_comes_while_what_covers_it_is_removed_is_listed(world, store, mirrored):
    elsewhere = Mirrored(world.open(), b=TO_D)
    version = await put(store, "a", b"replica")
    own = await put(store, "a", b"own", bucket="d")
    commit, done = store.index.commit, []

    async def race(changes, expect=()):
        if any(change.table == VERSIONS.name and b"d\0" in change.key for change in changes) and not done:
            done.append(True)
            await elsewhere.run()
        return await commit(changes, expect)

    store.index.commit = race
    await remove(store, "a", own.id, bucket="d")
    store.index.commit = commit
    assert done
    assert await keys_of(store, bucket="d") == ["a"]
    assert (await head(store, "a", bucket="d")).id == version.id


async def test_rules_choose_by_prefix_tag_and_priority(store, mirrored):
    await make_bucket(store, "e", "Enabled")
    mirrored.rules["b"] = (
        ReplicationRule(destination="d", prefix="logs/", priority=1),
        ReplicationRule(destination="d", prefix="logs/", priority=2, storage_class="STANDARD_IA"),
        ReplicationRule(destination="e", tags=(Tag("copy", "yes"),), priority=3),
    )
    await put(store, "logs/a")
    await put(store, "logs/b", attributes=Attributes(tags=(Tag("copy", "yes"), Tag("x", "y"))))
    other = await put(store, "other")
    assert other.replication == ""
    await mirrored.run()
    assert await keys_of(store, bucket="d") == ["logs/a", "logs/b"]
    assert (await head(store, "logs/a", bucket="d")).attributes.storage_class == "STANDARD_IA"
    assert await keys_of(store, bucket="e") == ["logs/b"]


async def test_two_buckets_may_be_each_others_destination(store, mirrored):
    mirrored.rules["d"] = (ReplicationRule(destination="b", markers=True),)
    here, there = await put(store, "a"), await put(store, "c", bucket="d")
    for _ in range(4):
        await mirrored.run()
    for bucket in ("b", "d"):
        assert [it[:2] for it in await versions_of(store, bucket=bucket)] == [("a", here.id), ("c", there.id)]
    await remove(store, "c")
    for _ in range(4):
        await mirrored.run()
    assert await versions_of(store, bucket="b") == await versions_of(store, bucket="d")
    assert await mirrored.waiting() == 0


def tagged(value):
    return lambda version: replace(version, attributes=replace(version.attributes, tags=(Tag("t", value),)))


async def test_tags_that_change_later_follow(store, mirrored):
    version = await put(store, "a")
    await mirrored.run()
    await versions.amend_version(store, "b", "a", None, tagged("new"))
    assert await status(store, "a") == "PENDING"
    await mirrored.run()
    replica = await head(store, "a", bucket="d")
    assert (replica.id, replica.attributes.tags, replica.replication) == (version.id, (Tag("t", "new"),), "REPLICA")
    assert await status(store, "a") == "COMPLETED"


async def test_a_replica_that_was_removed_is_not_made_again_as_its_source_changes(store, mirrored, logged):
    """What S3 calls DstVersionNotFound; to replicate it again is asked for."""
    version = await put(store, "a")
    await mirrored.run()
    await remove(store, "a", version.id, bucket="d")
    for value in ("one", "two"):
        await versions.amend_version(store, "b", "a", None, tagged(value))
        await mirrored.run()
        assert (await keys_of(store, bucket="d"), await status(store, "a")) == ([], "FAILED")
    assert "NoSuchVersion" in logged[-1]["error"]
    await replicate_again(store, "b", ["FAILED"])
    await run_once(ReplicateAgainJob(store, mirrored.rules_of))
    await mirrored.run()
    assert (await keys_of(store, bucket="d"), await status(store, "a")) == (["a"], "COMPLETED")


async def test_a_change_before_the_first_replica_is_made_makes_it(store, mirrored):
    await put(store, "a")
    await versions.amend_version(store, "b", "a", None, tagged("early"))
    await mirrored.run()
    assert (await head(store, "a", bucket="d")).attributes.tags == (Tag("t", "early"),)


async def test_a_source_that_was_removed_does_not_come_back_as_its_replica_changes(store, mirrored):
    mirrored.rules["d"] = (ReplicationRule(destination="b", modifications=True),)
    version = await put(store, "a")
    await mirrored.run()
    await remove(store, "a", version.id)
    await versions.amend_version(store, "d", "a", None, tagged("there"))
    await mirrored.run()
    assert (await keys_of(store), await mirrored.waiting()) == ([], 0)


async def test_a_copy_of_a_replicated_object_is_replicated_itself(store, mirrored):
    await put(store, "a")
    await mirrored.run()
    await copy_to(store, await head(store, "a"), "copy")
    await mirrored.run()
    assert await keys_of(store, bucket="d") == ["a", "copy"]


async def test_annotations_that_change_later_follow(store, mirrored):
    async def annotate(name, text):
        version = await head(store, "a")
        await annotations.put_annotation(store, version, None, name, Bytes(text))

    async def there():
        replica = await head(store, "a", bucket="d")
        return {one.name: await annotations.text_of(store, replica, one, None) for one in replica.annotations}

    await put(store, "a")
    await annotate("before", b"1")
    await mirrored.run()
    assert await there() == {"before": b"1"}
    await annotate("before", b"2")
    await annotate("later", b"3" * 3000)
    assert await status(store, "a") == "PENDING"
    await mirrored.run()
    assert await there() == {"before": b"2", "later": b"3" * 3000}
    await annotations.delete_annotation(store, "b", "a", None, "before")
    await mirrored.run()
    assert await there() == {"later": b"3" * 3000}
    assert (await status(store, "a"), await status(store, "a", bucket="d")) == ("COMPLETED", "REPLICA")
    assert await sealed(store) == await referenced(store)


async def test_a_change_of_the_source_leaves_the_class_of_the_replica_as_it_is(store, mirrored):
    await put(store, "a")
    await mirrored.run()
    assert await move_version(store, await head(store, "a", bucket="d"), "GLACIER", Cause(job="lifecycle"))
    await versions.amend_version(store, "b", "a", None, tagged("new"))
    await mirrored.run()
    replica = (await head(store, "a", bucket="d")).attributes
    assert (replica.tags, replica.storage_class) == ((Tag("t", "new"),), "GLACIER")


async def test_changes_of_replicas_come_back_where_the_rule_says_so_and_end_there(store, mirrored):
    mirrored.rules["d"] = (ReplicationRule(destination="b", modifications=True),)
    await put(store, "a")
    await mirrored.run()
    await versions.amend_version(store, "d", "a", None, tagged("there"))
    for _ in range(4):
        await mirrored.run()
    assert (await head(store, "a")).attributes.tags == (Tag("t", "there"),)
    assert (await status(store, "a"), await status(store, "a", bucket="d")) == ("COMPLETED", "REPLICA")
    assert await mirrored.waiting() == 0


async def test_an_amendment_while_a_replica_is_made_is_not_lost(store, mirrored):
    await put(store, "a")
    here = mirrored.job._here

    class Amending:
        async def replicate(self, *arguments):
            await here.replicate(*arguments)
            mirrored.job._here = here
            await versions.amend_version(store, "b", "a", None, tagged("late"))

    mirrored.job._here = Amending()
    await mirrored.run()
    await mirrored.run()
    assert (await head(store, "a", bucket="d")).attributes.tags == (Tag("t", "late"),)
    assert await status(store, "a") == "COMPLETED"


HELD = Lock(mode="COMPLIANCE", until_ns=10**19 - 1, legal_hold=True)


@pytest.mark.parametrize(
    ("own", "given", "left"),
    [
        (HELD, None, HELD),
        (HELD, Lock(), HELD),
        (HELD, Lock(mode="GOVERNANCE", until_ns=10**19 - 1), HELD),
        (HELD, Lock(mode="COMPLIANCE", until_ns=5), HELD),
        (replace(HELD, mode="GOVERNANCE"), Lock(mode="GOVERNANCE", until_ns=5), replace(HELD, mode="GOVERNANCE")),
        (replace(HELD, until_ns=5), Lock(), Lock(legal_hold=True)),
        (None, HELD, HELD),
        (Lock(mode="COMPLIANCE", until_ns=4 * 10**18), HELD, HELD),
        (Lock(mode="GOVERNANCE", until_ns=4 * 10**18), HELD, HELD),
        (Lock(mode="GOVERNANCE", until_ns=HELD.until_ns), HELD, HELD),
        (replace(HELD, mode="GOVERNANCE"), Lock(mode="COMPLIANCE", until_ns=5), replace(HELD, mode="GOVERNANCE")),
    ],
)
async def test_what_holds_a_replica_is_not_loosened_by_its_source(store, mirrored, own, given, left):
    await put(store, "a")
    await mirrored.run()

    def locked(lock):
        return lambda version: replace(version, attributes=replace(version.attributes, lock=lock))

    await buckets.change_bucket(store, "d", lambda it: replace(it, documents={**it.documents, "object-lock": "<x/>"}))
    await versions.amend_version(store, "d", "a", None, locked(own))
    await versions.amend_version(store, "b", "a", None, tagged("later"))
    await versions.amend_version(store, "b", "a", None, locked(given))
    await mirrored.run()
    replica = await head(store, "a", bucket="d")
    assert (replica.attributes.lock, replica.attributes.tags) == (left, (Tag("t", "later"),))


@pytest.mark.parametrize("reason", ["gone", "unversioned", "forbidden", "no lock", "no room"])
async def test_what_a_destination_refuses_has_failed(store, mirrored, reason, logged):
    attributes = Attributes()
    if reason == "gone":
        mirrored.rules["b"] = (ReplicationRule(destination="missing"),)
    elif reason == "unversioned":
        await buckets.set_versioning(store, "d", enabled=False)
    elif reason == "forbidden":
        mirrored.may = False
    elif reason == "no room":
        await set_of_bucket(store, "d", Limits(bytes=1))
    else:
        attributes = Attributes(lock=Lock(legal_hold=True))
    await put(store, "a", b"12", attributes=attributes)
    await mirrored.run()
    assert await status(store, "a") == "FAILED"
    assert await versions_of(store, bucket="d") == []
    assert await mirrored.waiting() == 0
    assert "not replicated" in [entry["event"] for entry in logged]


async def test_what_cannot_be_reached_waits_and_is_left_alone_for_a_while(store, mirrored):
    calls = []

    class Down:
        up = False

        async def replicate(self, bucket, version, rule):
            calls.append(version.key)
            if not self.up:
                raise Unreachable("no route")

    down = mirrored.job._here = Down()
    mirrored.rules["b"] = (ReplicationRule(destination="d"),)
    for key in ("f1", "f2"):
        await put(store, key)
    await mirrored.run()
    await mirrored.run()
    assert len(calls) <= 2  # it is left alone for a while
    assert (await status(store, "f1"), await mirrored.waiting()) == ("PENDING", 2)
    down.up = True
    mirrored.job._rests.clear()
    await mirrored.run()
    assert await status(store, "f1") == await status(store, "f2") == "COMPLETED"


async def test_a_kill_at_any_commit_makes_no_second_version(store, mirrored):
    for number in range(1, 12):
        key = f"k{number}"
        version = await put(store, key, sample(2500))
        commit, left = store.index.commit, [number]

        async def dying(changes, expect=(), commit=commit, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Unavailable("killed")
            return await commit(changes, expect)

        store.index.commit = dying
        try:
            for _ in range(2):
                mirrored.job = mirrored.make_job()
                await asyncio.gather(run_once(mirrored.job), return_exceptions=True)
                mirrored.job._rests.clear()
        finally:
            store.index.commit = commit
        mirrored.job = mirrored.make_job()
        await mirrored.run()
        assert [it[1] for it in await versions_of(store, key, bucket="d")] == [version.id]
        assert await status(store, key) == "COMPLETED"


async def test_after_a_rebuild_what_was_waiting_waits_again(world, store, mirrored, tmp_path):
    await put(store, "done")
    await mirrored.run()
    await put(store, "a")
    old = mirrored.rules
    fresh = world.open(tmp_path / "new.db")
    await rebuild(fresh)
    mirrored = Mirrored(fresh, **old)
    assert await mirrored.waiting() == 0
    await mirrored.run()
    await mirrored.run()
    assert await keys_of(fresh, bucket="d") == ["a", "done"]
    assert await status(fresh, "a") == "COMPLETED"


async def test_objects_of_before_follow_on_request(store, mirrored):
    mirrored.rules["b"] = ()
    await put(store, "old")
    await remove(store, "old-marker")
    await mirrored.run()
    assert await keys_of(store, bucket="d") == []
    mirrored.rules["b"] = (ReplicationRule(destination="d", existing=True),)
    await buckets.change_bucket(store, "b", lambda it: replace(it, documents={"replication": "<other/>"}))
    mirrored.job = mirrored.make_job()
    await mirrored.run()
    await mirrored.run()
    assert await keys_of(store, bucket="d") == ["old"]
    progress = REPLICATION.of(b"b")
    assert progress.read(await progress.value(store.index)).ended


async def test_copies_are_versions_like_others(store, mirrored):
    version = await put(store, "a")
    await mirrored.run()
    copied = await copy_to(store, await head(store, "a"), "copy")
    assert copied.replication == "PENDING"
    back = await copy_to(store, await head(store, "a", bucket="d"), "back")
    assert (back.replication, version.id != back.id) == ("PENDING", True)
    await mirrored.run()
    assert await keys_of(store, bucket="d") == ["a", "back", "copy"]


async def test_replicas_belong_to_the_owner_of_the_destination_where_the_rule_says_so(store, mirrored):
    mirrored.rules["b"] = (ReplicationRule(destination="d", owned=True),)
    await put(store, "a", attributes=Attributes(acl=(Grant("owner-id", "READ"),)))
    await mirrored.run()
    replica = await head(store, "a", bucket="d")
    destination = (await store.get(BUCKETS, "d")).record
    assert (replica.owner, replica.attributes.acl) == (destination.owner, ())


def test_buckets_without_end_have_no_labels_without_end():
    observer = Observer()
    for number in range(1010):
        observer.replicated(f"bucket-{number}", 1)
        observer.replication_failed(f"bucket-{number}")
    observer.replicated("arn:s3ish:replication:::far", 1)
    series = [line for line in observer.render()[1].decode().splitlines() if line.startswith("s3ish_replicated_total")]
    assert len(series) == 1002
    assert 's3ish_replicated_total{destination=""} 10.0' in series
    assert 's3ish_replicated_total{destination="arn:s3ish:replication:::far"} 1.0' in series


class _Noted(Pace):
    """A pace under which something is always asked; it notes how many turns there were."""

    def __init__(self, store):
        requests = itertools.count()
        super().__init__(store.index, store.clock, lambda: next(requests))
        self.turns = []

    @asynccontextmanager
    async def turn(self, since_ns=None):
        self.turns.append(since_ns)
        async with super().turn(since_ns):
            yield


async def test_replicas_and_versions_that_are_to_wait_have_turns_of_their_own(store, mirrored):
    """New versions say since when they wait; those that were there before the rules may wait for ever."""
    mirrored.rules = {}
    old = [await put(store, f"old{number}", sample(10)) for number in range(3)]
    mirrored.rules = {"b": (replace(TO_D[0], existing=True),)}
    new = [await put(store, f"new{number}", sample(10)) for number in range(2)]
    pace = _Noted(store)
    await run_once(mirrored.make_job(pace))
    assert len(await keys_of(store, bucket="d")) == 5
    assert pace.turns[:2] == [it.sequence for it in new]
    assert pace.turns.count(None) == len(old)
    assert len(pace.turns) == 2 * len(old) + len(new)


async def test_versions_beyond_those_of_a_step_wait_in_the_next_ones(store, mirrored, monkeypatch):
    monkeypatch.setattr("s3ish.jobs.replicate._ROWS_A_STEP", 3)
    mirrored.rules = {}
    for number in range(10):
        await put(store, f"k{number}", sample(10))
    mirrored.rules = {"b": (replace(TO_D[0], existing=True),)}
    await mirrored.job.step()
    assert await mirrored.waiting() == 3
    await mirrored.run()
    assert len(await keys_of(store, bucket="d")) == 10
