"""A request from its first byte to its answer: what is refused early is told so, whatever the client still sends."""

import io
import re
import socket
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish.api.catalogue import catalogue
from s3ish.auth.payload import Payload, PayloadMode
from s3ish.clock import Clock
from s3ish.observe.observer import Observer
from s3ish.server.body import RequestBody
from s3ish.server.document_room import ROOM_BYTES, DocumentRoom
from s3ish.server.pipeline import DRAIN_BYTES, S3Application
from s3ish.server.request_record import read_headers
from tests.auth.support import STREAMING, UNSIGNED_TRAILER
from tests.server.support import PATIENCE_SECONDS, code_of, receive_all, receive_answer, send, status_of
from tests.waiting import wait_until

LARGE = 50 * 1024 * 1024
HOST = [(b"host", b"h")]
KEY = "s3ishadmin"


@pytest.fixture(scope="module")
def endpoint(start_shared_server, tmp_path_factory):
    server = start_shared_server(tmp_path_factory.mktemp("data"))
    client_of(server.endpoint).create_bucket(Bucket="bucket")
    yield server.endpoint
    code, errors = server.stop()
    assert code == 0
    assert not re.search(r"Traceback|unhandled", errors)


def client_of(endpoint, secret=KEY):
    config = Config(
        retries={"total_max_attempts": 1},
        read_timeout=PATIENCE_SECONDS,
        connect_timeout=PATIENCE_SECONDS,
        s3={"addressing_style": "path"},
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=config,
    )


def connect(endpoint):
    parts = urlsplit(endpoint)
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_SECONDS)


def is_under_way(connection):
    """Whether something of what was sent has not been read yet, on this machine."""
    ports = {f"{name[1]:04X}" for name in (connection.getsockname(), connection.getpeername())}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(set(it[4]) != {"0", ":"} for it in lines if {it[1][-4:], it[2][-4:]} == ports)


def talk(endpoint, data):
    with connect(endpoint) as connection:
        send(connection, data)
        return receive_all(connection)


def put(*headers, target=b"/bucket/key", body=b""):
    return b"\r\n".join([b"PUT " + target + b" HTTP/1.1", b"Host: h", *headers]) + b"\r\n\r\n" + body


# case 52, case 111
@pytest.mark.parametrize("kind", ["bytes", "file"])
@pytest.mark.parametrize("size", [0, 1000, DRAIN_BYTES, DRAIN_BYTES + 1, LARGE])
def test_a_wrong_secret_is_told_so_by_boto3(endpoint, kind, size):
    """With a file boto3 waits for 100 Continue; with bytes it sends all of them before it looks for an answer."""
    client = client_of(endpoint, "wrong secret")
    for _ in range(2):  # the second time on the connection of the first, if that is kept
        data = bytes(size)
        with pytest.raises(ClientError) as caught:
            client.put_object(Bucket="bucket", Key="key", Body=data if kind == "bytes" else io.BytesIO(data))
        assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    with pytest.raises(ClientError) as caught:
        client_of(endpoint).head_object(Bucket="bucket", Key="key")
    assert caught.value.response["Error"]["Code"] == "404"


@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_a_client_goes_on_after_a_refusal(endpoint, kind):
    client = client_of(endpoint)
    data = bytes(LARGE // 5)
    for bucket, code in (("no-such-bucket", "NoSuchBucket"), ("bucket", None), ("no-such-bucket", "NoSuchBucket")):
        body = data if kind == "bytes" else io.BytesIO(data)
        found = None
        try:
            client.put_object(Bucket=bucket, Key="key", Body=body)
        except ClientError as error:
            found = error.response["Error"]["Code"]
        assert found == code
    assert client.head_object(Bucket="bucket", Key="key")["ContentLength"] == len(data)
    client.delete_object(Bucket="bucket", Key="key")


# case 111
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (put(b"Content-Length: 5", b"Expect: 100-continue"), "AccessDenied"),
        (
            put(b"Content-Length: 5", b"Expect: 100-continue", b"Authorization: AWS4-HMAC-SHA256 x"),
            "AuthorizationHeaderMalformed",
        ),
        (put(b"Content-Length: 5", b"Expect: 100-continue", target=b"/B/k"), "InvalidBucketName"),
        (put(b"Content-Length: 999999999999", b"Expect: 100-continue"), "AccessDenied"),
        (put(b"Transfer-Encoding: chunked", b"Expect: 100-continue"), "AccessDenied"),
    ],
)
def test_a_client_that_waits_is_refused_without_a_continue(endpoint, request_, code):
    with connect(endpoint) as connection:
        send(connection, request_)
        answer = receive_answer(connection)
    assert b"100 Continue" not in answer
    assert code_of(answer) == code
    assert b"\r\nconnection: close\r\n" in answer


