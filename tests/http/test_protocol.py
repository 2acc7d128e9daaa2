"""Limits and deadlines, over real sockets: what the parser lets pass is refused before the application sees it."""

import asyncio
import contextlib
import re
import socket

import pytest

from s3ish.http.protocol import MAX_HEADERS, MAX_URL_BYTES, LimitedProtocol
from tests.server.support import (
    PATIENCE_SECONDS,
    Application,
    Clock,
    code_of,
    connection_of,
    receive_all,
    receive_answer,
    send,
    status_of,
)
from tests.waiting import wait_until

GOOD = b"GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def request(*headers, target=b"/x", method=b"GET", body=b"", host=b"h"):
    lines = [method + b" " + target + b" HTTP/1.1"]
    lines += [b"Host: " + host] if host is not None else []
    return b"\r\n".join([*lines, *headers]) + b"\r\n\r\n" + body


def assert_refused(server, data, code="InvalidRequest", status=400):
    """One answer, in S3's form, and the end of the connection; the application saw nothing."""
    answer = server.talk(data)
    assert status_of(answer) == status, answer[:200]
    assert code_of(answer) == code
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer
    assert b"\r\ncontent-type: application/xml\r\n" in answer
    assert re.search(rb"\r\ndate: \w+, .* GMT\r\n", answer)
    assert b"\r\nx-amz-request-id: REQUEST\r\n" in answer
    assert b"<RequestId>REQUEST</RequestId>" in answer
    assert [(found, told) for found, _, told in server.application.refusals] == [(code, True)]
    assert server.application.requests == []


def test_a_good_request(server):
    answer = server.talk(LAST)
    assert status_of(answer) == 200
    assert answer.endswith(b"/last 0")


# case 96, case 97
@pytest.mark.parametrize(
    "headers",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: +5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 1_0"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 5 5"],
        [b"Content-Length:"],
        [b"Content-Length: 18446744073709551616"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding: \x0bchunked"],
    ],
    ids=b" | ".join,
)
def test_bodies_whose_length_is_not_clear(server, headers):
    assert_refused(server, request(*headers, method=b"PUT", body=b"5\r\nhello\r\n0\r\n\r\n"))


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b" chunked ", b"\tchunked"])
def test_chunked_framing(server, coding):
    headers = [b"Transfer-Encoding:" + coding, b"Connection: close"]
    answer = server.talk(request(*headers, method=b"PUT", body=b"5\r\nhello\r\n0\r\n\r\n"))
    assert answer.endswith(b"/x 5")


# case 99
@pytest.mark.parametrize(
    "data",
    [
        request(host=None),
        request(b"Host: other"),
        request(b"Host: h"),
        request(b"host: h"),
        b"GET /x HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n",
        request(target=b"http://h/x", host=None),
        request(b"Host: h", target=b"http://h/x"),
        request(target=b"ftp://h/x"),
        request(target=b"http:/x"),
        request(target=b"http:h/x"),
        request(target=b"http://h/x#fragment"),
        request(target=b"http://h", method=b"CONNECT"),
        request(target=b"x/y"),
        request(target=b"*", method=b"OPTIONS"),
        request(target=b"/b/k#fragment"),
        request(target=b"/#"),
        request(target=b"example.com:80", method=b"CONNECT"),
    ],
)
def test_hosts_and_targets(server, data):
    assert_refused(server, data)


