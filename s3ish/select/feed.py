"""The object on its way into the engine of a child process: through a pipe, or of Parquet as ranges."""

import csv
import io
import os
from collections.abc import Callable, Iterator
from itertools import chain
from threading import local
from typing import Any

import fsspec

from s3ish.errors import CSVParsingError, InvalidTextEncoding, OverMaxRecordSize, S3Error
from s3ish.select.request import Csv, Task
from s3ish.select.tables import RECORD_BYTES
from s3ish.select.unpacking import unpacked, within, without_comments
from s3ish.threads import OwnThread

_READ_BYTES = 256 * 1024
_PROGRESS_BYTES = 4 * 1024 * 1024
_MARK = b"\xef\xbb\xbf"
"""What some programs begin a text in UTF-8 with."""


class Feed:
    """The bytes of CSV or JSON.

    Args:
        task: what is asked.
        source: the file descriptor that the object comes from.
        head: the begin of the object, if the task has a part of it.
        report: called now and then with the numbers of bytes that were read and unpacked.
    """

    def __init__(self, task: Task, source: int, head: bytes, report: Callable[[int, int], None]) -> None:
        self.scanned = self.processed = 0
        self.error: S3Error | None = None
        self._task, self._source, self._head, self._report = task, source, head, report
        self._end = b"\n"
        if task.csv and task.csv.record == "\r":
            self._end = b"\r"
        self._pieces = self._read()

    def first_record(self, form: Csv) -> list[str]:
        """Return the fields of the first record; one that is a header is not read again. Raises S3Error."""
        if self._head:
            fields, _ = _first_record(chain((_unmarked(self._swapped(self._head)),)), form, self._end)
            return fields
        fields, kept = _first_record(self._pieces, form, self._end)
        if form.header != "NONE" and not self._task.skip:
            length = _first_length(kept, form, self._end)
            kept = kept[length:]
        self._pieces = chain((kept,), self._pieces)
        return fields

    def start(self) -> str:
        """Begin to feed a pipe; return where the engine reads it."""
        reader, self._pipe = os.pipe()
        OwnThread("feed", self._run)
        return f"/dev/fd/{reader}"

    def _run(self) -> None:
        try:
            for piece in self._pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._pipe, view) :]
        except BrokenPipeError:
            pass  # enough was read
        except S3Error as error:
            self.error = error
        finally:
            os.close(self._pipe)

    def _read(self) -> Iterator[bytes]:
        """Yield what is fed."""
        task = self._task
        pieces = self._counted(unpacked(self._sent(), task.packed))
        if task.csv and task.csv.swapped:
            pieces = map(self._swapped, pieces)
        if task.skip or task.stop is not None:
            pieces = within(pieces, self._end, skip=task.skip, stop=task.stop)
        if not task.skip:
            first = next(pieces, b"")
            while len(first) < len(_MARK) and (more := next(pieces, b"")):
                first += more
            pieces = chain((_unmarked(first),), pieces)
        if task.csv and task.csv.comment:
            pieces = without_comments(pieces, self._end, task.csv)
        return pieces

    def _sent(self) -> Iterator[bytes]:
        reported = 0
        while piece := os.read(self._source, _READ_BYTES):
            self.scanned += len(piece)
            if self.scanned - reported >= _PROGRESS_BYTES:
                reported = self.scanned
                self._report(self.scanned, self.processed)
            yield piece

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.processed += len(piece)
            yield piece

    def _swapped(self, piece: bytes) -> bytes:
        """Let lines end where records do: the engine knows no other end. Queries see it the other way round again."""
        other = self._task.csv.swapped.encode() if self._task.csv else b""
        return piece.translate(bytes.maketrans(other + b"\n", b"\n" + other)) if other else piece


def _unmarked(piece: bytes) -> bytes:
    return piece.removeprefix(_MARK)


def _first_record(pieces: Iterator[bytes], form: Csv, end: bytes) -> tuple[list[str], bytes]:
    """Return the fields of the first record, and all bytes that were read for it."""
    data = b""
    while not (length := _first_length(data, form, end)) and (piece := next(pieces, b"")):
        data += piece
        if len(data) > 2 * RECORD_BYTES and not _first_length(data, form, end):
            raise OverMaxRecordSize
    try:
        line = data[: length or len(data)].decode().strip("\r\n")
    except UnicodeDecodeError:
        raise InvalidTextEncoding from None
    if form.swapped:
        line = line.translate({ord("\n"): form.swapped, ord(form.swapped): "\n"})
    doubled = form.escape == form.quote
    try:
        csv.field_size_limit(RECORD_BYTES)
        found = next(
            csv.reader(
                io.StringIO(line, newline=""),
                delimiter=form.field,
                quotechar=form.quote or None,
                quoting=csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE,
                doublequote=doubled,
                escapechar=None if doubled or not form.quote else form.escape or None,
            ),
            [],
        )
    except csv.Error:
        raise CSVParsingError from None
    return found, data


def _first_length(data: bytes, form: Csv, end: bytes) -> int:
    """Return where the first record that is not empty ends; 0 if that is not there yet."""
    at, quote = 0, form.quote.encode()
    while data[at : at + 1] in (b"\n", b"\r") and at < len(data):
        at += 1
    found = data.find(end, at)
    while found >= 0:
        line = data[at:found]
        if form.escape and form.escape != form.quote:
            line = line.replace(form.escape.encode() + quote, b"")
        if not quote or line.count(quote) % 2 == 0:
            return found + 1
        found = data.find(end, found + 1)
    return 0


class _Place(local):
    """Where a thread reads next: the engine has several read one file, each of which seeks before it reads."""

    at = 0


class _Ranges(io.RawIOBase):
    """An object of which ranges are asked for."""

    def __init__(self, size: int, ask: Callable[[int, int], bytes]) -> None:
        self._size, self._ask, self._place = size, ask, _Place()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place.at = offset + (0, self._place.at, self._size)[whence]
        return self._place.at

    def tell(self) -> int:
        return self._place.at

    def readinto(self, buffer: Any) -> int:
        view, at = memoryview(buffer).cast("B"), self._place.at
        length = max(0, min(len(view), self._size - at))
        if length:
            view[:length] = self._ask(at, length)
            self._place.at = at + length
        return length


class ObjectFiles(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """The one file that the engine sees of Parquet: the object, and none of the machine's.

    Args:
        size: its length in bytes.
        ask: returns so many bytes from a place on.
    """

    protocol = "object"

    def __init__(self, size: int, ask: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._ask = size, ask

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:  # noqa: ARG002 - the form of the protocol
        return True

    def glob(self, path: str, **_: Any) -> list[str]:
        return [path]

    def modified(self, path: str) -> Any:  # noqa: ARG002 - the form of the protocol
        from datetime import UTC, datetime

        return datetime(2000, 1, 1, tzinfo=UTC)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:  # noqa: ARG002 - the form of the protocol
        if mode != "rb":
            raise PermissionError(mode)
        return _Ranges(self._size, self._ask)
