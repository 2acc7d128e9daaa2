"""A place for an index in SQLite: a file, with the log and the others that lie beside it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from s3ish.index import sqlite_file
from s3ish.index.protocol import IndexFull, Layout, Monitor
from s3ish.index.sqlite import SQLiteIndex

_LOG = ("-wal", "-shm")
_BESIDE = (*_LOG, "-queue", "-marks")


class SQLitePlace(Struct, frozen=True):
    """See ``IndexPlace``.

    One that is on no volume is a file that settings name: its folder may have to be made, and it may be any file, so
    that what is in its place is never lost. On a volume, a folder that is not there means that it is another volume.
    """

    path: Path
    volume: str = ""

    def __str__(self) -> str:
        return str(self.path)

    def is_blank(self) -> bool:
        """See ``IndexPlace.is_blank``: SQLite would take an empty file for a new index."""
        return sqlite_file.is_blank(self.path)

    def open(
        self,
        tables: Sequence[Layout],
        *,
        durable: bool = True,
        contended: bool = False,
        monitor: Monitor | None = None,
        first: int = 0,
        on_commit: Callable[[int], None] | None = None,
        reserved: bool = False,
    ) -> SQLiteIndex:
        """See ``IndexPlace.open``."""
        return SQLiteIndex(
            self.path,
            tables,
            durable=durable,
            contended=contended,
            monitor=monitor,
            first=first,
            on_commit=on_commit,
            reserved=reserved,
        )

    def peek(self, table: str, key: bytes) -> bytes | None:
        """See ``IndexPlace.peek``."""
        return sqlite_file.peek(self.path, table, key)

    def find_damage(self) -> str:
        """See ``IndexPlace.find_damage``."""
        return sqlite_file.find_damage(self.path)

    def renew(self) -> None:
        """See ``IndexPlace.renew``."""
        if not sqlite_file.is_older(self.path):
            return
        draft = self.draft()
        try:
            sqlite_file.renew(self.path, draft.path)
        except IndexFull:
            draft.remove()
            raise
        self.take_draft()

    def draft(self) -> "SQLitePlace":
        """See ``IndexPlace.draft``."""
        if not self.volume:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._draft()
        _remove(draft.path)
        return draft

    def take_draft(self) -> None:
        """See ``IndexPlace.take_draft``. The log of what was here is of no more use."""
        draft = self._draft()
        _flush(draft.path)
        for suffix in _LOG:
            _beside(self.path, suffix).unlink(missing_ok=True)
        os.replace(draft.path, self.path)
        _remove(draft.path)  # what lay beside it
        _flush(self.path.parent)

    def set_aside(self) -> None:
        """See ``IndexPlace.set_aside``."""
        if not self.volume:
            os.replace(self.path, _beside(self.path, ".damaged"))

    def remove(self) -> None:
        """See ``IndexPlace.remove``."""
        _remove(self.path)
        _remove(self._draft().path)

    def _draft(self) -> "SQLitePlace":
        return SQLitePlace(_beside(self.path, ".new"), self.volume)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    """Remove the files of an index, if there are any."""
    for suffix in ("", *_BESIDE):
        _beside(path, suffix).unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