# case 99
@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        (b"http://h/x", b"h", b"/x", b""),
        (b"http://h/x?a=http://b/c", b"h", b"/x", b"a=http://b/c"),
        (b"http://other:9000/b/k%2F?a=b", b"other:9000", b"/b/k%2F", b"a=b"),
        (b"https://h/x", b"h", b"/x", b""),
        (b"HTTP://H/X", b"H", b"/X", b""),
        (b"http://[::1]:80//b//k", b"[::1]:80", b"//b//k", b""),
        (b"http://h", b"h", b"/", b""),
        (b"http://h/", b"h", b"/", b""),
        (b"http://h?a", b"h", b"/", b"a"),
        (b"http://h/http://b/c", b"h", b"/http://b/c", b""),
    ],
)
async def test_targets_in_absolute_form(target, host, path, query):
    """The host is that of the target, whatever the Host header says; a signature that covers the header covers it."""
    scopes = []

    async def application(scope, _receive, _send):
        scopes.append(scope)

    for offer in [], [b"Connection: Upgrade", b"Upgrade: h2c"]:
        connection, _ = connection_of(application)
        connection.data_received(request(b"X: 1", *offer, target=target))
        await asyncio.gather(*connection.tasks, return_exceptions=True)
        connection.connection_lost(None)
    for scope in scopes:
        assert (scope["raw_path"], scope["query_string"]) == (path, query)
        assert [value for name, value in scope["headers"] if name == b"host"] == [host]
        assert (b"x", b"1") in scope["headers"]
    assert len(scopes) == 2


# case 99
@pytest.mark.parametrize(
    ("sent", "address", "host"),
    [
        (b"GET /x HTTP/1.0\r\n\r\n", ("192.0.2.1", 9000), b"192.0.2.1:9000"),
        (b"GET /x HTTP/1.0\r\n\r\n", ("::1", 9000), b"[::1]:9000"),
        (b"GET /x HTTP/1.0\r\n\r\n", ("/run/socket", None), b"localhost"),
        (b"GET http://h/x HTTP/1.0\r\n\r\n", ("192.0.2.1", 9000), b"h"),
        (b"GET /x HTTP/1.0\r\nHost: h\r\n\r\n", ("192.0.2.1", 9000), b"h"),
    ],
)
async def test_a_request_of_http_1_0_without_a_host_is_for_the_address_that_it_came_to(sent, address, host):
    """Checks of HAProxy are such requests."""
    scopes = []

    async def application(scope, _receive, _send):
        scopes.append(scope)

    connection, _ = connection_of(application)
    connection.server = address
    connection.data_received(sent)
    await asyncio.gather(*connection.tasks, return_exceptions=True)
    connection.connection_lost(None)
    assert [value for name, value in scopes[0]["headers"] if name == b"host"] == [host]


# case 98, case 106, case 107, case 108
@pytest.mark.parametrize(
    "data",
    [
        b"GET /x\r\n\r\n",
        b"GET /x HTTP/2.0\r\nHost: h\r\n\r\n",
        b"GET /x HTTP/0.9\r\nHost: h\r\n\r\n",
        b"GET /x HTTP/1.1 extra\r\nHost: h\r\n\r\n",
        b"GET /x y HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET  HTTP/1.1\r\nHost: h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        bytes(1000),
        b"get /x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"FOO /x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"__init__ /x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: h\r\n\r\n".encode(),
        b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
        request(b"X : 1"),
        request(b"X(: 1"),
        request(b" X: 1"),
        request(b"X: a\x00b"),
        request(b"X: a\rb"),
        request(b"X: a\x01b"),
        request(b"no colon"),
        request(b": empty"),
        b"GET /x HTTP/1.1\nHost: h\n\n",
        b"GET /x HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n",
    ],
)
def test_what_is_not_http(server, data):
    assert_refused(server, data)


# case 98
@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"g\r\n",
        b"fffffffffffffffff\r\n",
        b"\r\n",
    ],
)
def test_broken_chunks(server, body):
    """The application is told that the client is gone, so that nothing is made of half a body."""
    assert_refused(server, request(b"Transfer-Encoding: chunked", method=b"PUT", body=body))
    assert server.application.disconnected.wait(PATIENCE_SECONDS)


# case 155
@pytest.mark.parametrize("length", [b"4611686018427387904", b"9223372036854775807"])
def test_absurd_lengths_reserve_nothing(server, length):
    with server.connect() as connection:
        send(connection, request(b"Content-Length: " + length, method=b"PUT", body=b"abc"))
    assert server.application.disconnected.wait(PATIENCE_SECONDS)
    assert server.application.requests == []


