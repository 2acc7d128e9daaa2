"""Reading from a connection: how much at once, and to where.

The event loop reads a quarter of a MiB at once. Of an upload that waits for its turn so much would lie in memory; with
a thousand of them that is more than all that is being stored. And a caller that knows where the bytes of a body will
stay has them read to there, past the parser and without a copy on the way.
"""

import asyncio
import threading
from typing import Protocol

LEAST_BYTES, MOST_BYTES = 8 << 10, 256 << 10
"""So much is read at once whatever is wanted, and not more whatever is wanted."""


class Demand:
    """What of a body is wanted next; the extension ``s3ish.appetite`` of a request's scope.

    ``wanted`` is how many bytes; ``narrow`` says that no more is to be read. ``target`` is where they are to stay, if
    that is known: a server that can puts them there, takes that part off ``target``, and has ``receive`` return without
    them when it is full.
    """

    __slots__ = ("narrow", "target", "wanted")

    def __init__(self) -> None:
        self.wanted = 0
        self.narrow = False
        self.target: memoryview | None = None


class Connection(Protocol):
    """A protocol of asyncio's that knows where the bytes of a body belong."""

    def target(self) -> memoryview | None:
        """Return where the next bytes of a body belong, if that is known."""

    def target_filled(self, count: int) -> None:
        """So many bytes are there."""

    def data_received(self, data: bytes) -> None:
        """Take bytes that belong nowhere yet."""

    def eof_received(self) -> bool | None:
        """See ``asyncio.Protocol``, as for the others."""

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class _Shared(threading.local):
    """The buffer of all connections of one event loop, which fills it and tells at once."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(MOST_BYTES))


_shared = _Shared()


class ReceiveBuffer(asyncio.BufferedProtocol):
    """Stands before a connection's protocol, and reads for it.

    Nothing but the transport may hold it, so that it goes with the connection.

    Args:
        protocol: the connection's own.
        appetite: says how much is wanted.
    """

    __slots__ = ("_appetite", "_buffer", "_protocol", "_to_target")

    def __init__(self, protocol: Connection, appetite: Demand) -> None:
        self._protocol, self._appetite = protocol, appetite
        self._buffer = _shared.buffer
        self._to_target = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where the loop may read to."""
        target = self._protocol.target()
        self._to_target = target is not None
        if target is not None:
            return target
        return self._buffer[: max(LEAST_BYTES, self._appetite.wanted)] if self._appetite.narrow else self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Tell of so many bytes, or pass them on."""
        if self._to_target:
            self._protocol.target_filled(nbytes)
        else:
            self._protocol.data_received(bytes(self._buffer[:nbytes]))
