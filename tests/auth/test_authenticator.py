"""What botocore signs is accepted, and no byte of it can be changed."""

import hashlib
from datetime import timedelta
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from s3ish.auth import sigv4
from s3ish.auth.payload import Payload, PayloadMode
from s3ish.errors import S3Error
from s3ish.wire.chunked import ChunkedDecoder
from tests.auth.support import (
    ALICE,
    BOB,
    NOW,
    STREAMING,
    STREAMING_TRAILER,
    UNSIGNED,
    UNSIGNED_TRAILER,
    ChunkChain,
    authenticator,
    encode_key,
    encode_query,
    sign_header,
    sign_query,
    sign_query_v2,
    signature_of,
    signed_body,
    with_headers,
)

METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"])
SEGMENTS = st.sampled_from(["", ".", "..", "a", "b c", "+", "%", "%2F", "%zz", "é", "é", "🪣", "~", "!*'();:@&=$,?#[]"])
KEYS = st.one_of(
    st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text("ab ./%+", max_size=12),
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda n: "X-Amz-" not in n)
QUERIES = st.lists(
    st.tuples(
        st.one_of(NAMES, st.sampled_from(["acl", "prefix", "uploadId", "list-type"])),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda v: "X-Amz-" not in v),
    ),
    max_size=5,
    unique_by=lambda pair: pair[0],
)
VALUES = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], include_characters=" \t"), max_size=20
)
HEADERS = st.lists(
    st.tuples(
        st.one_of(
            st.from_regex(r"\Ax-amz-meta-[a-z0-9_.-]{1,10}\Z"),
            st.sampled_from(["Content-Type", "Cache-Control", "x-amz-acl", "If-Match", "Range", "x-amz-tagging"]),
        ),
        VALUES,
    ),
    max_size=6,
)


@given(METHODS, KEYS, QUERIES, HEADERS, st.binary(max_size=40), st.sampled_from([ALICE, BOB]))
def test_what_botocore_signs_in_a_header_is_accepted(method, key, query, headers, body, user):
    request = sign_header(method, f"/bucket/{encode_key(key)}", encode_query(query), headers, body, user=user)
    found = authenticator().identify(request, NOW)
    assert found.user == user
    assert found.way == "REST-HEADER"
    assert found.payload == Payload(PayloadMode.SIGNED, hashlib.sha256(body).hexdigest())


@given(METHODS, KEYS, QUERIES, HEADERS, st.integers(1, 604800), st.sampled_from([ALICE, BOB]))
def test_what_botocore_presigns_is_accepted(method, key, query, headers, expires, user):
    path = f"/bucket/{encode_key(key)}"
    request = sign_query(method, path, encode_query(query), headers, expires=expires, user=user)
    found = authenticator().identify(request, NOW)
    assert found.user == user
    assert found.way == "REST-QUERY-STRING"
    assert found.payload == Payload(PayloadMode.UNSIGNED)


DIGEST = "ab" * 32
IN_QUERY = f"X-Amz-Content-Sha256={DIGEST}"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (sign_query("PUT", "/b/k"), UNSIGNED),
        (sign_query("PUT", "/b/k", IN_QUERY, covers=DIGEST), DIGEST),
        (with_headers(sign_query("PUT", "/b/k", covers=DIGEST), x_amz_content_sha256=DIGEST), DIGEST),
        (with_headers(sign_query("PUT", "/b/k"), x_amz_content_sha256=DIGEST), UNSIGNED),
        (with_headers(sign_query("GET", "/b/k"), x_amz_content_sha256=DIGEST), UNSIGNED),
        (with_headers(sign_query("GET", "/b/k"), x_amz_content_sha256=STREAMING), UNSIGNED),
        (sign_query_v2("PUT", "/b/k"), ""),
        (sign_header("PUT", "/b/k"), ""),
    ],
)
def test_what_a_signature_in_a_query_says_of_the_body(request_, told):
    """What its holder adds to a URL was signed by nobody."""
    assert authenticator().identify(request_, NOW).presigned_payload == told


@pytest.mark.parametrize(
    ("covers", "mode"),
    [
        (UNSIGNED, PayloadMode.UNSIGNED),
        (STREAMING, PayloadMode.STREAMING_SIGNED),
        (STREAMING_TRAILER, PayloadMode.STREAMING_SIGNED_TRAILER),
        (UNSIGNED_TRAILER, PayloadMode.STREAMING_UNSIGNED_TRAILER),
    ],
)
def test_the_ways_to_cover_a_body(covers, mode):
    found = authenticator().identify(sign_header("PUT", "/b/k", covers=covers), NOW)
    assert found.payload.mode is mode
    assert found.payload.sha256 is None
    assert (found.payload.signer is not None) == ("HMAC" in covers)


