"""Signature Version 2: what botocore signs so is accepted, and no byte of what it covers can be changed."""

from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote

import pytest
from botocore.auth import HmacV1Auth
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from s3ish.auth import sigv2
from s3ish.auth.credentials import User
from s3ish.auth.payload import Payload, PayloadMode
from s3ish.errors import S3Error
from tests.auth.support import (
    ALICE,
    BOB,
    HOST,
    NOW,
    STREAMING,
    UNSIGNED_TRAILER,
    authenticator,
    encode_key,
    encode_query,
    http_request,
    sign_header,
    sign_header_v2,
    sign_query,
    sign_query_v2,
    with_headers,
    with_query,
)
from tests.auth.test_authenticator import HEADERS, KEYS, METHODS, QUERIES, mutations, replaced

SKEW = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
SIGN = pytest.mark.parametrize("sign", [sign_header_v2, sign_query_v2])


def identify(request, at=NOW):
    return authenticator().identify(request, at)


def refusal(request, at=NOW, **settings):
    with pytest.raises(S3Error) as caught:
        authenticator(**settings).identify(request, at)
    return caught.value.status, caught.value.code


# --- S3's own examples -----------------------------------------------------------------------------------------------

EXAMPLE = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (
            http_request(
                "GET", "/photos/puppy.jpg", "", [("date", "Tue, 27 Mar 2007 19:36:42 +0000")], bucket="johnsmith"
            ),
            "bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
        ),
        (
            http_request(
                "PUT",
                "/photos/puppy.jpg",
                "",
                [("content-type", "image/jpeg"), ("date", "Tue, 27 Mar 2007 21:15:45 +0000"), ("content-length", "9")],
                bucket="johnsmith",
            ),
            "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
        ),
        (
            http_request(
                "GET",
                "/",
                "prefix=photos&max-keys=50&marker=puppy",
                [("user-agent", "Mozilla/5.0"), ("date", "Tue, 27 Mar 2007 19:42:41 +0000")],
                bucket="johnsmith",
            ),
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
        ),
        (
            http_request("GET", "/", "acl", [("date", "Tue, 27 Mar 2007 19:44:46 +0000")], bucket="johnsmith"),
            "c2WLPFtWHVgbEmeEG93a4cG37dM=",
        ),
        (
            http_request(
                "DELETE",
                "/johnsmith/photos/puppy.jpg",
                "",
                [("date", "Tue, 27 Mar 2007 21:20:27 +0000"), ("x-amz-date", "Tue, 27 Mar 2007 21:20:26 +0000")],
            ),
            "R4dJ53KECjStyBO5iTBJZ4XVOaI=",
        ),
        (
            http_request(
                "PUT",
                "/db-backup.dat.gz",
                "",
                [
                    ("date", "Tue, 27 Mar 2007 21:06:08 +0000"),
                    ("x-amz-acl", "public-read"),
                    ("content-type", "application/x-download"),
                    ("Content-MD5", "4gJE4saaMU4BqNR0kLY+lw=="),
                    ("X-Amz-Meta-ReviewedBy", "joe@johnsmith.net"),
                    ("X-Amz-Meta-ReviewedBy", "jane@johnsmith.net"),
                    ("X-Amz-Meta-FileChecksum", "0x02661779"),
                    ("X-Amz-Meta-ChecksumAlgorithm", "crc32"),
                    ("Content-Disposition", "attachment; filename=database.dat"),
                    ("Content-Encoding", "gzip"),
                ],
                bucket="static.johnsmith.net",
            ),
            "ilyl83RwaSoYIEdixDQcA4OnAnc=",
        ),
        (
            http_request("GET", "/", "", [("date", "Wed, 28 Mar 2007 01:29:59 +0000")]),
            "qGdzdERIC03wnaRNKh6OqZehG9s=",
        ),
        (
            http_request(
                "GET",
                "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re",
                "",
                [("date", "Wed, 28 Mar 2007 01:49:49 +0000")],
            ),
            "DNEZGsoieTZ92F3bUfSPQcbGmlM=",
        ),
    ],
    ids=["get", "put", "list", "sub-resource", "x-amz-date", "upload", "buckets", "escaped path"],
)
def test_the_examples_of_the_documentation(request_, signature):
    at = sigv2.header_time(request_.headers, iso_only=False)
    claim = sigv2.from_header(request_, f"AKIDEXAMPLE:{signature}", at)
    assert sigv2.matches(EXAMPLE, claim.texts, signature), claim.texts


