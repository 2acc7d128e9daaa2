"""What is not a right signature, and the error that says so: one row a way to be wrong."""

import hashlib
from datetime import timedelta
from email.utils import format_datetime

import pytest
from msgspec.structs import replace

from s3ish.auth.credentials import User
from s3ish.auth.payload import Payload, PayloadMode
from s3ish.errors import S3Error, SignatureDoesNotMatch
from tests.auth.support import (
    ALICE,
    HOST,
    NOW,
    STAMP,
    STREAMING,
    STREAMING_TRAILER,
    UNSIGNED,
    UNSIGNED_TRAILER,
    authenticator,
    http_request,
    sign_header,
    sign_query,
    sign_query_v2,
    signature_of,
    with_authorization,
    with_headers,
    with_query,
)

SCOPE = "20260131/us-east-1/s3/aws4_request"
SKEW = timedelta(minutes=15)
SECOND = timedelta(seconds=1)


def code_of(request, at=NOW, **settings):
    with pytest.raises(S3Error) as caught:
        authenticator(**settings).identify(request, at)
    return caught.value.status, caught.value.code


def header_request(**arguments):
    return sign_header("GET", "/bucket/key", "versionId=1", [("x-amz-meta-a", "1")], **arguments)


def query_request(**arguments):
    return sign_query("GET", "/bucket/key", "versionId=1", [("x-amz-meta-a", "1")], **arguments)


# --- the Authorization header ----------------------------------------------------------------------------------------


# case 51
@pytest.mark.parametrize("change", ["upper", "truncated", "longer", "megabyte", "not ascii", "zeros"])
def test_wrong_signatures(change):
    signature = signature_of(header_request())
    wrong = {
        "upper": signature.upper(),
        "truncated": signature[:-1],
        "longer": signature + "0",
        "megabyte": "a" * 1_000_000,
        "not ascii": "é" * 64,
        "zeros": "0" * 64,
    }[change]
    request = with_authorization(header_request(), signature, wrong)
    assert code_of(request) == (403, "SignatureDoesNotMatch")


def test_the_error_tells_what_was_signed_and_no_secret():
    request = with_authorization(header_request(), signature_of(header_request()), "a" * 5000)
    with pytest.raises(S3Error) as caught:
        authenticator().identify(request, NOW)
    details = caught.value.details
    assert details["AWSAccessKeyId"] == ALICE.access_key
    assert details["StringToSign"].startswith(f"AWS4-HMAC-SHA256\n{STAMP}\n{SCOPE}\n")
    assert details["CanonicalRequest"].startswith("GET\n/bucket/key\nversionId=1\nhost:")
    assert bytes.fromhex(details["CanonicalRequestBytes"]).decode() == details["CanonicalRequest"]
    assert len(details["SignatureProvided"]) <= 128
    assert ALICE.secret_key not in str(details)


# case 52
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/bucket", "/bucket/key"])
def test_a_wrong_secret(method, path):
    forger = User(ALICE.access_key, ALICE.secret_key + "x", ALICE.owner)
    assert code_of(sign_header(method, path, user=forger)) == (403, "SignatureDoesNotMatch")
    assert code_of(sign_query(method, path, user=forger)) == (403, "SignatureDoesNotMatch")


# case 53
@pytest.mark.parametrize("access_key", ["AKIDNOBODY", "akidalice", "AKIDALICE ", "a/b/c", "x" * 10_000, "\u202e"])
def test_unknown_access_keys(access_key):
    stranger = User(access_key, ALICE.secret_key, ALICE.owner)
    request = sign_header("GET", "/", user=stranger)
    assert code_of(request) == (403, "InvalidAccessKeyId")
    with pytest.raises(S3Error) as caught:
        authenticator().identify(request, NOW)
    assert len(caught.value.details["AWSAccessKeyId"]) <= 128


def test_an_empty_access_key():  # case 53
    request = sign_header("GET", "/", user=User("", ALICE.secret_key, ALICE.owner))
    assert code_of(request) == (400, "AuthorizationHeaderMalformed")


