"""Going through the folders of a volume, in order and with bounded memory."""

import heapq
import os
from collections.abc import Iterable, Iterator

from s3ish.blob.volumes.calls import Calls
from s3ish.blob.volumes.tree import Tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_WINDOW = 100_000
"""How many names of one folder are held in memory at once while walking."""

_ADVANCE = 1000
"""After so many names of a folder the drive has shown that it answers."""


class Folders:
    """The folders below an open root directory.

    Args:
        tree: opens them.
        calls: know of each look at the drive.
    """

    def __init__(self, tree: Tree, calls: Calls) -> None:
        self._tree, self._calls = tree, calls

    def walk(self, after: str | None = None) -> Iterator[str]:
        """Yield the ids of the blob directories, ordered by their components, from behind ``after``.

        Raises VolumeError.
        """
        start = after.split("/") if after else []
        stack = [("", self.sorted("", start[0] if start else ""))]
        while stack:
            folder, entries = stack[-1]
            name = next(entries, None)
            if name is None:
                stack.pop()
                continue
            path = f"{folder}/{name}" if folder else name
            if "@" in name:
                if path != after:
                    yield path
                continue
            depth = len(stack)
            on_the_way = len(start) > depth and start[:depth] == path.split("/")
            stack.append((path, self.sorted(path, start[depth] if on_the_way else "")))

    def names(self, path: str) -> list[str]:
        """Return the names of what is in a folder. Raises OSError."""
        descriptor = self._tree.open(path or ".", _DIRECTORY)
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def sorted(self, folder: str, start: str) -> Iterator[str]:
        """Yield the names of the folders in a folder in order, from ``start`` on, with bounded memory.

        Raises VolumeError.
        """
        first = True
        while True:
            with self._calls.to(folder):
                batch = heapq.nsmallest(_WINDOW, self._directories(folder, start, inclusive=first))
            yield from batch
            if len(batch) < _WINDOW:
                return
            first, start = False, batch[-1]

    def _directories(self, folder: str, start: str, *, inclusive: bool) -> Iterable[str]:
        try:
            descriptor = self._tree.open(folder or ".", _DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        except PermissionError:
            if folder == "lost+found":  # mkfs makes it for root alone
                return
            raise
        try:
            with os.scandir(descriptor) as entries:
                for number, entry in enumerate(entries):
                    if not number % _ADVANCE:
                        self._calls.advance()
                    name = entry.name
                    wanted = name > start or (inclusive and name == start)
                    if wanted and name[0] != "." and entry.is_dir(follow_symlinks=False):
                        yield name
        finally:
            os.close(descriptor)
