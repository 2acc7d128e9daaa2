"""Uploads in a crowd: little of them is read at once, nothing ahead, and all of it arrives."""

import asyncio

import pytest

from s3ish.server import protocol
from s3ish.server.body import RequestBody
from s3ish.server.narrow import LEAST_BYTES, MOST_BYTES, Appetite, NarrowReading
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
    assert max(others) <= LEAST_BYTES
    assert first <= 256_000


def test_when_the_crowd_has_gone_much_is_read_again(server, monkeypatch):
    with server.connect() as connection:
        monkeypatch.setattr(protocol, "CROWD", 0)
        put(connection)
        server.application.pieces.clear()
        monkeypatch.setattr(protocol, "CROWD", 64)
        for _ in range(3):
            assert put(connection).endswith(b"/x %d" % len(BODY))
        assert max(server.application.pieces) > LEAST_BYTES


@pytest.mark.parametrize("sent", [0, 100_000])
def test_a_client_that_leaves_a_crowd_is_missed(server, monkeypatch, sent):
    monkeypatch.setattr(protocol, "CROWD", 0)
    with server.connect() as connection:
        put(connection)
        send(connection, b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(BODY) + bytes(sent))
    assert server.application.disconnected.wait(5)


@pytest.mark.parametrize(("wanted", "given"), [(0, LEAST_BYTES), (50_000, 50_000), (1 << 30, MOST_BYTES)])
def test_no_more_is_read_than_is_wanted(wanted, given):
    appetite = Appetite()
    reading = NarrowReading(asyncio.Protocol(), appetite)
    appetite.wanted = wanted
    assert len(reading.get_buffer(-1)) == given


async def test_a_body_says_how_much_of_it_is_wanted():
    appetite, seen = Appetite(), []

    async def receive():
        seen.append(appetite.wanted)
        return {"type": "http.request", "body": bytes(100), "more_body": len(seen) < 5}

    body = RequestBody(receive, {"content-length": "500"}, appetite)
    assert len(await body.read(250)) == 250
    assert len(await body.read(1000)) == 250
    assert seen == [250, 150, 50, 950, 850]


def test_a_wish_of_one_request_means_nothing_for_the_next(server, monkeypatch):
    monkeypatch.setattr(protocol, "CROWD", 0)
    with server.connect() as connection:
        server.application.wanted = MOST_BYTES
        put(connection)
        put(connection)
        assert max(server.application.pieces[-10:]) > LEAST_BYTES
        server.application.wanted = 0
        server.application.pieces.clear()
        put(connection)
    assert max(server.application.pieces) <= LEAST_BYTES
