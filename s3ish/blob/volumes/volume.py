"""One directory tree that holds shards and sidecars: names, links, renames and flushes, nothing of stripes.

The only module that joins the paths of blobs. Every call is relative to a descriptor of the root that is held open, so
that a root that is renamed or unmounted is never confused with what appears in its place. Synchronous: called on
threads.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from s3ish.blob.protocol import BlobError, Buffer, Corrupt, Missing, VolumeError, VolumesFull
from s3ish.blob.volumes import page_cache
from s3ish.blob.volumes.calls import NO_ROOM, Calls
from s3ish.blob.volumes.folders import Folders
from s3ish.blob.volumes.identity import Identity
from s3ish.blob.volumes.index_marks import FOR_EVER, IndexMarks
from s3ish.blob.volumes.locks import Locks
from s3ish.blob.volumes.probe import SILENT, write_and_remove
from s3ish.blob.volumes.sample import some_blobs
from s3ish.blob.volumes.tree import Tree, temporary_name
from s3ish.observe.tally import Stopwatch

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NO_TRACE = getattr(os, "O_NOATIME", 0)
"""Reading writes no time of access: that is a write, which may have to wait, for no reader."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_RETRIES = 100
"""How often a creator loses against a deletion of the same empty folders before it gives up."""

_RESERVE_BYTES, _RESERVE_SHARE = 32 << 20, 16
"""What is never written on: so many bytes, on a small file system one of so many parts of it."""

_DURABLE_FOLDERS = 100_000
"""How many folders are remembered as flushed, to spare flushing them again."""