# --- sizes -----------------------------------------------------------------------------------------------------------


# case 104
@pytest.mark.parametrize(
    "headers",
    [
        [b"X: " + b"a" * 5000],
        [b"X: " + b"a" * 1_000_000],
        [b"X" * 5000 + b": 1"],
        [b"X-%d: 1" % number for number in range(2000)],
        [b"X: "] * 300,
    ],
    ids=["value", "megabyte", "name", "many", "many empty"],
)
def test_header_sections_that_are_too_large(server, headers):
    assert_refused(server, request(*headers), "RequestHeaderSectionTooLarge")


def test_the_limit_of_headers(start):
    server = start(header_bytes=64 * 1024)
    most = [b"X: 1"] * (MAX_HEADERS - 2)
    assert status_of(server.talk(request(b"Connection: close", *most))) == 200
    assert code_of(server.talk(request(b"Connection: close", b"X: 1", *most))) == "RequestHeaderSectionTooLarge"


# case 104
@pytest.mark.parametrize("size", [MAX_URL_BYTES + 1, 60_000, 100_000, 2_000_000])
def test_targets_that_are_too_long(server, size):
    assert_refused(server, request(target=b"/" + b"a" * (size - 1)))


def test_the_longest_target(server):
    answer = server.talk(request(b"Connection: close", target=b"/" + b"a" * (MAX_URL_BYTES - 1)))
    assert status_of(answer) == 200


def test_a_refused_client_that_sends_on_still_sees_why(server):
    """Ten megabytes of headers: the answer is not lost to a reset."""
    answer = server.talk(request(*[b"X: " + b"a" * 1000] * 10_000))
    assert code_of(answer) == "RequestHeaderSectionTooLarge"


# --- trailers --------------------------------------------------------------------------------------------------------


# case 100
@pytest.mark.parametrize(
    "trailer",
    [
        b"Authorization: AWS4-HMAC-SHA256 x",
        b"x-amz-acl: public-read",
        b"x-amz-content-sha256: x",
        b"Host: evil",
        b"X: 1",
    ],
)
def test_trailers_have_no_effect(server, trailer):
    headers = [b"Transfer-Encoding: chunked", b"Connection: close"]
    body = b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"
    assert status_of(server.talk(request(*headers, method=b"PUT", body=body))) == 200
    ((_, _, seen, length),) = server.application.requests
    assert length == 5
    assert dict(seen) == {b"host": b"h", b"transfer-encoding": b"chunked", b"connection": b"close"}


# --- several requests on one connection ------------------------------------------------------------------------------


# case 102
def test_a_connection_is_kept(server):
    with server.connect() as connection:
        for number in range(100):
            send(connection, request(target=b"/%d" % number))
            assert receive_answer(connection).endswith(b"/%d 0" % number)


# case 112
def test_pipelined_requests_are_answered_in_order(server):
    bodies = [request(b"Content-Length: 3", method=b"PUT", target=b"/%d" % n, body=b"abc") for n in range(20)]
    answer = server.talk(b"".join(bodies) + LAST)
    assert answer.count(b"HTTP/1.1 200") == 21
    places = [answer.index(b"/%d 3" % number) for number in range(20)]
    assert places == sorted(places)
    assert answer.endswith(b"/last 0")


@pytest.mark.parametrize(
    "one", [GOOD, request(b"Content-Length: 3", method=b"PUT", body=b"abc"), request(target=b"/refused")]
)
async def test_no_more_is_read_while_requests_wait_for_the_answers_to_others(one):
    """A client that sends and never reads would fill the memory: a request takes more there than on the wire."""
    connection, _ = connection_of(Application())
    longest = batches = 0
    while batches < 5:
        if not connection.flow.read_paused:
            connection.data_received(one * 50)
            batches += 1
        longest = max(longest, len(connection.pipeline))
        await asyncio.sleep(0)
    assert longest <= 50
    connection.connection_lost(None)
    await asyncio.gather(*connection.tasks)


