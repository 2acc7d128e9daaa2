"""Events of replication: what has failed and why, what is late, and what came late, where the rules ask for that."""

import pytest
from msgspec.structs import replace

from s3ish.api.events import Events
from s3ish.api.replication import given_to
from s3ish.index.protocol import Put
from s3ish.jobs import late
from s3ish.jobs.destination import Forbidden, Refused, Unreachable
from s3ish.jobs.late import LateJob
from s3ish.jobs.missing_targets import MissingTargetsJob
from s3ish.jobs.replicas_here import ReplicasHere
from s3ish.jobs.replicate import ReplicationJob
from s3ish.jobs.runner import run_once
from s3ish.jobs.send import SendingJob
from s3ish.model import Lock, Replicating, Tag
from s3ish.objects import buckets, versions
from s3ish.objects.consequences import Cause, Consequences
from s3ish.objects.outbox import Targets
from s3ish.objects.replication import Replication, ReplicationRule
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import OUTBOX, REPLICATIONS, SENDINGS, VERSIONS
from tests.objects.support import make_bucket, put, remove

ARN, PARIS = "arn:aws:sqs:us-east-1:000000000000:q", "arn:s3ish:replication:::paris"
DOCUMENT = (
    '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration><Id>i</Id>'
    f"<Queue>{ARN}</Queue><Event>s3:Replication:*</Event></QueueConfiguration></NotificationConfiguration>"
)
QUARTER = 15 * 60 * 10**9
FAILED, MISSED, LATE = "OperationFailedReplication", "OperationMissedThreshold", "OperationReplicatedAfterThreshold"
HERE = ReplicationRule(destination="d", id="here", markers=True, measured=True, timed=True)
THERE = ReplicationRule(destination=PARIS, id="there", priority=1, measured=True, timed=True)


class Peer:
    error = None

    async def replicate(self, bucket, version, rule):
        if self.error:
            raise self.error

    async def tidy(self):
        pass


class Rig:
    """A store whose bucket ``b`` is replicated by the rules of the test, and has a queue told of that."""

    def __init__(self, store):
        self.store, self.rules, self.may, self.peer = store, [HERE], True, Peer()
        events, replication = Events(store.clock, Targets([ARN])), Replication(self.rules_of)
        store.consequences = Consequences(
            events, replication.rows, is_replicated=replication.is_wanted, tell=events.tell
        )
        here = ReplicasHere(store, lambda *_: self.may, given_to)
        self.here = ReplicationJob(store, self.rules_of, here, Observer())
        self.sending = SendingJob(store, self.rules_of, PARIS, self.peer, Observer())

    def rules_of(self, bucket):
        return self.rules if bucket.name == "b" else ()

    async def send(self):
        self.sending._rest._until = float("-inf")
        await run_once(self.sending)

    async def look_for_late_ones(self):
        await run_once(LateJob(self.store, self.rules_of))

    async def events(self):
        rows = await OUTBOX.rows(self.store.index, *keys.outbox_range(ARN), 1000)
        return [OUTBOX.decode(*row) for row in rows]

    async def said(self):
        """Return name, key and reason of each event."""
        return [(it.name.removeprefix("Replication:"), it.key, it.replication.reason) for it in await self.events()]


@pytest.fixture
async def rig(store):
    for name in ("b", "d"):
        if await store.find_bucket(name) is None:
            await make_bucket(store, name)
        await buckets.set_versioning(store, name, enabled=True)
    documents = {"replication": "<x/>", "notification": DOCUMENT}
    await buckets.change_bucket(store, "b", lambda it: replace(it, documents=documents))
    return Rig(store)


async def test_a_failure_has_an_event_that_says_what_s3_says(store, rig):
    rig.may = False
    version = await put(store, "k", b"data")
    await run_once(rig.here)
    (event,) = await rig.events()
    assert event.replication == Replicating("here", "arn:aws:s3:::d", version.modified_ns, "DstPutObjectNotPermitted")
    assert (event.name, event.key, event.version_id) == (f"Replication:{FAILED}", "k", version.id)
    assert (event.size, event.etag, event.principal, event.source) == (4, version.etag, *["s3.amazonaws.com"] * 2)
    await remove(store, "k")
    await run_once(rig.here)
    assert (await rig.said())[1] == (FAILED, "k", "DstDelObjNotPermitted")


async def test_the_reason_names_what_the_destination_lacks(store, rig):
    await buckets.set_versioning(store, "d", enabled=False)
    await put(store, "unversioned")
    await run_once(rig.here)
    await buckets.set_versioning(store, "d", enabled=True)
    locked = await put(store, "locked")
    await versions.amend_record(
        store, locked, lambda it: replace(it, attributes=replace(it.attributes, lock=Lock(legal_hold=True))), Cause()
    )
    await run_once(rig.here)
    await buckets.delete_bucket(store, "d")
    await put(store, "gone")
    await run_once(rig.here)
    assert await rig.said() == [
        (FAILED, "unversioned", "DstBucketUnversioned"),
        (FAILED, "locked", "DstBucketObjectLockConfigMissing"),
        (FAILED, "gone", "DstBucketNotFound"),
    ]


async def test_each_destination_that_fails_has_an_event_and_no_other(store, rig):
    rig.rules = [HERE, THERE]
    rig.may, rig.peer.error = False, Refused("no", "DstKmsKeyNotFound")
    await put(store, "both")
    await run_once(rig.here)
    await rig.send()
    rig.may = True
    await put(store, "one")
    await run_once(rig.here)
    await rig.send()
    rig.peer.error = None
    await put(store, "none")
    await run_once(rig.here)
    await rig.send()
    said = await rig.said()
    assert said == [
        (FAILED, "both", "DstPutObjectNotPermitted"),
        (FAILED, "both", "DstKmsKeyNotFound"),
        (FAILED, "one", "DstKmsKeyNotFound"),
    ]
    assert [it.replication.destination for it in await rig.events()] == ["arn:aws:s3:::d", PARIS, PARIS]


