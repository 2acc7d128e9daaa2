"""Events reach their target in order, at least once, whatever fails in between; what waits is bounded."""

import asyncio
from itertools import pairwise

import pytest

from s3ish.api.events import Events
from s3ish.index.protocol import Put
from s3ish.jobs import deliver
from s3ish.jobs.deliver import DeliveryJob
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import run_once
from s3ish.objects import buckets
from s3ish.objects.consequences import Consequences
from s3ish.objects.lifecycle import Rule
from s3ish.objects.outbox import Targets
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import OUTBOX
from s3ish.targets.message import message_of
from s3ish.targets.protocol import Undelivered
from tests.objects.support import put, remove

ARN = "arn:aws:sqs:us-east-1:000000000000:q"
DOCUMENT = (
    '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration><Id>i</Id>'
    "<Queue>{arn}</Queue><Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event></QueueConfiguration>"
    "</NotificationConfiguration>"
)


class Shelf:
    """A target that keeps what it is sent, and refuses what the test says."""

    def __init__(self, batch=1, in_flight=4):
        self.batch, self.in_flight = batch, in_flight
        self.taken, self.tried, self.refuses = [], 0, lambda _: False

    async def send(self, messages):
        self.tried += 1
        await asyncio.sleep(0)
        if any(self.refuses(message.order) for message in messages):
            raise Undelivered("it is full")
        self.taken += [message.order for message in messages]

    async def close(self):
        pass


class Watch:
    """The monotonic clock of a test."""

    def __init__(self, store, monkeypatch):
        self.seconds = 0.0
        monkeypatch.setattr(store.clock, "monotonic", lambda: self.seconds)


@pytest.fixture
async def notified(store):
    """A store whose bucket ``b`` notifies a target of each object that comes or goes."""
    await buckets.set_documents(store, "b", {"notification": DOCUMENT.format(arn=ARN)})
    store.consequences = Consequences(Events(store.clock, Targets([ARN])))
    return store


@pytest.fixture
def watch(notified, monkeypatch):
    return Watch(notified, monkeypatch)


@pytest.fixture
def observer():
    return Observer()


@pytest.fixture
def begin(notified, observer):
    """A function that makes the job of a process that begins."""
    return lambda target, most=1000: DeliveryJob(notified, ARN, target, observer, most)


async def run(job):
    """Do what there is to do now; return how long the job waits then."""
    while (step := await job.step()).more:
        pass
    return step.pause_seconds


async def waiting(store):
    rows = await OUTBOX.rows(store.index, *keys.outbox_range(ARN), 10_000)
    return [OUTBOX.decode(*row).key for row in rows]


def metric(observer, name):
    text = observer.render()[1].decode()
    return [float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name}{{")]


@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (256, 1)])
async def test_each_event_is_taken_once_and_those_of_a_key_in_order(notified, watch, begin, shape):
    for number in range(30):
        await put(notified, f"k{number % 3}", b"%d" % number)
    await remove(notified, "k0")
    shelf = Shelf(*shape)
    await run(begin(shelf))
    assert sorted(shelf.taken) == sorted(["b/k0"] * 11 + ["b/k1"] * 10 + ["b/k2"] * 10)
    assert await waiting(notified) == []


async def test_events_of_a_key_wait_for_the_one_before_them_and_others_do_not(notified, watch, begin):
    for number in range(20):
        await put(notified, "bad" if number % 2 else "good", b"%d" % number)
    shelf = Shelf()
    shelf.refuses = lambda order: order == "b/bad"
    job = begin(shelf)
    await run(job)
    assert shelf.taken == ["b/good"] * 10
    assert await waiting(notified) == ["bad"] * 10
    shelf.refuses = lambda order: False
    assert (await job.step()).more is False, "it is left alone for a moment"
    watch.seconds += 2
    await run(job)
    assert shelf.taken[10:] == ["b/bad"] * 10


async def test_a_client_library_that_fails_in_an_unknown_way_costs_its_connection_and_no_event(notified, watch, begin):
    class Broken(Shelf):
        opened = 0
        broken = False

        async def send(self, messages):
            self.opened = self.opened or 1
            if messages[0].order == "b/bad" or self.broken:
                self.broken = True
                raise RuntimeError("cannot switch to state 13; another operation is in progress")
            await super().send(messages)

        async def close(self):
            self.opened, self.broken = 0, False

    for key in ("good", "bad", "other"):
        await put(notified, key)
    shelf = Broken(in_flight=1)
    job = begin(shelf)
    await run(job)
    assert shelf.opened == 0
    assert sorted(shelf.taken + await waiting(notified)) == ["b/good", "bad", "other"]
    watch.seconds += 100
    shelf.send = super(Broken, shelf).send
    await run(job)
    assert shelf.taken == ["b/good", "b/bad", "b/other"]
    assert await waiting(notified) == []


