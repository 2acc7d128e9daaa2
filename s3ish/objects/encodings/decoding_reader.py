"""A reader of a range of a blob that decodes what is stored."""

from collections import deque
from collections.abc import Sequence
from typing import Self

from s3ish.blob.protocol import BlobReader, Buffer, Corrupt
from s3ish.objects.encodings.codec import Decoder

_TURN_BYTES = 2 << 20
"""So much the event loop decodes at a time; no thread does, see ``encoding_writer``."""


class Stage:
    """A decoder and what is wanted of its output.

    Args:
        skip: how many bytes come before it.
        length: how many bytes are wanted.
    """

    def __init__(self, decoder: Decoder, skip: int, length: int) -> None:
        self._decoder, self._skip, self._left = decoder, skip, length

    def decode(self, pieces: Sequence[Buffer]) -> list[Buffer]:
        """Return what is wanted of what stored bytes decode to. Raises Corrupt."""
        return [wanted for piece in pieces for decoded in self._decoder.decode(piece) if (wanted := self._cut(decoded))]

    def finish(self) -> list[Buffer]:
        """Return the rest. Raises Corrupt if it is too short."""
        rest: list[Buffer] = [wanted for decoded in self._decoder.finish() if (wanted := self._cut(decoded))]
        if self._left:
            raise Corrupt(f"{self._left} bytes are missing of what was encoded")
        return rest

    def _cut(self, piece: Buffer) -> memoryview:
        view = memoryview(piece)[self._skip :]
        self._skip = max(0, self._skip - len(piece))
        view = view[: self._left]
        self._left -= len(view)
        return view


def decode(stages: Sequence[Stage], pieces: Sequence[Buffer]) -> Sequence[Buffer]:
    """Return what stages make of stored bytes, one after the other. Raises Corrupt."""
    for stage in stages:
        pieces = stage.decode(pieces)
    return pieces


def finish(stages: Sequence[Stage]) -> list[Buffer]:
    """Return the rest, when no more bytes come. Raises Corrupt."""
    rest: list[Buffer] = []
    for stage in stages:
        rest = [*stage.decode(rest), *stage.finish()]
    return rest


class DecodingReader:
    """See ``BlobReader``.

    Args:
        reader: of the stored bytes; closed with this one.
        stages: of the range, the last link's first.
    """

    def __init__(self, reader: BlobReader, stages: Sequence[Stage]) -> None:
        self._reader, self._stages = reader, stages
        self._stored: memoryview | None = None  # what is not decoded yet; a view of nothing would keep its memory
        self._pieces: deque[Buffer] = deque()
        self._ended = False

    async def begin(self) -> None:
        """Decode the first bytes, so that an error can still be answered. Raises Corrupt."""
        try:
            await self._fill()
        except BaseException:
            await self.close()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Buffer:
        await self._fill()
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.popleft()

    async def close(self) -> None:
        self._pieces.clear()
        self._stored = None
        await self._reader.close()

    async def _fill(self) -> None:
        """Have a piece ready, or none at the end."""
        while not self._pieces and not self._ended:
            stored: Buffer | None = self._stored
            if stored is None and (stored := await anext(self._reader, None)) is None:
                self._ended = True
                self._pieces.extend(finish(self._stages))
                return
            view = memoryview(stored)
            self._stored = view[_TURN_BYTES:] if len(view) > _TURN_BYTES else None
            self._pieces.extend(decode(self._stages, [view[:_TURN_BYTES]]))
