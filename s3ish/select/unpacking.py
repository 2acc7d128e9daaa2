"""Bytes of an object on their way to the engine: unpacked, cut to the records of a range, without comments.

Each step takes and gives pieces of at most about 1 MiB, however much a packed object becomes.
"""

import bz2
import re
import zlib
from bisect import bisect_left
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
        end: what ends a record; no piece ends within one.
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
            first, skip = found + len(end), False
            if stop is not None and at + first >= stop:
                return
        if stop is not None and after >= stop:
            found = piece.find(end, max(first, stop - len(end) - at))
            if found >= 0:
                yield piece[first : found + len(end)]
                return
        yield piece[first:]
        at = after


def whole_ends(pieces: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    """Yield pieces that begin and end beside what ends records, which is two bytes, and not within."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        rest = end[:1] if data.endswith(end[:1]) else b""
        if given := data[: len(data) - len(rest)]:
            yield given
    if rest:
        yield rest


def whole_records(pieces: Iterable[bytes], end: bytes, form: Csv) -> Iterator[bytes]:
    """Yield pieces that end where a record does, without comments and lines that are empty.

    Raises OverMaxRecordSize.
    """
    rest = b""
    for piece in pieces:
        data = rest + piece
        hidden = quoted_ends(data, end, form)
        is_open = bool(hidden) and hidden[-1][1] == len(data)
        found = data.rfind(end, 0, hidden[-1][0] if is_open else len(data))
        cut = found + len(end) if found >= 0 else 0
        rest = data[cut:]
        if len(rest) > RECORD_BYTES:
            raise OverMaxRecordSize
        if kept := _without_comments(data[:cut], end, form, hidden):
            yield kept
    if rest:
        rest += end
        if kept := _without_comments(rest, end, form, quoted_ends(rest, end, form)):
            yield kept


def quoted_ends(data: bytes, end: bytes, form: Csv) -> list[tuple[int, int]]:
    """Return the places of quoted fields that hold the end of a record, or have no end themselves.

    There are none where the client says that no record has such a field: then every line is a record.

    Args:
        data: begins with a record.
    """
    quote = form.quote.encode()
    if not form.quoted_records or not quote or quote not in data:
        return []
    q, escape = re.escape(quote), re.escape(form.escape.encode())
    within_quotes = b"[^%b]" % q if not escape else b"[^%b]|%b%b" % (q, q, q)
    if escape not in (b"", q):
        within_quotes = b"[^%b%b]|%b." % (q, escape, escape)
    before = (re.escape(form.field.encode()[-1:]), re.escape(end))
    field = re.compile(b"(?:\\A|(?<=%b)|(?<=%b))%b(?:%b)*(?:%b|\\Z)" % (*before, q, within_quotes, q), re.DOTALL)
    return [it.span() for it in field.finditer(data) if it.end() == len(data) or end in it[0]]


def is_hidden(place: int, hidden: list[tuple[int, int]]) -> bool:
    """Whether what stands at a place stands within one of ``quoted_ends``."""
    number = bisect_left(hidden, (place,)) - 1  # the last one that begins before
    return number >= 0 and place < hidden[number][1]


def _without_comments(data: bytes, end: bytes, form: Csv, hidden: list[tuple[int, int]]) -> bytes:
    mark = form.comment.encode() or end
    nothing = (b"", b"\r") if end == b"\n" else (b"",)
    begins = (mark, *(it or end for it in nothing))
    if not data.startswith(begins) and not any(end + it in data for it in begins):
        return data
    kept = []
    at = 0
    for line in data.split(end)[:-1]:
        if is_hidden(at - 1, hidden) or not (line.startswith(mark) or line in nothing):
            kept.append(line + end)
        at += len(line) + len(end)
    return b"".join(kept)
