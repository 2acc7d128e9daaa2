"""Presigned URLs of our own making."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.auth.presign import presign
from s3ish.errors import S3Error
from tests.auth.support import (
    ALICE,
    BOB,
    HOST,
    NOW,
    REGION,
    authenticator,
    encode_key,
    encode_query,
    http_request,
    sign_query,
)

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
QUERIES = st.dictionaries(st.sampled_from(["versionId", "partNumber", "uploadId", "response-content-type"]), KEYS)


def request_of(method, url):
    parts = urlsplit(url)
    return http_request(method, parts.path, parts.query, [("host", parts.netloc)])


@given(
    st.sampled_from(["GET", "PUT", "DELETE", "HEAD"]),
    KEYS,
    QUERIES,
    st.integers(1, 604800),
    st.sampled_from([ALICE, BOB]),
)
def test_a_url_is_what_botocore_makes_of_the_same(method, key, query, expires, user):
    url = presign(
        user, method, f"http://{HOST}", "bucket", key, expires_seconds=expires, now=NOW, region=REGION, query=query
    )
    theirs = sign_query(method, f"/bucket/{encode_key(key)}", encode_query(query.items()), user=user, expires=expires)
    ours = request_of(method, url)
    assert ours.raw_path == theirs.raw_path
    assert sorted(parse_qsl(ours.raw_query, keep_blank_values=True)) == sorted(
        parse_qsl(theirs.raw_query, keep_blank_values=True)
    )
    found = authenticator().identify(ours, NOW)
    assert found.user == user
    assert found.way == "REST-QUERY-STRING"


@pytest.mark.parametrize("endpoint", ["http://h:9000", "http://h:9000/", "https://s3.example.com", "http://[::1]:9000"])
def test_endpoints(endpoint):
    url = presign(ALICE, "GET", endpoint, "bucket", "k", expires_seconds=60, now=NOW, region=REGION)
    assert url.startswith(f"{endpoint.rstrip('/')}/bucket/k?")
    assert authenticator().identify(request_of("GET", url), NOW).user == ALICE


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [("http://h:80", "h"), ("https://h:443", "h"), ("http://h:443", "h:443"), ("http://H:9", "h:9")],
)
def test_the_host_is_signed_as_clients_send_it(endpoint, host):
    """Clients leave the default port out of Host, and write the name in lower case."""
    url = presign(ALICE, "GET", endpoint, "bucket", "k", expires_seconds=60, now=NOW, region=REGION)
    parts = urlsplit(url)
    request = http_request("GET", parts.path, parts.query, [("host", host)])
    assert authenticator().identify(request, NOW).user == ALICE


def test_a_bucket_without_a_key():
    url = presign(ALICE, "GET", f"http://{HOST}", "bucket", "", expires_seconds=60, now=NOW, region=REGION)
    assert urlsplit(url).path == "/bucket"
    assert authenticator().identify(request_of("GET", url), NOW).user == ALICE


@pytest.mark.parametrize("seconds", [0, -1, 604801])
def test_periods(seconds):
    with pytest.raises(ValueError, match="604800"):
        presign(ALICE, "GET", f"http://{HOST}", "b", "k", expires_seconds=seconds, now=NOW, region=REGION)


def test_a_url_ends():
    url = presign(ALICE, "GET", f"http://{HOST}", "bucket", "k", expires_seconds=60, now=NOW, region=REGION)
    with pytest.raises(S3Error, match="expired"):
        authenticator().identify(request_of("GET", url), NOW + timedelta(seconds=61))
