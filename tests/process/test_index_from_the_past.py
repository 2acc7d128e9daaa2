"""An index put back from a copy, or that has lost its log: it is noticed, and nothing that was stored goes."""

import os
import shutil
import signal
import time
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import pytest

from s3ish import config_sources
from s3ish.blob.protocol import VolumeError
from s3ish.blob.volumes.volume import Volume
from s3ish.index.protocol import Put
from s3ish.integrity.blind_spots import BlindSpots
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.orphans import SweepJob
from s3ish.objects import buckets, multipart
from s3ish.process import start
from s3ish.tables import keys
from s3ish.tables.state import AWAY, SWEEP
from tests.objects.support import (
    add_part,
    begin,
    get,
    keys_of,
    make_bucket,
    put,
    referenced,
    remove,
    sample,
    sealed,
    versions_of,
)
from tests.process.test_blank_index import lose, serve
from tests.process.test_damaged_index import index_files, read_some
from tests.process.test_moving import ask
from tests.torture.client import CUT, Client
from tests.torture.linear import workers_of

OLD = {f"old-{number}": bytes([number]) * (10 + 3_000 * number) for number in range(20)}
NEW = {f"new-{number}": bytes([number]) * (20 + 3_000 * number) for number in range(20)}
SIZES = (10, 100_000)
LATER = 3
SUFFIXES = ("", "-wal", "-shm")


@pytest.fixture(autouse=True)
def plain_logs(monkeypatch):
    """Leave the logs of this process as other tests expect them."""
    monkeypatch.setattr(start, "set_up_logs", lambda *_: None)


def store(server, bodies, bucket="/things"):
    with closing(Client(server.endpoint)) as client:
        assert client.request("PUT", bucket).status in (200, 409)
        for key, body in bodies.items():
            assert client.request("PUT", f"{bucket}/{key}", body).ok


def copy_index(root, target):
    target.mkdir()
    for suffix in SUFFIXES:
        path = index_files(root).with_name(f"index.db{suffix}")
        if path.exists():
            shutil.copy(path, target / path.name)


def put_back(source, root):
    for suffix in SUFFIXES:
        index_files(root).with_name(f"index.db{suffix}").unlink(missing_ok=True)
    for path in source.iterdir():
        shutil.copy(path, index_files(root).parent / path.name)


def kill(server):
    """Kill all processes of a server, as a cut of the power does."""
    for worker in workers_of(server.process.pid):
        os.kill(worker, signal.SIGKILL)
    server.stop(signal.SIGKILL)


def sweep(server, bodies):
    """Read everything, also after the sweep that follows an unclean stop."""
    read_some(server, bodies)
    time.sleep(1.5)  # it begins half a second after the start, and finds little to do
    read_some(server, bodies)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_an_index_put_back_from_a_copy_of_the_same_run_is_noticed(start_server, tmp_path, stop, count):  # case 158
    roots = [tmp_path / str(number) for number in range(count)]
    server = start_server(*roots)
    store(server, OLD)
    copy_index(roots[0], tmp_path / "copy")
    store(server, NEW)
    with closing(Client(server.endpoint)) as client:
        assert client.request("DELETE", "/things/old-3").ok
    if stop == signal.SIGKILL:
        kill(server)
    else:
        server.stop()
    put_back(tmp_path / "copy", roots[0])
    again = start_server(*roots)
    left = {key: body for key, body in OLD.items() if key != "old-3"}
    sweep(again, left | NEW)
    with closing(Client(again.endpoint)) as client:
        assert client.request("GET", "/things/old-3").status == 404
    code, log = again.stop()
    assert code == 0
    assert "the index is older than what is on the volumes; it is rebuilt" in log


def test_the_last_commit_before_a_copy_is_put_back_counts(start_server, tmp_path):  # case 158
    server = start_server(tmp_path / "volume")
    store(server, OLD)
    time.sleep(0.1)
    copy_index(tmp_path / "volume", tmp_path / "copy")
    with closing(Client(server.endpoint)) as client:
        assert client.request("PUT", "/things/last", b"last").ok
    kill(server)
    put_back(tmp_path / "copy", tmp_path / "volume")
    again = start_server(tmp_path / "volume")
    sweep(again, OLD | {"last": b"last"})
    assert again.stop()[0] == 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_volume_knows_of_each_commit_before_it_is_answered(tmp_path, count):  # case 158
    roots = [str(tmp_path / str(number)) for number in range(count)]
    settings = config_sources.load({"storage.volumes": roots, "storage.fsync": False}, {})

    async def commit(store):
        await make_bucket(store, "b")
        for key, body in OLD.items():
            await put(store, key, body)
            assert store.blobs.volumes.commits == store.index.commits

    serve(settings, commit)


