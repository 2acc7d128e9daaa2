"""Reading little at a time from connections in a crowd.

The event loop reads a quarter of a MiB at once. Of an upload that waits for its turn so much would lie in memory; with
a thousand of them that is more than all that is being stored.
"""

import asyncio
from typing import ClassVar

NARROW_BYTES = 32 << 10


class NarrowReading(asyncio.BufferedProtocol):
    """Stands before a connection's protocol, and passes on to it what it reads.

    Args:
        protocol: the connection's own, which reads as much as the event loop gives.
    """

    _buffer: ClassVar = bytearray(NARROW_BYTES)  # one for all: the loop fills it and tells at once

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, _sizehint: int) -> bytearray:
        """Return where the loop may read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on so many bytes."""
        self._protocol.data_received(bytes(memoryview(self._buffer)[:nbytes]))
