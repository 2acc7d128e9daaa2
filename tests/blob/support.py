"""What the tests of the blob layer do again and again."""

import asyncio
import os
import threading
from functools import partial

from s3ish.blob.erasure.layout import shard_name
from s3ish.blob.paths import Past
from s3ish.blob.volumes import identity, index_marks, locks, open_set, page_cache, probe, volume

SIDECAR = b'{"bucket":"b","key":"k","n":1}'


def sample(size, seed=1):
    block = bytes((i * 131 + i // 256 * 7 + seed * 29) % 256 for i in range(min(size, 5003)))
    return (block * (size // 5003 + 1))[:size] if size else b""


async def put(store, data, home="bucket/folder/key", sidecar=SIDECAR, piece=None, digest=None):
    """Store a blob: in pieces of a length, or in one with a ``digest`` before."""
    async with store.create(home, len(data)) as writer:
        if digest:
            await writer.write(data, partial(digest, data))
        else:
            step = piece or max(len(data), 1)
            for start in range(0, len(data), step):
                await writer.write(data[start : start + step])
        ref = await writer.finish()
        await writer.seal(sidecar)
    return ref


async def get(store, ref, start=0, stop=None):
    reader = await store.open(ref, start, stop)
    try:
        return b"".join([bytes(piece) async for piece in reader])
    finally:
        await reader.close()


async def scanned(store, after=None):
    return [(ref.id, sidecar) async for ref, sidecar, *_ in store.scan(after)]


async def strays(store):
    """Return the ids of the blobs that have files and no valid sidecar."""

    async def is_named(_):
        return False

    return [swept.name async for swept in store.sweep(Past(2**63), is_named, dry=True) if swept.stray]


def shard_file(store, ref, number):
    volume = store.volumes.at(ref.volumes[number])
    return f"{volume.root}/{ref.id}/{shard_name(number, ref.k)}"


def sidecar_files(store, ref):
    return [f"{store.volumes.at(position).root}/{ref.id}/metadata.json" for position in dict.fromkeys(ref.volumes)]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


async def settle(turns=50):
    for _ in range(turns):
        await asyncio.sleep(0)


def keep_in_memory(monkeypatch, there=lambda: True):
    """Let the drives' files be in memory, or not, whatever the file system of this machine knows of it."""
    real = os.preadv

    def preadv(descriptor, buffers, offset, flags):
        assert flags == page_cache._NOWAIT
        if not there():
            raise BlockingIOError
        return real(descriptor, buffers, offset)

    def opener(path, flags, _mode, dir_fd):
        try:
            return os.open(path, flags, dir_fd=dir_fd) if there() else -1
        except OSError:
            return -1

    monkeypatch.setattr(volume.Volume, "tells_cached", property(lambda _: True, lambda *_: None), raising=False)
    monkeypatch.setattr(page_cache, "_NOWAIT", 8)
    monkeypatch.setattr(page_cache, "_open_cached", opener)
    monkeypatch.setattr(os, "preadv", preadv)


class PlainTree:
    """Names below a root, as ``Tree``, but each call is one of the module ``os`` that volumes work with in a test."""

    def __init__(self, root):
        self._root = root

    def open(self, path, flags, mode=0):
        return volume.os.open(path, flags, mode, dir_fd=self._root)

    def mkdir(self, path, mode):
        volume.os.mkdir(path, mode, dir_fd=self._root)

    def rename(self, old, new):
        volume.os.rename(old, new, src_dir_fd=self._root, dst_dir_fd=self._root)

    def link(self, old, new):
        volume.os.link(old, new, src_dir_fd=self._root, dst_dir_fd=self._root, follow_symlinks=False)

    def unlink(self, path):
        volume.os.unlink(path, dir_fd=self._root)

    def rmdir(self, path):
        volume.os.rmdir(path, dir_fd=self._root)

    def stat(self, path):
        return volume.os.stat(path, dir_fd=self._root, follow_symlinks=False)


class HangingDrives:
    """Drives that do not answer: calls on files below their roots wait, until ``release``."""

    MODULES = (volume, locks, index_marks, identity, open_set, probe)

    def __init__(self, monkeypatch):
        self.roots, self.names, self.waiting, self.threads = (), None, [], set()
        self._answered = threading.Condition()
        for name in ("open", "mkdir", "rename", "link", "unlink", "rmdir", "stat"):
            monkeypatch.setattr(volume.Tree, name, getattr(PlainTree, name))
        for module in self.MODULES:
            monkeypatch.setattr(module, "os", self)

    def hang(self, *roots, names=None):
        """Let calls of these names wait, or all of them, but for closing a file."""
        self.roots, self.names = tuple(map(str, roots)), names

    def release(self):
        with self._answered:
            self.roots = ()
            self._answered.notify_all()

    def __getattr__(self, name):
        found = getattr(os, name)
        if not callable(found):
            return found

        def call(*arguments, **options):
            self._wait(name, [*arguments[:1], *options.values()])
            return found(*arguments, **options)

        return call

    def _wait(self, name, arguments):
        if self._hangs(name, arguments):
            if name == "preadv":  # which is told not to wait
                raise BlockingIOError
            self.waiting.append(name)
            self.threads.add(threading.get_ident())
            with self._answered:
                self._answered.wait_for(lambda: not self._hangs(name, arguments))
            self.threads.discard(threading.get_ident())

    def _hangs(self, name, arguments):
        if not self.roots or (name == "close" if self.names is None else name not in self.names):
            return False
        return any(f"{path}/".startswith(f"{root}/") for path in map(_path_of, arguments) for root in self.roots)


def _path_of(argument):
    if isinstance(argument, int):
        try:
            return os.readlink(f"/proc/self/fd/{argument}")
        except OSError:
            return ""
    return str(argument)
