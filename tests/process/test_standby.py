"""What is answered while the index moves."""

import pytest

from s3ish.clock import Clock
from s3ish.observe.observer import Observer
from s3ish.process.standby import Standby
from tests.server.support import LIMITS, Server, receive_all, send


@pytest.fixture(scope="module")
def server():
    server = Server(Standby(Observer(), "", Clock()), LIMITS)
    yield server
    server.stop()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /bucket/key HTTP/1.1\r\nHost: h\r\n\r\n",
        b"PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        b"PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_every_request_is_told_to_come_back(server, request_):
    head, _, body = server.talk(request_).partition(b"\r\n\r\n")
    fields = head.lower().split(b"\r\n")
    assert fields[0].startswith(b"http/1.1 503")
    assert b"retry-after: 2" in fields
    assert b"connection: close" in fields
    assert b"<Code>ServiceUnavailable</Code>" in body
    assert b"Try again" in body


def test_a_client_in_the_middle_of_a_large_body_sees_the_answer(server):
    with server.connect() as connection:
        send(connection, b"PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n" + bytes(1000000))
        send(connection, bytes(3000000))
        assert receive_all(connection).startswith(b"HTTP/1.1 503")


def test_head_has_no_body(server):
    assert server.talk(b"HEAD /bucket HTTP/1.1\r\nHost: h\r\n\r\n").endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("path", "status"), [(b"/-/live", b"200"), (b"/-/ready", b"503"), (b"/-/metrics", b"200")])
def test_it_lives_but_is_not_ready(server, path, status):
    answer = server.talk(b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % path)
    assert answer.split(b" ", 2)[1] == status
