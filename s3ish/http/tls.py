"""TLS on a connection: it stands between the transport of the socket and the protocol of the connection.

The event loop's own TLS begins the protocol when the handshake has ended. Here it begins with the connection, so that
limits and deadlines hold for the handshake, a client that speaks plain HTTP gets an answer, and every connection takes
the certificates of its moment. All connections of a thread read into one buffer.
"""

import asyncio
import ssl
import threading
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Protocol

from s3ish.errors import InvalidRequest, S3Error
from s3ish.http.certificates import Certificates
from s3ish.http.tally import connection_tally

_READ_BYTES = 64 << 10
_LEAST_BYTES = 4 << 10
_RECORD_BYTES = 512
"""What a record adds to what it carries, and more."""
_JOINED_BYTES = 64 << 10
"""So much is encrypted before it is sent."""
_METHOD_LETTERS = range(ord("A"), ord("Z") + 1)
_SPOKEN = "This port speaks HTTPS. Use https:// in the address of the server."


class Guarded(Protocol):
    """The protocol of a connection that TLS guards: one of asyncio's, and this."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See ``asyncio.Protocol``."""

    def secure(self, version: str) -> None:
        """The handshake has ended, with this version of TLS."""

    def refuse(self, error: S3Error) -> None:
        """Answer with an error, and end."""


class _State(Enum):
    HANDSHAKE = auto()
    OPEN = auto()
    CLEAR = auto()
    """The client speaks plain HTTP, and is answered in that."""
    ENDED = auto()
    """Nothing more is sent, and what comes is dropped."""


