"""What operators see of answers that end before their end, and of requests that never came to the application."""

import asyncio
import json
import re
import urllib.request
from types import SimpleNamespace
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from s3ish.blob.protocol import Corrupt
from s3ish.clock import Clock
from s3ish.http.exchange import AnswerTorn, ClientGone
from s3ish.observe.requests import RequestTallies
from s3ish.server.pipeline import S3Application
from s3ish.wire.shape import Written
from tests.server.support import PATIENCE_SECONDS, receive_all, send
from tests.server.test_pipeline import connect, talk
from tests.waiting import wait_until

SIZE = 16 << 20
LINE = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"


@pytest.fixture
def running(start_server, tmp_path):
    """A server with one large object, its folder, and a request for the object."""
    server = start_server(tmp_path)
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="key", Body=bytes(SIZE))
    url = urlsplit(client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"}))
    return server, tmp_path, LINE.format(f"{url.path}?{url.query}", url.netloc).encode()


def read_metrics(server):
    with urllib.request.urlopen(f"{server.endpoint}/-/metrics", timeout=PATIENCE_SECONDS) as answer:
        return dict(re.findall(r"^(s3ish_\w+(?:{.*})?) (\S+)$", answer.read().decode(), re.M))


def log_of(server):
    """End the server; return what it logged, and the lines of requests among it."""
    code, log = server.stop()
    assert code == 0
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    return lines, [line for line in lines if line["event"] == "request"]


def test_an_answer_that_damage_ends_is_torn_by_the_server(running):  # case 18
    server, folder, request = running
    for name in ("data.0", "data.1"):
        (shard,) = folder.glob(f"bucket/**/{name}")
        with shard.open("r+b") as file:
            file.seek(-1000, 2)
            file.write(b"damage")
    head, _, body = talk(server.endpoint, request).partition(b"\r\n\r\n")
    assert b" 200 " in head
    assert 0 < len(body) < SIZE
    assert read_metrics(server)['s3ish_torn_answers_total{by="server"}'] == "1.0"
    lines, requests = log_of(server)
    (torn,) = [line for line in requests if "torn" in line]
    assert (torn["operation"], torn["status"], torn["torn"]) == ("GetObject", 200, "server")
    assert (torn["key"], torn["error"]) == ("key", "InternalError")
    assert torn["sent"] == len(body)
    assert torn["request_id"].encode() in head
    (why,) = [line for line in lines if line["event"] == "answer torn"]
    assert (why["request_id"], why["error"]) == (torn["request_id"], "InternalError")


def test_an_answer_whose_client_leaves_is_torn_by_the_client(running):
    server, _, request = running
    with connect(server.endpoint) as connection:
        send(connection, request)
        assert connection.recv(1) == b"H"
    wait_until(lambda: read_metrics(server).get('s3ish_torn_answers_total{by="client"}') == "1.0")
    lines, requests = log_of(server)
    (torn,) = [line for line in requests if "torn" in line]
    assert (torn["operation"], torn["status"], torn["torn"]) == ("GetObject", 200, "client")
    assert 0 < torn["sent"] < SIZE
    assert not [line for line in lines if line["level"] == "error"]


def test_an_answer_that_is_read_to_its_end_is_whole(running):
    server, _, request = running
    assert len(talk(server.endpoint, request)) > SIZE
    with connect(server.endpoint) as connection:  # this one leaves when it has all
        send(connection, request.replace(b"Connection: close\r\n", b""))
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < SIZE:
            received += connection.recv(1 << 20)
    _, requests = log_of(server)
    gets = [line for line in requests if line["operation"] == "GetObject"]
    assert [(line["status"], line["sent"], line.get("torn")) for line in gets] == [(200, SIZE, None)] * 2


@pytest.mark.parametrize("earlier", [b"", b"GET /?x HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_what_the_http_layer_refuses_is_counted_and_logged(start_server, tmp_path, earlier):
    server = start_server(tmp_path)
    with connect(server.endpoint) as connection:
        send(connection, earlier + b"GET /bucket/k HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n")
        answer = receive_all(connection)
    assert read_metrics(server)['s3ish_requests_total{operation="Unknown",status="400"}'] == "1.0"
    _, requests = log_of(server)
    (refused,) = [line for line in requests if line["operation"] == "Unknown"]
    assert (refused["status"], refused["error"], refused["path"]) == (400, "InvalidRequest", "/bucket/k")
    assert refused["client"] == "127.0.0.1"
    if earlier:
        assert refused["sent"] == 0
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    assert refused["sent"] == len(body)
    assert f"x-amz-request-id: {refused['request_id']}".encode() in head
    assert f"<RequestId>{refused['request_id']}</RequestId>".encode() in body
    assert b"<Resource>/bucket/k</Resource>" in body
    assert b"\r\nx-amz-id-2: " in head


class Seen:
    """An observer of one request."""

    audit = traces = None

    def __init__(self):
        self.requests = RequestTallies()

    def request(self, line, _stages, _started):
        self.line = line


@pytest.fixture
def observer():
    return Seen()


@pytest.fixture
def answer(observer):
    """A function that answers a request with pieces, some of which are errors; it takes what sending does."""

    async def answer(pieces, send):
        async def flow():
            for piece in pieces:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece

        async def handle(_call, _receive):
            return Written(200, [("content-length", "6")], flow=flow())

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        application = S3Application(SimpleNamespace(clock=Clock()), None, None, observer, domains=())
        application._handle = handle
        scope = {"method": "GET", "raw_path": b"/b/k", "query_string": b"", "headers": []}
        await application(scope, receive, send)

    return answer


@pytest.mark.parametrize(
    "error", [Corrupt("rot"), OSError("bad disk"), ValueError("a bug"), asyncio.CancelledError()], ids=repr
)
async def test_whatever_ends_an_answer_is_torn_by_the_server(answer, observer, error):
    sent = []

    async def keep(message):
        sent.append(message)

    with pytest.raises(AnswerTorn):
        await answer([b"abc", error], keep)
    assert [message.get("body") for message in sent] == [None, b"abc"]
    assert (observer.line.status, observer.line.sent, observer.line.torn) == (200, 3, "server")
    assert observer.line.error


@pytest.mark.parametrize(
    ("gone_at", "status", "sent", "torn"),
    [(0, 499, 0, ""), (1, 200, 0, "client"), (2, 200, 3, "client"), (3, 200, 6, ""), (4, 200, 6, "")],
)
async def test_a_client_that_leaves(answer, observer, gone_at, status, sent, torn):
    messages = []

    async def leave(message):
        if len(messages) == gone_at:
            raise ClientGone
        messages.append(message)

    await answer([b"abc", b"def"], leave)
    assert (observer.line.status, observer.line.sent, observer.line.torn) == (status, sent, torn)
    assert observer.line.error == ("" if sent == 6 else "ClientDisconnected")


async def test_what_is_read_for_a_client_that_left_is_closed(answer):
    """At once, and not when memory is looked through: files are open."""
    closed = []

    class Pieces:
        def __init__(self):
            self.left = [b"abc", b"def"]

        def __iter__(self):
            try:
                yield from self.left
            finally:
                closed.append(self)

    async def leave(message):
        if message["type"] == "http.response.body":
            raise ClientGone

    await answer(Pieces(), leave)
    assert len(closed) == 1
