"""Restores that take time, cut off by a crash at each step: none is early, and each moment has one event."""

import random
from collections import Counter

import pytest

from s3ish.api.events import Events
from s3ish.errors import InvalidObjectState
from s3ish.integrity.rebuild import rebuild
from s3ish.jobs.restores import RestoresJob
from s3ish.jobs.runner import run_once
from s3ish.model import Attributes
from s3ish.objects import archive, buckets
from s3ish.objects.consequences import Cause, Consequences
from s3ish.objects.outbox import Targets
from s3ish.objects.restores import Restores
from s3ish.tables import keys
from s3ish.tables.catalogue import OUTBOX, RESTORES, VERSIONS
from tests.objects.support import OWNER, put, remove, sample
from tests.sim.disk import Dropped, Kept, Some
from tests.sim.judge import check_whole
from tests.sim.machine import Machine, blank, simulated

ARN = "arn:aws:sqs:us-east-1:000000000000:q"
DOCUMENT = (
    '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration><Id>i</Id>'
    f"<Queue>{ARN}</Queue><Event>s3:ObjectRestore:*</Event></QueueConfiguration></NotificationConfiguration>"
)
SECOND, HOUR = 10**9, 3600 * 10**9
SOME = 4
"""One in so many crashes is looked at after the loss of the index, too."""


class RestoringMachine(Machine):
    """Restores take an hour on it, and it tells a target of them."""

    def __init__(self, system, image, lost=()):
        super().__init__(system, image, lost)
        self.clock.service.restore_ns = HOUR
        events = Events(self.clock, Targets([ARN]))
        self.store.consequences = Consequences(events, Restores(self.clock).rows, tell=events.tell)

    async def restore(self, key, days):
        cause = Cause("RestoreObject", "who")
        await archive.restore_object(self.store, "b", key, None, days, expedited=False, cause=cause)

    async def look(self, at_ns):
        """Let it be so late, and report the moments that have come."""
        self.clock.ns = max(self.clock.ns, at_ns)
        await run_once(RestoresJob(self.store))

    async def versions(self):
        """Return the versions by key."""
        rows = await VERSIONS.rows(self.store.index, *keys.bucket_range("b"), 100)
        return {version.key: version for version in (VERSIONS.decode(*row) for row in rows)}

    async def told(self):
        """Return how often each event of each key waits for the target."""
        rows = await OUTBOX.rows(self.store.index, *keys.outbox_range(ARN), 100)
        events = [OUTBOX.decode(*row) for row in rows]
        return Counter((it.key, it.name.removeprefix("ObjectRestore:")) for it in events)

    async def moments(self):
        """Return the moments that are to be reported: key, name and time."""
        rows = await RESTORES.rows(self.store.index, b"", keys.END, 100)
        return Counter(
            (key, RESTORES.decode(row, value).removeprefix("ObjectRestore:"), at_ns)
            for (row, value) in rows
            for at_ns, _, _, key in [keys.split_restore_key(row)]
        )


def due(versions):
    """Return the moments of the restores of versions: key, name and time."""
    found = Counter()
    for key, version in versions.items():
        if version.restore:
            found[key, "Completed", version.restore.ready_ns] += 1
            found[key, "Delete", version.restore.until_ns] += 1
    return found


async def live(machine):
    """Restore two objects; one is removed meanwhile, the restore of the other is complete, made longer, and ends."""
    await machine.restore("kept", 1)
    await machine.restore("gone", 1)
    restore = (await machine.versions())["kept"].restore
    await remove(machine.store, "gone")
    await machine.look(restore.ready_ns)
    await machine.restore("kept", 3)
    await machine.look((await machine.versions())["kept"].restore.until_ns)


def is_readable(version, now_ns):
    try:
        archive.check_readable(version, now_ns)
    except InvalidObjectState:
        return False
    return True


async def check_from_here(machine):
    """Whatever a crash left: from now on each moment that is to come has one event when it has come, not before."""
    versions, before, coming = await machine.versions(), await machine.told(), await machine.moments()
    assert set(coming.values()) <= {1}
    left = due(versions)
    assert coming == coming & left, "a moment that is none, or twice"
    for key, name, at_ns in left - coming:
        assert before[key, name] == 1, f"{name} of {key} at {at_ns} is lost"
    for key, name, at_ns in sorted(coming, key=lambda it: it[2]):
        assert not before[key, name]
        if at_ns > machine.clock.ns + SECOND:
            await machine.look(at_ns - SECOND)
            assert not (await machine.told())[key, name], f"{name} of {key} comes early"
            is_there = name == "Delete"
            assert is_readable((await machine.versions())[key], machine.clock.ns) is is_there
        await machine.look(at_ns)
        await machine.look(at_ns)
        assert (await machine.told())[key, name] == 1
    assert not await machine.moments()
    told = await machine.told()
    assert told - before == Counter((key, name) for key, name, _ in coming)


@pytest.mark.parametrize("volumes", [1, 3])
async def test_a_crash_at_any_step_of_a_restore_restores_nothing_early_and_loses_no_event(volumes):
    with simulated() as system:
        machine = RestoringMachine(system, blank(volumes))
        await machine.start()
        await buckets.create_bucket(machine.store, "b", OWNER, "us-east-1")
        await buckets.set_documents(machine.store, "b", {"notification": DOCUMENT})
        for key, size in (("kept", 300), ("gone", 10)):
            await put(machine.store, key, sample(size), attributes=Attributes(storage_class="GLACIER"))
        await machine.flush()
        images, choose = {}, random.Random(1)

        def watch(_):
            for choice in (Dropped(), Kept(), Some(choose)):
                image = machine.image(choice)
                images.setdefault(image.key, image)

        machine.watch = watch
        await live(machine)
        told = await machine.told()
        assert told == {("kept", "Post"): 2, ("gone", "Post"): 1, ("kept", "Completed"): 1, ("kept", "Delete"): 1}
        await machine.off()
        assert len(images) > 15
        for number, image in enumerate(images.values()):
            lost = (1,) if volumes > 1 and number % 2 else ()
            again = RestoringMachine(system, image, lost)
            await again.start()
            await check_from_here(again)
            await again.work()
            if not lost:
                await check_whole(again)
            await again.off()
            if number % SOME == 0:
                await check_without_index(system, image)


async def check_without_index(system, image):
    """The index is lost with the power: what is to come of restores is found again, and nothing else."""
    machine = RestoringMachine(system, image._replace(rows=frozenset()))
    await rebuild(machine.store)
    await machine.start()
    versions, now_ns = await machine.versions(), machine.clock.ns
    coming = Counter(moment for moment in due(versions) if moment[2] > now_ns)
    assert await machine.moments() == coming
    await machine.look(max([at_ns for _, _, at_ns in coming], default=0))
    assert await machine.told() == Counter((key, name) for key, name, _ in coming)
    await machine.off()
