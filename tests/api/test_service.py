"""ListBuckets."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
def three(s3):
    """Three buckets under a prefix of their own."""
    prefix = f"s-{uuid.uuid4().hex[:12]}"
    names = [f"{prefix}-{letter}" for letter in "abc"]
    for name in reversed(names):
        s3.create_bucket(Bucket=name)
    return prefix, names


def test_lists_the_callers_buckets_by_name(s3, other, three):
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert names == sorted(names)
    assert set(three[1]) <= set(names)
    assert not set(three[1]) & {bucket["Name"] for bucket in other.list_buckets()["Buckets"]}


def test_names_the_owner(s3, other):
    assert other.list_buckets()["Owner"] == {"ID": "other", "DisplayName": "Somebody Else"}
    assert s3.list_buckets()["Owner"]["ID"]


def test_a_bucket_has_the_time_of_its_creation_and_an_arn(s3, three):
    name = three[1][0]
    (listed,) = s3.list_buckets(Prefix=name)["Buckets"]
    assert listed["BucketArn"] == s3.head_bucket(Bucket=name)["BucketArn"] == f"arn:aws:s3:::{name}"
    listed = next(it for it in s3.list_buckets()["Buckets"] if it["Name"] == name)
    assert "BucketRegion" not in listed
    assert abs(datetime.now(UTC) - listed["CreationDate"]) < timedelta(minutes=1)


def test_prefix(s3, three):
    prefix, names = three
    answer = s3.list_buckets(Prefix=prefix)
    assert [bucket["Name"] for bucket in answer["Buckets"]] == names
    assert answer["Prefix"] == prefix
    assert "ContinuationToken" not in answer
    assert s3.list_buckets(Prefix=prefix + "-x")["Buckets"] == []


def test_pages(s3, three):
    prefix, names = three
    pages, token = [], {}
    while True:
        answer = s3.list_buckets(Prefix=prefix, MaxBuckets=2, **token)
        pages.append([bucket["Name"] for bucket in answer["Buckets"]])
        if "ContinuationToken" not in answer:
            break
        token = {"ContinuationToken": answer["ContinuationToken"]}
    assert pages == [names[:2], names[2:]]


def test_a_page_that_ends_with_the_last_bucket_is_the_last(s3, three):
    assert "ContinuationToken" not in s3.list_buckets(Prefix=three[0], MaxBuckets=3)


def test_region(s3, three):
    prefix, names = three
    here = s3.list_buckets(Prefix=prefix, BucketRegion="us-east-1")["Buckets"]
    assert [(bucket["Name"], bucket["BucketRegion"]) for bucket in here] == [(name, "us-east-1") for name in names]
    assert s3.list_buckets(Prefix=prefix, BucketRegion="eu-west-1")["Buckets"] == []


@pytest.mark.parametrize("value", ["0", "-1", "10001", "abc", "1e2", "99999999999999999999"])
def test_max_buckets_outside_its_range(raw, value):
    answer = raw("GET", f"/?max-buckets={value}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == "max-buckets"


@pytest.mark.parametrize("token", ["x", "AAAA", "%00", "a" * 2000])
def test_a_token_that_was_not_given_out(raw, token):  # case 83
    assert raw("GET", f"/?continuation-token={token}").outcome == (400, "InvalidArgument")


def test_the_answer_is_s3s_xml(raw):
    answer = raw("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/xml"
    assert answer.body.startswith(
        b'<?xml version="1.0" encoding="UTF-8"?>\n<ListAllMyBucketsResult xmlns="http://s3.amazo'
    )
    assert [child.tag for child in answer.xml][:2] == ["Owner", "Buckets"]


def test_anonymous_callers_have_no_buckets(raw):  # case 75
    assert raw("GET", "/", keys=None).outcome == (403, "AccessDenied")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_on_the_service(raw, method):  # case 107
    assert raw(method, "/").outcome == (405, "MethodNotAllowed")