async def test_events_that_were_taken_go_although_the_target_fails_and_cannot_be_closed(notified, watch, begin):
    class Broken(Shelf):
        async def send(self, messages):
            await super().send(messages)
            if messages[0].order == "b/bad":
                raise RuntimeError("cannot switch to state 13; another operation is in progress")

        async def close(self):
            raise RuntimeError("and cannot be closed either")

    for key in ("bad", "good"):
        await put(notified, key)
    await run(begin(Broken()))
    assert await waiting(notified) == ["bad"]


async def test_more_keys_than_a_step_looks_at_can_wait_without_holding_up_the_rest(notified, watch, begin, monkeypatch):
    monkeypatch.setattr(deliver, "_ROWS_A_STEP", 4)
    await put(notified, "good")
    for number in range(12):
        await put(notified, f"bad{number}")
    await put(notified, "good")
    shelf = Shelf(in_flight=1000)
    shelf.refuses = lambda order: "bad" in order
    job = begin(shelf)
    for _ in range(10):
        await run(job)
        watch.seconds += 100
    assert shelf.taken == ["b/good", "b/good"]
    shelf.refuses = lambda order: False
    for _ in range(2):
        await run(job)
        watch.seconds += 100
    assert sorted(shelf.taken[2:]) == sorted(f"b/bad{number}" for number in range(12))


async def test_a_target_that_takes_nothing_is_asked_less_and_less_often(notified, watch, begin):
    for number in range(50):
        await put(notified, f"k{number}")
    shelf = Shelf()
    shelf.refuses = lambda order: True
    job, tries = begin(shelf), []
    for _ in range(600):
        before = shelf.tried
        await run(job)
        tries += [watch.seconds] if shelf.tried > before else []
        watch.seconds += 0.5
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps[:6] == [1, 2, 4, 8, 16, 32]
    assert set(gaps[6:]) == {60}
    assert shelf.tried <= 4 * len(tries), "no more than what was under way"
    shelf.refuses = lambda order: False
    for _ in range(2):
        watch.seconds += 60
        await run(job)
    assert len(shelf.taken) == 50


async def test_what_a_process_had_not_sent_the_next_one_sends(notified, watch, begin):
    for number in range(10):
        await put(notified, f"k{number}")
    shelf = Shelf(in_flight=1)
    shelf.refuses = lambda order: order == "b/k5"
    await run(begin(shelf))
    assert len(shelf.taken) == 5
    shelf.refuses = lambda order: False
    await run(begin(shelf))
    assert shelf.taken == [f"b/k{number}" for number in range(10)]


@pytest.mark.parametrize("sends", range(1, 5))
async def test_a_kill_between_taking_and_removing_repeats_events_and_loses_none(notified, watch, begin, sends):
    class Killed(BaseException):
        pass

    for number in range(4):
        await put(notified, f"k{number}")
    shelf = Shelf(in_flight=1)
    job, commit, commits = begin(shelf), notified.index.commit, 0

    async def kill(*arguments):
        nonlocal commits
        commits += 1
        if commits >= 1:
            raise Killed
        await commit(*arguments)

    shelf.refuses = lambda order: order == f"b/k{sends}"
    notified.index.commit = kill
    with pytest.raises(Killed):
        await run(job)
    notified.index.commit = commit
    shelf.refuses = lambda order: False
    await run(begin(shelf))
    assert shelf.taken == [*(f"b/k{number}" for number in range(sends)), *(f"b/k{number}" for number in range(4))]
    assert await waiting(notified) == []


async def test_of_too_many_events_the_oldest_are_dropped_and_writes_go_on(notified, watch, begin, observer, quiet_log):
    shelf = Shelf()
    shelf.refuses = lambda order: True
    job = begin(shelf, most=10)
    for number in range(300):
        await put(notified, f"k{number:03}")
        await run(job)
        watch.seconds += 1
    watch.seconds += 100
    await run(job)
    left = await waiting(notified)
    assert left == [f"k{number:03}" for number in range(290, 300)]
    assert metric(observer, "s3ish_events_dropped_total") == [290]
    assert metric(observer, "s3ish_events_waiting") == [10]
    told = [it for it in quiet_log if "dropped" in it["event"]]
    assert len(told) == 1


@pytest.fixture
def quiet_log():
    import structlog.testing

    with structlog.testing.capture_logs() as logged:
        yield logged


