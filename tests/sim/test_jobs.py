"""Events, replicas and counters, cut off by a crash at each step of a write and of the jobs that follow."""

import random
from collections import Counter
from contextlib import suppress

import pytest
from msgspec.structs import replace

from s3ish.errors import S3Error
from s3ish.index.protocol import Add, IndexFailure, Put, Unavailable
from s3ish.integrity.rebuild import rebuild
from s3ish.jobs.deliver import DeliveryJob
from s3ish.jobs.replicate import ReplicationJob
from s3ish.objects import lifecycle, versions
from s3ish.objects.replica import replicate_here
from s3ish.tables.catalogue import REPLICATIONS
from tests.sim import follow
from tests.sim.client import Client
from tests.sim.disk import Dropped, Kept, Some
from tests.sim.machine import SimIndex, blank, simulated
from tests.sim.model import copied, observe
from tests.sim.run import PLAIN, VERSIONED
from tests.sim.served import (
    ServedMachine,
    Shelf,
    changes,
    check_followed,
    check_replicas,
    check_single,
    check_whole_and_rebuilt,
    heal,
    served,
)

SOME = 4
"""One in so many crashes is looked at in every way: each takes a rebuild of the index."""
PLANS = 24
"""How many ways of stopping drives are tried."""

WRITES = (
    ("put", "b", "a", "small"),
    ("put", "b", "a", "large"),
    ("remove", "b", "a"),
    ("erase", "b", "a", 0),
    ("erase", "b", "a", 1),
    ("tag", "b", "a", 0),
    ("copy", "b", "a", "c/d"),
    ("annotate", "b", "a", "large"),
    ("append", "b", "c/d", "large"),
    ("rename", "b", "c/d", "e"),
    ("complete", "b"),
    ("versioning", "b", "Suspended"),
)


@pytest.fixture
def system():
    with simulated() as system:
        yield system


async def begun(system, volumes, beginning):
    """Return the image of a machine with versions whose events and replicas wait, its state, and the events."""
    machine = ServedMachine(system, blank(volumes))
    client, events = await served(machine, beginning)
    await machine.off()
    return machine.image(), client, events


def watching(machine, choose, note=lambda: None):
    """Return images of a crash at each step from now on, each with what is noted of that moment."""
    images = {}

    def watch(_):
        for choice in (Dropped(), Some(choose)):
            image, noted = machine.image(choice), note()
            images.setdefault((image.key, str(noted)), (image, noted))

    machine.watch = watch
    return images


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("beginning", [PLAIN, VERSIONED], ids=["plain", "versioned"])
async def test_a_crash_at_any_step_of_a_write_loses_no_event_and_no_replica(system, volumes, beginning):
    begin, before, events = await begun(system, volumes, beginning)
    choose, count = random.Random(1), 0
    for operation in WRITES:
        machine = ServedMachine(system, begin)
        await machine.start()
        client, rows = Client(machine, copied(before.state), before.count), await machine.versions("b")
        if not client.can(operation):
            continue
        images = watching(machine, choose)
        await client.do(operation)
        versioned = bool(before.state["b"].versioning)
        more = changes(rows, await machine.versions("b"), versioned=versioned)
        image = machine.image(Dropped())
        await machine.off()
        for left, done in [*((image, None) for image, _ in images.values()), (image, True)]:
            again = ServedMachine(system, left)
            await again.start()
            found = await observe(again.store)
            assert found in ([client.state] if done else [before.state, client.state])
            await check_followed(again, events + more if found == client.state else events)
            await again.off()
            count += 1
        assert operation[0] in {"tag", "annotate", "versioning"} or more
    assert count > 50


@pytest.mark.parametrize("volumes", [1, 3])
async def test_a_crash_while_replicas_are_made_makes_none_twice(system, volumes):
    begin, _, events = await begun(system, volumes, (*VERSIONED, ("complete", "b"), ("annotate", "b", "a", "large")))
    machine = ServedMachine(system, begin)
    await machine.start()
    images = watching(machine, random.Random(2))
    await machine.replicate()
    assert len(images) > 30
    wanted = {(it.key, it.id) for it in await machine.versions("b")}
    for number, (image, _) in enumerate(images.values()):
        again = ServedMachine(system, image)
        await again.start()
        await check_single(again)
        await check_followed(again, events)
        assert set(await check_single(again)) == wanted
        if number % SOME == 0:
            await check_whole_and_rebuilt(again)
        await again.off()
        if number % SOME == 1 and volumes > 1:
            await follow_without_index(system, image, wanted)
    await machine.off()


async def follow_without_index(system, image, wanted):
    """The index is lost with the power: versions tell by themselves that they wait."""
    machine = ServedMachine(system, image._replace(rows=frozenset()))
    await rebuild(machine.store)
    await machine.start()
    await machine.replicate()
    await check_replicas(machine)
    assert set(await check_single(machine)) == wanted
    await machine.work()
    await observe(machine.store)  # all can be read
    await machine.off()


