"""The file of an index in SQLite: opening it, looking through it, what its failures mean."""

import errno
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

import apsw

from s3ish.index import pages
from s3ish.index.private_file import keep_private
from s3ish.index.protocol import Broken, Damaged, IndexFull, Layout, NewerFormat, Unavailable

FORMAT = 2
"""In the first one pages have no checksums, and no value is of format 2; see ``renew``."""

BUSY_MILLISECONDS = 30_000
"""How long a writer waits for another process's transaction, or for a drive that does not answer."""

_CACHE_KIB = 16 * 1024
_CHECKPOINT_PAGES = 4000


def is_blank(path: Path) -> bool:
    """Whether there is no file, or an empty one, which SQLite would take for a new index."""
    try:
        return not path.stat().st_size
    except FileNotFoundError:
        return True


def peek(path: Path, table: str, key: bytes) -> bytes | None:
    """Return a row of the index in a file that may be in use. Raises Damaged, Unavailable; makes no file."""
    try:
        connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            row = connection.execute(f"SELECT value FROM {table} WHERE key=?", (key,)).fetchone()
        finally:
            connection.close()
    except apsw.Error as error:
        raise failure(error, path) from error
    return None if row is None else cast("bytes", row[0])


def find_damage(path: Path) -> str:
    """Look through the whole file; return what is wrong with it, empty if nothing. Raises Unavailable."""
    try:
        with closing(prepared(path, (), durable=True)) as connection:
            return pages.find_fault(connection)
    except (apsw.Error, OSError) as error:
        if pages.is_damage(error):
            return str(error)
        raise failure(error, path) from error


def is_older(path: Path) -> bool:
    """Whether an index is of a format before this one. Raises Damaged, Unavailable."""
    try:
        with closing(apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
            return 0 < cast("int", connection.pragma("user_version")) < FORMAT
    except apsw.Error as error:
        raise failure(error, path) from error


def renew(path: Path, target: Path) -> None:
    """Write an index that is older to a new file, in this format; nothing else may use it, and its log is empty then.

    Raises:
        Damaged: there is damage in it, which would look like rows that are absent.
        IndexFull, Unavailable: it cannot be copied.
    """
    try:
        with closing(connect(path, durable=True)) as connection:
            if fault := pages.find_fault(connection):
                raise Damaged(broken(path, fault))
            keep_private(target)
            pages.copy(connection, target)
        with closing(apsw.Connection(os.fspath(target))) as connection:
            connection.pragma("user_version", FORMAT)
    except (apsw.Error, OSError) as error:
        raise failure(error, path) from error


def connect(path: Path, *, durable: bool) -> apsw.Connection:
    """Return a connection as all uses of an index have it. Raises apsw.Error.

    Args:
        durable: whether a commit waits for its flush.
    """
    connection = apsw.Connection(os.fspath(path), statementcachesize=64)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    if is_blank(path):
        pages.reserve(connection)
    connection.execute(f"PRAGMA page_size={pages.PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA journal_size_limit=67108864")
    return connection


def missing_right(path: Path) -> str:
    """Return who needs which right, if that is why an index cannot be opened."""
    if all(os.access(place, os.R_OK | os.W_OK) for place in (path, path.parent) if place.exists()):
        return ""
    return f"; the user with id {os.geteuid()} needs the right to read and write it and its directory"


def prepared(path: Path, tables: Sequence[Layout], *, durable: bool) -> apsw.Connection:
    """Return a connection to an index that has its tables and is verified. Raises apsw.Error, NewerFormat."""
    if not is_blank(path) and pages.is_cut(path):
        raise apsw.CorruptError("it ends in the middle of a page")
    keep_private(path)
    connection = connect(path, durable=durable)
    if _prepare(connection, tables) == FORMAT and not pages.are_verified(connection):
        connection.close()  # it may have begun when the file was empty, and another process made it
        connection = connect(path, durable=durable)
        if not pages.are_verified(connection):
            raise apsw.CorruptError("its first page does not say that pages have checksums")
    return connection


def count_from(connection: apsw.Connection, first: int) -> int:
    """Return how many commits an index has seen; at least ``first`` from now on. Raises apsw.Error."""
    if not connection.table_exists("main", "commits"):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS commits(number INTEGER NOT NULL)")
        connection.execute("INSERT INTO commits SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM commits)")
        connection.execute("COMMIT")
    connection.execute("UPDATE commits SET number=? WHERE number<?", (first, first))
    found = connection.execute("SELECT number FROM commits").fetchone()
    if found is None:
        raise apsw.CorruptError("it does not say how many commits it has seen")
    return cast("int", found[0])


def _prepare(connection: apsw.Connection, tables: Sequence[Layout]) -> int:
    """Make the tables that are not there; return the format."""
    version = cast("int", connection.pragma("user_version"))
    if version > FORMAT:
        raise NewerFormat(f"the index has format {version}; this release reads {FORMAT}")
    present = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
    if version and present.issuperset(table.name for table in tables):
        return version
    connection.execute("BEGIN IMMEDIATE")
    for table in tables:
        # long values suit a B-tree of rows with an index better than one of keys and values
        layout = "" if table.long_values else " WITHOUT ROWID"
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table.name}(key BLOB PRIMARY KEY, value BLOB NOT NULL){layout}"
        )
    connection.execute(f"PRAGMA user_version={version or FORMAT}")
    connection.execute("COMMIT")
    return version or FORMAT


def broken(path: Path, problem: object) -> str:
    """Return for people what is wrong with a file that is damaged."""
    return f"{path} is damaged: {problem}. The next start of a server rebuilds it, and so does: s3ish index rebuild"


def failure(error: BaseException, path: Path) -> Exception:
    """Return what an error of SQLite's or of the system means for the caller of an index."""
    if pages.is_damage(error):
        return Broken(broken(path, error))
    if isinstance(error, apsw.FullError) or getattr(error, "errno", 0) == errno.ENOSPC:
        return IndexFull("the disk of the index is full")
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError):
        return Unavailable(f"{path} cannot be opened: {error}{missing_right(path)}")
    return Unavailable(f"{type(error).__name__}: {error}")
