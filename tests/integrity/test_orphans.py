"""After an unclean stop: what nobody committed goes, what was committed stays, what was not flushed is mended."""

import os
import shutil

import pytest

from s3ish.blob.protocol import Unwritable
from s3ish.errors import InternalError
from s3ish.index.protocol import Delete, IndexFull, NewerFormat, Put
from s3ish.integrity import orphans
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Version
from s3ish.objects import buckets, multipart
from s3ish.tables.catalogue import VERSIONS
from s3ish.tables.state import SWEEP
from tests.objects.support import (
    OWNER,
    World,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    keys_of,
    make_bucket,
    outcome,
    put,
    referenced,
    remove,
    sample,
    sealed,
    strays,
    versions_of,
)

FUTURE = 2**62


async def sweep(store, before_ns=FUTURE):
    await store.index.commit([SWEEP.put()])
    job = SweepJob(store, before_ns)
    while (await job.step()).more:
        pass
    return job


async def orphan(store, key="k", size=1500, sequence=1, modified_ns=1, name="b"):
    """Seal a version that is never committed, as a crash leaves it."""
    async with store.blobs.create(f"{name}/{key}", size) as writer:
        await writer.write(sample(size))
        ref = await writer.finish()
        version = Version(
            bucket=name,
            key=key,
            id="null",
            sequence=sequence,
            modified_ns=modified_ns,
            owner=OWNER,
            blob=ref,
            size=size,
        )
        await writer.seal(VERSIONS.seal(version))
    return version


async def everything(store):
    """Have one of each kind of blob, each small and large, and return what reads must give."""
    await buckets.set_versioning(store, "b", enabled=True)
    for size in (10, 1500):
        await put(store, f"k{size}", sample(size, 1))
        await put(store, f"k{size}", sample(size, 2))
        await remove(store, f"marked{size}")
        upload = await begin(store, f"m{size}")
        version = await complete(store, upload, [await add_part(store, upload, 1, sample(size, 3))])
        await copy_to(store, version, f"c{size}")
        going_on = await begin(store, "k10")
        await add_part(store, going_on, 1, sample(size, 4))
    return {f"{name}{size}": sample(size, n) for size in (10, 1500) for name, n in (("k", 2), ("m", 3), ("c", 3))}


async def holds(store, contents):
    assert sorted(contents) == await keys_of(store)
    for key, data in contents.items():
        assert await get(store, key) == data


async def test_without_the_mark_nothing_is_looked_at(store):
    left = await orphan(store)
    job = SweepJob(store, FUTURE)
    step = await job.step()
    assert (step.more, job.removed) == (False, 0)
    assert left.blob.id in await sealed(store)


@pytest.mark.parametrize("size", [0, 10, 1500])
async def test_what_nobody_committed_is_removed(store, size):
    contents = await everything(store)
    left = [await orphan(store, key, size) for key in ("k10", "other", "deep/er")]
    job = await sweep(store)
    assert job.removed == len(left)
    assert await sealed(store) == await referenced(store)
    await holds(store, contents)
    assert await SWEEP.value(store.index) is None


async def test_what_was_committed_stays(store):
    contents = await everything(store)
    before = await sealed(store)
    job = await sweep(store)
    assert (job.removed, job.mended) == (0, 0)
    assert await sealed(store) == before
    await holds(store, contents)


async def test_what_may_be_about_to_be_committed_stays(store, world):
    started = world.clock.now_ns()
    left = await orphan(store, modified_ns=started + 1)
    async with store.blobs.create("b/writing", 3000) as writer:
        await writer.write(sample(2500))
        job = await sweep(store, started)
        assert job.removed == 0
        await writer.write(sample(500))
        await writer.finish()
        version = VERSIONS.sidecar(left)
        await writer.seal(version.text)
    assert left.blob.id in await sealed(store)