@pytest.mark.parametrize("happens", ["cut", "deleted", "flipped"])
def test_a_log_lost_or_damaged_between_two_runs_is_noticed(start_server, tmp_path, happens):  # cases 157, 158
    server = start_server(tmp_path / "volume")
    store(server, OLD)
    store(server, NEW)
    kill(server)
    log = index_files(tmp_path / "volume").with_name("index.db-wal")
    if happens == "deleted":
        log.unlink()
    elif happens == "cut":
        os.truncate(log, log.stat().st_size // 2)
    else:
        data = bytearray(log.read_bytes())
        data[len(data) // 2] ^= 1
        log.write_bytes(data)
    again = start_server(tmp_path / "volume")
    sweep(again, OLD | NEW)
    assert again.stop()[0] == 0


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_file_cut_under_a_running_server_costs_nothing(start_server, tmp_path, suffix):  # case 157
    server = start_server(tmp_path / "volume")
    store(server, OLD | NEW)
    os.truncate(f"{index_files(tmp_path / 'volume')}{suffix}", 0)
    read_some(server, OLD | NEW)
    server.stop()  # with an error, if nothing has needed what was cut
    again = start_server(tmp_path / "volume")
    sweep(again, OLD | NEW)
    assert again.stop()[0] == 0


def test_shared_memory_cut_under_workers_costs_nothing(start_server, tmp_path):  # case 157
    """Who reads where the file was is ended by the kernel, and replaced."""
    server = start_server(tmp_path / "volume", "--workers", "2")
    store(server, OLD | NEW)
    os.truncate(f"{index_files(tmp_path / 'volume')}-shm", 0)
    read_some(server, OLD | NEW)
    assert ask(server.endpoint, "PUT", "/things/later", b"later").ok
    code, log = server.stop()
    assert code == 0
    assert "a worker died and is replaced" in log
    again = start_server(tmp_path / "volume")
    sweep(again, OLD | NEW | {"later": b"later"})
    assert again.stop()[0] == 0


def test_shared_memory_cut_under_a_lone_server_ends_it_and_costs_nothing(start_server, tmp_path):  # case 157
    server = start_server(tmp_path / "volume")
    store(server, OLD | NEW)
    os.truncate(f"{index_files(tmp_path / 'volume')}-shm", 0)
    with pytest.raises(CUT), closing(Client(server.endpoint)) as client:
        client.request("GET", "/things/old-3")
    assert server.stop()[0] == -signal.SIGBUS
    again = start_server(tmp_path / "volume")
    sweep(again, OLD | NEW)
    assert again.stop()[0] == 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_crash_alone_is_no_reason_to_rebuild(start_server, tmp_path, count):
    roots = [tmp_path / str(number) for number in range(count)]
    server = start_server(*roots, "--workers", count)
    store(server, OLD)
    kill(server)
    inode = index_files(roots[0]).stat().st_ino
    again = start_server(*roots)
    sweep(again, OLD)
    code, log = again.stop()
    assert code == 0
    assert "rebuilt" not in log
    assert index_files(roots[0]).stat().st_ino == inode
    (told,) = {(root / ".s3ish" / "commits").read_text() for root in roots}
    assert int(told.split()[0]) > len(OLD)


def test_a_volume_put_back_whole_does_not_make_its_index_the_newest(start_server, tmp_path):  # case 158
    roots = [tmp_path / str(number) for number in range(3)]
    server = start_server(*roots)
    store(server, OLD)
    time.sleep(0.1)
    shutil.copytree(roots[0], tmp_path / "copy")
    store(server, NEW)
    kill(server)
    shutil.rmtree(roots[0])
    os.rename(tmp_path / "copy", roots[0])
    again = start_server(*roots)
    sweep(again, OLD | NEW)
    assert again.stop()[0] == 0


async def fill_three(store):
    await make_bucket(store)
    await make_bucket(store, "versioned", "Enabled")
    for size in SIZES:
        await put(store, f"kept{size}", sample(size))
        await put(store, f"removed{size}", sample(size))
        await put(store, f"replaced{size}", sample(size))
        await put(store, f"version{size}", sample(size), bucket="versioned")
    await add_part(store, await begin(store, "aborted"), 1, sample(SIZES[1]))
    await make_bucket(store, "gone")


async def remove_some(store):
    for size in SIZES:
        await remove(store, f"removed{size}")
        await put(store, f"replaced{size}", sample(size, 2))
        ((_, version, *_),) = await versions_of(store, f"version{size}", bucket="versioned")
        await remove(store, f"version{size}", version, bucket="versioned")
    uploads = await store.index.scan("uploads", b"", b"\xff", 10)
    assert len(uploads) == 1
    _, _, upload = keys.split_upload_key(uploads[0][0])
    await multipart.abort_upload(store, "b", "aborted", upload)
    await buckets.delete_bucket(store, "gone")
    await GarbageJob(store).step()


async def look_at_three(store):
    assert await keys_of(store) == sorted(f"{name}{size}" for name in ("kept", "replaced") for size in SIZES)
    assert await versions_of(store, bucket="versioned") == []
    assert await store.index.scan("uploads", b"", b"\xff", 10) == []
    assert await store.find_bucket("gone") is None
    for size in SIZES:
        assert await get(store, f"kept{size}") == sample(size)
        assert await get(store, f"replaced{size}") == sample(size, 2)


async def sweep_three(store):
    await look_at_three(store)
    assert await SWEEP.value(store.index) is not None, "what was removed is looked for"
    await sweep_once(store)
    await look_at_three(store)
    assert await sealed(store) == await referenced(store)


@contextmanager
def away_is(root):
    """Have a volume out of reach: its root is no directory."""
    elsewhere = root.with_name(f"{root.name}-away")
    os.rename(root, elsewhere)
    root.write_bytes(b"")
    yield
    root.unlink()
    os.rename(elsewhere, root)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("away", [0, 1, 2])
def test_a_removal_while_a_drive_was_away_stands_though_the_index_is_lost(tmp_path, away, begun):  # case 160
    """Also if a server has begun with the drive, and has not yet looked for what is to be removed from it."""
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill_three)
    with away_is(roots[away]):
        serve(settings, remove_some)
    if begun:
        serve(settings, look_at_three)
    for root in roots:
        lose(index_files(root))
    serve(settings, sweep_three)
    generations = {(root / ".s3ish" / "generation").read_text() for root in roots}
    assert len(generations) == 1, "then no volume is behind any more"
    for root in roots:
        lose(index_files(root))
    serve(settings, look_at_three)


def test_what_only_a_drive_has_that_was_away_stays_if_nothing_says_that_it_was_removed(tmp_path):  # case 160
    """The other copies were on a drive that is lost."""
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill_three)
    with away_is(roots[2]):
        serve(settings, nothing)
    shutil.rmtree(roots[0])
    roots[0].write_bytes(b"")
    serve(settings, look_at_kept)


