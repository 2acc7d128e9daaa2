"""Where the counters of usage cannot be trusted, a start counts what is there."""

import pytest

from s3ish.index.protocol import Put
from s3ish.integrity.restore_rows import restore
from s3ish.integrity.startup import adopt, are_counted
from s3ish.model import Usage
from s3ish.tables import keys
from s3ish.tables.catalog import OF_BUCKET, OF_OWNER, USAGE, VERSIONS
from s3ish.tables.state import GENERATION
from tests.objects.support import OWNER, add_part, begin, counted, make_bucket, put, remove, sample

HELD = Usage(objects=1, versions=2, markers=1, bytes=1203, uploads=1, upload_bytes=7)


@pytest.fixture
async def store(world):
    """A store with a version, another one under a delete marker, and an upload with a part."""
    store = world.open()
    await make_bucket(store, versioning="Enabled")
    await adopt(store, 1)
    await put(store, "here", b"123")
    await put(store, "gone", sample(1200))
    await remove(store, "gone")
    await add_part(store, await begin(store, "many"), 1, b"1234567")
    return store


async def held(store):
    return [(await USAGE.get(store.index, *of)) for of in ((OF_BUCKET, "b"), (OF_OWNER, OWNER.id))]


async def test_counters_that_commits_kept_are_not_counted_again(store):
    await store.index.commit([USAGE.put(Usage(bytes=1), OF_BUCKET, "b")])
    await adopt(store, 2)
    assert (await held(store))[0].record == Usage(bytes=1)


async def test_what_an_older_release_wrote_is_counted_by_the_next_start(store):
    rows = await USAGE.rows(store.index, b"", keys.END, 100)
    assert len(rows) == 2
    await store.index.commit([USAGE.drop(key) for key, _ in rows])
    await store.index.commit([USAGE.put(Usage(bytes=5), OF_BUCKET, "was removed meanwhile")])
    await store.index.commit([GENERATION.put(b"2")])  # as it does
    assert not await are_counted(store.index)
    await adopt(store, 3)
    assert await are_counted(store.index)
    assert [it.record for it in await held(store)] == [HELD, HELD]
    assert len(await USAGE.rows(store.index, b"", keys.END, 100)) == 2
    kept, found = await counted(store)
    assert kept == found


async def test_a_row_that_cannot_be_read_leaves_it_open_until_another_start(store):
    start, stop = keys.prefix_range(keys.versions_prefix("b", "here"))
    ((key, value),) = await VERSIONS.rows(store.index, start, stop, 2)
    await store.index.commit([Put(VERSIONS.name, key, value[:-1] + b"?"), GENERATION.put(b"2")])
    await adopt(store, 3)
    assert not await are_counted(store.index)
    await store.index.commit([Put(VERSIONS.name, key, value)])
    await adopt(store, 4)
    assert await are_counted(store.index)
    assert (await held(store))[0].record == HELD


async def test_a_damaged_counter_is_removed_and_counted_by_the_next_start(store):
    row = USAGE.put(HELD, OF_BUCKET, "b")
    damaged = Put(row.table, row.key, row.value[:-1] + b"?")
    await store.index.commit([damaged])
    await put(store, "more", b"1")
    assert await USAGE.rows(store.index, *keys.only(row.key), 1) == [(row.key, damaged.value)]
    assert await restore(store, USAGE.expect(row.key, damaged.value))
    assert not await are_counted(store.index)
    await adopt(store, 2)
    assert (await held(store))[0].record == HELD + Usage(objects=1, versions=1, bytes=1)
