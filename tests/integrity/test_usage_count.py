"""Where the counters of usage cannot be trusted, a start counts what is there; a check finds those that are wrong."""

import asyncio
import random
import threading

import pytest

from s3ish.index.protocol import Add, Put
from s3ish.integrity.check import Check
from s3ish.integrity.restore_rows import restore
from s3ish.integrity.startup import adopt, are_counted
from s3ish.model import Usage
from s3ish.tables import keys
from s3ish.tables.catalogue import OF_BUCKET, OF_OWNER, USAGE, VERSIONS
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


async def check(store, *, repair=False):
    checking = Check(store, repair=repair, before_ns=store.clock.now_ns())
    return {finding.name: (finding.state, *finding.problems) for finding in await checking.counters()}


WRONG = {
    "one says too much": ([USAGE.put(HELD + Usage(bytes=5, markers=-1), OF_BUCKET, "b")], ["the bucket b"]),
    "one says less than nothing": ([USAGE.put(Usage(bytes=-5), OF_OWNER, OWNER.id)], [f"the owner {OWNER.id}"]),
    "one is not there": ([USAGE.delete(OF_BUCKET, "b")], ["the bucket b"]),
    "one is of nothing": ([USAGE.put(Usage(objects=1), OF_BUCKET, "x")], ["the bucket x"]),
    "all are gone": (
        [USAGE.delete(OF_BUCKET, "b"), USAGE.delete(OF_OWNER, OWNER.id)],
        ["the bucket b", f"the owner {OWNER.id}"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_check_finds_and_mends_counters_that_are_wrong(store, name):
    changes, wrong = WRONG[name]
    assert await check(store) == {}
    await store.index.commit(changes)
    names = [f"what {it} holds" for it in wrong]
    found = await check(store)
    assert [(title, state) for title, (state, _) in found.items()] == [(it, "damaged") for it in names]
    assert await check(store) == found
    assert [state for state, _ in (await check(store, repair=True)).values()] == ["repaired"] * len(wrong)
    assert await check(store) == {}
    kept, recounted = await counted(store)
    assert kept == recounted


async def test_a_finding_says_what_the_counter_says_and_what_there_is(store):
    await store.index.commit([USAGE.put(Usage(objects=2, bytes=9), OF_BUCKET, "b")])
    ((_, text),) = (await check(store)).values()
    assert text == (
        "the counters say 2 objects, 9 bytes; "
        "there is 1 objects, 2 versions, 1 markers, 1203 bytes, 1 uploads, 7 upload_bytes"
    )


async def test_where_a_row_cannot_be_read_no_counter_is_called_wrong(store):
    start, stop = keys.prefix_range(keys.versions_prefix("b", "here"))
    ((key, value),) = await VERSIONS.rows(store.index, start, stop, 2)
    await store.index.commit([Put(VERSIONS.name, key, value[:-1] + b"?")])
    assert await check(store, repair=True) == {}
    assert (await held(store))[0].record == HELD


async def test_a_check_beside_writers_finds_nothing_but_what_is_wrong(world, store):
    """It runs in a thread with a loop of its own, as the command does in a process of its own."""
    choose, done, looks = random.Random(1), threading.Event(), []

    async def look():
        other = world.open()
        while not done.is_set():
            looks.append(await check(other))
        await other.index.close()

    checking = asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(look()))
    for number in range(150):
        key = f"k{choose.randrange(40)}"
        await (put(store, key, sample(choose.randrange(90))) if choose.random() < 0.6 else remove(store, key))
        if number == 75:
            quiet = list(looks)
            await store.index.commit([Add(USAGE.name, USAGE.key(OF_BUCKET, "b"), (0, 0, 0, 7, 0, 0))])
    done.set()
    await checking
    assert len(quiet) > 3
    assert quiet == [{}] * len(quiet)
    assert list(looks[-1]) == ["what the bucket b holds"]


async def test_counters_are_mended_beside_writers(world, store):
    await store.index.commit([Add(USAGE.name, USAGE.key(OF_BUCKET, "b"), (0, 0, 0, 7, 0, 0))])

    async def mend():
        other = world.open()
        found = await check(other, repair=True)
        await other.index.close()
        return found

    mending = asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(mend()))
    writes = 0
    while not mending.done():
        writes += 1
        await put(store, f"k{writes % 9}", sample(writes % 90))
    assert [state for state, _ in (await mending).values()] == ["repaired"]
    assert writes
    kept, found = await counted(store)
    assert kept == found
