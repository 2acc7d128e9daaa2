"""One request and its answer on a connection: uvicorn's cycle, with fewer steps and system calls.

The head of an answer waits for its first bytes, so that a small answer is one write. What has no length of its own
takes uvicorn's way.
"""

import functools
import socket
import struct
from collections import deque
from collections.abc import Set as AbstractSet
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from s3ish.http.batched_writes import outbox
from s3ish.wire.headers import encode_section

WINDOW_BYTES = 256 * 1024
"""How much of a body may wait to be taken before the client is held back."""
CROWD = 64
"""Beyond so many connections nothing of a body is read before it is asked for."""
_JOINED_BYTES = 64 * 1024
"""Up to this size bytes are copied to where they are wanted; beyond it another write or message costs less."""
_FORBIDDEN = bytes({*range(32), 127} - {9})
"""What no header may hold; the line ends that are due are two of them each."""


WHOLE = "s3ish.answer"
"""The type of a message that is a whole answer, and the extension of a scope whose server takes it.

It has a status, headers as texts, the length that they give, and a body of so many bytes, or none for HEAD. ASGI's two
messages take a coroutine more, and a text of its own for each name and value.
"""


CUT_SHORT = "s3ish.cut_short"
"""What ``http.disconnect`` says of a client that has ended its side in the middle of a body: it can be answered."""


class AnswerTorn(Exception):
    """An answer that was begun cannot be completed, which has been logged: the connection is to end.

    Args:
        resets: whether the client is to see a reset, and not an end.
    """

    def __init__(self, *, resets: bool = False) -> None:
        super().__init__()
        self.resets = resets


class ClientGone(ConnectionError):
    """There is no client to send to."""


class Exchange(RequestResponseCycle):
    """One request and its answer.

    Args:
        running: the requests that are being answered, on all connections.
        arguments: what uvicorn's cycle takes.

    ``followed`` says that another request has come behind it. Then it has all of its body, and nothing more is read.
    """

    def __init__(self, *, running: AbstractSet[object], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._running = running
        self.followed = self._cut_short = False
        self.held_bytes = 0
        self.window_bytes = WINDOW_BYTES
        self._pieces: deque[bytes] = deque()
        self._head: bytes | None = None

    async def run_asgi(self, app: Any) -> None:
        """Have the request answered."""
        await super().run_asgi(functools.partial(self._run, app))

    async def _run(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """Run the application, which need not mind that the client has gone."""
        try:
            await app(scope, receive, send)
        except ClientGone:
            pass
        except AnswerTorn as torn:
            self.disconnected = True
            if torn.resets:
                self._reset()
            else:
                self.transport.close()

    def _reset(self) -> None:
        """Reset the connection; what was written and is not yet sent may be lost."""
        if connection := self.transport.get_extra_info("socket"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def keep(self, piece: bytes) -> None:
        """Add bytes of the body that have arrived."""
        self._pieces.append(piece)
        self.held_bytes += len(piece)
        self.message_event.set()

    def end_early(self) -> None:
        """The client has ended its side before the end of the body; it may still read."""
        self._cut_short, self.keep_alive = True, False
        self.message_event.set()

    async def receive(self) -> Any:
        """See the ASGI specification."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if not self._pieces and not self.followed:
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self._cut_short:
            self.message_event.set()
            if not self._pieces:
                return {"type": "http.disconnect", CUT_SHORT: True}
        body = self._take()
        if self._pieces:
            self.message_event.set()
        if self.window_bytes and self.held_bytes <= self.window_bytes and not self.followed:
            self.flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": self.more_body or bool(self._pieces)}

    def _take(self) -> bytes:
        """Return the first bytes that are held: a long piece as it is, short ones joined, however many they are."""
        if not self._pieces:
            return b""
        if len(self._pieces) == 1 or len(self._pieces[0]) >= _JOINED_BYTES:
            body = self._pieces.popleft()
        else:
            body = b"".join(self._pieces)
            self._pieces.clear()
        self.held_bytes -= len(body)
        return body

    async def send(self, message: Any) -> None:
        """See the ASGI specification. Raises ClientGone."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            raise ClientGone
        if message["type"] == WHOLE:
            self.waiting_for_100_continue = False
            head = self._write_head(message["status"], encode_section(message["headers"]), len(message["headers"]))
            self.expected_content_length = 0 if self.scope["method"] == "HEAD" else message["length"]
            self._begin(head, message["body"], more=False)
        elif message["type"] == "http.response.start" and not self.response_started:
            self._head = self._compose(message["status"], message.get("headers", []))
            if self._head is None:
                await super().send(message)
            self.waiting_for_100_continue = False
        elif self._head is not None and message["type"] == "http.response.body":
            self._begin(self._head, message.get("body", b""), more=message.get("more_body", False))
        else:
            await super().send(message)
        if self.flow.write_paused and not self.response_complete:
            await self.flow.drain()  # a sender may count on what it sent before being on its way

    def _compose(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes | None:
        """Return the status line and the header section; None for an answer whose length is not known."""
        named = dict(headers)
        length, closes = int(named.get(b"content-length", -1)), named.get(b"connection") == b"close"
        is_head = self.scope["method"] == "HEAD"
        if length < 0 and status not in (204, 304) and not is_head:
            return None
        if closes:
            self.keep_alive = False
        self.expected_content_length = 0 if is_head else max(length, 0)
        section = b"\r\n".join([*map(b": ".join, headers), b""])
        return self._write_head(status, section, len(headers), closes=closes)

    def _write_head(self, status: int, section: bytes, count: int, *, closes: bool = False) -> bytes:
        """Return the status line and the header section, of which there are the lines of ``count`` headers."""
        if len(section.translate(None, _FORBIDDEN)) + 2 * count != len(section):
            raise RuntimeError("a header of an answer holds characters that would end it")
        self.chunked_encoding = False
        default = b"\r\n".join([*map(b": ".join, self.default_headers), b""])
        end = b"\r\n" if self.keep_alive or closes else b"connection: close\r\n\r\n"
        return b"".join((STATUS_LINE[status], default, section, end))

    def _begin(self, head: bytes, body: Any, *, more: bool) -> None:
        """Write the head with the first bytes of the body."""
        self._head = None
        if self.scope["method"] == "HEAD":
            body = b""
        self.expected_content_length -= len(body)
        if self.expected_content_length < 0 or (self.expected_content_length and not more):
            raise RuntimeError("the body of an answer is not as long as its head says")
        self.response_started = True
        if len(body) <= _JOINED_BYTES:
            whole = b"%b%b" % (head, body)
            if more or not self.keep_alive or len(self._running) == 1:
                self.transport.write(whole)
            else:  # others are on their way as well
                outbox.add(self.transport, whole)
        else:
            self.transport.write(head)
            self.transport.write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
