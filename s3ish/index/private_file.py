"""The rights of an index's files: it may hold secret keys, so only its owner reads it."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def keep_private(path: Path) -> None:
    """Make an empty file that the owner alone may use, or take the rights of others from one that is there.

    It is done before SQLite opens it, which gives the files beside it the same rights. A file of another user stays as
    it is. Nothing is opened that is there: to close it would end the locks of this process.

    Raises:
        OSError: there is no file, and none can be made.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with suppress(FileNotFoundError, PermissionError):
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & 0o077:
                file.chmod(mode & 0o700)
