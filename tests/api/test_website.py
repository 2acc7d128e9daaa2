"""Buckets as websites: pages, folders, errors, redirects, as browsers ask for them."""

import json

import pytest

from tests.api.conftest import SITES
from tests.waiting import wait_until

INDEX = {"IndexDocument": {"Suffix": "index.html"}}
PAGES = {
    "index.html": "home",
    "docs/index.html": "docs",
    "docs/a b.html": "a b",
    "errors/404.html": "nothing here",
    "größe.html": "ü",
}


@pytest.fixture
def publish(s3, new_bucket):
    """A function that makes a site of a configuration and pages that everybody may read; it returns the host."""

    def make(configuration=INDEX, pages=PAGES, *, lists=True, reads=True):
        bucket = new_bucket()
        for key, text in pages.items():
            s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="text/html")
        rights = [("s3:GetObject", "/*")] * reads + [("s3:ListBucket", "")] * lists
        statements = [
            {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{bucket}{rest}"}
            for action, rest in rights
        ]
        if statements:
            s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=configuration)
        return f"{bucket}.{SITES}"

    return make


@pytest.fixture
def visit(raw):
    """A function that asks a host for a path as a browser does."""

    def ask(host, path, method="GET", headers=None):
        return raw(method, path, headers=headers, host=host, keys=None)

    return ask


def rules(*several):
    return INDEX | {"RoutingRules": list(several)}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "home"),
        ("/index.html", "home"),
        ("/docs/", "docs"),
        ("/docs/a%20b.html", "a b"),
        ("/gr%C3%B6%C3%9Fe.html", "ü"),
        ("/?versionId=nonsense&response-content-type=text/plain", "home"),
    ],
)
def test_pages(publish, visit, path, text):
    answer = visit(publish(), path)
    assert (answer.status, answer.body.decode()) == (200, text)
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["etag"]


