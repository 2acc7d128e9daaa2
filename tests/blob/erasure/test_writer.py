"""Writers under cancellation, failing volumes and full disks."""

import asyncio
import errno
import os
import threading

import pytest

from s3ish.blob.erasure import sidecar
from s3ish.blob.erasure.core import BlobSettings
from s3ish.blob.erasure.store import ErasureStore
from s3ish.blob.paths import Past
from s3ish.blob.protocol import Amendment, Missing, Unwritable, VolumeError, VolumesFull
from s3ish.clock import Clock
from s3ish.threads import ThreadPool
from tests.blob.support import SIDECAR, get, keep_in_memory, put, sample, scanned, shard_file, sidecar_files, strays


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class CancellingOffload(ThreadPool):
    """Cancels a task while its job number ``at`` is running on its thread, and only then lets the job go on."""

    def __init__(self, at):
        super().__init__(8)
        self.left, self.task, self.hit = at, None, False

    async def run(self, function, *arguments):
        return await self._count(super().run, function, arguments)

    async def run_brief(self, function, *arguments):
        return await self._count(super().run_brief, function, arguments)

    async def run_short(self, function, *arguments):
        return await self._count(super().run_short, function, arguments)

    async def _count(self, run, function, arguments):
        self.left -= 1
        if self.left:
            return await run(function, *arguments)
        loop, started, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        self.hit = True

        def held():
            loop.call_soon_threadsafe(started.set)
            release.wait(30)
            return function(*arguments)

        async def cancel():
            await started.wait()
            self.task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            release.set()

        self.kept = asyncio.ensure_future(cancel())
        return await run(held)


def with_offload(store, offload):
    store.core.offload = offload
    return store


@pytest.mark.parametrize("shape", ["one", "three"])
@pytest.mark.parametrize("size", [50, 900, 3500])
@pytest.mark.parametrize("digest", [None, len])
async def test_cancelled_at_any_job_a_writer_leaves_nothing(make_store, files, shape, size, digest):  # case 109
    store = make_store(shape)
    before = descriptors()
    for at in range(1, 40):
        offload = CancellingOffload(at)
        with_offload(store, offload)
        offload.task = asyncio.ensure_future(put(store, sample(size), digest=digest))
        if not offload.hit:
            await asyncio.wait([offload.task])
        if not offload.hit:
            break
        assert offload.task.cancelled() or offload.task.done()
        with pytest.raises(asyncio.CancelledError):
            await offload.task
        await offload.kept
        offload.close()
        assert files() == []
        assert descriptors() == before
    else:
        pytest.fail("the writer never came to its end")
    assert at > 1
    assert await get(store, await offload.task) == sample(size)
    offload.close()


async def test_cancelled_while_it_removes_a_writer_leaves_nothing(make_store, files):
    store = make_store("three")

    async def fail():
        async with store.create("b/k", None) as writer:
            await writer.write(sample(1500))
            raise KeyError

    with_offload(store, CancellingOffload(2))
    store.core.offload.task = asyncio.ensure_future(fail())
    with pytest.raises(asyncio.CancelledError):
        await store.core.offload.task
    await store.core.offload.kept
    store.core.offload.close()
    assert files() == []


@pytest.mark.parametrize("shape", ["one", "six"])
@pytest.mark.parametrize(("in_memory", "jobs"), [(True, 1), (False, 5)])
async def test_cancelled_readers_close_their_files(make_store, monkeypatch, shape, in_memory, jobs):
    keep_in_memory(monkeypatch, lambda: in_memory)
    store = make_store(shape)
    ref = await put(store, sample(4500))
    before = descriptors()
    for at in range(1, 20):
        offload = CancellingOffload(at)
        with_offload(store, offload)
        offload.task = asyncio.ensure_future(get(store, ref))
        await asyncio.wait([offload.task])
        if not offload.hit:
            break
        with pytest.raises(asyncio.CancelledError):
            await offload.task
        await offload.kept
        offload.close()
        assert descriptors() == before
    offload.close()
    assert at == jobs + 1
    assert descriptors() == before


async def test_readers_that_are_given_up_close_their_files(disk_store):
    ref = await put(disk_store, sample(4500))
    before = descriptors()
    for pieces in range(4):
        reader = await disk_store.open(ref)
        for _ in range(pieces):
            await anext(reader)
        await reader.close()
        disk_store.core.offload.close()
        with_offload(disk_store, ThreadPool(4))
        assert descriptors() == before
    disk_store.core.offload.close()


