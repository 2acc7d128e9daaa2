"""Damage is told of once it is certain that it is damage: what was being removed when it was opened is none."""

import asyncio
import os

import pytest

from s3ish.errors import PreconditionFailed
from s3ish.index.protocol import Unavailable
from s3ish.integrity import damage_reports
from s3ish.integrity.damage_reports import DamageJob, DamageReports
from s3ish.integrity.repair_queue import RepairQueue
from s3ish.objects import get as read
from s3ish.objects.conditions import WriteConditions
from s3ish.observe.observer import Observer
from tests.objects.support import (
    World,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    make_bucket,
    put,
    read_all,
    remove,
    sample,
)


class Noted:
    """An observer that notes what it is told of damage."""

    def __init__(self):
        self.told = []

    def damage(self, blob, files):
        self.told.append((blob, files))


@pytest.fixture
def reports():
    return DamageReports()


@pytest.fixture
async def workers(tmp_path, reports):
    """Two stores on the same files; what either meets comes to ``reports``."""
    world = World(tmp_path, inline_offload=False)
    first, second = (world.open(on_damage=reports.add) for _ in range(2))
    await make_bucket(first)
    first.world = world
    yield first, second
    await world.close()
    world.offload.close()


@pytest.fixture
def repairs(workers):
    return RepairQueue(workers[0].clock, Observer())


@pytest.fixture
def observer():
    return Noted()


@pytest.fixture
def job(workers, reports, repairs, observer):
    return DamageJob(workers[0], reports, repairs, observer)


def lose_a_shard(world, ref, name="data.0"):
    for path in world.files_of(ref):
        if path.endswith(name):
            os.unlink(path)


async def test_damage_is_told_and_repaired(workers, job, repairs, observer):
    store, _ = workers
    upload = await begin(store, "parts")
    part = await add_part(store, upload, 1, sample(1500, 3))
    whole = await complete(store, upload, [await add_part(store, upload, 2, sample(1500, 4))])
    plain = await put(store, "plain", sample(1500))
    for ref in (plain.blob, whole.parts[0].blob):
        lose_a_shard(store.world, ref)
    for key in ("plain", "parts", "plain"):
        await get(store, key)
    await job.flush()
    assert observer.told == [(plain.blob.id, ("data.0",)), (whole.parts[0].blob.id, ("data.0",))]
    assert len(repairs) == 2
    assert part.blob.id not in dict(observer.told)


async def test_the_files_of_a_blob_are_told_together(workers, reports, job, observer):
    version = await put(workers[0], "k", sample(1500))
    for files in (("data.0",), ("parity.0", "data.0"), ("data.0",)):
        reports.add(version.blob, files)
    await job.flush()
    assert observer.told == [(version.blob.id, ("data.0", "parity.0"))]


@pytest.mark.parametrize("lost", [["data.0"], ["data.0", "data.1"], ["data.0", "data.1", "parity.0"]])
async def test_a_removal_in_the_middle_is_no_damage(workers, reports, job, repairs, observer, monkeypatch, lost):
    """The other process has removed some of the files; the reader has looked up the key before."""
    first, second = workers
    version = await put(first, "k", sample(1500))
    real = second.blobs.delete

    async def delete(ref):
        for name in lost:
            lose_a_shard(first.world, ref, name)
        try:
            assert await read_all(first, version) == sample(1500)
        except read.Replaced:
            assert len(lost) > 1
        await real(ref)

    monkeypatch.setattr(second.blobs, "delete", delete)
    await remove(second, "k")
    assert len(reports) == 1
    await job.flush()
    assert observer.told == []
    assert len(repairs) == 0


async def test_reads_and_copies_of_what_is_replaced_tell_of_nothing(workers, job, observer):  # case 44
    first, second = workers
    await put(first, "k", sample(1500))

    async def write(store):
        for turn in range(20):
            await put(store, "k", sample(1500 + turn % 3, turn))

    async def copy_it(store, key):
        async def attempt():
            return await copy_to(store, (await store.newest("b", "k"))[0].record, key)

        for _ in range(20):
            await get(store, "k")
            await read.decided(attempt)

    await asyncio.gather(write(first), write(second), *(copy_it(workers[n % 2], f"copy {n}") for n in range(4)))
    await job.flush()
    assert observer.told == []


async def test_what_a_write_could_not_store_is_told_once_it_is_committed(workers, reports, job, observer):
    first, _ = workers
    first.blobs.volumes.at(1).suspect = "it is tired"
    told = {}
    for size in (50, 1500):
        version = await put(first, f"{size}", sample(size))
        if len(reports):
            told[version.blob.id] = True
            await job.flush()
    assert {blob for blob, _ in observer.told} == set(told)
    assert told, "at least the shards are on all volumes"


async def test_a_write_that_is_refused_tells_of_nothing(workers, reports, monkeypatch):
    first, second = workers
    first.blobs.volumes.at(1).suspect = "it is tired"
    commit = first.index.commit

    async def commit_late(changes, expect=()):
        monkeypatch.undo()
        await put(second, "k", b"faster")
        await commit(changes, expect)

    monkeypatch.setattr(first.index, "commit", commit_late)
    with pytest.raises(PreconditionFailed):
        await put(first, "k", sample(1500), conditions=WriteConditions(if_none_match="*"))
    assert len(reports) == 0


async def test_while_the_index_fails_it_waits(workers, reports, job, observer, monkeypatch):
    version = await put(workers[0], "k", sample(1500))
    reports.add(version.blob, ("data.0",))

    async def fail(*_):
        raise Unavailable("no index")

    with monkeypatch.context() as patch:
        patch.setattr(workers[0].index, "scan", fail)
        with pytest.raises(Unavailable):
            await job.step()
    await job.step()
    assert observer.told == [(version.blob.id, ("data.0",))]


async def test_a_step_waits_until_there_is_damage(workers, reports, job, observer):
    version = await put(workers[0], "k", sample(1500))
    waiting = asyncio.create_task(job.step())
    await asyncio.sleep(0)
    assert not waiting.done()
    reports.add(version.blob, ("data.0",))
    await waiting
    assert observer.told == [(version.blob.id, ("data.0",))]


async def test_what_waits_is_bounded(workers, reports, monkeypatch):
    monkeypatch.setattr(damage_reports, "CAPACITY", 2)
    for number in range(4):
        version = await put(workers[0], f"{number}", sample(1500))
        reports.add(version.blob, ("data.0",))
    assert len(reports) == 2
