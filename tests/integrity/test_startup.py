"""What is done before the first request after a stop, clean or not; and what replacements that were cut off leave."""

import os
from pathlib import Path

import pytest

from s3ish.blob.volumes.volume import Volume
from s3ish.integrity.check import Check
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.orphans import UNNAMED, SweepJob
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.startup import join, recover
from s3ish.objects import buckets
from s3ish.tables.catalogue import BUCKETS, TABLES, VERSIONS
from s3ish.tables.state import SWEEP, UNCLEAN
from tests.objects.support import get, keys_of, make_bucket, put, referenced, remove, sample, sealed, strays


async def crash_and_recover(store):
    await recover(store)  # the server that was killed
    await recover(store)


async def test_a_clean_stop_asks_for_no_sweep(store):
    await recover(store)
    await store.index.commit([UNCLEAN.drop()])
    await recover(store)
    assert await SWEEP.value(store.index) is None


async def test_an_unclean_stop_asks_for_a_sweep(store):
    await crash_and_recover(store)
    assert await SWEEP.value(store.index) is not None


class Cut(Exception):
    """The process ends here."""


@pytest.mark.parametrize("written", [0, 1])
async def test_an_amendment_that_was_cut_off_is_carried_out(store, world, monkeypatch, written):
    """The row was committed; of the copies of the sidecar none was written, or the first."""
    bucket = (await store.bucket("b")).record
    paths = [path for path in world.files_of(bucket.blob) if path.endswith("metadata.json")]
    old, real, replaced = Path(paths[0]).read_bytes(), Volume.replace, []

    def replace(volume, *arguments):
        if len(replaced) == written:
            raise Cut
        replaced.append(volume)
        real(volume, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Volume, "replace", replace)
        with pytest.raises(Cut):
            await buckets.set_versioning(store, "b", enabled=True)
    assert sum(Path(path).read_bytes() == old for path in paths) == len(paths) - written
    await crash_and_recover(store)
    now = (await store.bucket("b")).record
    assert now.versioning == "Enabled"
    assert TABLES.read_sidecar(await store.blobs.read_sidecar(now.blob)).same(BUCKETS.sidecar(now))
    assert len({Path(path).read_bytes() for path in paths}) == 1


async def test_the_sweep_removes_what_a_replacement_left(store, world):
    version = await put(store, "k", sample(1500))
    paths = [os.path.dirname(path) + "/.data.0.token" for path in world.files_of(version.blob)]
    for path in paths:
        with open(path, "wb") as file:
            file.write(b"half")
        os.utime(path, ns=(1, 1))
    young = paths[0] + "young"
    with open(young, "wb") as file:
        file.write(b"being written")
    os.utime(young, ns=(2**62, 2**62))
    await crash_and_recover(store)
    job = SweepJob(store, store.clock.now_ns())
    while (await job.step()).more:
        pass
    assert not any(os.path.exists(path) for path in paths)
    assert os.path.exists(young)
    assert (await store.blobs.check(version.blob, repair=False)).whole


async def test_the_sweep_spares_what_began_after_the_server(store):
    """A worker that was replaced begins later than the uploads of the other workers."""
    await make_bucket(store, "other")
    await crash_and_recover(store)
    async with store.blobs.create("b/slow", 1500) as writer:
        await writer.write(sample(1500))
        await writer.finish()
        for path in store.blobs.volumes.present:
            for blob in await strays(store):
                os.utime(f"{path.root}/{blob}", ns=(started := store.clock.now_ns(), started))
        job = SweepJob(store, store.clock.now_ns())
        while (await job.step()).more:
            pass
        assert len(await strays(store)) == 1


async def run(job):
    while (await job.step()).more:
        pass


async def restart(world, store, **options):
    """Stop cleanly, and start again."""
    await store.index.commit([UNCLEAN.drop()])
    await world.close()
    store = world.open(**options)
    await recover(store)
    return store


