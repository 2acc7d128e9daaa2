"""Offers of another protocol: each is ignored, and HTTP/1.1 goes on with the body (RFC 9110 section 7.8)."""

import asyncio

import pytest

from tests.server.support import Application, code_of, connection_of, receive_all, receive_answer, send, status_of

JAVA = [
    b"Connection: Upgrade, HTTP2-Settings",
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    b"Upgrade: h2c",
    b"User-Agent: Java-http-client/21.0.2",
]
"""What Java's own HttpClient says by default when the scheme is http."""
OFFERS = {
    "h2c": JAVA,
    "websocket": [b"Connection: upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: x"],
    "tls": [b"Connection: Upgrade", b"Upgrade: TLS/1.0, HTTP/1.1"],
    "several": [b"Upgrade: h2c, websocket", b"Upgrade: IRC/6.9", b"Connection: keep-alive", b"Connection: Upgrade"],
    "capitals": [b"CONNECTION: UPGRADE", b"UPGRADE: H2C"],
    "nothing": [b"Connection: Upgrade", b"Upgrade:"],
    "no-connection": [b"Upgrade: h2c"],
    "no-upgrade": [b"Connection: Upgrade"],
}
LENGTH = [b"Content-Length: 5"]
CHUNKED = [b"Transfer-Encoding: chunked"]
BODIES = {"length": (LENGTH, b"hello"), "chunked": (CHUNKED, b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n")}
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
HIDDEN = b"DELETE /hidden HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
"""A request within a body: to be stored, never to be carried out."""

offers = pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
framings = pytest.mark.parametrize(("framing", "body"), BODIES.values(), ids=BODIES)


def put(*headers, target=b"/x", version=b"1.1"):
    """Return the head of a request."""
    return b"\r\n".join([b"PUT %b HTTP/%b" % (target, version), b"Host: h", *headers]) + b"\r\n\r\n"


def seen(application):
    """Return target and body's length of each request that the application had."""
    return [(path, length) for _, path, _, length in application.requests]


# case 156
@offers
@framings
def test_the_body_is_the_body(server, offer, framing, body):
    answer = server.talk(put(*offer, *framing) + body + LAST)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert seen(server.application) == [("/x", 5), ("/last", 0)]


# case 156
@offers
@framings
def test_a_body_that_comes_later_is_no_request(server, offer, framing, body):
    """The client waits for the 100 before it sends the body, which thus cannot come with the headers."""
    with server.connect() as connection:
        send(connection, put(*offer, *framing, b"Expect: 100-continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        send(connection, body)
        assert status_of(receive_answer(connection)) == 200
        send(connection, LAST)
        assert receive_all(connection).endswith(b"/last 0")
    assert seen(server.application) == [("/x", 5), ("/last", 0)]


# case 156
@offers
@pytest.mark.parametrize("chunked", [False, True])
def test_no_request_is_smuggled_in_a_body(server, offer, chunked):
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN) if chunked else HIDDEN
    framing = CHUNKED if chunked else [b"Content-Length: %d" % len(HIDDEN)]
    answer = server.talk(put(*offer, *framing) + body + LAST)
    assert answer.count(b"HTTP/1.1 ") == 2
    assert seen(server.application) == [("/x", len(HIDDEN)), ("/last", 0)]


# case 156
@offers
@framings
def test_requests_that_follow_are_carried_out(server, offer, framing, body):
    """With bodies and without, one behind the other in one packet, and then again."""
    several = put(*offer, *framing) + body + put(*offer, target=b"/empty") + put(*framing, target=b"/plain") + body
    with server.connect() as connection:
        for _ in range(3):
            send(connection, several)
            answers = b""
            while answers.count(b"HTTP/1.1 200") < 3 or not answers.endswith(b"/plain 5"):
                answers += connection.recv(1000)
    assert seen(server.application) == [("/x", 5), ("/empty", 0), ("/plain", 5)] * 3


@pytest.mark.slow
# case 156
@offers
@framings
async def test_packets_may_end_at_every_byte(offer, framing, body):
    data = put(*offer, *framing) + body + put(*offer, *LENGTH, target=b"/y") + b"world" + LAST
    for cut in range(1, len(data)):
        assert await requests_of(data[:cut], data[cut:]) == [("/x", 5), ("/y", 5), ("/last", 0)], cut


# case 156
@offers
@framings
async def test_packets_may_be_single_bytes(offer, framing, body):
    data = put(*offer, *framing) + body + put(*offer, *LENGTH, target=b"/y") + b"world" + LAST
    pieces = [data[place : place + 1] for place in range(len(data))]
    assert await requests_of(*pieces) == [("/x", 5), ("/y", 5), ("/last", 0)]


async def requests_of(*packets):
    """Return what the application has of a connection that brings these packets."""
    application = Application()
    connection, _ = connection_of(application)
    for packet in packets:
        connection.data_received(packet)
        await asyncio.sleep(0)
    while connection.tasks:
        await asyncio.gather(*connection.tasks)
    connection.connection_lost(None)
    return seen(application)


# case 156
@offers
@pytest.mark.parametrize(
    "headers",
    [
        [*LENGTH, *CHUNKED],
        [*LENGTH, *LENGTH],
        [*CHUNKED, *CHUNKED],
        [b"Transfer-Encoding: gzip"],
        [b"Content-Length: x"],
        [b"Host: other"],
        [b"X: " + b"a" * 5000],
    ],
    ids=["both", "two lengths", "two codings", "gzip", "no number", "two hosts", "too large"],
)
def test_an_offer_excuses_nothing(server, offer, headers):
    answer = server.talk(put(*offer, *headers) + b"5\r\nhello\r\n0\r\n\r\n" + LAST)
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert server.application.requests == []


# case 156
def test_offers_count_as_headers(server):
    answer = server.talk(put(b"Connection: Upgrade", *[b"Upgrade: h2c"] * 300))
    assert code_of(answer) == "RequestHeaderSectionTooLarge"


# case 156
@offers
def test_the_application_sees_the_headers_as_sent(server, offer):
    """A signature may cover them all."""
    server.talk(put(*offer, b"X-Mine: 1") + LAST)
    (_, _, headers, _), _ = server.application.requests
    sent = [line.split(b":", 1) for line in [b"Host: h", *offer, b"X-Mine: 1"]]
    assert sorted(headers) == sorted((name.lower(), value.strip()) for name, value in sent)


# case 156
@pytest.mark.parametrize("headers", [[b"Connection: Upgrade, close"], [b"Connection: close", b"Connection: Upgrade"]])
def test_an_offer_does_not_keep_the_connection(server, headers):
    answer = server.talk(put(*headers, b"Upgrade: h2c", *LENGTH) + b"hello")
    assert b"\r\nconnection: close\r\n" in answer
    assert seen(server.application) == [("/x", 5)]


# case 156
@framings
def test_an_offer_in_http_1_0(server, framing, body):
    answer = server.talk(put(*JAVA, *framing, version=b"1.0") + body)
    assert status_of(answer) == 200
    assert seen(server.application) == [("/x", 5)]


# case 156
def test_an_offer_in_a_trailer_is_a_trailer(server):
    trailers = b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    answer = server.talk(put(*CHUNKED) + b"5\r\nhello\r\n0\r\n" + trailers + LAST)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert seen(server.application) == [("/x", 5), ("/last", 0)]


# case 156
@pytest.mark.parametrize(
    "start",
    [
        b"CONNECT /x HTTP/1.1\r\nHost: h\r\n",
        b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n",
        b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"PRI /x HTTP/1.1\r\nHost: h\r\n",
        b"GET /x HTTP/2.0\r\nHost: h\r\n",
    ],
)
@framings
def test_what_asks_for_another_protocol_is_refused(server, start, framing, body):
    answer = server.talk(start + b"\r\n".join([*framing, b"\r\n"]) + body + HIDDEN)
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert server.application.requests == []
