"""A few blobs of a volume, in no order: to find them takes no longer in a large store."""

import os
from itertools import islice

_ENTRIES = 100
"""How many entries of a folder are looked at."""


def some_blobs(root: int, limit: int) -> list[str]:
    """Return the ids of up to ``limit`` blobs in an open root directory. Raises OSError."""
    folders, found = [""], list[str]()
    while folders and len(found) < limit:
        folder = folders.pop()
        descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        try:
            with os.scandir(descriptor) as entries:
                for entry in islice(entries, _ENTRIES):
                    if entry.name[0] == "." or not entry.is_dir(follow_symlinks=False):
                        continue
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    (found if "@" in entry.name else folders).append(path)
        finally:
            os.close(descriptor)
    return found[:limit]
