"""A file system that tells what is written from what is durable, and can say what a power cut would leave of it.

A file's content is durable as of its last fsync. A directory's entries are durable as of its last fsync; what changed
them since is a list of atomic changes (create, link, rename, unlink, rmdir), each of which a crash may keep or drop.
``System`` puts such file systems in the place of the module ``os`` that ``s3ish.blob.volume`` works with, so that
the real ``Volume`` runs on them and every system call is a step at which the power can go.
"""

import errno
import os
import stat
from contextlib import contextmanager
from types import SimpleNamespace

ROOT_DESCRIPTOR = 1_000_000
"""Far above any real descriptor: one that gets to the real ``os`` by mistake fails there."""


class File:
    """Bytes as they are read now, and as they were at the last fsync (``b""``: never)."""

    def __init__(self, data=b"", modified_ns=0):
        self.data, self.durable = bytearray(data), bytes(data)
        self.modified_ns = modified_ns

    @property
    def dirty(self):
        return self.data != self.durable


class Folder:
    """Entries as they are now, as they were at the last fsync, and the changes in between."""

    def __init__(self, entries=None, modified_ns=0):
        self.entries = entries or {}
        self.durable, self.pending = dict(self.entries), []
        self.modified_ns = modified_ns

    def sync(self):
        self.durable, self.pending = dict(self.entries), []


class Disk:
    """One file system.

    Args:
        machine: told of every step by ``step(name)``, and asked for the time by ``clock.ns``.
        tree: what is on it: path -> bytes of a file, or None for a directory.

    One that is ``stopped`` answers every call with an I/O error, and changes no more.
    """

    def __init__(self, machine, tree):
        self.machine, self._changes, self.stopped = machine, 0, False
        self.root = Folder()
        for path in sorted(tree):
            folder, _, name = path.rpartition("/")
            parent = self.find(folder) if folder else self.root
            data = tree[path]
            node = Folder(modified_ns=machine.clock.ns) if data is None else File(data, machine.clock.ns)
            parent.entries[name] = parent.durable[name] = node

    def find(self, path):
        node = self.root
        for name in path.split("/") if path not in ("", ".") else ():
            if not isinstance(node, Folder):
                raise _error(errno.ENOTDIR, path)
            if name not in node.entries:
                raise _error(errno.ENOENT, path)
            node = node.entries[name]
        return node

    def place(self, path):
        """Return the folder that a path's last component is in, and that component."""
        folder, _, name = path.rpartition("/")
        found = self.find(folder)
        if not isinstance(found, Folder):
            raise _error(errno.ENOTDIR, path)
        return found, name

    def change(self, folder, *names):
        """Apply one atomic change to a folder: pairs of a name and its node, None to remove it."""
        self._changes += 1
        folder.pending.append((self._changes, names))
        _apply(folder.entries, names)
        folder.modified_ns = self.machine.clock.ns

    def sync(self):
        """Make everything durable, as syncfs does."""
        for node in _all(self.root):
            _sync(node)

    def survivors(self, choice):
        """Return what a crash leaves, as ``tree`` is given; ``choice`` says what is kept of what is not durable."""
        tree = {}
        _collect(self.root, choice.begin(self._changes), "", tree)
        return tree


def _sync(node):
    if isinstance(node, Folder):
        node.sync()
    else:
        node.durable = bytes(node.data)


def _all(folder):
    yield folder
    for node in folder.entries.values():
        if isinstance(node, Folder):
            yield from _all(node)
        else:
            yield node


def _apply(entries, names):
    for name, node in names:
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _collect(folder, choice, prefix, tree):
    entries = folder.durable
    if folder.pending:
        entries = dict(entries)
        for number, names in folder.pending:
            if choice.keeps(number):
                _apply(entries, names)
    for name, node in entries.items():
        if isinstance(node, Folder):
            tree[prefix + name] = None
            _collect(node, choice, f"{prefix}{name}/", tree)
        else:
            tree[prefix + name] = choice.content(node) if node.dirty else node.durable


class Dropped:
    """Nothing that is not durable survives."""

    name = "dropped"

    def begin(self, changes):
        return self

    def keeps(self, number):
        return False

    def content(self, file):
        return file.durable


class Kept:
    """All that was written survives, durable or not."""

    name = "kept"

    def begin(self, changes):
        return self

    def keeps(self, number):
        return True

    def content(self, file):
        return bytes(file.data)


class Some:
    """A random part survives: of the changes either those up to a moment, as a journal does it, or any."""

    name = "some"

    def __init__(self, random):
        self._random = random

    def begin(self, changes):
        self._until = self._random.randrange(changes + 1) if self._random.random() < 0.5 else None
        return self

    def keeps(self, number):
        return self._random.random() < 0.5 if self._until is None else number <= self._until

    def content(self, file):
        data = bytes(file.data)
        torn = data[: self._random.randrange(len(data) + 1)]
        return self._random.choice([file.durable, data, torn, torn.ljust(len(data), b"\0")])