async def test_a_copy_in_progress_is_as_young_as_the_copy(store, world, monkeypatch):
    """Its parts are sealed before it is published, and must not look as old as their source."""
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    upload = await begin(store, "source")
    source = await complete(store, upload, [await add_part(store, upload, n, sample(1500, n)) for n in (1, 2)])
    started = world.clock.now_ns()
    real = store.index.commit

    async def commit(changes, expect=()):
        monkeypatch.setattr(store.index, "commit", real)
        await sweep(store, started)
        await real(changes, expect)

    monkeypatch.setattr(store.index, "commit", commit)
    await copy_to(store, source, "copy")
    assert await get(store, "copy") == sample(1500, 1) + sample(1500, 2)


async def test_files_of_a_write_that_died_are_removed(store, world):
    """Shards without a sidecar: the process ended before it could seal."""
    contents = await everything(store)
    dead = await orphan(store, "dead")
    for path in world.files_of(dead.blob):
        if path.endswith("metadata.json"):
            os.unlink(path)
    assert await strays(store) == [dead.blob.id]
    assert (await sweep(store, before_ns=1)).removed == 0, "it may be somebody who is writing"
    assert (await sweep(store)).removed == 1
    assert await strays(store) == []
    await holds(store, contents)


async def test_a_committed_object_that_has_lost_its_sidecars_is_no_orphan(store, world):
    """Every kind of blob, without any copy of its sidecar, is mended and never removed."""
    contents = await everything(store)
    named = await sealed(store)
    for ref in [ref async for ref, _, *_ in store.blobs.scan()]:
        for path in world.files_of(ref):
            if path.endswith("metadata.json"):
                os.unlink(path)
    assert await sealed(store) == []
    job = await sweep(store)
    assert (job.mended, job.removed) == (len(named), 0)
    assert await sealed(store) == named
    assert await strays(store) == []
    await holds(store, contents)


@pytest.mark.parametrize("loss", ["gone", "empty", "torn"])
async def test_a_single_volume_is_mended_from_the_index(tmp_path, loss):  # case 1
    """A power cut takes the sidecars that were not flushed yet; their rows are the durable copies."""
    world = World(tmp_path, volumes=1)
    store = world.open()
    await make_bucket(store)
    written = await put(store, "k", b"small")
    (path,) = world.files_of(written.blob)
    if loss == "gone":
        shutil.rmtree(os.path.dirname(path))
    else:
        os.truncate(path, 0 if loss == "empty" else 100)
    assert (await sweep(store)).mended == 1
    for suffix in ("", "-wal", "-shm"):
        await world.close() if not suffix else None
        if os.path.exists(f"{world.index_path}{suffix}"):
            os.unlink(f"{world.index_path}{suffix}")
    store = world.open()
    await rebuild(store)
    assert await get(store, "k") == b"small"
    await world.close()


async def test_an_object_of_a_bucket_that_was_lost_is_kept(store, world, logged):
    """A bucket's sidecar may be what was lost before a rebuild; its objects are not for us to remove."""
    left = await orphan(store, name="unknown")
    await rebuild(again := world.open(world.index_path.with_name("again.db")))
    assert (await sweep(again)).removed == 0
    assert left.blob.id in await sealed(again)
    assert any("The bucket is lost" in entry.get("problem", "") for entry in logged)


async def test_an_orphan_of_a_bucket_that_was_deleted_is_removed(store, world):
    """The sweep is in the background: the bucket may be gone before it gets there."""
    left = await orphan(store)
    await buckets.delete_bucket(store, "b")
    assert (await sweep(store)).removed == 1
    assert left.blob.id not in await sealed(store)


async def test_a_sidecar_of_another_kind_is_kept(store, logged):  # case 147
    async with store.blobs.create("b/future", 4) as writer:
        await writer.write(b"data")
        await writer.finish()
        await writer.seal(b'{"kind":"hologram"}')
    assert (await sweep(store)).removed == 0
    assert any("unknown kind" in entry["event"] for entry in logged)


