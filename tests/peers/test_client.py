"""What answers of another server mean, and how its bucket is addressed."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from s3ish.clock import Clock
from s3ish.jobs.destination import Forbidden, Refused, Unreachable
from s3ish.peers.client import Address, Client, Content, check

KEYS = ("access", "secret")


def error(status, code, message="m"):
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(text), text)


class Server:
    """Answers each request with the same bytes, and notes what came."""

    def __init__(self, answer):
        self.answer, self.seen = answer, []

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                await reader.readexactly(int(headers.get("content-length", 0)))
                self.seen.append((*first.split(" ")[:2], headers))
                writer.write(self.answer)
                if not self.answer:
                    return
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def client(server, **more):
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    made = Client(Clock(), Address(f"http://127.0.0.1:{port}/", "bucket", "eu-1", KEYS, **more))
    try:
        yield made
    finally:
        made.close()
        listening.close()


async def outcome(answer):
    async with client(Server(answer)) as made:
        try:
            return check(await made.call("PUT", "k"))
        except (Refused, Unreachable) as error:
            return type(error), str(error)


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        (error(401, "X"), Forbidden),
        (error(403, "AccessDenied"), Forbidden),
        (error(403, "QuotaExceeded"), Forbidden),
        (error(404, "NoSuchBucket"), Forbidden),
        (error(400, "AuthorizationHeaderMalformed"), Forbidden),
        (error(400, "InvalidRequest"), Refused),
        (error(404, "NoSuchKey"), Refused),
        (error(409, "InvalidBucketState"), Refused),
        (error(409, "OperationAborted"), Unreachable),
        (error(400, "RequestTimeout"), Unreachable),
        (error(429, "SlowDown"), Unreachable),
        (error(503, "SlowDown"), Unreachable),
        (error(500, "InternalError"), Unreachable),
        (error(507, "InsufficientStorage"), Unreachable),
        (error(200, "InternalError"), Unreachable),
        (error(301, "PermanentRedirect"), Unreachable),
        (b"HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n", Unreachable),
        (b"nonsense\r\n\r\n", Unreachable),
        (b"", Unreachable),
    ],
)
async def test_what_an_answer_means(answer, means):
    assert (await outcome(answer))[0] is means


async def test_what_a_server_says_is_one_short_line_of_the_log():
    _, text = await outcome(error(400, "InvalidRequest", "a\r\nb\x1b[31m" + "c" * 1000))
    assert text.startswith("400 InvalidRequest: a  b [31mc")
    assert len(text) == 200
    assert text.isprintable()


async def test_no_server_is_a_reason_to_try_again():  # case 139
    made = Client(Clock(), Address("http://127.0.0.1:9", "bucket", "r", KEYS))
    with pytest.raises(Unreachable):
        await made.call("PUT", "k")
    made = Client(Clock(), Address("http://169.254.169.254", "bucket", "r", KEYS))
    with pytest.raises(Unreachable, match="metadata"):
        await made.call("PUT", "k")


@pytest.mark.parametrize("key", ["a", "a b+c/ü~'\"(*)&=%25?#", "x//y/./z/..", "🦊", "\x01"])
async def test_every_key_is_addressed_and_signed_as_s3_says(key):
    server = Server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    headers = {"x-amz-meta-colour": "blä🦊", "content-type": "a  b"}
    async with client(server) as made:
        await made.call("PUT", key, headers, query={"tagging": "", "versionId": "a b/+"}, content=Content.of(b"data"))
    method, target, sent = server.seen[0]
    path, _, query = target.partition("?")
    assert path.isascii()
    assert path.startswith("/bucket/")
    assert query == "tagging=&versionId=a%20b%2F%2B"
    assert {"x-amz-meta-colour", "content-type"} <= set(
        sent["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    )
    assert (method, sent["content-length"], sent["x-amz-meta-colour"]) == ("PUT", "4", "blä🦊")


async def test_in_virtual_style_the_bucket_is_in_the_host():
    server = Server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    made = Client(Clock(), Address("https://s3.example.com:444/base", "bucket", "r", KEYS, virtual=True))
    assert (made._url.host, made._url.place.host, made._path) == (
        "bucket.s3.example.com:444",
        "bucket.s3.example.com",
        "/base",
    )
    async with client(server) as plain:
        await plain.call("GET", "k")
    assert server.seen[0][1] == "/bucket/k"


async def test_a_header_that_would_begin_a_request_of_its_own_is_refused_for_good():
    server = Server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    async with client(server) as made:
        with pytest.raises(Refused, match="line break"):
            await made.call("PUT", "k", {"x-amz-a": "b\r\n\r\nDELETE /bucket/other HTTP/1.1"})
        assert (await made.call("PUT", "k")).status == 200
    assert [method for method, *_ in server.seen] == ["PUT"]
