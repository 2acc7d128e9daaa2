"""What nobody expects of clocks and drives, and what must hold all the same."""

import pytest

from s3ish.blob.protocol import BlobError, VolumeError
from s3ish.blob.volumes.volume import Volume
from s3ish.errors import InternalError, PreconditionFailed, ServiceUnavailable
from s3ish.integrity.rebuild import rebuild
from s3ish.objects import multipart
from s3ish.objects.conditions import WriteConditions
from tests.objects.support import (
    SteadyClock,
    World,
    add_part,
    begin,
    complete,
    get,
    keys_of,
    make_bucket,
    outcome,
    put,
    sample,
    versions_of,
)

SECOND = 10**9
CREATE = WriteConditions(if_none_match="*")


@pytest.mark.parametrize("ahead_seconds", [-86_400 * 400, -3600, 3600, 86_400 * 400])
async def test_workers_whose_clocks_differ_agree_on_the_order(tmp_path, ahead_seconds):  # case 144
    clock = SteadyClock()
    clock.ns += ahead_seconds * SECOND
    clock.random_bytes = lambda count: sample(count, clock.now_ns())
    one, other = World(tmp_path), World(tmp_path, clock=clock)
    stores = [one.open(), other.open()]
    await make_bucket(stores[0], versioning="Enabled")
    made = []
    for number in range(6):
        made.insert(0, (await put(stores[number % 2], "k", b"%d" % number)).id)
        for store in stores:
            assert await get(store, "k") == b"%d" % number
    assert [version_id for _, version_id, _, _ in await versions_of(stores[0])] == made
    for store in (*stores, *stores):
        etag = (await store.newest("b", "k"))[0].record.etag
        replace = WriteConditions(if_match=f'"{etag}"')
        await put(store, "k", etag.encode(), conditions=replace)
        for late in stores:
            assert await outcome(put(late, "k", b"late", conditions=replace)) is PreconditionFailed
            assert await outcome(put(late, "k", b"late", conditions=CREATE)) is PreconditionFailed
            assert await get(late, "k") == etag.encode()
    await one.close()
    await other.close()


@pytest.mark.parametrize("size", [50, 2500])
async def test_a_folder_that_cannot_be_flushed_leaves_the_old_object_everywhere(
    tmp_path, monkeypatch, size
):  # cases 151, 152
    world = World(tmp_path)
    store = world.open()
    await make_bucket(store)
    old = sample(size)
    await put(store, "k", old)

    def refuse(self, blob):
        raise VolumeError("the folder cannot be flushed")

    with monkeypatch.context() as patched:
        patched.setattr(Volume, "sync_entries", refuse)
        assert await outcome(put(store, "k", sample(size, 2))) is ServiceUnavailable
        assert await outcome(put(store, "new", sample(size, 2))) is ServiceUnavailable
    for again in (store, world.open()):
        assert await get(again, "k") == old
        assert await keys_of(again) == ["k"]
    rebuilt = world.open(tmp_path / "other.db")
    await rebuild(rebuilt)
    assert await get(rebuilt, "k") == old
    assert await keys_of(rebuilt) == ["k"]
    await world.close()


async def test_parts_that_were_lost_before_completion_are_an_error_and_never_other_bytes(
    tmp_path, monkeypatch
):  # case 125
    import os

    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 200)
    world = World(tmp_path)
    store = world.open()
    await make_bucket(store)
    upload = await begin(store, "many")
    parts = [await add_part(store, upload, number, sample(2500, number)) for number in (1, 2)]
    for path in world.files_of(parts[1].blob)[:2]:
        os.unlink(path)
    await complete(store, upload, parts)
    with pytest.raises((InternalError, BlobError)):  # the latter in the middle of a stream, which is then cut short
        await get(store, "many")
    await world.close()