def test_the_example_of_a_presigned_url():
    query = "AWSAccessKeyId=A&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
    request = http_request("GET", "/photos/puppy.jpg", query, [("host", "h")], bucket="johnsmith")
    claim = sigv2.from_query(request, NOW - timedelta(days=365 * 19))
    assert sigv2.matches(EXAMPLE, claim.texts, claim.signature)


def test_the_policy_of_a_form_is_signed_alike():
    policy = "eyJjb25kaXRpb25zIjogW119"
    theirs = HmacV1Auth(type("Credentials", (), {"secret_key": ALICE.secret_key})).sign_string(policy)
    assert sigv2.matches(ALICE.secret_key, (policy,), theirs)
    for other in (theirs[:-1], theirs + "=", theirs.lower(), "", " " + theirs, "é"):
        assert not sigv2.matches(ALICE.secret_key, (policy,), other)
    assert not sigv2.matches(BOB.secret_key, (policy,), theirs)


# --- what botocore signs ---------------------------------------------------------------------------------------------

OWN = {"AWSAccessKeyId", "Signature", "Expires"}
KEYED = QUERIES.map(lambda pairs: [(name, value) for name, value in pairs if name not in OWN])
RESOURCES = st.lists(
    st.tuples(
        st.sampled_from(sorted(sigv2.SIGNED_KEYS)), st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    ),
    max_size=4,
)
ONCE = HEADERS.map(lambda pairs: list({name.lower(): (name, value) for name, value in pairs}.values()))
BUCKETS = st.sampled_from(["", "bucket", "a.b"])


def unique(pairs):
    return list(dict(pairs).items())


def test_the_keys_that_are_signed_are_those_of_botocore():
    assert set(HmacV1Auth.QSAOfInterest) == sigv2.SIGNED_KEYS


@given(METHODS, KEYS, KEYED, RESOURCES, ONCE, BUCKETS, st.sampled_from([ALICE, BOB]))
def test_what_botocore_signs_in_a_header_is_accepted(method, key, query, resources, headers, bucket, user):
    query = encode_query(unique([*query, *resources]))
    request = sign_header_v2(method, f"/b/{encode_key(key)}", query, headers, user=user, bucket=bucket)
    found = identify(request)
    assert found.user == user
    assert found.way == "REST-HEADER"
    assert found.payload == Payload(PayloadMode.UNSIGNED)


@given(METHODS, KEYS, KEYED, RESOURCES, ONCE, BUCKETS, st.booleans(), st.sampled_from([ALICE, BOB]))
def test_what_botocore_presigns_is_accepted(method, key, query, resources, headers, bucket, sent, user):
    """Whether the client sends the headers that were signed, or has them in the URL alone."""
    query = encode_query(unique([*query, *resources]))
    request = sign_query_v2(method, f"/b/{encode_key(key)}", query, headers, user=user, bucket=bucket, sent=sent)
    found = identify(request)
    assert found.user == user
    assert found.way == "REST-QUERY-STRING"
    assert found.payload == Payload(PayloadMode.UNSIGNED)


@pytest.mark.parametrize("query", ["", "acl", "list-type=2&versionId=1"])
def test_a_bucket_is_signed_with_or_without_a_slash_at_its_end(query):
    """botocore signs one, and leaves it out of the URL."""
    for signed in ("/bucket", "/bucket/"):
        for sign in (sign_header_v2, sign_query_v2):
            request = sign("GET", signed, query)
            assert identify(replace(request, raw_path="/bucket")).user == ALICE
    request = sign_header_v2("GET", "/bucket/k/", query)
    assert refusal(replace(request, raw_path="/bucket/k")) == (403, "SignatureDoesNotMatch")
    request = sign_header_v2("GET", "/bucket", query)
    assert refusal(replace(request, raw_path="/bucket/")) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("query", ["acl", "acl=", "uploads&prefix=a", "versionId=&acl", "versions=&prefix"])
@SIGN
def test_a_key_without_a_value_is_signed_as_it_is_sent(sign, query):
    assert identify(sign("GET", "/b", query)).user == ALICE


@pytest.mark.parametrize("query", ["response-content-type=a+b", "response-content-type=a%20b"])
def test_a_plus_is_a_space(query):
    """What is signed is what is read."""
    request = sign_header_v2("GET", "/b/k", "response-content-type=a%20b")
    assert identify(replace(request, raw_query=query)).user == ALICE


