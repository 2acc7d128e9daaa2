"""The primitives of a volume, and its locks."""

import errno
import fcntl
import os
import threading

import pytest

from s3ish.blob.protocol import Corrupt, InUse, Missing, VolumeError, VolumesFull
from s3ish.blob.volumes import folders
from s3ish.blob.volumes import volume as volume_module
from s3ish.blob.volumes.locks import is_left_to_workers
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.clock import Clock
from tests.blob.support import read

BLOB = "b/folder/key@token"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def volume(root):
    opened = open_volumes([str(root)], clock=Clock()).at(0)
    yield opened
    opened.close()


def failing(monkeypatch, name, number, when=lambda *arguments: True):
    """Let a system call fail."""
    real = getattr(os, name)

    def fail(*arguments, **options):
        if when(*arguments):
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, fail)


def test_files_are_created_with_their_folders_and_never_over_others(volume, root):
    volume.write_file(BLOB, "data.0", b"text", flush=True)
    assert read(root / BLOB / "data.0") == b"text"
    with pytest.raises(VolumeError, match="exists"):
        volume.write_file(BLOB, "data.0", b"other", flush=True)
    assert volume.read_file(BLOB, "data.0", 4) == b"text"
    with pytest.raises(Corrupt, match="longer"):
        volume.read_file(BLOB, "data.0", 3)


@pytest.mark.parametrize(
    "blob", ["", "/etc@x", "../x@y", "b/../x@y", "b/./x@y", "b//x@y", ".s3ish/x@y", "b/x", "b/x@y\0", "b@x/y"]
)
def test_what_is_no_blob_of_ours_is_never_touched(volume, blob):  # case 31
    for action in (
        lambda: volume.create(blob, "data.0"),
        lambda: volume.open(blob, "data.0"),
        lambda: volume.remove(blob),
        lambda: volume.names(blob),
        lambda: volume.sync_entries(blob),
    ):
        with pytest.raises(Corrupt, match="not the id of a blob"):
            action()


def test_planted_things_are_damage(volume, root):  # case 148
    os.makedirs(root / BLOB)
    (root / "secret").write_bytes(b"secret")
    os.symlink(root / "secret", root / BLOB / "link")
    os.mkfifo(root / BLOB / "fifo")
    os.mkdir(root / BLOB / "folder")
    for name in ("link", "fifo", "folder"):
        with pytest.raises(Corrupt, match="not a file"):
            volume.open(BLOB, name)
    with pytest.raises(VolumeError):
        volume.create(BLOB, "link")
    volume.remove(BLOB)
    assert read(root / "secret") == b"secret"
    assert sorted(os.listdir(root)) == [".s3ish", "secret"]


def test_a_file_where_a_folder_should_be_is_an_error(volume, root):
    (root / "b").write_bytes(b"")
    with pytest.raises(VolumeError):
        volume.create(BLOB, "data.0")
    with pytest.raises(VolumeError):
        volume.open(BLOB, "data.0")


def test_removal_takes_the_empty_folders_and_leaves_the_others(volume, root):  # case 42
    for blob in ("b/a@1", "b/a/b@2", "b/a/b/c@3"):
        volume.write_file(blob, "data.0", b"", flush=True)
    volume.remove("b/a/b/c@3")
    assert sorted(os.listdir(root / "b/a")) == ["b@2"]
    volume.remove("b/a/b@2")
    assert sorted(os.listdir(root / "b")) == ["a@1"]
    volume.remove("b/a@1")
    volume.remove("b/a@1")
    assert os.listdir(root) == [".s3ish"]


def test_creators_and_removers_of_the_same_folders_do_not_disturb_each_other(volume):
    errors = []

    def work(number):
        try:
            for turn in range(60):
                blob = f"b/deep/er/key@{number}x{turn}"
                volume.write_file(blob, "data.0", b"x", flush=False)
                assert volume.read_file(blob, "data.0", 1) == b"x"
                volume.remove(blob)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_replace_is_atomic_and_leaves_no_temporary_file(volume, root, monkeypatch):
    volume.replace(BLOB, "metadata.json", b"old", "t1")
    failing(monkeypatch, "rename", errno.EIO)
    with pytest.raises(VolumeError):
        volume.replace(BLOB, "metadata.json", b"new", "t2")
    assert os.listdir(root / BLOB) == ["metadata.json"]
    assert read(root / BLOB / "metadata.json") == b"old"
    monkeypatch.undo()
    volume.replace(BLOB, "metadata.json", b"new", "t3")
    assert os.listdir(root / BLOB) == ["metadata.json"]
    assert read(root / BLOB / "metadata.json") == b"new"


