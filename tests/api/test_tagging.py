"""Tags of buckets, as boto3 puts and gets them."""

import base64
import hashlib
import json

import pytest


def tags_of(count):
    return [{"Key": f"k{number}", "Value": f"v{number}"} for number in range(count)]


def test_a_bucket_has_the_tags_that_were_put_last(s3, new_bucket):
    bucket = new_bucket()
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags_of(3)})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags_of(50)})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags_of(50)


def test_tags_that_are_deleted_are_gone(s3, new_bucket, refused):
    bucket = new_bucket()
    refused("NoSuchTagSet", 404, s3.get_bucket_tagging, Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags_of(1)})
    assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused("NoSuchTagSet", 404, s3.get_bucket_tagging, Bucket=bucket)
    s3.delete_bucket_tagging(Bucket=bucket)


@pytest.mark.parametrize(
    ("code", "message", "tags"),
    [
        ("BadRequest", "Bucket tag count cannot be greater than 50", tags_of(51)),
        (
            "InvalidTag",
            "Cannot provide multiple Tags with the same key",
            [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}],
        ),
        ("InvalidTag", "The TagKey you have provided is invalid", [{"Key": "k" * 129, "Value": "1"}]),
        ("InvalidTag", "The TagValue you have provided is invalid", [{"Key": "k", "Value": "1" * 257}]),
        ("InvalidTag", "System tags cannot be added/updated by requester", [{"Key": "aws:k", "Value": "1"}]),
        ("InvalidTag", "The TagValue you have provided is invalid", [{"Key": "k", "Value": "a(b"}]),
    ],
)
def test_tags_beyond_the_rules_change_nothing(s3, new_bucket, refused, code, message, tags):
    bucket = new_bucket()
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags_of(1)})
    error = refused(code, 400, s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": tags})["Error"]
    assert error["Message"] == message
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags_of(1)


def test_tags_with_characters_that_xml_escapes_come_back(s3, new_bucket):
    bucket = new_bucket()
    tags = [{"Key": "größe +-=._:/@", "Value": "東京 ß"}, {"Key": "empty", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags


def test_another_user_neither_sees_nor_changes_them(other, s3, new_bucket, refused):
    bucket = new_bucket()
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags_of(1)})
    refused("AccessDenied", 403, other.get_bucket_tagging, Bucket=bucket)
    refused("AccessDenied", 403, other.delete_bucket_tagging, Bucket=bucket)
    refused("AccessDenied", 403, other.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": []})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags_of(1)


# --- objects --------------------------------------------------------------------------------------------------------


def tags_of_object(s3, bucket, **which):
    return s3.get_object_tagging(Bucket=bucket, Key="k", **which)["TagSet"]


def test_an_object_has_the_tags_that_were_put_last(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="old=1")["ETag"]
    before = s3.head_object(Bucket=bucket, Key="k")
    assert before["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "1"
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags_of(10)})
    assert tags_of_object(s3, bucket) == tags_of(10)
    after = s3.head_object(Bucket=bucket, Key="k")
    assert (after["ETag"], after["LastModified"]) == (etag, before["LastModified"])
    assert after["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "10"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    answer = s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags_of_object(s3, bucket) == []


def test_how_many_tags_there_are_is_told_to_who_may_see_them(s3, limited, versioned):
    version = s3.put_object(Bucket=versioned, Key="ci/k", Body=b"x", Tagging="a=1")["VersionId"]
    for chosen in ({}, {"VersionId": version}):
        assert s3.head_object(Bucket=versioned, Key="ci/k", **chosen)["TagCount"] == 1
    for read in (limited.head_object, limited.get_object):
        assert "TagCount" not in read(Bucket=versioned, Key="ci/k")


def test_a_document_without_a_set_of_tags_changes_none(s3, raw, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    for path in (f"/{bucket}/k?tagging", f"/{bucket}?tagging"):
        body = "<Tagging></Tagging>"
        digest = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
        assert raw("PUT", path, body, {"Content-MD5": digest}).outcome == (400, "MalformedXML")
    assert len(tags_of_object(s3, bucket)) == 1


@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_tags_of_objects_of_any_size(s3, bucket, size):
    s3.put_object(Bucket=bucket, Key="k", Body=bytes(size))
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags_of(2)})
    assert tags_of_object(s3, bucket) == tags_of(2)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == bytes(size)


def test_each_version_has_tags_of_its_own(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"2")["VersionId"]
    tagging = {"TagSet": tags_of(1)}
    assert s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=first, Tagging=tagging)["VersionId"] == first
    assert tags_of_object(s3, versioned, VersionId=first) == tags_of(1)
    assert tags_of_object(s3, versioned, VersionId=second) == []
    s3.put_object_tagging(Bucket=versioned, Key="k", Tagging={"TagSet": tags_of(2)})
    assert tags_of_object(s3, versioned, VersionId=second) == tags_of(2)


