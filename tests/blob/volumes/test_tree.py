"""What is planted in a volume: never followed, never waited for, and reported."""

import ctypes
import errno
import os
import socket
import subprocess
from contextlib import closing

import pytest

from s3ish.blob.protocol import BlobError, Corrupt, Missing, VolumeError
from s3ish.blob.volumes import tree
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.blob.volumes.tree import Tree
from s3ish.clock import Clock

BLOB = "bucket/key/name@token"
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@pytest.fixture(params=["the kernel", "one after the other"])
def resolving(request, monkeypatch):
    """Whether the kernel resolves paths in one call."""
    if request.param != "the kernel":
        monkeypatch.setattr(tree._open_inside, "known", False)
    return request.param


@pytest.fixture
def volume(tmp_path, resolving):
    with closing(open_volumes([str(tmp_path / "volume")], clock=Clock(), fsync=True)) as volumes:
        yield volumes.at(0)


@pytest.fixture
def elsewhere(tmp_path):
    (tmp_path / "elsewhere" / "key" / "name@token").mkdir(parents=True)
    (tmp_path / "elsewhere" / "key" / "name@token" / "data.0").write_bytes(b"not ours")
    return tmp_path / "elsewhere"


def snapshot(folder):
    return sorted((str(path), path.read_bytes() if path.is_file() else None) for path in folder.rglob("*"))


def use(volume):
    """Return what each call on a blob raises; None where it does nothing."""
    outcomes = {}
    for name, call in {
        "create": lambda: os.close(volume.create(BLOB, "data.1", first=True)),
        "write": lambda: volume.write_file(BLOB, "metadata.json", b"{}", flush=True),
        "replace": lambda: volume.replace(BLOB, "metadata.json", b"{}", "token"),
        "rename": lambda: volume.rename(BLOB, "data.0", "data.2"),
        "link": lambda: volume.link(BLOB, "bucket/other@token", "data.0"),
        "link into": lambda: volume.link("bucket/other@token", BLOB, "data.3"),
        "open": lambda: os.close(volume.open(BLOB, "data.0")),
        "read": lambda: volume.read_file(BLOB, "data.0", 100),
        "modified": lambda: volume.modified_ns(BLOB, "data.0"),
        "names": lambda: volume.names(BLOB),
        "sync": lambda: volume.sync_entries(BLOB),
        "unlink": lambda: volume.unlink(BLOB, "data.0"),
        "remove": lambda: volume.remove(BLOB),
    }.items():
        try:
            call()
            outcomes[name] = None
        except BlobError as error:
            outcomes[name] = error
    return outcomes


@pytest.mark.parametrize("where", ["bucket", "bucket/key", BLOB])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_on_the_way_is_never_followed(volume, tmp_path, elsewhere, where, absolute):  # case 164
    place = tmp_path / "volume" / where
    place.parent.mkdir(parents=True, exist_ok=True)
    target = elsewhere / os.path.relpath(where, "bucket") if where != "bucket" else elsewhere
    place.symlink_to(target if absolute else os.path.relpath(target, place.parent))
    before = snapshot(elsewhere)
    outcomes = use(volume)
    assert snapshot(elsewhere) == before
    assert place.is_symlink() or where == BLOB, "only a blob's own folder is ours to remove"
    for name in ("create", "write", "replace", "open", "read"):
        assert isinstance(outcomes[name], VolumeError | Corrupt), name
        assert "bucket" in str(outcomes[name])
    assert list(volume.walk()) == []


@pytest.mark.parametrize("kind", ["pipe", "socket", "file", "link"])
@pytest.mark.parametrize("name", ["metadata.json", "data.0"])
def test_what_takes_the_place_of_a_file_is_damage(volume, tmp_path, elsewhere, monkeypatch, kind, name):  # case 164
    folder = tmp_path / "volume" / BLOB
    folder.mkdir(parents=True)
    path = folder / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(folder)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
    elif kind == "link":
        path.symlink_to(elsewhere / "key" / "name@token" / "data.0")
    else:
        path.mkdir()
    before = snapshot(elsewhere)
    with pytest.raises(Corrupt, match="is not a file"):
        volume.read_file(BLOB, name, 100)
    volume.replace(BLOB, name, b"ours", "token")
    assert volume.read_file(BLOB, name, 100) == b"ours"
    assert snapshot(elsewhere) == before


