"""The text of sidecars: what is written is read, and nothing else is believed."""

import json
from base64 import b64decode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3ish.blob.erasure.sidecar import LIMIT_BYTES, MENDED_BYTES, Sidecar, checksum, decode, encode, mend
from s3ish.blob.protocol import Corrupt, NewerFormat
from s3ish.model import BlobRef

REF = BlobRef("b/k@t", 5000, 2**63 - 1, "rs-cauchy-11d", 2, 1, 1000, (2, 0, 1))
INLINE = msgspec.structs.replace(REF, size=5, volumes=(2, 0), inline=True)


def enveloped(rest, number=b"1"):
    return b'{"format":%s,"checksum":"%s",\n' % (number, checksum(number, rest)) + rest


def test_a_sidecar_is_json_that_people_can_read():
    told = json.loads(encode(Sidecar(INLINE, 7, b'{"key": "k"}', b"hello")))
    assert told.pop("checksum")
    assert told == {
        "format": 2,
        "revision": 7,
        "blob": {
            "id": "b/k@t",
            "size": 5,
            "salt": 2**63 - 1,
            "code": "rs-cauchy-11d",
            "k": 2,
            "m": 1,
            "stripe_bytes": 1000,
            "volumes": [2, 0],
            "inline": True,
        },
        "content": {"key": "k"},
        "data": "aGVsbG8=",
    }
    assert b64decode(told["data"]) == b"hello"


def test_a_sample_of_format_1_stays_readable():  # case 146
    text = (
        b'{"format":1,"checksum":"%s",\n"revision":7,\n"blob":{"id":"b/k@t","size":5,"salt":9,"code":"rs-zfec","k":2,'
        b'"m":1,"stripe_bytes":1000,"volumes":[2,0],"inline":true},\n"content":{"key": "k"},\n"data":"aGVsbG8="}\n'
    ) % b"2a836ed24466fcc943da8ef0f2f3e9fa"
    found = decode(text, "b/k@t")
    assert (found.revision, found.content, found.data, found.ref.code) == (7, b'{"key": "k"}', b"hello", "rs-zfec")


@settings(derandomize=True, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner),
        max_leaves=9,
    ),
    st.integers(0, 2**63),
    st.binary(max_size=100),
)
def test_what_is_encoded_is_decoded(value, revision, data):
    content = json.dumps(value).encode()
    for ref, kept in ((REF, None), (msgspec.structs.replace(INLINE, size=len(data)), data)):
        told = Sidecar(ref, revision, content, kept, {"later": msgspec.Raw(b'{"x": [1]}')})
        assert decode(encode(told), "b/k@t") == told


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_every_flipped_bit_is_found(place, bit):
    text = bytearray(encode(Sidecar(INLINE, 7, b'{"key":"k"}', b"hello")))
    text[place % len(text)] ^= 1 << bit
    with pytest.raises(Corrupt):
        decode(bytes(text), "b/k@t")


def test_every_flipped_bit_is_mended_and_no_more_than_one():  # case 20
    told = Sidecar(INLINE, 7, b'{"key":"k"}', b"hello")
    text = encode(told)
    for place in range(len(text) * 8):
        spoilt = bytearray(text)
        spoilt[place // 8] ^= 1 << place % 8
        assert mend(bytes(spoilt), "b/k@t") == told
        spoilt[place // 16] ^= 3
        assert mend(bytes(spoilt), "b/k@t") in (None, told)
    for wrong in (b"", text[:-1], text[1:], bytes(len(text)), text + b"\n", text.replace(b"hello", b"HELLO")):
        assert mend(wrong, "b/k@t") is None


def test_a_long_text_is_not_mended():
    text = bytearray(encode(Sidecar(REF, 7, b'{"key":"%s"}' % (b"k" * MENDED_BYTES))))
    text[-1] ^= 1
    assert mend(bytes(text), "b/k@t") is None


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 10**6))
def test_every_truncation_and_extension_is_found(place):
    text = encode(Sidecar(INLINE, 7, b'{"key":"k"}', b"hello"))
    for wrong in (text[: place % len(text)], text + b" " * (place % 7 + 1)):
        with pytest.raises(Corrupt):
            decode(wrong, "b/k@t")


