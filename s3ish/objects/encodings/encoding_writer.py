"""A writer of a blob that encodes what it is given."""

import asyncio
from collections.abc import Sequence

from s3ish.blob.protocol import BlobWriter, Buffer, Work
from s3ish.model import BlobRef, Link
from s3ish.objects.encodings.codec import Encoder

_TURN_BYTES = 1 << 20
"""So much the event loop encodes at a time: others wait for as long as that takes.

No thread does it: to encrypt so much takes 0.06 ms, and to hand it over and back costs as much again.
"""


class EncodingWriter:
    """Passes on what its encoders make of the bytes that it is given.

    Args:
        writer: the one of the blob.
        links: what is asked for.
        encoders: one of each, in their order.
    """

    def __init__(self, writer: BlobWriter, links: Sequence[Link], encoders: Sequence[Encoder]) -> None:
        self._writer, self._asked, self._encoders = writer, links, encoders

    async def write(self, data: Buffer, before: Work | None = None) -> None:
        """Append data; see ``BlobWriter.write``. Raises Full, Unwritable."""
        view = memoryview(data)
        for start in range(0, len(view) or 1, _TURN_BYTES):
            if start:
                await asyncio.sleep(0)
            pieces = _through(self._encoders, [view[start : start + _TURN_BYTES]])
            if before:
                await self._writer.write(pieces.pop(0) if pieces else b"", before)
                before = None
            await self._pass_on(pieces)

    async def finish(self) -> BlobRef:
        """End the data and make it durable. Returns the reference. Raises Full, Unwritable."""
        for number, encoder in enumerate(self._encoders, 1):
            await self._pass_on(_through(self._encoders[number:], encoder.finish()))
        return await self._writer.finish()

    def etag(self, digest: str) -> str:
        """Return the entity tag of what was written, given the MD5 of the data."""
        for encoder in self._encoders:
            digest = encoder.etag(digest)
        return digest

    @property
    def links(self) -> tuple[Link, ...]:
        """After ``finish``: the links with the parameters that must be known to decode."""
        pairs = zip(self._asked, self._encoders, strict=True)
        return tuple(Link(link.name, {**link.parameters, **encoder.parameters}) for link, encoder in pairs)

    async def _pass_on(self, pieces: Sequence[Buffer]) -> None:
        for piece in pieces:
            if len(piece):
                await self._writer.write(piece)


def _through(encoders: Sequence[Encoder], pieces: Sequence[Buffer]) -> list[Buffer]:
    """Return what encoders make of data, one after the other."""
    for encoder in encoders:
        pieces = [encoded for piece in pieces for encoded in encoder.encode(piece)]
    return list(pieces)
