"""The system call ``openat2``, which the C library has no function for.

https://man7.org/linux/man-pages/man2/openat2.2.html (Linux 5.6)
"""

import ctypes
import errno
import os
import sys

RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV = 0x08, 0x04, 0x01
RESOLVE_CACHED = 0x20
"""Since Linux 5.12: only what can be opened without waiting for the drive."""

_NUMBER = 437


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_SIZE = ctypes.c_size_t(ctypes.sizeof(_How))


class OpenAt2:
    """The call, with how it is to resolve paths.

    Args:
        resolve: the flags.
        waits: whether it may wait for a drive: then it gives up the interpreter's lock.

    ``known`` says whether the kernel has the call, and lets this process use it.
    """

    def __init__(self, resolve: int, *, waits: bool) -> None:
        self._resolve = resolve
        self.known, self._tried = sys.platform == "linux", False
        self._hows: dict[tuple[int, int], _How] = {}  # the kernel reads them alone
        self._call = (ctypes.CDLL if waits else ctypes.PyDLL)(None, use_errno=True).syscall

    def try_out(self, dir_fd: int) -> None:
        """Find out by an open directory whether this process may use the call: a sandbox can forbid it."""
        if self.known and not self._tried:
            self._tried = True
            found = self(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, dir_fd)
            if found >= 0:
                os.close(found)
            self.known = self.known and found != -errno.EPERM

    def __call__(self, path: str, flags: int, mode: int, dir_fd: int) -> int:
        """Return a descriptor; or an error's number below zero, and if it is unknown, that of ENOSYS."""
        if not self.known:
            return -errno.ENOSYS
        how = self._hows.get((flags, mode)) or self._hows.setdefault((flags, mode), _How(flags, mode, self._resolve))
        found: int = self._call(_NUMBER, dir_fd, os.fsencode(path), ctypes.byref(how), _SIZE)
        if found >= 0:
            return found
        number = ctypes.get_errno()
        if number in {errno.ENOSYS, errno.EINVAL}:
            self.known = False
        return -number
