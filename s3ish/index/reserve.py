"""Room that an index leaves on its file system, for what removes rows.

Where an index fills a file system to the last byte nothing can be removed any more: a removal is written to the log,
and the log is used again only when what stands in it has found room in the file. So what adds rows is refused before.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from s3ish.index.pages import PAGE_BYTES
from s3ish.index.protocol import Change, Delete, Layout, Put

RESERVE_BYTES, RESERVE_SHARE = 16 << 20, 32
"""What is left: so many bytes, on a small file system one of so many parts of it."""

_PLENTY_BYTES = 2 << 30
"""Where more is free than the greatest transaction could take, nothing is looked at."""

_COPIES = 2
"""What is written stands in the log, and then in the file as well."""

_GROWTH_BYTES = 1024
"""By so much a row may grow that is there already."""

_NOTE_BYTES = 4096
"""So long is a row at most that reports a removal, as an event is."""

Value = Callable[[str, bytes], bytes | None]
"""Returns the value of a row, None if there is none."""


class Reserve:
    """What one index leaves.

    Args:
        path: of its file.
        tables: of the index.
    """

    def __init__(self, path: Path, tables: Sequence[Layout]) -> None:
        self._path = path
        self._spared = frozenset(table.name for table in tables if table.spared)
        self._long = frozenset(table.name for table in tables if table.long_values)
        self._left: int | None = None

    def begin(self, pages: Callable[[], int]) -> None:
        """A transaction begins, in an index in which so many pages are used: some may stand in the log alone, and the
        file may have others.
        """
        self._left = None
        with suppress(OSError):  # then the transaction fails as well
            found = os.statvfs(self._path.parent)
            free = found.f_bavail * found.f_frsize
            if free < _PLENTY_BYTES:
                reserve = min(RESERVE_BYTES, found.f_blocks * found.f_frsize // RESERVE_SHARE)
                self._left = free - reserve - pages() * PAGE_BYTES + os.stat(self._path).st_size

    def refuses(self, changes: Sequence[Change], value: Value) -> bool:
        """Whether there is no room for the changes of a commit beside what is to be left; else they take it.

        What removes rows, and small changes of rows that are there, find room in any case. But an object that takes the
        place of another removes rows as well: what a removal brings may be long only where as much is removed.
        """
        if self._left is None:
            return False
        puts = [it for it in changes if isinstance(it, Put)]
        size = _COPIES * sum(len(it.key) + len(it.value) for it in puts)
        if size <= self._left:
            self._left -= size
            return False
        removed = 0
        if deletes := [it for it in changes if isinstance(it, Delete)]:
            puts = [it for it in puts if it.table in self._long or len(it.value) > _NOTE_BYTES]
            removed = sum(len(value(it.table, it.key) or b"") for it in deletes)
        return sum(len(it.key) + len(it.value) for it in puts if not self._is_small(it, value)) > removed

    def _is_small(self, put: Put, value: Value) -> bool:
        if put.table in self._spared:
            return True
        before = value(put.table, put.key)
        return before is not None and len(put.value) <= len(before) + _GROWTH_BYTES
