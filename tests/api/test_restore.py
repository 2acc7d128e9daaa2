"""Archive classes: what is in one cannot be read until it is restored, and for how long then."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish.testing import Running

ARCHIVES = ["GLACIER", "DEEP_ARCHIVE"]
WORDS = "{} is not valid for the {}'s storage class"
BULK = "<GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>"
OTHERS = ["STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"]


def restore(s3, bucket, key="k", days=2, **more):
    answer = s3.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": days}, **more)
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def midnights(days):
    """Return the header that tells of the midnight after so many days; the test may run at midnight."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = (today + timedelta(days=number) for number in (days, days + 1))
    return {f'ongoing-request="false", expiry-date="{end:%a, %d %b %Y} 00:00:00 GMT"' for end in ends}


@pytest.fixture
def archived(s3, bucket):
    """A bucket with an object that is away."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", StorageClass="GLACIER", Metadata={"a": "1"})
    return bucket


@pytest.mark.parametrize("storage_class", ARCHIVES)
def test_what_is_archived_is_told_of_and_not_given(s3, bucket, refused, storage_class):
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", StorageClass=storage_class)
    error = refused("InvalidObjectState", 403, s3.get_object, Bucket=bucket, Key="k")["Error"]
    assert (error["StorageClass"], error["Message"]) == (storage_class, WORDS.format("The operation", "object"))
    refused("InvalidObjectState", 403, s3.get_object, Bucket=bucket, Key="k", Range="bytes=0-0")
    copy = {"Bucket": bucket, "Key": "c", "CopySource": f"{bucket}/k"}
    error = refused("InvalidObjectState", 403, s3.copy_object, **copy)["Error"]
    assert (error["StorageClass"], error["Message"]) == (storage_class, WORDS.format("Operation", "source object"))
    refused(
        "InvalidObjectState",
        403,
        s3.copy_object,
        Bucket=bucket,
        Key="k",
        CopySource=f"{bucket}/k",
        StorageClass="STANDARD",
    )
    upload = {"Bucket": bucket, "Key": "m", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]}
    copy = {**upload, "PartNumber": 1, "CopySource": f"{bucket}/k"}
    error = refused("InvalidObjectState", 403, s3.upload_part_copy, **copy)["Error"]
    assert (error["StorageClass"], error["Message"]) == (storage_class, WORDS.format("Operation", "source object"))
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["StorageClass"], head["ContentLength"]) == (storage_class, 4)
    assert "Restore" not in head
    assert s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])["ObjectSize"] == 4
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize("storage_class", OTHERS)
def test_what_is_in_another_class_is_read_and_not_restored(s3, bucket, refused, storage_class):
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", StorageClass=storage_class)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"
    call = {"Bucket": bucket, "Key": "k", "RestoreRequest": {"Days": 1}}
    error = refused("InvalidObjectState", 403, s3.restore_object, **call)["Error"]
    assert error["StorageClass"] == storage_class
    assert "Restore" not in s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize("storage_class", ARCHIVES)
def test_what_is_restored_can_be_read_and_copied(s3, bucket, storage_class):
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", StorageClass=storage_class)
    shown = midnights(2)
    assert restore(s3, bucket) == 202
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"data"
    assert got["Restore"] in shown | midnights(2)
    assert got["StorageClass"] == storage_class
    assert s3.head_object(Bucket=bucket, Key="k")["Restore"] == got["Restore"]
    s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k")
    copied = s3.get_object(Bucket=bucket, Key="c")
    assert copied["Body"].read() == b"data"
    assert not {"Restore", "StorageClass"} & copied.keys()


def test_a_second_restore_moves_the_end(s3, archived):
    assert restore(s3, archived, days=1) == 202
    assert restore(s3, archived, days=9) == 200
    assert s3.head_object(Bucket=archived, Key="k")["Restore"] in midnights(9)
    assert restore(s3, archived, days=3) == 200
    assert s3.head_object(Bucket=archived, Key="k")["Restore"] in midnights(3)


def test_a_copy_into_an_archive_class_is_away_though_its_source_was_restored(s3, archived, refused):
    restore(s3, archived)
    s3.copy_object(Bucket=archived, Key="c", CopySource=f"{archived}/k", StorageClass="DEEP_ARCHIVE")
    refused("InvalidObjectState", 403, s3.get_object, Bucket=archived, Key="c")
    s3.copy_object(Bucket=archived, Key="k", CopySource=f"{archived}/k", StorageClass="STANDARD_IA")
    assert s3.get_object(Bucket=archived, Key="k")["Body"].read() == b"data"


def test_an_overwritten_object_is_away_again(s3, archived, refused):
    restore(s3, archived)
    s3.put_object(Bucket=archived, Key="k", Body=b"new", StorageClass="GLACIER")
    refused("InvalidObjectState", 403, s3.get_object, Bucket=archived, Key="k")


def test_each_version_is_restored_by_itself(s3, versioned, refused):
    put = {"Bucket": versioned, "Key": "k", "StorageClass": "GLACIER"}
    old, new = (s3.put_object(**put, Body=body)["VersionId"] for body in (b"old", b"new"))
    assert restore(s3, versioned, VersionId=old) == 202
    assert s3.get_object(Bucket=versioned, Key="k", VersionId=old)["Body"].read() == b"old"
    refused("InvalidObjectState", 403, s3.get_object, Bucket=versioned, Key="k", VersionId=new)
    refused("InvalidObjectState", 403, s3.get_object, Bucket=versioned, Key="k")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    call = {"Bucket": versioned, "Key": "k", "RestoreRequest": {"Days": 1}}
    refused("NoSuchKey", 404, s3.restore_object, **call)
    refused("MethodNotAllowed", 405, s3.restore_object, **call, VersionId=marker)


def test_a_multipart_object_can_be_archived(s3, bucket, refused):
    where = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**where, StorageClass="GLACIER")["UploadId"]
    etag = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    refused("InvalidObjectState", 403, s3.get_object, **where, PartNumber=1)
    restore(s3, bucket)
    assert s3.get_object(**where, PartNumber=1)["Body"].read() == b"part"


def test_listings_tell_of_restores_when_they_are_asked(s3, archived):
    s3.put_object(Bucket=archived, Key="away", Body=b"data", StorageClass="GLACIER")
    s3.put_object(Bucket=archived, Key="here", Body=b"data")
    restore(s3, archived)
    for call, rows in [
        (s3.list_objects, "Contents"),
        (s3.list_objects_v2, "Contents"),
        (s3.list_object_versions, "Versions"),
    ]:
        found = {row["Key"]: row for row in call(Bucket=archived, OptionalObjectAttributes=["RestoreStatus"])[rows]}
        assert found["k"]["RestoreStatus"]["IsRestoreInProgress"] is False
        end = found["k"]["RestoreStatus"]["RestoreExpiryDate"]
        assert (end.hour, end.minute, end.second) == (0, 0, 0)
        assert s3.head_object(Bucket=archived, Key="k")["Restore"].endswith(f'"{end:%a, %d %b %Y} 00:00:00 GMT"')
        assert not any("RestoreStatus" in found[key] for key in ("away", "here"))
        assert not any("RestoreStatus" in row for row in call(Bucket=archived)[rows])


def test_a_condition_that_needs_no_bytes_is_answered_before(s3, archived):
    etag = s3.head_object(Bucket=archived, Key="k")["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=archived, Key="k", IfNoneMatch=etag)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("", (400, "MissingRequestBodyError")),
        ("<RestoreRequest/>", (400, "MalformedXML")),
        ("<RestoreRequest><Days>0</Days></RestoreRequest>", (400, "InvalidArgument")),
        ("<RestoreRequest><Days>-1</Days></RestoreRequest>", (400, "InvalidArgument")),
        ("<RestoreRequest><Days>9000000</Days></RestoreRequest>", (400, "InvalidArgument")),
        ("<RestoreRequest><Days>9999999999999999999</Days></RestoreRequest>", (400, "InvalidArgument")),
        ("<RestoreRequest><Days>x</Days></RestoreRequest>", (400, "MalformedXML")),
        ("<RestoreRequest><Days>1</Days><Tier>Soon</Tier></RestoreRequest>", (400, "MalformedXML")),
        (f"<RestoreRequest><Days>1</Days>{BULK}<Tier>Bulk</Tier></RestoreRequest>", (400, "MalformedXML")),
        ("<RestoreRequest><Days>1</Days><Type>SELECT</Type></RestoreRequest>", (501, "NotImplemented")),
        ("<RestoreRequest><Days>1</Days><SelectParameters/></RestoreRequest>", (501, "NotImplemented")),
        (
            "<RestoreRequest><Days>1</Days><OutputLocation><S3/></OutputLocation></RestoreRequest>",
            (400, "MalformedXML"),
        ),
        ("<Restore><Days>1</Days></Restore>", (400, "MalformedXML")),
    ],
)
def test_what_cannot_be_asked_changes_nothing(raw, archived, unchanged, body, outcome):
    with unchanged(archived):
        assert raw("POST", f"/{archived}/k?restore=", body).outcome == outcome
    assert raw("GET", f"/{archived}/k").outcome == (403, "InvalidObjectState")


def test_there_are_tiers_and_no_fast_one_for_deep_archive(s3, bucket, refused):
    for storage_class in ARCHIVES:
        s3.put_object(Bucket=bucket, Key=storage_class, Body=b"data", StorageClass=storage_class)
    call = {"Bucket": bucket, "Key": "DEEP_ARCHIVE"}
    fast = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    refused("InvalidArgument", 400, s3.restore_object, **call, RestoreRequest=fast)
    s3.restore_object(**call, RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}})
    s3.restore_object(Bucket=bucket, Key="GLACIER", RestoreRequest=fast)
    s3.restore_object(Bucket=bucket, Key="GLACIER", RestoreRequest={"Days": 1, "Tier": "Standard"})


def test_only_who_has_the_right_restores(s3, archived, other, refused):
    call = {"Bucket": archived, "Key": "k", "RestoreRequest": {"Days": 1}}
    refused("AccessDenied", 403, other.restore_object, **call)
    refused("NoSuchKey", 404, s3.restore_object, **call | {"Key": "absent"})
    refused("NoSuchBucket", 404, s3.restore_object, **call | {"Bucket": f"{archived}-absent"})


@pytest.fixture
def slow(start_server):
    """A server whose restores take five hours, and whose clock can be set."""
    server = start_server("--test", "--bucket", "made", S3ISH_JOBS_RESTORE_SECONDS="18000")
    return Running(server.endpoint)


def test_a_restore_takes_its_time_and_ends(slow, refused):
    s3 = boto3.client("s3", **slow.client_arguments, config=Config(retries={"max_attempts": 0}))
    slow.control("PUT", "clock", {"at": "2031-05-01T12:00:00Z", "running": False})
    where = {"Bucket": "made", "Key": "k"}
    s3.put_object(**where, Body=b"data", StorageClass="GLACIER")
    assert restore(s3, "made", days=1) == 202
    refused("RestoreAlreadyInProgress", 409, s3.restore_object, **where, RestoreRequest={"Days": 5})
    refused("InvalidObjectState", 403, s3.get_object, **where)
    assert s3.head_object(**where)["Restore"] == 'ongoing-request="true"'
    row = s3.list_objects_v2(Bucket="made", OptionalObjectAttributes=["RestoreStatus"])["Contents"][0]
    assert row["RestoreStatus"] == {"IsRestoreInProgress": True}
    slow.control("PUT", "clock", {"at": "2031-05-01T16:59:59Z", "running": False})
    refused("InvalidObjectState", 403, s3.get_object, **where)
    slow.control("PUT", "clock", {"at": "2031-05-01T17:00:00Z", "running": False})
    assert s3.get_object(**where)["Body"].read() == b"data"
    ends = 'ongoing-request="false", expiry-date="Sat, 03 May 2031 00:00:00 GMT"'
    assert s3.head_object(**where)["Restore"] == ends
    slow.control("PUT", "clock", {"at": "2031-05-02T23:59:59Z", "running": False})
    assert s3.get_object(**where)["Body"].read() == b"data"
    slow.control("PUT", "clock", {"at": "2031-05-03T00:00:00Z", "running": False})
    refused("InvalidObjectState", 403, s3.get_object, **where)
    assert "Restore" not in s3.head_object(**where)
    row = s3.list_objects_v2(Bucket="made", OptionalObjectAttributes=["RestoreStatus"])["Contents"][0]
    assert "RestoreStatus" not in row
    assert restore(s3, "made", days=1) == 202
