"""A writer of a blob that encodes what it is given."""

from collections.abc import Sequence

from s3ish.blob.protocol import BlobWriter, Buffer, Work
from s3ish.model import BlobRef, Link
from s3ish.objects.encodings.codec import Encoder
from s3ish.threads import ThreadPool

_BRIEF_BYTES = 128 << 10
"""Up to so many bytes are encoded by the event loop: to hand them to a thread takes longer."""


class EncodingWriter:
    """Passes on what its encoders make of the bytes that it is given.

    Args:
        writer: the one of the blob.
        links: what is asked for.
        encoders: one of each, in their order.
    """

    def __init__(
        self, writer: BlobWriter, links: Sequence[Link], encoders: Sequence[Encoder], offload: ThreadPool
    ) -> None:
        self._writer, self._asked, self._encoders, self._offload = writer, links, encoders, offload

    async def write(self, data: Buffer, before: Work | None = None) -> None:
        """Append data; see ``BlobWriter.write``. Raises Full, Unwritable."""

        def work() -> list[Buffer]:
            if before:
                before()
            return _through(self._encoders, [data])

        if before:
            pieces = await self._offload.run_short(work)
        elif len(data) <= _BRIEF_BYTES:
            pieces = work()
        else:
            pieces = await self._offload.run(work)
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
