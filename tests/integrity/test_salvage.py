"""What only a damaged index knows is saved before another one is built, and nothing that was deleted comes back."""

import os
from contextlib import closing
from types import SimpleNamespace

import apsw
import pytest

from s3ish.index.protocol import Damaged, Put
from s3ish.index.sqlite_place import SQLitePlace
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.named_blobs import rows_of
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.salvage import salvage
from s3ish.tables.catalogue import CURRENT, INLINE, TABLES, VERSIONS
from tests.objects.support import World, get, keys_of, put, remove, sample

PAGE = 4096


def spoil(path, numbers):
    """Zero the rows of pages of a file, given by number, and leave their headers."""
    with open(path, "r+b") as file:
        for number in numbers:
            file.seek(number * PAGE + 64)
            file.write(bytes(PAGE - 64))


def leaves(path, table):
    """Return the numbers of the pages that hold the rows of a table, in the order of their keys."""
    with closing(apsw.Connection(str(path))) as connection:
        query = "SELECT pageno - 1 FROM dbstat WHERE name=? AND pagetype='leaf' ORDER BY path"
        return [number for (number,) in connection.execute(query, (table.name,))]


@pytest.mark.parametrize("spoilt", [slice(0, 1), slice(5, 6), slice(5, 8), slice(4, None, 3), slice(-1, None)])
async def test_rows_behind_damaged_pages_are_found(tmp_path, spoilt):
    place = SQLitePlace(tmp_path / "index.db")
    index = place.open(TABLES.layouts, durable=False)
    names = [b"bucket\0" + b"folder/" * (number % 7) + b"key-%05d" % number for number in range(0, 2000, 3)]
    await index.commit([Put(CURRENT.name, key, b"value" * 10) for key in names])
    await index.close()
    pages = leaves(place.path, CURRENT)
    assert len(pages) > 12
    spoil(place.path, pages[spoilt])
    index = place.open(TABLES.layouts, durable=False)
    store = SimpleNamespace(index=index)
    with pytest.raises(Damaged):
        [row async for row in rows_of(store, CURRENT)]
    found = [key async for key, _ in rows_of(store, CURRENT, over_damage=True)]
    await index.close()
    assert found == sorted(set(found) & set(names))
    lost = len(names) - len(found)
    assert 0 < lost <= len(pages[spoilt]) * PAGE // 60, "rows of other pages are lost"


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path, volumes=1)
    yield world
    await world.close()


def lose_sidecars(world, ref):
    os.unlink(world.files_of(ref)[-1])


@pytest.mark.parametrize("left", [None, 0, 60])
@pytest.mark.parametrize("size", [0, 50, 2500])
async def test_a_sidecar_that_was_lost_is_written_as_the_index_says(world, store, size, left):
    await put(store, "k", sample(size))
    ref = (await store.newest("b", "k"))[0].record.blob
    before = await store.blobs.read_sidecar(ref)
    if left is None:
        lose_sidecars(world, ref)
    else:
        os.truncate(world.files_of(ref)[-1], left)
    assert await salvage(store) == 1
    assert await store.blobs.read_sidecar(ref) == before
    assert await salvage(store) == 0


@pytest.mark.parametrize("size", [50, 2500])
async def test_a_row_alone_brings_nothing_back(world, store, size):
    """A page whose last write was lost shows rows of what was deleted."""
    await put(store, "k", sample(size))
    (held,) = await store.newest("b", "k")
    ref = held.record.blob
    await remove(store, "k")
    while (await GarbageJob(store).step()).more:
        pass
    await store.index.commit([Put(VERSIONS.name, held.key, held.value)])
    assert await store.index.get(INLINE.name, INLINE.key(ref.id)) is None
    assert await salvage(store) == 0
    assert not any(map(os.path.exists, world.files_of(ref)))


async def test_what_was_saved_is_in_an_index_that_is_built(world, store, tmp_path):
    for key, size in (("small", 50), ("large", 2500), ("kept", 50)):
        await put(store, key, sample(size))
        if key != "kept":
            lose_sidecars(world, (await store.newest("b", key))[0].record.blob)
    await salvage(store)
    fresh = world.open(index_path=tmp_path / "fresh.db")
    await rebuild(fresh)
    assert await keys_of(fresh) == ["kept", "large", "small"]
    assert await get(fresh, "small") == sample(50)