async def sweep_in_vain(store, doubt):
    """Look through all while nothing may be removed, or not everything can be seen."""
    if doubt == "a damaged row":
        ((key, value),) = await store.index.scan("versions", b"", b"\xff", 1)
        await store.index.commit([Put("versions", key, value[:-1] + bytes([value[-1] ^ 1]))])
    if doubt == "a gap":
        await store.index.commit(BlindSpots({"": "unreadable"}).rows())
    await sweep_once(store)


async def sweep_once(store):
    job = SweepJob(store, store.clock.now_ns())
    while (await job.step()).more:
        pass


@pytest.mark.parametrize("doubt", ["a damaged row", "a gap", "a folder that cannot be read"])
def test_a_removal_stands_though_a_sweep_could_not_look_for_it(tmp_path, monkeypatch, doubt):  # case 160
    """What it has left on a drive that was away would be back after the rebuild that it asks for."""
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill_three)
    with away_is(roots[2]):
        serve(settings, remove_some)
    walk = Volume.walk

    def fail(volume, after=None):
        if volume.position == 2:
            raise VolumeError("Input/output error")
        return walk(volume, after)

    with monkeypatch.context() as patched:
        if doubt == "a folder that cannot be read":
            patched.setattr(Volume, "walk", fail)
        serve(settings, partial(sweep_in_vain, doubt=doubt))
    for root in roots:
        lose(index_files(root))
    serve(settings, look_at_three)
    serve(settings, sweep_once)
    assert not (roots[2] / ".s3ish" / "behind").exists()


MANY = 20
"""So many that some have one of their few copies wherever a test needs it."""


async def fill_many(store):
    await make_bucket(store, "b")
    for number in range(MANY):
        for size in SIZES:
            await put(store, f"many{number}.{size}", sample(size, number))


async def look_at_many(store):
    for number in range(MANY):
        for size in SIZES:
            assert await get(store, f"many{number}.{size}") == sample(size, number)