def test_head_ranges_and_conditions(publish, visit):
    host = publish()
    head = visit(host, "/", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "4")
    part = visit(host, "/", headers={"Range": "bytes=1-2"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"om", "bytes 1-2/4")
    same = visit(host, "/", headers={"If-None-Match": head.headers["etag"]})
    assert (same.status, same.body) == (304, b"")
    assert visit(host, "/", headers={"If-Match": '"other"'}).status == 412


def test_a_folder_without_its_slash_is_found(publish, visit):
    for host in (publish(), publish(lists=False)):
        answer = visit(host, "/docs")
        assert (answer.status, answer.headers["location"]) == (302, f"http://{host}/docs/")
        assert visit(host, "/errors").status in (403, 404)


@pytest.mark.parametrize(("lists", "status", "code"), [(True, 404, "NoSuchKey"), (False, 403, "AccessDenied")])
def test_errors_are_pages(publish, visit, lists, status, code):
    answer = visit(publish(lists=lists), "/<script>")
    assert (answer.status, answer.headers["x-amz-error-code"]) == (status, code)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"Code: {code}" in answer.body.decode()
    assert b"<script>" not in answer.body
    head = visit(publish(lists=lists), "/missing", "HEAD")
    assert (head.status, head.body) == (status, b"")


def test_the_error_document_stands_for_errors(publish, visit):
    host = publish(INDEX | {"ErrorDocument": {"Key": "errors/404.html"}})
    answer = visit(host, "/missing", headers={"Range": "bytes=0-1", "If-None-Match": "*"})
    assert (answer.status, answer.body) == (404, b"nothing here")
    assert answer.headers["x-amz-error-code"] == "NoSuchKey"
    assert answer.headers["x-amz-error-message"] == "The specified key does not exist."
    host = publish(INDEX | {"ErrorDocument": {"Key": "not-there.html"}})
    answer = visit(host, "/missing")
    assert answer.status == 404
    first, _, second = answer.body.decode().partition(
        "An Error Occurred While Attempting to Retrieve a Custom Error Document"
    )
    assert "<li>Key: missing</li>" in first
    assert "<li>Code: NoSuchKey</li>" in second
    assert "<li>Key: not-there.html</li>" in second


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("configuration", [INDEX, INDEX | {"ErrorDocument": {"Key": "errors/404.html"}}])
def test_headers_say_what_went_wrong(publish, visit, method, configuration):
    host = publish(configuration)
    for path, key in (
        ("/missing", "missing"),
        ("/a%20b%25", "a b%"),
        ("/%C3%BC%0A", "%C3%BC%0A"),
        ("/no/", "no/index.html"),
    ):
        headers = visit(host, path, method).headers
        assert headers["x-amz-error-code"] == "NoSuchKey"
        assert headers["x-amz-error-message"] == "The specified key does not exist."
        assert headers["x-amz-error-detail-key"] == key


def test_headers_say_nothing_of_what_visitors_may_not_know(publish, visit):
    host = publish(INDEX | {"ErrorDocument": {"Key": "not-there.html"}}, lists=False)
    answer = visit(host, "/missing")
    assert answer.headers["x-amz-error-code"] == "AccessDenied"
    assert "x-amz-error-detail-key" not in answer.headers
    assert b"NoSuchKey" not in answer.body


def test_visitors_are_anonymous(publish, visit, raw):
    host = publish(reads=False, lists=False)
    assert visit(host, "/").status == 403
    assert raw("GET", "/", host=host).status == 403


def test_what_is_no_site(visit, new_bucket):
    for host, code in (
        (f"{new_bucket()}.{SITES}", "NoSuchWebsiteConfiguration"),
        (f"no-such-bucket-at-all.{SITES}", "NoSuchBucket"),
        ("www.site.test", "NoSuchBucket"),
    ):
        answer = visit(host, "/")
        assert (answer.status, answer.headers["x-amz-error-code"]) == (404, code)
        assert answer.headers["x-amz-error-detail-bucketname"] == host.removesuffix(f".{SITES}")
    assert visit(f"Not_A_Bucket.{SITES}", "/").status == 400


def test_a_host_of_its_own(s3, raw, visit):
    s3.create_bucket(Bucket="www.site.test")
    s3.put_bucket_website(
        Bucket="www.site.test", WebsiteConfiguration={"RedirectAllRequestsTo": {"HostName": "a.test"}}
    )
    assert visit("www.site.test:9000", "/").headers["location"] == "http://a.test/"
    assert visit("WWW.Site.Test", "/").status == 301
    s3.delete_bucket(Bucket="www.site.test")


def test_sites_are_read_only(publish, visit, s3):
    host = publish()
    for method in ("PUT", "POST", "DELETE"):
        answer = visit(host, "/index.html", method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert s3.get_object(Bucket=host.partition(".")[0], Key="index.html")["Body"].read() == b"home"


def test_paths_that_are_none(publish, visit):
    host = publish()
    assert visit(host, "/%ff").status == 400
    assert visit(host, "/" + "x" * 1025).status == 400
    assert visit(host, "/a/../../b").status == 400


# --- redirects -------------------------------------------------------------------------------------------------------


def test_all_requests_are_sent_elsewhere(publish, visit):
    host = publish({"RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "https"}})
    answer = visit(host, "/a%20b/c?d=e")
    assert (answer.status, answer.headers["location"]) == (301, "https://example.com/a%20b/c?d=e")
    host = publish({"RedirectAllRequestsTo": {"HostName": "example.com"}})
    assert visit(host, "/").headers["location"] == "http://example.com/"


@pytest.mark.parametrize(
    ("redirect", "path", "location"),
    [
        ({"ReplaceKeyPrefixWith": "documents/"}, "/docs/a%20b", "/documents/a%20b"),
        ({"ReplaceKeyPrefixWith": "#!/"}, "/docs/a", "/#!/a"),
        ({"ReplaceKeyWith": "error.html?from=docs"}, "/docs/a", "/error.html?from=docs"),
        ({"ReplaceKeyWith": "größe page"}, "/docs/a", "/gr%C3%B6%C3%9Fe%20page"),
        ({"HostName": "example.com"}, "/docs/a", "//example.com/docs/a"),
        ({"ReplaceKeyPrefixWith": ""}, "/docs//evil.com", "//evil.com"),
    ],
)
def test_a_rule_for_a_prefix(publish, visit, redirect, path, location):
    host = publish(rules({"Condition": {"KeyPrefixEquals": "docs/"}, "Redirect": redirect}))
    answer = visit(host, path)
    wanted = f"http:{location}" if "HostName" in redirect else f"http://{host}{location}"
    assert (answer.status, answer.headers["location"]) == (301, wanted)
    assert visit(host, "/index.html").status == 200


def test_a_rule_says_protocol_and_status(publish, visit):
    redirect = {"Protocol": "https", "HttpRedirectCode": "307", "ReplaceKeyWith": "x"}
    host = publish(rules({"Redirect": redirect}))
    answer = visit(host, "/anything")
    assert (answer.status, answer.headers["location"]) == (307, f"https://{host}/x")


def test_a_rule_for_an_error_comes_after_the_object(publish, visit):
    condition = {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "docs/"}
    host = publish(rules({"Condition": condition, "Redirect": {"HostName": "old.test"}}))
    assert visit(host, "/docs/").status == 200
    assert visit(host, "/docs/missing").headers["location"] == "http://old.test/docs/missing"
    assert visit(host, "/missing").status == 404


def test_the_first_rule_that_fits_counts(publish, visit):
    host = publish(
        rules(
            {"Condition": {"KeyPrefixEquals": "a/b"}, "Redirect": {"ReplaceKeyWith": "first"}},
            {"Condition": {"KeyPrefixEquals": "a/"}, "Redirect": {"ReplaceKeyWith": "second"}},
        )
    )
    assert visit(host, "/a/b").headers["location"].endswith("/first")
    assert visit(host, "/a/c").headers["location"].endswith("/second")


def test_an_object_redirects(publish, visit, s3):
    host = publish()
    bucket = host.partition(".")[0]
    s3.put_object(Bucket=bucket, Key="moved", Body=b"x" * 70_000, WebsiteRedirectLocation="/docs/")
    answer = visit(host, "/moved")
    assert (answer.status, answer.headers["location"], answer.body) == (301, "/docs/", b"")
    assert s3.get_object(Bucket=bucket, Key="moved")["WebsiteRedirectLocation"] == "/docs/"


def test_no_line_break_gets_into_a_header(publish, visit):
    host = publish(rules({"Condition": {"KeyPrefixEquals": "a"}, "Redirect": {"ReplaceKeyPrefixWith": "b"}}))
    answer = visit(host, "/a%0D%0ASet-Cookie:x")
    assert answer.headers["location"] == f"http://{host}/b%0D%0ASet-Cookie%3Ax"
    assert "set-cookie" not in answer.headers


def test_pages_of_other_origins_use_a_site_as_the_bucket_allows(publish, visit, s3):
    host = publish()
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://app.test"]}
    s3.put_bucket_cors(Bucket=host.partition(".")[0], CORSConfiguration={"CORSRules": [rule]})
    origin = {"Origin": "https://app.test"}
    assert visit(host, "/", headers=origin).headers["access-control-allow-origin"] == "https://app.test"
    asked = visit(host, "/", "OPTIONS", origin | {"Access-Control-Request-Method": "GET"})
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (200, "https://app.test")


def test_the_log_names_visits(publish, visit, server):
    host = publish()
    request_id = visit(host, "/docs/").headers["x-amz-request-id"]
    wait_until(lambda: request_id in server.log.read_text())
    assert "Website" in next(line for line in server.log.read_text().splitlines() if request_id in line)
