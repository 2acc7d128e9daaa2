"""Which bucket and key a request names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.errors import InvalidURI, S3Error
from s3ish.server.target import Target, check_host, locate
from tests.auth.support import encode_key

HOST = "localhost:9000"
DOMAINS = ("s3.example.com", "localhost")


def code_of(*arguments):
    with pytest.raises(S3Error) as caught:
        locate(*arguments)
    return caught.value.code


# case 31, case 33, case 34, case 38
@pytest.mark.parametrize(
    ("path", "bucket", "key"),
    [
        ("/", "", ""),
        ("/bucket", "bucket", ""),
        ("/bucket/", "bucket", ""),
        ("/bucket/key", "bucket", "key"),
        ("/bucket/a/b/", "bucket", "a/b/"),
        ("/bucket//", "bucket", "/"),
        ("/bucket//k//", "bucket", "/k//"),
        ("/bucket/a%2Fb", "bucket", "a/b"),
        ("/bucket/a+b%20c", "bucket", "a+b c"),
        ("/bucket/./k", "bucket", "./k"),
        ("/bucket/a/../b", "bucket", "a/../b"),
        ("/bucket/%252e%252e/k", "bucket", "%2e%2e/k"),
        ("/bucket/..%5cx", "bucket", "..\\x"),
        ("/b%75cket/k", "bucket", "k"),
        ("/bucket/%C3%A9", "bucket", "é"),
        ("/bucket/e%CC%81", "bucket", "e\u0301"),
    ],
)
def test_path_style(path, bucket, key):
    assert locate(HOST, path, ()) == Target(bucket, key)


@pytest.mark.parametrize(
    ("host", "path", "target"),
    [
        ("bucket.s3.example.com", "/", Target("bucket", "", by_host=True)),
        ("bucket.s3.example.com:443", "/a/b", Target("bucket", "a/b", by_host=True)),
        ("BUCKET.S3.Example.com", "/a", Target("bucket", "a", by_host=True)),
        ("a.b.s3.example.com", "//a", Target("a.b", "/a", by_host=True)),
        ("bucket.localhost:9000", "/bucket/k", Target("bucket", "bucket/k", by_host=True)),
        ("bucket.s3.example.com.", "/a", Target("bucket", "a", by_host=True)),
        ("bucket.s3.example.com.:443", "/a", Target("bucket", "a", by_host=True)),
        ("s3.example.com", "/bucket/k", Target("bucket", "k")),
        ("s3.example.com.", "/bucket/k", Target("bucket", "k")),
        ("other.example.com", "/bucket/k", Target("bucket", "k")),
        ("evils3.example.com", "/bucket/k", Target("bucket", "k")),
    ],
)
def test_virtual_hosted_style(host, path, target):
    assert locate(host, path, DOMAINS) == target


# case 30, case 31, case 33, case 35, case 36, case 39
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "InvalidURI"),
        ("bucket/k", "InvalidURI"),
        ("*", "InvalidURI"),
        ("http://evil/bucket/k", "InvalidURI"),
        ("//", "InvalidBucketName"),
        ("//bucket//k//", "InvalidBucketName"),
        ("/b%2Fk", "InvalidBucketName"),
        ("/bucket%2Fk", "InvalidBucketName"),
        ("/../bucket/k", "InvalidBucketName"),
        ("/%2e%2e/bucket/k", "InvalidBucketName"),
        ("/./bucket/k", "InvalidBucketName"),
        ("/BUCKET/k", "InvalidBucketName"),
        ("/%00/k", "InvalidURI"),
        ("/%ff/k", "InvalidURI"),
        ("/bucket/../victim/k", "InvalidURI"),
        ("/bucket/%2e%2e/victim/k", "InvalidURI"),
        ("/bucket/..%2fvictim", "InvalidURI"),
        ("/bucket/" + "../" * 30 + "etc/passwd", "InvalidURI"),
        ("/bucket/a%00b", "InvalidURI"),
        ("/bucket/%ed%a0%80", "InvalidURI"),
        ("/bucket/%c0%ae%c0%ae/", "InvalidURI"),
        ("/bucket/%zz", "InvalidURI"),
        ("/bucket/%", "InvalidURI"),
        ("/bucket/" + "k" * 1025, "KeyTooLongError"),
    ],
)
def test_what_names_nothing(path, code):
    assert code_of(HOST, path, ()) == code


def test_a_host_that_is_no_bucket():
    assert code_of("..s3.example.com", "/k", DOMAINS) == "InvalidBucketName"
    assert code_of("x.s3.example.com", "/k", DOMAINS) == "InvalidBucketName"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("h", "h"),
        ("H:80", "h"),
        ("h:65535", "h"),
        ("127.0.0.1:9000", "127.0.0.1"),
        ("[::1]:9000", "[::1]"),
        ("[::1]", "[::1]"),
        ("my_host", "my_host"),
        ("my.host.:80", "my.host"),
    ],
)
def test_hosts(host, name):
    assert check_host(host) == name


# case 99
@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a/evil?",
        "a@b",
        "a:b",
        "a:",
        "a:99999",
        "a:65536",
        "a:123456",
        "a:-1",
        "a b",
        "a,b",
        "a\r\nb",
        "a\n",
        "[::1",
        "::1",
        "[x]",
        "é",
        "a%00",
        "a?b",
        "a#b",
        "a\\b",
    ],
)
def test_hosts_that_are_none(host):
    assert code_of(host, "/bucket/k", ()) == "InvalidRequest"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
def test_a_key_arrives_as_it_was_sent_or_not_at_all(key):
    try:
        target = locate(HOST, "/bucket/" + encode_key(key), ())
    except InvalidURI:
        target = None
    assert target == Target("bucket", key) or (target is None and ".." in key)


def test_levels():
    assert [Target("", "").level, Target("b", "").level, Target("b", "k").level] == ["service", "bucket", "object"]