def fail(volume, method, error, after=0):
    """Let a primitive of a volume fail, after it has succeeded some times."""
    real, left = getattr(volume, method), [after]

    def failing(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise error
        return real(*arguments, **options)

    setattr(volume, method, failing)


BREAKS = [("create", 0), ("write", 0), ("write", 2), ("sync", 0), ("sync_entries", 0), ("write_file", 0)]


@pytest.mark.parametrize(("method", "after"), BREAKS)
@pytest.mark.parametrize("size", [50, 3500])
@pytest.mark.parametrize("digest", [None, len])
async def test_with_a_volume_failing_the_rest_is_written_and_the_loss_reported(
    make_store, method, after, size, digest
):  # case 134
    store = make_store("three")
    for seed in range(6):
        store.damage.clear()
        broken = store.volumes.at(seed % 3)
        fail(broken, method, VolumeError("broken"), after if size > 50 else 0)
        ref = await put(store, sample(size, seed), home=f"b/{seed}", digest=digest)
        del broken.__dict__[method]
        damaged = set((await store.check(ref, repair=False)).damaged)
        assert [(blob, set(names)) for blob, names in store.damage] == ([(ref.id, damaged)] if damaged else [])
        assert await get(store, ref) == sample(size, seed)
        assert (await store.check(ref, repair=True)).repaired == bool(damaged)
        assert (await store.check(ref, repair=False)).whole


@pytest.mark.parametrize("error", [VolumeError("broken"), VolumesFull("full")])
@pytest.mark.parametrize(("method", "after"), BREAKS)
@pytest.mark.parametrize("size", [50, 3500])
@pytest.mark.parametrize("digest", [None, len])
async def test_below_the_quorum_nothing_is_stored(
    make_store, files, method, after, size, digest, error
):  # cases 26, 133
    store = make_store("three")
    for volume in store.volumes.present:
        fail(volume, method, error, after if size > 50 else 0)
    with pytest.raises(VolumesFull if isinstance(error, VolumesFull) else Unwritable, match=str(error)):
        await put(store, sample(size), digest=digest)
    assert files() == []


@pytest.mark.parametrize("method", ["create", "write"])
@pytest.mark.parametrize("size", [50, 3500])
@pytest.mark.parametrize("digest", [None, len])
async def test_one_full_volume_is_a_full_store(make_store, files, method, size, digest):  # case 133
    store = make_store("one")
    ref = await put(store, sample(size), home="b/old")
    kept = files()
    fail(store.volumes.at(0), method, VolumesFull("no room"), 1 if size > 50 else 0)
    with pytest.raises(VolumesFull, match="no room"):
        await put(store, sample(size), digest=digest)
    assert files() == kept
    assert await get(store, ref) == sample(size)
    await store.delete(ref)
    del store.volumes.at(0).__dict__[method]
    assert await get(store, await put(store, sample(size))) == sample(size)


def flushes(store, monkeypatch, broken=""):
    """Let a store on one volume flush; return the list of what it has flushed. A path with ``broken`` in it fails."""
    volume = store.volumes.at(0)
    volume.fsync, flushed = True, []

    def fsync(descriptor):
        path = os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), volume.root)
        if broken and broken in path:
            raise OSError(errno.ENOSPC, "no room")
        flushed.append(path)

    monkeypatch.setattr(os, "fsync", fsync)
    return flushed


@pytest.mark.parametrize("digest", [None, len])
async def test_what_is_written_is_flushed_with_its_folders_before_it_is_finished(make_store, monkeypatch, digest):
    store = make_store("one")
    await put(store, sample(2000), home="b/folder/first")
    flushed = flushes(store, monkeypatch)
    refs = await asyncio.gather(*(put(store, sample(2500, n), home=f"b/folder/{n}", digest=digest) for n in range(8)))
    for number, ref in enumerate(refs):
        shards = {f"{ref.id}/{name}" for name in ("data.0", "data.1", "parity.0")}
        assert shards | {ref.id, "b/folder", "b", "."} <= set(flushed)
        assert await get(store, ref) == sample(2500, number)


