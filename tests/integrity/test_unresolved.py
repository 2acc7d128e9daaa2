"""What a failed request has sealed or amended is dealt with by the same process, and never comes back."""

import asyncio

import pytest

from s3ish.blob.protocol import VolumeError
from s3ish.blob.volumes.volume import Volume
from s3ish.errors import PreconditionFailed, S3Error
from s3ish.index.protocol import Put, Unavailable
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.unresolved import UnresolvedJob
from s3ish.model import BlobRef
from s3ish.objects import unresolved
from s3ish.objects.conditions import WriteConditions
from s3ish.tables.catalogue import GARBAGE, VERSIONS
from tests.objects.support import (
    SteadyClock,
    World,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    head,
    make_bucket,
    outcome,
    put,
    referenced,
    remove,
    sample,
    sealed,
    strays,
)


class FakeClock(SteadyClock):
    seconds = 100.0

    def monotonic(self):
        return self.seconds


class Failing:
    """An index whose commits fail while ``after`` is not None: when they were done (True), or were not (False)."""

    def __init__(self, index):
        self._index, self.after = index, None

    async def commit(self, changes, expect=()):
        if self.after is not False:
            await self._index.commit(changes, expect)
        if self.after is not None:
            raise Unavailable("an I/O error")

    def __getattr__(self, name):
        return getattr(self._index, name)


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path, clock=FakeClock())
    yield world
    await world.close()


@pytest.fixture
async def store(world):
    store = world.open(wrap=Failing)
    await make_bucket(store)
    await put(store, "k", b"old")
    return store


async def rebuilt(world):
    again = world.open(world.index_path.with_name("again.db"))
    await rebuild(again)
    return again


WRITES = {
    "put small": lambda store: put(store, "k", b"new"),
    "put large": lambda store: put(store, "k", sample(1500)),
    "mark": lambda store: remove(store, "k", bucket="v"),
    "begin": lambda store: begin(store, "k"),
    "bucket": lambda store: make_bucket(store, "other"),
}


@pytest.mark.parametrize("write", WRITES)
async def test_what_a_failed_commit_left_is_removed_without_a_restart(world, store, write):  # case 151
    await make_bucket(store, "v", "Enabled")
    before, job = await sealed(store), UnresolvedJob(store)
    store.index.after = False
    assert await outcome(WRITES[write](store)) is not None
    assert store.leftovers
    assert len(await sealed(store)) == len(before) + 1, "the index may have it"
    await job.step()
    assert len(await sealed(store)) == len(before) + 1, "the index still fails: nobody knows"
    store.index.after = None
    await job.step()
    assert not store.leftovers
    assert await sealed(store) == await referenced(store) == before
    assert await get(await rebuilt(world), "k") == b"old"


@pytest.mark.parametrize("size", [10, 1500])
async def test_what_was_committed_although_the_commit_failed_stays(world, store, size):
    store.index.after = True
    assert issubclass(await outcome(put(store, "k", sample(size))), S3Error)
    store.index.after = None
    await UnresolvedJob(store).step()
    assert not store.leftovers
    assert await get(store, "k") == sample(size)
    assert (await store.blobs.check((await head(store, "k")).blob, repair=False)).whole


async def test_parts_and_copies_of_parts(world, store, monkeypatch):
    monkeypatch.setattr("s3ish.objects.multipart.MIN_PART_BYTES", 0)
    upload = await begin(store, "many")
    many = await complete(store, upload, [await add_part(store, upload, n, sample(1500, n)) for n in (1, 2)])
    going_on = await begin(store, "many")
    before = await sealed(store)
    store.index.after = False
    await outcome(copy_to(store, many, "copy"))
    await outcome(add_part(store, going_on, 1, sample(1500, 3)))
    assert len(await sealed(store)) == len(before) + 4
    store.index.after = None
    await UnresolvedJob(store).step()
    assert await sealed(store) == await referenced(store) == before


async def test_a_write_that_is_cancelled_in_its_commit(store, monkeypatch):
    real = store.index.commit

    async def commit(changes, expect=()):
        monkeypatch.setattr(store.index, "commit", real)
        raise asyncio.CancelledError

    monkeypatch.setattr(store.index, "commit", commit)
    with pytest.raises(asyncio.CancelledError):
        await put(store, "k", sample(1500))
    await UnresolvedJob(store).step()
    assert await sealed(store) == await referenced(store)
    assert await get(store, "k") == b"old"


@pytest.mark.parametrize("size", [10, 1500])
async def test_a_write_that_misses_its_quorum_and_cannot_be_undone(world, store, monkeypatch, size):  # case 151
    """The drives that failed cannot be cleared, and the one that did not may lose its files only later."""

    def fail(*_):
        raise VolumeError("an I/O error")

    with monkeypatch.context() as patched:
        for name in ("sync_entries", "unlink", "remove"):
            patched.setattr(Volume, name, fail)
        assert issubclass(await outcome(put(store, "k", sample(size))), S3Error)
        assert len(await sealed(store)) == 3
        await UnresolvedJob(store).step()
        assert not store.leftovers, "it is named as garbage, which a restart does not forget"
        assert len(await store.index.scan("garbage", b"", b"\xff", 9)) == 1
    store.leftovers.add(await one_that_is_garbage(store))
    await UnresolvedJob(store).step()
    assert await sealed(store) == await referenced(store)
    assert await strays(store) == []
    assert await get(await rebuilt(world), "k") == b"old"


async def one_that_is_garbage(store):
    ((key, value),) = await store.index.scan("garbage", b"", b"\xff", 9)
    return GARBAGE.decode(key, value).ref


async def test_a_refused_write_leaves_nothing_to_deal_with(store):
    assert await outcome(put(store, "k", conditions=WriteConditions(if_none_match="*"))) is PreconditionFailed
    assert not store.leftovers


async def test_what_a_damaged_row_may_name_waits(store):
    ((key, value),) = await store.index.scan("versions", b"", b"\xff", 9)
    version = store.hold(VERSIONS, key, value).record
    await store.index.commit([Put("versions", key, value[:-1] + b"\0")])
    store.leftovers.add(version.blob)
    job = UnresolvedJob(store)
    await job.step()
    assert version.blob.id in await sealed(store)
    await store.index.commit([Put("versions", key, value)])
    await job.step()
    assert not store.leftovers
    assert await get(store, "k") == b"old"


async def test_too_many_are_not_forgotten_silently(store, monkeypatch):
    monkeypatch.setattr(unresolved, "CAPACITY", 2)
    store.leftovers.add(*(BlobRef(f"b/x@{n}", 0, 0, "", 2, 1, 1000, (0, 1, 2), inline=True) for n in range(3)))
    await UnresolvedJob(store).step()
    assert store.leftovers, "this process does not end cleanly: the next start sweeps"