@pytest.mark.parametrize("kind", ["pipe", "socket", "file"])
@pytest.mark.parametrize("where", ["bucket", "bucket/key"])
def test_what_takes_the_place_of_a_folder_is_reported(volume, tmp_path, monkeypatch, kind, where):  # case 164
    place = tmp_path / "volume" / where
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        monkeypatch.chdir(place.parent)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.name)
    else:
        place.write_bytes(b"planted")
    with pytest.raises(VolumeError, match="Not a directory"):
        volume.write_file(BLOB, "metadata.json", b"{}", flush=True)
    assert place.exists()
    assert list(volume.walk()) == []


def test_a_mount_point_on_the_way_is_not_crossed(volume, tmp_path, elsewhere):  # case 164
    place = tmp_path / "volume" / "bucket"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    try:
        with pytest.raises(VolumeError, match="cross-device"):
            volume.write_file(BLOB, "metadata.json", b"{}", flush=True)
        (place / "key" / "name@token").mkdir(parents=True)
        (place / "key" / "name@token" / "data.0").write_bytes(b"not ours")
        with pytest.raises((Corrupt, VolumeError)):
            volume.read_file(BLOB, "data.0", 100)
        with pytest.raises(VolumeError):
            list(volume.walk())
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_device_is_not_read(volume, tmp_path):  # case 164
    folder = tmp_path / "volume" / BLOB
    folder.mkdir(parents=True)
    try:
        os.mknod(folder / "data.0", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("needs the right to make devices")
    with pytest.raises(Corrupt):
        volume.read_file(BLOB, "data.0", 100)


def test_a_probe_does_not_wait_for_a_pipe(volume, tmp_path):  # case 164
    os.mkfifo(tmp_path / "volume" / ".s3ish" / "probe")
    with pytest.raises(VolumeError):
        volume.probe()


def test_nothing_outside_is_reached_by_any_path(tmp_path, resolving):  # case 164
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "root" / "link").symlink_to("..")
    (tmp_path / "root" / "absolute").symlink_to(tmp_path / "secret")
    root = os.open(tmp_path / "root", os.O_RDONLY | os.O_DIRECTORY)
    names = Tree(root)
    try:
        for path in ("link/secret", "absolute", "link"):
            with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
                os.close(names.open(path, READ))
        for call in (
            lambda: names.open("link/new", CREATE, 0o600),
            lambda: names.mkdir("link/new", 0o700),
            lambda: names.unlink("link/secret"),
            lambda: names.rmdir("link/root"),
            lambda: names.stat("link/secret"),
            lambda: names.rename("link/secret", "link/new"),
            lambda: names.link("link/secret", "new"),
        ):
            with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
                call()
        with pytest.raises(FileNotFoundError):
            names.open("none", READ)
        assert sorted(os.listdir(tmp_path)) == ["root", "secret"]
        assert sorted(os.listdir(root)) == ["absolute", "link"]
    finally:
        os.close(root)


def test_no_descriptor_is_left_open(volume):
    before = len(os.listdir("/proc/self/fd"))
    volume.write_file(BLOB, "metadata.json", b"{}", flush=True)
    volume.replace(BLOB, "metadata.json", b"{}", "token")
    volume.link(BLOB, "bucket/other@token", "metadata.json")
    with pytest.raises(Missing):
        volume.rename(BLOB, "none", "other")
    volume.remove(BLOB)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_sandbox_that_forbids_the_call_is_no_reason_to_fail(tmp_path, monkeypatch):
    """As containers do whose list of calls is older than the kernel."""
    forbidden = tree.OpenAt2(tree.INSIDE, waits=True)

    def refuse(*_):
        ctypes.set_errno(errno.EPERM)
        return -1

    monkeypatch.setattr(forbidden, "_call", refuse)
    monkeypatch.setattr(tree, "_open_inside", forbidden)
    with closing(open_volumes([str(tmp_path / "volume")], clock=Clock(), fsync=False)) as volumes:
        volumes.at(0).write_file(BLOB, "data.0", b"text", flush=False)
        assert volumes.at(0).read_file(BLOB, "data.0", 10) == b"text"
    assert not forbidden.known
