"""The queue of the processes that write one index.

SQLite has a writer that finds another one at work ask again after a while, and after a longer while, so that workers
spend much of their time asleep. A lock of the kernel's is handed on the moment it is free. Correctness does not rest
on it: SQLite's own locks hold all the same.
"""

import fcntl
import os
from pathlib import Path


class WriteLock:
    """A file to be first at; use it as the context of a transaction. It waits as long as it takes.

    Args:
        path: the file; made if it is not there. Raises OSError if that fails.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
