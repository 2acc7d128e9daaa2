"""Drives that do not answer: the others go on without them, and what they lack is repaired when they are back."""

import asyncio
import os
import threading
import time
from contextlib import suppress

import pytest

from s3ish.blob.paths import Past
from s3ish.blob.protocol import Unwritable, VolumeError
from s3ish.blob.volumes import folders as walking
from s3ish.blob.volumes import volume
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.blob.volumes.probe import SILENT, probe
from s3ish.blob.volumes.watchdog import _LOOKS
from s3ish.clock import Clock
from tests.blob.support import SIDECAR, HangingDrives, get, put, sample, scanned, sidecar_files
from tests.waiting import WAIT_SECONDS, until

pytestmark = pytest.mark.slow
PATIENCE, PATIENCE_AT_START = 0.3, 2
LARGE, SMALL = 3500, 50


@pytest.fixture
def drives(monkeypatch):
    drives = HangingDrives(monkeypatch)
    yield drives
    drives.release()


@pytest.fixture
def watched(make_store):
    store = make_store("three", missing=1)
    store.volumes.patience_seconds = PATIENCE
    store.states = []
    store.core.watch._on_state = lambda position, state: store.states.append((position, state))
    return store


@pytest.fixture
def store(watched, drives):
    """A store that sees only those calls hang that are made to: on a busy machine any other may take long as well."""
    look = watched.core.watch._look

    def look_at_hanging_calls():
        for each in watched.volumes.present:
            for thread, call in list(each.calls.under_way.items()):
                if thread not in drives.threads:
                    call.steps += 1
        look()
        watched.looks += 1

    watched.looks, watched.core.watch._look = 0, look_at_hanging_calls
    return watched


def root(store, position):
    return store.volumes.at(position).root


async def patience_is_over(store):
    """Wait until the watch has looked often enough to have seen that a call hangs, several times over."""
    end = store.looks + 4 * _LOOKS
    await until(lambda: store.looks >= end)


async def answers_again(store, drives, position):
    drives.release()
    await until(lambda: store.states[-1:] == [(position, "ok")])


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_reads_go_on_without_the_drive(store, drives, size):  # case 29
    data = sample(size)
    ref = await put(store, data)
    drives.hang(root(store, ref.volumes[0]))
    assert await get(store, ref) == data
    hung = len(drives.waiting)
    assert hung
    for start in (0, size // 2):
        assert await get(store, ref, start) == data[start:]
    assert await store.read_sidecar(ref) == SIDECAR
    assert len(drives.waiting) == hung  # nothing waits for it a second time
    assert store.states == [(ref.volumes[0], "does not answer")]


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("name", ["open", "mkdir", "fstatvfs", "pwritev"])
async def test_writes_go_on_without_the_drive_and_are_repaired_when_it_is_back(store, drives, name, size):  # case 29
    position = 1
    drives.hang(root(store, position), names={name})
    data = sample(size)
    refs = [await put(store, data, home=f"b/{number}") for number in range(24)]
    assert drives.waiting.count(name) == 1
    assert {blob for blob, _ in store.damage} == {ref.id for ref in refs if position in ref.volumes}
    await answers_again(store, drives, position)
    for ref in refs:
        assert await get(store, ref) == data
        health = await store.check(ref, repair=True)
        assert health.readable
        assert health.whole or (health.repaired and health.volumes == (position,))
        assert (await store.check(ref, repair=False)).whole


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_what_was_removed_meanwhile_is_removed_though_the_index_is_lost(store, drives, size):  # cases 29, 160
    """That the drive is to remove it as well stands in the index alone."""
    position = 1
    refs = [await put(store, sample(size), home=f"b/{number}") for number in range(6)]
    drives.hang(root(store, position))
    for ref in refs:
        with suppress(Unwritable):
            await store.delete(ref)
    await answers_again(store, drives, position)
    later = await put(store, sample(size), home="b/later")
    await until(store.volumes.at(position).marks.behind)
    store.volumes.look_behind()
    found = {blob.ref.id: blob.outdated async for blob in store.scan()}
    assert found.pop(later.id) is False
    assert found, "the first removal alone was under way"
    assert found == {ref.id: True for ref in refs if ref.id in found}


@pytest.mark.parametrize("name", ["fsync", "rename"])
async def test_a_flush_or_a_rename_that_hangs_is_one_that_failed(store, drives, name):  # case 29
    data = sample(LARGE)
    for each in store.volumes.present:
        each.fsync = True
    drives.hang(root(store, 2), names={name})
    ref = await put(store, data)
    await store.amend(ref, b'{"n":2}')
    assert drives.waiting.count(name) == 1
    await answers_again(store, drives, 2)
    assert await store.read_sidecar(ref) == b'{"n":2}'
    assert await get(store, ref) == data
    health = await store.check(ref, repair=True)
    assert health.repaired == (name == "fsync")  # the rename has happened in the end
    assert (await store.check(ref, repair=False)).whole


async def test_more_wait_for_it_than_there_are_threads(store, drives):  # case 29
    data = sample(LARGE)
    refs = [await put(store, data, home=f"b/{number}") for number in range(40)]
    drives.hang(root(store, 0))
    assert await asyncio.gather(*(get(store, ref) for ref in refs)) == [data] * 40
    await asyncio.gather(*(put(store, data, home=f"c/{number}") for number in range(40)))
    assert 1 <= len(drives.waiting) <= 8
    await answers_again(store, drives, 0)
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("try-volume")])


