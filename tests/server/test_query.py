"""The query string, as S3 reads it."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3ish.auth import sigv4
from s3ish.errors import S3Error
from s3ish.server.query import MAX_PARAMETERS, read_query
from tests.auth.support import encode_query

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


# case 38, case 60
@pytest.mark.parametrize(
    ("raw", "query"),
    [
        ("", {}),
        ("acl", {"acl": ""}),
        ("acl=", {"acl": ""}),
        ("&acl&", {"acl": ""}),
        ("prefix=a+b", {"prefix": "a b"}),
        ("prefix=a%2Bb", {"prefix": "a+b"}),
        ("prefix=a%20b", {"prefix": "a b"}),
        ("a+b=c", {"a b": "c"}),
        ("prefix=a=b", {"prefix": "a=b"}),
        ("prefix=%25", {"prefix": "%"}),
        ("prefix=%", {"prefix": "%"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("%61cl", {"acl": ""}),
        ("=x", {"": "x"}),
        ("prefix=%C3%A9", {"prefix": "é"}),
        ("ACL&acl", {"ACL": "", "acl": ""}),
    ],
)
def test_queries(raw, query):
    assert read_query(raw) == query


# case 39, case 60
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("a=1&a=1", "InvalidArgument"),
        ("a=1&%61=2", "InvalidArgument"),
        ("acl&acl=", "InvalidArgument"),
        ("prefix=%ff", "InvalidURI"),
        ("%ff=1", "InvalidURI"),
        ("prefix=%ed%a0%80", "InvalidURI"),
        ("&" * MAX_PARAMETERS, "InvalidURI"),
    ],
)
def test_what_is_refused(raw, code):
    with pytest.raises(S3Error) as caught:
        read_query(raw)
    assert caught.value.code == code


@given(st.dictionaries(TEXT, TEXT, max_size=6))
def test_what_clients_encode_is_read(pairs):
    pairs.pop("", None)
    assert read_query(encode_query(pairs.items())) == pairs


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30))
def test_what_is_signed_is_what_is_read(raw):
    """The signature's own reader and the operations' reader may not differ."""
    try:
        query = read_query(raw)
    except S3Error:
        return
    assert query == dict(sigv4.read_query(raw).pairs) == dict(parse_qsl(raw, keep_blank_values=True, separator="&"))
