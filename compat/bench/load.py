"""Load: signed requests replayed by wrk, single streams by raw sockets: clients that cost less than the server."""

import http.client
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

UNSIGNED = "UNSIGNED-PAYLOAD"


class _BodyUnsigned(S3SigV4Auth):
    """Signs everything but the body, as SDKs do over TLS."""

    def payload(self, request):  # noqa: ARG002 - what it overrides
        return UNSIGNED


class Request:
    """A signed request for a server: method, target, headers, and a body, or the length of one of zeros."""

    def __init__(self, server, method, path, *, size=0, query="", presigned=False, sign_body=True, body=b""):
        url = server.endpoint + path + (f"?{query}" if query else "")
        request = AWSRequest(method, url, data=(body or bytes(size)) if sign_body else None)
        header_signer = S3SigV4Auth if sign_body else _BodyUnsigned
        scope = server.keys, "s3", server.region
        signer = S3SigV4QueryAuth(*scope, expires=3600) if presigned else header_signer(*scope)
        signer.add_auth(request)
        self.method, self.size, self._body = method, len(body) or size, body
        self.target = request.url[len(server.endpoint) :]
        self.headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        self.headers["Host"] = f"{server.host}:{server.port}"

    @property
    def body(self):
        return self._body or bytes(self.size)

    def head(self):
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.method in ("PUT", "POST"):
            lines.append(f"Content-Length: {self.size}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Load(NamedTuple):
    """What a server did under a load.

    ``rate`` is in requests a second, ``p50``, ``p95`` and ``p99`` are latencies in milliseconds; ``server_us`` and
    ``client_us`` are microseconds of processor time a request, of all processes of the server, and of the client
    without its reading of the requests.
    """

    rate: float
    p50: float
    p95: float
    p99: float
    server_us: float
    client_us: float


_SCRIPT = """
local i, threads = 0, {}
function setup(thread) threads[1] = thread end
function request()
  began, i = began or os.clock(), i % #heads + 1
  return sizes[i] == 0 and heads[i] or heads[i] .. bodies[sizes[i]]
end
function done(summary, latency)
  local e, spent = summary.errors, os.clock() - threads[1]:get("began")
  io.write(string.format("told %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(95), latency:percentile(99), spent * 1e6, e.status, e.connect + e.read + e.write))
end
"""


def wrk(server, requests, seconds, connections=32):
    """Replay requests in turn on many connections; return what came of it.

    Raises:
        RuntimeError: an answer was not a success (or a 404 where all requests are for what is not there).
    """
    program = shutil.which("wrk")
    if not program:
        raise RuntimeError("wrk is needed: apt-get install wrk")
    lines = ["local heads, sizes, bodies = {}, {}, {}"]
    lines += [f"bodies[{size}] = string.rep('\\0', {size})" for size in {request.size for request in requests}]
    for number, request in enumerate(requests, 1):  # bodies are joined when they are sent: all would be gigabytes
        lines.append(f"heads[{number}], sizes[{number}] = {request.head().decode()!r}, {request.size}")
    lines.append(_SCRIPT)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script.name]
        before = server.processor_seconds()
        told = subprocess.run([*command, server.endpoint], capture_output=True, text=True, check=True).stdout
        server_seconds = server.processor_seconds() - before
    found = re.search(r"^told" + r" (\d+)" * 8 + "$", told, re.MULTILINE)
    count, lasted, p50, p95, p99, spent, refused, broken = map(int, found.groups())
    if broken or (refused and not requests[0].target.startswith("/bench/none")):
        raise RuntimeError(f"{server.name}: {refused} answers were errors, {broken} connections broke")
    percentiles = p50 / 1000, p95 / 1000, p99 / 1000
    return Load(count / lasted * 1e6, *percentiles, server_seconds / count * 1e6, spent / count)


def crowd(server, request, seconds, connections=32):
    """Send one request again and again on many connections, also HEAD, which wrk cannot do; return requests a second.

    A process of Python that does nothing but wait, read and write; it takes a tenth of what our server takes.
    """
    head, count, expected = request.head(), 0, None
    poll, opened, got = select.epoll(), {}, {}
    for _ in range(connections):
        connection = socket.create_connection((server.host, server.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
        connection.sendall(head)
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        for descriptor, _ in poll.poll(1):
            data = got.pop(descriptor, b"") + os.read(descriptor, 65536)
            assert data, f"{server.name} closed a connection"
            body = data.find(b"\r\n\r\n") + 4
            if expected is None and body >= 4:
                assert data.startswith(b"HTTP/1.1 200"), f"{server.name} answered {data[:80]}"
                expected = 0 if request.method == "HEAD" else _length(data)
            if body < 4 or len(data) - body < expected:
                got[descriptor] = data
                continue
            count += 1
            os.write(descriptor, head)
    for connection in opened.values():
        connection.close()
    poll.close()
    return count / (now - started)


class Client:
    """One connection that requests are sent on, one after another."""

    def __init__(self, server):
        self.server = server
        self._connection = http.client.HTTPConnection(server.host, server.port)

    def timed(self, request):
        """Send a request and return the milliseconds until its answer was read."""
        began = time.perf_counter()
        self._connection.request(request.method, request.target, request.body, request.headers)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status in (200, 204), f"{self.server.name} answered {answer.status}"
        return (time.perf_counter() - began) * 1000

    def rate(self, request, seconds):
        """Send a request again and again, at least once; return requests a second."""
        took = []
        while sum(took) < seconds * 1000:
            took.append(self.timed(request))
        return 1000 * len(took) / sum(took)


class Stream:
    """One connection for bodies of any size, sent with ``sendfile``. Seconds end with the answer's last byte."""

    def __init__(self, server):
        self.server = server
        self._connection = socket.create_connection((server.host, server.port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)
        self._gets = {}

    def put(self, path, file, size, query=""):
        """PUT the first ``size`` bytes of a file; return the seconds."""
        request = Request(self.server, "PUT", path, size=size, query=query, sign_body=False)
        with file.open("rb") as source:
            started = time.perf_counter()
            self._connection.sendall(request.head(), socket.MSG_MORE)
            self._connection.sendfile(source, 0, size)
            self._answer()
            return time.perf_counter() - started

    def get(self, path):
        """GET an object; return the seconds. It is signed once."""
        if path not in self._gets:
            self._gets[path] = Request(self.server, "GET", path).head()
        head = self._gets[path]
        started = time.perf_counter()
        self._connection.sendall(head)
        self._answer()
        return time.perf_counter() - started

    def _answer(self):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._connection.recv(65536)
            assert piece, "the connection ended"
            data += piece
        assert data.startswith(b"HTTP/1.1 200"), f"{self.server.name} answered {data[:80]}"
        left = _length(data) - len(data.partition(b"\r\n\r\n")[2])
        while left > 0:
            left -= self._connection.recv_into(self._buffer)


def _length(head):
    """Return the length of the body that an answer's head tells of."""
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return int(length[1]) if length else 0


def zeros(folder, size):
    """Return a file of that many zeros in a folder; it takes no space."""
    path = Path(folder) / f"zeros-{size}"
    path.touch()
    os.truncate(path, size)
    return path
