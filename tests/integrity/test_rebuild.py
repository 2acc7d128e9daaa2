"""An index from the sidecars alone. The random sequences of tests/objects rebuild too; here is what a crash leaves."""

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from s3ish.integrity import rebuild as module
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Attributes
from s3ish.objects import buckets, multipart
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, PARTS, UPLOADS, VERSIONS
from s3ish.tables.state import SWEEP
from tests.objects.support import (
    OWNER,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    head,
    keys_of,
    make_bucket,
    put,
    referenced,
    remove,
    run_jobs,
    sample,
    sealed,
    versions_of,
)

TABLES = ("buckets", "versions", "current", "nulls", "inline", "uploads", "parts")


async def tables(store):
    return {table: dict(await store.index.scan(table, b"", b"\xff", 10_000)) for table in TABLES}


async def rebuilt(world, name="fresh.db"):
    """Return a store whose index was made from the sidecars, and what was found."""
    await world.close()
    store = world.open(world.index_path.with_name(name))
    return store, await rebuild(store)


async def reseal(store, sealed_as, data=b"left over", home="b/k"):
    """Seal a blob that a crash left: its sidecar says ``sealed_as(ref)``."""
    async with store.blobs.create(home, len(data)) as writer:
        await writer.write(data)
        ref = await writer.finish()
        await writer.seal(sealed_as(ref).text)
    return ref


@pytest.mark.parametrize("batch", [1, 3, 500])
async def test_every_row_is_as_it_was(store, world, monkeypatch, batch):  # case 23
    monkeypatch.setattr(module, "_BATCH", batch)
    await put(store, "old", b"null below")
    await buckets.change_bucket(store, "b", lambda b: replace(b, documents={"policy": "{}"}))
    await buckets.set_versioning(store, "b", enabled=True)
    for size in (0, 10, 1500):
        for key in ("k", "old", "a/b"):
            await put(store, key, sample(size), attributes=Attributes(metadata={"size": str(size)}))
    await remove(store, "k")
    upload = await begin(store, "m")
    part = await add_part(store, upload, 3, sample(1500))
    await add_part(store, upload, 9, b"not chosen")
    await complete(store, upload, [part])
    going_on = await begin(store, "m")
    await add_part(store, going_on, 1, sample(1500))
    await add_part(store, going_on, 2, b"inline")
    await make_bucket(store, "empty", "Suspended")
    before = await tables(store)
    fresh, found = await rebuilt(world)
    assert await tables(fresh) == before
    assert (found["buckets"], found["uploads"], found["orphans"], found["unknown"]) == (2, 1, 0, 0)


async def test_a_rebuild_asks_for_a_sweep(store, world):
    """The queue of garbage is not in the sidecars."""
    fresh, _ = await rebuilt(world)
    assert await SWEEP.value(fresh.index) is not None


async def test_an_empty_store_gives_an_empty_index(world):
    store = world.open()
    assert sum((await rebuild(store)).values()) == 0
    assert await tables(store) == {table: {} for table in TABLES}


async def test_what_was_replaced_but_not_removed_stays_replaced(store, world):  # case 151
    """A crash between the commit and the removal of the old blob, and then the index is lost."""
    old = await put(store, "k", b"old")
    new = await put(store, "k", b"new")
    await reseal(store, lambda ref: VERSIONS.sidecar(replace(old, blob=ref, size=9)))
    fresh, found = await rebuilt(world)
    assert found["orphans"] == 1
    assert await head(fresh, "k") == new
    assert await versions_of(fresh) == [("k", "null", True, False)]
    assert len(await fresh.index.scan("garbage", b"", b"\xff", 9)) == 1


async def torn(store, world, sidecar, home):
    """Seal a blob as far as a crash may: on the first volume alone, with the shard that lies there."""
    ref = await reseal(store, sidecar, sample(1500, 2), home=home)
    for root in [root for position, root in enumerate(world.volume_roots) if position != ref.volumes[0]]:
        shutil.rmtree(f"{root}/{ref.id}")
    return ref