@pytest.mark.parametrize("by_worker", [False, True])
async def test_what_was_removed_while_a_volume_was_away_is_gone_when_it_is_back(world, store, by_worker):  # case 7
    await recover(store)
    for size in (10, 1500):
        await put(store, f"kept{size}", sample(size))
        await put(store, f"removed{size}", sample(size))
        await put(store, f"replaced{size}", sample(size))
    root = world.volume_roots[1]
    os.rename(root, f"{root}.away")
    if by_worker:  # one that began later, when the server had all of them
        await world.close()
        store = world.open(missing=1)
        await join(store)
        await join(store)
    else:
        store = await restart(world, store, missing=1)
    for size in (10, 1500):
        await remove(store, f"removed{size}")
        await put(store, f"replaced{size}", sample(size, 2))
    await run(GarbageJob(store))
    os.rename(f"{root}.away", root)
    store = await restart(world, store)
    assert await SWEEP.value(store.index) is not None
    await run(SweepJob(store, store.clock.now_ns()))
    assert await sealed(store) == await referenced(store)
    assert await strays(store) == []
    store = await restart(world, store)
    assert await SWEEP.value(store.index) is None, "only once"
    again = world.open(world.index_path.with_name("again.db"))
    await rebuild(again)
    assert await keys_of(again) == [f"{name}{size}" for name in ("kept", "replaced") for size in (10, 1500)]
    assert await get(again, "replaced1500") == sample(1500, 2)


class Worker:
    """A worker process, as far as the volumes know."""

    def __init__(self, world, mark):
        self.mark = mark * 8
        self.store = world.open(mark=self.mark)

    def die(self):
        self.store.blobs.volumes.close()


async def die_while_writing(worker, step, size=1500):
    """Let a worker die at a moment of a write."""
    async with worker.store.blobs.create("b/dead", size) as writer:
        await writer.write(sample(size))
        ref = await writer.finish()
        if step == "sealed":
            source = (await worker.store.newest("b", "k"))[0].record
            version = source.__class__(**{**{n: getattr(source, n) for n in source.__struct_fields__}, "blob": ref})
            await writer.seal(VERSIONS.seal(version))
        worker.die()
        writer._files = None
    return ref


@pytest.mark.parametrize("step", ["written", "sealed"])
async def test_what_a_dead_worker_left_is_removed_while_the_others_write(world, store, step):
    await recover(store)
    await put(store, "k", sample(1500))
    living, dying = Worker(world, "a"), Worker(world, "b")
    async with living.store.blobs.create("b/slow", 1500) as writer:
        await writer.write(sample(1500))
        await writer.finish()
        dead = await die_while_writing(dying, step)
        assert await SWEEP.value(store.index) is None
        replacement = Worker(world, "c")
        await join(replacement.store)
        assert await SWEEP.value(store.index) is not None
        await run(SweepJob(replacement.store, replacement.store.clock.now_ns()))
        assert await SWEEP.value(store.index) is None
        assert dead.id not in [*await sealed(store), *await strays(store)]
        assert len(await strays(store)) == 1, "of the one that lives"
        await join(living.store)
        assert await SWEEP.value(store.index) is None, "what it left has been dealt with"


async def test_what_a_dead_worker_amended_is_carried_out_by_the_sweep(world, store, monkeypatch):
    await recover(store)
    dying = Worker(world, "b")

    async def cut(*_, **__):
        raise Cut

    monkeypatch.setattr(dying.store.blobs, "amend", cut)
    with pytest.raises(Cut):
        await buckets.set_versioning(dying.store, "b", enabled=True)
    held = (await store.bucket("b")).record
    await join(store)
    assert await SWEEP.value(store.index) is None, "it lives, and may be about to write the sidecar"
    dying.die()
    await join(store)
    await run(SweepJob(store, store.clock.now_ns()))
    assert TABLES.read_sidecar(await store.blobs.read_sidecar(held.blob)).same(BUCKETS.sidecar(held))
    assert await SWEEP.value(store.index) is None
    assert await store.index.scan("intents", b"", b"\xff", 9) == []


