"""GetObject and HeadObject: ranges, parts, conditions, overrides."""

import json
from datetime import UTC, timedelta
from email.utils import format_datetime

import pytest

BODY = b"0123456789"


@pytest.fixture
def key(s3, bucket):
    """The path of an object of ten bytes."""
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ContentType="text/plain")
    return f"/{bucket}/k"


@pytest.fixture
def modified(s3, bucket, key):
    return s3.head_object(Bucket=bucket, Key="k")["LastModified"].astimezone(UTC)


@pytest.fixture
def etag(s3, bucket, key):
    return s3.head_object(Bucket=bucket, Key="k")["ETag"]


def test_headers_of_a_whole_object(raw, key, etag):
    answer = raw("GET", key)
    assert (answer.status, answer.body) == (200, BODY)
    found = answer.headers
    assert found["content-length"] == "10"
    assert found["content-type"] == "text/plain"
    assert found["accept-ranges"] == "bytes"
    assert found["etag"] == etag
    assert found["last-modified"].endswith(" GMT")
    assert "content-range" not in found
    assert found["x-content-type-options"] == "nosniff"  # case 80


def test_head_says_what_get_says(raw, key):
    got, head = raw("GET", key), raw("HEAD", key)
    own = {"date", "x-amz-request-id"}
    assert head.body == b""
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in got.headers.items() if k not in own
    }


def test_there_is_no_such_key(raw, s3, refused, bucket):
    answer = refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="missing")
    assert answer["Error"]["Key"] == "missing"
    head = raw("HEAD", f"/{bucket}/missing")
    assert (head.status, head.body) == (404, b"")