class _Shared(threading.local):
    """The buffer of all connections of one event loop, which fills it and tells at once."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_READ_BYTES))


_shared = _Shared()


class TlsConnection(asyncio.Transport, asyncio.BufferedProtocol):
    """One connection with TLS.

    Args:
        guarded: the connection's protocol, which gets this as its transport.
        certificates: what the client is shown.
    """

    _raw: asyncio.Transport

    def __init__(self, guarded: Guarded, certificates: Certificates) -> None:
        super().__init__()
        self._guarded: Guarded | None = guarded
        self._protocol: Any = guarded
        self._certificates = certificates
        self._state = _State.HANDSHAKE
        self._paused = self._raw_paused = self._begun = self._closing = False
        self._buffer = _shared.buffer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    # --- to the socket's transport: a protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and let the protocol begin."""
        assert self._guarded
        self._raw = transport
        self._began_at = self._certificates.monotonic()
        connection_tally.certificates = self._certificates
        self._context = self._certificates.context()
        self._object = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._guarded.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, and hold the protocol no longer."""
        self._closing = True
        self._protocol.connection_lost(exc)
        self._state, self._guarded, self._protocol = _State.ENDED, None, asyncio.Protocol()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()

    def eof_received(self) -> bool:
        """End, unless the protocol still has something to say."""
        if self._state is _State.OPEN:
            return bool(self._protocol.eof_received())
        if self._state is _State.HANDSHAKE:
            connection_tally.tls_failures["left"] += 1
        return False

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where the loop may read to: no more than the protocol wants, of which nothing would be held then."""
        if self._state is not _State.OPEN:
            return self._buffer
        return self._buffer[: max(_LEAST_BYTES, len(self._protocol.get_buffer(-1)) + _RECORD_BYTES)]

    def buffer_updated(self, nbytes: int) -> None:
        """Take so many bytes of the client."""
        if not self._begun:
            self._begun = True
            if self._buffer[0] in _METHOD_LETTERS:  # of a method; a record of TLS begins with 22
                self._state = _State.CLEAR
                connection_tally.tls_failures["plain http"] += 1
                assert self._guarded
                self._guarded.refuse(InvalidRequest(_SPOKEN))
        if self._state in (_State.HANDSHAKE, _State.OPEN):
            self._incoming.write(self._buffer[:nbytes])
            self._advance()

    def _advance(self) -> None:
        """Do what can be done with what has come."""
        try:
            if self._state is _State.HANDSHAKE:
                self._object.do_handshake()
                self._state = _State.OPEN
                assert self._guarded
                version = (self._object.version() or "").removeprefix("TLSv")
                connection_tally.handshakes[version] += 1
                connection_tally.handshake_seconds.add(self._certificates.monotonic() - self._began_at)
                self._guarded.secure(version)
            self._read()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:
            if self._state is _State.HANDSHAKE:
                connection_tally.tls_failures["refused"] += 1
            self._flush()  # it tells the client why
            self._state, self._closing = _State.ENDED, True
            self._raw.close()
        else:
            self._flush()

    def _read(self) -> None:
        """Decrypt to where the protocol wants it. Raises ssl.SSLError."""
        while self._state is _State.OPEN and not (self._paused or self._closing):
            target = self._protocol.get_buffer(-1)
            filled, ended = self._fill(target)
            if filled:
                self._protocol.buffer_updated(filled)
            if ended and not self._protocol.eof_received():
                self.close()
            if filled < len(target):
                return

    def _fill(self, target: memoryview) -> tuple[int, bool]:
        """Return how many bytes there were for a place, and whether the client has sent its last. Raises SSLError."""
        filled = 0
        while filled < len(target) and (self._incoming.pending or self._object.pending()):
            try:
                count: Any = self._object.read(len(target) - filled, target[filled:])  # with a buffer a number
            except ssl.SSLWantReadError:
                break
            if not count:
                return filled, True
            filled += count
        return filled, False

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._raw.write(self._outgoing.read())

    # --- to the connection's protocol: a transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See ``asyncio.BaseTransport``."""
        if name == "sslcontext":
            return self._context
        return self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See ``asyncio.BaseTransport``."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See ``asyncio.BaseTransport``."""
        return self._protocol  # type: ignore[no-any-return]

    def is_closing(self) -> bool:
        """See ``asyncio.BaseTransport``."""
        return self._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        """Decrypt no more, and read no more."""
        self._paused = True
        if not self._raw_paused:
            self._raw_paused = True
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Go on, first with what has been read, when the caller has ended: the protocol is not called within a call."""
        if self._paused:
            self._paused = False
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if self._state is _State.OPEN and not self._paused:
            self._advance()
        if self._raw_paused and not (self._paused or self.is_closing()):
            self._raw_paused = False
            self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        """See ``asyncio.WriteTransport``."""
        return self._raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See ``asyncio.WriteTransport``."""
        self._raw.set_write_buffer_limits(high, low)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes. Before the end of the handshake nothing can be said, and is not."""
        if self._state is _State.CLEAR:
            self._raw.write(data)
        elif self._state is _State.OPEN and not self._closing:
            left = memoryview(data)
            try:
                while left:
                    left = left[self._object.write(left) :]
                    if self._outgoing.pending >= _JOINED_BYTES:
                        self._flush()
            except ssl.SSLError:
                self.abort()
            self._flush()

    def can_write_eof(self) -> bool:
        """Whether the client has been told anything that an end could follow."""
        return self._state in (_State.OPEN, _State.CLEAR) and self._raw.can_write_eof()

    def write_eof(self) -> None:
        """End our side; what comes is read and dropped."""
        self._take_leave()
        self._raw.write_eof()

    def close(self) -> None:
        """See ``asyncio.BaseTransport``."""
        if not self._closing:
            self._take_leave()
            self._closing = True
            self._raw.close()

    def abort(self) -> None:
        """See ``asyncio.WriteTransport``."""
        self._closing = True
        self._raw.abort()

    def _take_leave(self) -> None:
        """Tell the client that this was all, so that it can tell an end from a cut."""
        if self._state is _State.OPEN:
            with suppress(ssl.SSLError):  # it has not taken leave itself, which is not waited for
                self._object.unwrap()
            self._flush()
        self._state = _State.ENDED