async def test_of_blobs_that_come_together_the_one_without_room_fails(make_store, files, monkeypatch):
    store = make_store("one")
    flushes(store, monkeypatch, broken="/3@")
    putting = [put(store, sample(2500, n), home=f"b/{n}", digest=len) for n in range(8)]
    outcomes = await asyncio.gather(*putting, return_exceptions=True)
    assert isinstance(outcomes.pop(3), VolumesFull)
    assert sum(path.endswith("metadata.json") for path in files()) == 7
    assert not [path for path in files() if "/3@" in path]
    for number, ref in zip([0, 1, 2, 4, 5, 6, 7], outcomes, strict=True):
        assert await get(store, ref) == sample(2500, number)


async def test_of_blobs_that_come_together_a_cancelled_one_disturbs_nobody(make_store, files, monkeypatch):
    store = make_store("one")
    flushed, first, release = flushes(store, monkeypatch), threading.Event(), threading.Event()
    real = os.fsync

    def fsync(descriptor):
        first.set()
        release.wait(30)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    putting = [asyncio.ensure_future(put(store, sample(2500, n), home=f"b/{n}/k", digest=len)) for n in range(8)]
    while not first.is_set():
        await asyncio.sleep(0.001)
    putting[3].cancel()
    await asyncio.sleep(0.01)
    release.set()
    outcomes = await asyncio.gather(*putting, return_exceptions=True)
    assert isinstance(outcomes.pop(3), asyncio.CancelledError)
    for ref in outcomes:
        assert {ref.id, ref.id.rpartition("/")[0]} <= set(flushed)
    async with asyncio.timeout(10):
        while any("b/3" in path for path in files()):
            await asyncio.sleep(0.001)
    assert sum(path.endswith("metadata.json") for path in files()) == 7


async def test_a_failed_second_seal_takes_the_blob_away(make_store, files):
    store = make_store("one")
    with pytest.raises(Unwritable):
        async with store.create("b/k", None) as writer:
            await writer.write(sample(1500))
            await writer.finish()
            await writer.seal(SIDECAR)
            fail(store.volumes.at(0), "replace", VolumeError("broken"))
            await writer.seal(SIDECAR)
    assert files() == []


async def test_adopt_leaves_nothing_where_it_cannot_link(make_store, files):
    store = make_store("three")
    source = await put(store, sample(2500), home="b/source")
    kept = files()
    fail(store.volumes.at(1), "link", VolumeError("too many links"))
    async with store.create("b/copy", None) as writer:
        assert not await writer.adopt(source)
        assert files() == kept
        await writer.write(sample(2500))
        copy = await writer.finish()
        await writer.seal(SIDECAR)
    assert await get(store, copy) == sample(2500)


async def test_adopting_what_is_gone_or_damaged_is_refused(make_store):
    store = make_store("three")
    source = await put(store, sample(2500))
    os.unlink(shard_file(store, source, 2))
    async with store.create("b/copy", None) as writer:
        assert not await writer.adopt(source)


async def test_a_repaired_copy_does_not_touch_the_other(make_store):
    store = make_store("three")
    source = await put(store, sample(2500))
    async with store.create("b/copy", None) as writer:
        assert await writer.adopt(source)
        copy = await writer.finish()
        await writer.seal(SIDECAR)
    os.truncate(shard_file(store, source, 0), 10)  # of both: they share it
    assert (await store.check(copy, repair=True)).repaired
    assert (await store.check(source, repair=False)).damaged == ("data.0",)
    assert await get(store, source) == await get(store, copy) == sample(2500)


@pytest.mark.parametrize("size", [50, 2500])
async def test_an_amendment_below_the_quorum_fails(make_store, size):
    store = make_store("three")
    ref = await put(store, sample(size))
    for position in ref.volumes[: 2 if size > 50 else 3]:
        fail(store.volumes.at(position), "replace", VolumesFull("no room"))
    with pytest.raises(VolumesFull):
        await store.amend(ref, b"{}")
    assert await get(store, ref) == sample(size)


@pytest.mark.parametrize("step", ["write_file", "sync_all", "rename"])
async def test_many_amendments_below_the_quorum_fail_and_leave_the_sidecars(make_store, step):
    store = make_store("three")
    refs = [await put(store, sample(2500), home=f"b/{number}") for number in range(40)]
    for position in (0, 1):
        fail(store.volumes.at(position), step, VolumesFull("no room"))
    outcomes = await store.amend_all([Amendment(ref, b"{}") for ref in refs])
    assert [type(outcome) for outcome in outcomes] == [VolumesFull] * 40
    for position in (0, 1):
        del store.volumes.at(position).__dict__[step]
        assert {len(store.volumes.at(position).names(ref.id)) for ref in refs} == {2}, "a shard and the sidecar"


