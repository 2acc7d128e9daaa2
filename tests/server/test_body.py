"""The body of a request: held to what the headers say of it."""

import asyncio
import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.auth.payload import Payload, PayloadMode
from s3ish.errors import EntityTooLarge, InvalidRequest, MissingContentLength, S3Error, SlowDown
from s3ish.objects.digests import Claims
from s3ish.server.body import MAX_BODY_BYTES, Disconnected, Longest, RequestBody
from s3ish.server.document_room import FREE_BYTES, DocumentRoom

DATA = b"some data to store"
UNSIGNED = Payload(PayloadMode.UNSIGNED)
TRAILING = Payload(PayloadMode.STREAMING_UNSIGNED_TRAILER)
CRC32 = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()
MD5 = base64.b64encode(hashlib.md5(DATA).digest()).decode()
SHA256 = hashlib.sha256(DATA).hexdigest()


class Wire:
    """ASGI's receive: gives the pieces, then says that the client went away; counts how often it was asked."""

    def __init__(self, *pieces, complete=True):
        self._messages = [
            {"type": "http.request", "body": piece, "more_body": not complete or number < len(pieces) - 1}
            for number, piece in enumerate(pieces or (b"",))
        ]
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        return self._messages.pop(0) if self._messages else {"type": "http.disconnect"}


def named(headers):
    return {name.replace("_", "-"): str(value) for name, value in headers.items()}


def body_of(*pieces, payload=UNSIGNED, complete=True, **headers):
    """A body that arrives in pieces, of which its headers tell the length unless they say something else."""
    if "content_length" not in headers and "transfer_encoding" not in headers:
        headers["content_length"] = sum(map(len, pieces))
    body = RequestBody(Wire(*pieces, complete=complete), named(headers))
    body.read_claims(payload)
    return body


async def read_all(body, step=1 << 20):
    out = b""
    while piece := await body.read(step):
        assert len(piece) <= step
        out += piece
    return out


async def code_of(body):
    with pytest.raises(S3Error) as caught:
        await read_all(body)
    return caught.value.code


def claim_error(payload=UNSIGNED, **headers):
    with pytest.raises(S3Error) as caught:
        RequestBody(Wire(), named({"content_length": 5, **headers})).read_claims(payload)
    return caught.value.status, caught.value.code


