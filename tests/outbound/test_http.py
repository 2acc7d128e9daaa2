"""Requests that are sent piece by piece, and what becomes of them when the other side does not do its part."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from s3ish.outbound.http import Connection, NoAnswer, Unsendable, read_url
from tests.waiting import WAIT_SECONDS

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Name: a\r\n\r\nok"


@asynccontextmanager
async def peer(serve, timeout=10.0):
    """A connection to a server that does what the test says."""

    async def served(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    url = read_url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    connection = Connection(url, timeout)
    try:
        yield connection
    finally:
        connection.close()
        server.close()


def body(count, size=1 << 20, each=None):
    async def pieces():
        for number in range(count):
            if each:
                each(number)
            yield bytes(size)

    return pieces


async def put(connection, pieces, length):
    return await connection.request("PUT", "/k", {"host": "h", "content-length": str(length)}, pieces)


async def test_a_body_is_sent_in_pieces_and_the_answer_has_its_headers():
    async def serve(reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(3 << 20)
            writer.write(OK)

    async with peer(serve) as connection:
        for _ in range(2):
            answer = await put(connection, body(3), 3 << 20)
            assert (answer.status, answer.body, answer.headers["x-name"]) == (200, b"ok", "a")


async def test_a_peer_may_refuse_a_body_before_its_end():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        await asyncio.Event().wait()

    sent = []
    async with peer(serve) as connection:
        answer = await put(connection, body(1000, each=sent.append), 1000 << 20)
        assert answer.status == 403
        assert len(sent) < 200


async def test_an_answer_to_head_has_a_length_and_no_body():
    async def serve(reader, writer):
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 123\r\n\r\n")

    async with peer(serve) as connection:
        for _ in range(2):
            answer = await connection.request("HEAD", "/k", {"host": "h"})
            assert (answer.status, answer.headers["content-length"], answer.body) == (200, "123", b"")


async def test_a_connection_that_was_closed_while_it_was_idle_is_opened_again():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2 << 20)
        writer.write(OK)
        await writer.drain()

    async with peer(serve) as connection:
        for _ in range(3):
            assert (await put(connection, body(2), 2 << 20)).status == 200


@pytest.mark.parametrize("reads", [True, False])
async def test_a_peer_that_stands_still_is_given_up(reads):
    async def serve(reader, writer):
        if reads:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(64 << 20)
        await asyncio.Event().wait()

    async with peer(serve, timeout=0.3) as connection:
        async with asyncio.timeout(WAIT_SECONDS):
            with pytest.raises(TimeoutError):
                await put(connection, body(64), 64 << 20)


async def test_a_peer_that_takes_no_body_that_is_in_memory_is_given_up():
    async def serve(reader, writer):
        await asyncio.Event().wait()

    async with peer(serve, timeout=0.3) as connection:
        async with asyncio.timeout(WAIT_SECONDS):
            with pytest.raises(TimeoutError):
                await put(connection, bytes(64 << 20), 64 << 20)


async def test_a_body_that_is_in_memory_comes_whole():
    sent, came = bytes(range(256)) * 1024, []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        came.append(await reader.readexactly(len(sent)))
        writer.write(OK)

    async with peer(serve) as connection:
        assert (await put(connection, sent, len(sent))).status == 200
    assert came == [sent]


@pytest.mark.parametrize("value", ["a\r\nx-b: c", "a\nb", "a\r\n\r\nGET / HTTP/1.1", "a\0b", "a\ud800"])
async def test_what_would_end_a_header_is_not_sent(value):
    came = []

    async def serve(reader, writer):
        came.append(await reader.read(1))

    async with peer(serve) as connection:
        for target, headers in (("/k", {"x-a": value}), ("/k", {value: "a"}), (f"/{value}", {})):
            with pytest.raises(Unsendable):
                await connection.request("GET", target, {"host": "h", **headers})
    assert came == []


async def test_a_slow_body_is_no_reason_to_give_up():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(30)
        writer.write(OK)

    async def pieces():
        for _ in range(3):
            await asyncio.sleep(0.2)
            yield bytes(10)

    async with peer(serve, timeout=0.3) as connection:
        assert (await put(connection, pieces, 30)).status == 200


async def test_what_goes_wrong_with_the_body_ends_the_request():
    class Broken(Exception):
        pass

    def fail(number):
        if number == 2:
            raise Broken

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.Event().wait()

    async with peer(serve) as connection:
        with pytest.raises(Broken):
            await put(connection, body(3, 10, fail), 30)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", OK[:-1], b"HTTP/1.1 200 OK\r\n\r\n" + bytes(100_000)]
)
async def test_what_is_no_whole_answer_is_an_error(answer):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with peer(serve) as connection:
        with pytest.raises(NoAnswer):
            await connection.request("GET", "/k", {"host": "h"})
