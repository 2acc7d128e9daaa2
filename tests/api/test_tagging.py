"""Tags of buckets, as boto3 puts and gets them."""

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
    ("code", "tags"),
    [
        ("BadRequest", tags_of(51)),
        ("InvalidTag", [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]),
        ("InvalidTag", [{"Key": "k" * 129, "Value": "1"}]),
        ("InvalidTag", [{"Key": "k", "Value": "1" * 257}]),
        ("InvalidTag", [{"Key": "aws:k", "Value": "1"}]),
        ("InvalidTag", [{"Key": "k", "Value": "a(b"}]),
    ],
)
def test_tags_beyond_the_rules_change_nothing(s3, new_bucket, refused, code, tags):
    bucket = new_bucket()
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags_of(1)})
    refused(code, 400, s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": tags})
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