# case 112
@pytest.mark.parametrize(
    "second", [b"not http\r\n\r\n", request(host=None), request(b"X: " + b"a" * 5000), request(target=b"*")]
)
def test_what_comes_before_nonsense_is_answered(server, second):
    """The first is answered whole; what follows is refused or not answered, and never becomes a request."""
    answer = server.talk(GOOD + second + LAST)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"/ok 0" in answer
    assert b"/last" not in answer
    assert [path for _, path, _, _ in server.application.requests] == ["/ok"]
    assert len(server.application.refusals) == 1


# case 91, case 112
def test_bytes_after_a_body_are_the_next_request_or_nonsense(server):
    answer = server.talk(request(b"Content-Length: 3", method=b"PUT", body=b"abcdef\r\n\r\n") + LAST)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"/x 3" in answer
    assert [path for _, path, _, _ in server.application.requests] == ["/x"]


def test_a_refused_connection_takes_no_further_request(server):
    assert_refused(server, request(host=None) + GOOD + GOOD)


@pytest.mark.parametrize(
    ("start_of", "resource"),
    [
        (b"", ""),
        (b"GET /a%20b?versionId=x HTTP/1.1\r\nX: 1\r\n\r\n", "/a%20b"),
        (b"GET /a HTTP/1.1\r\nX Y: 1\r\n\r\n", "/a"),
        (b"nonsense\r\n\r\n", ""),
    ],
)
def test_a_refusal_names_the_path_as_far_as_it_is_known(server, start_of, resource):
    answer = server.talk(start_of)
    assert b"<Resource>%b</Resource>" % resource.encode() in answer
    assert [path for _, path, _ in server.application.refusals] == [resource]


def test_what_there_is_no_memory_for_is_not_called_nonsense(server, monkeypatch):  # case 135
    def on_url(self, url):
        raise MemoryError

    monkeypatch.setattr(LimitedProtocol, "on_url", on_url)
    assert_refused(server, GOOD, "ServiceUnavailable", 503)


def test_upgrades_are_not_made(server):
    answer = server.talk(request(b"Connection: Upgrade, close", b"Upgrade: websocket", b"Sec-WebSocket-Key: x"))
    assert status_of(answer) in (200, 400)
    assert b"101" not in answer[:20]


@pytest.fixture
async def clock():
    return Clock()


# --- time ------------------------------------------------------------------------------------------------------------


def drip(connection, data):
    """Send a byte whenever the server has said nothing for a moment; return what it says in the end."""
    connection.settimeout(0.02)
    received = b""
    with contextlib.suppress(ConnectionError):
        for byte in data:
            connection.sendall(bytes([byte]))
            try:
                received += connection.recv(65536)
                break
            except TimeoutError:
                continue
        connection.settimeout(PATIENCE_SECONDS)
        received += receive_all(connection)
    return received


# case 101
def test_a_silent_connection_ends(server):
    with server.connect() as connection:
        assert code_of(receive_all(connection)) == "RequestTimeout"


# case 101
@pytest.mark.parametrize("start_of", [b"GET /x HTTP/1.1\r\nHost: h\r\nX: ", b"GET /", b"\r\n"])
def test_headers_that_stop_end(server, start_of):
    with server.connect() as connection:
        send(connection, start_of)
        assert code_of(receive_all(connection)) in ("RequestTimeout", "InvalidRequest")
    assert server.application.requests == []


