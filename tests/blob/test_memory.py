"""The blob store in memory: snapshots share bytes, and these take room as long as any store or snapshot has them."""

import pytest

from s3ish.blob.memory import Capacity, MemoryBlobStore
from s3ish.blob.protocol import VolumesFull
from s3ish.clock import Clock


async def put(store, data, sidecar=b"{}"):
    async with store.create("home") as writer:
        await writer.write(data)
        ref = await writer.finish()
        await writer.seal(sidecar)
    return ref


async def test_bytes_take_room_until_nothing_has_them():
    capacity = Capacity(1000)
    store = MemoryBlobStore(clock=Clock(), capacity=capacity)
    ref = await put(store, b"x" * 600)
    snapshot = store.snapshot()
    await store.delete(ref)
    assert capacity.used_bytes == 600
    with pytest.raises(VolumesFull):
        await put(store, b"x" * 600)
    assert capacity.used_bytes == 600
    restored = MemoryBlobStore(clock=Clock(), capacity=capacity, blobs=snapshot)
    del snapshot
    assert (await restored.check(ref, repair=False)).readable
    restored.forget()
    assert capacity.used_bytes == 0
    await put(store, b"x" * 1000)


async def test_a_sidecar_that_is_written_again_takes_no_room():
    capacity = Capacity()
    store = MemoryBlobStore(clock=Clock(), capacity=capacity)
    async with store.create("home") as writer:
        await writer.write(b"x" * 100)
        ref = await writer.finish()
        await writer.seal(b"1")
        await writer.seal(b"2")
    snapshot = store.snapshot()
    await store.amend(ref, b"3")
    assert capacity.used_bytes == 100
    assert await store.read_sidecar(ref) == b"3"
    assert snapshot[ref.id].sidecar == b"2"
    store.bring(snapshot, [ref.id])
    assert await store.read_sidecar(ref) == b"2"


async def test_a_lost_inline_blob_that_is_written_again_takes_room():
    capacity = Capacity()
    store = MemoryBlobStore(clock=Clock(), capacity=capacity)
    ref = await put(store, b"x" * 100)
    store.forget()
    await store.amend(ref, b"{}", inline=b"x" * 100)
    assert capacity.used_bytes == 100
    await store.delete(ref)
    assert capacity.used_bytes == 0