def chunked(*chunks, trailer=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize("step", [1, 5, 7, 18, 19, 1000])
async def test_pieces_are_cut_as_asked(step):
    body = body_of(DATA[:3], DATA[3:10], b"", DATA[10:])
    pieces = []
    while piece := await body.read(step):
        pieces.append(bytes(piece))
    assert b"".join(pieces) == DATA
    assert all(len(piece) == step for piece in pieces[:-1])
    assert body.is_read
    assert body.received == len(DATA)
    assert body.unread_bytes == 0


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_any_pieces_and_any_steps(pieces, steps):
    async def read():
        body = body_of(*pieces)
        out = b""
        for step in steps:
            piece = bytes(await body.read(step))
            out += piece
            assert len(piece) == min(step, len(b"".join(pieces)) - len(out) + len(piece))
        return out + await read_all(body)

    assert asyncio.run(read()) == b"".join(pieces)


async def test_no_more_is_taken_from_the_wire_than_was_asked_for():  # case 113
    wire = Wire(*[bytes(100)] * 50)
    body = RequestBody(wire, {"content-length": "5000"})
    body.read_claims(UNSIGNED)
    await body.read(250)
    assert wire.asked == 3


def test_headers_alone_ask_for_nothing():
    """Asking for the first byte says 100 Continue."""  # case 111
    wire = Wire(DATA)
    body = RequestBody(wire, {"content-length": "18", "expect": "100-continue"})
    body.read_claims(UNSIGNED)
    body.check_length()
    assert wire.asked == 0


async def test_the_client_goes_away():  # case 110
    body = body_of(DATA[:5], complete=False, content_length=18)
    with pytest.raises(Disconnected):
        await read_all(body)
    assert not body.is_read


# case 88
@pytest.mark.parametrize("length", [17, 19, 0])
async def test_another_length_than_announced(length):
    body = body_of(DATA, content_length=length)
    assert await code_of(body) == "IncompleteBody"


# case 88, case 96
@pytest.mark.parametrize(
    "text", ["", "-1", "+5", "1e3", "1_0", "0x5", "5, 5", "5,5", " 5", "\u0665", "9" * 19, "9" * 5000]
)
def test_lengths_that_are_none(text):
    with pytest.raises(InvalidRequest):
        RequestBody(Wire(), {"content-length": text})
    body = RequestBody(Wire(), {"content-length": "5", "x-amz-decoded-content-length": text})
    with pytest.raises(MissingContentLength):
        body.read_claims(TRAILING)


def test_no_length():  # case 118
    body = RequestBody(Wire(), {})
    assert body.is_empty
    assert body.is_read
    with pytest.raises(S3Error) as caught:
        body.check_length()
    assert caught.value.code == "MissingContentLength"


def test_too_long():  # case 119
    RequestBody(Wire(), {"content-length": str(MAX_BODY_BYTES)}).check_length()
    with pytest.raises(S3Error) as caught:
        RequestBody(Wire(), {"content-length": str(MAX_BODY_BYTES + 1)}).check_length()
    assert caught.value.code == "EntityTooLarge"


def test_too_long_once_decoded():  # case 119
    headers = {"transfer-encoding": "chunked", "x-amz-decoded-content-length": str(MAX_BODY_BYTES + 1)}
    body = RequestBody(Wire(), headers)
    body.read_claims(TRAILING)
    with pytest.raises(S3Error) as caught:
        body.check_length()
    assert caught.value.code == "EntityTooLarge"


def test_a_decoded_length_counts_only_where_there_is_something_to_decode():
    headers = {"content-length": "11", "x-amz-decoded-content-length": "1"}
    with pytest.raises(EntityTooLarge):
        RequestBody(Wire(), headers, longest=Longest(10)).check_length()


async def test_too_long_without_an_announced_length():
    told = []
    longest = Longest(10, lambda: told.append("exceeded"))
    body = RequestBody(Wire(DATA), {"transfer-encoding": "chunked"}, longest=longest)
    assert await code_of(body) == "EntityTooLarge"
    assert told == ["exceeded"]


async def test_chunked_framing_needs_no_length():
    body = body_of(DATA[:5], DATA[5:], transfer_encoding="chunked")
    assert body.size is None
    assert body.unread_bytes is None
    assert not body.is_read
    assert await read_all(body) == DATA
    assert body.is_read


# --- claims ----------------------------------------------------------------------------------------------------------


def test_claims():
    payload = Payload(PayloadMode.SIGNED, SHA256)
    body = body_of(DATA, payload=payload, content_md5=MD5, x_amz_checksum_crc32=CRC32)
    assert body.claims() == Claims(hashlib.md5(DATA).digest(), SHA256, CRC32)
    assert body.algorithm == "CRC32"
    assert body.expects_sha256


# case 115
@pytest.mark.parametrize(
    "text", ["", "x", "not base64!", base64.b64encode(bytes(15)).decode(), MD5 + "\n", "é", "0" * 32]
)
def test_malformed_md5(text):
    assert claim_error(content_md5=text) == (400, "InvalidDigest")


# case 116
@pytest.mark.parametrize(
    "headers",
    [
        {"x_amz_checksum_crc32": ""},
        {"x_amz_checksum_crc32": "AAAA"},
        {"x_amz_checksum_sha256": CRC32},
        {"x_amz_checksum_crc32": CRC32, "x_amz_checksum_sha1": base64.b64encode(bytes(20)).decode()},
        {"x_amz_checksum_crc32": f"{CRC32},{CRC32}"},
        {"x_amz_sdk_checksum_algorithm": "CRC32"},
        {"x_amz_sdk_checksum_algorithm": "CRC31", "x_amz_checksum_crc32": CRC32},
        {"x_amz_sdk_checksum_algorithm": "SHA1", "x_amz_checksum_crc32": CRC32},
        {"x_amz_checksum_crc32": CRC32, "x_amz_trailer": "x-amz-checksum-crc32"},
    ],
)
def test_malformed_checksums(headers):
    payload = TRAILING if "x_amz_trailer" in headers else UNSIGNED
    assert claim_error(payload, x_amz_decoded_content_length=5, **headers) == (400, "InvalidRequest")


# case 92, case 94
@pytest.mark.parametrize(
    "announced", ["x-amz-acl", "x-amz-meta-a", "x-amz-checksum-crc31", "x-amz-checksum-crc32,x-amz-acl", "", ","]
)
def test_only_a_checksum_may_trail(announced):
    error = claim_error(TRAILING, x_amz_trailer=announced, x_amz_decoded_content_length=5)
    assert error == (400, "InvalidRequest")


# case 92
@pytest.mark.parametrize("mode", [PayloadMode.UNSIGNED, PayloadMode.SIGNED, PayloadMode.STREAMING_SIGNED])
def test_a_trailer_where_none_can_come(mode):
    """A checksum that was announced is not silently left out."""
    payload = Payload(mode, SHA256 if mode is PayloadMode.SIGNED else None)
    error = claim_error(payload, x_amz_trailer="x-amz-checksum-crc32", x_amz_decoded_content_length=5)
    assert error == (400, "InvalidRequest")


@pytest.mark.parametrize("announced", ["x-amz-checksum-crc32,", ", X-Amz-Checksum-CRC32", " ,x-amz-checksum-crc32 ,, "])
def test_empty_items_of_what_is_announced_mean_nothing(announced):
    body = body_of(payload=TRAILING, x_amz_trailer=announced, x_amz_decoded_content_length=5)
    assert body.algorithm == "CRC32"


def test_two_checksums_are_announced():  # case 92
    announced = "x-amz-checksum-crc32,x-amz-checksum-sha1"
    error = claim_error(TRAILING, x_amz_trailer=announced, x_amz_decoded_content_length=5)
    assert error == (400, "InvalidRequest")


@pytest.mark.parametrize("mode", [PayloadMode.UNSIGNED, PayloadMode.STREAMING_SIGNED])
def test_a_trailer_is_announced_and_sent_as_a_header(mode):
    """The Java SDK does so where it signs chunks."""
    headers = {"x_amz_trailer": "x-amz-checksum-crc32", "x_amz_checksum_crc32": CRC32}
    body = body_of(payload=Payload(mode), x_amz_decoded_content_length=len(DATA), **headers)
    assert (body.algorithm, body.claims().checksum) == ("CRC32", CRC32)


# case 88
@pytest.mark.parametrize(
    "mode",
    [PayloadMode.STREAMING_SIGNED, PayloadMode.STREAMING_SIGNED_TRAILER, PayloadMode.STREAMING_UNSIGNED_TRAILER],
)
def test_streaming_without_the_decoded_length(mode):
    assert claim_error(Payload(mode)) == (411, "MissingContentLength")


async def test_a_trailing_checksum_is_known_at_the_end():
    wire = chunked(DATA, trailer=b"x-amz-checksum-crc32:" + CRC32.encode() + b"\r\n")
    headers = {"x_amz_trailer": "x-amz-checksum-crc32", "x_amz_decoded_content_length": len(DATA)}
    body = body_of(wire[:7], wire[7:], payload=TRAILING, **headers)
    assert body.size == len(DATA)
    assert body.algorithm == "CRC32"
    assert body.claims().checksum is None
    assert await read_all(body) == DATA
    assert body.claims().checksum == CRC32


# case 92
@pytest.mark.parametrize("value", ["", "x", "AAAA", "not base64!", "=", CRC32 + CRC32])
async def test_malformed_trailing_checksums(value):
    wire = chunked(DATA, trailer=b"x-amz-checksum-crc32:" + value.encode() + b"\r\n")
    headers = {"x_amz_trailer": "x-amz-checksum-crc32", "x_amz_decoded_content_length": len(DATA)}
    assert await code_of(body_of(wire, payload=TRAILING, **headers)) == "InvalidRequest"


# case 95
async def test_a_plain_body_announced_as_chunked():
    assert await code_of(body_of(DATA, payload=TRAILING, x_amz_decoded_content_length=18)) == "IncompleteBody"


# --- documents -------------------------------------------------------------------------------------------------------


async def test_documents():
    body = body_of(DATA, content_md5=MD5)
    assert await body.document(100, needs_digest=True, room=DocumentRoom()) == DATA
    assert await RequestBody(Wire(), {}).document(100, needs_digest=True, room=DocumentRoom()) == b""


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "InvalidRequest"),
        ({"content_md5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
        ({"x_amz_checksum_crc32": "AAAAAA=="}, "BadDigest"),
        ({"content_md5": MD5, "payload": Payload(PayloadMode.SIGNED, "0" * 64)}, "XAmzContentSHA256Mismatch"),
    ],
)
async def test_documents_are_verified(headers, code):  # case 61, case 67, case 115, case 116
    with pytest.raises(S3Error) as caught:
        await body_of(DATA, **headers).document(100, needs_digest=True, room=DocumentRoom())
    assert caught.value.code == code