async def test_many_amendments_on_two_of_three_volumes_are_reported(make_store):
    store = make_store("three")
    refs = [await put(store, sample(2500), home=f"b/{number}") for number in range(40)]
    fail(store.volumes.at(1), "rename", VolumeError("read-only"))
    assert await store.amend_all([Amendment(ref, b"{}") for ref in refs]) == [None] * 40
    assert sorted(blob for blob, _ in store.damage) == sorted(ref.id for ref in refs)
    assert {await store.read_sidecar(ref) for ref in refs} == {b"{}"}


async def test_an_amendment_is_seen_whole_or_not_at_all(make_store):
    store = make_store("three")
    ref = await put(store, b"data", sidecar=b'{"n":0}')
    seen = []

    async def read():
        while not seen or seen[-1] != b'{"n":20}':
            seen.append(await store.read_sidecar(ref))

    reading = asyncio.ensure_future(read())
    for number in range(1, 21):
        await store.amend(ref, b'{"n":%d}' % number)
    await reading
    numbers = [int(text[5:-1]) for text in seen]
    assert numbers == sorted(numbers)


async def test_a_delete_that_cannot_take_the_sidecar_says_so(make_store):
    store = make_store("three")
    ref = await put(store, sample(2500))
    fail(store.volumes.at(1), "unlink", VolumeError("read-only"))
    with pytest.raises(Unwritable, match="read-only"):
        await store.delete(ref)
    del store.volumes.at(1).__dict__["unlink"]
    await store.delete(ref)
    assert await scanned(store) == []


async def test_what_is_unsealed_already_is_not_flushed_again(make_store, monkeypatch):
    store = make_store("three")
    ref = await put(store, sample(2500))
    flushed = [flushes_of(store.volumes.at(position), monkeypatch) for position in ref.volumes]
    await store.unseal(ref)
    assert [len(each) for each in flushed] == [1, 1, 1]
    await store.unseal(ref)
    assert [len(each) for each in flushed] == [1, 1, 1]
    await store.amend(ref, b"{}")
    await store.unseal(ref)
    assert [len(each) for each in flushed] == [2, 2, 2]


def flushes_of(volume, monkeypatch):
    """Return the blobs whose removal a volume has flushed, from now on."""
    flushed = []
    monkeypatch.setattr(volume, "sync_removal", flushed.append)
    return flushed


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("size", [50, 2500])
async def test_what_is_sealed_again_as_it_was_is_written_nowhere(make_store, monkeypatch, size, count):
    store = make_store("three")
    refs = [await put(store, sample(size), home=f"b/{number}") for number in range(count)]
    for ref in refs:
        await store.unseal(ref)
    assert await scanned(store) == []
    written = []
    for position in range(3):
        monkeypatch.setattr(store.volumes.at(position), "write_file", lambda *_, **__: written.append(1))
    data = sample(size) if size == 50 else None
    assert await store.amend_all([Amendment(ref, SIDECAR, data) for ref in refs]) == [None] * count
    assert (written, len(await scanned(store))) == ([], count)
    assert {await get(store, ref) for ref in refs} == {sample(size)}


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("size", [50, 2500])
async def test_what_is_sealed_as_something_else_leaves_nothing_of_what_it_was(make_store, size, count, files):
    store = make_store("three")
    refs = [await put(store, sample(size), home=f"b/{number}") for number in range(count)]
    before = files()
    for number, ref in enumerate(refs):
        await store.unseal(ref)
        if number % 2:  # on some volumes what was written is damaged
            os.truncate(f"{store.volumes.at(ref.volumes[0]).root}/{ref.id}/{sidecar.UNSEALED}", 9)
    data = sample(size) if size == 50 else None
    assert await store.amend_all([Amendment(ref, b"{}", data) for ref in refs]) == [None] * count
    assert files() == before
    assert {await store.read_sidecar(ref) for ref in refs} == {b"{}"}
    for ref in refs:
        assert (await store.check(ref, repair=False)).whole
        await store.unseal(ref)
        await store.delete(ref)
    assert files() == []


