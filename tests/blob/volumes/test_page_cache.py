"""Opening and reading what is in memory: only files, only whole, and nothing where the system cannot tell."""

import ctypes
import errno
import os

import pytest

from s3ish.blob.volumes import page_cache
from s3ish.blob.volumes.openat2 import RESOLVE_CACHED, OpenAt2

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@pytest.fixture
def folder(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    descriptor = os.open(path, READ)
    yield descriptor
    os.close(descriptor)


def answers(number):
    """A system call that fails with an error."""

    def call(*_):
        ctypes.set_errno(number)
        return -1

    return call


def test_a_file_that_was_just_written_is_opened_or_left_to_others(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"0123456789")
    descriptor = page_cache.open_file("file", READ, folder)
    if descriptor is None:
        pytest.skip("this kernel cannot open what is in memory alone")
    assert os.pread(descriptor, 99, 0) == b"0123456789"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_what_is_no_file_is_not_opened(tmp_path, folder):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").touch()
    before = len(os.listdir("/proc/self/fd"))
    for name in ("folder", "pipe", "link", "none", "none/file", "file/file"):
        assert page_cache.open_file(name, READ, folder) is None
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("number", "asked"), [(errno.ENOSYS, 1), (errno.EINVAL, 1), (errno.EAGAIN, 3), (errno.EPERM, 3)]
)
def test_a_kernel_that_does_not_know_the_call_is_asked_once(monkeypatch, number, asked):
    opener, calls, fail = OpenAt2(RESOLVE_CACHED, waits=False), [], answers(number)
    monkeypatch.setattr(opener, "_call", lambda *arguments: calls.append(1) or fail(*arguments))
    monkeypatch.setattr(page_cache, "_open_cached", opener)
    assert [page_cache.open_file("file", READ, 3) for _ in range(3)] == [None] * 3
    assert len(calls) == asked


def test_reading_fills_all_buffers_or_says_that_it_did_not(file):
    first, second = bytearray(4), bytearray(4)
    if page_cache.read(file, [first, second], 1):
        assert first + second == b"12345678"
    assert not page_cache.read(file, [first, second], 5), "the file ends before the buffers do"
    assert not page_cache.read(file, [first], 100)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EOPNOTSUPP, errno.EIO])
def test_whatever_goes_wrong_is_left_to_others(file, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "preadv", fail)
    assert not page_cache.read(file, [bytearray(4)], 0)


def test_a_system_without_the_flag_has_nothing_in_memory(file, monkeypatch):
    monkeypatch.setattr(page_cache, "_NOWAIT", 0)
    assert not page_cache.read(file, [bytearray(4)], 0)


def test_a_file_that_was_removed_has_no_name(tmp_path, file):
    assert page_cache.is_named(file)
    (tmp_path / "file").unlink()
    assert not page_cache.is_named(file)


@pytest.mark.parametrize(("number", "supported"), [(errno.EAGAIN, True), (errno.EOPNOTSUPP, False), (errno.EIO, False)])
def test_a_file_system_says_whether_it_can_tell(tmp_path, folder, monkeypatch, number, supported):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").touch()
    monkeypatch.setattr(page_cache, "_NOWAIT", 8)
    monkeypatch.setattr(os, "preadv", fail)
    assert page_cache.supported("file", folder) is supported
    assert not page_cache.supported("none", folder)


def test_on_a_file_system_that_cannot_tell_no_file_is_opened_without_waiting(make_store, monkeypatch):
    monkeypatch.setattr(page_cache, "supported", lambda *_: False)
    monkeypatch.setattr(page_cache, "_open_cached", lambda *_: pytest.fail("it would wait for the network"))
    assert make_store("three").volumes.at(0).open_cached("b/k@token", "data.0") is None
    monkeypatch.setattr(page_cache, "supported", lambda *_: True)
    asked = []
    monkeypatch.setattr(page_cache, "_open_cached", lambda *arguments: asked.append(arguments) or -1)
    assert make_store("three").volumes.at(0).open_cached("b/k@token", "data.0") is None
    assert len(asked) == 1
