"""What readers hold for slow receivers: bounded for all together, and never at the cost of a byte."""

import asyncio
import errno
import os

import pytest

from s3ish.blob import hold
from s3ish.blob.erasure import reader as reading
from s3ish.blob.hold import Hold
from tests.blob.support import flip, get, keep_in_memory, put, sample, shard_file

SIZE = 4500
HELD = 16_000


@pytest.fixture
def store(make_store, monkeypatch):
    """A store with stripes of 1,000 bytes whose readers may hold 16 of them."""
    monkeypatch.setattr(hold, "LEAST_SHARE_BYTES", 64)
    monkeypatch.setattr(reading, "READER_BYTES", 20)
    store = make_store("three")
    store.core.hold = Hold(HELD)
    return store


async def begin(store, ref, start=0, stop=None):
    """Open a blob and take one piece, as one does whose receiver is slow."""
    reader = await store.open(ref, start, stop)
    return reader, bytes(await anext(reader))


async def finish(reader, data):
    async for piece in reader:
        data += bytes(piece)
    await reader.close()
    return data


def counted_jobs(store, monkeypatch):
    """Return a list that will have the name of every job that is given to a thread."""
    jobs, run = [], store.core.offload.run

    def count(function, *arguments):
        jobs.append(getattr(function, "func", function).__name__)
        return run(function, *arguments)

    monkeypatch.setattr(store.core.offload, "run", count)
    return jobs


async def test_however_many_read_slowly_they_hold_little_and_get_every_byte(store, monkeypatch):
    keep_in_memory(monkeypatch, lambda: False)
    data = sample(SIZE)
    ref = await put(store, data)
    begun = [await begin(store, ref) for _ in range(60)]
    held = HELD - store.core.hold._free
    assert held <= HELD + 60 * (20 + 64)
    assert len(begun[0][1]) == 500, "the first has a whole block"
    assert len(begun[-1][1]) <= 100
    for reader, taken in begun:
        assert await finish(reader, taken) == data
    assert store.core.hold._free == HELD


async def test_a_blob_that_is_deleted_while_a_crowd_reads_it_is_read_to_its_end(store):
    data = sample(SIZE)
    ref = await put(store, data)
    begun = [await begin(store, ref, 1000, 1900) for _ in range(60)]
    await store.delete(ref)
    for reader, taken in begun:
        assert await finish(reader, taken) == data[1000:1900]


async def test_damage_is_found_in_a_crowd_as_well(store):
    data = sample(SIZE)
    ref = await put(store, data)
    flip(shard_file(store, ref, 1), 300)
    begun = [await begin(store, ref) for _ in range(60)]
    for reader, taken in begun:
        assert await finish(reader, taken) == data
    assert store.damage


async def test_readers_that_are_given_up_hold_nothing(store):
    ref = await put(store, sample(SIZE))
    for _ in range(3):
        reader, _ = await begin(store, ref)
        await reader.close()
        await reader.close()
    assert store.core.hold._free == HELD


async def test_who_reads_alone_is_given_whole_blocks_while_the_next_are_read(store, monkeypatch):
    keep_in_memory(monkeypatch, lambda: False)
    ref = await put(store, sample(SIZE))
    reader = await store.open(ref)
    assert [len(piece) async for piece in reader] == [500] * 8 + [250] * 2
    await reader.close()


async def test_whole_stripes_that_are_in_memory_need_no_thread(store, monkeypatch):
    keep_in_memory(monkeypatch)
    data = sample(SIZE)
    ref = await put(store, data)
    jobs = counted_jobs(store, monkeypatch)
    reader = await store.open(ref)
    pieces = [bytes(piece) async for piece in reader]
    assert [len(piece) for piece in pieces] == [1000] * 4 + [250] * 2
    assert b"".join(pieces) == data
    assert jobs == ["read"], "the last stripe is read on a thread, which closes the files"
    await reader.close()


@pytest.mark.parametrize(("start", "stop"), [(0, 900), (0, 1000), (600, 601), (1200, 1900), (4100, 4500)])
async def test_within_one_stripe_in_memory_no_thread_is_needed_at_all(store, monkeypatch, start, stop):
    keep_in_memory(monkeypatch)
    data = sample(SIZE)
    ref = await put(store, data)
    jobs, before = counted_jobs(store, monkeypatch), len(os.listdir("/proc/self/fd"))
    assert await get(store, ref, start, stop) == data[start:stop]
    assert jobs == []
    assert len(os.listdir("/proc/self/fd")) == before


