"""The child process that answers one query, and ends.

It is given a task and the bytes of one object, and nothing else: no name of a file, no connection, no setting of the
server. The engine in it is closed against files, extensions and settings before the query is made, and the process is
held to its limits by the kernel. The server goes on when it dies.
"""

import os
import re
import resource
import sys
from functools import partial
from operator import itemgetter
from threading import Lock

import duckdb
import msgspec

from s3ish.errors import (
    CastFailed,
    CSVEscapingRecordDelimiter,
    CSVParsingError,
    ExternalEvalException,
    IllegalSqlFunctionArgument,
    IntegerOverflow,
    InvalidTextEncoding,
    JSONParsingError,
    OverMaxRecordSize,
    ParquetParsingError,
    S3Error,
    UnsupportedSqlOperation,
    ValueParseFailure,
)
from s3ish.select import frames
from s3ish.select.feed import Feed
from s3ish.select.files import OBJECT, Files, object_file, stream_files
from s3ish.select.parser import parse
from s3ish.select.request import Task
from s3ish.select.rows import packed, writer
from s3ish.select.syntax import Query
from s3ish.select.tables import RECORD_BYTES, CsvTable, JsonTable, ParquetTable, Table, check_flat
from s3ish.select.translate import Statement, translate

_ROWS = 100
"""So many rows are taken at a time: each may have 1 MiB."""
_CHUNK_BYTES = 256 * 1024
_MANY_COLUMNS = 50
"""From here on the engine looks longer for what columns have in common, each with each, than it takes without."""
_OVERHEAD_BYTES = 1024 * 1024 * 1024
"""Address space beside what the engine may use: its code, the interpreter, stacks."""
_DIVIDED = IllegalSqlFunctionArgument(f"{IllegalSqlFunctionArgument.text} A number is divided by zero.")
_OWN_ERRORS = {
    error.code: error
    for error in (CastFailed(), CSVEscapingRecordDelimiter(), CSVParsingError(), _DIVIDED, ValueParseFailure())
}


_DATA = re.compile(r"\nOriginal Line: [^\n]*|\n\nLINE 1: .*", re.DOTALL)
"""What an error of the engine quotes of the object and the statement."""
_DECODING = "Conversion Error: Failure in decode"