@pytest.mark.parametrize("framing", [{"content_length": 500}, {"transfer_encoding": "chunked"}])
async def test_documents_that_are_too_long(framing):  # case 128
    pieces = [bytes(10)] * 50
    wire = Wire(*pieces)
    body = RequestBody(wire, named(framing))
    body.read_claims(UNSIGNED)
    with pytest.raises(S3Error) as caught:
        await body.document(100, needs_digest=False, room=DocumentRoom())
    assert caught.value.code == "MaxMessageLengthExceeded"
    assert wire.asked <= 11


@pytest.mark.parametrize("framing", [{}, {"transfer_encoding": "chunked"}])
async def test_a_long_document_has_room_until_it_is_left(framing):  # case 113
    room = DocumentRoom(100_000)
    body = body_of(*[bytes(10_000)] * 5, **framing)
    assert await body.document(60_000, needs_digest=False, room=room) == bytes(50_000)
    assert room.taken == 50_000 - FREE_BYTES
    body.leave_room()
    body.leave_room()
    assert room.taken == 0


@pytest.mark.parametrize("framing", [{}, {"transfer_encoding": "chunked"}])
async def test_a_document_that_finds_no_room_is_refused_and_not_held(framing):  # case 113
    """However many have stopped in the middle: what they have sent stays bounded."""
    room = DocumentRoom(100_000)
    stopped = [body_of(*[bytes(10_000)] * 5, complete=False, content_length=60_000) for _ in range(2)]
    for body in stopped:
        with pytest.raises(Disconnected):
            await body.document(60_000, needs_digest=False, room=room)
    assert room.taken == 2 * (40_000 - FREE_BYTES)
    late = RequestBody(wire := Wire(*[bytes(80_000)] * 20), named({"content_length": 1_600_000} | framing))
    late.read_claims(UNSIGNED)
    with pytest.raises(SlowDown):
        await late.document(2_000_000, needs_digest=False, room=room)
    assert wire.asked == 1
    await late.drain(2_000_000)
    assert late.is_read
    late.leave_room()
    short = body_of(bytes(FREE_BYTES))
    assert await short.document(60_000, needs_digest=False, room=DocumentRoom(0)) == bytes(FREE_BYTES)
    for body in stopped:
        body.leave_room()
    assert room.taken == 0


# --- what is left ----------------------------------------------------------------------------------------------------


async def test_draining():
    body = body_of(DATA[:5], DATA[5:])
    await body.read(3)
    await body.drain(1000)
    assert body.is_read


async def test_draining_stops_at_its_limit():
    body = body_of(*[bytes(100)] * 50)
    await body.drain(250)
    assert not body.is_read
    assert body.received == 300


async def test_draining_a_broken_body_raises_nothing_more():
    body = body_of(b"XYZ\r\n", bytes(50), b"", payload=TRAILING, x_amz_decoded_content_length=5)
    with pytest.raises(S3Error):
        await body.read(10)
    await body.drain(1000)
    assert body.is_read


async def test_draining_when_the_client_is_gone():
    body = body_of(DATA, complete=False, content_length=100)
    with pytest.raises(Disconnected):
        await body.drain(1000)
