"""Reading from connections in a crowd no more than is wanted.

The event loop reads a quarter of a MiB at once. Of an upload that waits for its turn so much would lie in memory; with
a thousand of them that is more than all that is being stored.
"""

import asyncio
from typing import ClassVar

LEAST_BYTES, MOST_BYTES = 8 << 10, 128 << 10
"""So much is read at once whatever is wanted, and not more whatever is wanted."""


class Appetite:
    """How many bytes of a body are wanted next; the extension ``s3ish.appetite`` of a request's scope."""

    __slots__ = ("wanted",)

    def __init__(self) -> None:
        self.wanted = 0


class NarrowReading(asyncio.BufferedProtocol):
    """Stands before a connection's protocol, and passes on to it what it reads.

    Args:
        protocol: the connection's own, which reads as much as the event loop gives.
        appetite: says how much may be read.
    """

    _buffer: ClassVar = memoryview(bytearray(MOST_BYTES))  # one for all: the loop fills it and tells at once

    def __init__(self, protocol: asyncio.Protocol, appetite: Appetite) -> None:
        self._protocol, self._appetite = protocol, appetite
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where the loop may read to."""
        return self._buffer[: max(LEAST_BYTES, self._appetite.wanted)]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on so many bytes."""
        self._protocol.data_received(bytes(self._buffer[:nbytes]))