# case 54, case 55
@pytest.mark.parametrize(
    "scope",
    [
        "20260130/us-east-1/s3/aws4_request",
        "20260201/us-east-1/s3/aws4_request",
        "2026013/us-east-1/s3/aws4_request",
        "2026-01-31/us-east-1/s3/aws4_request",
        "\u0662\u0660\u0662\u0660\u0661\u0663\u0660\u0661/us-east-1/s3/aws4_request",
        "/us-east-1/s3/aws4_request",
        "20260131/eu-west-1/s3/aws4_request",
        "20260131/US-EAST-1/s3/aws4_request",
        "20260131//s3/aws4_request",
        "20260131/us-east-1/s3tables/aws4_request",
        "20260131/us-east-1/iam/aws4_request",
        "20260131/us-east-1/sts/aws4_request",
        "20260131/us-east-1/execute-api/aws4_request",
        "20260131/us-east-1/S3/aws4_request",
        "20260131/us-east-1/s3/aws4",
        "20260131/us-east-1/s3/",
        "20260131/us-east-1/s3",
        "20260131/us-east-1/s3/aws4_request/more",
        "",
    ],
)
def test_wrong_scopes(scope):
    request = with_authorization(header_request(), SCOPE, scope)
    assert code_of(request) == (400, "AuthorizationHeaderMalformed")
    request = with_query(query_request(), SCOPE.replace("/", "%2F"), scope.replace("/", "%2F"))
    assert code_of(request) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("arguments", [{"region": "eu-west-1"}, {"service": "s3-outposts"}, {"service": "sts"}])
def test_a_right_signature_for_another_place(arguments):  # case 54, case 55
    assert code_of(header_request(**arguments)) == (400, "AuthorizationHeaderMalformed")
    assert code_of(query_request(**arguments)) == (400, "AuthorizationQueryParametersError")


def test_a_wrong_region_is_told_the_right_one():
    with pytest.raises(S3Error) as caught:
        authenticator().identify(header_request(region="eu-west-1"), NOW)
    assert caught.value.details["Region"] == "us-east-1"


# case 54
@pytest.mark.parametrize(
    "text",
    [
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential",
        f"AWS4-HMAC-SHA256 Credential=AKIDALICE/{SCOPE}",
        f"AWS4-HMAC-SHA256 Credential=AKIDALICE/{SCOPE}, SignedHeaders=host",
        f"AWS4-HMAC-SHA256 Credential=AKIDALICE/{SCOPE}, SignedHeaders=host, Signature=",
        f"AWS4-HMAC-SHA256 Credential=AKIDALICE/{SCOPE}, SignedHeaders=, Signature=ab",
        f"AWS4-HMAC-SHA256 Credential=AKIDALICE/{SCOPE}, SignedHeaders=host, Signature=ab, Signature=ab",
        f"AWS4-HMAC-SHA256 Credential=AKIDALICE/{SCOPE}, SignedHeaders=host, Signature=ab, More=x",
        f"AWS4-HMAC-SHA256 credential=AKIDALICE/{SCOPE}, signedheaders=host, signature=ab",
        f"AWS4-HMAC-SHA256 Credential=AKIDALICE/{SCOPE} SignedHeaders=host Signature=ab",
    ],
)
def test_malformed_authorization(text):
    assert code_of(with_headers(header_request(), authorization=text)) == (400, "AuthorizationHeaderMalformed")


# case 62
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("AWS4-ECDSA-P256-SHA256 Credential=AKIDALICE/20260131/s3/aws4_request", "InvalidRequest"),
        ("AWS4-HMAC-SHA512 Credential=x", "InvalidArgument"),
        ("AWS4-HMAC-SHA256", "InvalidArgument"),
        ("aws4-hmac-sha256 Credential=x", "InvalidArgument"),
        ("Basic QUtJREFMSUNFOg==", "InvalidArgument"),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", "InvalidArgument"),
        ("\u00a0", "InvalidArgument"),
    ],
)
def test_other_schemes_are_refused_and_never_anonymous(text, code):
    assert code_of(with_headers(header_request(), authorization=text)) == (400, code)


def test_an_empty_header_signs_nothing():
    request = with_headers(header_request(), authorization="")
    assert authenticator().identify(request, NOW).user is None
    assert authenticator().identify(with_headers(query_request(), authorization=""), NOW).user


