"""A few blobs of a volume, in no order: to find them takes no longer in a large store."""

import os
from itertools import islice

from s3ish.blob.volumes.tree import Tree

_ENTRIES = 100
"""How many entries of a folder are looked at."""


def some_blobs(root: int, limit: int) -> list[str]:
    """Return the ids of up to ``limit`` blobs in an open root directory. Raises OSError."""
    tree, folders, found = Tree(root), [""], list[str]()
    while folders and len(found) < limit:
        folder = folders.pop()
        descriptor = tree.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
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