async def test_a_target_that_refuses_for_long_or_is_gone_from_the_settings_has_failed(store, rig):
    rig.rules, rig.peer.error = [THERE], Forbidden("403", "DstBucketNotFound")
    await put(store, "refused")
    for _ in range(6):
        await rig.send()
    await put(store, "missing")
    await run_once(MissingTargetsJob(store, rig.rules_of, (), 0, Observer()))
    assert await rig.said() == [(FAILED, key, "DstBucketNotFound") for key in ("refused", "missing")]


async def test_without_metrics_failures_and_without_a_time_delays_have_no_event(store, rig):
    rig.rules = [replace(HERE, measured=False, timed=False), replace(THERE, timed=False)]
    rig.may = False
    await put(store, "k")
    await run_once(rig.here)
    store.clock.ns += QUARTER + 1
    await rig.look_for_late_ones()
    await rig.send()
    assert await rig.said() == []


@pytest.mark.parametrize("at_once", [1, 64])
async def test_a_version_that_is_late_has_an_event_once_and_another_when_it_came(store, rig, monkeypatch, at_once):
    monkeypatch.setattr(late, "_ROWS_A_STEP", at_once)
    rig.rules, rig.peer.error = [HERE, THERE], Unreachable("down")
    for key in "abc":
        await put(store, key)
    await run_once(rig.here)
    await rig.send()
    await rig.look_for_late_ones()
    assert await rig.said() == []
    store.clock.ns += QUARTER
    await put(store, "d")
    for _ in range(3):
        await rig.look_for_late_ones()
    assert await rig.said() == [(MISSED, key, "") for key in "abc"]
    assert {it.replication.destination for it in await rig.events()} == {PARIS}
    rig.peer.error = None
    for _ in range(2):  # what was refused last is left out of the first pass
        await rig.send()
    assert sorted(await rig.said()) == [(name, key, "") for name in (MISSED, LATE) for key in "abc"]


async def test_what_is_late_here_is_what_the_bucket_has_not(store, rig):
    await make_bucket(store, "e")
    await buckets.set_versioning(store, "e", enabled=True)
    rig.rules = [HERE, replace(HERE, destination="e", id="other")]
    made = ReplicasHere.replicate

    async def slow(self, bucket, version, rule):
        if rule.destination == "e":
            raise Unreachable("slow")
        await made(self, bucket, version, rule)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReplicasHere, "replicate", slow)
        await put(store, "k")
        await run_once(rig.here)
    store.clock.ns += QUARTER + 1
    await rig.look_for_late_ones()
    assert [it.replication.rule for it in await rig.events()] == ["other"]


async def test_a_version_that_is_amended_long_after_is_not_late(store, rig):
    rig.rules = [THERE]
    version = await put(store, "k")
    await rig.send()
    store.clock.ns += 10 * QUARTER
    await versions.amend_record(
        store,
        version,
        lambda it: replace(it, replication="PENDING", attributes=replace(it.attributes, tags=(Tag("a", "b"),))),
        Cause(),
    )
    await rig.look_for_late_ones()
    await rig.send()
    assert await rig.said() == []


async def test_a_damaged_bucket_holds_up_no_other(store, rig):
    await make_bucket(store, "a")
    for name in ("a", "b"):
        await buckets.set_versioning(store, name, enabled=True)
        await buckets.change_bucket(store, name, lambda it: replace(it, documents={"replication": "<x/>"}))
    rig.rules_of = rig.here._rules_of = rig.sending._rules_of = lambda _: [HERE, THERE]
    store.consequences = Consequences(Replication(rig.rules_of).rows, is_replicated=lambda *_: True)
    await put(store, "k", bucket="a")
    version = await put(store, "k")
    held = await store.find_bucket("a")
    await store.index.commit([Put(held.table, held.key, held.value[:-1] + bytes([held.value[-1] ^ 1]))])
    await run_once(rig.here)
    for _ in range(2):  # what was refused last is left out of the first pass
        await rig.send()
    store.clock.ns += QUARTER + 1
    await run_once(LateJob(store, rig.rules_of))
    await run_once(MissingTargetsJob(store, rig.rules_of, (), 0, Observer()))
    assert (await store.get(VERSIONS, "b", "k", version.sequence)).record.replication == "COMPLETED"


@pytest.mark.parametrize("refused", [False, True])
async def test_a_version_whose_waiting_row_is_damaged_is_settled_all_the_same(store, rig, refused):
    rig.rules = [HERE, THERE]
    rig.may, rig.peer.error = not refused, Refused("no") if refused else None
    await run_once(rig.here)  # it has looked through the bucket, where versions wait again
    version = await put(store, "k")
    for table in (REPLICATIONS, SENDINGS):
        ((key, value),) = await table.rows(store.index, b"", keys.END, 2)
        await store.index.commit([Put(table.name, key, value[:-1] + bytes([value[-1] ^ 1]))])
    await run_once(rig.here)
    await rig.send()
    assert (await store.get(VERSIONS, "b", "k", version.sequence)).record.replication == (
        "FAILED" if refused else "COMPLETED"
    )
    for table in (REPLICATIONS, SENDINGS):
        assert await table.rows(store.index, b"", keys.END, 2) == []