COMPONENTS = "the authorization header requires three components: Credential, SignedHeaders, and Signature."
FORM = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Credential=", "Name=", COMPONENTS),
        ("SignedHeaders=", "Signed=", COMPONENTS),
        (f"AKIDALICE/{SCOPE}", "AKIDALICE", FORM),
        (f"AKIDALICE/{SCOPE}", SCOPE, FORM),
        ("aws4_request", "aws4", 'incorrect terminal "aws4". This endpoint uses "aws4_request".'),
        (
            "/20260131/",
            "/2026/",
            'incorrect date format "2026". This date in the credential must be in the format "yyyyMMdd".',
        ),
        ("/us-east-1/", "/eu-west-1/", "the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
        ("/us-east-1/", "//", "a non-empty region must be provided in the credential."),
        ("/s3/", "/ec2/", 'incorrect service "ec2". This endpoint belongs to "s3".'),
        ("/20260131/", "/20260130/", "Invalid credential date. Date is not the same as X-Amz-Date."),
    ],
)
def test_what_is_wrong_with_a_header_is_said(old, new, said):
    with pytest.raises(S3Error) as caught:
        authenticator().identify(with_authorization(header_request(), old, new), NOW)
    assert (caught.value.code, caught.value.message) == (
        "AuthorizationHeaderMalformed",
        f"The authorization header is malformed; {said}",
    )
    assert caught.value.details.get("Region") == ("us-east-1" if "eu-west-1" in said else None)


CREDENTIAL = "Error parsing the X-Amz-Credential parameter; "
WEEK = (
    "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 "
    "seconds"
)
PARSED = SCOPE.replace("/", "%2F")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f"AKIDALICE%2F{PARSED}", "AKIDALICE", CREDENTIAL + FORM),
        ("aws4_request", "aws4", CREDENTIAL + 'incorrect terminal "aws4". This endpoint uses "aws4_request".'),
        ("%2Fus-east-1%2F", "%2Feu-west-1%2F", CREDENTIAL + "the region 'eu-west-1' is wrong; expecting 'us-east-1'"),
        ("%2Fs3%2F", "%2Fec2%2F", CREDENTIAL + 'incorrect service "ec2". This endpoint belongs to "s3".'),
        (
            "%2F20260131%2F",
            "%2F20260130%2F",
            'Invalid credential date "20260130". This date is not the same as X-Amz-Date: "20260131".',
        ),
        ("X-Amz-Expires=3600", "X-Amz-Expires=x", "X-Amz-Expires should be a number"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=-1", "X-Amz-Expires must be non-negative"),
        (
            "X-Amz-Expires=3600",
            "X-Amz-Expires=604801",
            WEEK,
        ),
    ],
)
def test_what_is_wrong_with_a_query_is_said(old, new, said):
    with pytest.raises(S3Error) as caught:
        authenticator().identify(with_query(query_request(expires=3600), old, new), NOW)
    assert (caught.value.code, caught.value.message) == ("AuthorizationQueryParametersError", said)
    assert caught.value.details.get("Region") == ("us-east-1" if "eu-west-1" in said else None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bearer a.b.c", "Unsupported Authorization Type"),
        ("Bearer", "Authorization header is invalid -- one and only one ' ' (space) required"),
        ("AWS AKIDALICE", "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature"),
    ],
)
def test_a_header_that_is_no_signature_is_shown(text, said):
    with pytest.raises(S3Error) as caught:
        authenticator().identify(with_headers(header_request(), authorization=text), NOW)
    assert caught.value.message == said
    assert caught.value.details == {"ArgumentName": "Authorization", "ArgumentValue": text}


def test_a_period_of_no_seconds_has_passed_a_second_later():
    assert authenticator().identify(query_request(expires=0), NOW).user
    assert code_of(query_request(expires=0), NOW + SECOND) == (403, "AccessDenied")