# case 101
def test_headers_that_drip_end(server):
    with server.connect() as connection:
        answer = drip(connection, b"GET /x HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 1000)
    assert code_of(answer) == "RequestTimeout"


# case 101
def test_headers_that_drip_on_a_kept_connection_end(server):
    with server.connect() as connection:
        send(connection, GOOD)
        assert receive_answer(connection).endswith(b"/ok 0")
        assert code_of(drip(connection, b"GET /x HTTP/1.1\r\nX: " + b"a" * 1000)) == "RequestTimeout"


# case 101
@pytest.mark.parametrize(
    "framing", [[b"Content-Length: 1000"], [b"Transfer-Encoding: chunked"]], ids=["length", "chunked"]
)
def test_a_body_that_stops_ends(server, framing):
    with server.connect() as connection:
        send(connection, request(*framing, method=b"PUT", body=b"3"))
        answer = receive_all(connection)
    assert (status_of(answer), code_of(answer)) == (400, "RequestTimeout")
    assert server.application.disconnected.wait(PATIENCE_SECONDS)
    assert server.application.requests == []


# case 101
def test_a_body_that_drips_ends(server):
    with server.connect() as connection:
        send(connection, request(b"Content-Length: 100000", method=b"PUT"))
        assert code_of(drip(connection, b"a" * 2000)) == "RequestTimeout"
    assert server.application.disconnected.wait(PATIENCE_SECONDS)


def test_a_body_that_moves_may_take_longer_than_the_deadline(start):
    """Forty pieces of 4 KiB over twice the time that a body may stand still."""
    server = start(body_timeout_seconds=0.4)
    with server.connect() as connection:
        connection.sendall(request(b"Content-Length: 163840", b"Connection: close", method=b"PUT"))
        connection.settimeout(0.02)
        for _ in range(39):
            connection.sendall(bytes(4096))
            with pytest.raises(TimeoutError):
                connection.recv(1)
        connection.settimeout(PATIENCE_SECONDS)
        connection.sendall(bytes(4096))
        assert receive_all(connection).endswith(b"/x 163840")


# case 101
def test_a_client_that_does_not_read_is_cut_off(server):
    with server.connect(receive_bytes=4096) as connection:
        send(connection, request(target=b"/big"))
        assert server.application.disconnected.wait(PATIENCE_SECONDS)


# case 101
def test_a_client_that_reads_by_the_byte_is_cut_off(server):
    with server.connect(receive_bytes=4096) as connection:
        send(connection, request(target=b"/big"))
        for _ in range(50 * PATIENCE_SECONDS):
            if server.application.disconnected.wait(0.02):
                return
            with contextlib.suppress(ConnectionError):
                connection.recv(1)
        pytest.fail("it is still connected")


# case 101
@pytest.mark.parametrize("headers", [[], [b"Connection: close"]], ids=["kept", "closed"])
def test_a_client_that_does_not_read_the_end_is_cut_off(start, headers):
    """All that is sent waits in the server when the answer is complete."""
    server = start(idle_seconds=1)
    with server.connect(receive_bytes=4096) as connection:
        send(connection, request(*headers, target=b"/whole"))
        assert connection.recv(1) == b"H"
        wait_until(lambda: server.connections == 0)


async def test_a_closing_connection_that_moves_is_not_cut_off(clock):
    connection, transport = connection_of(None, clock=clock)
    transport.is_closing.return_value = True
    for left in range(100_000, 0, -10_000):
        transport.get_write_buffer_size.return_value = left
        clock.advance(5)
    transport.abort.assert_not_called()
    clock.advance(100)
    transport.abort.assert_called()
    connection.connection_lost(None)


async def test_the_time_between_requests_is_no_time_of_the_next(clock):
    connection, transport = connection_of(Application(), clock=clock, idle_seconds=1000)
    connection.data_received(GOOD)
    await asyncio.gather(*connection.tasks)
    clock.advance(900)
    connection.data_received(request(b"Content-Length: 100", method=b"PUT"))
    clock.advance(50)
    assert b"RequestTimeout" not in transport.write.call_args.args[0]
    clock.advance(20)
    assert b"RequestTimeout" in transport.write.call_args.args[0]
    transport.abort.assert_called()  # a little later, if the client goes on sending
    connection.connection_lost(None)
    await asyncio.gather(*connection.tasks)


def test_a_client_that_reads_gets_all(server):
    with server.connect() as connection:
        send(connection, request(b"Connection: close", target=b"/big"))
        received = 0
        while piece := connection.recv(1 << 20):
            received += len(piece)
    assert received > 64 * 1024 * 1024


# case 102
def test_an_idle_connection_ends(start):
    server = start(idle_seconds=0.2)
    with server.connect() as connection:
        send(connection, GOOD)
        assert receive_answer(connection).endswith(b"/ok 0")
        assert receive_all(connection) == b""


# case 103
def test_more_connections_than_allowed(start):
    server = start(connections=2, header_timeout_seconds=5, body_timeout_seconds=5)
    with server.connect() as first, server.connect() as second:
        for connection in (first, second):
            send(connection, request(b"Content-Length: 5", b"Expect: 100-continue", method=b"PUT"))
            assert status_of(connection.recv(1000)) == 100
        assert_slow_down(server)
        send(first, b"hello")
        assert status_of(receive_answer(first)) == 200
        assert server.works()
        send(second, b"hello")
        assert status_of(receive_answer(second)) == 200


def assert_slow_down(server):
    answer = server.talk(GOOD)
    assert status_of(answer) == 503
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert code_of(answer) == "SlowDown"
    assert b"\r\nconnection: close\r\n" in answer


# case 166
@pytest.mark.parametrize("said", [b"", b"GET /x HTTP/1.1\r\nHost: h\r\n", GOOD], ids=["nothing", "half", "kept"])
def test_the_longest_idle_connection_makes_room(start, said):
    server = start(connections=3, header_timeout_seconds=60)
    with contextlib.ExitStack() as opened:
        idle = [opened.enter_context(server.connect()) for _ in range(3)]
        for connection in idle:
            send(connection, said)
            if said == GOOD:
                assert status_of(receive_answer(connection)) == 200
        newcomers = []
        for connection in idle:
            newcomers.append(opened.enter_context(server.connect()))
            send(newcomers[-1], GOOD)
            assert status_of(receive_answer(newcomers[-1])) == 200
            assert receive_all(connection) == b""
        for connection in newcomers:
            send(connection, LAST)
            assert receive_all(connection).endswith(b"/last 0")


# case 166
def test_a_connection_is_idle_since_its_last_answer(start):
    server = start(connections=2, header_timeout_seconds=60)
    with server.connect() as first, server.connect() as second:
        for connection in (first, second, first):
            send(connection, GOOD)
            assert status_of(receive_answer(connection)) == 200
        assert server.works()
        assert receive_all(second) == b""
        send(first, LAST)
        assert receive_all(first).endswith(b"/last 0")


# case 166
def test_a_connection_with_a_request_makes_no_room(start):
    server = start(connections=2, header_timeout_seconds=60, body_timeout_seconds=60)
    with server.connect() as busy, server.connect() as idle:
        send(busy, request(b"Content-Length: 5", b"Connection: close", b"Expect: 100-continue", method=b"PUT"))
        assert status_of(busy.recv(1000)) == 100
        for _ in range(20):
            assert server.works()
        assert receive_all(idle) == b""
        send(busy, b"hello")
        assert receive_all(busy).endswith(b"/x 5")


# case 166
async def test_the_answer_of_a_connection_that_makes_room_is_sent_before(answered):
    _, transport = answered
    another, _ = connection_of(None, connections=0)
    called = [name for name, *_ in transport.mock_calls]
    assert called.index("write") < called.index("close")
    another.connection_lost(None)


# --- clients that go away --------------------------------------------------------------------------------------------

FRAMINGS = [b"Content-Length: 100", b"Transfer-Encoding: chunked"]


# case 109, case 110
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_client_that_leaves_in_a_body(server, framing):
    with server.connect() as connection:
        send(connection, request(framing, method=b"PUT", body=b"5\r\n123"))
    assert server.application.disconnected.wait(PATIENCE_SECONDS)
    assert server.application.requests == []


# case 109
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_body_that_ends_too_early_is_refused(start, framing):
    """A client that ends its own side alone can still read."""
    server = start()
    with server.connect() as connection:
        send(connection, request(framing, method=b"PUT", body=b"5\r\n123"))
        connection.shutdown(socket.SHUT_WR)
        answer = receive_all(connection)
    assert (status_of(answer), code_of(answer)) == (400, "IncompleteBody")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert server.application.disconnected.wait(PATIENCE_SECONDS)
    assert server.application.requests == []


# case 109
def test_a_body_of_a_later_request_that_ends_too_early_spoils_no_answer(start):
    server = start()
    with server.connect() as connection:
        send(connection, request(b"Content-Length: 1", method=b"PUT", body=b"1"))
        first = receive_answer(connection)
        send(connection, request(b"Content-Length: 3", method=b"PUT", body=b"1"))
        connection.shutdown(socket.SHUT_WR)
        assert (status_of(first), code_of(receive_all(connection))) == (200, "IncompleteBody")


# case 109
def test_a_body_that_ends_too_early_waits_for_the_answers_before_it(start):
    server = start()
    with server.connect() as connection:
        send(connection, request(b"Content-Length: 4", target=b"/stored", method=b"PUT", body=b"1"))
        assert server.application.begun.acquire(timeout=PATIENCE_SECONDS)
        send(connection, b"234" + request(b"Content-Length: 3", method=b"PUT", body=b"1"))
        connection.shutdown(socket.SHUT_WR)
        answers = receive_all(connection)
    assert (status_of(answers), code_of(answers), answers.count(b"HTTP/1.1 ")) == (200, "IncompleteBody", 2)


# case 109
@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_long_body_that_ends_too_early_is_refused_with_what_came(start, size):
    """It is read to where it stays."""
    server = start()
    with server.connect() as connection:
        send(connection, request(b"Content-Length: 2000000", target=b"/stored", method=b"PUT", body=bytes(size)))
        connection.shutdown(socket.SHUT_WR)
        answer = receive_all(connection)
    assert code_of(answer) == "IncompleteBody"
    assert b"<NumberBytesProvided>%d</NumberBytesProvided>" % size in answer


# case 109
def test_many_clients_that_leave(server):
    for number in range(200):
        with server.connect() as connection:
            send(connection, request(b"Content-Length: 9", method=b"PUT", body=b"1")[: number * 3])
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: server.connections == 0)
    assert server.application.requests == []