async def test_a_sweep_that_is_asked_for_in_the_middle_of_one_begins_anew(world, store):
    await recover(store)
    await put(store, "k", sample(1500))
    first, second = Worker(world, "a"), Worker(world, "b")
    left = [await die_while_writing(first, "written")]
    await join(store)
    job = SweepJob(store, store.clock.now_ns())
    look, late = job._look_through, []

    async def look_through():
        async for _ in look():
            yield
        if not late:
            late.append(await die_while_writing(second, "written"))
            await join(store)

    job._look_through = look_through
    await run(job)
    assert not {ref.id for ref in left + late} & set(await strays(store))
    assert await SWEEP.value(store.index) is None


async def test_the_sweep_removes_what_a_dead_workers_replacement_left(world, store):
    version = await put(store, "k", sample(1500))
    await recover(store)
    living, dying = Worker(world, "a"), Worker(world, "b")
    tokens = {name: worker.store.blobs.core.token() for name, worker in (("living", living), ("dying", dying))}
    folder = os.path.dirname(world.files_of(version.blob)[0])
    for token in tokens.values():
        with open(f"{folder}/.data.0.{token}", "wb") as file:
            file.write(b"half")
    dying.die()
    await join(store)
    await run(SweepJob(store, store.clock.now_ns()))
    assert [name for name in os.listdir(folder) if name[0] == "."] == [f".data.0.{tokens['living']}"]


async def test_the_sweep_removes_folders_that_hold_nothing(world, store):
    await put(store, "kept/deep/k", sample(1500))
    for root in world.volume_roots:
        os.makedirs(f"{root}/b/left/by/a crash")
        os.makedirs(f"{root}/b/kept/empty")
        os.makedirs(f"{root}/lost+found")
        for path in ("left", "left/by", "left/by/a crash", "kept/empty"):
            os.utime(f"{root}/b/{path}", ns=(1, 1))
        os.makedirs(f"{root}/b/young/er")
        for path in ("young", "young/er"):
            os.utime(f"{root}/b/{path}", ns=(2**62, 2**62))
    await crash_and_recover(store)
    await run(SweepJob(store, store.clock.now_ns()))
    for root in world.volume_roots:
        assert sorted(name for name in os.listdir(f"{root}/b") if "@" not in name) == ["kept", "young"]
        assert os.listdir(f"{root}/b/kept") == ["deep"]
        assert os.path.exists(f"{root}/b/young/er")
        assert os.path.exists(f"{root}/lost+found")
    assert await get(store, "kept/deep/k") == sample(1500)


@pytest.mark.parametrize("ended", ["well", "dead"])
async def test_what_a_worker_finished_is_not_taken_for_what_it_left(world, store, ended, logged):  # case 158
    """An index that does not name it may be from the past."""
    await recover(store)
    worker = Worker(world, "b")
    written = [await put(worker.store, "k", sample(size)) for size in (10, 1500)][-1:]
    written.append(await put(worker.store, "other", sample(10)))
    if ended == "well":
        worker.store.blobs.volumes.forget_workers([worker.mark])
    worker.die()
    for version in written:
        await store.index.commit([VERSIONS.drop(VERSIONS.key_of(version))])
    await recover(store)
    findings = [found async for found in Check(store, repair=False, before_ns=2**62).orphans()]
    assert {found.state for found in findings} == {"damaged" if ended == "well" else "orphan"}
    await run(SweepJob(store, store.clock.now_ns()))
    left = {version.blob.id for version in written} & set(await sealed(store))
    assert len(left) == (2 if ended == "well" else 0)
    assert [line["kept"] for line in logged if line["event"] == UNNAMED] == ([2] if ended == "well" else [])
    assert await SWEEP.value(store.index) is None