def test_repeated_headers_are_joined_in_their_order():  # case 59
    pairs = [("x-amz-meta-a", " 1  2 "), ("x-amz-meta-a", ""), ("x-amz-meta-a", "3")]
    request = sign_header_v2("GET", "/b/k", headers=pairs)
    assert request.headers["x-amz-meta-a"] == "1  2,,3"
    assert identify(request).user == ALICE
    assert refusal(with_headers(request, x_amz_meta_a="3,1  2,")) == (403, "SignatureDoesNotMatch")
    assert refusal(with_headers(request, x_amz_meta_a="1 2,,3")) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("folded", ["a\r\n b", "a \r\n\t b", "a\n b"])
def test_a_folded_header_is_signed_unfolded(folded):
    request = sign_header_v2("GET", "/b/k", headers=[("x-amz-meta-a", "a b")])
    assert identify(with_headers(request, x_amz_meta_a=folded)).user == ALICE


# --- what is covered, and what is not --------------------------------------------------------------------------------

PATH = "/bucket/" + encode_key("folder//./na+me %2F é.txt")
QUERY = encode_query([("uploadId", "a b+c/é"), ("partNumber", "12"), ("prefix", "p"), ("acl", "")])
SIGNED = [
    ("x-amz-meta-note", "some text"),
    ("Content-Type", "text/plain"),
    ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ("x-amz-acl", "private"),
]
BY_HEADER = sign_header_v2("PUT", PATH, QUERY, SIGNED)
BY_QUERY = sign_query_v2("PUT", PATH, QUERY, SIGNED)
BY_URL_ALONE = sign_query_v2("PUT", PATH, QUERY, SIGNED, sent=False)
REQUESTS = pytest.mark.parametrize("request_", [BY_HEADER, BY_QUERY, BY_URL_ALONE], ids=["header", "query", "url"])
CODES = {
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "AccessDenied",
    "InvalidArgument",
    "InvalidRequest",
    "AuthorizationQueryParametersError",
    "RequestTimeTooSkewed",
    "InvalidToken",
}


def meaning(request):
    """What of a request is covered beside method and path: some keys of the query, and the headers that count."""
    pairs = parse_qsl(request.raw_query, keep_blank_values=True, errors="surrogateescape")
    headers = dict(request.headers)
    for name, value in pairs:
        lower = name.lower()
        if lower.startswith("x-amz-") or (lower in ("content-type", "content-md5") and lower not in request.headers):
            headers[lower] = value
    return sorted((name, value) for name, value in pairs if name in sigv2.SIGNED_KEYS | OWN), headers


@REQUESTS
@given(path=mutations(PATH))
def test_no_byte_of_the_path_can_be_changed(request_, path):
    """Not even into another spelling of the same key."""
    assume(path != PATH)
    assert refusal(replace(request_, raw_path=path)) == (403, "SignatureDoesNotMatch")


@REQUESTS
@given(data=st.data())
def test_no_byte_of_what_is_covered_in_the_query_can_be_changed(request_, data):
    query = data.draw(mutations(request_.raw_query))
    changed = replace(request_, raw_query=query)
    if meaning(changed) != meaning(request_):
        assert refusal(changed)[1] in CODES


@REQUESTS
@pytest.mark.parametrize("name", [name.lower() for name, _ in SIGNED])
@given(data=st.data())
def test_no_byte_of_a_covered_header_can_be_changed(request_, name, data):
    original = dict(parse_qsl(BY_URL_ALONE.raw_query))[name]
    value = data.draw(mutations(original))
    assume(value != original)
    assert refusal(replace(request_, headers={**request_.headers, name: value}))[1] in {
        "SignatureDoesNotMatch",
        "InvalidRequest",
    }


@given(mutations(BY_HEADER.headers["date"]))
def test_no_byte_of_the_date_can_be_changed(value):
    assume(value != BY_HEADER.headers["date"])
    assert refusal(with_headers(BY_HEADER, date=value))[1] in CODES


@given(mutations(BY_HEADER.headers["authorization"]))
def test_no_byte_of_the_authorization_can_be_changed(value):
    assume(value != BY_HEADER.headers["authorization"])
    assert refusal(with_headers(BY_HEADER, authorization=value))[1] in CODES


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "put"])
@REQUESTS
def test_the_method_cannot_be_changed(request_, method):  # case 64
    assert refusal(replace(request_, method=method)) == (403, "SignatureDoesNotMatch")