async def look_and_sweep(store):
    await look_at_many(store)
    await sweep_once(store)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_drive_that_was_not_there_does_not_say_that_what_it_lacks_was_removed(tmp_path, replaced):  # case 160
    """Nor when it was looked through for what is to be removed from it: nobody has given it what it should hold."""
    roots = [tmp_path / str(number) for number in range(4)]
    index = tmp_path / "index" / "index.db"
    chosen = {"storage.volumes": [*map(str, roots)], "storage.index": str(index), "erasure.parity": 2}
    settings = config_sources.load(chosen | {"storage.fsync": False}, {})
    with ExitStack() as away:
        if replaced:
            serve(settings, fill_many)
            for root in roots[2:]:
                shutil.rmtree(root)
                root.mkdir()
        else:
            serve(settings, nothing)
            for root in roots[2:]:
                away.enter_context(away_is(root))
            serve(settings, fill_many)
    serve(settings, look_and_sweep)
    assert not [root for root in roots if (root / ".s3ish" / "behind").exists()]
    for root in roots[:2]:
        with away_is(root):
            serve(settings, nothing)
    lose(index)
    serve(settings, look_at_many)


async def sweep_beside(store):
    """Look through all as a command does that sees a drive which the server beside it has begun without."""
    await store.index.commit([AWAY.put([2])])
    await sweep_once(store)


def test_a_drive_stays_behind_while_a_server_goes_on_without_it(tmp_path):  # case 160
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill_three)
    with away_is(roots[2]):
        serve(settings, remove_some)
    serve(settings, sweep_beside)
    assert (roots[2] / ".s3ish" / "behind").exists(), "the server goes on removing from the others alone"
    serve(settings, sweep_once)
    assert not (roots[2] / ".s3ish" / "behind").exists()


async def replace_some(store):
    """Put objects, of which one copy or shard may be wherever it would lie on the drive that is away."""
    for number in range(LATER):
        for size in SIZES:
            await put(store, f"later{number}.{size}", sample(size, number))


async def look_at_later(store):
    for number in range(LATER):
        for size in SIZES:
            assert await get(store, f"later{number}.{size}") == sample(size, number)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_drives_may_be_away_one_after_the_other_before_any_was_swept(tmp_path, order, lost):  # case 160
    """What was written while one of them was away is newer than what it says, however often the others were away."""
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill_three)
    serve(settings, nothing)
    first, second, third = order
    for away, work in ((first, nothing), (second, nothing), (second, nothing), (third, change_some)):
        with away_is(roots[away]):
            serve(settings, work)
    if lost:  # of all three something may be missing: what was removed may be back, what was stored is there
        for root in roots:
            lose(index_files(root))
        serve(settings, look_at_later)
        return
    serve(settings, look_at_all_later)
    serve(settings, sweep_all_later)
    assert not [root for root in roots if (root / ".s3ish" / "behind").exists()]
    for root in roots:
        lose(index_files(root))
    serve(settings, look_at_all_later)


@pytest.mark.parametrize("were_away", [False, True])
def test_a_removal_stands_though_the_drive_of_the_index_took_it_no_more(tmp_path, monkeypatch, were_away):  # case 160
    """A drive that lets nothing be written can be read, and so can the sidecars of what was removed from the others."""
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, nothing)
    for away in (0, 1, 2) if were_away else ():
        with away_is(roots[away]):
            serve(settings, nothing)
    serve(settings, fill_three)
    (index,) = [number for number, root in enumerate(roots) if index_files(root).exists()]

    def refuse(original):
        def call(volume, *arguments, **others):
            if volume.position == index:
                raise VolumeError("Read-only file system")
            return original(volume, *arguments, **others)

        return call

    with monkeypatch.context() as patched:
        for name in ("unlink", "remove", "probe", "create", "rename"):
            patched.setattr(Volume, name, refuse(getattr(Volume, name)))
        serve(settings, remove_some)
        lose(index_files(roots[index]))
        serve(settings, look_at_three)


async def change_some(store):
    await remove_some(store)
    await replace_some(store)


async def look_at_all_later(store):
    await look_at_later(store)
    for number in range(LATER):
        for size in SIZES:
            await remove(store, f"later{number}.{size}")
    await look_at_three(store)
    await replace_some(store)


async def sweep_all_later(store):
    await sweep_once(store)
    await look_at_all_later(store)


async def nothing(_):
    pass


async def look_at_kept(store):
    for size in SIZES:
        assert await get(store, f"kept{size}") == sample(size)
