"""What a read meets damaged is repaired by the same process, soon, without anybody asking."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from s3ish.blob.protocol import NewerFormat
from s3ish.blob.volumes.volume import Volume
from s3ish.index.protocol import Put
from s3ish.integrity import repair_queue
from s3ish.integrity.check import Check
from s3ish.integrity.repair_queue import ATTEMPTS, CAPACITY, FIRST_PAUSE_SECONDS, RepairJob, RepairQueue
from s3ish.jobs.runner import Runner
from s3ish.model import BlobRef
from s3ish.objects import versions
from s3ish.observe.observer import Observer
from s3ish.tables import keys, records
from tests.objects.support import SteadyClock, World, add_part, begin, flip, get, make_bucket, put, remove, sample

SMALL, LARGE = sample(50), sample(2500, 2)


class FakeClock(SteadyClock):
    """A clock whose monotonic seconds go on only when told."""

    def __init__(self):
        super().__init__()
        self.seconds = 100.0

    def monotonic(self):
        return self.seconds


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path, clock=FakeClock())
    yield world
    await world.close()


@pytest.fixture
def observer():
    return Observer()


@pytest.fixture
def queue(world, observer):
    return RepairQueue(world.clock, observer)


@pytest.fixture
async def store(world, queue):
    """A store with a small and a large object, whose reads report to the queue."""
    store = world.open(on_damage=lambda ref, names: queue.add(ref))
    await make_bucket(store)
    await put(store, "small", SMALL)
    await put(store, "large", LARGE)
    return store


@pytest.fixture
def job(store, queue, observer):
    return RepairJob(store, queue, observer)


async def ref_of(store, key):
    return (await store.newest("b", key))[0].record.blob


async def is_whole(store):
    checking = Check(store, repair=False, before_ns=2**62)
    findings = [finding async for row in checking.rows() for finding in row]
    return not findings + [finding async for finding in checking.orphans()]


def blob(number):
    return BlobRef(f"b/k@{number}", 1, 0, "", 2, 1, 1000, (0, 1, 2))


def value(observer, name):
    return next(float(line.split()[1]) for line in observer.render()[1].decode().splitlines() if line.startswith(name))


async def test_damage_that_a_read_meets_is_repaired_without_anybody_asking(world, store, job):  # cases 17, 27
    runner = Runner(store, [], own=[job])
    runner.start()
    shard = world.files_of(await ref_of(store, "large"))[0]
    before = Path(shard).read_bytes()
    flip(shard, 100)
    assert await get(store, "large") == LARGE
    async with asyncio.timeout(10):
        while Path(shard).read_bytes() != before:
            await asyncio.sleep(0)
        while job._queue._waiting:
            await asyncio.sleep(0)
    await runner.stop()
    assert await is_whole(store)


@pytest.mark.parametrize("way", ["flip", "cut", "grow", "delete"])
@pytest.mark.parametrize("shard", [0, 1])
async def test_every_way_of_losing_a_shard_is_repaired(world, store, queue, job, way, shard):  # cases 17, 19
    path = world.files_of(await ref_of(store, "large"))[shard]
    if way == "flip":
        flip(path, 600)
    elif way == "delete":
        os.unlink(path)
    else:
        os.truncate(path, os.path.getsize(path) + (1 if way == "grow" else -1))
    assert await get(store, "large") == LARGE
    if way == "grow":
        assert not queue, "bytes behind the end harm no read; the scrub finds them"
        return
    assert len(queue) == 1
    await job.step()
    assert await is_whole(store)


async def test_the_swapped_shards_of_two_objects_are_repaired(world, store, queue, job):  # case 25
    await put(store, "other", LARGE)
    one, other = [world.files_of(await ref_of(store, key))[0] for key in ("large", "other")]
    kept = one + ".kept"
    os.rename(one, kept)
    os.rename(other, one)
    os.rename(kept, other)
    assert await get(store, "large") == await get(store, "other") == LARGE
    assert len(queue) == 2
    await job.step()
    await job.step()
    assert await is_whole(store)


async def test_the_damaged_row_of_a_small_object_is_repaired(store, queue, job):  # case 22
    ref = await ref_of(store, "small")
    key = keys.inline_key(ref.id)
    good = await store.index.get("inline", key)
    for bad in (good[:-1] + b"\0", good[:-1], b"", records.encode_bytes("inline", key, SMALL[:-1])):
        await store.index.commit([Put("inline", key, bad)])
        assert await get(store, "small") == SMALL
        assert len(queue) == 1
        await job.step()
        assert await store.index.get("inline", key) == good
    assert await is_whole(store)


async def test_the_damaged_sidecar_that_a_read_meets_is_repaired(world, store, queue, job):  # cases 20, 22
    ref = await ref_of(store, "small")
    await store.index.commit([Put("inline", keys.inline_key(ref.id), b"bad")])
    flip(world.files_of(ref)[0], 30)
    assert await get(store, "small") == SMALL
    await job.step()
    assert await is_whole(store)


async def test_parts_of_an_upload_and_of_an_object_are_found_by_their_id(world, store, queue, job):
    upload = await begin(store, "many")
    part = await add_part(store, upload, 1, LARGE)
    flip(world.files_of(part.blob)[0], 100)
    queue.add(part.blob)
    await job.step()
    assert not queue
    assert await is_whole(store)


class PowerCut(BaseException):
    """The process ends here."""


def cut_after(monkeypatch, steps):
    """Let the power fail at a step of the volumes; every later one fails too. Returns the steps that were made."""
    made = []

    def guard(name):
        real = getattr(Volume, name)

        def guarded(*arguments, **options):
            made.append(name)
            if len(made) > steps:
                raise PowerCut
            return real(*arguments, **options)

        monkeypatch.setattr(Volume, name, guarded)

    for name in ("create", "write", "sync", "rename", "sync_entries", "replace", "unlink", "remove"):
        guard(name)
    return made


async def test_a_power_cut_at_any_step_of_a_repair_leaves_no_fewer_good_shards(world, store, monkeypatch):  # case 12
    ref = await ref_of(store, "large")
    paths = world.files_of(ref)
    flip(paths[1], 600)
    flip(paths[-1], 20)
    damaged = {path: Path(path).read_bytes() for path in (paths[1], paths[-1])}
    before = set((await store.blobs.check(ref, repair=False)).damaged)
    assert len(before) == 2
    for steps in range(100):
        for path, content in damaged.items():
            Path(path).write_bytes(content)
        with monkeypatch.context() as patched:
            made = cut_after(patched, steps)
            with suppress(PowerCut):
                await store.blobs.check(ref, repair=True)
        assert set((await store.blobs.check(ref, repair=False)).damaged) <= before
        assert await get(store, "large") == LARGE
        if len(made) <= steps:
            break
    assert steps > 5
    assert await is_whole(store)


async def test_each_blob_waits_once_and_only_so_many(queue, observer):
    for number in [*range(CAPACITY + 5), 0, 1]:
        queue.add(blob(number))
    assert len(queue) == CAPACITY
    assert value(observer, "s3ish_repairs_waiting") == CAPACITY
    queue.done("b/k@0")
    queue.add(blob(0))
    assert len(queue) == CAPACITY


async def test_a_failed_repair_is_tried_again_later_and_given_up_at_last(world, store, queue, job, logged):
    shutil.rmtree(world.volume_roots[0])
    assert await get(store, "large") == LARGE
    assert len(queue) == 1
    pause = FIRST_PAUSE_SECONDS
    for _ in range(ATTEMPTS - 1):
        await job.step()
        assert len(queue) == 1
        waiting = asyncio.ensure_future(queue.next())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done(), "not before its time"
        waiting.cancel()
        world.clock.seconds += pause
        pause *= 2
    await job.step()
    assert not queue
    assert logged[-1]["event"] == "repair given up; the scrub will come back to it"


async def test_what_no_row_names_is_looked_for_once_more_and_forgotten(world, store, queue, job, logged):
    queue.add(blob(1))
    await job.step()
    assert len(queue) == 1, "it may be about to be committed"
    world.clock.seconds += FIRST_PAUSE_SECONDS
    await job.step()
    assert not queue
    assert logged == []


async def test_a_repair_that_fails_at_first_succeeds_later(world, store, queue, job, observer):
    shard = world.files_of(await ref_of(store, "large"))[0]
    folder = os.path.dirname(shard)
    shutil.rmtree(folder)
    with open(folder, "w"):
        pass  # where the folder must be stands a file
    assert await get(store, "large") == LARGE
    await job.step()
    assert len(queue) == 1
    assert value(observer, "s3ish_unrepaired_total") == 1
    os.unlink(folder)
    world.clock.seconds += FIRST_PAUSE_SECONDS
    await job.step()
    assert not queue
    assert value(observer, "s3ish_repaired_total") == 1
    assert await is_whole(store)


async def test_a_blob_that_cannot_be_judged_holds_up_no_other(store, queue, job, monkeypatch):
    async def refuse(ref, *, repair):
        raise NewerFormat("from the future")

    queue.add(await ref_of(store, "large"))
    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "check", refuse)
        await job.step()
    queue.add(await ref_of(store, "small"))
    await job.step()
    assert list(queue._waiting) == [(await ref_of(store, "large")).id]


async def test_an_error_of_ours_does_not_lose_what_waits(store, queue, job, monkeypatch):
    async def broken(store, blob):
        raise RuntimeError("a bug")

    monkeypatch.setattr(repair_queue, "find", broken)
    queue.add(await ref_of(store, "large"))
    with pytest.raises(RuntimeError):
        await job.step()
    assert len(queue) == 1


async def test_what_is_removed_in_the_middle_of_a_repair_stays_removed(world, store, queue, job, monkeypatch):
    """The removal lies between the look into the index and the writing of what is missing."""
    for key in ("small", "large"):
        ref = await ref_of(store, key)
        held = await versions.get(store, "b", key, None)
        await store.index.commit([Put("inline", keys.inline_key(ref.id), b"bad")] if ref.inline else [])
        flip(world.files_of(ref)[0], 30)
        queue.add(ref)
        check = store.blobs.check

        async def remove_first(ref, *, repair, check=check, key=key):
            await remove(store, key)
            return await check(ref, repair=repair_queue)

        with monkeypatch.context() as patched:
            patched.setattr(store.blobs, "check", remove_first)
            await job.step()
        assert held.key == key
        assert [name async for name, *_ in store.blobs.scan() if f"/{key}@" in name.id] == []
        assert not [path for path in world.files() if f"/{key}@" in path]
        await store.settle()
        assert await store.index.get("inline", keys.inline_key(ref.id)) is None