@REQUESTS
@pytest.mark.parametrize(
    "name", ["x-amz-tagging", "x-amz-copy-source", "x-amz-meta-", "x-amz-bypass-governance-retention"]
)
def test_no_amazon_header_can_be_added(request_, name):  # case 58
    changed = replace(request_, headers={**request_.headers, name: "value"})
    assert refusal(changed) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("request_", [BY_QUERY, BY_URL_ALONE], ids=["query", "url"])
@pytest.mark.parametrize(
    "more", ["x-amz-tagging=a", "X-Amz-Copy-Source=/b/k", "versionId=2", "tagging", "torrent=", "response-expires=x"]
)
def test_nothing_that_is_covered_can_be_added_to_a_url(request_, more):  # case 65
    changed = replace(request_, raw_query=f"{request_.raw_query}&{more}")
    assert refusal(changed) == (403, "SignatureDoesNotMatch")


def test_another_bucket_by_the_host():  # case 65
    for sign in (sign_header_v2, sign_query_v2):
        request = sign("GET", "/k", bucket="bucket")
        assert refusal(replace(request, host_bucket="other")) == (403, "SignatureDoesNotMatch")
        assert refusal(replace(request, host_bucket="")) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("position", range(28))
def test_every_character_of_a_signature_counts(position):  # case 51
    before, _, signature = BY_HEADER.headers["authorization"].rpartition(":")
    for character in "Aa0+/=":
        if character != signature[position]:
            changed = f"{before}:{replaced(signature, position, character)}"
            assert refusal(with_headers(BY_HEADER, authorization=changed)) == (403, "SignatureDoesNotMatch")
            wrong = dict(parse_qsl(BY_QUERY.raw_query))["Signature"]
            assume_changed = replaced(wrong, position, character)
            if assume_changed != wrong:
                request = with_query(BY_QUERY, quote(wrong, safe="-_.~"), quote(assume_changed, safe="-_.~"))
                assert refusal(request) == (403, "SignatureDoesNotMatch")


def test_a_url_that_gives_a_header_twice_says_one_thing():
    """The same in both places is one value; a difference is refused before anything is computed."""
    request = sign_query_v2("PUT", "/b/k", headers=[("x-amz-meta-a", "1")], sent=False)
    assert identify(with_headers(request, x_amz_meta_a="1")).user == ALICE
    assert refusal(with_headers(request, x_amz_meta_a="2")) == (400, "InvalidRequest")
    assert refusal(replace(request, raw_query=request.raw_query + "&X-Amz-Meta-A=2")) == (400, "InvalidRequest")


def test_the_query_keys_that_are_not_covered_are_told():
    request = sign_query_v2("GET", "/b", "list-type=2&prefix=a&versionId=1", [("x-amz-meta-a", "1")])
    assert identify(request).uncovered == {"list-type", "prefix"}
    assert identify(replace(request, raw_query=request.raw_query + "&attributes")).uncovered >= {"attributes"}
    assert identify(sign_header_v2("GET", "/b", "list-type=2&uploads")).uncovered == {"list-type"}
    assert identify(sign_header("GET", "/b", "list-type=2&uploads")).uncovered == frozenset()


@pytest.mark.parametrize("change", [{"host": "other.example.com"}, {"range": "bytes=0-1"}, {"if_match": "x"}])
def test_version_2_does_not_cover_host_and_other_headers(change):
    assert identify(with_headers(BY_QUERY, **change)).user == ALICE


# --- refused ---------------------------------------------------------------------------------------------------------


@REQUESTS
def test_where_it_is_switched_off_it_is_refused(request_):  # case 62
    with pytest.raises(S3Error) as caught:
        authenticator(signature_v2=False).identify(request_, NOW)
    assert (caught.value.status, caught.value.code) == (400, "InvalidRequest")
    assert caught.value.message.endswith("Please use AWS4-HMAC-SHA256.")


