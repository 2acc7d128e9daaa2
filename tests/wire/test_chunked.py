"""The decoder of aws-chunked bodies: every way to cut a body, every way to break one."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.errors import S3Error, SignatureDoesNotMatch
from s3ish.wire.chunked import MIN_CHUNK_BYTES, ChunkedDecoder
from tests.auth.support import ChunkChain, signed_body

BIG = bytes(range(256)) * 32  # 8,192 bytes, the least that may stand before another chunk
SEED = "5eed" * 16
TRAILER = "x-amz-checksum-crc32"
TRAILERS = [(TRAILER, "AAAAAA==")]


class Signer:
    """Checks the chain by computing it beside the sender."""

    def __init__(self):
        self._chain = ChunkChain(SEED)

    def check_chunk(self, sha256, signature):
        self._check(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._chain._head}\n{self._chain.previous}\n"
            f"{hashlib.sha256().hexdigest()}\n{sha256}",
            signature,
        )

    def check_trailer(self, sha256, signature):
        self._check(f"AWS4-HMAC-SHA256-TRAILER\n{self._chain._head}\n{self._chain.previous}\n{sha256}", signature)

    def _check(self, text, signature):
        if signature != self._chain._next(text):
            raise SignatureDoesNotMatch


def plain(*chunks, trailers=()):
    out = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n"
    return out + b"".join(f"{name}:{value}\r\n".encode() for name, value in trailers) + b"\r\n"


def decode(body, length, *, signer=None, announced=None, cuts=()):
    """Decode a body that arrives in pieces; return payload and trailers."""
    decoder = ChunkedDecoder(length, signer, announced)
    out = bytearray()
    for start, stop in zip((0, *cuts), (*cuts, len(body)), strict=True):
        for piece in decoder.feed(body[start:stop]):
            out += piece
    decoder.finish()
    return bytes(out), decoder.trailers


def code_of(body, length, **arguments):
    """Return the code of the error, the same whether the body comes whole or byte by byte."""
    codes = []
    signed = arguments.pop("signed", False)
    for cuts in ((), range(1, len(body))):
        with pytest.raises(S3Error) as caught:
            decode(body, length, cuts=cuts, signer=Signer() if signed else None, **arguments)
        codes.append(caught.value.code)
        assert caught.value.status in (400, 403)
    assert codes[0] == codes[1]
    return codes[0]


FORMS = {
    "unsigned": (plain(BIG, b"end"), False, None, {}),
    "unsigned, trailer": (plain(BIG, b"end", trailers=TRAILERS), False, TRAILER, dict(TRAILERS)),
    "signed": (signed_body([BIG, b"end"], ChunkChain(SEED)), True, None, {}),
    "signed, trailer": (signed_body([BIG, b"end"], ChunkChain(SEED), TRAILERS), True, TRAILER, dict(TRAILERS)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_split_position(form):
    body, signed, announced, trailers = FORMS[form]
    edges = [*range(1, 120), *range(len(body) - 400, len(body))]  # all that is not data, and its neighbours
    for cut in edges:
        found = decode(body, 8195, signer=Signer() if signed else None, announced=announced, cuts=(cut,))
        assert found == (BIG + b"end", trailers)


@pytest.mark.parametrize("form", FORMS)
def test_byte_by_byte(form):
    body, signed, announced, trailers = FORMS[form]
    signer = Signer() if signed else None
    found = decode(body, 8195, signer=signer, announced=announced, cuts=range(1, len(body)))
    assert found == (BIG + b"end", trailers)


@given(st.data())
def test_any_splitting_gives_the_same(data):
    body, signed, announced, trailers = FORMS[data.draw(st.sampled_from(sorted(FORMS)))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=12)))
    signer = Signer() if signed else None
    assert decode(body, 8195, signer=signer, announced=announced, cuts=cuts) == (BIG + b"end", trailers)


def outcome(body, length, announced, cuts=()):
    try:
        return decode(body, length, announced=announced, cuts=cuts)
    except S3Error as error:
        return error.code


TOKENS = st.sampled_from([b"0", b"1", b"3", b"a", b";", b"\r\n", b"\n", b"\r", b"abc", b":", b"x-a", b" ", b"-", b"x"])


@given(
    st.one_of(st.lists(TOKENS, max_size=14).map(b"".join), st.binary(max_size=30)),
    st.integers(0, 12),
    st.sampled_from([None, "x-a"]),
    st.data(),
)
def test_any_bytes_are_decoded_or_refused_the_same_however_they_arrive(body, length, announced, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=5))) if len(body) > 1 else ()
    whole = outcome(body, length, announced)
    assert outcome(body, length, announced, cuts) == whole
    if isinstance(whole, tuple):
        assert len(whole[0]) == length


def test_empty_bodies():  # case 117
    assert decode(plain(), 0) == (b"", {})
    assert decode(plain(trailers=TRAILERS), 0, announced=TRAILER) == (b"", dict(TRAILERS))
    assert decode(signed_body([], ChunkChain(SEED), TRAILERS), 0, signer=Signer(), announced=TRAILER)[0] == b""


def test_pieces_are_views_of_what_came_and_not_copies():
    body = plain(BIG)
    (piece,) = ChunkedDecoder(len(BIG), None, None).feed(body)
    assert piece.obj is body


@pytest.mark.parametrize("digits", [b"A", b"a", b"0a", b"000000000000000a"])
def test_forms_of_a_size(digits):
    assert decode(digits + b"\r\n0123456789\r\n0\r\n\r\n", 10)[0] == b"0123456789"


# case 89
@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"XYZ",
        b"-5",
        b"+5",
        b"0x5",
        b" 5",
        b"5 ",
        b"5_0",
        b"\t5",
        b"00000000000000005",
        b"1" * 17,
        b"\xd9\xa5",
        b"5;" + b"e" * 5000,
        b"5" * 5000,
        b"5\r",
        b" ;x=1",
        b"5\r;x=1",
    ],
)
def test_bad_sizes(head):
    assert code_of(head + b"\r\nhello\r\n0\r\n\r\n", 5) == "IncompleteBody"


# case 89, case 98
@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\ndummy\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\r\n0\r\n\r\n",
        b"4\r\nhello\r\n0\r\n\r\n",
        b"6\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"5\r\nhello\r\n0",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhello\r\n0\r\n\r",
        b"5\r\nhello\r\n0\r\n\n",
        b"5\r\nhel",
        b"5\r\n",
        b"",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"hello",
        b"5\r\nhello\r\n0\r\nx-amz-meta-a:1\r\n\r\n",
    ],
)
def test_bad_framing(body):
    assert code_of(body, 5) == "IncompleteBody"


# case 88
@pytest.mark.parametrize("length", [0, 4, 6, 2**40])
def test_a_length_that_is_not_the_announced_one(length):
    assert code_of(plain(b"hello"), length) == "IncompleteBody"


# case 87, case 155
@pytest.mark.parametrize("size", [2**30, 2**63, 2**64 - 1])
def test_a_size_is_believed_only_up_to_the_announced_length(size):
    """Nothing is reserved because of a number that a client sent."""
    decoder = ChunkedDecoder(5, None, None)
    with pytest.raises(S3Error) as caught:
        decoder.feed(b"%x\r\n" % size)
    assert caught.value.code == "IncompleteBody"


def test_a_line_without_end_is_cut_off():  # case 89
    decoder = ChunkedDecoder(5, None, None)
    with pytest.raises(S3Error):
        for _ in range(2000):
            decoder.feed(b"5")
    assert len(decoder._line) < 2000


# case 90
def test_small_chunks_come_last():
    small = b"a" * (MIN_CHUNK_BYTES - 1)
    assert decode(plain(small), len(small))[0] == small
    assert decode(plain(BIG, BIG, b"x"), 2 * len(BIG) + 1)[0] == BIG + BIG + b"x"
    assert code_of(plain(small, b"x"), len(small) + 1) == "InvalidChunkSizeError"
    assert code_of(plain(b"x", b"y"), 2) == "InvalidChunkSizeError"
    assert code_of(plain(BIG, b"x", BIG), 2 * len(BIG) + 1) == "InvalidChunkSizeError"


@pytest.mark.parametrize(
    ("chunks", "number", "size"), [([b"hel", b"lo"], 2, 3), ([b"x" * 8192, b"hel", b"lo"], 3, 3), ([b"a"] * 4, 2, 1)]
)
def test_the_small_chunk_is_named_with_the_number_of_the_next(chunks, number, size):
    with pytest.raises(S3Error) as caught:
        decode(plain(*chunks), sum(map(len, chunks)))
    assert (caught.value.status, caught.value.details) == (403, {"Chunk": number, "BadChunkSize": size})


# case 91
@pytest.mark.parametrize("more", [b"x", b"\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n" * 512])
@pytest.mark.parametrize("form", FORMS)
def test_bytes_after_the_end_are_dropped(form, more):
    body, signed, announced, trailers = FORMS[form]
    for cuts in ((), (len(body) - 1,), (len(body),), (len(body) + 1,) if len(more) > 1 else ()):
        signer = Signer() if signed else None
        found = decode(body + more, 8195, signer=signer, announced=announced, cuts=cuts)
        assert found == (BIG + b"end", trailers)


@pytest.mark.parametrize("form", FORMS)
def test_many_bytes_after_the_end_are_refused(form):  # case 91
    body, signed, announced, _ = FORMS[form]
    assert code_of(body + bytes(1025), 8195, signed=signed, announced=announced) == "IncompleteBody"


# --- signatures ------------------------------------------------------------------------------------------------------


def chunk(data, signature):
    return b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), signature.encode(), data)


def signed_chunks(*chunks, seed=SEED):
    chain = ChunkChain(seed)
    return [chunk(data, chain.chunk(data)) for data in [*chunks, b""]]


OTHER = bytes(reversed(BIG))


# case 87
@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize("wrong", ["0" * 64, "f" * 64, "", "é", "ab" * 400])
def test_a_wrong_signature_on_any_chunk(number, wrong):
    chunks = [BIG, OTHER, b"end", b""]
    chain = ChunkChain(SEED)
    parts = []
    for place, data in enumerate(chunks):
        signature = chain.chunk(data)
        parts.append(chunk(data, wrong if place == number else signature))
    assert code_of(b"".join(parts), 2 * len(BIG) + 3, signed=True) == "SignatureDoesNotMatch"


# case 87
@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 1, 3), (0, 0, 2, 3), (1, 2, 3), (0, 2, 3)])
def test_chunks_out_of_order_repeated_or_left_out(order):
    parts = signed_chunks(BIG, OTHER, BIG)
    body = b"".join(parts[number] for number in order)
    assert code_of(body, len(BIG) * (len(order) - 1), signed=True) == "SignatureDoesNotMatch"


def test_the_chain_of_another_request():  # case 87
    body = b"".join(signed_chunks(BIG, b"end", seed="07e4" * 16))
    assert code_of(body, 8195, signed=True) == "SignatureDoesNotMatch"


@given(st.integers(0, len(BIG) + 2))
def test_every_byte_of_the_data_is_signed(position):
    data = bytearray(BIG + b"end")
    parts = signed_chunks(BIG, b"end")
    data[position] ^= 1
    first = parts[0][: -len(BIG) - 2] + bytes(data[: len(BIG)]) + b"\r\n"
    second = parts[1][:-5] + bytes(data[len(BIG) :]) + b"\r\n"
    with pytest.raises(S3Error) as caught:
        decode(first + second + parts[2], 8195, signer=Signer())
    assert caught.value.code == "SignatureDoesNotMatch"


# case 87
@pytest.mark.parametrize("left", range(3))
def test_a_body_that_ends_before_its_final_chunk(left):
    body = b"".join(signed_chunks(BIG, b"end")[:left])
    assert code_of(body, 8195, signed=True) == "IncompleteBody"


# case 89
@pytest.mark.parametrize("extension", [b"", b";", b";chunk-sig=ab", b";Chunk-Signature=ab", b";x=1;chunk-signature=ab"])
def test_chunks_without_a_signature(extension):
    assert code_of(b"5%s\r\nhello\r\n0%s\r\n\r\n" % (extension, extension), 5, signed=True) == "IncompleteBody"


@pytest.mark.parametrize("form", [b" ;chunk-signature=%s", b"; chunk-signature=%s", b";\tchunk-signature = %s  "])
def test_blanks_in_an_extension_mean_nothing(form):
    chain = ChunkChain(SEED)
    body = b"".join(
        b"%x%b\r\n%b\r\n" % (len(data), form % chain.chunk(data).encode(), data) for data in (b"hello", b"")
    )
    assert decode(body, 5, signer=Signer())[0] == b"hello"


def test_extensions_of_unsigned_chunks_mean_nothing():
    assert decode(b"5;chunk-signature=made-up\r\nhello\r\n0;x=1\r\n\r\n", 5)[0] == b"hello"


# --- trailers --------------------------------------------------------------------------------------------------------


# case 92, case 94
@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"x-amz-checksum-crc32c:AAAAAA==\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-sha1:AAAA\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-acl:public-read\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-meta-x:1\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:" + b"0" * 64 + b"\r\n",
        b"x-amz-checksum-crc32\r\n",
        b":AAAAAA==\r\n",
        b"=\r\n",
    ],
)
def test_trailers_other_than_announced(lines):
    body = b"5\r\nhello\r\n0\r\n" + lines + b"\r\n"
    assert code_of(body, 5, announced=TRAILER) == "MalformedTrailerError"


def test_trailers_that_were_not_announced():  # case 92
    body = plain(b"hello", trailers=TRAILERS)
    assert code_of(body, 5) == "IncompleteBody"
    assert code_of(body, 5, announced="") == "MalformedTrailerError"


def test_a_body_whose_form_has_trailers_may_have_none():
    assert decode(plain(b"hello"), 5, announced="")[0] == b"hello"
    assert decode(signed_body([b"hello"], ChunkChain(SEED)), 5, signer=Signer(), announced="")[0] == b"hello"


# case 92
@pytest.mark.parametrize("size", [1200, 5000, 100_000])
def test_long_trailers(size):
    body = plain(b"hello", trailers=[(TRAILER, "A" * size)])
    assert code_of(body, 5, announced=TRAILER) in ("MalformedTrailerError", "IncompleteBody")


def test_many_trailers():  # case 92
    body = plain(b"hello", trailers=[(f"x-{number}", "a" * 900) for number in range(10_000)])
    decoder = ChunkedDecoder(5, None, TRAILER)
    with pytest.raises(S3Error) as caught:
        decoder.feed(body)
    assert caught.value.code == "MalformedTrailerError"
    assert sum(map(len, decoder.trailers.values())) < 5000


@pytest.mark.parametrize("line", ["x-amz-checksum-crc32: AAAAAA== ", "X-Amz-Checksum-CRC32:AAAAAA=="])
def test_forms_of_a_trailer(line):
    body = b"5\r\nhello\r\n0\r\n" + line.encode() + b"\r\n\r\n"
    for announced in (TRAILER, "X-Amz-Checksum-Crc32", f" {TRAILER} ,"):
        assert decode(body, 5, announced=announced) == (b"hello", dict(TRAILERS))


ENDS = [b"\r\n", b"\n", b" \r\n", b"\n\r\n"]
"""How clients end the line of a trailer; minio-go ends it with LF and puts CRLF behind that."""


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("last", [b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n"])
def test_how_the_lines_of_trailers_end(end, last):
    body = b"5\r\nhello\r\n0\r\n" + f"{TRAILER}:AAAAAA==".encode() + end + last
    for cuts in ((), range(1, len(body))):
        assert decode(body, 5, announced=TRAILER, cuts=cuts) == (b"hello", dict(TRAILERS))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("last", [b"\r\n\r\n", b"\n\n", b"\r\n", b"\n", b"\r\n\r\n\r\n"])
def test_how_the_lines_of_signed_trailers_end(end, last):
    body = signed_body([b"hello"], ChunkChain(SEED), TRAILERS)
    body = body.replace(b"AAAAAA==\r\n", b"AAAAAA==" + end).removesuffix(b"\r\n\r\n") + last
    for cuts in ((), range(1, len(body))):
        assert decode(body, 5, signer=Signer(), announced=TRAILER, cuts=cuts) == (b"hello", dict(TRAILERS))


@pytest.mark.parametrize("body", [b"3\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n", b"x\r\nhello", b"5\nhello"])
def test_what_is_said_of_a_framing_that_is_not_right(body):
    with pytest.raises(S3Error) as caught:
        decode(body, 5)
    assert caught.value.message == "The request body terminated unexpectedly"


@pytest.mark.parametrize("cut", [b"x-amz-checksum-crc32", b"x-amz-checksum-crc32:AAAAAA==", b""])
def test_a_trailer_whose_line_does_not_end(cut):
    assert code_of(b"5\r\nhello\r\n0\r\n" + cut, 5, announced=TRAILER) == "IncompleteBody"


def test_empty_lines_without_end():  # case 92
    body = signed_body([b"hello"], ChunkChain(SEED), TRAILERS).replace(b"AAAAAA==\r\n", b"AAAAAA==" + b"\r\n" * 5000)
    assert code_of(body, 5, signed=True, announced=TRAILER) == "MalformedTrailerError"


def test_of_a_trailer_that_is_given_twice_the_last_counts():
    twice = [(TRAILER, "AAAAAA=="), (TRAILER, "BBBBBB==")]
    assert decode(plain(b"hello", trailers=twice), 5, announced=TRAILER)[1] == {TRAILER: "BBBBBB=="}
    body = signed_body([b"hello"], ChunkChain(SEED), twice)
    assert decode(body, 5, signer=Signer(), announced=TRAILER)[1] == {TRAILER: "BBBBBB=="}


# case 93
@pytest.mark.parametrize("change", ["value", "signature", "signature left out", "from another body"])
def test_signed_trailers_that_were_changed(change):
    body = signed_body([b"hello"], ChunkChain(SEED), TRAILERS)
    if change == "value":
        body = body.replace(b"AAAAAA==", b"AAAAAB==")
    elif change == "signature":
        place = body.index(b"trailer-signature:") + len("trailer-signature:")
        body = body[:place] + b"0" * 64 + body[place + 64 :]
    elif change == "signature left out":
        body = body[: body.index(b"x-amz-trailer-signature")] + b"\r\n"
    else:
        other = signed_body([b"other"], ChunkChain(SEED), TRAILERS)
        mark = b"x-amz-trailer-signature"
        body = body[: body.index(mark)] + other[other.index(mark) :]
    assert code_of(body, 5, signed=True, announced=TRAILER) == "SignatureDoesNotMatch"
