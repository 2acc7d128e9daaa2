"""Signed requests as bytes on the wire, a whole server to send them to, and what a change of one byte means.

The server is the real application on a store in a temporary folder, behind the HTTP parser that it runs with. The
requests are signed by botocore.
"""

import base64
import hashlib
import random
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote_plus, unquote_to_bytes

import httptools
import structlog

from s3ish.api.catalogue import catalogue
from s3ish.auth.authenticator import Authenticator
from s3ish.auth.credentials import Credentials, User
from s3ish.model import Owner
from s3ish.observe.observer import Observer
from s3ish.server.pipeline import S3Application
from s3ish.server.router import Router
from tests.auth.support import (
    ALICE,
    BOB,
    NOW,
    REGION,
    STREAMING,
    STREAMING_TRAILER,
    ChunkChain,
    sign_header,
    sign_query,
    signature_of,
    signed_body,
)
from tests.fuzz.mutation import Mutator
from tests.objects.support import SteadyClock, World

OWNER = User("OWNER", "owner's secret", Owner("owner"))
"""A third user of the server."""


class StoppedClock(SteadyClock):
    """It is always the moment at which the requests were signed."""

    def now_ns(self):
        return int(NOW.timestamp()) * 10**9


def on_the_wire(request, body=None):
    """Return a request as bytes; an empty body is announced, none is not."""
    target = request.raw_path + (f"?{request.raw_query}" if request.raw_query else "")
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


def signed(method, path, query="", headers=(), body=None, user=ALICE):
    """A request that is signed in its Authorization header."""
    return on_the_wire(sign_header(method, path, query, headers, body or b"", user=user), body)


def streamed(path, chunks, trailers=None):
    """A PUT whose chunks, and trailers if there are any, are signed one by one."""
    data = b"".join(chunks)
    headers = [("x-amz-decoded-content-length", str(len(data))), ("content-encoding", "aws-chunked")]
    if trailers:
        headers.append(("x-amz-trailer", ",".join(name for name, _ in trailers)))
    request = sign_header("PUT", path, headers=headers, covers=STREAMING_TRAILER if trailers else STREAMING)
    return on_the_wire(request, signed_body(chunks, ChunkChain(signature_of(request)), trailers))


def requests():
    """Return requests that the server accepts, by name, in an order in which all of them succeed."""
    delete = b"<Delete><Object><Key>gone</Key></Object><Quiet>true</Quiet></Delete>"
    sha256 = [("x-amz-checksum-sha256", _base64_sha256(delete))]
    meta = [("x-amz-meta-colour", "blue  green"), ("content-type", "text/plain"), ("x-amz-tagging", "a=1&b=2")]
    return {
        "bucket": signed("PUT", "/bucket"),
        "put": signed("PUT", "/bucket/a/key%20with%2Bsigns", headers=meta, body=b"some bytes of an object"),
        "streamed": streamed("/bucket/streamed", [b"x" * 8192, b"the end"]),
        "trailer": streamed("/bucket/trailer", [b"abc"], [("x-amz-checksum-crc32", "NSRBwg==")]),
        "get": signed("GET", "/bucket/a/key%20with%2Bsigns", headers=[("range", "bytes=2-5"), ("if-match", "*")]),
        "head": signed("HEAD", "/bucket/streamed"),
        "list": signed("GET", "/bucket", "delimiter=%2F&list-type=2&max-keys=10&prefix=a%2F"),
        "presigned": on_the_wire(sign_query("GET", "/bucket/streamed", "response-content-type=text%2Fplain")),
        "presigned-put": on_the_wire(sign_query("PUT", "/bucket/empty", headers=[("x-amz-meta-a", "b")]), b""),
        "delete-many": signed("POST", "/bucket", "delete=", sha256, delete),
        "copy": signed("PUT", "/bucket/copy", headers=[("x-amz-copy-source", "bucket/a/key%20with%2Bsigns")]),
        "versioning": signed("GET", "/bucket", "versioning="),
        "delete": signed("DELETE", "/bucket/copy"),
    }


def _base64_sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class _Parsed:
    """What the HTTP parser makes of bytes; the callbacks have its names."""

    def __init__(self, data):
        self.target, self.headers, self.body, self.complete = b"", [], b"", False
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method().decode()
        url = httptools.parse_url(self.target)
        self.path, self.query = url.path or b"", url.query or b""

    def on_url(self, url):
        self.target += url

    def on_header(self, name, value):
        self.headers.append((name.lower(), value))

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.complete = True