@given(st.lists(st.integers(8192, 8200), max_size=2), st.binary(min_size=1, max_size=9), st.booleans())
def test_a_chain_of_signed_chunks_is_accepted(sizes, last, trailing):
    chunks = [*(bytes([size % 256]) * size for size in sizes), last]
    request = sign_header("PUT", "/b/k", covers=STREAMING_TRAILER if trailing else STREAMING)
    signer = authenticator().identify(request, NOW).payload.signer
    trailers = [("x-amz-checksum-crc32", "AAAAAA==")] if trailing else None
    body = signed_body(chunks, ChunkChain(signature_of(request)), trailers)
    data = b"".join(chunks)
    decoder = ChunkedDecoder(len(data), signer, "x-amz-checksum-crc32" if trailing else None)
    assert b"".join(decoder.feed(body)) == data
    decoder.finish()
    assert decoder.trailers == dict(trailers or [])


def test_nobody_signed_an_anonymous_request():
    request = sign_header("GET", "/b/k", "prefix=a&versionId=X-Amz-Date")
    bare = replace(request, headers={"host": "h", "x-amz-content-sha256": UNSIGNED})
    found = authenticator().identify(bare, NOW)
    assert found.user is None
    assert found.payload == Payload(PayloadMode.UNSIGNED)


@pytest.mark.parametrize(
    "query", ["prefix=X-Amz-Date", "prefix=X-Amz-Signature", "delimiter=Signature%3D&prefix=AWSAccessKeyId"]
)
def test_a_value_that_looks_like_authentication_is_only_a_value(query):
    assert authenticator().identify(sign_header("GET", "/b", query), NOW).user == ALICE
    assert authenticator().identify(sign_query("GET", "/b", query), NOW).user == ALICE


# --- every single byte counts ----------------------------------------------------------------------------------------

PATH = "/bucket/" + encode_key("folder//./na+me %2F é.txt")
QUERY = encode_query([("uploadId", "a b+c/é"), ("partNumber", "12"), ("acl", "")])
SIGNED_HEADERS = [("x-amz-meta-note", "some text"), ("Content-Type", "text/plain"), ("x-amz-acl", "private")]
BY_HEADER = sign_header("PUT", PATH, QUERY, SIGNED_HEADERS, b"the body")
BY_QUERY = sign_query("PUT", PATH, QUERY, SIGNED_HEADERS)
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def replaced(text, position, character):
    return text[:position] + character + text[position + 1 :]


def refusal(request):
    with pytest.raises(S3Error) as caught:
        authenticator().identify(request, NOW)
    return caught.value.code


def meaning(query):
    return sorted(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))


@st.composite
def mutations(draw, text):
    """A text with one byte replaced, removed or added."""
    position = draw(st.integers(0, len(text) - 1))
    character = draw(st.sampled_from(PRINTABLE))
    kind = draw(st.sampled_from(["replace", "remove", "add"]))
    if kind == "remove":
        return text[:position] + text[position + 1 :]
    return replaced(text, position, character) if kind == "replace" else text[:position] + character + text[position:]


@pytest.mark.parametrize("request_", [BY_HEADER, BY_QUERY], ids=["header", "query"])
@given(path=mutations(PATH))
def test_no_byte_of_the_path_can_be_changed(request_, path):
    assume(unquote_to_bytes(path) != unquote_to_bytes(PATH))
    assert refusal(replace(request_, raw_path=path)) == "SignatureDoesNotMatch"


@given(mutations(QUERY))
def test_no_byte_of_the_query_can_be_changed(query):
    assume(meaning(query) != meaning(QUERY))
    assert refusal(replace(BY_HEADER, raw_query=query)) == "SignatureDoesNotMatch"


@given(mutations(BY_QUERY.raw_query))
def test_no_byte_of_a_presigned_query_can_be_changed(query):
    assume(meaning(query) != meaning(BY_QUERY.raw_query))
    assert refusal(replace(BY_QUERY, raw_query=query)) in {
        "SignatureDoesNotMatch",
        "AuthorizationQueryParametersError",
        "InvalidAccessKeyId",
        "AccessDenied",
        "InvalidRequest",
        "InvalidArgument",
    }


@pytest.mark.parametrize("request_", [BY_HEADER, BY_QUERY], ids=["header", "query"])
@pytest.mark.parametrize("name", ["host", "x-amz-meta-note", "content-type", "x-amz-acl"])
@given(data=st.data())
def test_no_byte_of_a_signed_header_can_be_changed(request_, name, data):
    value = data.draw(mutations(request_.headers[name]))
    assume(value.split() != request_.headers[name].split())
    assert refusal(replace(request_, headers={**request_.headers, name: value})) == "SignatureDoesNotMatch"


