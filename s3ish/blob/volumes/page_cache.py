"""What the kernel has in memory of a file system: opened and read at once or not at all, and never from the drive.

The event loop may call these for files of a file system that is ``supported``; on a network or in another process even
to open what is in memory may take a while.

https://man7.org/linux/man-pages/man2/openat2.2.html (RESOLVE_CACHED, Linux 5.12)
https://man7.org/linux/man-pages/man2/preadv2.2.html (RWF_NOWAIT, Linux 4.14)
"""

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Sequence

from s3ish.blob.protocol import Buffer

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_OPENAT2, _RESOLVE_CACHED = 437, 0x20


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


class _Opener:
    """The system call ``openat2``, which the C library has no function for."""

    def __init__(self) -> None:
        self._known = sys.platform == "linux"
        self._call = ctypes.PyDLL(None, use_errno=True).syscall  # it does not wait: the interpreter's lock is kept

    def __call__(self, path: str, flags: int, dir_fd: int) -> int:
        """Return a descriptor, or -1."""
        if not self._known:
            return -1
        how = _How(flags, 0, _RESOLVE_CACHED)
        size = ctypes.c_size_t(ctypes.sizeof(how))
        found: int = self._call(_OPENAT2, dir_fd, os.fsencode(path), ctypes.byref(how), size)
        if found < 0:
            self._known = ctypes.get_errno() not in {errno.ENOSYS, errno.EINVAL}
        return found


_opener = _Opener()


def supported(path: str, dir_fd: int) -> bool:
    """Whether the file system of a file can tell what it has in memory. Waits for the drive."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError:
        return False
    try:
        return bool(_NOWAIT) and os.preadv(descriptor, [bytearray(1)], 0, _NOWAIT) >= 0
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)


def open_file(path: str, flags: int, dir_fd: int) -> int | None:
    """Return a descriptor of a regular file whose name and inode are in memory; None for any other."""
    descriptor = _opener(path, flags, dir_fd)
    if descriptor < 0:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return descriptor


def read(descriptor: int, buffers: Sequence[Buffer], offset: int) -> bool:
    """Fill buffers, one behind the other; tell whether all of it was in memory."""
    if not _NOWAIT:
        return False
    try:
        return os.preadv(descriptor, buffers, offset, _NOWAIT) == sum(map(len, buffers))
    except OSError:
        return False


def is_named(descriptor: int) -> bool:
    """Whether a file has a name still: to close one that has none removes its bytes, which may take a while."""
    return os.fstat(descriptor).st_nlink > 0