class Volume:
    """An open volume.

    Args:
        root: its path, for messages.
        descriptor: of its root directory; the volume owns it from now on.
        identity: which volume of which set this is.
        fsync: False for throw-away stores: nothing is flushed.
        tells_cached: whether its file system tells what it has in memory, see ``cached``.
    """

    def __init__(
        self, root: str, descriptor: int, identity: Identity, *, fsync: bool = True, tells_cached: bool = False
    ) -> None:
        self.root, self.identity, self.fsync, self.tells_cached = root, identity, fsync, tells_cached
        self.suspect = ""
        self.missed = False
        self.flushes: Stopwatch | None = None
        self.failed_flushes = 0
        self.calls = Calls(repr(self))
        self.locks = Locks(self.calls, descriptor)
        self.marks = IndexMarks(self.calls, descriptor, self.sync)
        self._root, self._tree = descriptor, Tree(descriptor)
        self._folders = Folders(self._tree, self.calls)
        self._durable: set[str] = set()
        self._unclosed: list[int] = []

    def __repr__(self) -> str:
        return f"volume {self.identity.position} at {self.root}"

    @property
    def position(self) -> int:
        """The number of this volume in its set."""
        return self.identity.position

    @property
    def state(self) -> str:
        """How it is, in words: "ok" or what is wrong."""
        if self.calls.hung:
            return SILENT
        return f"takes no writes: {self.suspect}" if self.suspect else "ok"

    # --- files of a blob

    def create(self, blob: str, name: str, *, first: bool = False) -> int:
        """Create a file, with the blob's directory if need be, and return its descriptor. Raises Full, VolumeError.

        ``first`` says that it is the blob's first, so that its directory is most likely not there yet.
        """
        self._refuse_if_suspect()
        path = _path(blob, name)
        with self.calls.to(path):
            if first:
                with suppress(FileNotFoundError):
                    self._make_folder(blob)
            for _ in range(_RETRIES):
                try:
                    return self._tree.open(path, _CREATE, 0o600)
                except FileNotFoundError:
                    self._make_folders(blob)
        raise VolumeError(f"{self}: cannot create {path!r}: its folders keep vanishing")

    def open(self, blob: str, name: str) -> int:
        """Return a descriptor for reading. Raises Missing, VolumeError, Corrupt if it is not a regular file."""
        path = _path(blob, name)
        with self.calls.to(path):
            return self._open(path)[0]

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Return ``length`` bytes at ``offset``, fewer only at the file's end. Raises VolumeError."""
        with self.calls.to("a file"):
            return _read(descriptor, length, offset)

    def open_cached(self, blob: str, name: str) -> int | None:
        """Return a descriptor for reading if the file can be opened without waiting for the drive, else nothing."""
        if not self.tells_cached or self.calls.hung:
            return None
        return page_cache.open_file(_path(blob, name), _READ | _NO_TRACE, self._root)

    def read_cached(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> bool:
        """Fill buffers, one behind the other, from what is in memory of the file; tell whether all of it was."""
        return self.tells_cached and not self.calls.hung and page_cache.read(descriptor, buffers, offset)

    def close_cached(self, descriptor: int) -> bool:
        """Close a descriptor if that can be done without waiting for the drive; tell whether it was."""
        if self.calls.hung or not page_cache.is_named(descriptor):
            return False
        os.close(descriptor)
        return True

    def write(self, descriptor: int, buffers: list[Buffer], offset: int) -> None:
        """Write all of ``buffers`` one behind the other at ``offset``. Raises Full, VolumeError.

        Whether there is room for them beside the reserve is asked before, with ``leave_reserve``.
        """
        with self.calls.to("a file"):
            self.calls.trouble.meet_write()
            total = sum(map(len, buffers))
            done = os.pwritev(descriptor, buffers, offset)
            if done < total:
                rest = memoryview(b"".join(buffers))[done:]
                while rest:
                    done = os.pwrite(descriptor, rest, offset + total - len(rest))
                    rest = rest[done:]

    def leave_reserve(self, wanted_bytes: int) -> None:
        """Refuse what would take the space that an index beside the blobs needs to delete some.

        Raises Full, VolumeError.
        """
        with self.calls.to("the file system"):
            self.calls.trouble.meet_write()
            found = os.fstatvfs(self._root)
            reserve = min(_RESERVE_BYTES, found.f_blocks * found.f_frsize // _RESERVE_SHARE)
            if found.f_bavail * found.f_frsize - wanted_bytes < reserve:
                raise VolumesFull(f"{self}: the last {reserve} bytes are kept for deletions")

    def begin_flush(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
        """Have the kernel begin to write out a part of a file, or all, so that ``sync`` waits for less.

        Promises nothing. Raises VolumeError if the volume does not answer.
        """
        if self.fsync and _sync_file_range:
            with self.calls.to("a file"):
                _sync_file_range(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)

    def sync(self, descriptor: int) -> None:
        """Make a file's content durable.

        Raises:
            Full: there was no room for it. Its pages may have been dropped, so that no later flush can be believed: the
                file is to be given up. The volume is not: every other file has a flush of its own to rely on.
            VolumeError: the volume takes no more writes.
        """
        if self.fsync:
            with self._flushing("a file", spared=NO_ROOM):
                os.fsync(descriptor)

    def close_file(self, descriptor: int) -> None:
        """Close a descriptor that this volume gave; where the volume does not answer, as soon as it does."""
        if self.calls.hung:  # the last descriptor of a removed file takes its blocks with it
            self._unclosed.append(descriptor)
            return
        closing = self.calls.to("a file")
        self.calls.begin(closing)  # never refused: who was given up must close what it has
        try:
            os.close(descriptor)
        finally:
            self.calls.leave(closing)

    def size(self, descriptor: int) -> int:
        """Return a file's size in bytes."""
        with self.calls.to("a file"):
            return os.fstat(descriptor).st_size

    def read_file(self, blob: str, name: str, limit: int) -> bytes:
        """Return a whole file. Raises Missing, VolumeError, Corrupt if it is longer than ``limit`` bytes."""
        path = _path(blob, name)
        with self.calls.to(path):
            descriptor, size = self._open(path)
            try:
                if size > limit:
                    raise Corrupt(f"{self}: {path} is longer than {limit} bytes")
                return _read(descriptor, size, 0)
            finally:
                os.close(descriptor)

    def write_file(self, blob: str, name: str, data: Buffer, *, flush: bool, first: bool = False) -> None:
        """Write a new file; ``sync_entries`` flushes its directory entry. Raises Full, VolumeError."""
        self.leave_reserve(len(data))
        descriptor = self.create(blob, name, first=first)
        try:
            self.write(descriptor, [data], 0)
            if flush:
                self.sync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, blob: str, name: str, data: Buffer, token: str) -> None:
        """Replace or create a file atomically and durably. Raises Full, VolumeError."""
        temporary = temporary_name(name, token)
        try:
            self.write_file(blob, temporary, data, flush=True)
            self.rename(blob, temporary, name)
        except BaseException:
            with suppress(Missing, VolumeError):
                self.unlink(blob, temporary)
            raise
        self.sync_entries(blob)

    def rename(self, blob: str, old: str, new: str) -> None:
        """Give a file of a blob another name, in place of any file of that name. Raises Missing, VolumeError."""
        source, target = _path(blob, old), _path(blob, new)
        with self.calls.to(target):
            try:
                self._tree.rename(source, target)
            except IsADirectoryError:  # planted: no file of ours is lost by its removal
                self._discard(target)
                self._tree.rename(source, target)

    def link(self, source: str, blob: str, name: str) -> None:
        """Give another blob's file a second name in ``blob``. Raises Missing, Full, VolumeError."""
        self._refuse_if_suspect()
        descriptor = self.open(source, name)  # proves that it is a regular file
        os.close(descriptor)
        old, new = _path(source, name), _path(blob, name)
        with self.calls.to(new):
            for _ in range(_RETRIES):
                try:
                    self._tree.link(old, new)
                except FileNotFoundError:
                    self._make_folders(blob)
                else:
                    return
        raise Missing(f"{self}: {old!r}")

    def sync_entries(self, blob: str) -> None:
        """Make the directory entries that lead to a blob's files durable. Raises VolumeError."""
        if not self.fsync:
            return
        folder, flushed = _path(blob), []
        self._sync_folder(folder)
        while folder:
            folder = folder.rpartition("/")[0]
            self._sync_folder(folder)
            if folder in self._durable:
                break
            flushed.append(folder)
        if len(self._durable) > _DURABLE_FOLDERS:
            self._durable.clear()
        self._durable.update(flushed)

    def sync_removal(self, blob: str) -> None:
        """Make durable that a file of a blob is gone. Raises VolumeError."""
        if self.fsync:
            with suppress(Missing):
                self._sync_folder(_path(blob))

    def sync_all(self) -> None:
        """Make everything written so far durable. Raises Full, VolumeError: the volume takes no more writes."""
        if self.fsync:
            with self._flushing("the file system", slow=True):
                syncfs(self._root)

    # --- removal

    def unlink(self, blob: str, name: str) -> None:
        """Remove a file; nothing happens if it is gone. Raises VolumeError."""
        path = _path(blob, name)
        with self.calls.to(path), suppress(FileNotFoundError):
            self._discard(path)

    def remove(self, blob: str) -> None:
        """Remove a blob's files, its directory, and the folders above it that are empty then. Raises VolumeError."""
        path = _path(blob)
        with self.calls.to(path):
            gone = self._remove_folder(path)
            if not gone:
                with suppress(FileNotFoundError, NotADirectoryError):
                    for name in self._folders.names(path):
                        with suppress(FileNotFoundError):
                            self._discard(_path(blob, name))
                gone = self._remove_folder(path)
            while gone and (path := path.rpartition("/")[0]):
                gone = self._remove_folder(path)

    def prune(self, before_ns: int) -> Iterator[str]:
        """Go through the folders of keys and remove those that hold nothing; yield each that was looked at.

        One that changed after ``before_ns``, other than by this, stays: a writer may have made it for what comes next.
        One that loses its folder nevertheless makes it anew. Raises VolumeError.
        """
        stack = [("", before_ns, self._folders.sorted("", ""))]
        emptied: set[str] = set()
        while stack:
            folder, modified_ns, entries = stack[-1]
            name = next((name for name in entries if "@" not in name and name != "lost+found"), None)
            if name is not None:
                path = f"{folder}/{name}" if folder else name
                with suppress(Missing), self.calls.to(path):
                    seen_ns = self._tree.stat(path).st_mtime_ns
                    stack.append((path, seen_ns, self._folders.sorted(path, "")))
                continue
            stack.pop()
            if folder and (modified_ns < before_ns or folder in emptied):
                with self.calls.to(folder):
                    if self._remove_folder(folder):
                        emptied.add(folder.rpartition("/")[0])
            emptied.discard(folder)
            yield folder

    def _remove_folder(self, path: str) -> bool:
        """Remove a folder if it is empty; tell whether it is gone."""
        try:
            self._tree.rmdir(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR}:
                return False
            raise
        self._durable.discard(path)
        return True

    def _discard(self, path: str) -> None:
        """Unlink whatever is there; a planted directory with all that it holds."""
        try:
            self._tree.unlink(path)
        except (IsADirectoryError, PermissionError):
            if not stat.S_ISDIR(self._tree.stat(path).st_mode):
                raise
            for name in self._folders.names(path):
                self._discard(f"{path}/{name}")
            self._tree.rmdir(path)

    # --- looking around

    def names(self, blob: str) -> list[str]:
        """Return the names of what is in a blob's directory; none if it is gone. Raises VolumeError."""
        path = _path(blob)
        with self.calls.to(path):
            try:
                return self._folders.names(path)
            except FileNotFoundError:
                return []

    def modified_ns(self, blob: str, name: str = "") -> int:
        """Return when a blob's directory, or a file in it, changed last, in nanoseconds since the epoch.

        Raises Missing, VolumeError.
        """
        path = _path(blob, name)
        with self.calls.to(path):
            return self._tree.stat(path).st_mtime_ns

    def walk(self, after: str | None = None) -> Iterator[str]:
        """See ``Folders.walk``."""
        return self._folders.walk(after)

    def some(self, limit: int) -> list[str]:
        """Return the ids of up to ``limit`` blobs, in no order. Raises VolumeError."""
        with self.calls.to("a few blobs"):
            return some_blobs(self._root, limit)

    def free_bytes(self) -> int:
        """Return the space that is left for unprivileged writers. Raises VolumeError."""
        return self.space()[1]

    def space(self) -> tuple[int, int, int]:
        """Return the size in bytes, and what others than root may take, in bytes and inodes. Raises VolumeError."""
        with self.calls.to("the file system"):
            self.calls.trouble.meet_write()
            found = os.fstatvfs(self._root)
            return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_favail

    # --- how it is

    def probe(self) -> None:
        """Write, flush and remove a small file. Raises Full, VolumeError."""
        with self.calls.to("a probe"):
            write_and_remove(self._root)

    def miss(self) -> None:
        """Something goes on without it that it did not let be written or removed: it is behind."""
        if not self.missed:
            self.missed = True
            with suppress(BlobError):  # it may take no writes at all
                self.marks.fall_behind(FOR_EVER)

    def end_missing(self, now: Callable[[], int]) -> None:
        """Have it say until when it was behind: what was to be removed the index alone knows, and that may be lost.

        While it lets nothing be written that is still to be done.
        """
        self.missed = False
        try:
            self.marks.fall_behind(now())
        except BlobError:
            self.missed = True

    def try_again(self, now: Callable[[], int]) -> None:
        """Let calls in again as soon as the volume answers. Its thread waits as long as that takes."""
        with suppress(OSError):  # that is an answer, too
            write_and_remove(self._root)
        self.calls.hung = False
        self.end_missing(now)
        while self._unclosed:
            os.close(self._unclosed.pop())

    # --- its end

    def close(self) -> None:
        """Release the root and the locks; idempotent."""
        self.locks.release()
        if self._root >= 0:
            os.close(self._root)
        self._root = -1

    def again(self) -> "Volume":
        """Return the same volume, open once more."""
        root = os.dup(self._root)
        volume = Volume(self.root, root, self.identity, fsync=self.fsync, tells_cached=self.tells_cached)
        volume.calls.hung = self.calls.hung
        return volume

    # --- within

    def _open(self, path: str) -> tuple[int, int]:
        """Return a descriptor of a regular file and its size in bytes."""
        try:
            descriptor = self._open_quietly(path)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO, errno.EXDEV}:  # a symbolic link; a socket; a mount point
                raise Corrupt(f"{self}: {path!r} is not a file") from error
            raise
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise Corrupt(f"{self}: {path!r} is not a file")
        return descriptor, found.st_size

    def _open_quietly(self, path: str) -> int:
        try:
            return self._tree.open(path, _READ | _NO_TRACE)
        except PermissionError:  # only a file's owner may leave no trace
            return self._tree.open(path, _READ)

    def _make_folders(self, blob: str) -> None:
        """Create a blob's directory and its missing folders; they may vanish again before they are used."""
        components = _path(blob).split("/")
        for depth in range(len(components), 0, -1):
            try:
                self._make_folder("/".join(components[:depth]))
            except FileNotFoundError:
                continue
            break
        for below in range(depth + 1, len(components) + 1):
            with suppress(FileNotFoundError):  # a deletion was faster; the caller tries again
                self._make_folder("/".join(components[:below]))

    def _make_folder(self, path: str) -> None:
        with suppress(FileExistsError):
            self._tree.mkdir(path, 0o700)
            self._durable.discard(path)

    def _sync_folder(self, path: str) -> None:
        if not path:
            self.sync(self._root)
            return
        with self.calls.to(path):
            descriptor = self._tree.open(path, _DIRECTORY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)

    def _refuse_if_suspect(self) -> None:
        if self.suspect:
            raise VolumeError(f"{self} takes no writes: {self.suspect}")

    @contextmanager
    def _flushing(self, what: str, spared: frozenset[int] = frozenset(), *, slow: bool = False) -> Iterator[None]:
        """Flush something. A failure makes the volume suspect, but for errors that are ``spared``."""
        begun = self.flushes.begin() if self.flushes else 0.0
        with self.calls.to(what, slow=slow):
            try:
                self.calls.trouble.meet_flush()
                yield
                if self.flushes:
                    self.flushes.end(begun)
            except OSError as error:
                self.failed_flushes += 1
                if error.errno not in spared:  # the kernel has dropped what it could not write: but what?
                    self.suspect = f"flushing failed: {error.strerror}"
                raise


def _read(descriptor: int, length: int, offset: int) -> bytes:
    data = os.pread(descriptor, length, offset)
    while 0 < len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def syncfs(descriptor: int) -> None:
    """Flush the file system of a descriptor; where the C library has no such call, all file systems."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        os.sync()
    elif call(descriptor):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _path(blob: str, name: str = "") -> str:
    """Return the path of a blob's directory or file below a root. Raises Corrupt for what is no id of ours."""
    if blob[:1] in {"", ".", "/"} or "/." in blob or "//" in blob or "\0" in blob or "@" not in blob.rpartition("/")[2]:
        raise Corrupt(f"{blob!r} is not the id of a blob")
    return f"{blob}/{name}" if name else blob