async def test_a_crash_while_events_are_delivered_loses_none_and_keeps_their_order(system):
    begin, _, events = await begun(system, 1, (*VERSIONED, ("complete", "b"), ("erase", "b", "a", 1)))
    machine = ServedMachine(system, begin)
    await machine.start()
    shelf = Shelf(machine)
    images = watching(machine, random.Random(3), note=lambda: list(shelf.taken))
    await machine.deliver(shelf)
    order = list(shelf.taken)
    assert Counter(order) == events
    assert len(images) > 1
    for image, taken in images.values():
        again = ServedMachine(system, image)
        await again.start()
        rest = Shelf(again, taken)
        await again.deliver(rest)
        for key in {it.key for it in order}:
            first = list(dict.fromkeys(it for it in rest.taken if it.key == key))
            assert first == [it for it in order if it.key == key]
        await check_followed(again, events, rest.taken)
        await again.off()
    await machine.off()


@pytest.mark.parametrize("index_drive", [0, None])
async def test_drives_that_stop_while_replicas_are_made_make_none_twice(system, index_drive):
    begin, _, events = await begun(system, 3, (*VERSIONED, ("complete", "b"), ("annotate", "b", "a", "large")))
    choose, outcomes = random.Random(index_drive or 5), Counter()
    whole = ServedMachine(system, begin)
    total = await interrupted(whole, {}, index_drive, outcomes)
    await whole.off()
    for plan in range(PLANS):
        stopping = choose.sample(range(3), choose.randrange(1, 4))
        stops = {position: choose.randrange(1, total) for position in stopping}
        machine = ServedMachine(system, begin)
        await interrupted(machine, stops, index_drive, outcomes)
        if plan % 2:  # the drives come back while the server runs
            await machine.work()
            await machine.replicate()
            await check_single(machine)
        again = ServedMachine(system, machine.image(choose.choice([Dropped(), Kept(), Some(choose)])))
        await machine.off()
        await again.start()
        await check_followed(again, events)
        await again.work()
        await heal(again)
        await check_whole_and_rebuilt(again)
        await again.off()
    assert outcomes[True]
    assert outcomes[False]


@pytest.mark.parametrize("volumes", [1, 3])
async def test_random_histories_of_jobs_and_days_over_crashes_and_drives_that_stop(system, volumes):
    counts, wrong = await follow.run(system, range(3), [volumes])
    assert wrong == []
    assert min(counts[name] for name in ("crashes", "expired", "events", "replicas")) > 2
    assert bool(counts["stops of drives"]) == (volumes > 1)


async def interrupted(machine, stops, index_drive, outcomes):
    """Let drives stop at steps of a job, and come back when it has ended. Returns how many steps there were."""
    steps = 0

    def watch(step):
        nonlocal steps
        steps += 1
        for position, at in stops.items():
            machine.disks[position].stopped |= steps >= at
        if step == "commit" and index_drive is not None and machine.disks[index_drive].stopped:
            raise Unavailable("the drive of the index has stopped")

    await machine.start()
    machine.watch = watch
    with suppress(S3Error, IndexFailure, ExceptionGroup):
        await machine.replicate()
    machine.watch = None
    outcomes[not await REPLICATIONS.rows(machine.store.index, b"", b"\xff", 1)] += 1
    for disk in machine.disks:
        disk.stopped = False
    return steps


class Forgetful(SimIndex):
    """Commits leave out what they add to a table."""

    table = ""

    async def commit(self, changes, expect=()):
        kind = Add if self.table == "usage" else Put
        kept = [change for change in changes if change.table != self.table or not isinstance(change, kind)]
        await super().commit(kept, expect)


class TestBrokenServers:
    """Each is one promise less; the tests must notice."""

    @pytest.mark.parametrize("table", ["outbox", "replications", "usage"])
    async def test_leaving_out_what_follows(self, system, monkeypatch, table):
        monkeypatch.setattr(ServedMachine, "index_type", type("Lossy", (Forgetful,), {"table": table}))
        with pytest.raises((AssertionError, S3Error)):
            await test_a_crash_at_any_step_of_a_write_loses_no_event_and_no_replica(system, 1, VERSIONED)

    async def test_making_replicas_with_ids_of_their_own(self, system, monkeypatch):
        async def careless(store, source, *more):
            sequence = store.clock.sequence(source.sequence)
            made = replace(source, sequence=sequence, id=versions.mint(sequence, store.clock))
            return await replicate_here(store, made, *more)

        monkeypatch.setattr("s3ish.jobs.replicas_here.replicate_here", careless)
        with pytest.raises(AssertionError):
            await test_a_crash_while_replicas_are_made_makes_none_twice(system, 1)

    async def test_forgetting_that_a_version_waits_before_its_replica_is_there(self, system, monkeypatch):
        one = ReplicationJob._one

        async def hasty(self, row, value):
            await self._store.index.commit([REPLICATIONS.drop(row)])
            await one(self, row, value)

        monkeypatch.setattr(ReplicationJob, "_one", hasty)
        with pytest.raises(AssertionError):
            await test_a_crash_while_replicas_are_made_makes_none_twice(system, 1)

    async def test_forgetting_events_before_they_are_sent(self, system, monkeypatch):
        send = DeliveryJob._send

        async def hasty(self, messages):
            await self._remove([key for key, _ in messages])
            return await send(self, messages)

        monkeypatch.setattr(DeliveryJob, "_send", hasty)
        with pytest.raises(AssertionError):
            await test_a_crash_while_events_are_delivered_loses_none_and_keeps_their_order(system)

    async def test_letting_versions_expire_early(self, system, monkeypatch):
        counted = lifecycle.counted
        monkeypatch.setattr(lifecycle, "counted", lambda since, days, day: counted(since, days, day) - 2 * day)
        _, wrong = await follow.run(system, range(6), [1])
        assert "went early" in "".join(wrong)
