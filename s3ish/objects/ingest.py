"""How the bytes of a request become a blob: read a piece, digest and store it while the next ones arrive.

At most four pieces (stripes) of a request are in memory, whatever the object's size, and each has a place in the room
that all share.
"""

import asyncio
from collections.abc import AsyncIterable
from functools import partial
from typing import NamedTuple, Protocol

from s3ish.blob.protocol import BlobWriter, Buffer
from s3ish.model import BlobRef
from s3ish.objects.digests import Claims, Digests
from s3ish.objects.encodings.chain import PLAIN, Chain, Links
from s3ish.objects.encodings.encoding_writer import EncodingWriter
from s3ish.objects.room import FREE_BYTES, PATIENCE_SECONDS, Place, Room
from s3ish.threads import Serial, ThreadPool

_BEGINNING_BYTES = 4 * 1024
"""So much of a piece must have come before it gets a place in the room: who trickles holds none."""

_AHEAD = 3
"""So many pieces may wait to be stored while another one arrives: digests are computed without a pause, though the
event loop, the drives and the sender are late now and then."""

_SHORT_BYTES = 256 * 1024
"""Up to so many bytes it costs more to have several threads at work on several uploads than is won: what is announced
with so few is digested on the thread that stores it."""

_SMALL = 32 * 1024
"""Below this many bytes digesting costs less than a thread hop."""


Writer = BlobWriter | EncodingWriter


class Source(Protocol):
    """Bytes on their way in."""

    @property
    def size(self) -> int | None:
        """How many there are, in bytes, if the sender said so."""

    @property
    def algorithm(self) -> str | None:
        """The checksum algorithm that the sender uses, if any."""

    @property
    def expects_sha256(self) -> bool:
        """Whether ``claims`` will have a SHA-256."""

    async def gather(self, count: int) -> None:
        """Wait until so many bytes have come, or all; ``read`` gives them. Raises as it does."""

    async def read(self, limit: int) -> Buffer:
        """Return exactly ``limit`` bytes, fewer only at the end, none after it.

        Raises an S3Error when the sender breaks its word (length, framing, chunk signatures) or goes away.
        """

    def claims(self) -> Claims:
        """What the sender says of the bytes; complete after the end, because it may stand in a trailer."""


class _Intake:
    """Takes pieces from a source; ``place`` is what the last one has in the room.

    Args:
        copies: how often a piece is in memory until it is stored: twice where it is encoded.
    """

    def __init__(self, source: Source, piece_bytes: int, room: Room, copies: int) -> None:
        self._source, self._piece_bytes, self._room, self._copies = source, piece_bytes, room, copies
        self._left = source.size
        self.place = Place(room, 0)

    async def next(self) -> Buffer:
        """Return the next piece, nothing at the end; the caller leaves its place when it is stored."""
        expected = self._piece_bytes if self._left is None else min(self._piece_bytes, self._left)
        if expected <= FREE_BYTES:  # the last
            self.place = Place(self._room, 0)
            return await self._source.read(self._piece_bytes)
        await self._source.gather(min(expected, _BEGINNING_BYTES))
        self.place = await self._room.enter(expected * self._copies)
        self._be_patient()
        try:
            piece = await self._source.read(self._piece_bytes)
        finally:
            self._patience.cancel()
        if self._left is not None:
            self._left -= len(piece)
        return piece

    def _be_patient(self) -> None:
        self._patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        self.place.give_way()
        self._be_patient()


class Ingested(NamedTuple):
    """What has become of a stream: its blob, the digests of what was sent, the links under which it is stored.

    ``etag`` is the MD5 of what was sent, unless its encoding hides that.
    """

    blob: BlobRef
    digests: Digests
    encoding: Links
    etag: str