def test_a_url_of_tomorrow_says_when_it_was_signed():
    with pytest.raises(S3Error) as caught:
        authenticator().identify(query_request(expires=60), NOW - timedelta(days=1))
    assert caught.value.message == "Request is not yet valid"
    assert caught.value.details == {
        "X-Amz-Date": int(NOW.timestamp()) * 1000,
        "Expires": (NOW + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ServerTime": (NOW - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


# case 62
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("X-Amz-Signature=ab", "AuthorizationQueryParametersError"),
        ("X%2DAmz%2DSignature=ab", "AuthorizationQueryParametersError"),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "AuthorizationQueryParametersError"),
        ("X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Signature=ab", "AuthorizationQueryParametersError"),
        ("X-Amz-Credential=x", "AuthorizationQueryParametersError"),
        ("X-Amz-Date=x", "AuthorizationQueryParametersError"),
        ("X-Amz-SignedHeaders", "AuthorizationQueryParametersError"),
    ],
)
def test_a_part_of_a_signature_in_the_query_is_not_anonymous(query, code):
    assert code_of(http_request("GET", "/b/k", query, [("host", HOST)])) == (400, code)


# case 62
@pytest.mark.parametrize(
    "query",
    [query_request().raw_query, "X-Amz-Algorithm=AWS4-HMAC-SHA256", "AWSAccessKeyId=A&Expires=1&Signature=c2ln"],
)
def test_two_ways_to_sign_in_one_request(query):
    """Even if the header's signature covers the query."""
    assert code_of(sign_header("GET", "/bucket/key", query)) == (400, "InvalidArgument")


@pytest.mark.parametrize("name", ["authorization", "x-amz-date", "date", "host", "x-amz-content-sha256"])
def test_headers_that_must_be_unique(name):  # case 62
    request = replace(header_request(), repeated=frozenset([name]))
    assert code_of(request) == (400, "InvalidRequest")


# --- the date --------------------------------------------------------------------------------------------------------


def test_fifteen_minutes_of_skew_are_allowed():  # case 56
    request = header_request()
    for skew in (-SKEW, -SKEW + SECOND, SKEW - SECOND, SKEW):
        assert authenticator().identify(request, NOW + skew).user == ALICE
    for skew in (-SKEW - SECOND, SKEW + SECOND, timedelta(days=4000), timedelta(days=-4000)):
        assert code_of(request, NOW + skew) == (403, "RequestTimeTooSkewed")


def test_a_request_over_midnight():
    """The scope names the day of the request, not of the server."""
    at = NOW.replace(hour=23, minute=59)
    assert authenticator().identify(header_request(at=at), at + timedelta(minutes=10)).user == ALICE
    assert authenticator().identify(header_request(at=at + timedelta(minutes=2)), at).user == ALICE


def test_a_date_header_takes_the_place_of_x_amz_date():
    signed = sign_header("GET", "/b/k", headers=[("Date", "replaced by the signer")])
    assert "x-amz-date" not in signed.headers
    assert authenticator().identify(signed, NOW).user == ALICE
    assert code_of(signed, NOW + SKEW + SECOND) == (403, "RequestTimeTooSkewed")


def test_x_amz_date_counts_if_the_dates_differ():  # case 56
    request = with_headers(header_request(), date=format_datetime(NOW - timedelta(days=1)))
    assert authenticator().identify(request, NOW).user == ALICE
    request = with_headers(header_request(at=NOW - timedelta(days=1)), date=format_datetime(NOW))
    assert code_of(request) == (403, "RequestTimeTooSkewed")


# case 56
@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31T09:30:00Z",
        "20260131T093000",
        "20260131T093000z",
        "20260131 093000Z",
        "20261331T093000Z",
        "20260230T093000Z",
        "20260131T246060Z",
        "00000131T093000Z",
        "\u0662\u0660\u0662\u0660\u0661\u0663\u0660\u0661T093000Z",
        "20260131T093000Z,20260131T093000Z",
        "1769851800",
        "Sat, 31 Jan 2026 09:30:00 GMT",
        "x" * 5000,
    ],
)
def test_malformed_dates(text):
    assert code_of(with_headers(header_request(), x_amz_date=text)) == (403, "AccessDenied")
    request = with_query(query_request(), f"X-Amz-Date={STAMP}", f"X-Amz-Date={text}")
    assert code_of(request) == (400, "AuthorizationQueryParametersError")


