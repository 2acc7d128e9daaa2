"""What a browser sees at the address of the server."""

import pytest

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_a_browser_gets_a_page_that_says_what_this_is(raw, server):
    answer = raw("GET", "/", headers=BROWSER, keys=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert f"aws --endpoint-url {server.endpoint} s3 ls" in text
    assert "S3-compatible object store" in text
    assert "docs/" in text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert int(answer.headers["content-length"]) == len(answer.body)
    head = raw("HEAD", "/", headers=BROWSER, keys=None)
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"Accept": "*/*"}),
        ("GET", "/", {"Accept": "application/xml"}),
        ("GET", "/", {}),
        ("GET", "/?list-type=2", BROWSER),
        ("GET", "/?X-Amz-Signature=00", BROWSER),
        ("GET", "/", BROWSER | {"Host": "any-bucket.s3.test"}),
        ("GET", "/any-bucket", BROWSER),
        ("GET", "/any-bucket/key", BROWSER),
        ("GET", "/-/", BROWSER),
    ],
)
def test_everything_else_gets_the_answer_of_s3(raw, method, path, headers):
    answer = raw(method, path, headers=headers, keys=None)
    assert answer.headers["content-type"] == "application/xml"
    assert answer.status >= 400


def test_a_client_that_signs_gets_its_list_for_any_accept(raw):
    assert b"<ListAllMyBucketsResult" in raw("GET", "/", headers=BROWSER).body


def test_a_host_is_no_markup(raw):
    answer = raw("GET", "/", headers=BROWSER | {"Host": "<script>alert(1)</script>"}, keys=None)
    assert answer.status == 400
    assert b"<script>" not in answer.body
