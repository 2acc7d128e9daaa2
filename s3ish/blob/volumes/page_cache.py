"""What the kernel has in memory of a file system: opened and read at once or not at all, and never from the drive.

The event loop may call these for files of a file system that is ``supported``; on a network or in another process even
to open what is in memory may take a while.

https://man7.org/linux/man-pages/man2/openat2.2.html (RESOLVE_CACHED, Linux 5.12)
https://man7.org/linux/man-pages/man2/preadv2.2.html (RWF_NOWAIT, Linux 4.14)
"""

import errno
import os
import stat
from collections.abc import Sequence

from s3ish.blob.protocol import Buffer
from s3ish.blob.volumes.openat2 import RESOLVE_CACHED, OpenAt2
from s3ish.blob.volumes.tree import INSIDE

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


_open_cached = OpenAt2(RESOLVE_CACHED | INSIDE, waits=False)


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
    descriptor = _open_cached(path, flags, 0, dir_fd)
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