# case 56
@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "yesterday",
        "Sat, 31 Feb 2026 09:30:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Sat, 31 Jan 2026 09:30:00 +99999999999999999999",
        "Sat, 31 Jan 99999999999999999999 09:30:00 GMT",
        "(" * 3000,
    ],
)
def test_malformed_or_missing_date_headers(text):
    assert code_of(with_headers(header_request(), x_amz_date=None, date=text)) == (403, "AccessDenied")


# --- what is signed --------------------------------------------------------------------------------------------------

SIGNED = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a"


# case 57
@pytest.mark.parametrize(
    ("names", "status", "code"),
    [
        ("x-amz-content-sha256;x-amz-date;x-amz-meta-a", 403, "AccessDenied"),
        ("Host;x-amz-content-sha256;x-amz-date;x-amz-meta-a", 400, "AuthorizationHeaderMalformed"),
        ("host;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a", 400, "AuthorizationHeaderMalformed"),
        ("x-amz-meta-a;host;x-amz-content-sha256;x-amz-date", 400, "AuthorizationHeaderMalformed"),
        ("host;;x-amz-date;x-amz-meta-a", 400, "AuthorizationHeaderMalformed"),
        (";", 400, "AuthorizationHeaderMalformed"),
        ("absent;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a", 403, "SignatureDoesNotMatch"),
        ("host;x-amz-content-sha256;x-amz-meta-a", 403, "AccessDenied"),
        ("host;x-amz-content-sha256;x-amz-date", 403, "AccessDenied"),
        ("host;x-amz-date;x-amz-meta-a", 403, "SignatureDoesNotMatch"),
    ],
)
def test_lists_of_signed_headers(names, status, code):
    assert code_of(with_authorization(header_request(), SIGNED, names)) == (status, code)


@pytest.mark.parametrize("sign", [sign_header, sign_query])
@pytest.mark.parametrize("value", ["1", ""])
def test_a_signed_header_that_did_not_come_is_shown_without_a_value(sign, value):  # case 57
    request = sign("GET", "/bucket/key", headers=[("x-amz-meta-a", value), ("x-amz-meta-b", "2")])
    with pytest.raises(SignatureDoesNotMatch) as caught:
        authenticator().identify(with_headers(request, x_amz_meta_a=None), NOW)
    details = caught.value.details
    assert caught.value.message == SignatureDoesNotMatch.text
    assert "\nx-amz-meta-a:\nx-amz-meta-b:2\n" in details["CanonicalRequest"]
    assert details["StringToSign"].endswith(hashlib.sha256(details["CanonicalRequest"].encode()).hexdigest())
    assert details["AWSAccessKeyId"] == ALICE.access_key
    assert bytes.fromhex(details["StringToSignBytes"]).decode() == details["StringToSign"]
    assert "x-amz-meta-a is not in the request" in caught.value.reason


def test_an_unknown_key_is_told_before_what_is_not_there():  # case 57
    request = with_headers(header_request(), x_amz_meta_a=None)
    assert code_of(with_authorization(request, ALICE.access_key, "nobody")) == (403, "InvalidAccessKeyId")


# case 58
@pytest.mark.parametrize(
    "name",
    [
        "x-amz-acl",
        "x-amz-tagging",
        "x-amz-meta-x",
        "x-amz-copy-source",
        "x-amz-storage-class",
        "x-amz-object-lock-mode",
        "x-amz-server-side-encryption",
        "x-amz-bypass-governance-retention",
        "x-amz-trailer",
        "x-amz-decoded-content-length",
    ],
)
def test_every_amazon_header_must_be_signed(name):
    for request in (header_request(), query_request()):
        forged = replace(request, headers={**request.headers, name: "value"})
        assert code_of(forged) == (403, "AccessDenied")
        with pytest.raises(S3Error) as caught:
            authenticator().identify(forged, NOW)
        assert caught.value.details["HeadersNotSigned"] == name


@pytest.mark.parametrize("name", ["content-type", "range", "if-match", "user-agent", "expect", "x-forwarded-for"])
def test_other_headers_need_not_be_signed(name):
    for request in (header_request(), query_request()):
        more = replace(request, headers={**request.headers, name: "value"})
        assert authenticator().identify(more, NOW).user == ALICE