@pytest.mark.parametrize(
    "query", ["AWSAccessKeyId=AKIDALICE&Expires=1893456000&Signature=c2ln", "AWSAccessKeyId=A", "%53ignature=c2ln"]
)
def test_where_it_is_switched_off_a_part_of_it_is_not_anonymous(query):  # case 62
    request = http_request("GET", "/b/k", query, [("host", HOST)])
    assert refusal(request, signature_v2=False) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("AWSAccessKeyId=AKIDALICE&Expires=1893456000&Signature=c2ln", (403, "SignatureDoesNotMatch")),
        ("AWSAccessKeyId=AKIDALICE", (403, "AccessDenied")),
        ("Signature=c2ln&Expires=1893456000", (403, "AccessDenied")),
        ("%53ignature=c2ln", (403, "AccessDenied")),
        ("AWSAccessKeyId=&Expires=1893456000&Signature=c2ln", (403, "AccessDenied")),
        ("AWSAccessKeyId=AKIDALICE&Expires=1893456000&Signature=c2ln&Signature=c2ln", (400, "InvalidArgument")),
        ("AWSAccessKeyId=NOBODY&Expires=1893456000&Signature=c2ln", (403, "InvalidAccessKeyId")),
        ("AWSAccessKeyId=A&Expires=1&Signature=s&X-Amz-Signature=s", (400, "InvalidArgument")),
    ],
)
def test_a_part_of_a_signature_in_the_query_is_not_anonymous(query, outcome):  # case 62
    assert refusal(http_request("GET", "/b/k", query, [("host", HOST)])) == outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("AWS", (400, "InvalidArgument")),
        ("AWS ", (400, "InvalidArgument")),
        ("AWS AKIDALICE", (400, "InvalidArgument")),
        ("AWS AKIDALICE:", (400, "InvalidArgument")),
        ("AWS :c2ln", (400, "InvalidArgument")),
        ("AWS  AKIDALICE:c2ln", (400, "InvalidArgument")),
        ("AWS AKIDALICE: c2ln", (400, "InvalidArgument")),
        ("AWS AKIDALICE:c2ln", (403, "SignatureDoesNotMatch")),
        ("AWS AKIDALICE:é", (403, "SignatureDoesNotMatch")),
        ("AWS AKIDNOBODY:c2ln", (403, "InvalidAccessKeyId")),
        ("aws AKIDALICE:c2ln", (400, "InvalidArgument")),
        ("AWS AKIDALICE:" + "A" * 1_000_000, (403, "SignatureDoesNotMatch")),
    ],
)
def test_authorizations_that_are_not_right(text, outcome):  # case 62
    assert refusal(with_headers(BY_HEADER, authorization=text)) == outcome


@SIGN
def test_a_wrong_secret(sign):  # case 52
    forger = User(ALICE.access_key, ALICE.secret_key + "x", ALICE.owner)
    assert refusal(sign("GET", "/b/k", user=forger)) == (403, "SignatureDoesNotMatch")


@SIGN
def test_an_unknown_key_costs_what_a_wrong_signature_costs(sign, monkeypatch):  # case 63
    computed = []
    real = sigv2.sign
    monkeypatch.setattr(sigv2, "sign", lambda secret, text: computed.append(text) or real(secret, text))
    stranger = User("AKIDNOBODY", "secret", ALICE.owner)
    assert refusal(sign("GET", "/b/k", user=stranger)) == (403, "InvalidAccessKeyId")
    assert len(computed) == 1


def test_the_error_tells_what_was_signed_and_no_secret():
    with pytest.raises(S3Error) as caught:
        identify(with_headers(BY_HEADER, authorization="AWS AKIDALICE:" + "a" * 5000))
    details = caught.value.details
    assert details["StringToSign"].startswith("PUT\n1B2M2Y8AsgTpgAmY7PhCfg==\ntext/plain\n")
    assert bytes.fromhex(details["StringToSignBytes"]).decode() == details["StringToSign"]
    assert len(details["SignatureProvided"]) == 128
    assert ALICE.secret_key not in str(details)


@pytest.mark.parametrize("query", [BY_QUERY.raw_query, sign_query("PUT", PATH).raw_query])
def test_two_ways_to_sign_in_one_request(query):  # case 62
    both = sign_header_v2("PUT", PATH, query)
    assert refusal(both) == (400, "InvalidArgument")


@SIGN
def test_session_tokens_are_refused_not_ignored(sign):  # case 68
    assert refusal(sign("GET", "/b/k", headers=[("x-amz-security-token", "t")])) == (400, "InvalidToken")
    if sign is sign_query_v2:
        request = sign("GET", "/b/k", headers=[("x-amz-security-token", "t")], sent=False)
        assert refusal(request) == (400, "InvalidToken")