async def test_metrics_say_what_was_delivered_failed_and_since_when_the_rest_waits(notified, watch, begin, observer):
    await put(notified, "a")
    await put(notified, "bad")
    shelf = Shelf(in_flight=1)
    shelf.refuses = lambda order: order == "b/bad"
    job = begin(shelf)
    await run(job)
    notified.clock.ns += 500 * 10**9
    watch.seconds += 0.5
    await run(job)
    assert metric(observer, "s3ish_events_delivered_total") == [1]
    assert metric(observer, "s3ish_events_failed_total") == [1]
    assert metric(observer, "s3ish_events_waiting") == [1]
    assert 500 < metric(observer, "s3ish_events_oldest_seconds")[0] < 502
    shelf.refuses = lambda order: False
    watch.seconds += 100
    await run(job)
    assert metric(observer, "s3ish_events_waiting") == [0]
    assert metric(observer, "s3ish_events_oldest_seconds") == [0]


async def test_a_damaged_row_is_counted_and_does_not_hold_up_the_rest(notified, watch, begin, observer):
    for number in range(3):
        await put(notified, f"k{number}")
    rows = await OUTBOX.rows(notified.index, *keys.outbox_range(ARN), 10)
    key, value = rows[1]
    await notified.index.commit([Put("outbox", key, value[:-1] + bytes([value[-1] ^ 1]))])
    shelf = Shelf()
    await run(begin(shelf))
    assert shelf.taken == ["b/k0", "b/k2"]
    assert await waiting(notified) == []
    assert metric(observer, "s3ish_events_dropped_total") == [1]


async def test_a_slow_target_ends_a_step_before_its_lease_ends(notified, watch, begin):
    for number in range(40):
        await put(notified, f"k{number}")
    shelf = Shelf(in_flight=1)

    async def slowly(messages):
        watch.seconds += 2
        shelf.taken += [message.order for message in messages]

    shelf.send = slowly
    job = begin(shelf)
    assert (await job.step()).more
    assert len(shelf.taken) == 3
    await run(job)
    assert shelf.taken == [f"b/k{number}" for number in range(40)]


async def test_rows_of_one_target_are_of_no_other(notified, watch, begin, observer):
    other = f"{ARN}2"
    store = notified
    document = DOCUMENT.format(arn=other).replace("s3:ObjectRemoved:*", "s3:ObjectTagging:*")
    store.consequences = Consequences(Events(store.clock, Targets([ARN, other])))
    await put(store, "a")
    await buckets.set_documents(store, "b", {"notification": document})
    await put(store, "b")
    first, second = Shelf(), Shelf()
    await run(begin(first))
    await run(DeliveryJob(store, other, second, observer, 10))
    assert (first.taken, second.taken) == (["b/a"], ["b/b"])


async def test_an_event_for_a_target_that_settings_do_not_name_is_not_kept(notified):
    notified.consequences = Consequences(Events(notified.clock, Targets(["arn:aws:sqs:::other"])))
    await put(notified, "k")
    assert await OUTBOX.rows(notified.index, b"", keys.END, 10) == []


async def test_an_event_has_one_id_however_often_it_is_sent(notified, watch, begin):
    await put(notified, "k")
    ((key, value),) = await OUTBOX.rows(notified.index, *keys.outbox_range(ARN), 10)
    event = OUTBOX.decode(key, value)
    seen = []

    class Noting(Shelf):
        async def send(self, messages):
            seen.extend(message.id for message in messages)
            await super().send(messages)

    shelf = Noting()
    shelf.refuses = lambda order: len(seen) < 3
    job = begin(shelf)
    for _ in range(5):
        await run(job)
        watch.seconds += 100
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert message_of(event, seen[0], on_bus=True).id == seen[0]


@pytest.mark.parametrize("versioning", [False, True])
async def test_what_lifecycle_rules_remove_is_an_expiry_that_the_service_caused(notified, versioning):
    text = DOCUMENT.format(arn=ARN).replace("s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
    await buckets.set_documents(notified, "b", {"notification": text})
    if versioning:
        await buckets.set_versioning(notified, "b", enabled=True)
    await put(notified, "k")
    clock = notified.clock
    clock.service.set(clock.service_ns() + 3 * 86_400 * 10**9, clock.now_ns())
    await run_once(LifecycleJob(notified, lambda _: [Rule(id="r", days=1)]))
    rows = await OUTBOX.rows(notified.index, *keys.outbox_range(ARN), 10)
    created, expired = [OUTBOX.decode(*row) for row in rows]
    assert created.name == "ObjectCreated:Put"
    assert expired.name == f"LifecycleExpiration:{'DeleteMarkerCreated' if versioning else 'Delete'}"
    assert (expired.principal, expired.source) == ("s3.amazonaws.com", "s3.amazonaws.com")
    assert expired.at_ns > created.at_ns
