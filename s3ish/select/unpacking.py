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


def without_comments(pieces: Iterable[bytes], end: bytes, form: Csv) -> Iterator[bytes]:
    """Yield records without those that begin with the mark of a comment."""
    mark, quote = form.comment.encode(), form.quote.encode()
    rest, open_quote = b"", False
    for piece in pieces:
        data = rest + piece
        cut = data.rfind(end) + 1
        rest = data[cut:]
        if len(rest) > RECORD_BYTES:
            raise OverMaxRecordSize
        data = data[:cut]
        is_quoted = bool(quote) and (open_quote or quote in data)
        if not is_quoted and not data.startswith(mark) and end + mark not in data:
            yield data
            continue
        kept = []
        for line in data.split(end)[:-1]:
            if not open_quote and line.startswith(mark):
                continue
            if is_quoted and line.count(quote) % 2:
                open_quote = not open_quote
            kept.append(line + end)
        yield b"".join(kept)
    if rest and (open_quote or not rest.startswith(mark)):
        yield rest
