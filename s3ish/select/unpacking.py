"""Bytes of an object on their way to the engine: unpacked, cut to the records of a range, without comments.

Each step takes and gives pieces of at most about 1 MiB, however much a packed object becomes.
"""

import bz2
import zlib
from collections.abc import Iterable, Iterator

from s3ish.errors import InvalidCompressionFormat, OverMaxRecordSize, TruncatedInput
from s3ish.select.request import Csv
from s3ish.select.tables import RECORD_BYTES

_PIECE = 512 * 1024


def unpacked(pieces: Iterable[bytes], packed: str) -> Iterator[bytes]:
    """Yield what pieces are that GZIP or BZIP2 packed; several streams in a row are one.

    Raises:
        InvalidCompressionFormat: they are not packed so.
        TruncatedInput: their end is missing.
    """
    if packed == "NONE":
        yield from pieces
        return
    unpack = _gunzipped if packed == "GZIP" else _bunzipped
    try:
        yield from unpack(iter(pieces))
    except (zlib.error, OSError, EOFError) as error:
        raise InvalidCompressionFormat from error


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker, fresh = zlib.decompressobj(wbits=31), True
    for piece in pieces:
        rest = piece
        while rest:
            if unpacker.eof:
                rest = rest.lstrip(b"\0")  # what some packers fill blocks with
                unpacker, fresh = zlib.decompressobj(wbits=31), True
                continue
            data, fresh = unpacker.decompress(rest, _PIECE), False
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            if data:
                yield data
    if not unpacker.eof and not fresh:
        raise TruncatedInput


def _bunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker, fresh = bz2.BZ2Decompressor(), True
    for piece in pieces:
        rest = piece
        while rest or not (unpacker.needs_input or unpacker.eof):
            if unpacker.eof:
                unpacker, fresh = bz2.BZ2Decompressor(), True
            data, fresh = unpacker.decompress(rest, _PIECE), False
            rest = unpacker.unused_data if unpacker.eof else b""
            if data:
                yield data
    if not unpacker.eof and not fresh:
        raise TruncatedInput


def within(pieces: Iterable[bytes], end: bytes, *, skip: bool, stop: int | None) -> Iterator[bytes]:
    """Yield the records that begin in a part of an object.

    Args:
        end: the byte that ends a record.
        skip: whether the first bytes are of a record that began before.
        stop: no record may begin after so many bytes; None for any.
    """
    at = 0
    for piece in pieces:
        first, after = 0, at + len(piece)
        if skip:
            found = piece.find(end)
            if found < 0:
                at = after
                continue
            first, skip = found + 1, False
            if stop is not None and at + first >= stop:
                return
        if stop is not None and after >= stop:
            found = piece.find(end, max(first, stop - 1 - at))
            if found >= 0:
                yield piece[first : found + 1]
                return
        yield piece[first:]
        at = after


def whole_records(pieces: Iterable[bytes], end: bytes, form: Csv) -> Iterator[bytes]:
    """Yield pieces that end where a record does, without comments and lines that are empty.

    A quote that is open hides the end of a record. Raises OverMaxRecordSize.
    """
    rest = b""
    for piece in pieces:
        data = rest + piece
        cut = _last_end(data, end, form)
        rest = data[cut:]
        if len(rest) > RECORD_BYTES:
            raise OverMaxRecordSize
        if kept := _without_comments(data[:cut], end, form):
            yield kept
    if kept := _without_comments(rest + end, end, form) if rest else b"":
        yield kept


def _quotes(data: bytes, form: Csv) -> int:
    """Return how many quotes are in data that are not escaped."""
    quote = form.quote.encode()
    if not quote:
        return 0
    escaped = data.count(form.escape.encode() + quote) if form.escape and form.escape != form.quote else 0
    return data.count(quote) - escaped


def _last_end(data: bytes, end: bytes, form: Csv) -> int:
    """Return where the last whole record ends, of data that begins with a record."""
    cut = data.rfind(end) + 1
    open_quotes = _quotes(data[:cut], form) % 2
    while cut and open_quotes:
        before = data.rfind(end, 0, cut - 1) + 1
        open_quotes ^= _quotes(data[before:cut], form) % 2
        cut = before
    return cut


def _without_comments(data: bytes, end: bytes, form: Csv) -> bytes:
    mark = form.comment.encode() or end
    if (
        end + mark not in data
        and not data.startswith((mark, end, b"\r"))
        and end + b"\r" not in data
        and end * 2 not in data
    ):
        return data
    kept = []
    is_open = 0
    for line in data.split(end)[:-1]:
        if is_open or not (line.startswith(mark) or line in (b"", b"\r")):
            kept.append(line + end)
            is_open ^= _quotes(line, form) % 2
    return b"".join(kept)
