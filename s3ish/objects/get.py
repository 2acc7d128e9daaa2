"""Reading: which bytes of a version a request means, and how they flow.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

import re
from collections.abc import AsyncIterator, Iterable
from itertools import chain

from msgspec import Struct

from s3ish.blob.protocol import BlobReader, Buffer, Corrupt, Missing
from s3ish.errors import InvalidPartNumber, InvalidRange, InvalidRequest, SlowDown
from s3ish.model import BlobRef, Version
from s3ish.objects.store import Store, translated
from s3ish.tables import part_list
from s3ish.wire.scalars import read_position

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
    """Return the bytes that a Range header or a part number selects; all of them if neither does.

    A Range that is malformed or names several ranges is ignored, as S3 does.

    Raises:
        InvalidRequest: both are given.
        InvalidRange, InvalidPartNumber: they lie outside the object.
    """
    if part_number is not None:
        if range_header is not None:
            raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
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
    if not version.parts:
        if number != 1:
            raise InvalidPartNumber(PartNumberRequested=number, ActualPartCount=1)
        return Span(0, version.size, version.size, partial=version.size > 0)
    sizes = [piece.size for piece in part_list.pieces(version)]
    if not 1 <= number <= len(sizes):
        raise InvalidPartNumber(PartNumberRequested=number, ActualPartCount=len(sizes))
    start = sum(sizes[: number - 1])
    return Span(start, start + sizes[number - 1], version.size, partial=version.size > 0)


async def open_span(store: Store, version: Version, start: int, stop: int) -> AsyncIterator[Buffer] | bytes:
    """Open the bytes ``[start, stop)`` of a version: what is returned yields them in order, or is all of them.

    The first bytes are verified before this returns, so that an error can still be told.

    Raises:
        InternalError: the data is damaged beyond repair.
        SlowDown: the version was replaced or removed after the caller had found it.
    """
    with translated():
        try:
            return await _open_span(store, version, start, stop)
        except (Missing, Corrupt) as error:
            raise await cause(store, version, error) from error


async def cause(store: Store, version: Version, error: Exception) -> Exception:
    """Return why a version's bytes are not there: it was removed since it was found, or they are damaged."""
    held = await store.by_sequence(version.bucket, version.key, version.sequence)
    if held and held.record.blob.id == version.blob.id:
        return error
    return SlowDown("The object was replaced or removed while it was being read. Please try again.")


async def _open_span(store: Store, version: Version, start: int, stop: int) -> AsyncIterator[Buffer] | bytes:
    if not version.parts:
        return await _open_blob(store, version.blob, start, stop)
    pieces = part_list.within(version, start, stop)
    first, second = next(pieces, None), next(pieces, None)
    if first is None:
        return b""
    opened = await _open_blob(store, *first)
    return _chain(store, opened, chain([second], pieces)) if second else opened


async def _open_blob(store: Store, ref: BlobRef, start: int, stop: int) -> AsyncIterator[Buffer] | bytes:
    if start >= stop:
        return b""
    if ref.inline and (data := await store.inline(ref)) is not None:
        return data[start:stop]
    return _flow(await store.blobs.open(ref, start, stop))


async def _flow(reader: BlobReader) -> AsyncIterator[Buffer]:
    try:
        async for piece in reader:
            yield piece
            del piece  # it has been sent: many wait long for their next one
    finally:
        await reader.close()


async def _chain(
    store: Store, first: AsyncIterator[Buffer] | bytes, rest: Iterable[tuple[BlobRef, int, int]]
) -> AsyncIterator[Buffer]:
    async for piece in as_flow(first):
        yield piece
        del piece
    for ref, start, stop in rest:
        async for piece in as_flow(await _open_blob(store, ref, start, stop)):
            yield piece
            del piece


async def as_flow(flow: AsyncIterator[Buffer] | bytes) -> AsyncIterator[Buffer]:
    """Yield what ``open_span`` returned."""
    if isinstance(flow, bytes):
        yield flow
        return
    async for piece in flow:
        yield piece
        del piece