async def ingest(
    source: Source,
    writer: BlobWriter,
    offload: ThreadPool,
    room: Room,
    algorithm: str | None = None,
    chain: Chain = PLAIN,
    before: AsyncIterable[Buffer] | None = None,
) -> Ingested:
    """Move all bytes of ``source`` into ``writer``, verify them against the sender's claims, and make them durable.

    Args:
        algorithm: of the checksum; the sender's if None.
        chain: how the bytes are encoded; the digests are those of the bytes as they were sent.
        before: bytes that come before them in the blob, and are in no digest.

    Raises:
        S3Error: what the source raises, or a digest that does not match.
        Full, Unwritable: as the writer.
    """
    if not chain:
        await _write_all(before, writer)
        digests = await _move_all(source, writer, offload, room, algorithm, copies=1)
        return Ingested(await writer.finish(), digests, (), digests.etag)
    encoding = chain.writer(writer, None if before else source.size)
    await _write_all(before, encoding)
    digests = await _move_all(source, encoding, offload, room, algorithm, copies=2)
    ref = await encoding.finish()
    return Ingested(ref, digests, encoding.links, encoding.etag(digests.etag))


async def _write_all(pieces: AsyncIterable[Buffer] | None, writer: Writer) -> None:
    if pieces:
        async for piece in pieces:
            await writer.write(piece)


async def _move_all(
    source: Source, writer: Writer, offload: ThreadPool, room: Room, algorithm: str | None, *, copies: int
) -> Digests:
    """Move all bytes and verify them."""
    digests = Digests(algorithm or source.algorithm, sha256=source.expects_sha256)
    if source.size is not None and source.size <= FREE_BYTES:
        whole = await source.read(FREE_BYTES + 1)
        digests.update(whole)
        await writer.write(whole)
    elif source.size is not None and source.size <= _SHORT_BYTES:
        with room.upload():
            await _move_whole(_Intake(source, source.size, room, copies), writer, digests)
    else:
        intake = _Intake(source, room.piece_bytes, room, copies)  # the length that its writer was created for
        with room.upload():
            await _move(intake, writer, offload, digests)
    digests.verify(source.claims())
    return digests


async def _move_whole(intake: _Intake, writer: Writer, digests: Digests) -> None:
    """Digest and store all in one."""
    try:
        whole = await intake.next()
        await writer.write(whole, partial(digests.update, whole))
    finally:
        intake.place.leave()


async def _move(intake: _Intake, writer: Writer, offload: ThreadPool, digests: Digests) -> None:
    """Digest and store all pieces, each while the next ones arrive."""
    parts = [(Serial(), part) for part in digests.parts]
    storing: list[asyncio.Task[None]] = []
    try:
        while piece := await intake.next():
            if len(piece) <= _SMALL:
                await _shorten(storing, 0)
                digests.update(piece)
                await writer.write(piece)
                intake.place.leave()
            else:
                digesting = asyncio.gather(*(offload.run_after(strand, part, piece) for strand, part in parts))
                before = storing[-1] if storing else None
                storing.append(asyncio.create_task(_store(piece, before, digesting, writer)))
                storing[-1].add_done_callback(partial(_leave, intake.place))
                await _shorten(storing, _AHEAD)
            del piece  # it must not stay in memory while the next one waits for its place
        await _shorten(storing, 0)
    except BaseException:
        await asyncio.gather(*storing, return_exceptions=True)
        raise
    finally:
        intake.place.leave()


async def _shorten(storing: list[asyncio.Task[None]], length: int) -> None:
    """Wait for the first tasks until no more than so many are left. Raises what they raise."""
    while len(storing) > length:
        await storing[0]
        storing.pop(0)


async def _store(
    piece: Buffer, before: asyncio.Task[None] | None, digesting: asyncio.Future[list[None]], writer: Writer
) -> None:
    """Write a piece after the one before, and wait until it is digested as well: until then it is in memory."""
    try:
        if before:
            await before
        await writer.write(piece)
    finally:
        await digesting


def _leave(place: Place, _: object) -> None:
    place.leave()