async def test_what_a_crash_left_half_sealed_takes_the_place_of_nothing(store, world):  # case 151
    """The index is lost in the same crash: what was answered is there, and what was not hides none of it."""
    old = await put(store, "k", sample(1500))
    upload = await begin(store, "m")
    part = await add_part(store, upload, 1, sample(1500))
    later = {"sequence": old.sequence + 10**9, "modified_ns": old.modified_ns + 10**9}
    await torn(store, world, lambda ref: VERSIONS.sidecar(replace(old, blob=ref, **later)), "b/k")
    for shift in (10**9, -1):
        await torn(
            store,
            world,
            lambda ref, shift=shift: PARTS.sidecar(
                replace(part, blob=ref, modified_ns=part.modified_ns + shift), "b", "m", upload.id
            ),
            "b/m",
        )
    fresh, _ = await rebuilt(world)
    assert await head(fresh, "k") == old
    assert await get(fresh, "k") == sample(1500)
    assert [it.blob for it in (await multipart.list_parts(fresh, upload.id, 0, 9))[0]] == [part.blob]
    await complete(fresh, upload, [part])
    assert await get(fresh, "m") == sample(1500)


async def test_a_damaged_version_beside_what_was_replaced_stays(store, world, monkeypatch):
    """It takes the place of nothing, and may be all that can be salvaged. What does take a place alone is read."""
    old = await put(store, "k", b"old")
    await buckets.set_versioning(store, "b", enabled=True)
    whole, damaged = [await put(store, "k", sample(1500, number)) for number in (1, 2)]
    await buckets.set_versioning(store, "b", enabled=False)
    new = await put(store, "k", sample(1500, 3))
    await reseal(store, lambda ref: VERSIONS.sidecar(replace(old, blob=ref, size=9)))
    for position in damaged.blob.volumes[:2]:
        for path in Path(world.volume_roots[position], damaged.blob.id).glob("*.[0-9]"):
            path.unlink()
    looked = []
    is_readable = module._is_readable

    async def counted(store, ref):
        looked.append(ref.id)
        return await is_readable(store, ref)

    monkeypatch.setattr(module, "_is_readable", counted)
    fresh, found = await rebuilt(world)
    assert [it[1] for it in await versions_of(fresh)] == ["null", damaged.id, whole.id]
    assert (found["orphans"], looked) == (1, [new.blob.id])
    assert await get(fresh, "k", "null") == sample(1500, 3)
    assert (await head(fresh, "k", damaged.id)).blob == damaged.blob


async def test_of_two_null_versions_the_newer_one_stays(store, world):
    old = await put(store, "k", b"old")
    await buckets.set_versioning(store, "b", enabled=True)
    middle = await put(store, "k", b"middle")
    await buckets.set_versioning(store, "b", enabled=False)
    await put(store, "k", b"new")
    await reseal(store, lambda ref: VERSIONS.sidecar(replace(old, blob=ref, size=9)))
    fresh, _ = await rebuilt(world)
    assert await versions_of(fresh) == [("k", "null", True, False), ("k", middle.id, False, False)]
    assert await get(fresh, "k", "null") == b"new"


@pytest.mark.parametrize("older_first", [True, False])
async def test_of_two_parts_of_one_number_the_newer_one_stays(store, world, older_first):
    upload = await begin(store, "k")
    kept = await add_part(store, upload, 1, sample(1500))
    other = replace(kept, modified_ns=kept.modified_ns - 1)
    home = "b/a" if older_first else "b/z"  # scanned before or after
    await reseal(store, lambda ref: PARTS.sidecar(replace(other, blob=ref), "b", "k", upload.id), home=home)
    fresh, _ = await rebuilt(world)
    assert await multipart.list_parts(fresh, upload.id, 0, 9) == ([kept], False)
    await complete(fresh, upload, [kept])
    assert await get(fresh, "k") == sample(1500)


