"""Documents of a bucket, asked at one of its keys: S3 answers as at the bucket, and the key has no part in it."""

import json

import pytest

from tests.api.conftest import DOMAIN, LIMITED

RULES = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}


@pytest.fixture
def holder(s3, bucket):
    """A bucket with rules for pages of other origins, and an object that everybody may read."""
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    s3.put_object(Bucket=bucket, Key="ci/k", Body=b"x")
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    return bucket


@pytest.mark.parametrize("key", ["ci/k", "no/such/key"])
def test_they_are_those_of_the_bucket(raw, holder, key):
    for part in ("cors", "location", "versioning", "policy", "requestPayment=1&x-id=GetObject"):
        at_bucket = raw("GET", f"/{holder}?{part}")
        assert at_bucket.status == 200
        assert raw("GET", f"/{holder}/{key}?{part}").body == at_bucket.body
        assert raw("GET", f"/{key}?{part}", host=f"{holder}.{DOMAIN}").body == at_bucket.body
    assert raw("GET", f"/{holder}/{key}?website").outcome == (404, "NoSuchWebsiteConfiguration")
    assert raw("GET", f"/{holder}/{key}?location&versioning").outcome == (400, "InvalidArgument")


def test_who_may_read_objects_may_not_read_them(raw, holder):
    for keys in (LIMITED, None):
        assert raw("GET", f"/{holder}/ci/k", keys=keys).body == b"x"
        assert raw("GET", f"/{holder}/ci/k?cors", keys=keys).outcome == (403, "AccessDenied")


def test_the_url_of_an_object_does_not_lead_to_them(raw, presign, holder):
    url = presign("GET", f"/{holder}/ci/k")
    assert raw("GET", url, keys=None).body == b"x"
    assert raw("GET", f"{url}&cors", keys=None).outcome == (403, "SignatureDoesNotMatch")


def test_a_bucket_that_is_not_there_has_none(raw):
    assert raw("GET", "/no-such-bucket-here/k?cors").outcome == (404, "NoSuchBucket")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "HEAD"])
def test_they_are_only_read_there(raw, holder, unchanged, method):
    with unchanged(holder):
        answer = raw(method, f"/{holder}/ci/k?policy", b"{}" if method in ("PUT", "POST") else b"")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert raw("GET", f"/{holder}?policy").status == 200
