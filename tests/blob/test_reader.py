"""What readers hold for slow receivers: bounded for all together, and never at the cost of a byte."""

import pytest

from s3ish.blob import reader as module
from s3ish.blob.reader import Hold
from tests.blob.support import flip, put, sample, shard_file

SIZE = 4500
HELD = 16_000


@pytest.fixture
def store(make_store, monkeypatch):
    """A store with stripes of 1,000 bytes whose readers may hold 16 of them."""
    monkeypatch.setattr(module, "LEAST_SHARE_BYTES", 64)
    monkeypatch.setattr(module, "READER_BYTES", 20)
    store = make_store("three")
    store.hold = Hold(HELD)
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


async def test_however_many_read_slowly_they_hold_little_and_get_every_byte(store):
    data = sample(SIZE)
    ref = await put(store, data)
    begun = [await begin(store, ref) for _ in range(60)]
    held = HELD - store.hold._free
    assert held <= HELD + 60 * (20 + 64)
    assert len(begun[0][1]) == 500, "the first has a whole block"
    assert len(begun[-1][1]) <= 100
    for reader, taken in begun:
        assert await finish(reader, taken) == data
    assert store.hold._free == HELD


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
    assert store.hold._free == HELD


async def test_who_reads_alone_is_given_whole_blocks_while_the_next_are_read(store):
    ref = await put(store, sample(SIZE))
    reader = await store.open(ref)
    assert [len(piece) async for piece in reader] == [500] * 8 + [250] * 2
    await reader.close()


@pytest.mark.parametrize("stripe_bytes", [1 << 20, 64 << 20])
def test_who_reads_alone_may_take_two_stripes_however_large(make_store, stripe_bytes):
    assert make_store("three", stripe_bytes=stripe_bytes).hold.share >= 2 * stripe_bytes