def parse(data):
    """Return a request as the HTTP parser understands it, None if it is none or has not ended."""
    try:
        parsed = _Parsed(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade, ValueError):
        return None
    return parsed if parsed.complete else None


def meaning(parsed):
    """Return what a request says, without the freedom that HTTP and S3 leave in how to say it.

    Names of headers are in any case, blanks around and runs of blanks within values mean nothing, escapes, the
    sizes of chunks and the names of trailers may be written in several ways; lines of trailers end in either way, also
    without an empty one.
    """
    pairs = [pair.partition("=") for pair in parsed.query.decode("latin-1").split("&") if pair]
    headers = {}
    for name, value in parsed.headers:
        blank = b"" if name == b"authorization" else b" "
        headers.setdefault(name, []).append(re.sub(rb"[ \t]+", blank, value.strip(b" \t")))
    headers.pop(b"content-length", None)  # the body itself is compared
    body = parsed.body
    if headers.get(b"x-amz-content-sha256", [b""])[0].startswith(b"STREAMING"):
        body = re.sub(rb"(?m)^([0-9a-fA-F]+);[ \t]*", lambda found: b"%d;" % int(found[1], 16), body)
        body = re.sub(rb"(?mi)^x-amz-[a-z0-9-]+:", lambda found: found[0].lower(), body)
        chunks, _, last = body.rpartition(b"\r\n0;")
        end, _, trailers = last.partition(b"\r\n")
        body = b"".join((chunks, end, *(_trailer(line) for line in trailers.split(b"\n") if line.strip(b"\r"))))
    return (
        parsed.method,
        unquote_to_bytes(parsed.path),
        sorted((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs),
        headers,
        body,
    )


def _trailer(line):
    return b":".join(part.strip(b" \t\r") for part in line.split(b":", 1)) + b"\n"


class Door:
    """The whole server in this process, without sockets."""

    def __init__(self, folder):
        self._world = World(Path(folder), clock=StoppedClock())
        self.store = self._world.open()
        self._application = S3Application(
            self.store,
            Router(catalogue()),
            Authenticator(Credentials([ALICE, BOB, OWNER]), REGION),
            Observer(),
            domains=("s3.test",),
        )

    async def close(self):
        await self._world.close()

    async def send(self, parsed):
        """Return the status of the answer; 403 for a batch of deletions each of which was denied."""
        messages = iter([{"type": "http.request", "body": parsed.body, "more_body": False}])
        found, bodies = [], []

        async def receive():
            return next(messages, {"type": "http.disconnect"})

        async def send(message):
            if message["type"] == "http.response.start":
                found.append(message["status"])
            else:
                bodies.append(message.get("body", b""))

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": parsed.method,
            "raw_path": parsed.path,
            "path": parsed.path.decode("latin-1"),
            "query_string": parsed.query,
            "headers": parsed.headers,
        }
        await self._application(scope, receive, send)
        told = re.findall(rb"<Code>(\w+)</Code>|<Deleted>", b"".join(bodies))
        return 403 if found == [200] and set(told) == {b"AccessDenied"} else found[0]


async def change_requests(count, seed):
    """Send so many requests that one changed byte gives another meaning: none may be accepted, none may break anything.

    Returns how many were sent, and how many changes meant nothing. Raises AssertionError.
    """
    generator = random.Random(seed)
    mutator = Mutator(generator)
    sent = neutral = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, structlog.testing.capture_logs() as logged:
        door = Door(folder)
        good = requests()
        told = {name: meaning(parse(data)) for name, data in good.items()}
        await _send_good(door, good)
        while sent < count:
            name = generator.choice(list(good))
            data = mutator.one_byte(good[name])
            parsed = parse(data)
            if parsed and meaning(parsed) == told[name]:
                neutral += 1
                continue
            sent += 1
            status = await door.send(parsed) if parsed else 400
            assert 400 <= status < 500 or status == 501, f"status {status} for {data!r}, changed from {name}"
            logged.clear()
        await _send_good(door, good)
        await door.close()
    return sent, neutral


async def _send_good(door, good):
    for name, data in good.items():
        status = await door.send(parse(data))
        assert 200 <= status < 300, f"{name}: status {status} without any change"