async def test_files_that_were_removed_meanwhile_are_closed_by_a_thread(store, monkeypatch):
    """Their bytes go with the last descriptor, which may take a while."""
    keep_in_memory(monkeypatch)
    data = sample(900)
    ref = await put(store, data)
    removed, read = [], os.preadv

    def remove_first(*arguments):
        if not removed:
            removed.append(store.core.remove(ref.id, None))
        return read(*arguments)

    monkeypatch.setattr(os, "preadv", remove_first)
    jobs, before = counted_jobs(store, monkeypatch), len(os.listdir("/proc/self/fd"))
    assert await get(store, ref) == data
    assert jobs == ["_close"]
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_small_part_of_a_block_does_not_keep_the_whole_block_in_memory(store, monkeypatch):
    keep_in_memory(monkeypatch)
    data = sample(SIZE)
    reader = await store.open(await put(store, data), 10, 20)
    piece = await anext(reader)
    assert bytes(piece) == data[10:20]
    assert isinstance(piece, bytes)
    await reader.close()


async def test_a_volume_that_is_away_is_read_around(make_store, monkeypatch):
    keep_in_memory(monkeypatch)
    data = sample(SIZE)
    store = make_store("three")
    ref = await put(store, data)
    store.volumes._volumes = tuple(
        None if position == ref.volumes[0] else volume for position, volume in enumerate(store.volumes._volumes)
    )
    assert await get(store, ref) == data
    assert await get(store, ref, 100, 200) == data[100:200]


@pytest.mark.parametrize(("start", "stop"), [(0, 4000), (1, 3999), (999, 2001), (1000, 4500), (2500, 2501), (0, 4500)])
async def test_ranges_in_memory_are_exact(store, monkeypatch, start, stop):
    keep_in_memory(monkeypatch)
    data = sample(SIZE)
    ref = await put(store, data)
    assert await get(store, ref, start, stop) == data[start:stop]
    assert store.core.hold._free == HELD


async def test_what_is_not_in_memory_is_read_by_a_thread_and_the_next_looked_for_again(store, monkeypatch):
    there = True
    keep_in_memory(monkeypatch, lambda: there)
    data = sample(40_000)
    ref = await put(store, data)
    jobs = counted_jobs(store, monkeypatch)
    reader = await store.open(ref)
    taken = b"".join([bytes(await anext(reader)) for _ in range(3)])
    assert len(taken) == 3000
    assert jobs == []
    there = False
    taken += bytes(await anext(reader))
    there = True
    assert await finish(reader, taken) == data
    assert len(jobs) == 2, "that one, and the last"


async def test_the_more_is_not_in_memory_the_more_rarely_it_is_looked_for(store, monkeypatch):
    data = sample(40_000)
    ref = await put(store, data)
    reader = await store.open(ref)
    looks = []
    keep_in_memory(monkeypatch, lambda: looks.append(1))
    assert await finish(reader, b"") == data
    assert len(looks) == len([1, 2, 4, 8, 16, 32])


async def test_damage_in_memory_is_read_around_and_told(store, monkeypatch):
    keep_in_memory(monkeypatch)
    data = sample(SIZE)
    ref = await put(store, data)
    flip(shard_file(store, ref, 1), (16 + 500) * 2 + 40)
    assert await get(store, ref) == data
    assert store.damage == [(ref.id, ("data.1",))]


async def test_a_file_that_ends_too_early_in_memory_is_read_around(store, monkeypatch):
    keep_in_memory(monkeypatch)
    data = sample(SIZE)
    ref = await put(store, data)
    os.truncate(shard_file(store, ref, 0), 16 + 500 + 100)
    assert await get(store, ref) == data
    assert store.damage == [(ref.id, ("data.0",))]


async def test_a_file_system_that_cannot_tell_what_is_in_memory_is_read_by_threads(store, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "no")

    data = sample(SIZE)
    ref = await put(store, data)
    monkeypatch.setattr(os, "preadv", refuse)
    assert await get(store, ref) == data
    assert not store.damage


async def test_between_two_stripes_from_memory_others_have_their_turn(store, monkeypatch):
    keep_in_memory(monkeypatch)
    ref = await put(store, sample(20_000))
    turns = stripes = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def drain():
        nonlocal stripes
        reader = await store.open(ref)
        async for _ in reader:
            stripes += 1
        await reader.close()

    ticking = asyncio.ensure_future(others())
    await asyncio.gather(*(drain() for _ in range(4)))
    ticking.cancel()
    assert stripes >= 4 * 20
    assert turns >= 4 * 18, "four readers do not read in one turn"


@pytest.mark.parametrize("stripe_bytes", [1 << 20, 64 << 20])
def test_who_reads_alone_may_take_two_stripes_however_large(make_store, stripe_bytes):
    assert make_store("three", stripe_bytes=stripe_bytes).core.hold.share >= 2 * stripe_bytes