class System:
    """What ``s3ish.blob.volume`` needs of ``os``, on disks. Every call that changes or flushes something is a step."""

    strerror = staticmethod(os.strerror)

    def __init__(self):
        self._open, self._next = {}, ROOT_DESCRIPTOR

    def __getattr__(self, name):
        if name.startswith("O_"):
            return getattr(os, name)
        raise AttributeError(f"the simulated system has no os.{name}")

    @property
    def open_descriptors(self):
        return len(self._open)

    def mount(self, disk):
        """Return a descriptor of a disk's root."""
        return self._hold(disk, disk.root)

    def forget(self, disk):
        """Close what is open on a disk, as the end of its machine does."""
        self._open = {descriptor: held for descriptor, held in self._open.items() if held[0] is not disk}

    def _hold(self, disk, node):
        self._next += 1
        self._open[self._next] = disk, node
        return self._next

    def _held(self, descriptor):
        if descriptor not in self._open:
            raise _error(errno.EBADF, str(descriptor))
        if self._open[descriptor][0].stopped:
            raise _error(errno.EIO, str(descriptor))
        return self._open[descriptor]

    def _disk(self, dir_fd, step=""):
        disk, node = self._held(dir_fd)
        assert node is disk.root, "paths are relative to a volume's root"
        if step:
            disk.machine.step(step)
        return disk

    # --- files

    def open(self, path, flags, mode=0o777, *, dir_fd):
        disk = self._disk(dir_fd, f"create {path}" if flags & os.O_CREAT else "")
        if flags & os.O_CREAT:
            folder, name = disk.place(path)
            if name in folder.entries:
                raise _error(errno.EEXIST, path)
            node = File(modified_ns=disk.machine.clock.ns)
            disk.change(folder, (name, node))
        else:
            node = disk.find(path)
        if flags & os.O_DIRECTORY and not isinstance(node, Folder):
            raise _error(errno.ENOTDIR, path)
        return self._hold(disk, node)

    def close(self, descriptor):
        if self._open.pop(descriptor, None) is None:
            raise _error(errno.EBADF, str(descriptor))

    def pread(self, descriptor, length, offset):
        return bytes(self._held(descriptor)[1].data[offset : offset + length])

    def preadv(self, descriptor, buffers, offset, flags):
        assert flags == os.RWF_NOWAIT
        start = offset
        for buffer in buffers:
            data = self.pread(descriptor, len(buffer), offset)
            memoryview(buffer)[: len(data)] = data
            offset += len(data)
        return offset - start

    def pwrite(self, descriptor, data, offset):
        return self.pwritev(descriptor, [data], offset)

    def pwritev(self, descriptor, buffers, offset):
        disk, file = self._held(descriptor)
        disk.machine.step("write")
        data = b"".join(buffers)
        if len(file.data) < offset:
            file.data.extend(bytes(offset - len(file.data)))
        file.data[offset : offset + len(data)] = data
        file.modified_ns = disk.machine.clock.ns
        return len(data)

    def fsync(self, descriptor):
        disk, node = self._held(descriptor)
        disk.machine.step("fsync")
        _sync(node)

    def syncfs(self, descriptor):
        disk, _ = self._held(descriptor)
        disk.machine.step("syncfs")
        disk.sync()

    # --- names

    def mkdir(self, path, mode=0o777, *, dir_fd):
        disk = self._disk(dir_fd, f"mkdir {path}")
        folder, name = disk.place(path)
        if name in folder.entries:
            raise _error(errno.EEXIST, path)
        disk.change(folder, (name, Folder(modified_ns=disk.machine.clock.ns)))

    def rename(self, old, new, *, src_dir_fd, dst_dir_fd):
        disk = self._disk(src_dir_fd, f"rename {new}")
        folder, name = disk.place(old)
        target, target_name = disk.place(new)
        assert src_dir_fd == dst_dir_fd
        assert folder is target, "a rename between directories is not simulated"
        if name not in folder.entries:
            raise _error(errno.ENOENT, old)
        if isinstance(folder.entries.get(target_name), Folder):
            raise _error(errno.EISDIR, new)
        disk.change(folder, (name, None), (target_name, folder.entries[name]))

    def link(self, old, new, *, src_dir_fd, dst_dir_fd, follow_symlinks):
        disk = self._disk(src_dir_fd, f"link {new}")
        node = disk.find(old)
        folder, name = disk.place(new)
        if name in folder.entries:
            raise _error(errno.EEXIST, new)
        disk.change(folder, (name, node))

    def unlink(self, path, *, dir_fd):
        disk = self._disk(dir_fd, f"unlink {path}")
        folder, name = disk.place(path)
        if isinstance(disk.find(path), Folder):
            raise _error(errno.EISDIR, path)
        disk.change(folder, (name, None))

    def rmdir(self, path, *, dir_fd):
        disk = self._disk(dir_fd, f"rmdir {path}")
        folder, name = disk.place(path)
        node = disk.find(path)
        if not isinstance(node, Folder):
            raise _error(errno.ENOTDIR, path)
        if node.entries:
            raise _error(errno.ENOTEMPTY, path)
        disk.change(folder, (name, None))

    # --- looking around

    def fstat(self, descriptor):
        return _status(self._held(descriptor)[1])

    def stat(self, path, *, dir_fd, follow_symlinks=True):
        return _status(self._disk(dir_fd).find(path))

    def listdir(self, descriptor):
        return list(self._held(descriptor)[1].entries)

    @contextmanager
    def scandir(self, descriptor):
        yield [_Entry(name, node) for name, node in list(self._held(descriptor)[1].entries.items())]

    def fstatvfs(self, descriptor):
        return SimpleNamespace(f_bavail=1 << 20, f_frsize=4096, f_blocks=1 << 21, f_favail=1 << 20, f_files=1 << 21)


class _Entry:
    def __init__(self, name, node):
        self.name, self._node = name, node

    def is_dir(self, *, follow_symlinks):
        return isinstance(self._node, Folder)


def _status(node):
    if isinstance(node, Folder):
        return SimpleNamespace(st_mode=stat.S_IFDIR | 0o700, st_size=0, st_mtime_ns=node.modified_ns)
    return SimpleNamespace(st_mode=stat.S_IFREG | 0o600, st_size=len(node.data), st_mtime_ns=node.modified_ns)


def _error(code, path):
    return OSError(code, os.strerror(code), path)
