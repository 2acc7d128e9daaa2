"""Sending versions to another server: order, patience, what has failed, and what a version says in the end."""

import asyncio

import pytest
from msgspec.structs import replace

from s3ish.api.replication import given_to
from s3ish.errors import NoSuchBucket, ReplicationConfigurationNotFoundError, ServiceUnavailable, SlowDown
from s3ish.index.protocol import Unavailable
from s3ish.integrity.rebuild import rebuild
from s3ish.jobs import replicate_again as replicate_again_job
from s3ish.jobs.destination import Forbidden, Refused, Unreachable
from s3ish.jobs.missing_targets import MissingTargetsJob
from s3ish.jobs.replicas_here import ReplicasHere
from s3ish.jobs.replicate import ReplicationJob
from s3ish.jobs.replicate_again import ReplicateAgainJob
from s3ish.jobs.runner import run_once
from s3ish.jobs.send import SendingJob
from s3ish.jobs.settle import settle
from s3ish.model import Tag
from s3ish.objects import buckets, versions
from s3ish.objects.consequences import Consequences
from s3ish.objects.replicating_again import replicate_again
from s3ish.objects.replication import Replication, ReplicationRule
from s3ish.observe.observer import Observer
from s3ish.tables.catalogue import REPLICATIONS, SENDINGS
from s3ish.tables.state import AGAIN, MISSING_TARGETS
from tests.objects.support import head, keys_of, make_bucket, put, remove

ONE, TWO = "arn:s3ish:replication:::one", "arn:s3ish:replication:::two"


class Peer:
    """Another server: it notes what it takes; ``error`` is what it raises, of all keys or of some."""

    def __init__(self):
        self.taken, self.tried, self.error, self.keys = [], [], None, None

    async def replicate(self, bucket, version, rule):
        self.tried.append(version.key)
        await asyncio.sleep(0)
        if self.error and (self.keys is None or version.key in self.keys):
            raise self.error
        self.taken.append((version.key, version.id))

    async def tidy(self):
        pass


class Rig:
    """A store whose bucket ``b`` is sent to peers by the rules of the test."""

    def __init__(self, store, *rules):
        self.store, self.rules = store, rules
        replication = Replication(self.rules_of)
        store.consequences = Consequences(replication.rows, is_replicated=replication.is_wanted)
        self.observer = Observer()
        self.peers = {ONE: Peer(), TWO: Peer()}
        self.begin()

    def rules_of(self, bucket):
        return self.rules if bucket.name == "b" else ()

    def begin(self):
        """Have jobs that know nothing, as after a restart."""
        here = ReplicasHere(self.store, lambda *_: True, given_to)
        self.here = ReplicationJob(self.store, self.rules_of, here, self.observer)
        self.jobs = {
            arn: SendingJob(self.store, self.rules_of, arn, peer, self.observer) for arn, peer in self.peers.items()
        }

    async def send(self, arn=ONE):
        """Let a job do what it does before it rests."""
        self.jobs[arn]._rest._until = float("-inf")
        await run_once(self.jobs[arn])

    async def waiting(self, table=SENDINGS):
        return len(await table.rows(self.store.index, b"", b"\xff", 10_000))


@pytest.fixture
async def rig(store):
    await buckets.set_versioning(store, "b", enabled=True)
    await buckets.change_bucket(store, "b", lambda it: replace(it, documents={"replication": "<x/>"}))
    return Rig(store, ReplicationRule(destination=ONE, markers=True))


async def status(store, key, version_id=None):
    return (await head(store, key, version_id)).replication


async def test_versions_of_a_key_are_sent_in_their_order(store, rig):
    ids = [(await put(store, "a", b"%d" % number)).id for number in range(20)]
    await remove(store, "a")
    await rig.send()
    assert [version for _, version in rig.peers[ONE].taken[:20]] == ids
    assert (len(rig.peers[ONE].taken), await rig.waiting(), await rig.waiting(REPLICATIONS)) == (21, 0, 0)
    assert await status(store, "a", ids[3]) == "COMPLETED"


async def test_what_is_behind_a_version_that_is_not_taken_waits_and_others_do_not(store, rig):
    peer = rig.peers[ONE]
    for key in ("bad", "good", "bad", "fine"):
        await put(store, key)
    peer.error, peer.keys = Unreachable("slow"), {"bad"}
    await rig.send()
    assert ([key for key, _ in peer.taken], peer.tried.count("bad")) == (["good", "fine"], 1)
    assert [await status(store, key) for key in ("bad", "good")] == ["PENDING", "COMPLETED"]
    peer.error = None
    await rig.send()
    assert [key for key, _ in peer.taken[2:]] == ["bad", "bad"]
    assert await rig.waiting() == 0


