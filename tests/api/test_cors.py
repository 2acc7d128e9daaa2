"""Cross-origin requests: the document, what browsers ask first, and the headers of real answers and of errors."""

import pytest

PAGE = "https://app.example.com"
RULE = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": [PAGE], "AllowedHeaders": ["x-amz-*", "content-type"]}
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@pytest.fixture
def allow(s3, new_bucket):
    """A function that makes a bucket with rules."""

    def make(*rules):
        bucket = new_bucket()
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": list(rules)})
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        return bucket

    return make


def ask(raw, bucket, origin=PAGE, method="PUT", headers="", key="/k"):
    """Send what a browser sends before a request."""
    wanted = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        wanted["Access-Control-Request-Headers"] = headers
    return raw(
        "OPTIONS", f"/{bucket}{key}", headers={name: value for name, value in wanted.items() if value}, keys=None
    )


def test_a_document_comes_back_as_it_was_put(s3, allow, refused, new_bucket):
    refused("NoSuchCORSConfiguration", 404, s3.get_bucket_cors, Bucket=new_bucket())
    rules = [RULE | {"ID": "one", "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 3000}, RULE]
    bucket = allow(*rules)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    s3.delete_bucket_cors(Bucket=bucket)
    refused("NoSuchCORSConfiguration", 404, s3.get_bucket_cors, Bucket=bucket)


def test_a_browser_is_told_what_it_may(raw, allow):
    bucket = allow(RULE | {"ExposeHeaders": ["ETag", "x-amz-request-id"], "MaxAgeSeconds": 60})
    answer = ask(raw, bucket, headers="X-Amz-Date, Content-Type")
    assert answer.status == 200
    assert answer.body == b""
    shown = {name: value for name, value in answer.headers.items() if name.startswith(("access", "vary"))}
    assert shown == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "x-amz-date, content-type",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "ETag, x-amz-request-id",
        "access-control-max-age": "60",
        "vary": VARY,
    }


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("https://evil.example.com", "PUT", ""),
        ("http://app.example.com", "PUT", ""),
        ("null", "PUT", ""),
        (PAGE, "DELETE", ""),
        (PAGE, "PUT", "Authorization"),
        (PAGE, "PUT", "x-amz-date, authorization"),
        ("x" * 9000, "PUT", ""),
    ],
)
def test_what_no_rule_allows(raw, allow, origin, method, headers):
    assert ask(raw, allow(RULE), origin, method, headers).outcome in ((403, "AccessForbidden"), (400, None))


def test_a_browser_that_does_not_say_what_it_wants(raw, allow, new_bucket):
    bucket = allow(RULE)
    assert ask(raw, bucket, origin="").outcome == (400, "BadRequest")
    assert ask(raw, bucket, method="").outcome == (400, "BadRequest")
    for name, message in (
        (new_bucket(), "CORS is not enabled for this bucket."),
        ("no-such-bucket", "Bucket not found"),
    ):
        for key in ("", "/k"):
            for method, told in (("PUT", "PUT"), ("", "OPTIONS")):
                answer = ask(raw, name, method=method, key=key)
                assert answer.outcome == (403, "AccessForbidden")
                found = [answer.xml.findtext(part) for part in ("Message", "Method", "ResourceType")]
                assert found == [f"CORSResponse: {message}", told, "BUCKET"]


def test_a_browser_asks_the_server_itself(raw):
    assert ask(raw, "", origin="", key="").outcome == (400, "BadRequest")
    answer = ask(raw, "", key="")
    assert answer.outcome == (403, "AccessForbidden")
    assert answer.xml.findtext("Message") == "CORSResponse: Bucket not found"


@pytest.mark.parametrize("method", ["put", "TRACE", "CONNECT", "NONE", "P UT"])
def test_a_browser_asks_for_a_method_that_is_none(raw, allow, new_bucket, method):
    for bucket in (allow(RULE), new_bucket(), "no-such-bucket"):
        answer = ask(raw, bucket, method=method)
        assert answer.outcome == (400, "BadRequest")
        assert answer.xml.findtext("Message") == f"Invalid Access-Control-Request-Method: {method}"


@pytest.mark.parametrize(("key", "kind"), [("/k", "OBJECT"), ("", "BUCKET")])
@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS"])
def test_a_refusal_says_what_was_asked_for(raw, allow, key, kind, method):
    answer = ask(raw, allow(RULE), method=method, key=key)
    assert answer.outcome == (403, "AccessForbidden")
    assert (answer.xml.findtext("Method"), answer.xml.findtext("ResourceType")) == (method, kind)


@pytest.mark.parametrize(
    ("pattern", "origin", "shown"),
    [
        ("*", "https://any.example", "*"),
        ("*", "null", "*"),
        ("null", "null", "null"),
        ("https://*.example.com", "https://a.b.example.com", "https://a.b.example.com"),
        ("https://*.example.com", "https://example.com", None),
        ("https://app*", "https://app.evil", "https://app.evil"),
    ],
)
def test_origins_have_one_wildcard(raw, allow, pattern, origin, shown):
    bucket = allow({"AllowedMethods": ["GET"], "AllowedOrigins": [pattern]})
    answer = ask(raw, bucket, origin, "GET")
    assert answer.headers.get("access-control-allow-origin") == shown
    assert ("access-control-allow-credentials" in answer.headers) == (shown not in (None, "*"))


def test_the_first_rule_that_fits_counts(raw, allow):
    first = {"AllowedMethods": ["GET"], "AllowedOrigins": [PAGE], "MaxAgeSeconds": 1}
    second = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 2}
    bucket = allow(first, second)
    assert ask(raw, bucket, method="GET").headers["access-control-max-age"] == "1"
    assert ask(raw, bucket, method="PUT").headers["access-control-max-age"] == "2"


def test_answers_and_errors_carry_the_headers(raw, allow):
    bucket = allow(RULE | {"ExposeHeaders": ["ETag"]})
    for path, keys in ((f"/{bucket}/k", ...), (f"/{bucket}/missing", ...), (f"/{bucket}/k", None)):
        options = {} if keys is ... else {"keys": keys}
        answer = raw("GET", path, headers={"Origin": PAGE}, **options)
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["access-control-expose-headers"] == "ETag"
        assert answer.headers["vary"] == VARY
    other = raw("GET", f"/{bucket}/k", headers={"Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-origin" not in raw("GET", f"/{bucket}/k").headers


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("InvalidRequest", {"AllowedMethods": ["OPTIONS"]}),
        ("InvalidRequest", {"AllowedMethods": ["get"]}),
        ("InvalidRequest", {"AllowedOrigins": ["https://*.*.com"]}),
        ("InvalidRequest", {"AllowedHeaders": ["x-*-*"]}),
        ("InvalidRequest", {"ExposeHeaders": ["x-amz-*"]}),
        ("MalformedXML", {"AllowedOrigins": []}),
        ("MalformedXML", {"AllowedMethods": []}),
        ("MalformedXML", {"ExposeHeaders": ["a\nb"]}),
        ("MalformedXML", {"MaxAgeSeconds": -1}),
    ],
)
def test_rules_that_are_wrong(s3, new_bucket, refused, code, change):
    rules = {"CORSRules": [RULE | change]}
    refused(code, 400, s3.put_bucket_cors, Bucket=new_bucket(), CORSConfiguration=rules)


def test_there_are_at_most_a_hundred_rules(s3, new_bucket, refused):
    bucket = new_bucket()
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [RULE] * 100})
    refused("InvalidRequest", 400, s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": [RULE] * 101})
