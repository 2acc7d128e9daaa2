"""A condition that compares the data of an object is for those who may read it."""

import json

import pytest

from tests.api.iam_support import allowing, client

WRITES = "s3:PutObject", "s3:DeleteObject"


@pytest.fixture
def writer(server, new_user):
    """A function that returns a client of a user who may write and delete, and what is said beside."""

    def make(*actions):
        document = {"Version": "2012-10-17", "Statement": [allowing([*WRITES, *actions])]}
        return client(server, "s3", new_user(json.dumps(document))[1])

    return make


def begun(s3, bucket):
    """Return what completes an upload."""
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    return upload | {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}


def calls(caller, s3, bucket):
    """The writes that take a condition, and their arguments; the source of a copy and a rename can be read."""
    yield caller.put_object, {"Bucket": bucket, "Key": "k", "Body": b"new"}
    yield caller.complete_multipart_upload, begun(s3, bucket)
    yield caller.copy_object, {"Bucket": bucket, "Key": "k", "CopySource": f"{bucket}/readable"}
    rename = {"Bucket": bucket, "Key": "k", "RenameSource": "readable"}
    yield lambda **condition: caller.rename_object(**rename, DestinationIfMatch=condition["IfMatch"]), {}
    yield caller.delete_object, {"Bucket": bucket, "Key": "k"}


@pytest.fixture
def readable(s3, bucket):
    """A bucket of which everyone may read one key."""
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Statement": [read | {"Resource": f"arn:aws:s3:::{bucket}/readable"}]})
    )
    return bucket


def test_an_entity_tag_is_compared_for_those_who_may_read(writer, s3, readable, refused):
    blind, seeing = writer(), writer("s3:GetObject")
    for number in range(5):
        s3.put_object(Bucket=readable, Key="readable", Body=b"source")
        etag = s3.put_object(Bucket=readable, Key="k", Body=b"old")["ETag"]
        call, arguments = list(calls(blind, s3, readable))[number]
        for tried in (etag, '"other"'):  # right or wrong, the answer is the same
            refused("AccessDenied", 403, call, **arguments, IfMatch=tried)
        assert s3.get_object(Bucket=readable, Key="k")["Body"].read() == b"old"
        call, arguments = list(calls(seeing, s3, readable))[number]
        refused("PreconditionFailed", 412, call, **arguments, IfMatch='"other"')
        call(**arguments, IfMatch=etag)


def test_each_of_many_deletions_is_compared_for_those_who_may_read(writer, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["ETag"]
    for tried in (etag, '"other"'):
        told = writer().delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": tried}]})
        assert [error["Code"] for error in told["Errors"]] == ["AccessDenied"]
    told = writer("s3:GetObject").delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}]})
    assert [it["Key"] for it in told["Deleted"]] == ["k"]


def test_a_version_is_compared_for_those_who_may_read_versions(writer, s3, versioned, refused):
    put = s3.put_object(Bucket=versioned, Key="k", Body=b"old")
    call = {"Bucket": versioned, "Key": "k", "VersionId": put["VersionId"], "IfMatch": put["ETag"]}
    refused("AccessDenied", 403, writer("s3:DeleteObjectVersion", "s3:GetObject").delete_object, **call)
    writer("s3:DeleteObjectVersion", "s3:GetObjectVersion").delete_object(**call)


def test_what_compares_nothing_needs_no_right_to_read(writer, s3, bucket, refused):
    blind = writer()
    blind.put_object(Bucket=bucket, Key="k", Body=b"new", IfNoneMatch="*")
    refused("PreconditionFailed", 412, blind.put_object, Bucket=bucket, Key="k", Body=b"new", IfNoneMatch="*")
    blind.put_object(Bucket=bucket, Key="k", Body=b"newer", IfMatch="*")
    blind.delete_object(Bucket=bucket, Key="k", IfMatch="*")