async def test_many_steps_make_one_sweep(store, monkeypatch):
    monkeypatch.setattr(orphans, "_BATCH", 3)
    contents = await everything(store)
    for number in range(10):
        await orphan(store, f"{number}")
    await store.index.commit([SWEEP.put()])
    job, steps = SweepJob(store, FUTURE), 1
    while (await job.step()).more:
        steps += 1
    assert steps > 10
    assert job.removed == 10
    await holds(store, contents)


async def test_a_sweep_that_fails_is_not_taken_for_finished(store, monkeypatch):
    left = await orphan(store)
    await store.index.commit([SWEEP.put()])
    job = SweepJob(store, FUTURE)
    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "scan", lambda **_: fail())
        with pytest.raises(OSError, match="a drive hangs"):
            await job.step()
    assert await SWEEP.value(store.index) is not None
    assert not (await job.step()).more
    assert left.blob.id not in await sealed(store)


async def fail():
    raise OSError("a drive hangs")
    yield


async def test_a_damaged_row_is_told_and_its_blob_kept(store, logged):  # case 22
    written = await put(store, "k", sample(1500))
    ((key, value),) = await store.index.scan("versions", b"", b"\xff", 2)
    await store.index.commit([Put("versions", key, value[:-1] + bytes([value[-1] ^ 1]))])
    await sweep(store)
    assert written.blob.id in await sealed(store)
    assert any(entry["event"] == "damaged row" for entry in logged)


async def test_a_row_whose_key_is_damaged_costs_nothing(store, logged):  # case 22
    """The row is no longer found, but it still tells that the index does not say everything."""
    written = await put(store, "k", sample(1500))
    ((key, value),) = await store.index.scan("versions", b"", b"\xff", 2)
    flipped = key[:2] + bytes([key[2] ^ 1]) + key[3:]
    await store.index.commit([Delete("versions", key), Put("versions", flipped, value)])
    await orphan(store, "other")
    job = await sweep(store)
    assert job.removed == 0
    assert written.blob.id in await sealed(store)
    assert any("nothing is removed" in entry["event"] for entry in logged)


async def test_what_a_volume_refuses_to_remove_is_left_to_the_garbage_job(store, monkeypatch):  # case 26
    stuck, other = [(await orphan(store, key, sequence=number)).blob for number, key in enumerate(("a", "b"), 1)]
    delete = store.blobs.delete

    async def refuse(ref):
        if ref.id == stuck.id:
            raise Unwritable("gone")
        await delete(ref)

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "delete", refuse)
        await sweep(store)
    left = await sealed(store)
    assert (stuck.id in left, other.id in left) == (True, False)
    await GarbageJob(store).step()
    assert stuck.id not in await sealed(store)


async def test_a_stray_that_a_volume_refuses_to_remove_makes_the_sweep_begin_anew(store, world, monkeypatch):  # case 26
    dead = await orphan(store, "dead")
    for path in world.files_of(dead.blob):
        if path.endswith("metadata.json"):
            os.unlink(path)
    assert await strays(store) == [dead.blob.id]

    def refuse(_blob, _positions):
        raise Unwritable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs.core, "remove", refuse)
        assert (await sweep(store)).removed == 0
    assert await SWEEP.value(store.index) is not None
    job = SweepJob(store, FUTURE)
    while (await job.step()).more:
        pass
    assert await strays(store) == []
    assert await SWEEP.value(store.index) is None


async def test_an_orphan_does_not_come_back_by_a_rebuild(store, world):  # case 151
    await buckets.set_versioning(store, "b", enabled=True)
    kept = await put(store, "k", b"kept")
    await orphan(store, "k", sequence=kept.sequence + 1)
    await orphan(store, "never", sequence=5)
    await sweep(store)
    await world.close()
    store = world.open(world.index_path.with_name("fresh.db"))
    await rebuild(store)
    assert [version_id for _, version_id, _, _ in await versions_of(store)] == [kept.id]


