"""Load: signed requests replayed by wrk, single streams by raw sockets: clients that cost less than the server."""

import http.client
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from compat.bench.servers import ACCESS_KEY, REGION, SECRET_KEY

KEYS = Credentials(ACCESS_KEY, SECRET_KEY)
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
        signer = S3SigV4QueryAuth(KEYS, "s3", REGION, expires=3600) if presigned else header_signer(KEYS, "s3", REGION)
        signer.add_auth(request)
        self.method, self.size, self._body = method, len(body) or size, body
        self.target = request.url[len(server.endpoint) :]
        self.headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        self.headers["Host"] = f"127.0.0.1:{server.port}"

    @property
    def body(self):
        return self._body or bytes(self.size)

    def head(self):
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.method in ("PUT", "POST"):
            lines.append(f"Content-Length: {self.size}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def wrk(server, requests, seconds, connections=32):
    """Replay requests in turn; return requests a second, and the median latency in milliseconds.

    Raises:
        RuntimeError: an answer was not a success (or a 404 where all requests are for what is not there).
    """
    program = shutil.which("wrk")
    if not program:
        raise RuntimeError("wrk is needed: apt-get install wrk")
    lines = ["local r = {}", "local b = {}"]
    lines += [f"b[{size}] = string.rep('\\0', {size})" for size in {request.size for request in requests}]
    for number, request in enumerate(requests, 1):
        headers = ", ".join(f"[{name!r}]={value!r}" for name, value in request.headers.items())
        body = f"b[{request.size}]" if request.size else "nil"
        lines.append(f"r[{number}] = wrk.format({request.method!r}, {request.target!r}, {{{headers}}}, {body})")
    lines += ["local i = 0", "function request() i = i % #r + 1 return r[i] end"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        told = subprocess.run(
            [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, server.endpoint],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])
    value, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", told).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    if bad and not requests[0].target.startswith("/bench/none"):
        raise RuntimeError(f"{server.name}: {bad[1]} answers were errors")
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def serial(server, request, seconds):
    """Send one request after another on one connection, also HEAD, which wrk cannot do; return requests a second."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head, count, started = request.head(), 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            connection.sendall(head)
            _, rest = _read_head(connection)
            left = 0 if request.method == "HEAD" else rest.length - len(rest.body)
            while left > 0:
                left -= len(connection.recv(left))
            count += 1
        return count / (time.perf_counter() - started)


class Client:
    """One connection that requests are sent on, one after another."""

    def __init__(self, server):
        self.server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)

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


def upload(server, path, file):
    """PUT a file in one stream; return bytes a second. The clock stops at the answer."""
    size = file.stat().st_size
    request = Request(server, "PUT", path, size=size, sign_body=False)
    with socket.create_connection(("127.0.0.1", server.port)) as connection, file.open("rb") as source:
        started = time.perf_counter()
        connection.sendall(request.head())
        connection.sendfile(source)
        status, _ = _read_head(connection)
        seconds = time.perf_counter() - started
    assert status == 200, f"{server.name} answered {status}"
    return size / seconds


def download(server, path):
    """GET an object in one stream; return bytes a second."""
    request = Request(server, "GET", path)
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        started = time.perf_counter()
        connection.sendall(request.head())
        status, rest = _read_head(connection)
        assert status == 200, f"{server.name} answered {status}"
        got, length = len(rest.body), rest.length
        while got < length:
            got += connection.recv_into(buffer)
        return length / (time.perf_counter() - started)


class _Rest:
    def __init__(self, length, body):
        self.length, self.body = length, body


def _read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, "the connection ended"
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return int(head.split(b" ", 2)[1]), _Rest(int(length[1]) if length else 0, body)


def zeros(folder, size):
    """Return a file of that many bytes in a folder."""
    path = Path(folder) / f"zeros-{size}"
    with path.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
    return path
