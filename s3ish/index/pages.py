"""Checksums on the pages of an index file, so that a damaged page is an error and not a row that seems to be absent.

SQLite takes a page whose header is whole and whose rows are gone for one that holds none. Its checksum VFS writes eight
bytes behind each page of the file and compares them whenever the page is read. To import this module makes that VFS the
default of the process: a connection without it would write pages with wrong checksums.

https://www.sqlite.org/cksumvfs.html
"""

import os
from contextlib import closing
from pathlib import Path

import apsw
import apsw.sqlite_extra

PAGE_BYTES = 4096

CHECKSUM_BYTES = 8
"""What is reserved at the end of each page; with another value the VFS does nothing."""

_DAMAGED = (apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_SHORT_READ)
"""I/O errors that mean damage: a checksum does not fit, and the file ends too early."""


def _register() -> None:
    with closing(apsw.Connection(":memory:")) as connection:
        apsw.sqlite_extra.load(connection, "cksumvfs")


_register()


def reserve(connection: apsw.Connection) -> None:
    """Give a file checksums; nothing may have been written to it. Raises apsw.Error."""
    connection.reserve_bytes("main", CHECKSUM_BYTES)


def are_verified(connection: apsw.Connection) -> bool:
    """Whether what is read through a connection is verified. Raises apsw.Error."""
    return str(connection.pragma("checksum_verification")) == "1"


def is_cut(path: Path) -> bool:
    """Whether a file ends in the middle of a page, and no log has the rest: what is missing is read as zeros."""
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size % PAGE_BYTES != 0 and not (log.exists() and log.stat().st_size)


def is_damage(error: BaseException) -> bool:
    """Whether an error of SQLite's means that the file is not what was written."""
    if isinstance(error, apsw.IOError):
        return getattr(error, "extendedresult", 0) in _DAMAGED
    return isinstance(error, apsw.CorruptError | apsw.NotADBError)


def find_fault(connection: apsw.Connection) -> str:
    """Go through all pages and rows; return what is wrong with their order, empty if nothing. Raises apsw.Error.

    A quick check does not compare keys: it passes two pages of a table that are in each other's place.
    """
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return "" if found == ("ok",) else str(found and found[0])


def copy(connection: apsw.Connection, target: Path) -> None:
    """Write all that a connection sees to a new file, with checksums. Raises apsw.Error."""
    reserve(connection)
    connection.execute("VACUUM INTO ?", (os.fspath(target),))