@given(mutations(BY_HEADER.headers["x-amz-content-sha256"]))
def test_no_byte_of_the_bodys_hash_can_be_changed(value):
    assume(value != BY_HEADER.headers["x-amz-content-sha256"])
    request = replace(BY_HEADER, headers={**BY_HEADER.headers, "x-amz-content-sha256": value})
    well_formed = len(value) == 64 and set(value) <= set("0123456789abcdefABCDEF")
    assert refusal(request) == ("SignatureDoesNotMatch" if well_formed else "InvalidArgument")


@given(mutations(BY_HEADER.headers["authorization"]))
def test_no_byte_of_the_authorization_can_be_changed(value):
    original = BY_HEADER.headers["authorization"]
    assume(value.replace(" ", "") != original.replace(" ", ""))
    request = replace(BY_HEADER, headers={**BY_HEADER.headers, "authorization": value})
    assert refusal(request) in {
        "SignatureDoesNotMatch",
        "AuthorizationHeaderMalformed",
        "InvalidAccessKeyId",
        "InvalidRequest",
        "InvalidArgument",
        "AccessDenied",
    }


@given(mutations(BY_HEADER.headers["x-amz-date"]))
def test_no_byte_of_the_date_can_be_changed(value):
    assume(value != BY_HEADER.headers["x-amz-date"])
    request = replace(BY_HEADER, headers={**BY_HEADER.headers, "x-amz-date": value})
    assert refusal(request) in {
        "SignatureDoesNotMatch",
        "RequestTimeTooSkewed",
        "AccessDenied",
        "AuthorizationHeaderMalformed",
    }


# case 64
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "put"])
@pytest.mark.parametrize("request_", [BY_HEADER, BY_QUERY], ids=["header", "query"])
def test_the_method_cannot_be_changed(request_, method):
    assert refusal(replace(request_, method=method)) == "SignatureDoesNotMatch"


# case 51
@pytest.mark.parametrize("position", range(64))
def test_every_digit_of_a_signature_counts(position):
    signature = signature_of(BY_HEADER)
    for digit in set("0123456789abcdef") - {signature[position]}:
        changed = BY_HEADER.headers["authorization"].replace(signature, replaced(signature, position, digit))
        request = replace(BY_HEADER, headers={**BY_HEADER.headers, "authorization": changed})
        assert refusal(request) == "SignatureDoesNotMatch"


@given(
    st.binary(max_size=200),
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(
            ["authorization", "x-amz-date", "date", "host", "x-amz-content-sha256", "x-amz-security-token"]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    ),
)
def test_nothing_that_arrives_is_more_than_refused(path, query, headers):
    """Any bytes at all: an S3 error, or nobody."""
    request = replace(
        BY_HEADER, raw_path="/" + path.decode("latin-1"), raw_query=query.decode("latin-1"), headers=headers
    )
    status = 0
    try:
        found = authenticator().identify(request, NOW)
    except S3Error as error:
        status = error.status
    else:
        assert found.user is None
    assert status in (0, 400, 403)


@given(st.text(max_size=40), st.sampled_from(["authorization", "x-amz-date", "date"]))
def test_any_text_in_place_of_a_part_is_refused(text, name):
    headers = {**BY_HEADER.headers, name: text}
    if name == "date":
        del headers["x-amz-date"]
    if name == "authorization" and not text:
        return
    assert refusal(replace(BY_HEADER, headers=headers))


def test_time_and_an_unknown_key_do_not_tell(monkeypatch):
    """An unknown key costs what a wrong signature costs: both are computed and compared."""  # case 63
    computed = []
    real = sigv4.sign
    monkeypatch.setattr(sigv4, "sign", lambda key, text: computed.append(text) or real(key, text))
    stranger = ALICE.__class__("AKIDNOBODY", "secret", ALICE.owner)
    assert refusal(sign_header("GET", "/b/k", user=stranger)) == "InvalidAccessKeyId"
    assert len(computed) == 1


def test_a_presigned_url_is_good_for_its_time_and_no_longer():
    request = sign_query("GET", "/b/k", expires=60)
    checker = authenticator()
    for seconds in (-900, 0, 60):
        assert checker.identify(request, NOW + timedelta(seconds=seconds)).user == ALICE
    for seconds in (-901, 61):
        with pytest.raises(S3Error) as caught:
            checker.identify(request, NOW + timedelta(seconds=seconds))
        assert caught.value.code == "AccessDenied"
