"""A tiny application behind the real protocol, and a client that speaks raw bytes."""

import asyncio
import contextlib
import functools
import hashlib
import re
import socket
import ssl
import threading
from unittest.mock import Mock

import uvicorn
from uvicorn.server import ServerState

from s3ish.clock import Clock as RealClock
from s3ish.errors import IncompleteBody
from s3ish.http.certificates import Certificates
from s3ish.http.exchange import CUT_SHORT
from s3ish.http.protocol import LimitedProtocol, Limits
from s3ish.process.serve import protocol_of
from s3ish.server import respond
from s3ish.server.body import Disconnected, RequestBody

PATIENCE_SECONDS = 10
"""How long a test waits for what must happen."""


class Application:
    """Answers ``/big`` without end, ``/refused`` without reading, everything else with the length of the body.

    ``/whole`` gets 16 MiB at once.
    ``/stored`` takes the body as uploads do, in pieces of 300,000 bytes, and answers with its MD5.
    """

    def __init__(self):
        self.requests, self.refusals, self.pieces, self.secured = [], [], [], []
        self.wanted = 0  # bytes of a body, as it says
        self.disconnected = threading.Event()
        self.begun = threading.Semaphore(0)  # of requests whose body is stored
        self.release = threading.Event()

    async def __call__(self, scope, receive, send):
        path = scope["raw_path"]
        headers = list(scope["headers"])
        if path == b"/big":
            await self._stream(send, receive)
            return
        if path == b"/stored":
            await self._store(scope, receive, send)
            return
        length = 0
        if self.wanted:
            scope["extensions"]["s3ish.appetite"].wanted = self.wanted
        while path != b"/refused":
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                if CUT_SHORT in message:
                    await self._answer(send, respond.refuse(IncompleteBody(), "/", "REQUEST", "host"))
                return
            length += len(message["body"])
            self.pieces.append(len(message["body"]))
            if not message["more_body"]:
                break
        self.requests.append((scope["method"], path.decode(), headers, length))
        self.secured.append((scope["scheme"], scope["extensions"].get("s3ish.tls", "")))
        text = bytes(1 << 24) if path == b"/whole" else b"%s %d" % (path, length)
        fields = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": text})

    def refuse(self, error, path, _client, *, answered):
        self.refusals.append((error.code, path, answered))
        return respond.refuse(error, path, "REQUEST", "host")

    async def _store(self, scope, receive, send):
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body, digest = RequestBody(receive, headers, scope["extensions"]["s3ish.appetite"]), hashlib.md5()
        self.begun.release()
        try:
            while piece := await body.read(300_000):
                digest.update(piece)
                self.pieces.append(len(piece))
        except Disconnected:
            self.disconnected.set()
            return
        except IncompleteBody as error:
            self.disconnected.set()
            await self._answer(send, respond.refuse(error, "/", "REQUEST", "host"))
            return
        text = digest.hexdigest().encode()
        fields = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": text})

    async def _answer(self, send, written):
        fields = [(name.encode(), value.encode()) for name, value in written.headers]
        fields.append((b"content-length", b"%d" % len(written.body)))
        await send({"type": "http.response.start", "status": written.status, "headers": fields})
        await send({"type": "http.response.body", "body": written.body})

    async def _stream(self, send, receive):
        pieces = 64 * 16
        fields = [(b"content-length", b"%d" % (pieces * 65536))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        try:
            for number in range(pieces):
                await send({"type": "http.response.body", "body": bytes(65536), "more_body": number < pieces - 1})
            await receive()
        finally:
            self.disconnected.set()


class Server:
    """uvicorn in a thread, on a free port of the loopback.

    Args:
        tls: the files of a certificate, or of several, if it is to be served with TLS.
    """

    def __init__(self, application, limits, *, idle_seconds=5, tls=None):
        files = tls if isinstance(tls, list) else [tls] if tls else []
        self._trust = ssl.create_default_context(cafile=files[0].authority) if files else None
        paths = tuple(str(each.certificate) for each in files), tuple(str(each.key) for each in files)
        certificates = Certificates(RealClock(), *paths) if files else None
        config = uvicorn.Config(
            application,
            http=functools.partial(protocol_of, limits, certificates),
            loop="uvloop",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=idle_seconds,
            timeout_graceful_shutdown=1,
        )
        self.application = application
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True)
        self._thread.start()

    def connect(self, *, receive_bytes=0):
        """Return a new connection."""
        opened = socket.socket()
        if receive_bytes:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        opened.settimeout(PATIENCE_SECONDS)
        opened.connect(("127.0.0.1", self.port))
        return self._trust.wrap_socket(opened, server_hostname="localhost") if self._trust else opened

    def talk(self, data):
        """Send bytes on a new connection and return all that comes back until the server ends it."""
        with self.connect() as connection:
            send(connection, data)
            return receive_all(connection)

    def works(self):
        """Whether a good request is answered."""
        return self.talk(b"GET /ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").endswith(b"/ok 0")

    @property
    def connections(self):
        """How many there are."""
        return len(self._server.server_state.connections)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        self._listening.close()
        assert not self._thread.is_alive()


def send(connection, data):
    """Send as much as the server takes."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(data)


def receive_all(connection):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def receive_answer(connection):
    """Return one whole answer, of which the length is announced."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else 0


def code_of(answer):
    found = re.search(rb"<Code>(\w+)</Code>", answer)
    return found[1].decode() if found else ""


LIMITS = Limits(header_bytes=4096, header_timeout_seconds=0.3, body_timeout_seconds=0.3, connections=1000)


class Clock:
    """The time and the timers of an event loop, which a test lets pass; tasks are those of the real loop."""

    def __init__(self):
        self.now, self._timers = 1000.0, []
        self.create_task = asyncio.get_running_loop().create_task

    def time(self):
        return self.now

    def call_later(self, seconds, callback):
        timer = Mock(when=self.now + seconds, callback=callback)
        timer.cancel.side_effect = lambda: self._timers.remove(timer) if timer in self._timers else None
        self._timers.append(timer)
        return timer

    def advance(self, seconds):
        """Let time pass; what is due on the way is called."""
        end = self.now + seconds
        while due := [timer for timer in self._timers if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self._timers.remove(timer)
            self.now = timer.when
            timer.callback()
        self.now = end


def connection_of(application, *, clock=None, connections=10, idle_seconds=5):
    """Return the protocol of a connection without a socket, and its transport, which remembers what is asked of it."""
    config = uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        timeout_keep_alive=idle_seconds,
    )
    config.load()
    limits = Limits(1 << 14, 60, 60, connections)
    state = ServerState()
    connection = LimitedProtocol(config=config, server_state=state, app_state={}, limits=limits, _loop=clock)
    transport = Mock(get_extra_info=Mock(return_value=None), is_closing=Mock(return_value=False))
    transport.get_write_buffer_size.return_value = 0
    connection.connection_made(transport)
    return connection, transport
