"""Reading: which bytes of a version a request means, and how they flow.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain
from typing import Self, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from s3ish.blob.protocol import BlobReader, Buffer, Corrupt, Missing
from s3ish.errors import InvalidPartNumber, InvalidRange
from s3ish.index.protocol import Mark
from s3ish.model import Checksum, Version
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.kept_parts import keep_parts
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables import part_list
from s3ish.tables.catalogue import VERSIONS
from s3ish.wire.scalars import read_position

T = TypeVar("T")

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


class Span(Struct, frozen=True):
    """The bytes ``[start, stop)`` of an object of ``size`` bytes; ``partial`` when the answer is 206."""

    start: int
    stop: int
    size: int
    partial: bool = False

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.stop - self.start

    @property
    def content_range(self) -> str | None:
        """The Content-Range header of a partial answer."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}" if self.partial else None


def select(version: Version, range_header: str | None, part_number: int | None) -> Span:
    """Return the bytes that a part number or else a Range header selects; all of them if neither does.

    A Range that is malformed or names several ranges is ignored, as S3 does.

    Raises:
        InvalidRange, InvalidPartNumber: they lie outside the object.
    """
    if part_number is not None:
        return _select_part(version, part_number)
    matched = _RANGE.fullmatch(range_header.strip()) if range_header else None
    if matched is None or not (matched[1] or matched[2]):
        return Span(0, version.size, version.size)
    return _select_range(version.size, matched[1], matched[2], range_header or "")


def _select_range(size: int, first: str, last: str, header: str) -> Span:
    if not first:
        start, stop = max(0, size - read_position(last)), size
    else:
        start, stop = read_position(first), min(size, read_position(last) + 1) if last else size
        if last and read_position(last) < start:
            return Span(0, size, size)  # not a valid range: ignored
    if start >= stop:
        raise InvalidRange(RangeRequested=header, ActualObjectSize=size, headers={"content-range": f"bytes */{size}"})
    return Span(start, stop, size, partial=True)


def _select_part(version: Version, number: int) -> Span:
    if not version.sent_parts:
        if number != 1:
            raise InvalidPartNumber(PartNumberRequested=number, ActualPartCount=1)
        return Span(0, version.size, version.size, partial=version.size > 0)
    sizes = [piece.size for piece in part_list.pieces(version)]
    if not 1 <= number <= len(sizes):
        raise InvalidPartNumber(PartNumberRequested=number, ActualPartCount=len(sizes))
    start = sum(sizes[: number - 1])
    return Span(start, start + sizes[number - 1], version.size, partial=version.size > 0)


def checksum_of(version: Version, span: Span, part_number: int | None) -> Checksum | None:
    """Return the checksum that S3 gives with the bytes of a span: the object's with all of it; with a part, that one's.

    A part's is given, without a count, where the object's is made of those of its parts, whether a number or a range
    selects it. A checksum of the whole says nothing of a part.
    """
    whole = version.checksum
    if whole is None or (span.length == version.size and part_number is None):
        return whole
    if not version.sent_parts or whole.kind == "FULL_OBJECT":
        return whole if span.length == version.size else None
    if part_number is not None:
        part = part_list.pieces(version)[part_number - 1].checksum
    else:
        piece = part_list.exactly(version, span.start, span.stop)
        part = piece.checksum if piece else None
    return replace(part, kind=whole.kind) if part else None


class Replaced(Exception):
    """The version was replaced or removed after it was found: the reader looks for what is there now."""


