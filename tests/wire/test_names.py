"""Bucket names and keys: the one parser for every place where they arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.errors import InvalidURI, S3Error
from s3ish.wire.names import check_bucket_name, check_key, decode_segment, is_bucket_name, split_copy_source
from tests.auth.support import encode_key


def code_of(function, *arguments):
    with pytest.raises(S3Error) as caught:
        function(*arguments)
    return caught.value.code


@pytest.mark.parametrize("name", ["abc", "a-b", "a.b.c", "123", "a" * 63, "1.2.3", "1.2.3.4.5", "my-xn--bucket"])
def test_bucket_names(name):
    assert is_bucket_name(name)
    assert check_bucket_name(name) == name


# case 35
@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        ".",
        "-",
        "ab",
        "a" * 64,
        "a..b",
        "A",
        "Abc",
        "abc ",
        "abc\n",
        "-abc",
        "abc-",
        ".abc",
        "abc.",
        "a_b",
        "a/b",
        "a%b",
        "äbc",
        "1.2.3.4",
        "192.168.5.4",
        "xn--bucket",
        "sthree-bucket",
        "amzn-s3-demo-bucket",
        "bucket-s3alias",
        "bucket--ol-s3",
        "bucket.mrap",
        "bucket--x-s3",
        "bucket--table-s3",
        ".sys",
        "minio",
        "a\0b",
        "abc\u0660",
    ],
)
def test_what_is_no_bucket_name(name):
    assert not is_bucket_name(name)
    assert code_of(check_bucket_name, name) == "InvalidBucketName"


def test_a_long_name_is_not_repeated_whole():
    with pytest.raises(S3Error) as caught:
        check_bucket_name("x" * 10_000)
    assert len(caught.value.details["BucketName"]) <= 255


# case 31, case 32, case 34, case 37, case 40, case 41, case 43
@pytest.mark.parametrize(
    "key",
    [
        "a",
        "/",
        "//",
        "a//b",
        "a/",
        "./k",
        "a/./b",
        "a/../b",
        "a/b/../..",
        "..a",
        "a..",
        "...",
        "..\\x",
        "%2e%2e/x",
        "logs/latest -> /etc/passwd",
        "é",
        "e\u0301",
        "'\";--%_*[{",
        ".tmp/x",
        "metadata.json",
        "\x01\x1f\x7f\u0085\ufffe\r\n\t",
        "a" * 1024,
        "🪣" * 256,
        "x/" + "y" * 300,
    ],
)
def test_keys(key):
    assert check_key(key) == key


# case 30, case 31, case 36, case 39
@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "InvalidArgument"),
        ("\0", "InvalidArgument"),
        ("a\0b", "InvalidArgument"),
        ("a" * 1025, "KeyTooLongError"),
        ("🪣" * 256 + "a", "KeyTooLongError"),
        ("é" * 513, "KeyTooLongError"),
        ("..", "InvalidURI"),
        ("../victim/k", "InvalidURI"),
        ("a/../../k", "InvalidURI"),
        ("../" * 30 + "etc/passwd", "InvalidURI"),
        ("a/../../a/b/c/d", "InvalidURI"),
        ("\ud800", "InvalidURI"),
    ],
)
def test_what_is_no_key(key, code):
    assert code_of(check_key, key) == code


# case 33, case 38, case 39
@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("%252e", "%2e"),
        ("%C3%A9", "é"),
        ("%5c..%5c", "\\..\\"),
        ("%EF%BF%BE", "\ufffe"),
        ("", ""),
    ],
)
def test_segments_are_decoded_once(raw, decoded):
    assert decode_segment(raw) == decoded


# case 30, case 32, case 39
@pytest.mark.parametrize(
    "raw", ["%", "a%", "%4", "%zz", "%ff", "%fe", "%ed%a0%80", "%f5%80%80%80", "%c0%ae", "a%00b", "%00", "%u0041"]
)
def test_segments_that_cannot_be_decoded(raw):
    assert code_of(decode_segment, raw) == "InvalidURI"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_what_clients_encode_is_decoded(key):
    assert decode_segment(encode_key(key)) == key


@given(st.text(st.characters(max_codepoint=0x7F), max_size=30))
def test_any_segment_is_decoded_or_refused(raw):
    try:
        decode_segment(raw).encode()
    except InvalidURI:
        return
    assert "%" in raw or decode_segment(raw) == raw


# --- copy source -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("bucket/key", ("bucket", "key", None)),
        ("/bucket/key", ("bucket", "key", None)),
        ("bucket/a/b", ("bucket", "a/b", None)),
        ("bucket//a", ("bucket", "/a", None)),
        ("bucket/a%2Fb", ("bucket", "a/b", None)),
        ("bucket%2Fa%2Fb", ("bucket", "a/b", None)),
        ("%2Fbucket%2Fa", ("bucket", "a", None)),
        ("bucket/a+b", ("bucket", "a b", None)),  # as some clients encode it
        ("bucket%2Fa+b%2Bc", ("bucket", "a b+c", None)),
        ("bucket/a%2Bb", ("bucket", "a+b", None)),
        ("bucket/a%20b%3F", ("bucket", "a b?", None)),
        ("bucket/key?versionId=abc", ("bucket", "key", "abc")),
        ("bucket/key?versionId=null", ("bucket", "key", "null")),
        ("bucket/k%3FversionId=x", ("bucket", "k?versionId=x", None)),
        ("bucket/k?x", ("bucket", "k?x", None)),
        ("bucket/%C3%A9", ("bucket", "é", None)),
        ("bucket/é", ("bucket", "é", None)),
    ],
)
def test_copy_sources(text, source):
    assert split_copy_source(text) == source


# case 77, case 78
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "InvalidArgument"),
        ("/", "InvalidArgument"),
        ("//", "InvalidArgument"),
        ("bucket", "InvalidArgument"),
        ("bucket/", "InvalidArgument"),
        ("//key", "InvalidArgument"),
        ("%", "InvalidArgument"),
        ("bucket/%", "InvalidArgument"),
        ("bucket/%ff", "InvalidArgument"),
        ("bucket/a%00b", "InvalidArgument"),
        ("bucket/a\0b", "InvalidArgument"),
        ("BUCKET/key", "InvalidBucketName"),
        ("../bucket/key", "InvalidBucketName"),
        ("own/../victim/k", "InvalidURI"),
        ("own/..%2F..%2Fvictim", "InvalidURI"),
        ("own%2F..%2F..%2Fvictim", "InvalidURI"),
        ("own/%2e%2e/victim", "InvalidURI"),
        ("bucket/" + "k" * 10_240, "KeyTooLongError"),
        ("bucket/key?versionId=", "InvalidArgument"),
        ("bucket/key?versionId=%ff", "InvalidArgument"),
        ("arn:aws:s3:us-east-1:1:accesspoint/ap/object/k", "InvalidBucketName"),
    ],
)
def test_what_is_no_copy_source(text, code):
    assert code_of(split_copy_source, text) == code


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20))
def test_a_key_is_the_same_in_a_url_and_in_a_copy_source(key):
    def outcome(read):
        try:
            return read()
        except S3Error as error:
            return error.code

    encoded = encode_key(key)
    expected = outcome(lambda: ("bucket", check_key(decode_segment(encoded)), None))
    assert outcome(lambda: split_copy_source(f"bucket/{encoded}")) == expected