# case 111
def test_continue_is_said_when_the_body_is_wanted(server):
    with server.connect() as connection:
        send(connection, request(b"Content-Length: 3", b"Expect: 100-continue", b"Connection: close", method=b"PUT"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        send(connection, b"abc")
        assert receive_all(connection).endswith(b"/x 3")


def test_a_client_of_http_1_0_is_not_told_to_continue(server):
    """It knows no answer before the answer (RFC 9110 section 10.1.1)."""
    headers = [b"Content-Length: 3", b"Expect: 100-continue"]
    answer = server.talk(request(*headers, method=b"PUT", body=b"abc").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert status_of(answer) == 200
    assert answer.endswith(b"/x 3")


@pytest.fixture
async def answered():
    """A connection whose client was answered in this turn of the event loop; nothing of it has left yet."""

    async def application(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    application.refuse = Application().refuse
    connection, transport = connection_of(application)
    connection.tasks.add("another")
    connection.data_received(GOOD)
    while not connection.cycle.response_complete:
        await asyncio.sleep(0)
    assert transport.write.mock_calls == []
    yield connection, transport
    connection.connection_lost(None)


async def test_an_answer_is_sent_before_what_follows_it_is_refused(answered):
    connection, transport = answered
    connection.data_received(b"nonsense\r\n\r\n")
    assert [status_of(sent.args[0]) for sent in transport.write.mock_calls] == [200, 400]


async def test_an_answer_is_sent_before_the_server_ends_the_connection(answered):
    connection, transport = answered
    connection.shutdown()
    called = [name for name, *_ in transport.mock_calls]
    assert called.index("write") < called.index("close")