def test_short_writes_and_reads_are_completed(volume, root, monkeypatch):
    real_writev, real_write, real_read = os.pwritev, os.pwrite, os.pread
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, at: real_writev(fd, [bytes(buffers[0])[:2]], at))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real_write(fd, bytes(data)[:3], at))
    monkeypatch.setattr(os, "pread", lambda fd, length, at: real_read(fd, min(length, 4), at))
    descriptor = volume.create(BLOB, "data.0")
    volume.write(descriptor, [b"abcde", memoryview(b"fghijkl")], 5)
    volume.close_file(descriptor)
    assert read(root / BLOB / "data.0") == bytes(5) + b"abcdefghijkl"
    assert volume.read_file(BLOB, "data.0", 100) == bytes(5) + b"abcdefghijkl"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_full(volume, monkeypatch, number):  # cases 133, 135
    failing(monkeypatch, "pwritev", number)
    with pytest.raises(VolumesFull):
        volume.write_file(BLOB, "data.0", b"x", flush=True)
    assert not volume.suspect


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EMFILE, errno.EFBIG])
def test_other_failures_are_the_volumes(volume, monkeypatch, number):  # case 135
    failing(monkeypatch, "pwritev", number)
    with pytest.raises(VolumeError):
        volume.write_file(BLOB, "data.0", b"x", flush=True)
    assert not volume.suspect


def test_a_missing_right_comes_with_the_user_that_needs_it(volume, monkeypatch):
    failing(monkeypatch, "pwritev", errno.EACCES)
    with pytest.raises(VolumeError, match=f"Permission denied; the user with id {os.geteuid()} needs the right"):
        volume.write_file(BLOB, "data.0", b"x", flush=True)


def test_after_a_failed_flush_the_volume_takes_no_writes_but_reads(volume, monkeypatch):  # case 29
    volume.write_file(BLOB, "data.0", b"x", flush=True)
    failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(VolumeError):
        volume.write_file(BLOB, "data.1", b"x", flush=True)
    monkeypatch.undo()
    with pytest.raises(VolumeError, match="takes no writes"):
        volume.create(BLOB, "data.2")
    assert volume.read_file(BLOB, "data.0", 9) == b"x"
    volume.remove(BLOB)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_flush_without_room_costs_the_file_and_not_the_volume(volume, monkeypatch, number):  # cases 29, 133
    with monkeypatch.context() as patched:
        failing(patched, "fsync", number)
        with pytest.raises(VolumesFull):
            volume.write_file(BLOB, "data.0", b"x", flush=True)
    assert not volume.suspect
    volume.write_file(BLOB, "data.1", b"x", flush=True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failed_flush_of_everything_costs_the_volume(volume, monkeypatch, number):  # case 29
    """Nobody can say which file it was whose pages were dropped."""

    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(volume_module, "syncfs", fail)
    with pytest.raises((VolumesFull, VolumeError)):
        volume.sync_all()
    with pytest.raises(VolumeError, match="takes no writes"):
        volume.create(BLOB, "data.0")


def test_every_new_directory_and_the_parent_of_the_topmost_are_flushed(volume, root, monkeypatch):
    flushed = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (flushed.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), root)), real(fd))
    )
    volume.write_file("b/x/y/k@1", "data.0", b"x", flush=True)
    volume.sync_entries("b/x/y/k@1")
    assert flushed == ["b/x/y/k@1/data.0", "b/x/y/k@1", "b/x/y", "b/x", "b", "."]
    flushed.clear()
    volume.write_file("b/x/k@2", "data.0", b"x", flush=True)
    volume.sync_entries("b/x/k@2")
    assert flushed == ["b/x/k@2/data.0", "b/x/k@2", "b/x"]
    flushed.clear()
    volume.remove("b/x/y/k@1")
    volume.write_file("b/x/y/k@3", "data.0", b"x", flush=True)
    volume.sync_entries("b/x/y/k@3")
    assert flushed == ["b/x/y/k@3/data.0", "b/x/y/k@3", "b/x/y", "b/x"]


def test_without_fsync_nothing_is_flushed(root, monkeypatch):
    volumes = open_volumes([str(root)], clock=Clock(), fsync=False)
    failing(monkeypatch, "fsync", errno.EIO)
    volumes.at(0).write_file(BLOB, "data.0", b"x", flush=True)
    volumes.at(0).sync_entries(BLOB)
    volumes.at(0).sync_all()
    volumes.close()
    assert read(root / BLOB / "data.0") == b"x"


def test_a_renamed_root_is_never_confused_with_what_takes_its_place(volume, root):  # case 28
    volume.write_file(BLOB, "data.0", b"x", flush=True)
    os.rename(root, f"{root}.moved")
    os.mkdir(root)
    volume.write_file("b/other@1", "data.0", b"y", flush=True)
    assert volume.read_file(BLOB, "data.0", 9) == b"x"
    assert os.listdir(root) == []


def test_links_share_the_bytes(volume, root):
    volume.write_file(BLOB, "data.0", b"x", flush=True)
    volume.link(BLOB, "b/other/copy@2", "data.0")
    volume.remove(BLOB)
    assert volume.read_file("b/other/copy@2", "data.0", 9) == b"x"
    with pytest.raises(Missing):
        volume.link(BLOB, "b/third@3", "data.0")


