"""Drives that stop, each at its own moment, while an object is overwritten; then the power goes, and all are back."""

import random

import pytest

from s3ish.blob.erasure.shard_files import ShardFiles
from s3ish.blob.erasure.writer import ErasureWriter
from s3ish.errors import S3Error
from s3ish.index.protocol import IndexFailure, Unavailable
from s3ish.integrity.check import Check
from s3ish.integrity.rebuild import rebuild
from tests.sim.client import Client
from tests.sim.disk import Dropped, Kept, Some
from tests.sim.machine import Machine, blank, simulated
from tests.sim.model import HeldVersion, copied, observe
from tests.sim.run import PLAIN

PLANS = 10
"""How many ways of stopping are tried of each overwrite."""


@pytest.fixture
def system():
    with simulated() as system:
        yield system


async def prepared(system):
    """Return the image of a machine with objects in it, the state that it shows, and a count for its clients."""
    machine = Machine(system, blank(3))
    await machine.start()
    client = Client(machine)
    for operation in PLAIN[:3]:
        await client.do(operation)
    await client.do(("put", "b", "b", "small"))
    await machine.off()
    return machine.image(), client.state, client.count


def overwritten(state, count, operation):
    """Return the state after an overwrite, whether or not it was answered."""
    after, client = copied(state), Client(None, None, count)
    if operation[0] == "put":
        data, note = client._fresh(operation[3])
    else:
        data, note = state["b"].newest(operation[2]).data, str(count + 1)
    key = operation[2] if operation[0] == "put" else operation[3]
    after["b"].add(key, HeldVersion("null", data, note))
    return after


async def overwrite(system, image, state, count, operation, stops, index_drive):
    """Do an overwrite with drives that stop at steps. Returns the machine, the steps, and whether it was answered."""
    machine = Machine(system, image)
    await machine.start()
    client, steps = Client(machine, copied(state), count), 0

    def watch(step):
        nonlocal steps
        steps += 1
        for position, at in stops.items():
            machine.disks[position].stopped |= steps >= at
        if step == "commit" and index_drive is not None and machine.disks[index_drive].stopped:
            raise Unavailable("the drive of the index has stopped")

    machine.watch = watch
    try:
        await client.do(operation)
    except (S3Error, IndexFailure):
        answered = False
    else:
        answered = True
    machine.watch = None
    return machine, steps, answered


async def end(machine):
    for disk in machine.disks:
        disk.stopped = False
    await machine.off()


async def holds(system, image, allowed, *, lost=()):
    """Restart, do the jobs, heal, and restart without each drive and without the index: always the same is there."""
    machine = Machine(system, image)
    await machine.start()
    found = await observe(machine.store)
    assert found in allowed
    await machine.work()
    assert await observe(machine.store) == found
    check = Check(machine.store, repair=True, before_ns=machine.clock.now_ns())
    findings = [finding async for row in check.rows() for finding in row]
    findings += [finding async for finding in check.orphans()]
    assert {finding.state for finding in findings} <= {"repaired"}
    assert await observe(machine.store) == found
    healed = machine.image()
    await machine.off()
    for position in range(3):
        without = Machine(system, healed, lost=(position,))
        assert await observe(without.store) == found
        await without.off()
    again = Machine(system, healed._replace(rows=frozenset()))
    await rebuild(again.store)
    assert await observe(again.store) == found
    await again.off()


OVERWRITES = {
    "small by small": ("put", "b", "b", "small"),
    "small by large": ("put", "b", "b", "large"),
    "large by small": ("put", "b", "c/d", "small"),
    "large by large": ("put", "b", "c/d", "large"),
    "small by copy": ("copy", "b", "c/d", "b"),
    "large by copy": ("copy", "b", "b", "c/d"),
}


@pytest.mark.parametrize("index_drive", [0, None])
@pytest.mark.parametrize("name", OVERWRITES)
async def test_drives_that_stop_at_different_moments_of_an_overwrite(system, name, index_drive):  # case 8
    outcomes = await stop_drives(system, OVERWRITES[name], index_drive, random.Random(f"{name} {index_drive}"))
    assert True in outcomes
    assert not system.open_descriptors


async def test_writing_on_with_too_few_drives_is_noticed(system, monkeypatch):
    monkeypatch.setattr(ShardFiles, "require_quorum", lambda self: None)
    with pytest.raises((AssertionError, S3Error)):
        for seed in range(5):
            await stop_drives(system, OVERWRITES["large by large"], None, random.Random(seed))


async def test_removing_what_is_replaced_too_early_is_noticed(system, monkeypatch):
    seal = ErasureWriter.seal

    async def hasty(self, sidecar):
        for blob in [found.blob async for found in self._store.scan().all() if found.blob.startswith("b/c/d@")]:
            if blob != self._ref.id:
                self._store.remove(blob, None)
        return await seal(self, sidecar)

    monkeypatch.setattr(ErasureWriter, "seal", hasty)
    with pytest.raises((AssertionError, S3Error)):
        await stop_drives(system, OVERWRITES["large by large"], 0, random.Random(1))


async def stop_drives(system, operation, index_drive, choose):
    """Do an overwrite many times with drives that stop; return whether any was answered, and any not."""
    image, state, count = await prepared(system)
    after = overwritten(state, count, operation)
    machine, total, answered = await overwrite(system, image, state, count, operation, {}, index_drive)
    assert answered
    await holds(system, machine.image(), [after])
    await end(machine)
    outcomes = set()
    for _ in range(PLANS):
        stopping = choose.sample(range(3), choose.randrange(1, 4))
        stops = {position: choose.randrange(1, total + 1) for position in stopping}
        machine, _, answered = await overwrite(system, image, state, count, operation, stops, index_drive)
        outcomes.add(answered)
        for choice in (Dropped(), Kept(), Some(choose)):
            await holds(system, machine.image(choice), [after] if answered else [state, after])
        await end(machine)
    return outcomes