async def test_a_version_that_cannot_be_noted_holds_up_no_other(store, rig, monkeypatch):
    async def unwritable(store, version, *more, **options):
        if version.key == "bad":
            raise ServiceUnavailable
        await settle(store, version, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr("s3ish.jobs.send.settle", unwritable)
        for key in ("bad", "good", "fine"):
            await put(store, key)
        await rig.send()
        assert [await status(store, key) for key in ("bad", "good", "fine")] == ["PENDING", "COMPLETED", "COMPLETED"]
    await rig.send()
    assert (await status(store, "bad"), await rig.waiting()) == ("COMPLETED", 0)


async def test_a_server_that_is_down_is_left_alone_for_longer_and_longer(store, rig):
    peer, job = rig.peers[ONE], rig.jobs[ONE]
    peer.error = Unreachable("down")
    for number in range(100):
        await put(store, f"k{number}")
    pauses = []
    for _ in range(9):
        before = len(peer.tried)
        job._rest._until = float("-inf")
        await job.step()
        assert len(peer.tried) - before <= 8
        pauses.append(round(job._rest.seconds))
        assert not (await job.step()).more
        assert len(peer.tried) - before <= 8
    assert (pauses[:4], pauses[-1]) == ([1, 2, 4, 8], 60)
    assert await rig.waiting() == 100
    rig.begin()
    peer.error = None
    await rig.send()
    assert (await rig.waiting(), len(peer.taken)) == (0, 100)


@pytest.mark.parametrize("error", [Unreachable("down"), SlowDown(), OSError("reading")])
async def test_what_may_come_right_is_tried_for_ever(store, rig, error):
    await put(store, "a")
    rig.peers[ONE].error = error
    for _ in range(20):
        await rig.send()
    assert (await status(store, "a"), await rig.waiting()) == ("PENDING", 1)


async def test_where_keys_are_refused_a_version_has_failed_after_some_tries(store, rig, logged):
    await put(store, "a")
    rig.peers[ONE].error = Forbidden("403 AccessDenied")
    for tries in range(5):
        await rig.send()
        assert (len(rig.peers[ONE].tried), await status(store, "a")) == (tries + 1, "PENDING")
    await rig.send()
    assert (await status(store, "a"), await rig.waiting()) == ("FAILED", 0)
    assert "not replicated" in [entry["event"] for entry in logged]


async def test_what_is_refused_for_good_has_failed_at_once_and_others_go_on(store, rig):
    await put(store, "bad")
    await put(store, "good")
    rig.peers[ONE].error, rig.peers[ONE].keys = Refused("400 InvalidRequest"), {"bad"}
    await rig.send()
    assert [await status(store, key) for key in ("bad", "good")] == ["FAILED", "COMPLETED"]


async def test_a_version_says_completed_when_the_last_destination_has_it(store, rig):
    await make_bucket(store, "d", "Enabled")
    rig.rules = (*(ReplicationRule(destination=to) for to in (ONE, TWO, "d")),)
    for key, order in (("a", "12h"), ("b", "h21"), ("c", "1h2")):
        await put(store, key)
        for place in order:
            assert await status(store, key) == "PENDING"
            await {"1": lambda: rig.send(ONE), "2": lambda: rig.send(TWO), "h": lambda: run_once(rig.here)}[place]()
        assert await status(store, key) == "COMPLETED"
    assert await keys_of(store, bucket="d") == ["a", "b", "c"]
    assert await rig.waiting() == await rig.waiting(REPLICATIONS) == 0


async def test_two_that_are_done_at_once_leave_no_version_pending(world, store, rig):
    rig.rules = (ReplicationRule(destination=ONE), ReplicationRule(destination=TWO))
    other = Rig(world.open(), *rig.rules)
    for number in range(20):
        await put(store, f"k{number}")
    await asyncio.gather(rig.send(ONE), other.send(TWO))
    assert {await status(store, f"k{number}") for number in range(20)} == {"COMPLETED"}


async def test_a_failure_is_not_covered_by_a_later_success(store, rig):
    rig.rules = (ReplicationRule(destination=ONE), ReplicationRule(destination=TWO))
    await put(store, "a")
    rig.peers[ONE].error = Refused("no")
    await rig.send(ONE)
    assert await status(store, "a") == "FAILED"
    await rig.send(TWO)
    assert (await status(store, "a"), await rig.waiting()) == ("FAILED", 0)


async def test_a_change_while_a_version_is_sent_is_not_lost(store, rig):
    version = await put(store, "a")
    peer = rig.peers[ONE]
    replicate = peer.replicate

    async def amended(*arguments):
        await replicate(*arguments)
        peer.replicate = replicate

        def tag(found):
            return replace(found, attributes=replace(found.attributes, tags=(Tag("k", "v"),)))

        await versions.amend_version(store, "b", "a", version.id, tag)

    peer.replicate = amended
    await rig.send()
    await rig.send()
    assert (len(peer.taken), await status(store, "a"), await rig.waiting()) == (2, "COMPLETED", 0)


async def test_a_version_or_a_rule_that_is_gone_is_forgotten(store, rig):
    one = await put(store, "a")
    await remove(store, "a", one.id)
    await put(store, "b")
    rig.rules = ()
    await rig.send()
    assert (rig.peers[ONE].tried, await rig.waiting(), await status(store, "b")) == ([], 0, "")


async def test_a_version_that_is_removed_waits_for_nobody(store, rig):
    """A server that is down, or no longer in the settings, would have rows without end of what is not there."""
    rig.rules = (*rig.rules, ReplicationRule(destination=TWO), ReplicationRule(destination="c", markers=True))
    kept = await put(store, "a")
    for _ in range(3):
        gone = await put(store, "a")
        assert await rig.waiting() == 4
        await remove(store, "a", gone.id)
        assert (await rig.waiting(), await rig.waiting(REPLICATIONS)) == (2, 1)
    assert await status(store, "a", kept.id) == "PENDING"


async def test_a_kill_at_any_commit_loses_nothing(store, rig):
    for number in range(1, 8):
        version = await put(store, f"k{number}")
        commit, left = store.index.commit, [number]

        async def dying(changes, expect=(), commit=commit, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Unavailable("killed")
            return await commit(changes, expect)

        store.index.commit = dying
        try:
            await asyncio.gather(rig.send(), return_exceptions=True)
        finally:
            store.index.commit = commit
        rig.begin()
        await rig.send()
        assert (version.key, version.id) in rig.peers[ONE].taken
        assert (await status(store, version.key), await rig.waiting()) == ("COMPLETED", 0)


async def test_after_a_rebuild_what_was_waiting_waits_again(world, store, rig, tmp_path):
    version = await put(store, "a")
    fresh = world.open(tmp_path / "new.db")
    await rebuild(fresh)
    rig = Rig(fresh, *rig.rules)
    assert await rig.waiting() == 0
    await run_once(rig.here)
    await rig.send()
    assert rig.peers[ONE].taken == [("a", version.id)]


async def test_metrics_show_what_waits_and_since_when(store, rig):
    rig.peers[ONE].error = Unreachable("down")
    for number in range(3):
        await put(store, f"k{number}")
    await rig.send()
    await rig.jobs[ONE].step()
    text = rig.observer.render()[1].decode()
    assert f's3ish_replication_target_waiting{{destination="{ONE}"}} 3.0' in text
    age = float(text.partition(f's3ish_replication_target_oldest_seconds{{destination="{ONE}"}} ')[2].split()[0])
    assert 0 < age < 60
    rig.peers[ONE].error = None
    await rig.send()
    await rig.send()
    text = rig.observer.render()[1].decode()
    assert f's3ish_replication_target_waiting{{destination="{ONE}"}} 0.0' in text
    assert f's3ish_replicated_total{{destination="{ONE}"}} 3.0' in text


async def test_to_count_what_waits_takes_a_small_share_of_the_time(store, rig, monkeypatch):
    for number in range(64):
        await put(store, f"k{number}")
    job, now, counted = rig.jobs[ONE], [1000.0], []

    async def count(*_):
        counted.append(now[0])
        now[0] += 10  # as where many millions wait
        return 64

    monkeypatch.setattr(store.clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(SENDINGS, "count", count)
    for _ in range(200):
        now[0] += 15
        await job._show()
    assert 2 <= len(counted) <= 7


async def test_objects_of_before_and_those_that_failed_follow_on_request(store, rig):
    rig.peers[ONE].error = Refused("no")
    failed = await put(store, "failed")
    await rig.send()
    rig.rules = ()
    old = await put(store, "old")
    assert [await status(store, key) for key in ("failed", "old")] == ["FAILED", ""]
    rig.peers[ONE].error = None
    rig.rules = (ReplicationRule(destination=ONE, existing=True),)
    await buckets.change_bucket(store, "b", lambda it: replace(it, documents={"replication": "<other/>"}))
    rig.begin()
    await run_once(rig.here)
    await rig.send()
    assert rig.peers[ONE].taken == [("failed", failed.id), ("old", old.id)]
    assert [await status(store, key) for key in ("failed", "old")] == ["COMPLETED"] * 2


async def again(store, rig, *states):
    await replicate_again(store, "b", states)
    await run_once(ReplicateAgainJob(store, rig.rules_of))
    rig.peers[ONE].taken.clear()
    await rig.send()
    return [key for key, _ in rig.peers[ONE].taken]


async def test_what_is_there_is_replicated_again_by_its_status(store, rig, monkeypatch):
    monkeypatch.setattr(replicate_again_job, "_ROWS_A_STEP", 2)
    for key in ("done 1", "done 2"):
        await put(store, key)
    await rig.send()
    rig.peers[ONE].error = Refused("no")
    await put(store, "failed")
    await rig.send()
    rig.rules = ()
    await put(store, "none")
    rig.peers[ONE].error, rig.rules = None, (ReplicationRule(destination=ONE),)
    assert await again(store, rig, "FAILED") == ["failed"]
    assert await again(store, rig, "NONE", "FAILED") == ["none"]
    assert await again(store, rig, "NONE", "FAILED") == []
    assert sorted(await again(store, rig, "COMPLETED")) == ["done 1", "done 2", "failed", "none"]
    assert [await status(store, key) for key in ("done 1", "failed", "none")] == ["COMPLETED"] * 3
    progress = AGAIN.of(b"b").read(await AGAIN.of(b"b").value(store.index))
    assert (progress.looked, progress.found, progress.ended) == (4, 4, True)


async def test_replicas_and_what_no_rule_is_about_are_not_replicated_again(store, rig):
    rig.rules = (ReplicationRule(destination=ONE, prefix="logs/"),)
    await put(store, "other")
    replica = await put(store, "logs/a")
    await versions.amend_version(store, "b", "logs/a", replica.id, lambda it: replace(it, replication="REPLICA"))
    assert await again(store, rig, "NONE", "FAILED", "COMPLETED") == []


async def test_to_replicate_again_needs_rules_and_goes_on_after_a_stop(store, rig, monkeypatch):
    await make_bucket(store, "plain")
    with pytest.raises(ReplicationConfigurationNotFoundError):
        await replicate_again(store, "plain", ["FAILED"])
    with pytest.raises(NoSuchBucket):
        await replicate_again(store, "missing", ["FAILED"])
    monkeypatch.setattr(replicate_again_job, "_ROWS_A_STEP", 2)
    rig.rules = ()
    for number in range(5):
        await put(store, f"k{number}")
    rig.rules = (ReplicationRule(destination=ONE),)
    await replicate_again(store, "b", ["NONE"])
    await ReplicateAgainJob(store, rig.rules_of).step()
    assert await rig.waiting() == 2
    await run_once(ReplicateAgainJob(store, rig.rules_of))
    assert await rig.waiting() == 5


async def test_a_bucket_that_was_made_anew_is_not_looked_through_for_the_former_one(store, rig):
    await replicate_again(store, "b", ["NONE"])
    await buckets.delete_bucket(store, "b")
    await make_bucket(store, "b", "Enabled")
    await put(store, "a")
    await run_once(ReplicateAgainJob(store, rig.rules_of))
    assert (await rig.waiting(), await AGAIN.of(b"b").value(store.index)) == (1, None)


class Gone:
    """A store whose target ONE is not in the settings."""

    def __init__(self, rig, *targets, patience=100.0):
        self.rig = rig
        self.job = MissingTargetsJob(rig.store, rig.rules_of, targets, patience, rig.observer)

    async def after(self, seconds):
        self.rig.store.clock.ns += int(seconds * 1e9)
        await run_once(self.job)


async def test_what_waits_for_a_target_that_is_gone_fails_after_a_time(store, rig, logged):
    rig.rules = (ReplicationRule(destination=ONE), ReplicationRule(destination=TWO, prefix="both"))
    await put(store, "a")
    await put(store, "both")
    removed = await put(store, "removed")
    await remove(store, "removed", removed.id)
    gone = Gone(rig, TWO)
    for _ in range(3):
        await gone.after(30)
    assert [line["event"] for line in logged].count(
        "versions wait for a target of replication that is not in the settings"
    ) == 1
    assert f's3ish_replication_target_waiting{{destination="{ONE}"}} 2.0' in rig.observer.render()[1].decode()
    assert [await status(store, key) for key in ("a", "both")] == ["PENDING"] * 2
    await gone.after(50)
    assert [await status(store, key) for key in ("a", "both")] == ["FAILED"] * 2
    await rig.send(TWO)
    assert await status(store, "both") == "FAILED"
    assert await rig.waiting() == 0
    await gone.after(30)
    assert await MISSING_TARGETS.family(store.index, 10) == []
    assert f's3ish_replication_target_waiting{{destination="{ONE}"}} 0.0' in rig.observer.render()[1].decode()


async def test_a_target_that_comes_back_in_time_gets_what_waited(store, rig):
    await put(store, "a")
    await Gone(rig).after(99)
    back = Gone(rig, ONE)
    await back.after(99)
    assert await MISSING_TARGETS.family(store.index, 10) == []
    await rig.send()
    assert await status(store, "a") == "COMPLETED"
    await put(store, "b")
    await Gone(rig).after(99)
    assert await status(store, "b") == "PENDING"