def test_walk_is_ordered_and_resumes(volume, monkeypatch):
    blobs = ["b/@1", "b/a@1", "b/a@2", "b/a/b@1", "b/a/b/c@1", "b/a.b@1", "b/a-/x@1", "c/é@1", "c/z@1"]
    for blob in blobs:
        volume.write_file(blob, "data.0", b"", flush=False)
    expected = sorted(blobs, key=lambda blob: blob.split("/"))
    for window in (1, 2, 100):
        monkeypatch.setattr(folders, "_WINDOW", window)
        assert list(volume.walk()) == expected
        for number, blob in enumerate(expected):
            assert list(volume.walk(blob)) == expected[number + 1 :]
        assert list(volume.walk("b/a/b/")) == expected[expected.index("b/a/b/c@1") :]
        assert list(volume.walk("zzz")) == []


def test_walk_is_not_confused_by_what_is_not_ours(volume, root):
    volume.write_file(BLOB, "data.0", b"", flush=False)
    os.makedirs(root / "lost+found/#123")
    (root / "file@x").write_bytes(b"")
    os.symlink("/", root / "link@x")
    os.symlink("/", root / "link")
    assert list(volume.walk()) == [BLOB]


def test_a_deep_key_is_walked(volume):
    blob = "b/" + "a/" * 511 + "@1"
    volume.write_file(blob, "data.0", b"", flush=False)
    assert list(volume.walk()) == [blob]
    volume.remove(blob)
    assert list(volume.walk()) == []


def test_one_server_and_its_workers(root):  # case 140
    first, second, worker = (open_volumes([str(root)], clock=Clock()) for _ in range(3))
    first.lock_server()
    with pytest.raises(InUse, match=rf"in use by another s3ish server \(process {os.getpid()} on [\w.-]+\)$"):
        second.lock_server()
    (root / ".s3ish" / "lock").write_text("\x1b[31m\n")  # what no server wrote
    with pytest.raises(InUse, match=r"in use by another s3ish server$"):
        second.lock_server()
    worker.lock_worker("a" * 8)
    second.lock_worker()
    second.close()
    assert not is_left_to_workers(str(root))
    first.close()
    assert is_left_to_workers(str(root))
    third = open_volumes([str(root)], clock=Clock())
    told = rf"worker of an s3ish server that ended is still using .* \(process {os.getpid()} on [\w.-]+\)$"
    with pytest.raises(InUse, match=told):
        third.lock_server()
    third.close()
    worker.close()
    assert not is_left_to_workers(str(root))
    assert not is_left_to_workers(str(root / "nowhere"))
    fourth = open_volumes([str(root)], clock=Clock())
    fourth.lock_server()
    fourth.lock_worker()
    fourth.close()
    fourth.close()


def test_a_worker_that_died_is_known_by_its_mark(root):
    first, second, third = (open_volumes([str(root)], clock=Clock()) for _ in range(3))
    first.lock_worker("a" * 8)
    second.lock_worker("b" * 8)
    assert third.dead_workers() == set()
    first.close()
    assert third.dead_workers() == second.dead_workers() == {"a" * 8}
    with open(root / ".s3ish" / f"worker.{'a' * 8}.lock", "rb") as looked_at:  # by another process at this moment
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        assert (second.dead_workers(), second.live_workers()) == ({"a" * 8}, {"b" * 8})
    third.forget_workers(["a" * 8])
    assert third.dead_workers() == set()
    second.forget_workers([second.mark])
    second.close()
    assert third.dead_workers() == set()
    assert not [name for name in os.listdir(root / ".s3ish") if "worker." in name]
    third.close()


def test_pruning_leaves_what_is_new_but_not_what_it_emptied_itself(volume):
    for folder in ("old/child", "new/child", "fresh"):
        os.makedirs(f"{volume.root}/{folder}")
    for folder in ("old/child", "old", "new/child"):
        os.utime(f"{volume.root}/{folder}", ns=(1000, 1000))
    assert list(volume.prune(2000)) == ["fresh", "new/child", "new", "old/child", "old", ""]
    assert sorted(os.listdir(volume.root)) == [".s3ish", "fresh"]
    assert list(volume.prune(2000)) == ["fresh", ""]


def test_pruning_and_writing_do_not_disturb_each_other(volume):
    errors, done = [], threading.Event()

    def write(number):
        try:
            for turn in range(60):
                blob = f"b/deep/er/key@{number}x{turn}"
                volume.write_file(blob, "data.0", b"x", flush=True)
                volume.sync_entries(blob)
                assert volume.read_file(blob, "data.0", 1) == b"x"
                volume.remove(blob)
        except BaseException as error:
            errors.append(error)

    def prune():
        try:
            while not done.is_set():
                list(volume.prune(2**62))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    pruner = threading.Thread(target=prune)
    for thread in [pruner, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    pruner.join()
    assert errors == []
