"""Names below a root directory: no link is followed on the way to one, and no mount point is crossed.

What others plant in a volume is an error that names it; nothing is ever read or written outside. The kernel resolves a
path in one call where it can (``openat2``); elsewhere it is resolved one component after the other.
"""

import errno
import os

from s3ish.blob.volumes.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, OpenAt2

INSIDE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_open_inside = OpenAt2(INSIDE, waits=True)


def temporary_name(name: str, token: str) -> str:
    """Return the name of a file that will take the place of ``name``."""
    return f".{name}.{token}"


def is_temporary(name: str) -> bool:
    """Whether a file is one that was to take the place of another."""
    return name.startswith(".")


class Tree:
    """The names below an open root directory. All paths are relative to it; everything raises OSError.

    Args:
        root: its descriptor, open as long as this is used.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        _open_inside.try_out(root)

    def open(self, path: str, flags: int, mode: int = 0) -> int:
        """Return a descriptor; ``flags`` have O_NOFOLLOW."""
        found = _open_inside(path, flags, mode, self._root)
        if found >= 0:
            return found
        if _open_inside.known:
            raise OSError(-found, os.strerror(-found), path)
        folder, name = self._walk(path)
        try:
            return os.open(name, flags, mode, dir_fd=folder)
        finally:
            os.close(folder)

    def mkdir(self, path: str, mode: int) -> None:
        """Make a folder."""
        folder, name = self._above(path)
        try:
            os.mkdir(name, mode, dir_fd=folder)
        finally:
            self._leave(folder)

    def rename(self, old: str, new: str) -> None:
        """Rename a file within its folder, in place of any file of that name."""
        folder, name = self._above(old)
        try:
            os.rename(name, new.rpartition("/")[2], src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            self._leave(folder)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        source, name = self._above(old)
        try:
            target, second = self._above(new)
            try:
                os.link(name, second, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            finally:
                self._leave(target)
        finally:
            self._leave(source)

    def unlink(self, path: str) -> None:
        """Remove what is no folder."""
        folder, name = self._above(path)
        try:
            os.unlink(name, dir_fd=folder)
        finally:
            self._leave(folder)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        folder, name = self._above(path)
        try:
            os.rmdir(name, dir_fd=folder)
        finally:
            self._leave(folder)

    def stat(self, path: str) -> os.stat_result:
        """Return what is known of a name."""
        folder, name = self._above(path)
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        finally:
            self._leave(folder)

    def _above(self, path: str) -> tuple[int, str]:
        """Open the folder that holds a name, until ``_leave``."""
        above, _, name = path.rpartition("/")
        return (self.open(above, _FOLDER) if above else self._root), name

    def _leave(self, folder: int) -> None:
        if folder != self._root:
            os.close(folder)

    def _walk(self, path: str) -> tuple[int, str]:
        """Open the folder that holds a name, one component after the other."""
        *above, name = path.split("/")
        device = os.fstat(self._root).st_dev
        folder = os.dup(self._root)
        try:
            for component in above:
                below = os.open(component, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
                if os.fstat(folder).st_dev != device:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
        except BaseException:
            os.close(folder)
            raise
        return folder, name