async def test_a_call_that_begins_long_after_its_job_is_seen(store, drives):  # case 29
    """The watch must not go to sleep while a job is under way that will only later work on a volume."""
    volume, looked = store.volumes.at(1), asyncio.Event()
    look, looks, go = store.core.watch._look, [], threading.Event()

    def count():
        look()
        looks.append(len(volume.calls.under_way))
        if len(looks) == 3:
            looked.set()

    store.core.watch._look = count
    drives.hang(root(store, 1), names={"fstatvfs"})

    def late():
        go.wait(WAIT_SECONDS)
        return volume.free_bytes()

    job = asyncio.ensure_future(store.core.run(late))
    await looked.wait()
    assert looks == [0, 0, 0]
    go.set()
    with pytest.raises(VolumeError, match="does not answer"):
        await job
    await answers_again(store, drives, 1)
    drained = len(looks)
    await asyncio.sleep(PATIENCE)
    assert len(looks) - drained <= 1  # and it does, when there is none


async def test_a_drive_that_is_away_is_no_damage_to_what_is_read(store, drives):
    data = sample(LARGE)
    ref = await put(store, data)
    drives.hang(root(store, ref.volumes[0]))
    assert await get(store, ref) == data  # this one has met it
    store.damage.clear()
    assert await get(store, ref) == data
    assert store.damage == []


async def test_what_parity_cannot_make_good_waits_for_its_drive(store, drives):
    data = sample(LARGE)
    ref = await put(store, data)
    drives.hang(root(store, 0), root(store, 1))
    reading = asyncio.ensure_future(get(store, ref))
    await patience_is_over(store)
    assert not reading.done()
    assert len(store.states) == 1
    drives.release()
    assert await reading == data


async def test_the_only_volume_is_waited_for(make_store, drives):
    store = make_store("one")
    store.volumes.patience_seconds = PATIENCE
    ref = await put(store, sample(LARGE))
    drives.hang(root(store, 0))
    reading = asyncio.ensure_future(get(store, ref))
    await asyncio.sleep(4 * PATIENCE)
    assert not reading.done()
    drives.release()
    assert await reading == sample(LARGE)


async def test_a_deletion_fails_until_the_drive_is_back(store, drives):
    ref = await put(store, sample(LARGE))
    drives.hang(root(store, 2))
    for _ in range(2):
        with pytest.raises(Unwritable, match="does not answer"):
            await store.delete(ref)
    assert len(drives.waiting) == 1
    await answers_again(store, drives, 2)
    await store.delete(ref)
    assert await scanned(store) == []
    assert not [path for path in sidecar_files(store, ref) if os.path.exists(path)]


async def unnamed(_):
    return False


async def test_a_scan_sees_all_blobs_nevertheless(store, drives):
    refs = [await put(store, sample(LARGE), home=f"b/{number:03}") for number in range(150)]
    scan = store.scan()
    seen = [(await anext(scan)).ref.id]
    drives.hang(root(store, 0))
    seen += [blob.ref.id async for blob in scan]
    assert seen == sorted(ref.id for ref in refs)
    assert drives.waiting
    swept = [item.name async for item in store.sweep(Past(0), unnamed)]
    assert {ref.id for ref in refs} < set(swept), "folders as well"


async def test_a_write_that_is_cancelled_meanwhile_leaves_nothing(store, drives):
    begun = len(os.listdir("/proc/self/fd"))
    drives.hang(root(store, 1), names={"pwritev"})
    writing = asyncio.ensure_future(put(store, sample(LARGE)))
    await until(lambda: drives.waiting)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert store.states == [(1, "does not answer")]
    for position in (0, 2):
        assert list(store.volumes.at(position).walk()) == []
    await answers_again(store, drives, 1)
    assert [item.removed async for item in store.sweep(Past(2**63), unnamed) if item.stray] == [True]
    await until(lambda: len(os.listdir("/proc/self/fd")) == begun)
    assert list(store.volumes.at(1).walk()) == []


