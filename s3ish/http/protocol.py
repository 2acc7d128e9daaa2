"""Limits and deadlines on uvicorn's HTTP protocol.

The parser accepts headers without end, two Host headers, codings that it does not decode, and clients that never send a
byte. This subclass refuses them before the application sees anything, with S3's error, and closes the connection.
"""

import asyncio
import re
import sys
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from s3ish.errors import (
    InvalidRequest,
    RequestHeaderSectionTooLarge,
    RequestTimeout,
    S3Error,
    ServiceUnavailable,
    SlowDown,
)
from s3ish.http.batched_writes import outbox
from s3ish.http.exchange import CROWD, WHOLE, Exchange
from s3ish.http.idle import idle_connections
from s3ish.http.receive_buffer import Demand, ReceiveBuffer
from s3ish.http.tally import connection_tally
from s3ish.wire.shape import Written

MAX_HEADERS = 256
MAX_URL_BYTES = 16 * 1024
MIN_BYTES_A_SECOND = 1024
"""A body that moves more slowly uses up its time limit, as one that does not move at all."""
_MAX_TICK_SECONDS = 5.0
_LINGER_SECONDS = 2.0
"""How long a refused client may go on sending: if it were cut off at once, it might not see why."""
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)
"""A target in absolute form; https as well, because a proxy that ended TLS may have passed it on."""


class Limits(NamedTuple):
    """What one connection, and all of them together, may take."""

    header_bytes: int
    header_timeout_seconds: float
    body_timeout_seconds: float
    connections: int


