"""Buckets for whose requests others pay: they say that they know, and are told that they did."""

import json

import pytest

from tests.api.conftest import OTHER, ROOT, SITES

PAYS = {"x-amz-request-payer": "requester"}


@pytest.fixture
def paid(s3, new_bucket):
    """A bucket that everybody may use, and for which requesters pay."""
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    places = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": places}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    return bucket


ASKED = [
    ("GET", "/k"),
    ("HEAD", "/k"),
    ("GET", "/k?acl"),
    ("GET", "/k?tagging"),
    ("PUT", "/new"),
    ("DELETE", "/k"),
    ("POST", "/k?uploads"),
    ("GET", ""),
    ("GET", "?list-type=2"),
    ("GET", "?versions"),
    ("GET", "?uploads"),
]


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_others_say_that_they_pay(raw, paid, method, path):
    body = "x" if method == "PUT" else b""
    for headers, keys in (({}, OTHER), ({}, None), (PAYS, None), ({"x-amz-request-payer": "owner"}, OTHER)):
        answer = raw(method, f"/{paid}{path}", body, headers, keys=keys)
        assert answer.status == 403
        assert "x-amz-request-charged" not in answer.headers
        assert method == "HEAD" or answer.code == "AccessDenied"
    answer = raw(method, f"/{paid}{path}", body, PAYS, keys=OTHER)
    assert answer.status in (200, 204)
    assert answer.headers["x-amz-request-charged"] == "requester"


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_the_owner_pays_without_saying_so(raw, paid, method, path):
    answer = raw(method, f"/{paid}{path}", "x" if method == "PUT" else b"", keys=ROOT)
    assert answer.status in (200, 204)
    assert "x-amz-request-charged" not in answer.headers


def test_where_the_owner_pays_nobody_is_charged(s3, raw, paid):
    s3.put_bucket_request_payment(Bucket=paid, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    for headers, keys in (({}, OTHER), (PAYS, OTHER), ({}, None)):
        answer = raw("GET", f"/{paid}/k", headers=headers, keys=keys)
        assert (answer.status, answer.headers.get("x-amz-request-charged")) == (200, None)


def test_sources_of_copies_are_paid_for(other, refused, paid):
    mine = f"{paid}-copies"
    other.create_bucket(Bucket=mine)
    copy = {"Bucket": mine, "Key": "k", "CopySource": f"{paid}/k"}
    refused("AccessDenied", 403, other.copy_object, **copy)
    other.copy_object(**copy, RequestPayer="requester")
    upload = {"Bucket": mine, "Key": "parts"}
    upload["UploadId"] = other.create_multipart_upload(**upload)["UploadId"]
    part = upload | {"PartNumber": 1, "CopySource": f"{paid}/k"}
    refused("AccessDenied", 403, other.upload_part_copy, **part)
    other.upload_part_copy(**part, RequestPayer="requester")


def test_a_url_says_who_pays(other, raw, paid):
    for more, status in (({}, 403), ({"RequestPayer": "requester"}, 200)):
        url = other.generate_presigned_url("get_object", {"Bucket": paid, "Key": "k"} | more)
        path = url.partition("://")[2].partition("/")[2]
        assert raw("GET", f"/{path}", keys=None).status == status


def test_no_visitor_of_a_site_can_pay(s3, raw, paid):
    s3.put_bucket_website(Bucket=paid, WebsiteConfiguration={"IndexDocument": {"Suffix": "k"}})
    answer = raw("GET", "/", headers=PAYS, host=f"{paid}.{SITES}", keys=None)
    assert (answer.status, answer.headers["x-amz-error-code"]) == (403, "AccessDenied")