async def test_a_sweep_removes_what_a_sidecar_was_called_before_it_came_back(make_store, files):
    store = make_store("three")
    ref = await put(store, sample(2500))
    before = files()
    for position in ref.volumes:
        folder = f"{store.volumes.at(position).root}/{ref.id}"
        os.link(f"{folder}/{sidecar.NAME}", f"{folder}/{sidecar.UNSEALED}")
    assert await strays(store) == []
    async for _ in store.sweep(Past(2**63), lambda _: asyncio.sleep(0, True)):
        pass
    assert files() == before


async def test_shards_lie_on_distinct_volumes_and_rotate(make_store):
    store = make_store("six")
    firsts = set()
    for number in range(150):  # that one of them is never the first: once in 10^11 times
        ref = await put(store, sample(1500), home=f"b/{number}")
        assert sorted(ref.volumes) == list(range(6))
        firsts.add(ref.volumes[0])
    assert firsts == set(range(6))
    ref = await put(store, b"short")
    assert len(set(ref.volumes)) == len(ref.volumes) == ref.m + 1
    assert len(sidecar_files(store, ref)) == 3


@pytest.mark.parametrize(
    "settings",
    [
        BlobSettings(k=3, m=1),
        BlobSettings(inline_bytes=2000, stripe_bytes=1000),
        BlobSettings(stripe_bytes=1 << 30),
        BlobSettings(k=0),
    ],
)
def test_impossible_settings_are_refused(make_store, offload, settings):
    volumes = make_store("three").volumes
    with pytest.raises(ValueError, match="need"):
        ErasureStore(volumes, settings, clock=Clock(), offload=offload)


async def test_on_one_volume_sidecars_are_flushed_in_the_background(make_store):
    store = make_store("one")
    flushed = []
    store.volumes.at(0).sync_all = lambda: flushed.append(1)
    store.core.flusher._delay = 0
    ref = await put(store, b"x")
    async with asyncio.timeout(10):
        while not flushed:
            await asyncio.sleep(0.001)
    store.core.flusher._delay = 1000
    await put(store, b"y")
    await store.delete(ref)
    before = len(flushed)
    await store.core.flusher.close()
    assert len(flushed) == before + 1
    with pytest.raises(Missing):
        await get(store, ref)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("size", [50, 2500])
async def test_a_file_whose_flush_had_no_room_is_never_trusted(make_store, monkeypatch, size, number):  # cases 29, 134
    """The pages may be gone although a second flush succeeds: delayed allocation tells of it once."""
    store = make_store("three")
    for volume in store.volumes.present:
        volume.fsync = True
    failed, real = [], os.fsync

    def fsync(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path in failed:
            pytest.fail("flushed a second time, as if that could mean anything")
        if "/volume1/" in path and os.path.isfile(path) and not failed:
            failed.append(path)
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    ref = await put(store, sample(size), home=home_on(store, 1))
    assert failed
    assert not os.path.exists(failed[0]), "it looks whole, and may be lost in the next power cut"
    assert any(name.endswith("@1") for _, names in store.damage for name in names)
    assert await get(store, ref) == sample(size)
    damage = (await store.check(ref, repair=True)).damaged
    assert (await store.check(ref, repair=False)).whole, damage


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
async def test_a_repair_whose_flush_fails_takes_no_place(make_store, monkeypatch, number):
    store = make_store("three")
    ref = await put(store, sample(2500))
    for volume in store.volumes.present:
        volume.fsync = True
    path = shard_file(store, ref, 0)
    os.truncate(path, 10)

    def fsync(_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        assert not (await store.check(ref, repair=True)).repaired
    assert os.path.getsize(path) == 10
    assert sorted(os.listdir(os.path.dirname(path))) == ["data.0", "metadata.json"]


def home_on(store, position):
    """Return a home whose next blob has a file on a volume, be it small or large."""
    store.core.token = lambda: "fixed"
    return next(f"b/{n}" for n in range(100) if position in store.volumes.place(f"b/{n}@fixed", 3)[:2])


@pytest.mark.parametrize(
    ("pieces", "stripe"),
    [
        (None, 1 << 20),
        (1, 128 << 10),
        (200_000, 200_000),
        (1 << 20, 1 << 20),
        ((1 << 20) + 256, (1 << 20) + 256),
        ((1 << 20) + (1 << 12), (1 << 20) + (1 << 12)),
        ((1 << 20) + (1 << 12) + 1, 1 << 20),
        (64 << 20, 1 << 20),
    ],
)
def test_a_stripe_is_as_long_as_the_pieces_that_are_written_if_they_are_not_much_longer(pieces, stripe):
    assert BlobSettings().stripe_of(pieces) == stripe