class Refuser(Protocol):
    """What the application must be besides an ASGI application."""

    def refuse(self, error: S3Error, path: str, client: str, *, answered: bool) -> Written:
        """Return the answer to a request that has not come to the application."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection, with limits.

    Args:
        limits: what it may take.
        arguments: what uvicorn's protocol takes.
    """

    cycle: Exchange

    def __init__(self, *, limits: Limits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._limits = limits
        self.url = b""
        shortest = min(limits.header_timeout_seconds, limits.body_timeout_seconds, self.timeout_keep_alive)
        self._tick_seconds = min(_MAX_TICK_SECONDS, shortest / 4)
        self._timer: asyncio.TimerHandle | None = None
        self._surplus = False  # as many as are allowed were open when this one began, and each had a request
        self._appetite = Demand()
        self._extensions: Any = {"s3ish.appetite": self._appetite, WHOLE: True}
        self._refused = False
        self._header_bytes = 0
        self._message_ended = False
        self._in_headers = True
        self._body_left = 0  # bytes of a body that are still to come; the parser sees none but those behind the headers
        self._queued = False  # the request that comes now waits for the answers to others
        self._expects_100 = False
        self._offer: list[tuple[bytes, bytes]] = []  # Upgrade headers that are kept from the parser
        self._idle_since = 0.0
        self._headers_since: float | None = None  # when the client began to owe us a header section
        self._deadline = 0.0  # when the time is up for the body that moves now, in or out
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the connection's one timer."""
        super().connection_made(transport)
        connection_tally.accepted += 1
        if len(self.connections) > self._limits.connections:
            self._surplus = not idle_connections.close_longest()
            connection_tally.refused += self._surplus
            connection_tally.evicted += not self._surplus
        if not self._surplus:
            idle_connections.add(self.transport)
        self._appetite.narrow = len(self.connections) > CROWD
        transport.set_protocol(ReceiveBuffer(self, self._appetite))
        self._headers_since = self.loop.time()
        self._deadline = self._headers_since + self._limits.body_timeout_seconds
        self._timer = self.loop.call_later(self._tick_seconds, self._tick)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer."""
        connection_tally.closed += 1
        idle_connections.discard(self.transport)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Have a body that has ended too early answered as such: who sent it may have ended one side alone."""
        if self._in_headers or self._refused or self.cycle.response_complete:
            return False
        self.cycle.end_early()
        return True

    def secure(self, version: str) -> None:
        """See ``Guarded``."""
        self._extensions["s3ish.tls"] = version

    def shutdown(self) -> None:
        """End the connection when what was asked for is answered."""
        outbox.flush()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser, unless the connection has been refused."""
        if self._refused:
            return
        now = self.loop.time()
        self._extend_deadline(now, len(data))
        if self._in_headers and self._headers_since is None:
            self._headers_since = now
        self._message_ended = False
        if self._body_left:
            body, data = data[: self._body_left], data[self._body_left :]
            self._pass_body(body)
            if not data:
                return
        self._parse(data)
        if self._in_headers and not self._message_ended:
            self._header_bytes += len(data)
            if self._header_bytes > self._limits.header_bytes + MAX_URL_BYTES:  # each is limited when it is whole
                self.refuse(_too_large(self._limits))

    def _parse(self, data: bytes) -> None:
        """Feed the parser. It stops behind a head that offers another protocol: the request begins again without it."""
        left = memoryview(data)
        try:
            while (end := self._feed(left)) is not None and not self._refused:
                left, head = left[end:], self._head_without_offer()
                self._renew_parser()
                self._feed(head)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _feed(self, data: memoryview | bytes) -> int | None:
        """Feed the parser; return where it stopped at the end of a head."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            return int(stopped.args[0])
        return None

    def _head_without_offer(self) -> bytes:
        """Return the head that the parser read last, without its offer, which may be ignored (RFC 9110 section 7.8)."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        kept = [field for field in self.headers if field[0] != b"upgrade"]
        self._offer = [field for field in self.headers if field[0] == b"upgrade"]
        lines = [b"%b: %b\r\n" % field for field in kept]
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))

    def _pass_body(self, body: bytes) -> None:
        """Take bytes of the body that the parser does not see."""
        try:
            self.on_body(body)
        except MemoryError:
            self.refuse(ServiceUnavailable())
        if not self._body_left:
            self._end_body()

    def _end_body(self) -> None:
        """The parser waits for the end of a body that went past it: a new one takes its place."""
        self._renew_parser()
        self.on_message_complete()

    def _renew_parser(self) -> None:
        """Put a new parser in the place of one that has stopped, or waits for what it does not get."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def target(self) -> memoryview | None:
        """Return where the next bytes of the body belong, if that is known; see ``ReceiveBuffer``."""
        if not self._body_left or self._queued or self._refused:
            return None
        target = self._appetite.target
        return target[: self._body_left] if target else None

    def target_filled(self, count: int) -> None:
        """So many bytes of the body are where they belong. No more is read when all is there."""
        self._extend_deadline(self.loop.time(), count)
        exchange, appetite = self.cycle, self._appetite
        assert appetite.target
        appetite.target = appetite.target[count:]
        self._body_left -= count
        exchange.window_bytes = 0
        self._appetite.narrow = True
        if not self._body_left:
            self._end_body()
        if not appetite.target:
            self.flow.pause_reading()
            exchange.message_event.set()

    def on_message_begin(self) -> None:
        """A new request begins on the connection."""
        super().on_message_begin()
        self.headers += self._offer
        self._offer = []
        self._in_headers = True

    def on_url(self, url: bytes) -> None:
        """Limit the request line."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES or b"#" in url:
            self.refuse(InvalidRequest("The request target is too long or not valid."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; after the header section, headers would be trailers, which have no effect."""
        if self._in_headers:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check what the parser lets pass, then hand the request over."""
        if self._is_offer():
            return
        error = self._check_headers()
        if error:
            self.refuse(error)
        self._in_headers = False
        self._headers_since = None
        if not self._refused:
            self._begin_exchange()

    def _is_offer(self) -> bool:
        """Whether the parser stops behind this head, to see it again without its offer; CONNECT is no offer."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _begin_exchange(self) -> None:
        """Start the request at once, or behind those that the client sent before it."""
        idle_connections.discard(self.transport)
        self._appetite.wanted = 0
        self.scope["extensions"] = self._extensions
        version = self.parser.get_http_version()
        raw_path, _, query = self.url.partition(b"?")
        path = raw_path.decode("latin-1")
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = raw_path
        self.scope["query_string"] = query
        earlier = self.cycle
        self.cycle = Exchange(
            running=self.tasks,
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self._expects_100,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._queued = not (earlier is None or earlier.response_complete)
        if not self._queued:
            self._start_asgi_task(self.cycle, self.app)
        else:
            earlier.followed = True
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _check_headers(self) -> S3Error | None:
        """Return what is wrong with them; else the length of the body is known, and whether a 100 is expected."""
        version = self.parser.get_http_version()
        if version == "1.0" and all(name != b"host" for name, _ in self.headers):
            self.headers.append((b"host", self._address()))
        names, values = zip(*self.headers, strict=True) if self.headers else ((), ())
        section_bytes = 4 * len(names) + sum(map(len, names)) + sum(map(len, values))
        if section_bytes > self._limits.header_bytes or len(names) > MAX_HEADERS:
            return _too_large(self._limits)
        last = dict(self.headers)
        coding, length = last.get(b"transfer-encoding"), last.get(b"content-length")
        repeated = names.count(b"transfer-encoding") > 1 or names.count(b"content-length") > 1
        self._expects_100 = b"expect" in last and version == "1.1" and _expects_100(self.headers)
        if version not in ("1.0", "1.1"):
            return InvalidRequest("The protocol must be HTTP/1.0 or HTTP/1.1.")
        if names.count(b"host") != 1:
            return InvalidRequest("A request must have exactly one Host header.")
        if repeated or (coding is not None and (coding.strip().lower() != b"chunked" or length is not None)):
            return InvalidRequest("The length of the body is not clear.")
        if not self._has_path() or self.parser.get_method() == b"CONNECT":
            return InvalidRequest("The request target must be a path, or a URL of http or https.")
        if self._surplus:
            return SlowDown()
        self._body_left = int(length or 0)
        return None

    def _address(self) -> bytes:
        """Return the address that the client connected to, as a Host header would name it."""
        host, port = self.server or ("", None)
        if port is None:
            return b"localhost"
        return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()

    def _has_path(self) -> bool:
        """Whether the target is a path, which one in absolute form becomes (RFC 9112 section 3.2.2).

        The host that it names takes the place of the Host header. So the signature covers it: otherwise a request that
        was signed for one bucket's host could be sent again with another's in the target.
        """
        if self.url.startswith(b"/"):
            return True
        absolute = _ABSOLUTE.fullmatch(self.url)
        if absolute is None:
            return False
        host, rest = absolute.groups()
        self.url = rest if rest.startswith(b"/") else b"/" + rest
        place = [name for name, _ in self.headers].index(b"host")
        self.headers[place] = (b"host", host)
        return True

    def on_body(self, body: bytes) -> None:
        """Pass body bytes on, unless refused; hold the client back while too much of them waits to be taken."""
        exchange = self.cycle
        if self._body_left:
            self._body_left -= len(body)
        if self._refused or exchange.response_complete:
            return
        exchange.keep(body)
        if len(self.connections) > CROWD:
            exchange.window_bytes = 0
            self._appetite.narrow = True
        if exchange.held_bytes > exchange.window_bytes:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._is_offer():
            return
        if not self._refused:
            super().on_message_complete()
        self._appetite.wanted = 0
        self._body_left = 0
        self._appetite.narrow = len(self.connections) > CROWD
        self._in_headers = True
        self._message_ended = True
        self._header_bytes = 0

    def on_response_complete(self) -> None:
        """Go on with what the client has sent meanwhile, or begin to be idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._idle_since = self.loop.time()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            idle_connections.add(self.transport)
        if not self.pipeline:  # else what waits would grow by a batch of requests for each answer
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, or had no room, with S3's error instead of plain text."""
        error = sys.exception()
        if error and isinstance(error.__context__, MemoryError):  # of a callback of ours
            self.refuse(ServiceUnavailable())
            return
        self.refuse(InvalidRequest(f"The request is not valid HTTP/1.1: {msg[:100]}"))

    def _tick(self) -> None:
        """Now and then: end connections whose headers or body do not move."""
        self._timer = None
        now = self.loop.time()
        answered = self.cycle is None or self.cycle.response_complete
        since = self._headers_since
        if self._is_stuck(now, answered):
            connection_tally.timed_out["body"] += 1
            if self._refused or self.flow.write_paused or self.transport.is_closing():
                self.transport.abort()
            else:
                self.refuse(RequestTimeout())
        elif answered and not self.transport.is_closing():
            if since is None and now - self._idle_since > self.timeout_keep_alive:
                connection_tally.timed_out["request"] += 1
                self.transport.close()
            elif since is not None and now - since > self._limits.header_timeout_seconds:
                connection_tally.timed_out["headers"] += 1
                self.refuse(RequestTimeout())
        if self._timer is None:
            self._timer = self.loop.call_later(self._tick_seconds, self._tick)

    def _extend_deadline(self, now: float, moved_bytes: int) -> None:
        """Every byte that moves gives back a part of the time that was used up."""
        timeout = self._limits.body_timeout_seconds
        self._deadline = min(now + timeout, self._deadline + moved_bytes / MIN_BYTES_A_SECOND)

    def _is_stuck(self, now: float, answered: bool) -> bool:
        """Whether the client has sent what it announced, or taken what it asked for, too slowly for too long."""
        unsent = self.transport.get_write_buffer_size()
        self._extend_deadline(now, abs(unsent - self._unsent))
        self._unsent = unsent
        waits_for_body = not (answered or self._in_headers or self.flow.read_paused) and self.cycle.more_body
        waits_for_client = waits_for_body or self.flow.write_paused or self.transport.is_closing()
        if not waits_for_client:
            self._deadline = now + self._limits.body_timeout_seconds
        return now > self._deadline

    def refuse(self, error: S3Error) -> None:
        """Answer and close; nothing more is read. What was asked for earlier on the connection is answered first."""
        if self._refused:
            return
        self._refused = True
        idle_connections.discard(self.transport)
        outbox.flush()
        answered = self._end_requests()
        path = self.url.partition(b"?")[0].decode("latin-1")
        client = self.client[0] if self.client else ""
        refusal = cast("Refuser", self.app).refuse(error, path, client, answered=answered)
        if not answered:
            return
        fields = [*refusal.headers, ("content-length", str(len(refusal.body))), ("connection", "close")]
        lines = [b"%b: %b\r\n" % field for field in self.server_state.default_headers]
        lines += [f"{name}: {value}\r\n".encode() for name, value in fields]
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[refusal.status], b"".join(lines), refusal.body))
        self._linger()

    def _end_requests(self) -> bool:
        """Take no more of the request that comes; return whether its client can get an answer that says why."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        if self._in_headers:
            self.cycle.keep_alive = False  # the one before it is answered
            return False
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.cycle.response_started or self.pipeline:
            self.transport.close()
            return False
        return True

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


def _expects_100(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)


def _too_large(limits: Limits) -> S3Error:
    return RequestHeaderSectionTooLarge(MaxSizeAllowed=limits.header_bytes)