BLOB = b'"blob":' + msgspec.json.encode({name: getattr(REF, name) for name in REF.__struct_fields__})
INLINE_BLOB = BLOB.replace(b'"inline":false', b'"inline":true')
HOSTILE = {
    "empty": b"",
    "object": b"{}",
    "list": b"[]",
    "null": b"null",
    "brackets": b"[" * 10**6,
    "invalid utf-8": b"\xff\xfe",
    "no members": enveloped(b"}"),
    "no blob": enveloped(b'"revision":1,"content":{}}'),
    "no content": enveloped(b'"revision":1,' + BLOB + b"}"),
    "deep nesting": enveloped(b'"revision":1,' + BLOB + b',"content":' + b"[" * 10**6 + b"]" * 10**6 + b"}"),
    "NaN": enveloped(b'"revision":NaN,' + BLOB + b',"content":{}}'),
    "infinite": enveloped(b'"revision":1e999,' + BLOB + b',"content":{}}'),
    "a string": enveloped(b'"revision":"1",' + BLOB + b',"content":{}}'),
    "a tail": enveloped(b'"revision":1,' + BLOB + b',"content":{}}}'),
    "bad base 64": enveloped(b'"revision":1,' + INLINE_BLOB + b',"content":{},"data":"*"}'),
    "inline without data": enveloped(b'"revision":1,' + INLINE_BLOB + b',"content":{}}'),
    "another blob": enveloped(b'"revision":1,' + BLOB.replace(b"b/k@t", b"b/k@u") + b',"content":{}}'),
    "negative size": enveloped(b'"revision":1,' + BLOB.replace(b"5000", b"-5000") + b',"content":{}}'),
    "k of 0": enveloped(b'"revision":1,' + BLOB.replace(b'"k":2', b'"k":0') + b',"content":{}}'),
    "no stripes": enveloped(
        b'"revision":1,' + BLOB.replace(b'"stripe_bytes":1000', b'"stripe_bytes":0') + b',"content":{}}'
    ),
    "too few volumes": enveloped(b'"revision":1,' + BLOB.replace(b"[2,0,1]", b"[2,0]") + b',"content":{}}'),
    "negative volume": enveloped(b'"revision":1,' + BLOB.replace(b"[2,0,1]", b"[2,0,-1]") + b',"content":{}}'),
    "huge salt": enveloped(
        b'"revision":1,' + BLOB.replace(b"9223372036854775807", b"99999999999999999999") + b',"content":{}}'
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_are_corrupt(kind):  # case 21
    with pytest.raises(Corrupt):
        decode(HOSTILE[kind], "b/k@t")


def test_the_hostile_texts_differ_from_a_good_one_in_what_they_say():
    assert decode(enveloped(b'"revision":1,' + BLOB + b',"content":{}}'), "b/k@t").content == b"{}"


def test_the_last_of_duplicate_members_counts():  # case 21
    found = decode(enveloped(b'"revision":1,"revision":2,' + BLOB + b',"content":{}}'), "b/k@t")
    assert found.revision == 2


def test_newer_formats_are_refused_but_not_damaged_ones():  # case 147
    rest = b'"anything":1}'
    with pytest.raises(NewerFormat, match="format 12"):
        decode(enveloped(rest, b"12"), "b/k@t")
    with pytest.raises(Corrupt):
        decode(enveloped(rest, b"1").replace(b'"format":1', b'"format":3'), "b/k@t")


def test_content_that_cannot_be_embedded_is_refused():
    for content in (b"", b"{", b"{}}", b"\xff", b'"\xff"', b"[" * 10**5 + b"]" * 10**5):
        with pytest.raises(ValueError, match="JSON"):
            encode(Sidecar(REF, 1, content))
    with pytest.raises(ValueError, match="limit"):
        encode(Sidecar(REF, 1, b'"' + b"x" * LIMIT_BYTES + b'"'))