@pytest.mark.parametrize("name", ["authorization", "date", "host", "x-amz-date"])
def test_headers_that_must_be_unique(name):  # case 62
    assert refusal(replace(BY_HEADER, repeated=frozenset([name]))) == (400, "InvalidRequest")


# --- time ------------------------------------------------------------------------------------------------------------


def test_fifteen_minutes_of_skew_are_allowed():  # case 56
    for skew in (-SKEW, SKEW):
        assert identify(BY_HEADER, NOW + skew).user == ALICE
    for skew in (-SKEW - SECOND, SKEW + SECOND):
        assert refusal(BY_HEADER, NOW + skew) == (403, "RequestTimeTooSkewed")


def signed_at(*dates):
    """A request that is signed right with these dates, in S3's manner: x-amz-date takes the place of Date."""
    request = http_request("GET", "/b/k", "", [("host", HOST), *dates])
    headers = request.headers
    date = "" if "x-amz-date" in headers else headers.get("date", "")
    amazon = f"x-amz-date:{headers['x-amz-date']}\n" if "x-amz-date" in headers else ""
    signature = sigv2.sign(ALICE.secret_key, f"GET\n\n\n{date}\n{amazon}/b/k")
    return with_headers(request, authorization=f"AWS {ALICE.access_key}:{signature}")


@pytest.mark.parametrize("text", [format_datetime(NOW), format_datetime(NOW, usegmt=True), "20260131T093000Z"])
def test_x_amz_date_takes_the_place_of_date(text):  # case 56
    assert identify(signed_at(("x-amz-date", text))).user == ALICE
    yesterday = format_datetime(NOW - timedelta(days=1))
    assert identify(signed_at(("x-amz-date", text), ("date", yesterday))).user == ALICE
    late = signed_at(("x-amz-date", yesterday), ("date", text))
    assert refusal(late) == (403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("text", ["", "yesterday", "1769851800", "Sat, 31 Feb 2026 09:30:00 GMT", "(" * 3000])
def test_malformed_or_missing_dates(text):  # case 56
    assert refusal(signed_at(("date", text))) == (403, "AccessDenied")
    assert refusal(signed_at(("x-amz-date", text), ("date", format_datetime(NOW)))) == (403, "AccessDenied")
    assert refusal(signed_at()) == (403, "AccessDenied")


def test_a_url_is_good_for_its_time_and_no_longer():  # case 66
    request = sign_query_v2("GET", "/b/k", expires=60)
    assert identify(request, NOW + timedelta(seconds=60)).user == ALICE
    with pytest.raises(S3Error) as caught:
        identify(request, NOW + timedelta(seconds=61))
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    assert caught.value.message == "Request has expired"
    assert caught.value.details["Expires"] == "2026-01-31T09:31:00Z"


def test_a_url_may_be_good_for_years():
    """There is no longest time in Version 2."""
    assert identify(sign_query_v2("GET", "/b/k", expires=10**10)).user == ALICE


@pytest.mark.parametrize(
    "expires", ["", "-1", "1e9", "0x77", "9" * 20, "1893456000.0", "+1893456000", "\u0661", "2030-01-01"]
)
def test_an_end_that_is_no_number(expires):  # case 66
    query = encode_query([("AWSAccessKeyId", ALICE.access_key), ("Expires", expires), ("Signature", "c2ln")])
    assert refusal(http_request("GET", "/b/k", query, [("host", HOST)])) == (403, "AccessDenied")


# --- the body --------------------------------------------------------------------------------------------------------


@SIGN
def test_a_hash_of_the_body_is_held_to_where_one_is_given(sign):
    digest = "a" * 64
    request = sign("PUT", "/b/k", headers=[("x-amz-content-sha256", digest)])
    assert identify(request).payload == Payload(PayloadMode.SIGNED, digest)
    assert refusal(with_headers(request, x_amz_content_sha256="b" * 64))[1] in {
        "SignatureDoesNotMatch",
        "InvalidRequest",
    }


def test_chunks_are_signed_by_version_4_alone():  # case 86
    request = sign_header_v2("PUT", "/b/k", headers=[("x-amz-content-sha256", STREAMING)])
    assert refusal(request) == (400, "InvalidRequest")
    request = sign_header_v2("PUT", "/b/k", headers=[("x-amz-content-sha256", UNSIGNED_TRAILER)])
    assert identify(request).payload == Payload(PayloadMode.STREAMING_UNSIGNED_TRAILER)
