"""What a webhook is sent, and what counts as taken."""

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager

import pytest

from s3ish.clock import Clock
from s3ish.outbound import http
from s3ish.targets.protocol import Message, Undelivered
from s3ish.targets.webhook import Webhook

MESSAGE = Message("0123", "b/k", b'{"Records":[]}')
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Receiver:
    """A server that notes requests, and answers each with the next of some bytes; the last ones for all that follow."""

    def __init__(self, *answers, close=False, silent=False):
        self.answers, self.close, self.silent = list(answers) or [OK], close, silent
        self.requests, self.connections = [], 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines)
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((first, headers, body))
                if self.silent:
                    await asyncio.Event().wait()
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(answer)
                await writer.drain()
                if self.close or not answer:
                    return
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def webhook(receiver, path="/hook?a=b", host="127.0.0.1", **options):
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = {"secret": "", "token": "", "timeout_seconds": 10.0, "link_local": False} | options
    target = Webhook(Clock(), f"http://{host}:{port}{path}", **given)
    try:
        yield target
    finally:
        await target.close()
        server.close()


async def test_a_message_is_posted_with_a_signature_of_time_and_body():
    receiver = Receiver()
    async with webhook(receiver, secret="key", token="t0ken") as target:
        await target.send([MESSAGE])
    ((first, headers, body),) = receiver.requests
    assert first == "POST /hook?a=b HTTP/1.1"
    assert body == MESSAGE.body
    signed = hmac.new(b"key", headers["x-s3ish-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["x-s3ish-signature"] == f"sha256={signed}"
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer t0ken"
    assert headers["x-s3ish-delivery"] == "0123"
    assert headers["host"].startswith("127.0.0.1:")
    assert json.loads(body) == {"Records": []}


async def test_without_secret_and_token_there_is_neither_signature_nor_authorization():
    receiver = Receiver()
    async with webhook(receiver) as target:
        await target.send([MESSAGE])
    assert not {"x-s3ish-signature", "authorization"} & receiver.requests[0][1].keys()


async def test_a_connection_is_used_again_and_one_that_was_closed_is_opened_again():
    receiver = Receiver()
    async with webhook(receiver) as target:
        for _ in range(3):
            await target.send([MESSAGE])
        assert (receiver.connections, len(receiver.requests)) == (1, 3)
        receiver.close = True
        for _ in range(3):
            await target.send([MESSAGE])
    assert len(receiver.requests) == 6
    assert receiver.connections == 3


@pytest.mark.parametrize("status", ["201 Created", "202 Accepted", "204 No Content", "299 Odd"])
async def test_any_success_takes_the_message(status):
    body = b"" if status.startswith("204") else b"content-length: 0\r\n"
    receiver = Receiver(f"HTTP/1.1 {status}\r\n".encode() + body + b"\r\n")
    async with webhook(receiver) as target:
        await target.send([MESSAGE])
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "it answered 500"),
        (b"HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "it answered 404"),
        (b"HTTP/1.1 307 Go\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", "it answered 307"),
        (b"HTTP/1.0 503 No\r\n\r\nbusy", "it answered 503"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "not HTTP"),
        (b"", "closed before an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000, "too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-a: " + b"y" * 100_000, "too long"),
        (b"HTTP/1.1 101 Switch\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", "not HTTP"),
    ],
    ids=["error", "chunked", "redirect", "closing", "garbage", "closed", "long", "long-head", "upgrade"],
)
async def test_what_is_no_success_is_a_failure_and_no_redirect_is_followed(answer, says):  # case 139
    receiver = Receiver(answer, close=True)
    async with webhook(receiver) as target:
        with pytest.raises(Undelivered, match=says):
            await target.send([MESSAGE])
    assert len(receiver.requests) == 1


async def test_an_answer_that_ends_with_its_connection_is_one():
    receiver = Receiver(b"HTTP/1.0 200 OK\r\n\r\nthanks", close=True)
    async with webhook(receiver) as target:
        await target.send([MESSAGE])
    assert len(receiver.requests) == 1


async def test_what_comes_before_an_answer_is_none():
    receiver = Receiver(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK)
    async with webhook(receiver) as target:
        for _ in range(2):
            await target.send([MESSAGE])
    assert (receiver.connections, len(receiver.requests)) == (1, 2), "nothing of an answer is left for the next one"


async def test_a_target_that_does_not_answer_is_given_up():
    receiver = Receiver(silent=True)
    async with webhook(receiver, timeout_seconds=0.05) as target:
        with pytest.raises(Undelivered, match=r"no answer within 0\.05 seconds"):
            await target.send([MESSAGE])


async def test_a_target_that_is_not_there_is_a_failure():
    server = await asyncio.start_server(Receiver().serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    given = {"secret": "", "token": "", "timeout_seconds": 5.0, "link_local": False}
    with pytest.raises(Undelivered, match=r"."):
        await Webhook(Clock(), f"http://127.0.0.1:{port}/", **given).send([MESSAGE])


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "[::ffff:169.254.169.254]", "0", "[::]"])
async def test_metadata_services_and_no_addresses_are_never_connected_to(host):  # case 139
    target = Webhook(Clock(), f"http://{host}/", secret="", token="", timeout_seconds=5.0, link_local=False)
    with pytest.raises(Undelivered, match=r"link-local|no address of a receiver"):
        await target.send([MESSAGE])


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(monkeypatch):  # case 139
    """A name that means another address at each look-up is looked up once."""
    receiver, asked = Receiver(), []
    loop = asyncio.get_running_loop()

    async def look_up(host, port, **_):
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(2, 1, 6, "", (address, port))]

    async with webhook(receiver, host="rebinding.test") as target:
        monkeypatch.setattr(loop, "getaddrinfo", look_up, raising=False)
        await target.send([MESSAGE])
        assert asked[:1] == ["rebinding.test"]
        assert len(receiver.requests) == 1
        receiver.close = True
        await target.send([MESSAGE])
        with pytest.raises(Undelivered, match="link-local"):
            await target.send([MESSAGE])
    assert len(receiver.requests) == 2


def test_an_address_of_http_is_taken_apart():
    url = http.read_url("https://user.example:8443/a?b=c")
    assert (url.place.host, url.place.port, url.place.secure) == ("user.example", 8443, True)
    assert (url.path, url.host) == ("/a?b=c", "user.example:8443")
    assert http.read_url("http://h").place.port == 80
    with pytest.raises(ValueError, match="not an address"):
        http.read_url("ftp://h/")