class Child:
    """One query.

    Args:
        task: what is asked.
        source, target: file descriptors that the object comes from, and that the answer goes to.
    """

    def __init__(self, task: Task, source: int, target: int) -> None:
        self._task, self._source, self._target = task, source, target
        self._lock, self._asking = Lock(), Lock()
        self._feed: Feed | None = None
        self._scanned = self._returned = 0

    def run(self) -> None:
        """Answer it, or say what is wrong."""
        try:
            self._answer()
        except S3Error as error:
            self._fail(error)
        except (duckdb.Error, OSError) as error:
            self._fail((self._feed and self._feed.error) or _cause(error, self._task))
        except MemoryError:
            self._fail(_too_large(self._task))

    def _answer(self) -> None:
        task = self._task
        query = parse(task.expression)
        if task.csv or task.json:
            feed = self._feed = Feed(task, self._sent, self._take(task.head), self._report)
            table = self._table(query, feed)
            engine = self._open(
                stream_files(feed), feed.paths, columns=table.widest if isinstance(table, CsvTable) else 0
            )
        else:
            engine = self._open(object_file(task.size, self._ask), [OBJECT])
            table = self._parquet(query, engine)
        statement = translate(query, table, task.now, partial(packed, task))
        self._send_rows(engine.execute(statement.sql, statement.parameters), statement)
        if self._feed and self._feed.error:
            raise self._feed.error
        self._send(frames.END, frames.COUNTS.pack(*self._counts()))

    def _table(self, query: Query, feed: Feed) -> Table:
        task = self._task
        if task.csv:
            check_flat(query.source)
            fields = feed.first_record(task.csv)
            header = fields if task.csv.header == "USE" else None
            widest = 0 if query.columns else feed.widest(task.csv)
            return CsvTable(feed.paths, task.csv, header, len(fields), widest, task.filler)
        assert task.json is not None
        longest = RECORD_BYTES if task.json.lines else task.memory_mib * 1024 * 1024 // 8
        return JsonTable(feed.paths[0], lines=task.json.lines, steps=query.source, longest=longest)

    def _parquet(self, query: Query, engine: duckdb.DuckDBPyConnection) -> Table:
        check_flat(query.source)
        columns = engine.execute(f"DESCRIBE SELECT * FROM read_parquet('{OBJECT}')").fetchall()
        rows = self._wanted_rows(engine) if self._task.stop is not None else None
        return ParquetTable(OBJECT, [(str(name), str(kind)) for name, kind, *_ in columns], rows)

    def _wanted_rows(self, engine: duckdb.DuckDBPyConnection) -> tuple[int, int]:
        """Return from which to which the rows are whose groups begin where they are wanted."""
        task = self._task
        groups = engine.execute(
            "SELECT row_group_num_rows, min(CASE WHEN dictionary_page_offset > 0 THEN least(dictionary_page_offset, "
            f"data_page_offset) ELSE data_page_offset END) FROM parquet_metadata('{OBJECT}') "
            "GROUP BY row_group_id, row_group_num_rows ORDER BY row_group_id"
        ).fetchall()
        first, stop, at = 0, 0, 0
        for count, begins in groups:
            if begins < task.first:
                first = stop = at + count
            elif begins < (task.stop or 0):
                stop = at + count
            at += count
        return first, stop

    def _open(self, files: Files, paths: list[str], columns: int = 0) -> duckdb.DuckDBPyConnection:
        """Return an engine that can reach these files, and nothing else of this machine or another."""
        slow = "common_subexpressions" if columns > _MANY_COLUMNS else ""
        engine = duckdb.connect(":memory:")
        engine.register_filesystem(files)
        for setting in (
            "threads = 1",
            f"memory_limit = '{self._task.memory_mib}MiB'",
            "temp_directory = ''",
            f"disabled_optimizers = '{slow}'",
            "TimeZone = 'UTC'",
            "enable_progress_bar = false",
            "enable_external_file_cache = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "allow_community_extensions = false",
            "python_enable_replacements = false",
            f"allowed_paths = {paths}",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            engine.execute(f"SET {setting}")
        return engine

    def _send_rows(self, result: duckdb.DuckDBPyConnection, statement: Statement) -> None:
        write = writer(self._task, statement.names, statement.kinds) if statement.kinds else itemgetter(0)
        held: list[bytes] = []
        size = 0
        while rows := result.fetchmany(_ROWS):
            for row in rows:
                record = write(row).encode("utf-8", "replace")
                if len(record) > RECORD_BYTES:
                    raise OverMaxRecordSize
                if size + len(record) > RECORD_BYTES:
                    self._flush(held)
                    size = 0
                held.append(record)
                size += len(record)
            if size >= _CHUNK_BYTES:
                self._flush(held)
                size = 0
        self._flush(held)

    def _flush(self, held: list[bytes]) -> None:
        if held:
            payload = b"".join(held)
            held.clear()
            self._returned += len(payload)
            self._send(frames.RECORDS, payload)
            self._send(frames.PROGRESS, frames.COUNTS.pack(*self._counts()))

    def _counts(self) -> tuple[int, int, int]:
        scanned = self._feed.scanned if self._feed else self._scanned
        return scanned, self._feed.processed if self._feed else scanned, self._returned

    def _report(self, scanned: int, processed: int) -> None:
        self._send(frames.PROGRESS, frames.COUNTS.pack(scanned, processed, self._returned))

    def _ask(self, start: int, length: int) -> bytes:
        """Return bytes of the object. The engine asks on several threads; answers come in the order of questions."""
        with self._asking:
            self._send(frames.RANGE, frames.SPAN.pack(start, length))
            self._scanned += length
            return self._take(length)

    def _sent(self, length: int) -> bytes:
        return os.read(self._source, length)

    def _take(self, length: int) -> bytes:
        pieces = []
        while length:
            piece = os.read(self._source, min(length, RECORD_BYTES))
            if not piece:
                raise EOFError
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _send(self, kind: bytes, payload: bytes) -> None:
        with self._lock:
            view = memoryview(frames.frame(kind, payload))
            while view:
                view = view[os.write(self._target, view) :]

    def _fail(self, error: S3Error) -> None:
        self._send(frames.ERROR, f"{error.code}\0{error.message}".encode("utf-8", "replace")[:4096])


def _too_large(task: Task) -> S3Error:
    return ExternalEvalException(
        f"{ExternalEvalException.text} It needs more than the {task.memory_mib} MiB of memory that a query may use."
    )


def _cause(error: Exception, task: Task) -> S3Error:
    """Return what an error of the engine means to a client, who must not see its text."""
    if isinstance(error, duckdb.OutOfRangeException):
        return IntegerOverflow()
    text = _DATA.sub("", str(error))
    if isinstance(error, duckdb.ConversionException):
        return InvalidTextEncoding() if text.startswith(_DECODING) else CastFailed()
    for code, own in _OWN_ERRORS.items():
        if f": {code}" in text[:80]:
            return own
    if isinstance(error, duckdb.OutOfMemoryException):
        return _too_large(task)
    if "maximum_object_size" in text or "Maximum line size" in text or "max_line_size" in text:
        return OverMaxRecordSize()
    if "nvalid unicode" in text or "not utf-8" in text or "UTF-8" in text or "UTF8" in text:
        return InvalidTextEncoding()
    if "CSV Error" in text:
        return CSVParsingError()
    if "JSON" in text[:60] and task.json:
        return JSONParsingError()
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException):
        return UnsupportedSqlOperation()
    return ExternalEvalException() if task.csv or task.json else ParquetParsingError()


def main() -> None:
    """Take a task from standard input, and answer on standard output."""
    source, target = 0, os.dup(1)
    os.dup2(2, 1)  # nothing that prints may stand among the frames
    size = frames.LENGTH.unpack(_exactly(source, frames.LENGTH.size))[0]
    task = msgspec.json.decode(_exactly(source, size), type=Task)
    memory = task.memory_mib * 1024 * 1024 + _OVERHEAD_BYTES
    seconds = int(task.seconds) + 1
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    Child(task, source, target).run()
    sys.stderr.flush()
    os._exit(0)  # threads of the engine are not waited for


def _exactly(source: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = os.read(source, length - len(data))
        if not piece:
            raise SystemExit(1)
        data += piece
    return data


if __name__ == "__main__":
    main()