async def test_a_completed_upload_whose_sidecars_were_left_does_not_come_back(store, world):  # case 4
    upload = await begin(store, "k")
    part = await add_part(store, upload, 1, sample(1500))
    left = await add_part(store, upload, 2, sample(1500))
    await complete(store, upload, [part])
    await reseal(store, lambda ref: UPLOADS.sidecar(replace(upload, blob=ref)), b"")
    await reseal(store, lambda ref: PARTS.sidecar(replace(left, blob=ref), "b", "k", upload.id), sample(1500))
    fresh, found = await rebuilt(world)
    assert found["orphans"] == 1
    assert (await tables(fresh))["uploads"] == {}
    assert (await tables(fresh))["parts"] == {}
    assert await get(fresh, "k") == sample(1500)


async def test_the_sweep_after_a_rebuild_removes_what_is_left_and_nothing_else(store, world):
    upload = await begin(store, "m")
    part = await add_part(store, upload, 1, sample(1500))
    await complete(store, upload, [part])
    old = await put(store, "k", b"old")
    await put(store, "k", b"new")
    await reseal(store, lambda ref: VERSIONS.sidecar(replace(old, blob=ref, size=9)))
    await reseal(store, lambda ref: PARTS.sidecar(replace(part, blob=ref), "b", "m", upload.id), home="b/m")
    fresh, _ = await rebuilt(world)
    job = SweepJob(fresh, 2**62)
    while (await job.step()).more:
        pass
    assert await sealed(fresh) == await referenced(fresh)
    assert (await get(fresh, "k"), await get(fresh, "m")) == (b"new", sample(1500))


async def test_objects_of_a_bucket_that_is_gone_stay_on_disk_and_out_of_sight(store, world):
    written = await put(store, "k", b"data")
    bucket = (await store.bucket("b")).record
    await store.blobs.delete(bucket.blob)
    fresh, found = await rebuilt(world)
    assert found["orphans"] == 1
    assert await fresh.find_bucket("b") is None
    assert (await tables(fresh))["versions"] == {}
    assert written.blob.id in await sealed(fresh)


async def test_of_two_buckets_of_one_name_the_later_one_stays(store, world):
    bucket = (await store.bucket("b")).record
    await reseal(
        store, lambda ref: BUCKETS.sidecar(replace(bucket, blob=ref, created_ns=1, documents={"old": "1"})), b""
    )
    fresh, _ = await rebuilt(world)
    assert (await fresh.bucket("b")).record == bucket


async def test_a_sidecar_of_an_unknown_kind_is_counted_and_kept(store, world, logged):  # case 147
    async with store.blobs.create("b/future", 4) as writer:
        await writer.write(b"data")
        ref = await writer.finish()
        await writer.seal(b'{"kind":"hologram"}')
    fresh, found = await rebuilt(world)
    assert found["unknown"] == 1
    assert ref.id in await sealed(fresh)
    assert await keys_of(fresh) == []


async def test_a_rebuild_can_be_done_again(store, world):  # case 13
    await put(store, "k", sample(1500))
    await begin(store, "m")
    first, _ = await rebuilt(world)
    before = await tables(first)
    await rebuild(first)
    assert await tables(first) == before
    assert keys.object_key("b", "k") in before["current"]
    assert (await first.bucket("b")).record.owner == OWNER


@pytest.mark.parametrize("copied", [False, True])
async def test_parts_that_wait_for_their_removal_do_not_bring_their_object_back(store, world, monkeypatch, copied):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 1)
    upload = await begin(store, "k")
    version = await complete(store, upload, [await add_part(store, upload, n, b"x") for n in range(1, 41)])
    if copied:
        await copy_to(store, version, "other")
        await remove(store, "other")
    await remove(store, "k")
    assert len(await sealed(store)) == 1 + 40 * (1 + copied), "the bucket and all parts"
    store, _ = await rebuilt(world)
    assert await versions_of(store) == []
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)


async def test_it_tells_how_far_it_has_come(store, world, monkeypatch):
    monkeypatch.setattr(module, "STEP_BLOBS", 2)
    for number in range(4):
        await put(store, f"k{number}", b"data")
    told = []
    await rebuild(world.open(world.index_path.with_name("told.db")), told.append)
    assert told == [2, 4]  # of five: the bucket is one
