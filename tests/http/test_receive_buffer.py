"""What is read from a connection, and to where: in a crowd little at once; a body to where it stays."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest

from s3ish.http import protocol
from s3ish.http.receive_buffer import LEAST_BYTES, MOST_BYTES, Demand, ReceiveBuffer
from s3ish.server.body import RequestBody
from tests.server.support import connection_of, receive_all, receive_answer, send

BODY = bytes(range(256)) * (12 << 10)
MD5 = hashlib.md5(BODY).hexdigest().encode()


def request(path, body=BODY, *headers):
    lines = [b"PUT %s HTTP/1.1" % path, b"Host: h", b"Content-Length: %d" % len(body), *headers, b"", b""]
    return b"\r\n".join(lines) + body


def put(connection, last=False):
    send(connection, request(b"/x", BODY, *[b"Connection: close"] * last))
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
        send(connection, request(b"/x")[: sent - len(BODY)])
    assert server.application.disconnected.wait(5)


@pytest.mark.parametrize(("wanted", "given"), [(0, LEAST_BYTES), (50_000, 50_000), (1 << 30, MOST_BYTES)])
def test_no_more_is_read_than_is_wanted(wanted, given):
    appetite = Demand()
    reading = ReceiveBuffer(Mock(target=lambda: None), appetite)
    assert len(reading.get_buffer(-1)) == MOST_BYTES
    appetite.narrow = True
    appetite.wanted = wanted
    assert len(reading.get_buffer(-1)) == given


def test_servers_in_one_process_do_not_share_what_they_read_to():
    def buffer():
        return ReceiveBuffer(Mock(target=lambda: None), Demand()).get_buffer(-1).obj

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(buffer).result() is thread.submit(buffer).result()
        assert thread.submit(buffer).result() is not buffer()
    assert buffer() is buffer(), "one for all connections"


async def test_a_body_says_how_much_of_it_is_wanted():
    appetite, seen = Demand(), []

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


@pytest.mark.parametrize("crowd", [0, 64])
def test_bodies_are_read_to_where_they_stay(server, monkeypatch, crowd):
    monkeypatch.setattr(protocol, "CROWD", crowd)
    kept = Mock(wraps=protocol.Exchange.keep, side_effect=protocol.Exchange.keep)
    monkeypatch.setattr(protocol.Exchange, "keep", lambda self, piece: kept(self, piece))
    with server.connect() as connection:
        for _ in range(3):
            send(connection, request(b"/stored"))
            assert receive_answer(connection).endswith(MD5)
        send(connection, request(b"/x", b"abc", b"Connection: close"))
        assert receive_all(connection).endswith(b"/x 3")
    assert set(server.application.pieces[:10]) == {300_000}
    assert sum(len(call.args[1]) for call in kept.call_args_list) < len(BODY)  # of three bodies


@pytest.mark.parametrize("size", [299_999, 300_000, 300_001, 363_999, 364_000, 600_000])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_follows_a_body_is_the_next_request(server, size, at_once):
    body = BODY[:size]
    several = request(b"/stored", body) + request(b"/x", b"abc") + request(b"/stored", body, b"Connection: close")
    with server.connect() as connection:
        if at_once:
            send(connection, several)
        else:
            send(connection, several[: size // 2])
            assert server.application.begun.acquire(timeout=5)
            send(connection, several[size // 2 :])
        answers = receive_all(connection)
    digest = hashlib.md5(body).hexdigest().encode()
    assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.1 ")[1:]] == [
        digest,
        b"/x 3",
        digest,
    ]


def test_what_follows_a_body_may_be_nonsense(server):
    with server.connect() as connection:
        send(connection, request(b"/stored") + b"nonsense\r\n\r\n")
        answers = receive_all(connection)
    assert MD5 in answers
    assert answers.count(b"HTTP/1.1 ") == 2
    assert b"<Code>InvalidRequest</Code>" in answers


@pytest.mark.parametrize("sent", [10, 100_000, 1_000_000])
def test_a_client_that_leaves_a_stored_body_is_missed(server, sent):
    with server.connect() as connection:
        send(connection, request(b"/stored")[: sent - len(BODY)])
        assert server.application.begun.acquire(timeout=5)
    assert server.application.disconnected.wait(5)


def test_a_body_that_nobody_reads_is_passed_over(server):
    with server.connect() as connection:
        send(connection, request(b"/refused"))
        assert receive_answer(connection).endswith(b"/refused 0")
        send(connection, request(b"/stored", BODY, b"Connection: close"))
        assert receive_all(connection).endswith(MD5)


async def test_a_server_that_knows_of_no_target_is_served_all_the_same():
    sent = [BODY[:100], BODY[100:99_000], BODY[99_000:700_000], b"", BODY[700_000:]]

    async def receive():
        return {"type": "http.request", "body": sent.pop(0), "more_body": bool(sent)}

    body = RequestBody(receive, {"content-length": str(len(BODY))})
    pieces = []
    while piece := await body.read(300_000):
        pieces.append(bytes(piece))
    assert b"".join(pieces) == BODY
    assert {len(piece) for piece in pieces[:-1]} == {300_000}
    assert body.is_read


async def test_a_cancelled_reader_leaves_no_target():
    appetite = Demand()
    body = RequestBody(asyncio.Event().wait, {"content-length": "200000"}, appetite)
    reading = asyncio.create_task(body.read(200_000))
    await asyncio.sleep(0)
    assert len(appetite.target) == 200_000
    reading.cancel()
    await asyncio.wait([reading])
    assert appetite.target is None


async def test_a_body_in_the_queue_is_not_read_to_where_an_earlier_one_stays():
    async def application(_scope, receive, _send):
        assert (await receive())["type"] == "http.disconnect"

    connection, transport = connection_of(application)
    reading = transport.set_protocol.call_args.args[0]
    head = request(b"/1")[: -len(BODY)]
    connection.data_received(head)
    appetite = connection.cycle.scope["extensions"]["s3ish.appetite"]
    appetite.target = memoryview(bytearray(2 * len(BODY)))
    assert len(reading.get_buffer(-1)) == len(BODY)
    connection.data_received(BODY + head)
    assert len(reading.get_buffer(-1)) == MOST_BYTES
    connection.connection_lost(None)
    await asyncio.gather(*connection.tasks)