async def decided(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what an attempt gives, which finds a version and begins to read it; it is made again if it loses that.

    So a reader decides on one version and fails for no writer, as S3 does. Raises SlowDown after a thousand
    attempts.
    """
    for _ in attempts():
        try:
            return await attempt()
        except Replaced:  # in plain words: `suppress` costs each read half a microsecond
            continue
    raise AssertionError  # attempts() raises before


Place = tuple[part_list.Piece | Version, int, int]
"""Bytes of a part, or of a version that has none: from where to where."""


async def _nothing() -> None:
    return None


class Flow:
    """Bytes on their way, of one blob after the other, of which one is open at a time. It must be closed.

    Args:
        first: what is open already, or bytes.
        open_next: opens what follows; returns None at the end.
        mark: released at the end.
    """

    def __init__(
        self,
        first: BlobReader | bytes,
        open_next: Callable[[], Awaitable[BlobReader | bytes | None]] = _nothing,
        mark: Mark | None = None,
    ) -> None:
        self._opened: BlobReader | bytes | None = first
        self._open_next, self._mark = open_next, mark

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Buffer:
        while (opened := self._opened) is not None:
            if isinstance(opened, bytes):
                self._opened = b""
                if opened:
                    return opened
            else:
                piece = await anext(opened, None)
                if piece is not None:
                    return piece
                await opened.close()
            self._opened = await self._open_next()
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Release what is held; idempotent."""
        opened, self._opened = self._opened, None
        if self._mark:
            self._mark.release()
        if opened and not isinstance(opened, bytes):
            await opened.close()


def as_flow(opened: Flow | bytes) -> Flow:
    """Return what ``open_span`` returned as a flow in any case."""
    return opened if isinstance(opened, Flow) else Flow(opened)


async def open_span(
    store: Store, version: Version, start: int, stop: int, encodings: Encodings | None = None
) -> Flow | bytes:
    """Open the bytes ``[start, stop)`` of a version: what is returned yields them in order, or is all of them.

    The first bytes are verified before this returns, so that an error can still be answered. The rest can be read to
    the end, whatever becomes of the version.

    Args:
        encodings: of a request that brings a key; the store's if None.

    Raises:
        InternalError: the data is damaged beyond repair.
        Replaced: the version was replaced or removed after the caller had found it.
    """
    known = encodings or store.encodings
    with translated():
        if not version.parts:
            opened = await _open_first(store, known, version, (version, start, stop))
            return opened if isinstance(opened, bytes) else Flow(opened)
        places = part_list.within(version, start, stop)
        first, second = next(places, None), next(places, None)
        if first is None:
            return b""
        if second is None:
            opened = await _open_first(store, known, version, first)
            return opened if isinstance(opened, bytes) else Flow(opened)
        mark = await hold_parts(store, version)
        try:
            opened = await _open_first(store, known, version, first)
            return Flow(opened, _opener(store, known, chain([second], places)), mark)
        except BaseException:
            mark.release()
            raise


async def hold_parts(store: Store, version: Version) -> Mark:
    """Keep the parts of a version readable until the mark is released. Raises Replaced."""
    mark = await keep_parts(store, version)
    if mark is None:
        raise Replaced
    return mark


async def _open_first(store: Store, encodings: Encodings, version: Version, place: Place) -> BlobReader | bytes:
    """Open a blob of a version. Raises Replaced."""
    try:
        return await open_piece(store, encodings, *place)
    except (Missing, Corrupt) as error:
        raise await cause(store, version, error) from error


async def cause(store: Store, version: Version, error: Exception) -> Exception:
    """Return why a version's bytes are not there: the error says so, unless it was removed since it was found."""
    held = await store.get(VERSIONS, version.bucket, version.key, version.sequence)
    return error if held and held.record.blob.id == version.blob.id else Replaced()


def _opener(
    store: Store, encodings: Encodings, places: Iterable[Place]
) -> Callable[[], Awaitable[BlobReader | bytes | None]]:
    """Return a function that opens one place after the other."""
    rest = iter(places)

    async def open_next() -> BlobReader | bytes | None:
        place = next(rest, None)
        return None if place is None else await open_piece(store, encodings, *place)

    return open_next


async def open_piece(
    store: Store, encodings: Encodings, of: part_list.Piece | Version, start: int, stop: int
) -> BlobReader | bytes:
    """Open the bytes ``[start, stop)`` of a part, or of a version without parts.

    Raises Missing, Corrupt, UnknownEncoding.
    """
    if start >= stop:
        return b""
    ref = of.blob
    data = await store.inline(ref) if ref.inline else None
    if not of.encoding:
        return await store.blobs.open(ref, start, stop) if data is None else data[start:stop]
    links = encodings.chain(of.encoding)
    if data is not None and stop - start == of.size:
        return links.decode(data, of.size)
    decoding = links.decoding(start, stop, of.size, ref.size)
    if data is not None:
        return decoding.of_bytes(data[decoding.start : decoding.stop])
    return await decoding.of_reader(await store.blobs.open(ref, decoding.start, decoding.stop))
