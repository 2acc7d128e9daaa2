"""One request and its answer: what is held of a body, and how an answer leaves."""

import asyncio
from types import SimpleNamespace

import pytest

from s3ish.http.exchange import WHOLE, WINDOW_BYTES, AnswerTorn, ClientGone, Exchange
from s3ish.wire.headers import encode

HEADERS = [(b"content-length", b"5")]


class Wire:
    """A transport and its flow control, which remember what was asked of them."""

    write_paused = read_paused = False

    def __init__(self):
        self.written, self.closed = [], False

    def write(self, data):
        self.written.append(bytes(data))

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def pause_reading(self):
        self.read_paused = True

    def resume_reading(self):
        self.read_paused = False


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def running():
    return {"this"}


@pytest.fixture
def exchange(wire, running):
    return Exchange(
        running=running,
        scope={"method": "PUT"},
        transport=wire,
        flow=wire,
        logger=SimpleNamespace(),
        access_logger=SimpleNamespace(),
        access_log=False,
        default_headers=[(b"date", b"now")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=lambda: None,
    )


async def everything(exchange):
    pieces, more = [], True
    while more:
        message = await exchange.receive()
        pieces.append(message["body"])
        more = message["more_body"]
    return pieces


async def test_long_pieces_pass_as_they_are_and_short_ones_together(exchange):
    long, short = [bytes([number]) * 100_000 for number in range(3)], [b"ab"] * 50_000
    for piece in long + short:
        exchange.keep(piece)
    exchange.more_body = False
    assert await everything(exchange) == [*long, b"".join(short)]
    assert exchange.held_bytes == 0


async def test_reading_goes_on_only_when_little_is_held(exchange, wire):  # case 113
    """A client that sends tiny chunks must not get more read for each of them that is taken."""
    for _ in range(4):
        exchange.keep(bytes(WINDOW_BYTES))
    wire.pause_reading()
    for left in (3, 2):
        await exchange.receive()
        assert (exchange.held_bytes, wire.read_paused) == (left * WINDOW_BYTES, True)
    await exchange.receive()
    assert not wire.read_paused


async def test_a_small_answer_is_one_write(exchange, wire):
    await exchange.send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    assert wire.written == []
    await exchange.send({"type": "http.response.body", "body": b"hello"})
    assert wire.written == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\nhello"]
    assert exchange.response_complete


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb", b"a\0b", b"a\x7fb"])
async def test_no_header_ends_another(exchange, wire, value):
    with pytest.raises(RuntimeError):
        await exchange.send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, (b"x-a", value)]})
    assert wire.written == []


@pytest.mark.parametrize("body", [b"hell", b"hello!"])
async def test_a_body_of_another_length_than_its_head_says_is_not_sent(exchange, wire, body):
    await exchange.send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    with pytest.raises(RuntimeError):
        await exchange.send({"type": "http.response.body", "body": body})
    assert wire.written == []


async def answer(exchange):
    await exchange.send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await exchange.send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize("begun", [False, True])
async def test_whoever_sends_to_a_client_that_has_gone_is_told(exchange, wire, begun):
    if begun:
        await exchange.send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    exchange.disconnected = True
    with pytest.raises(ClientGone):
        await answer(exchange)
    assert wire.written == []


async def test_an_application_need_not_mind_that_the_client_has_gone(exchange, wire):
    async def application(_scope, _receive, send):
        exchange.disconnected = True
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})

    await exchange.run_asgi(application)
    assert wire.written == []


async def test_an_answer_that_cannot_be_completed_ends_with_its_connection(exchange, wire):
    async def application(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"hel", "more_body": True})
        raise AnswerTorn

    await exchange.run_asgi(application)
    assert wire.written == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\nhel"]
    assert wire.closed


async def test_answers_of_one_turn_leave_together_before_anything_that_is_begun_then(exchange, wire, running):
    running.add("another")
    await answer(exchange)
    assert exchange.response_complete
    assert wire.written == []
    asyncio.get_running_loop().call_soon(wire.written.append, "later")
    await asyncio.sleep(0)
    assert wire.written == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 5\r\n\r\nhello", "later"]


async def test_the_last_answer_of_a_connection_leaves_before_its_end(exchange, wire, running):
    running.add("another")
    exchange.keep_alive = False
    await answer(exchange)
    assert len(wire.written) == 1
    assert wire.closed


async def test_an_answer_to_a_client_that_has_gone_meanwhile_is_dropped(exchange, wire, running):
    running.add("another")
    await answer(exchange)
    wire.close()
    await asyncio.sleep(0)
    assert wire.written == []


def whole(status, headers, body=b"", length=None):
    length = len(body) if length is None else length
    return {"type": WHOLE, "status": status, "headers": headers, "length": length, "body": body}


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize(
    ("method", "status", "headers", "body", "length"),
    [
        ("GET", 200, [("content-length", "5"), ("x-amz-meta-a", "\xe9"), ("x-amz-meta-b", "\u20ac")], b"hello", 5),
        ("GET", 200, [("content-length", "0")], b"", 0),
        ("GET", 204, [], b"", 0),
        ("GET", 304, [("etag", '"a"')], b"", 0),
        ("HEAD", 200, [("content-length", "4096"), ("etag", '"a"')], b"", 4096),
        ("HEAD", 200, [], b"", 0),
    ],
)
async def test_a_whole_answer_is_what_its_two_messages_are(
    exchange, wire, method, status, headers, body, length, keep_alive
):
    exchange.scope["method"], exchange.keep_alive = method, keep_alive
    await exchange.send(whole(status, headers, body, length))
    assert exchange.response_complete
    assert wire.closed is not keep_alive
    (at_once,), wire.written = wire.written, []
    exchange.response_started = exchange.response_complete = False
    await exchange.send({"type": "http.response.start", "status": status, "headers": encode(headers)})
    await exchange.send({"type": "http.response.body", "body": body})
    assert wire.written == [at_once]
    assert at_once.count(b"\r\n\r\n") == 1
    assert (b"\r\nconnection: close\r\n" in at_once) is not keep_alive


@pytest.mark.parametrize(("length", "body"), [(5, b"hell"), (5, b"hello!"), (0, b"h"), (5, b"")])
async def test_a_whole_answer_of_another_length_than_its_head_says_is_not_sent(exchange, wire, length, body):
    with pytest.raises(RuntimeError):
        await exchange.send(whole(200, [("content-length", str(length))], body, length))
    assert wire.written == []


@pytest.mark.parametrize(
    "header", [("x-a", "b\r\nc: d"), ("x-a", "b\n"), ("x-a", "\0"), ("x\r", "b"), ("x-a", "\u20ac\r\n")]
)
async def test_no_header_of_a_whole_answer_ends_it(exchange, wire, header):
    with pytest.raises(RuntimeError):
        await exchange.send(whole(200, [("content-length", "0"), header]))
    assert wire.written == []


async def test_a_whole_answer_to_a_client_that_has_gone(exchange, wire):
    exchange.disconnected = True
    with pytest.raises(ClientGone):
        await exchange.send(whole(204, []))
    assert wire.written == []