def test_tags_of_what_is_not_there(s3, versioned, refused):
    tagging = {"TagSet": []}
    refused("NoSuchKey", 404, s3.get_object_tagging, Bucket=versioned, Key="k")
    refused("NoSuchKey", 404, s3.put_object_tagging, Bucket=versioned, Key="k", Tagging=tagging)
    s3.put_object(Bucket=versioned, Key="k", Body=b"")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    refused("NoSuchKey", 404, s3.put_object_tagging, Bucket=versioned, Key="k", Tagging=tagging)
    call = {"Bucket": versioned, "Key": "k", "VersionId": marker}
    refused("MethodNotAllowed", 405, s3.put_object_tagging, **call, Tagging=tagging)
    refused("MethodNotAllowed", 405, s3.delete_object_tagging, **call)


def test_an_object_has_at_most_ten_tags(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    refused("BadRequest", 400, s3.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": tags_of(11)})
    assert tags_of_object(s3, bucket) == []


def test_copies_take_the_tags_along_or_get_others(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"x", Tagging="a=1")
    source = {"Bucket": bucket, "Key": "source"}
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source)
    assert tags_of_object(s3, bucket) == [{"Key": "a", "Value": "1"}]
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source, TaggingDirective="REPLACE", Tagging="b=2")
    assert tags_of_object(s3, bucket) == [{"Key": "b", "Value": "2"}]


def test_tags_survive_a_multipart_upload(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", Tagging="a=1")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    assert tags_of_object(s3, bucket) == [{"Key": "a", "Value": "1"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags_of(3)})
    assert tags_of_object(s3, bucket) == tags_of(3)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_tags_that_come_with_an_object_need_a_right_of_their_own(s3, bucket, other, refused, raw):
    """Those in the header of a write, and those that a copy takes over."""
    arn = "arn:aws:iam::000000000000:user/other"

    def give(*actions):
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": arn},
            "Action": actions,
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    s3.put_object(Bucket=bucket, Key="tagged", Body=b"x", Tagging="a=b")
    writes = (
        (other.put_object, {"Body": b"x", "Tagging": "a=b"}),
        (other.create_multipart_upload, {"Tagging": "a=b"}),
        (other.copy_object, {"CopySource": f"{bucket}/tagged", "Tagging": "c=d", "TaggingDirective": "REPLACE"}),
        (other.copy_object, {"CopySource": f"{bucket}/tagged"}),
    )
    give("s3:PutObject", "s3:GetObject")
    for write, call in writes:
        refused("AccessDenied", 403, write, Bucket=bucket, Key="k", **call)
    other.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/tagged", TaggingDirective="REPLACE")
    give("s3:PutObject", "s3:GetObject", "s3:PutObjectTagging")
    for write, call in writes[:-1]:
        write(Bucket=bucket, Key="k", **call)
    refused("AccessDenied", 403, other.copy_object, Bucket=bucket, Key="k", **writes[-1][1])
    give("s3:PutObject", "s3:GetObject", "s3:PutObjectTagging", "s3:GetObjectTagging")
    other.copy_object(Bucket=bucket, Key="k", **writes[-1][1])
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "b"}]
