"""Limits and deadlines on uvicorn's HTTP protocol.

The parser accepts headers without end, two Host headers, codings that it does not decode, and clients that never send a
byte. This subclass refuses them before the application sees anything, with S3's error, and closes the connection.
"""

import asyncio
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from s3ish.errors import InvalidRequest, RequestHeaderSectionTooLarge, RequestTimeout, S3Error, SlowDown
from s3ish.wire.xml import DECLARATION, escape

MAX_HEADERS = 256
MAX_URL_BYTES = 16 * 1024
MIN_BYTES_A_SECOND = 1024
"""A body that moves more slowly uses up its time limit, as one that does not move at all."""
_MAX_TICK_SECONDS = 5.0
_LINGER_SECONDS = 2.0
"""How long a refused client may go on sending: if it were cut off at once, it might not see why."""
_REASONS = {400: b"Bad Request", 503: b"Service Unavailable"}


class Limits(NamedTuple):
    """What one connection, and all of them together, may take."""

    header_bytes: int
    header_timeout_seconds: float
    body_timeout_seconds: float
    connections: int


class LimitedProtocol(HttpToolsProtocol):
    """One connection, with limits.

    Args:
        limits: what it may take.
        arguments: what uvicorn's protocol takes.
    """

    def __init__(self, *, limits: Limits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._limits = limits
        self._tick_seconds = min(_MAX_TICK_SECONDS, limits.header_timeout_seconds / 4, limits.body_timeout_seconds / 4)
        self._timer: asyncio.TimerHandle | None = None
        self._surplus = False  # more connections than allowed were open when this one began
        self._refused = False
        self._header_bytes = 0
        self._in_headers = True
        self._headers_since: float | None = None  # when the client began to owe us a header section
        self._deadline = 0.0  # when the time is up for the body that moves now, in or out
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the connection's one timer."""
        super().connection_made(transport)
        self._surplus = len(self.connections) > self._limits.connections
        self._headers_since = self.loop.time()
        self._deadline = self._headers_since + self._limits.body_timeout_seconds
        self._timer = self.loop.call_later(self._tick_seconds, self._tick)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser, unless the connection has been refused."""
        if self._refused:
            return
        now = self.loop.time()
        self._extend_deadline(now, len(data))
        if self._in_headers and self._headers_since is None:
            self._headers_since = now
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A new request begins on the connection."""
        super().on_message_begin()
        self._header_bytes = 0
        self._in_headers = True

    def on_url(self, url: bytes) -> None:
        """Limit the request line."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES or b"#" in url:
            self._refuse(InvalidRequest("The request target is too long or not valid."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Limit the header section; after it, headers would be trailers, which have no effect."""
        if not self._in_headers:
            return
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > self._limits.header_bytes or len(self.headers) > MAX_HEADERS:
            self._refuse(RequestHeaderSectionTooLarge(MaxSizeAllowed=self._limits.header_bytes))

    def on_headers_complete(self) -> None:
        """Check what the parser lets pass, then hand the request over."""
        error = self._check_headers()
        if error:
            self._refuse(error)
        self._in_headers = False
        self._headers_since = None
        if not self._refused:
            super().on_headers_complete()

    def _check_headers(self) -> S3Error | None:
        names = [name for name, _ in self.headers]
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            return InvalidRequest("The protocol must be HTTP/1.0 or HTTP/1.1.")
        if names.count(b"host") != 1:
            return InvalidRequest("A request must have exactly one Host header.")
        if names.count(b"content-length") > 1 or (codings and (codings != [b"chunked"] or b"content-length" in names)):
            return InvalidRequest("The length of the body is not clear.")
        if not self.url.startswith(b"/"):
            return InvalidRequest("The request target must be a path.")
        if self._surplus:
            return SlowDown()
        return None

    def on_body(self, body: bytes) -> None:
        """Pass body bytes on, unless refused."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._refused:
            super().on_message_complete()
        self._in_headers = True

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed with S3's error instead of plain text."""
        self._refuse(InvalidRequest(f"The request is not valid HTTP/1.1: {msg[:100]}"))

    def _tick(self) -> None:
        """Now and then: end connections whose headers or body do not move."""
        self._timer = None
        if self.transport.is_closing():
            return
        now = self.loop.time()
        answered = self.cycle is None or self.cycle.response_complete
        since = self._headers_since
        if answered and since is not None and now - since > self._limits.header_timeout_seconds:
            self._refuse(RequestTimeout())
            return
        if not answered and self._is_stuck(now):
            self.transport.abort()
            return
        self._timer = self.loop.call_later(self._tick_seconds, self._tick)

    def _extend_deadline(self, now: float, moved_bytes: int) -> None:
        """Every byte that moves gives back a part of the time that was used up."""
        timeout = self._limits.body_timeout_seconds
        self._deadline = min(now + timeout, self._deadline + moved_bytes / MIN_BYTES_A_SECOND)

    def _is_stuck(self, now: float) -> bool:
        """Whether the client has sent what it announced, or taken what it asked for, too slowly for too long."""
        unsent = self.transport.get_write_buffer_size()
        self._extend_deadline(now, abs(unsent - self._unsent))
        self._unsent = unsent
        waits_for_body = self.cycle.more_body and not self._in_headers and not self.flow.read_paused
        waits_for_client = waits_for_body or self.flow.write_paused
        if not waits_for_client:
            self._deadline = now + self._limits.body_timeout_seconds
        return now > self._deadline

    def _refuse(self, error: S3Error) -> None:
        """Answer and close; nothing more is read. What was asked for earlier on the connection is answered first."""
        if self._refused:
            return
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            if self._in_headers:
                self.cycle.keep_alive = False
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
        body = (
            f"{DECLARATION}<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        ).encode()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/xml\r\ncontent-length: %d\r\nconnection: close\r\n"
            b"server: s3ish\r\n\r\n%s" % (error.status, _REASONS.get(error.status, b"Bad Request"), len(body), body)
        )
        self._linger()

    def _linger(self) -> None:
        """End our side; drop what comes until the client has ended its own, or for a short time."""
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)
