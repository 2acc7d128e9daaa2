"""An empty object and a delete marker are a row and a sidecar: no other bytes tell of them.

So each byte of the one is damaged while the other is whole, and of the sidecar while there is no index either.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from s3ish.index.protocol import Damaged, Put, RowIs
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.named_blobs import inventory
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.restore_rows import restore
from s3ish.tables.catalogue import CURRENT, VERSIONS
from tests.objects.support import World, flip, head, keys_of, make_bucket, outcome, put, remove, versions_of

BEFORE = b"older" * 400
"""What comes to light if what covers it is lost."""


@pytest.fixture(params=[1, 3])
async def world(tmp_path, request):
    world = World(tmp_path, volumes=request.param)
    yield world
    await world.close()


@pytest.fixture
async def store(world):
    """A store with an empty object and a delete marker, each on an older version."""
    store = world.open()
    await make_bucket(store, versioning="Enabled")
    for key in ("empty", "removed"):
        await put(store, key, BEFORE)
    await put(store, "empty", b"")
    await remove(store, "removed")
    await store.settle()
    return store


async def seen(store):
    """Return what clients see."""
    newest = await outcome(head(store, "empty"))
    return newest, await outcome(head(store, "removed")), await keys_of(store), await versions_of(store)


async def rows(store):
    return [await table.rows(store.index, b"", b"\xff", 100) for table in (VERSIONS, CURRENT)]


async def findings(store, *, repair=False):
    """Return what a check finds."""
    looks = [await Inspector(store, repair=repair).look(it) async for row in inventory(store) for it in row.items]
    return [finding.state for finding in looks if finding]


async def rebuilt(world):
    """Return an index that is built from the sidecars, and what was found."""
    fresh = world.open(world.index_path.with_name("fresh.db"))
    return fresh, await rebuild(fresh)


@pytest.mark.parametrize("key", ["empty", "removed"])
async def test_a_flipped_bit_of_a_sidecar_changes_nothing_is_found_and_mended(world, store, key):  # case 20
    before, rows_before = await seen(store), await rows(store)
    ref = (await store.newest("b", key))[0].record.blob
    path, said = world.files_of(ref)[-1], await store.blobs.read_sidecar(ref)
    for at in range(0, os.path.getsize(path), 3):
        flip(path, at)
        assert await seen(store) == before
        assert await findings(store) == ["damaged"]
        if at % 5 == 0:  # the index is lost as well
            fresh, found = await rebuilt(world)
            assert (await rows(fresh), found["unreadable"]) == (rows_before, 0)
            await fresh.index.close()
            for file in Path(world.root).glob("fresh.db*"):
                file.unlink()
        assert await findings(store, repair=True) == ["repaired"]
        assert (await store.blobs.read_sidecar(ref), await findings(store)) == (said, [])


@pytest.mark.parametrize("key", ["empty", "removed"])
@pytest.mark.parametrize("damage", ["gone", "cut", "two bits"])
async def test_a_sidecar_that_says_nothing_is_made_again_from_the_row(world, store, key, damage):
    before = await seen(store)
    ref = (await store.newest("b", key))[0].record.blob
    said = await store.blobs.read_sidecar(ref)
    for path in world.files_of(ref):
        if damage == "gone":
            os.unlink(path)
        elif damage == "cut":
            os.truncate(path, 300)
        else:
            flip(path, 100)
            flip(path, 200)
    assert await seen(store) == before
    assert await findings(store, repair=True) == ["repaired"]
    assert (await store.blobs.read_sidecar(ref), await findings(store)) == (said, [])


@pytest.mark.parametrize("key", ["empty", "removed"])
async def test_each_flipped_byte_of_its_row_is_an_error_and_mended_from_the_sidecar(store, key):
    before, rows_before = await seen(store), await rows(store)
    held = (await store.newest("b", key))[0]
    counts = Counter()
    for at in range(len(held.value)):
        spoilt = bytearray(held.value)
        spoilt[at] ^= 0x10
        await store.index.commit([Put(VERSIONS.name, held.key, bytes(spoilt))])
        with pytest.raises(Damaged):
            await head(store, key)
        counts.update(await findings(store))
        assert await restore(store, RowIs(VERSIONS.name, held.key, bytes(spoilt)))
        assert await rows(store) == rows_before
    assert counts == {"damaged": len(held.value)}
    assert await seen(store) == before
