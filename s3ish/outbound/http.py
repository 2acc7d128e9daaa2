"""A small HTTP client: one request after the other over one connection, no redirects, answers of bounded length.

https://www.rfc-editor.org/rfc/rfc9112
"""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools

from s3ish.outbound.guard import Place, connect

ANSWER_BYTES = 64 * 1024
"""The longest answer that is read; who sends more is not heard to the end, and the connection is closed."""
_READ_BYTES = 16 * 1024


class NoAnswer(OSError):
    """A peer closed the connection before it answered, or answered what is not HTTP, or too much."""


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


class _Answer:
    """What is known of an answer so far: whether its head and all of it have come, its status, and what follows it."""

    def __init__(self) -> None:
        self.body = b""
        self.begun = self.done = self.keeps_alive = False
        self.status = 0
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self.begun, self.status = True, int(self.parser.get_status_code())
        self.keeps_alive = bool(self.parser.should_keep_alive())

    def on_body(self, piece: bytes) -> None:
        """Called by the parser."""
        self.body += piece  # of at most ANSWER_BYTES

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.done = self.status >= 200  # what comes before is no answer yet


class Connection:
    """One connection to one place, which is opened when it is first used.

    Args:
        url: where to.
    """

    def __init__(self, url: Url) -> None:
        self._url = url
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, headers: Mapping[str, str], body: bytes) -> int:
        """Send a body and return the status of the answer. The caller limits the time, and closes after an error.

        A connection that was idle may have been closed by its peer meanwhile: then the request is sent once more.

        Raises:
            OSError: it cannot be sent, or is not answered.
        """
        lines = [f"POST {self._url.path} HTTP/1.1", f"host: {self._url.host}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return (await self._send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)).status

    async def get(self, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the status and the body of what is at the address. The caller limits the time, and closes.

        Raises:
            OSError: it cannot be asked for, or is not answered.
        """
        lines = [f"GET {self._url.path} HTTP/1.1", f"host: {self._url.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        answer = await self._send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return answer.status, answer.body

    async def _send(self, request: bytes) -> _Answer:
        if self._streams:
            try:
                return await self._exchange(request)
            except OSError:
                self.close()
        self._streams = await connect(self._url.place)
        return await self._exchange(request)

    async def _exchange(self, request: bytes) -> _Answer:
        assert self._streams
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        answer, received = _Answer(), 0
        while not answer.done:
            piece = await reader.read(_READ_BYTES)
            received += len(piece)
            if received > ANSWER_BYTES:
                raise NoAnswer("the answer is too long")
            if not piece and answer.begun and not answer.keeps_alive:
                break  # it ends with its connection
            if not piece:
                raise NoAnswer("the connection was closed before an answer")
            try:
                answer.parser.feed_data(piece)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                raise NoAnswer("what was answered is not HTTP") from error
        if not answer.done or not answer.keeps_alive:
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._streams:
            self._streams[1].close()
            self._streams = None