async def test_files_of_removed_blobs_are_closed_when_the_drive_is_back(store, drives):
    begun = len(os.listdir("/proc/self/fd"))
    ref = await put(store, sample(LARGE))
    reader = await store.open(ref)
    await anext(reader)
    drives.hang(root(store, ref.volumes[0]))
    await get(store, ref)
    assert store.volumes.missed == 1
    await reader.close()
    await answers_again(store, drives, ref.volumes[0])
    await until(lambda: len(os.listdir("/proc/self/fd")) == begun)


async def test_it_is_left_alone_for_a_while_and_tried_before_it_is_used(store, drives):
    ref = await put(store, sample(LARGE))
    position = ref.volumes[0]
    drives.hang(root(store, position))
    await get(store, ref)
    drives.hang(root(store, position), names={"fsync"})
    with drives._answered:
        drives._answered.notify_all()  # what hung comes back, but nothing can be flushed
    await until(lambda: "fsync" in drives.waiting)
    await patience_is_over(store)
    assert store.states == [(position, "does not answer")]
    assert drives.waiting.count("fsync") == 1
    await answers_again(store, drives, position)


async def test_what_takes_long_but_comes_further_does_not_hang(watched, monkeypatch):
    store = watched
    refs = [await put(store, sample(SMALL), home=f"b/{number:02}") for number in range(30)]
    folders = os.scandir

    class SlowFolder:
        def __init__(self, folder):
            self.entries = folders(folder)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.entries.close()

        def __iter__(self):
            for entry in self.entries:
                time.sleep(0.02)
                yield entry

    monkeypatch.setattr(walking, "_ADVANCE", 2)
    monkeypatch.setattr(walking.os, "scandir", SlowFolder)
    seen = [ref.id async for ref, _, *_ in store.scan()]
    assert seen == sorted(ref.id for ref in refs)
    assert store.states == []


async def test_flushing_a_whole_file_system_may_take_long(store, drives, monkeypatch):
    def flush(_):
        drives.threads.add(threading.get_ident())
        time.sleep(3 * PATIENCE)
        drives.threads.discard(threading.get_ident())

    for each in store.volumes.present:
        each.fsync = True
    monkeypatch.setattr(volume, "syncfs", flush)
    ref = await put(store, sample(LARGE))
    await store.delete(ref)
    await store.core.flusher.close()
    assert store.states == []


def test_a_start_does_without_what_does_not_answer(tmp_path, drives):  # case 29
    roots = [str(tmp_path / f"v{number}") for number in range(3)]
    options = {"clock": Clock(), "missing": 1, "patience_seconds": PATIENCE_AT_START}
    open_volumes(roots, **options).close()
    drives.hang(roots[1])
    volumes = open_volumes(roots, **options)
    assert volumes.states == {0: "ok", 1: "out of reach", 2: "ok"}
    volumes.close()
    drives.hang(roots[1], roots[2])
    with pytest.raises(VolumeError, match="v1 does not answer"):
        open_volumes(roots, **options)


@pytest.mark.parametrize("name", ["listdir", "rename", "fsync", "unlink", "open"])
def test_a_start_goes_on_when_a_drive_hangs_in_the_middle_of_it(tmp_path, drives, name):  # case 29
    roots = [str(tmp_path / f"v{number}") for number in range(3)]
    volumes = open_volumes(roots, clock=Clock(), missing=1, patience_seconds=PATIENCE_AT_START)
    drives.hang(roots[2], names={name})
    volumes.lock_server()
    volumes.write_generation(7)
    volumes.lock_worker("a" * 8)
    again = volumes.again()
    assert again.generation == 7
    assert again.dead_workers() == set()
    again.forget_workers(["b" * 8])
    assert again.states[0] == again.states[1] == "ok"
    assert again.states[2] == "does not answer"
    assert set(drives.waiting) == {name}
    again.close()
    volumes.close()


def test_a_probe_tells_what_takes_no_writes(tmp_path):
    roots = [str(tmp_path / f"v{number}") for number in range(3)]
    open_volumes(roots[:2], clock=Clock()).close()
    os.mkdir(f"{roots[0]}/.s3ish/probe")
    no_directory = "takes no writes: No such file or directory"
    assert probe(roots, WAIT_SECONDS) == ["takes no writes: Is a directory", "ok", no_directory]
    assert sorted(os.listdir(f"{roots[1]}/.s3ish")) == ["volume.json", "volume.json.copy"]


def test_a_probe_waits_no_longer_than_it_should(tmp_path, monkeypatch):
    root = str(tmp_path / "v")
    open_volumes([root], clock=Clock()).close()
    monkeypatch.setattr("s3ish.blob.volumes.probe.write_and_remove", lambda _: threading.Event().wait())
    before = len(os.listdir("/proc/self/fd"))
    assert probe([root, root], PATIENCE) == [SILENT, SILENT]
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(VolumeError, match="v does not answer"):
        open_volumes([root], clock=Clock(), silent=[root])
