"""A small HTTP client: one request after the other over one connection, no redirects, answers of bounded length.

https://www.rfc-editor.org/rfc/rfc9112
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools

from s3ish.outbound.guard import Place, connect

ANSWER_BYTES = 64 * 1024
"""The longest answer that is read; who sends more is not heard to the end, and the connection is closed."""
_READ_BYTES = 16 * 1024
_SENT_BYTES = 64 * 1024
"""So many bytes of a body that is in memory are sent before the time that they may take begins again."""


class NoAnswer(OSError):
    """A peer closed the connection before it answered, or answered what is not HTTP, or too much."""


class Unsendable(ValueError):
    """What a request says cannot stand in the head of one: it would end a line, and begin another header or request."""


class Url(NamedTuple):
    """The parts of an address that a request needs: where it goes, its path with query, and its Host header."""

    place: Place
    path: str
    host: str


def read_url(text: str, *, link_local: bool = False, ca_file: str = "") -> Url:
    """Return the parts of an address of the form ``http[s]://HOST[:PORT][/PATH]``. Raises ValueError.

    Args:
        text: the address.
        link_local, ca_file: as a ``Place`` has them.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address of HTTP")
    secure = parts.scheme == "https"
    place = Place(parts.hostname, parts.port or (443 if secure else 80), secure, link_local, ca_file)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(place, path, parts.netloc)


class Answer(NamedTuple):
    """What a peer answered: its status, its headers by lower-case name, and its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Answering:
    """What is known of an answer so far: whether its head and all of it have come, and what follows it."""

    def __init__(self, method: str) -> None:
        self.body = b""
        self.begun = self.done = self.keeps_alive = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parser = httptools.HttpResponseParser(self)
        self._has_body = method != "HEAD"

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self.headers[name.decode("latin-1").lower()] = value.decode("utf-8", "replace")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self.begun, self.status = True, int(self.parser.get_status_code())
        self.keeps_alive = bool(self.parser.should_keep_alive())
        self.done = self.status >= 200 and not self._has_body

    def on_body(self, piece: bytes) -> None:
        """Called by the parser."""
        self.body += piece  # of at most ANSWER_BYTES

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.done = self.status >= 200  # what comes before is no answer yet

    @property
    def answer(self) -> Answer:
        """The whole."""
        return Answer(self.status, self.headers, self.body)


Piece = bytes | bytearray | memoryview
Body = bytes | Callable[[], AsyncGenerator[Piece, None]]
"""What is sent: bytes, or what opens them each time that they are sent."""


class Connection:
    """One connection to one place, which is opened when it is first used.

    Args:
        url: where to.
        timeout_seconds: how long a request that is sent piece by piece may come no further; None: the caller limits it.
    """

    def __init__(self, url: Url, timeout_seconds: float | None = None) -> None:
        self._url, self._timeout = url, timeout_seconds
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, headers: Mapping[str, str], body: bytes) -> int:
        """Send a body and return the status of the answer. The caller limits the time, and closes after an error.

        A connection that was idle may have been closed by its peer meanwhile: then the request is sent once more.

        Raises:
            OSError: it cannot be sent, or is not answered.
        """
        given = {"host": self._url.host, "content-length": str(len(body)), **headers}
        return (await self.request("POST", self._url.path, given, body)).status

    async def get(self, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the status and the body of what is at the address. The caller limits the time, and closes.

        Raises:
            OSError: it cannot be asked for, or is not answered.
        """
        answer = await self.request("GET", self._url.path, {"host": self._url.host, **headers})
        return answer.status, answer.body

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: Body = b"") -> Answer:
        """Send a request and return the answer; see ``post``.

        Args:
            target: path and query, as they are sent.
            headers: with Host, and Content-Length where there is a body.

        Raises:
            OSError: as ``post``; and what the body raises.
            Unsendable: a header has a line break, or is no Unicode text.
        """
        head = _head([f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())])
        if self._streams:
            try:
                return await self._exchange(method, head, body)
            except TimeoutError:
                raise
            except OSError:
                self.close()
        async with asyncio.timeout(self._timeout):
            self._streams = await connect(self._url.place)
        return await self._exchange(method, head, body)

    async def _exchange(self, method: str, head: bytes, body: Body) -> Answer:
        """Send and receive at once: a peer may refuse a long body before its end."""
        assert self._streams
        reader, writer = self._streams
        sending = asyncio.ensure_future(self._send(writer, head, body))
        receiving = asyncio.ensure_future(self._receive(reader, method))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not isinstance(sending.exception(), OSError | None):
                sending.result()
            async with asyncio.timeout(self._timeout if sending.done() else None):
                answering = await receiving
            if not (sending.done() and answering.done and answering.keeps_alive):
                self.close()
            return answering.answer
        except BaseException:
            self.close()
            raise
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)

    async def _send(self, writer: asyncio.StreamWriter, head: bytes, body: Body) -> None:
        if not isinstance(body, bytes):
            writer.write(head)
        async with aclosing(_slices(head + body) if isinstance(body, bytes) else body()) as pieces:
            async for piece in pieces:
                writer.write(piece)
                async with asyncio.timeout(self._timeout):
                    await writer.drain()

    async def _receive(self, reader: asyncio.StreamReader, method: str) -> _Answering:
        answering, received = _Answering(method), 0
        while not answering.done:
            piece = await reader.read(_READ_BYTES)
            received += len(piece)
            if received > ANSWER_BYTES:
                raise NoAnswer("the answer is too long")
            if not piece and answering.begun and not answering.keeps_alive:
                break  # it ends with its connection
            if not piece:
                raise NoAnswer("the connection was closed before an answer")
            try:
                answering.parser.feed_data(piece)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                raise NoAnswer("what was answered is not HTTP") from error
        return answering

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


def _head(lines: Sequence[str]) -> bytes:
    """Return the head of a request. Raises Unsendable."""
    if any(sign in line for line in lines for sign in "\r\n\0"):
        raise Unsendable("a header holds a line break")
    try:
        return "\r\n".join([*lines, "", ""]).encode()
    except UnicodeEncodeError as error:
        raise Unsendable("a header is no Unicode text") from error


async def _slices(data: bytes) -> AsyncGenerator[Piece, None]:
    for start in range(0, len(data), _SENT_BYTES):
        yield memoryview(data)[start : start + _SENT_BYTES]