def test_repeated_headers_are_signed_together():  # case 59
    pairs = [("x-amz-meta-a", " 1  2 "), ("x-amz-meta-a", ""), ("x-amz-meta-a", "3")]
    request = sign_header("GET", "/b/k", headers=pairs)
    assert authenticator().identify(request, NOW).user == ALICE
    assert request.headers["x-amz-meta-a"] == "1  2,,3"
    assert code_of(with_headers(request, x_amz_meta_a="1  2,3")) == (403, "SignatureDoesNotMatch")


# case 61
@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        (None, 400, "InvalidRequest"),
        ("", 400, "InvalidArgument"),
        ("streaming-aws4-hmac-sha256-payload", 400, "InvalidArgument"),
        ("STREAMING-X", 400, "InvalidArgument"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", 400, "InvalidArgument"),
        ("signed", 400, "InvalidArgument"),
        ("unsigned-payload", 400, "InvalidArgument"),
        ("g" * 64, 400, "InvalidArgument"),
        ("a" * 63, 400, "InvalidArgument"),
        ("A" * 64, 403, "SignatureDoesNotMatch"),
        ("a" * 64, 403, "SignatureDoesNotMatch"),
        (UNSIGNED, 403, "SignatureDoesNotMatch"),
        (STREAMING, 403, "SignatureDoesNotMatch"),
        (STREAMING_TRAILER, 403, "SignatureDoesNotMatch"),
        (UNSIGNED_TRAILER, 403, "SignatureDoesNotMatch"),
    ],
)
def test_what_covers_the_body(value, status, code):
    unsigned = with_authorization(header_request(), "x-amz-content-sha256;", "")
    assert code_of(with_headers(unsigned, x_amz_content_sha256=value)) == (status, code)


# case 85
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("covers", [STREAMING, STREAMING_TRAILER, UNSIGNED_TRAILER, UNSIGNED])
def test_a_made_up_signature_on_a_streamed_body(method, covers):
    request = sign_header(method, "/b/k", covers=covers)
    assert code_of(with_authorization(request, signature_of(request), "f" * 64)) == (403, "SignatureDoesNotMatch")


# case 86
@pytest.mark.parametrize("covers", [STREAMING, STREAMING_TRAILER, UNSIGNED_TRAILER, "nonsense", "a" * 63])
@pytest.mark.parametrize(
    ("version", "way"), [(2, "header"), (2, "query"), (4, "header"), (4, "query"), (4, "not signed")]
)
def test_a_presigned_url_cannot_stream(covers, version, way):
    """Nor is a text a hash that is none; without a body it does not matter."""
    for method in ("GET", "HEAD", "DELETE", "PUT", "POST"):
        header = [("x-amz-content-sha256", covers)]
        if version == 2:
            request = sign_query_v2(method, "/b/k", headers=header, sent=way == "header")
        elif way == "header":
            request = sign_query(method, "/b/k", headers=header, covers=covers)
        elif way == "query":
            request = sign_query(method, "/b/k", f"X-Amz-Content-Sha256={covers}", covers=covers)
        else:
            request = with_headers(sign_query(method, "/b/k"), x_amz_content_sha256=covers)
        if method in ("PUT", "POST"):
            assert code_of(request) == (400, "XAmzContentSHA256Mismatch")
        else:
            assert authenticator().identify(request, NOW).payload == Payload(PayloadMode.UNSIGNED)


@pytest.mark.parametrize("digest", ["a" * 64, "A" * 64])
def test_a_hash_beside_a_presigned_url_is_held_to(digest):
    """Whether it was signed, signed in place of the text that stands for no hash, or added by who uses the URL."""
    header = [("x-amz-content-sha256", digest)]
    for request in (
        sign_query("PUT", "/b/k", headers=header, covers=digest),
        sign_query("PUT", "/b/k", headers=header),
        with_headers(sign_query("PUT", "/b/k"), x_amz_content_sha256=digest),
    ):
        assert authenticator().identify(request, NOW).payload == Payload(PayloadMode.SIGNED, "a" * 64)


