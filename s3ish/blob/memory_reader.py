"""Reading what is in memory: small blobs, and all of a store that has no drives."""

from typing import Self

from s3ish.blob.protocol import Buffer


class MemoryReader:
    """An open range of a blob in memory, in pieces."""

    def __init__(self, data: memoryview, piece_bytes: int) -> None:
        self._rest, self._piece_bytes = data, piece_bytes

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Buffer:
        piece, self._rest = self._rest[: self._piece_bytes], self._rest[self._piece_bytes :]
        if not piece:
            raise StopAsyncIteration
        return piece

    async def close(self) -> None:
        self._rest = memoryview(b"")
