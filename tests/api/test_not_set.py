"""Reads of what cannot be set yet: they say as S3 does that it is not set."""

import pytest
from botocore import xform_name

from s3ish.api.catalogue import catalogue

ABSENT = {
    "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
}
LOCKS = {"GetObjectLegalHold", "GetObjectRetention"}
EMPTY = {
    "GetBucketAccelerateConfiguration": {},
    "GetBucketLogging": {},
    "GetBucketNotificationConfiguration": {},
    "GetBucketRequestPayment": {"Payer": "BucketOwner"},
}
OF_OBJECTS = LOCKS | {"GetObjectTagging"}
NAMES = sorted(operation.name for operation in catalogue() if operation.unset)


def call_of(s3, name):
    return getattr(s3, xform_name(name))


def arguments_of(name, bucket):
    return {"Bucket": bucket, "Key": "k"} if name in OF_OBJECTS else {"Bucket": bucket}


def test_all_of_them_are_here():
    assert {*ABSENT, *EMPTY, *OF_OBJECTS} == set(NAMES)


@pytest.mark.parametrize(("name", "code"), ABSENT.items())
def test_what_has_a_name_where_it_is_not_set(s3, refused, bucket, name, code):
    assert refused(code, 404, call_of(s3, name), Bucket=bucket)["Error"]["BucketName"] == bucket


@pytest.mark.parametrize(("name", "content"), EMPTY.items())
def test_what_has_an_empty_document(s3, bucket, name, content):
    answer = call_of(s3, name)(Bucket=bucket)
    del answer["ResponseMetadata"]
    assert answer == content


def test_the_access_lists_by_default(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    owner = s3.list_buckets()["Owner"]
    for answer in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        assert answer["Owner"] == owner
        assert answer["Grants"] == [{"Grantee": owner | {"Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]


def test_an_object_tells_the_tags_that_it_was_made_with(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"x", Tagging="a=1&b=%3D%2B")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"]
    found = s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=first)
    assert found["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "=+"}]
    assert found["VersionId"] == first
    found = s3.get_object_tagging(Bucket=versioned, Key="k")
    assert (found["TagSet"], found["VersionId"]) == ([], second)


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_locks_need_a_bucket_that_has_them(s3, refused, bucket, name):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    refused("InvalidRequest", 400, call_of(s3, name), Bucket=bucket, Key="k")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_has_nothing_set(s3, other, refused, bucket, name):
    call, arguments = call_of(s3, name), arguments_of(name, bucket)
    refused("NoSuchBucket", 404, call, **arguments | {"Bucket": "no-such-bucket-of-ours"})
    refused("AccessDenied", 403, call_of(other, name), **arguments)
    refused("AccessDenied", 403, call, **arguments, ExpectedBucketOwner="somebody-else")
    if name in OF_OBJECTS:
        refused("NoSuchKey", 404, call, **arguments)