def test_a_hash_in_capitals():  # case 61
    found = authenticator().identify(sign_header("PUT", "/b/k", covers="AB" * 32), NOW)
    assert found.payload == Payload(PayloadMode.SIGNED, "ab" * 32)


@pytest.mark.parametrize("sign", [sign_header, sign_query])
def test_session_tokens_are_refused_not_ignored(sign):  # case 68
    assert code_of(sign("GET", "/b/k", headers=[("x-amz-security-token", "t")])) == (400, "InvalidToken")
    assert code_of(http_request("GET", "/b/k", "", [("host", HOST), ("x-amz-security-token", "t")])) == (
        400,
        "InvalidToken",
    )


def test_a_session_token_in_a_presigned_query():  # case 68
    assert code_of(sign_query("GET", "/b/k", "X-Amz-Security-Token=t")) == (400, "InvalidToken")


# --- presigned -------------------------------------------------------------------------------------------------------


# case 66
@pytest.mark.parametrize("expires", ["-1", "604801", "1e3", "0x10", "1.5", "+60", " 60", "", "\u0666\u0660", "9" * 400])
def test_periods_that_are_no_periods(expires):
    assert code_of(query_request(expires=expires)) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_a_presigned_url_without_one_of_its_parts(name):  # case 66
    request = query_request()
    parts = [part for part in request.raw_query.split("&") if not part.startswith(f"X-Amz-{name}=")]
    shorter = replace(request, raw_query="&".join(parts))
    assert shorter != request
    assert code_of(shorter) == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_a_presigned_url_with_a_part_twice(name):  # case 60, case 66
    request = query_request()
    part = next(part for part in request.raw_query.split("&") if part.startswith(f"X-Amz-{name}="))
    assert code_of(replace(request, raw_query=f"{request.raw_query}&{part}")) == (
        400,
        "AuthorizationQueryParametersError",
    )


def test_expired_and_not_yet_valid():  # case 66
    request = query_request(expires=1)
    assert code_of(request, NOW + timedelta(seconds=2)) == (403, "AccessDenied")
    assert code_of(request, NOW - timedelta(minutes=16)) == (403, "AccessDenied")
    with pytest.raises(S3Error) as caught:
        authenticator().identify(request, NOW + timedelta(seconds=2))
    assert caught.value.message == "Request has expired"
    assert caught.value.details["Expires"] == "2026-01-31T09:30:01Z"


@pytest.mark.parametrize("stamp", ["00010101T000000Z", "99991231T235959Z"])
def test_presigned_at_the_ends_of_time(stamp):
    scope = f"{stamp[:8]}%2Fus-east-1"
    request = query_request(expires=604800)
    request = with_query(with_query(request, f"Date={STAMP}", f"Date={stamp}"), "20260131%2Fus-east-1", scope)
    assert code_of(request) == (403, "AccessDenied")


# case 65
@pytest.mark.parametrize("more", ["versionId=2", "partNumber=1", "acl", "response-content-type=text/html", "x=", "="])
def test_nothing_can_be_added_to_a_presigned_query(more):
    request = sign_query("GET", "/b/k")
    assert code_of(replace(request, raw_query=f"{request.raw_query}&{more}")) == (403, "SignatureDoesNotMatch")


def test_another_host():  # case 65
    for request in (header_request(), query_request()):
        assert code_of(with_headers(request, host="other.example.com")) == (403, "SignatureDoesNotMatch")


def test_a_presigned_payload_hash():  # case 67
    """A hash in the query is signed with the rest, and the body is held to it."""
    digest = "a" * 64
    request = sign_query("PUT", "/b/k", f"X-Amz-Content-Sha256={digest}", covers=digest)
    found = authenticator().identify(request, NOW)
    assert found.payload.sha256 == digest
    assert code_of(with_query(request, digest, "b" * 64)) == (403, "SignatureDoesNotMatch")


def test_what_a_key_signed_is_void_when_the_key_is_gone():  # case 69
    revoked = User("AKIDREVOKED", "secret", ALICE.owner)
    assert code_of(sign_query("GET", "/b/k", user=revoked)) == (403, "InvalidAccessKeyId")
