"""The arithmetic of Signature Version 4, on the examples that AWS's documentation works through."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.auth import sigv4
from s3ish.auth.chunk_signer import ChunkSigner
from s3ish.auth.sigv4 import EMPTY_SHA256, UNSIGNED, Scope, SigningKeys
from s3ish.errors import SignatureDoesNotMatch
from tests.auth.support import encode_key, encode_query

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPE = Scope("20130524", "us-east-1")
STAMP = "20130524T000000Z"
BUCKET_HOST = "examplebucket.s3.amazonaws.com"
PUT_SHA256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
PRESIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    f"&X-Amz-Date={STAMP}&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
)

EXAMPLES = {
    "get object": (
        ("GET", "/test.txt", ""),
        {"host": BUCKET_HOST, "range": "bytes=0-9", "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": STAMP},
        EMPTY_SHA256,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put object": (
        ("PUT", "/test$file.text", ""),
        {
            "date": "Fri, 24 May 2013 00:00:00 GMT",
            "host": BUCKET_HOST,
            "x-amz-content-sha256": PUT_SHA256,
            "x-amz-date": STAMP,
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
        PUT_SHA256,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "get bucket lifecycle": (
        ("GET", "/", "lifecycle"),
        {"host": BUCKET_HOST, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": STAMP},
        EMPTY_SHA256,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": (
        ("GET", "/", "max-keys=2&prefix=J"),
        {"host": BUCKET_HOST, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": STAMP},
        EMPTY_SHA256,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
    "presigned get": (
        (
            "GET",
            "/test.txt",
            PRESIGNED,
        ),
        {"host": BUCKET_HOST},
        UNSIGNED,
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    ),
    "streamed put, seed": (
        ("PUT", "/examplebucket/chunkObject.txt", ""),
        {
            "content-encoding": "aws-chunked",
            "content-length": "66824",
            "host": "s3.amazonaws.com",
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "x-amz-date": STAMP,
            "x-amz-decoded-content-length": "66560",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    ),
}

STREAMED_SEED = EXAMPLES["streamed put, seed"][-1]
STREAMED = (
    (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
)
TRAILED_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILED = (
    (b"a" * 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
    (b"a" * 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
    (b"", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
)
TRAILER_TEXT = b"x-amz-checksum-crc32c:sOO8/Q==\n"
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_documented_signatures(example):
    (method, path, query), headers, payload, expected = example
    canonical = sigv4.canonical_request(
        method,
        sigv4.canonical_path(path),
        sigv4.read_query(query).canonical,
        headers,
        sorted(headers),
        payload,
    )
    text = sigv4.string_to_sign(STAMP, SCOPE, canonical)
    assert sigv4.sign(sigv4.derive(SECRET, SCOPE), text) == expected


def test_documented_chunk_signatures():
    signer = ChunkSigner("AKID", sigv4.derive(SECRET, SCOPE), STAMP, SCOPE, STREAMED_SEED)
    for data, signature in STREAMED:
        signer.check_chunk(sha256(data), signature)


def test_documented_trailer_signature():
    signer = ChunkSigner("AKID", sigv4.derive(SECRET, SCOPE), STAMP, SCOPE, TRAILED_SEED)
    for data, signature in TRAILED:
        signer.check_chunk(sha256(data), signature)
    signer.check_trailer(sha256(TRAILER_TEXT), TRAILER_SIGNATURE)


def test_a_wrong_chunk_signature_breaks_the_chain_only_for_itself():
    """The next link hangs on the right signature, not on the one that was sent."""
    signer = ChunkSigner("AKID", sigv4.derive(SECRET, SCOPE), STAMP, SCOPE, STREAMED_SEED)
    with pytest.raises(SignatureDoesNotMatch):
        signer.check_chunk(sha256(STREAMED[0][0]), "0" * 64)
    signer.check_chunk(sha256(STREAMED[1][0]), STREAMED[1][1])


def test_a_wrong_signature_of_a_chunk_is_told_what_was_signed():
    signer = ChunkSigner("AKID", sigv4.derive(SECRET, SCOPE), STAMP, SCOPE, STREAMED_SEED)
    with pytest.raises(SignatureDoesNotMatch) as caught:
        signer.check_chunk(sha256(b"data"), "é" * 500)
    details = caught.value.details
    empty = hashlib.sha256().hexdigest()
    expected = f"AWS4-HMAC-SHA256-PAYLOAD\n{STAMP}\n{SCOPE}\n{STREAMED_SEED}\n{empty}\n{sha256(b'data')}"
    assert details["StringToSign"] == expected
    assert bytes.fromhex(details["StringToSignBytes"]).decode() == expected
    assert (details["AWSAccessKeyId"], details["SignatureProvided"]) == ("AKID", "é" * 128)
    with pytest.raises(SignatureDoesNotMatch) as caught:
        signer.check_trailer(sha256(b"trailer"), "")
    assert caught.value.details["StringToSign"].startswith(f"AWS4-HMAC-SHA256-TRAILER\n{STAMP}\n{SCOPE}\n")
    assert SECRET not in str(details)


# case 38
@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("/", "/"),
        ("/b/a+b", "/b/a%2Bb"),
        ("/b/a%2Bb", "/b/a%2Bb"),
        ("/b/a%20b", "/b/a%20b"),
        ("/b/a%2fb", "/b/a/b"),
        ("/b//x/./y/../z", "/b//x/./y/../z"),
        ("/b/%7e~%41", "/b/~~A"),
        ("/b/%e9", "/b/%E9"),
        ("/b/a!b'(c)*", "/b/a%21b%27%28c%29%2A"),
        ("/b/%25zz", "/b/%25zz"),
    ],
)
def test_a_path_is_encoded_once_and_never_normalised(raw, canonical):
    assert sigv4.canonical_path(raw) == canonical


# case 60
@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("b=2&a=1", "a=1&b=2"),
        ("acl", "acl="),
        ("acl=", "acl="),
        ("a=x+y", "a=x%20y"),
        ("a=x%2by", "a=x%2By"),
        ("a=%7E", "a=~"),
        ("a=2&a=1", "a=1&a=2"),
        ("a=b=c", "a=b%3Dc"),
        ("A=1&a=1&B=1", "A=1&B=1&a=1"),
        ("a=%ff", "a=%FF"),
        ("&&a=1&", "a=1"),
        ("%C3%A9=1&z=1&é=2", "%C3%A9=1&%C3%A9=2&z=1"),
    ],
)
def test_queries_are_decoded_encoded_and_sorted(raw, canonical):
    assert sigv4.read_query(raw).canonical == canonical


# case 59
@pytest.mark.parametrize(
    ("value", "canonical"),
    [("  v ", "v"), ("a   b", "a b"), ("\ta", "a"), ('"a   b   c"', '"a b c"'), ("", ""), ("a\u00a0b ", "a\u00a0b")],
)
def test_header_values_are_trimmed(value, canonical):
    text = sigv4.canonical_request("GET", "/", "", {"x": value}, ["x"], UNSIGNED)
    assert text == f"GET\n/\n\nx:{canonical}\n\nx\n{UNSIGNED}"


@pytest.mark.parametrize("value", ["\u00a0v", "v\u2003", "a \u00a0 b"])
def test_only_blanks_are_trimmed(value):
    """What is stored is what was signed: a space of another kind is a character like any other."""
    text = sigv4.canonical_request("GET", "/", "", {"x": value}, ["x"], UNSIGNED)
    assert f"x:{value}\n" in text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_the_canonical_form_of_a_key_is_the_one_that_clients_send(key):
    encoded = "/" + encode_key(key)
    assert sigv4.canonical_path(encoded) == encoded


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(codec="utf-8")))))
def test_queries_survive_their_encoding(pairs):
    assert list(sigv4.read_query(encode_query(pairs)).pairs) == pairs


def test_signing_keys_are_kept_within_bounds():
    keys = SigningKeys()
    for number in range(3000):
        scope = Scope(f"{number:08}", "us-east-1")
        assert keys.key(SECRET, scope) == sigv4.derive(SECRET, scope)
    assert len(keys._keys) <= 1024