async def test_what_is_lost_beyond_repair_is_an_error_and_not_a_removal(store, world):
    written = await put(store, "k", sample(1500))
    for path in world.files_of(written.blob):
        os.unlink(path)
    await sweep(store)
    assert await outcome(get(store, "k")) is InternalError
    assert await keys_of(store) == ["k"]
    await store.index.commit([SWEEP.drop()])


@pytest.mark.parametrize("run", [sweep, rebuild])
async def test_a_sidecar_of_a_newer_release_stops_what_would_remove_or_forget_it(store, run):  # case 147
    version = await put(store, "k", sample(1500))
    text = await store.blobs.read_sidecar(version.blob)
    await store.blobs.amend(version.blob, text.replace(b'"format":2', b'"format":3'))
    before = await sealed(store)
    with pytest.raises(NewerFormat, match="format 3"):
        await run(store)
    assert await sealed(store) == before
    item = (await VERSIONS.named(store.index, (await store.newest("b", "k"))[0]))[0]
    finding = await Inspector(store, repair=True).look(item)
    assert (finding.state, await store.blobs.read_sidecar(version.blob) != text) == ("damaged", True)


async def test_what_a_killed_process_has_not_flushed_is_flushed(store, monkeypatch):
    asked = []

    async def flush(blobs=None):
        asked.append(blobs)
        return True

    monkeypatch.setattr(store, "flush", flush)
    await sweep(store)
    assert asked == [None]


async def test_what_is_removed_while_it_is_looked_at_has_lost_nothing(store, monkeypatch, logged):
    """Its sidecar is gone because the object is: nobody has to be told."""
    for size in (10, 1500):
        await put(store, f"k{size}", sample(size))
    real = store.blobs.read_sidecar

    async def read_late(ref):
        if ref.id.startswith("b/k"):
            await remove(store, ref.id.removeprefix("b/").partition("@")[0])
        return await real(ref)

    monkeypatch.setattr(store.blobs, "read_sidecar", read_late)
    await sweep(store)
    assert await keys_of(store) == []
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def test_a_sweep_goes_on_where_the_index_has_no_room_for_what_it_mends(world, store, monkeypatch):  # case 133
    """What it removes makes room."""
    version = await put(store, "k", sample(1500))
    for path in world.files_of(version.blob):
        if path.endswith("metadata.json"):
            os.unlink(path)
    left = await orphan(store)
    real = store.index.commit

    async def commit(changes, expect=()):
        if any(change.table == "intents" for change in changes):
            raise IndexFull("the rest is kept for removals")
        await real(changes, expect)

    monkeypatch.setattr(store.index, "commit", commit)
    await sweep(store)
    assert left.blob.id not in await sealed(store)
    monkeypatch.undo()
    await sweep(store)
    assert await sealed(store) == await referenced(store)


async def test_what_a_living_process_is_making_stays_whatever_its_time_says(world):
    """The clock was set back since; or it is a replica, which has the time of its source."""
    store, sweeper = world.open(mark="a" * 8), world.open(mark="b" * 8)
    await make_bucket(store)
    async with store.blobs.create("b/begun", 100_000) as writer:
        await writer.write(sample(100_000))
        half = await orphan(store, "half")
        for path in [path for path in world.files_of(half.blob) if path.endswith("metadata.json")][1:]:
            os.remove(path)  # it is sealed on one volume, and about to be on the others
        whole = await orphan(store, "whole", size=10)
        before = world.files()
        job = await sweep(sweeper)
        assert (job.removed, world.files()) == (0, before)
        await writer.finish()
        await writer.keep()
    await store.blobs.close()
    assert {half.blob.id, whole.blob.id} <= set(await sealed(sweeper))
    assert (await sweep(sweeper)).removed == 3, "their maker has died"
