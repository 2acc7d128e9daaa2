"""Limits and deadlines on uvicorn's HTTP protocol.

The parser accepts headers without end, two Host headers, codings that it does not decode, and clients that never send a
byte. This subclass refuses them before the application sees anything, with S3's error, and closes the connection.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from s3ish.errors import InvalidRequest, RequestHeaderSectionTooLarge, RequestTimeout, S3Error
from s3ish.wire.xml import DECLARATION, escape

MAX_HEADERS = 256
MAX_URL_BYTES = 16 * 1024
_TICK_SECONDS = 1.0
_REASONS = {400: b"Bad Request", 408: b"Request Timeout"}


class LimitedProtocol(HttpToolsProtocol):
    """One connection, with limits."""

    header_bytes: ClassVar[int] = 16 * 1024
    header_timeout_seconds: ClassVar[float] = 15.0
    body_timeout_seconds: ClassVar[float] = 60.0

    @classmethod
    def with_limits(
        cls, *, header_bytes: int, header_timeout_seconds: float, body_timeout_seconds: float
    ) -> "type[LimitedProtocol]":
        """Return a subclass with these limits."""
        cls.header_bytes = header_bytes
        cls.header_timeout_seconds = header_timeout_seconds
        cls.body_timeout_seconds = body_timeout_seconds
        return cls

    def connection_made(self, transport: Any) -> None:
        """Begin the connection's one timer."""
        super().connection_made(transport)
        self._bytes_of_headers = 0
        self._in_headers = True
        self._refused = False
        self._last_data = self.loop.time()
        self._since = self._last_data
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(_TICK_SECONDS, self._tick)

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
        self._last_data = self.loop.time()
        if self._in_headers and not self._bytes_of_headers:
            self._since = self._last_data
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A new request begins on the connection."""
        super().on_message_begin()
        self._bytes_of_headers = 1
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
        self._bytes_of_headers += len(name) + len(value) + 4
        if self._bytes_of_headers > self.header_bytes or len(self.headers) > MAX_HEADERS:
            self._refuse(RequestHeaderSectionTooLarge(MaxSizeAllowed=self.header_bytes))

    def on_headers_complete(self) -> None:
        """Check what the parser lets pass, then hand the request over."""
        self._in_headers = False
        if self._refused:
            return
        names = [name for name, _ in self.headers]
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if names.count(b"host") != 1 or names.count(b"content-length") > 1:
            self._refuse(InvalidRequest("A request must have exactly one Host header."))
        elif codings and (codings != [b"chunked"] or b"content-length" in names):
            self._refuse(InvalidRequest("The transfer coding is not supported."))
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass body bytes on, unless refused."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self._refused:
            super().on_message_complete()
        self._bytes_of_headers = 0
        self._in_headers = True
        self._since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed with S3's error instead of plain text."""
        if not self._refused:
            self._refuse(InvalidRequest(f"The request is not valid HTTP/1.1: {msg[:100]}"))

    def _tick(self) -> None:
        """Once a second: end connections whose headers or body do not come."""
        now = self.loop.time()
        self._timer = None
        if self.transport.is_closing():
            return
        waiting_for_headers = self._in_headers and (self._bytes_of_headers > 0 or self.cycle is None)
        if waiting_for_headers and now - self._since > self.header_timeout_seconds:
            self._refuse(RequestTimeout())
            return
        cycle = self.cycle
        reading = cycle is not None and not self._in_headers and not cycle.response_complete and cycle.more_body
        if reading and not self.flow.read_paused and now - self._last_data > self.body_timeout_seconds:
            self.transport.close()
            return
        self._timer = self.loop.call_later(_TICK_SECONDS, self._tick)

    def _refuse(self, error: S3Error) -> None:
        """Answer and close; nothing more is read."""
        if self._refused:
            return
        self._refused = True
        body = (
            f"{DECLARATION}<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        ).encode()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/xml\r\ncontent-length: %d\r\nconnection: close\r\n"
                b"server: s3ish\r\n\r\n%s" % (error.status, _REASONS.get(error.status, b"Bad Request"), len(body), body)
            )
        self.transport.close()
