"""Worlds on the volumes and index of a store: each sees its own objects, and none takes a blob from another."""

import pytest

from s3ish.blob.wrappers.unsealed import UnsealedStore
from s3ish.index.protocol import Put
from s3ish.integrity.garbage import RemovalJob
from s3ish.objects import snapshots, worlds
from s3ish.objects.pins import part_of
from s3ish.objects.store import Store
from tests.objects.support import get, keys_of, put, run_jobs, sample, strays
from tests.objects.test_snapshots import CHANGES, fill, idle_bytes, require_whole, rows


def enter(store, name):
    """Return the store of a world."""
    return Store(
        part_of(store.index, name),
        UnsealedStore(store.blobs),
        store.clock,
        store.offload,
        "us-east-1",
        encodings=store.encodings,
        upkeep=store.upkeep,
        piece_bytes=store.room.piece_bytes,
    )


@pytest.fixture
def world(world, tmp_path):
    world.root_path = tmp_path
    return world


async def bytes_of(store):
    return {key: await get(store, key) for key in await keys_of(store)}


async def tidy(*stores):
    """Remove what nothing names any more, in each world."""
    for store in stores:
        store.removal.has_left = True
        await RemovalJob(store).step()


@pytest.mark.parametrize("change", CHANGES)
async def test_what_a_world_does_the_others_do_not_see(store, world, change, small_parts):
    upload, parts = await fill(store)
    await snapshots.take(store, snapshots.START)
    before, bytes_before = await rows(store), await bytes_of(store)
    for name in ("one", "two"):
        await worlds.fork(store, store, snapshots.START, name)
    one, two = enter(store, "one"), enter(store, "two")
    assert await bytes_of(one) == await bytes_of(two) == bytes_before
    await change(one, upload, parts)
    await tidy(one, two, store)
    assert await rows(store) == before
    assert await bytes_of(store) == await bytes_of(two) == bytes_before
    await require_whole(store, world)
    await snapshots.restore(one, snapshots.START)
    await tidy(one, two, store)
    assert await bytes_of(one) == bytes_before
    for name in ("one", "two"):
        await worlds.remove(store, name)
    await snapshots.remove(store, snapshots.START)
    await run_jobs(store, world.clock)
    await tidy(store)
    assert await rows(store) == before
    assert (await strays(store), await idle_bytes(store)) == ([], set())
    await require_whole(store, world, "after.db")


@pytest.mark.parametrize("change", CHANGES)
async def test_what_the_main_world_removes_stays_for_the_others(store, world, change, small_parts):
    upload, parts = await fill(store)
    await snapshots.take(store, "s")
    bytes_before = await bytes_of(store)
    await worlds.fork(store, store, "s", "one")
    await snapshots.remove(store, "s")
    await change(store, upload, parts)
    await run_jobs(store, world.clock)
    one = enter(store, "one")
    assert await bytes_of(one) == bytes_before
    await snapshots.take(one, "t")
    await worlds.fork(store, one, "t", "two")
    await worlds.remove(store, "one")
    await run_jobs(store, world.clock)
    await tidy(store)
    assert await bytes_of(enter(store, "two")) == bytes_before
    await worlds.remove(store, "two")
    await run_jobs(store, world.clock)
    await tidy(store)
    assert await worlds.listed(store) == []
    assert (await strays(store), await idle_bytes(store)) == ([], set())
    assert await store.index.scan("garbage", b"", b"\xff" * 9, 99) == []


async def test_a_world_that_begins_again_leaves_nothing_of_what_it_was(store, world):
    await put(store, "k", sample(1500))
    await snapshots.take(store, "s")
    await worlds.fork(store, store, "s", "one")
    one = enter(store, "one")
    await put(one, "k", sample(1500, 2))
    await put(one, "new", sample(900, 3))
    await snapshots.take(one, "t")
    await worlds.fork(store, store, "s", "one")
    await tidy(store)
    assert await bytes_of(enter(store, "one")) == {"k": sample(1500)}
    assert await snapshots.listed(enter(store, "one")) == []
    assert await strays(store) == []


async def test_a_sweep_leaves_what_a_world_names(store, world):
    await snapshots.take(store, "s")
    await worlds.fork(store, store, "s", "one")
    one = enter(store, "one")
    await put(one, "large", sample(2500))
    await put(one, "small", b"small")
    await run_jobs(store, world.clock)
    assert await bytes_of(one) == {"large": sample(2500), "small": b"small"}


async def test_worlds_that_are_not_there(store):
    with pytest.raises(LookupError, match="no world 'none'"):
        await worlds.remove(store, "none")
    with pytest.raises(snapshots.NoSnapshot):
        await worlds.fork(store, store, "none", "one")
    assert await worlds.listed(store) == []


async def test_a_damaged_snapshot_is_no_beginning(store):
    await snapshots.take(store, "s")
    row = await store.index.get("snapshots", b"s")
    await store.index.commit([Put("snapshots", b"s", row[:-1])])
    with pytest.raises(snapshots.NoSnapshot, match="damaged"):
        await worlds.fork(store, store, "s", "one")
