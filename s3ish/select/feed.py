"""The bytes of CSV and JSON on their way into the engine of a child process, as files that are read from begin to end.

The engine forgets what it has read of a file, and of a pipe it keeps all. Of a file of CSV it wants to know the length
before. So CSV is a row of files of lengths that are chosen before they are read; what is left of one is filled with
records that a query leaves out. Of a file of JSON it does not mind the length.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain

from s3ish.errors import CSVParsingError, InvalidTextEncoding, OverMaxRecordSize, S3Error
from s3ish.select.request import Csv, Task
from s3ish.select.tables import LINE, RECORD_BYTES, RETURN
from s3ish.select.unpacking import is_hidden, quoted_ends, unpacked, whole_ends, whole_records, within

_READ_BYTES = 256 * 1024
_PROGRESS_BYTES = 4 * 1024 * 1024
_AHEAD_BYTES = 4 * 1024 * 1024
"""So much is looked at before a file begins: an object that ends there is as long as it is."""
_FILES = 120
_GROWTH = 1.25
"""How many files of CSV there are, and how much longer each is: the last would have more than any drive."""
_ENDLESS = 1 << 50
_FILL_BYTES = 256 * 1024
"""How long records are that fill a file."""
_SPARE_FIELDS = 16
"""How many more fields than all that were looked at a record may have that comes later."""
_END = b"\n"
_LONE_LINE = re.compile(rb"(?<!\r)\n")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_MARK = b"\xef\xbb\xbf"
"""What some programs begin a text in UTF-8 with."""

Take = Callable[[int], bytes]


class Feed:
    """The bytes of CSV or JSON.

    Args:
        task: what is asked.
        take: returns up to so many bytes that the server sends; none at their end.
        head: the begin of the object, if the task has a part of it.
        report: called now and then with the numbers of bytes that were read and unpacked.
    """

    def __init__(self, task: Task, take: Take, head: bytes, report: Callable[[int, int], None]) -> None:
        self.scanned = self.processed = 0
        self.error: S3Error | None = None
        self._task, self._take, self._head, self._report = task, take, head, report
        self._pieces = self._read()
        self._ahead: list[bytes] = []
        self._sizes: list[int] = []
        self._ends = False
        """Whether all that is left stands in the file that is read, which is as long as that."""
        self._left = 0
        self._out = bytearray()

    @property
    def paths(self) -> list[str]:
        """The names of the files."""
        return [f"object://{number}" for number in range(_FILES if self._task.csv else 1)]

    def first_record(self, form: Csv) -> list[str]:
        """Return the fields of the first record; one that is a header is not read again. Raises S3Error."""
        if self._head:
            pieces = whole_records([_unmarked(self._swapped(self._head))], form.end, form)
            return _fields(self._one_end(next(pieces, b"")), form)[0]
        first = next(self._pieces, b"")
        fields, length = _fields(first, form)
        if form.header != "NONE" and not self._task.skip:
            first = first[length:]
        self._pieces = chain((first,), self._pieces)
        return fields

    def widest(self, form: Csv) -> int:
        """Return at least as many as the most fields of a record that is looked at now. Raises S3Error."""
        ends = self._look_ahead()
        most = max((_most_fields(piece, form) for piece in self._ahead), default=0)
        return most if ends else most + _SPARE_FIELDS

    def size(self, number: int) -> int:
        """Return the length of a file; that of the next one is chosen when it is asked for the first time."""
        if not self._task.csv:
            return _ENDLESS
        if number == len(self._sizes):
            try:
                self._ends = self._look_ahead()
            except S3Error as error:
                self.error = error
                raise OSError(error.code) from error
            size = sum(map(len, self._ahead)) if self._ends else int(2 * _AHEAD_BYTES * _GROWTH**number)
            self._sizes.append(size)
            self._left = size
        return self._sizes[number]

    def read(self, number: int, length: int) -> bytes:
        """Return the next bytes of a file: of CSV as many as are asked for. Raises OSError."""
        if number != max(len(self._sizes) - 1, 0):
            raise OSError("files are read in their order")
        try:
            while len(self._out) < length and self._more():
                pass
        except S3Error as error:
            self.error = self.error or error
            raise OSError(error.code) from error
        found = bytes(self._out[:length])
        del self._out[:length]
        return found

    def _more(self) -> bool:
        """Take the next piece into what is read; return whether there is one."""
        piece = self._ahead.pop(0) if self._ahead else next(self._pieces, b"")
        if not self._task.csv or self._ends:
            self._out += piece
            return bool(piece)
        least = len(self._fill(0))
        if piece and (len(piece) == self._left or len(piece) <= self._left - least):
            self._left -= len(piece)
            self._out += piece
            return True
        if piece:
            self._ahead.insert(0, piece)
        length = self._left if self._left < _FILL_BYTES + least else _FILL_BYTES
        if length:
            self._left -= length
            self._out += self._fill(length - least)
        return bool(length)

    def _fill(self, more: int) -> bytes:
        """Return a record that queries leave out; the shortest one, or one with so many bytes more."""
        task = self._task
        assert task.csv is not None
        return f"{task.filler}{task.csv.field}{'0' * more}".encode() + _END

    def _look_ahead(self) -> bool:
        """Return whether all that is left has been looked at."""
        while sum(map(len, self._ahead)) < _AHEAD_BYTES:
            piece = next(self._pieces, b"")
            if not piece:
                return True
            self._ahead.append(piece)
        return False

    def _read(self) -> Iterator[bytes]:
        """Yield what is fed."""
        task = self._task
        pieces = self._counted(unpacked(self._sent(), task.packed))
        if task.csv and task.csv.swapped:
            pieces = map(self._swapped, pieces)
        end = task.csv.end if task.csv else _END
        if len(end) > 1:
            pieces = whole_ends(pieces, end)
        if task.skip or task.stop is not None:
            pieces = within(pieces, end, skip=task.skip, stop=task.stop)
        if not task.skip:
            pieces = _without_mark(pieces)
        return map(self._one_end, whole_records(pieces, end, task.csv)) if task.csv else pieces

    def _sent(self) -> Iterator[bytes]:
        reported = 0
        while piece := self._take(_READ_BYTES):
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

    def _one_end(self, piece: bytes) -> bytes:
        """Hide what the engine would take for the end of a record beside the one that there is: a line feed."""
        if self._task.csv and len(self._task.csv.end) > 1:
            piece = _LONE_LINE.sub(LINE.encode(), piece).replace(b"\r\n", _END)
        returns = piece.count(b"\r")
        if self._task.csv and self._task.csv.swapped:
            return piece.replace(b"\r", RETURN.encode()) if returns else piece
        return piece if returns == piece.count(b"\r\n") else _LONE_RETURN.sub(RETURN.encode(), piece)


def _unmarked(piece: bytes) -> bytes:
    return piece.removeprefix(_MARK)


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    while len(first) < len(_MARK) and (more := next(pieces, b"")):
        first += more
    yield _unmarked(first)
    yield from pieces


def _fields(records: bytes, form: Csv) -> tuple[list[str], int]:
    """Return the fields of the first of several records, and its length."""
    length = _first_length(records, form)
    if length > RECORD_BYTES:
        raise OverMaxRecordSize
    try:
        line = records[:length].decode().strip("\r\n")
    except UnicodeDecodeError:
        raise InvalidTextEncoding from None
    try:
        found = next(_reader(line, form), [])
    except csv.Error:
        raise CSVParsingError from None
    swap: dict[int, str] = {}
    if form.swapped:
        swap = {ord("\n"): form.swapped, ord(form.swapped): "\n"}
    elif form.record == "\r\n":
        swap = {ord("\n"): "\r\n", ord(LINE): "\n"}
    return [field.replace(RETURN, "\r").translate(swap) for field in found], length


def _reader(text: str, form: Csv) -> Iterator[list[str]]:
    """Return what reads records of CSV whose ends are line feeds."""
    doubled = form.escape == form.quote
    csv.field_size_limit(RECORD_BYTES)
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=form.field,
        quotechar=form.quote or None,
        quoting=csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE,
        doublequote=doubled,
        escapechar=None if doubled or not form.quote else form.escape or None,
    )


def _most_fields(records: bytes, form: Csv) -> int:
    """Return the number of fields of the record that has most of them."""
    if form.quote and form.quote.encode() in records:
        with suppress(csv.Error):
            return max(map(len, _reader(records.decode("utf-8", "replace"), form)), default=0)
    separator = form.field.encode()
    return max((line.count(separator) for line in records.split(_END)), default=0) + 1


def _first_length(data: bytes, form: Csv) -> int:
    """Return where the first record ends, which is all there is if no end is found."""
    hidden = quoted_ends(data, _END, form)
    found = data.find(_END)
    while found >= 0 and is_hidden(found, hidden):
        found = data.find(_END, found + 1)
    return found + 1 if found >= 0 else len(data)