def test_a_short_rest_is_dropped_and_the_connection_kept(endpoint):
    with connect(endpoint) as connection:
        for _ in range(3):
            send(connection, put(b"Content-Length: %d" % DRAIN_BYTES, body=bytes(DRAIN_BYTES)))
            answer = receive_answer(connection)
            assert code_of(answer) == "AccessDenied"
            assert b"connection: close" not in answer


# case 113
def test_documents_of_whoever_it_is_take_no_more_memory_than_there_is_room(endpoint):
    """They name a key that is known, and more is not known yet of who sends them.

    Those who come too many are told so, and the others when these have gone.
    """
    size = 12 * 2**20
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    credential = f"{KEY}/{moment[:8]}/us-east-1/sqs/aws4_request"
    head = (
        b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Length: %d\r\n"
        + f"X-Amz-Date: {moment}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={credential},"
        f"SignedHeaders=host;x-amz-date;x-amz-target,Signature={'0' * 64}\r\n\r\n".encode()
    )
    stopped = [connect(endpoint) for _ in range(ROOM_BYTES // size)]
    for connection in stopped:
        send(connection, head % size + bytes(size - 1))
    wait_until(lambda: not any(map(is_under_way, stopped)))  # so that none of them finds no room in place of the next
    with connect(endpoint) as late:
        send(late, head % (size - 1) + bytes(size - 1))
        refused = receive_answer(late)
    assert (status_of(refused), b"SlowDown" in refused) == (503, True)
    for connection in stopped:
        send(connection, b"x")
        assert status_of(receive_answer(connection)) == 403
        connection.close()
    with connect(endpoint) as later:
        send(later, head % (size - 1) + bytes(size - 1))
        assert status_of(receive_answer(later)) == 403


# case 91, case 112
@pytest.mark.parametrize("framing", [b"Content-Length: %d" % (DRAIN_BYTES + 1), b"Transfer-Encoding: chunked"])
def test_what_follows_a_long_refused_body_is_no_request(endpoint, framing):
    with connect(endpoint) as connection:
        send(connection, put(framing) + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = receive_answer(connection)
        connection.shutdown(socket.SHUT_WR)
        assert receive_all(connection) == b""
    assert code_of(answer) in ("AccessDenied", "InvalidRequest")
    assert b"\r\nconnection: close\r\n" in answer


def test_the_answer_comes_before_the_rest_of_the_body(endpoint):
    """A client that looks early need not send the rest."""
    with connect(endpoint) as connection:
        send(connection, put(b"Content-Length: %d" % LARGE, body=bytes(1000)))
        assert code_of(receive_answer(connection)) == "AccessDenied"


@pytest.mark.parametrize("expect", [[], [b"Expect: 100-continue"]], ids=["at once", "expecting"])
def test_a_client_that_sends_all_before_it_looks_is_not_cut_off(endpoint, expect):
    with connect(endpoint) as connection:
        connection.sendall(put(b"Content-Length: %d" % LARGE, *expect, body=bytes(LARGE)))
        assert code_of(receive_all(connection)) == "AccessDenied"


def test_the_refusal_of_a_head_with_a_body(endpoint):
    with connect(endpoint) as connection:
        send(connection, b"HEAD /bucket/k HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n")
        answer = connection.recv(65536)
    assert status_of(answer) == 403
    assert answer.endswith(b"\r\n\r\n")


# case 85, case 86
@pytest.mark.parametrize("covers", [STREAMING, UNSIGNED_TRAILER])
def test_nobody_streams_without_a_signature(endpoint, covers):
    body = b"5\r\nhello\r\n0\r\n\r\n"
    headers = [
        b"x-amz-content-sha256: " + covers.encode(),
        b"x-amz-decoded-content-length: 5",
        b"Content-Length: %d" % len(body),
        b"X-Amz-Meta-Snowball-Auto-Extract: true",
    ]
    answer = talk(endpoint, put(*headers, b"Connection: close", body=body))
    assert code_of(answer) == "AccessDenied"


# case 31, case 39, case 99, case 107
@pytest.mark.parametrize(
    ("line", "host", "code"),
    [
        (b"GET /bucket/%ff HTTP/1.1", b"h", "InvalidURI"),
        (b"GET /bucket/../k HTTP/1.1", b"h", "InvalidURI"),
        (b"GET /bucket?prefix=%ff HTTP/1.1", b"h", "InvalidURI"),
        (b"GET /bucket?acl&acl HTTP/1.1", b"h", "InvalidArgument"),
        (b"GET /bucket/k HTTP/1.1", b"a/evil?", "InvalidRequest"),
        (b"GET /bucket/k HTTP/1.1", b"a@b", "InvalidRequest"),
        (b"GET /bucket/k HTTP/1.1", b"h:99999", "InvalidRequest"),
        (b"TRACE /bucket/k HTTP/1.1", b"h", "MethodNotAllowed"),
        (b"PROPFIND /bucket/k HTTP/1.1", b"h", "MethodNotAllowed"),
    ],
)
def test_requests_that_are_none(endpoint, line, host, code):
    answer = talk(endpoint, line + b"\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert code_of(answer) == code


# --- headers ---------------------------------------------------------------------------------------------------------


def test_headers_are_read():
    headers, repeated = read_headers([(b"host", b" h\t"), (b"x-amz-meta-a", b"1"), (b"x-amz-meta-a", b" 2 ")])
    assert headers == {"host": "h", "x-amz-meta-a": "1,2"}
    assert repeated == {"x-amz-meta-a"}


# case 59
@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"", ""),
        (b"a  b", "a  b"),
        (b"\ta", "a"),
        ("é🪣".encode(), "é🪣"),
        (b"\xe9", "é"),
        (b"\xff\xfe", "ÿþ"),
        (b"\xc2\xa0x", "\u00a0x"),
    ],
)
def test_values(raw, value):
    assert read_headers([(b"x", raw)])[0] == {"x": value}


# case 100
def test_headers_are_a_copy():
    raw = [(b"host", b"h")]
    headers, _ = read_headers(raw)
    raw.append((b"authorization", b"x"))
    assert "authorization" not in headers


async def test_a_request_without_memory_is_refused():  # case 135
    class Short:
        def route(self, *_):
            raise MemoryError("no room")

    class Idle:
        clock = Clock()

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    sent = []
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": HOST}
    await S3Application(Idle(), Short(), None, Observer(), domains=())(scope, receive, send)
    assert sent[0]["status"] == 503
    assert b"<Code>ServiceUnavailable</Code>" in sent[1]["body"]


@pytest.mark.parametrize(("count", "threads"), [(1, 0), (1000, 1)])
async def test_a_long_document_is_read_on_a_thread(count, threads):  # case 163
    class Offload:
        ran = 0

        async def run(self, function, *arguments):
            self.ran += 1
            return function(*arguments)

    async def receive():
        return {"type": "http.request", "body": document}

    document = b"<Delete>" + b"<Object><Key>abcdefgh</Key></Object>" * count + b"</Delete>"
    headers = {"content-length": str(len(document)), "content-md5": b64encode(md5(document).digest()).decode()}
    body = RequestBody(receive, headers)
    body.read_claims(Payload(PayloadMode.UNSIGNED))
    operation = next(operation for operation in catalogue() if operation.name == "DeleteObjects")
    application = SimpleNamespace(_store=SimpleNamespace(offload=Offload()), _document_room=DocumentRoom())
    target = SimpleNamespace(bucket="b", key="")
    found = await S3Application._read(application, operation, headers, body, target, {})
    assert len(found.delete.objects) == count
    assert application._store.offload.ran == threads