# --- ranges ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(  # case 114
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=2-5", 2, 5),
        ("bytes=5-", 5, 9),
        ("bytes=9-", 9, 9),
        ("bytes=-1", 9, 9),
        ("bytes=-5", 5, 9),
        ("bytes=-10", 0, 9),
        ("bytes=-99999", 0, 9),
        ("bytes=8-99999", 8, 9),
        ("bytes=0-9999999999999999999", 0, 9),
        (f"bytes=-{'9' * 3000}", 0, 9),
        (f"bytes=8-{'9' * 3000}", 8, 9),
        (f"bytes={'0' * 3000}2-5", 2, 5),
    ],
)
def test_ranges(raw, key, header, first, last):
    answer = raw("GET", key, headers={"Range": header})
    assert (answer.status, answer.body) == (206, BODY[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/10"
    assert answer.headers["content-length"] == str(last - first + 1)
    head = raw("HEAD", key, headers={"Range": header})
    assert (head.status, head.body) == (206, b"")
    assert head.headers["content-range"] == f"bytes {first}-{last}/10"
    assert head.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", f"bytes={'9' * 900}-"])
def test_ranges_outside_the_object(raw, key, header):
    answer = raw("GET", key, headers={"Range": header})
    assert answer.outcome == (416, "InvalidRange")
    assert answer.headers["content-range"] == "bytes */10"
    assert answer.xml.findtext("RangeRequested") == header
    assert answer.xml.findtext("ActualObjectSize") == "10"
    assert raw("HEAD", key, headers={"Range": header}).status == 416


@pytest.mark.parametrize(
    "header",
    [
        "bytes=9-5",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes 0-1",
        "lines=0-1",
        "0-1",
        "bytes=0-1,4-5",
        "bytes=" + "0-0," * 1500 + "1-1",
        "bytes=0x1-0x2",
        "bytes=+1-2",
    ],
    ids=lambda header: header[:16],
)
def test_ranges_that_are_none_are_ignored(raw, key, header):
    answer = raw("GET", key, headers={"Range": header})
    assert (answer.status, answer.body) == (200, BODY)


@pytest.mark.parametrize("header", ["bytes=0-0", "bytes=0-", "bytes=-1"])
def test_no_range_fits_an_empty_object(raw, s3, bucket, header):  # case 117
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert raw("GET", f"/{bucket}/empty", headers={"Range": header}).outcome == (416, "InvalidRange")
    assert raw("GET", f"/{bucket}/empty").status == 200


def test_ranges_over_the_edges_of_stripes(s3, bucket, big):  # case 121
    s3.put_object(Bucket=bucket, Key="big", Body=big[:3500000])
    edges = (0, 1, 524287, 524288, 1048575, 1048576, 1048577, 2097152, 3145728, 3499999)
    for first in edges:
        for last in (edge for edge in edges if edge >= first):
            found = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={first}-{last}")
            assert found["Body"].read() == big[first : last + 1]


# --- parts ----------------------------------------------------------------------------------------------------------


def test_the_only_part_of_a_plain_object(raw, key):
    answer = raw("GET", f"{key}?partNumber=1")
    assert (answer.status, answer.body) == (206, BODY)
    assert answer.headers["content-range"] == "bytes 0-9/10"
    assert "x-amz-mp-parts-count" not in answer.headers
    assert raw("GET", f"{key}?partNumber=2").outcome == (416, "InvalidPartNumber")
    assert raw("HEAD", f"{key}?partNumber=2").status == 416


@pytest.mark.parametrize("number", ["0", "-1", "10001", "x", "1e2", ""])  # case 122
def test_part_numbers_that_are_none(raw, key, number):
    answer = raw("GET", f"{key}?partNumber={number}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("Message") == "Part number must be an integer between 1 and 10000, inclusive"
    assert (answer.xml.findtext("ArgumentName"), answer.xml.findtext("ArgumentValue")) == ("partNumber", number)


def test_a_part_and_a_range(raw, key):
    assert raw("GET", f"{key}?partNumber=1", headers={"Range": "bytes=0-1"}).outcome == (400, "InvalidRequest")


# --- conditions -----------------------------------------------------------------------------------------------------


def is_not_modified(answer, etag):
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == etag
    assert "x-amz-request-id" in answer.headers


def test_if_match(raw, key, etag):
    for right in (etag, etag.strip('"'), "*", f'"other", {etag}'):
        assert raw("GET", key, headers={"If-Match": right}).status == 200
    answer = raw("GET", key, headers={"If-Match": '"other"'})
    assert answer.outcome == (412, "PreconditionFailed")
    assert answer.xml.findtext("Condition") == "If-Match"
    head = raw("HEAD", key, headers={"If-Match": '"other"'})
    assert (head.status, head.body) == (412, b"")


def test_if_none_match(raw, key, etag):
    for method in ("GET", "HEAD"):
        for right in (etag, etag.strip('"'), "*", f'"other", {etag}', f"W/{etag}"):
            is_not_modified(raw(method, key, headers={"If-None-Match": right}), etag)
        assert raw(method, key, headers={"If-None-Match": '"other"'}).status == 200


def test_not_modified_says_for_how_long_the_copy_of_a_cache_is_fresh(raw, s3, bucket):
    """RFC 9110, section 15.4.5: what a full answer says of that must be there."""
    kept = {"CacheControl": "max-age=60", "Expires": "Wed, 21 Oct 2026 07:28:00 GMT"}
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"old", ContentType="text/css", **kept)["ETag"]
    for method in ("GET", "HEAD"):
        for query, cache in [("", "max-age=60"), ("?response-cache-control=no-store", "no-store")]:
            answer = raw(method, f"/{bucket}/k{query}", headers={"If-None-Match": etag})
            is_not_modified(answer, etag)
            assert (answer.headers["cache-control"], answer.headers["expires"]) == (cache, kept["Expires"])
            assert "content-type" not in answer.headers
        refused = raw(method, f"/{bucket}/k", headers={"If-Match": '"other"'})
        assert (refused.status, "cache-control" in refused.headers) == (412, False)


def test_if_modified_since(raw, key, etag, modified):
    def get(moment):
        return raw("GET", key, headers={"If-Modified-Since": format_datetime(moment, usegmt=True)})

    assert get(modified - timedelta(seconds=1)).status == 200
    is_not_modified(get(modified), etag)
    assert get(modified + timedelta(hours=1)).status == 200, "a moment to come is ignored"


def test_if_unmodified_since(raw, key, modified):
    def get(moment):
        return raw("GET", key, headers={"If-Unmodified-Since": format_datetime(moment, usegmt=True)})

    assert get(modified - timedelta(seconds=1)).outcome == (412, "PreconditionFailed")
    assert get(modified).status == 200


def test_a_tag_that_matches_outweighs_a_date(raw, key, etag, modified):
    early, late = (format_datetime(modified + timedelta(hours=hours), usegmt=True) for hours in (-1, 1))
    assert raw("GET", key, headers={"If-Match": etag, "If-Unmodified-Since": early}).status == 200
    is_not_modified(raw("GET", key, headers={"If-None-Match": etag, "If-Modified-Since": early}), etag)
    assert raw("GET", key, headers={"If-None-Match": '"other"', "If-Modified-Since": late}).status == 200


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
@pytest.mark.parametrize("date", ["yesterday", "", "99999999999999999999"])
def test_a_date_that_is_none_is_ignored(raw, key, name, date):
    assert raw("GET", key, headers={name: date}).status == 200


def test_a_range_of_an_object_that_has_changed(raw, key, etag):  # case 50
    answer = raw("GET", key, headers={"If-Match": etag, "Range": "bytes=2-3"})
    assert (answer.status, answer.body) == (206, b"23")
    answer = raw("GET", key, headers={"If-Match": '"other"', "Range": "bytes=2-3"})
    assert answer.outcome == (412, "PreconditionFailed")


def test_a_range_if_the_object_is_still_the_same(raw, key, etag, modified):
    now, early, late = (format_datetime(modified + timedelta(seconds=seconds), usegmt=True) for seconds in (0, -1, 1))
    for method in ("GET", "HEAD"):
        for same in (etag, etag.strip('"'), now):
            answer = raw(method, key, headers={"If-Range": same, "Range": "bytes=2-3"})
            assert (answer.status, answer.headers["content-range"]) == (206, "bytes 2-3/10")
        for other in ('"other"', f"W/{etag}", f'"other", {etag}', early, late, "yesterday", "*", ""):
            for wanted in ("bytes=2-3", "bytes=99-"):
                answer = raw(method, key, headers={"If-Range": other, "Range": wanted})
                assert (answer.status, answer.headers["content-length"]) == (200, "10")
                assert "content-range" not in answer.headers


def test_conditions_on_nothing(raw, bucket):
    for name in ("If-Match", "If-None-Match"):
        assert raw("GET", f"/{bucket}/missing", headers={name: "*"}).outcome == (404, "NoSuchKey")


# --- overrides ------------------------------------------------------------------------------------------------------


def test_overrides(s3, bucket, key):
    found = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseCacheControl="no-store",
        ResponseContentDisposition='attachment; filename="x y.txt"',
        ResponseContentEncoding="identity",
        ResponseContentLanguage="mi",
        ResponseContentType="application/x-own",
    )
    assert found["CacheControl"] == "no-store"
    assert found["ContentDisposition"] == 'attachment; filename="x y.txt"'
    assert found["ContentEncoding"] == "identity"
    assert found["ContentLanguage"] == "mi"
    assert found["ContentType"] == "application/x-own"
    assert s3.get_object(Bucket=bucket, Key="k")["ContentType"] == "text/plain"


def test_overrides_on_head_and_of_expires(raw, key):
    date = "Wed, 02 Jan 2030 03:04:05 GMT"
    query = "response-expires=Wed%2C%2002%20Jan%202030%2003%3A04%3A05%20GMT&response-content-type=text%2Fhtml"
    answer = raw("HEAD", f"{key}?{query}")
    assert (answer.headers["expires"], answer.headers["content-type"]) == (date, "text/html")


@pytest.mark.parametrize("value", ["a%0D%0ASet-Cookie%3A%20x", "a%0Ab", "%00", "%7F", "a%0Db"])  # cases 80, 131
def test_overrides_make_no_headers(raw, key, value):
    for name in ("content-type", "content-disposition", "cache-control"):
        answer = raw("GET", f"{key}?response-{name}={value}")
        assert answer.outcome == (400, "InvalidArgument")
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_other_headers_cannot_be_overridden(raw, key, method):
    for query in (
        "response-content-length=1",
        "response-etag=x",
        "response-x=",
        "response-content-type=a&response-b=c",
    ):
        answer = raw(method, f"{key}?{query}")
        assert answer.status == 400
        if method == "GET":
            name = query.rpartition("&")[2].partition("=")[0]
            assert (answer.code, answer.xml.findtext("ArgumentName")) == ("InvalidArgument", name)
            assert answer.xml.findtext("Message").startswith(
                f"{name} is not in the set of overridable response headers"
            )


def test_overrides_hold_iso_8859_1(raw, key):  # case 162
    name = "response-content-disposition"
    answer = raw("GET", f"{key}?{name}=attachment%3B%20filename%3D%E8%A1%8C.pdf")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("Message") == "Header value cannot be represented using ISO-8859-1."
    assert answer.xml.findtext("ArgumentName") == name
    assert answer.xml.findtext("ArgumentValue") == "attachment; filename=行.pdf"
    found = raw("GET", f"{key}?{name}=attachment%3B%20filename%3Dcaf%C3%A9%C2%A0.pdf")
    assert found.headers["content-disposition"] == "attachment; filename=caf\xe9\xa0.pdf"


OVERRIDES = ["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"]


def test_overrides_need_a_signature(raw, key):
    answer = raw("GET", f"{key}?response-content-type=text%2Fhtml", keys=None)
    assert answer.outcome == (403, "AccessDenied")


@pytest.mark.parametrize("name", OVERRIDES)
def test_overrides_of_what_is_public_need_a_signature_too(raw, s3, bucket, presign, name):
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    path = f"/{bucket}/k?response-{name}=x"
    answer = raw("GET", path, keys=None)
    assert answer.outcome == (400, "InvalidRequest")
    message = "Request specific response headers cannot be used for anonymous GET requests."
    assert answer.xml.findtext("Message") == message
    assert raw("HEAD", path, keys=None).status == 400
    assert raw("GET", f"/{bucket}/k?response-{name}=", keys=None).status == 200
    assert raw("GET", presign("GET", path), keys=None).headers[name] == "x"


# --- what is refused ------------------------------------------------------------------------------------------------


def test_anonymous_callers_learn_nothing(raw, key, etag):  # case 82
    answer = raw("GET", key, keys=None, headers={"If-None-Match": etag, "Range": "bytes=0-0"})
    assert answer.outcome == (403, "AccessDenied")
    assert not {"etag", "last-modified", "content-range"} & answer.headers.keys()
    missing = raw("GET", key + "missing", keys=None)
    assert missing.outcome == (403, "AccessDenied")
