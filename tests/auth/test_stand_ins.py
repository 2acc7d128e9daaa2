"""Query parameters that stand for headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish import checksum
from s3ish.auth.stand_ins import effective_headers, is_stand_in
from s3ish.errors import InvalidRequest

NAMES = st.from_regex(r"\Ax-amz-[a-z0-9-]{1,9}\Z").filter(lambda name: "checksum" not in name)
VALUES = st.text("abc =/é", max_size=9)


@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "X-Amz-Acl", "x-amz-copy-source", "X-AMZ-TAGGING", "x-amz-", "Content-Type", "content-md5"]
)
def test_what_stands_for_a_header(name):
    assert is_stand_in(name)


@pytest.mark.parametrize(
    "name",
    [
        *("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"),
        *("X-Amz-Signature", "X-Amz-Content-Sha256", "versionId", "x-id", "x-amz", "AWSAccessKeyId", "Expires"),
        *("prefix", "response-content-type", "Cache-Control", "content-length", "host", "authorization", "if-match"),
    ],
)
def test_what_does_not(name):
    assert not is_stand_in(name)
    assert effective_headers({"host": "h"}, {name: "v"}) == {"host": "h"}


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.dictionaries(NAMES, VALUES, max_size=4))
def test_header_and_query_are_joined_or_contradict(headers, query):
    headers = {name: value.strip(" ") for name, value in headers.items()}
    contradiction = any(headers.get(name, value.strip(" ")) != value.strip(" ") for name, value in query.items())
    if contradiction:
        with pytest.raises(InvalidRequest):
            effective_headers(headers, query)
    else:
        joined = headers | {name: value.strip(" ") for name, value in query.items()}
        assert effective_headers(headers, query) == joined


def test_one_header_in_two_spellings():
    assert effective_headers({}, {"x-amz-acl": "private", "X-Amz-Acl": "private"}) == {"x-amz-acl": "private"}
    with pytest.raises(InvalidRequest):
        effective_headers({}, {"x-amz-acl": "private", "X-Amz-Acl": "public-read"})


@pytest.mark.parametrize("name", ["content-type", "content-md5"])
def test_what_a_client_writes_in_its_own_way_counts_as_it_is_sent(name):
    assert effective_headers({name: "sent"}, {name: "signed"}) == {name: "sent"}
    assert effective_headers({}, {name: "signed"}) == {name: "signed"}


@pytest.mark.parametrize("algorithm", checksum.ALGORITHMS)
def test_a_digest_of_no_bytes_says_nothing(algorithm):
    name = f"X-Amz-Checksum-{algorithm.capitalize()}"
    nothing = {name: checksum.Hasher(algorithm).value(), "x-amz-sdk-checksum-algorithm": algorithm}
    assert effective_headers({"host": "h"}, nothing) == {"host": "h"}
    something = nothing | {name: "c29tZXRoaW5n"}
    assert effective_headers({}, something) == {name.lower(): value for name, value in something.items()}
    sent = {name.lower(): nothing[name]}
    assert effective_headers(sent, {}) == sent


def test_an_algorithm_stays_with_the_digest_that_it_belongs_to():
    query = {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==", "x-amz-checksum-crc32": "c29tZQ=="}
    algorithm = {"x-amz-sdk-checksum-algorithm": "CRC32"}
    assert effective_headers({}, query | algorithm) == {"x-amz-checksum-crc32": "c29tZQ==", **algorithm}
