"""Uploads in a crowd: little of them is read at once, nothing ahead, and all of it arrives."""

import pytest

from s3ish.server import protocol
from s3ish.server.narrow import NARROW_BYTES
from tests.server.support import receive_answer, send

BODY = bytes(range(256)) * (12 << 10)


def put(connection, last=False):
    head = b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n" % len(BODY)
    send(connection, head + (b"Connection: close\r\n" if last else b"") + b"\r\n" + BODY)
    return receive_answer(connection)


def test_in_a_crowd_little_is_read_at_once(server, monkeypatch):  # case 113
    monkeypatch.setattr(protocol, "CROWD", 0)
    with server.connect() as connection:
        for last in (False, True):
            assert put(connection, last).endswith(b"/x %d" % len(BODY))
        assert connection.recv(1) == b""
    first, *others = server.application.pieces
    assert max(others) <= NARROW_BYTES
    assert first <= 256_000


def test_when_the_crowd_has_gone_much_is_read_again(server, monkeypatch):
    with server.connect() as connection:
        monkeypatch.setattr(protocol, "CROWD", 0)
        put(connection)
        server.application.pieces.clear()
        monkeypatch.setattr(protocol, "CROWD", 64)
        for _ in range(3):
            assert put(connection).endswith(b"/x %d" % len(BODY))
        assert max(server.application.pieces) > NARROW_BYTES


@pytest.mark.parametrize("sent", [0, 100_000])
def test_a_client_that_leaves_a_crowd_is_missed(server, monkeypatch, sent):
    monkeypatch.setattr(protocol, "CROWD", 0)
    with server.connect() as connection:
        put(connection)
        send(connection, b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(BODY) + bytes(sent))
    assert server.application.disconnected.wait(5)
