"""RenameObject: an object gets another name, and nothing else of it changes."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def rename(s3, bucket, source, key, **more):
    return s3.rename_object(Bucket=bucket, Key=key, RenameSource=quote(source), **more)


@pytest.fixture
def not_renamed(refused):
    """A function that sends a rename, which must be refused."""

    def check(code, status, s3, bucket, source, key, **more):
        refused(code, status, s3.rename_object, Bucket=bucket, Key=key, RenameSource=quote(source), **more)

    return check


def keys(s3, bucket):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


@pytest.fixture
def filled(s3, bucket):
    """A bucket with the objects ``a`` and ``z``."""
    for key in ("a", "z"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"name": key})
    return bucket


def test_an_object_gets_another_name_and_keeps_all_else(s3, bucket, refused):
    put = {"Metadata": {"m": "1"}, "ContentType": "text/x", "StorageClass": "STANDARD_IA", "Tagging": "t=1"}
    s3.put_object(Bucket=bucket, Key="old name/ä+%.txt", Body=b"data", ChecksumAlgorithm="SHA256", **put)
    call = {"Bucket": bucket, "ChecksumMode": "ENABLED"}
    before = s3.head_object(Key="old name/ä+%.txt", **call)
    rename(s3, bucket, "old name/ä+%.txt", "new/name")
    after = s3.head_object(Key="new/name", **call)
    for answer in (before, after):
        del answer["ResponseMetadata"]
    assert after == before
    assert s3.get_object(Bucket=bucket, Key="new/name")["Body"].read() == b"data"
    assert s3.get_object_tagging(Bucket=bucket, Key="new/name")["TagSet"] == [{"Key": "t", "Value": "1"}]
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="old name/ä+%.txt")
    assert keys(s3, bucket) == ["new/name"]


def test_a_large_object_and_one_of_parts(s3, bucket, big):
    s3.put_object(Bucket=bucket, Key="large", Body=big)
    upload = {"Bucket": bucket, "Key": "m", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, big[: 5 << 20]), (2, b"end"))
    ]
    etag = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})["ETag"]
    rename(s3, bucket, "large", "large-2")
    rename(s3, bucket, "m", "m-2")
    assert s3.get_object(Bucket=bucket, Key="large-2")["Body"].read() == big
    found = s3.get_object(Bucket=bucket, Key="m-2")
    assert (found["ETag"], found["Body"].read()) == (etag, big[: 5 << 20] + b"end")
    assert s3.get_object(Bucket=bucket, Key="m-2", PartNumber=2)["Body"].read() == b"end"


def test_what_has_the_new_name_is_replaced_unless_a_condition_forbids_it(s3, filled, not_renamed):
    not_renamed("PreconditionFailed", 412, s3, filled, "a", "z", DestinationIfNoneMatch="*")
    assert keys(s3, filled) == ["a", "z"]
    rename(s3, filled, "a", "z")
    assert keys(s3, filled) == ["z"]
    assert s3.get_object(Bucket=filled, Key="z")["Metadata"] == {"name": "a"}


def test_eight_conditions(s3, filled, unchanged, not_renamed):
    etags = {key: s3.head_object(Bucket=filled, Key=key)["ETag"] for key in ("a", "z")}
    soon = datetime.now(UTC) + timedelta(days=1)
    failing = [
        {"DestinationIfMatch": etags["a"]},
        {"DestinationIfNoneMatch": "*"},
        {"DestinationIfNoneMatch": etags["z"]},
        {"DestinationIfUnmodifiedSince": LONG_AGO},
        {"SourceIfMatch": etags["z"]},
        {"SourceIfNoneMatch": etags["a"]},
        {"SourceIfNoneMatch": "*"},
        {"SourceIfUnmodifiedSince": LONG_AGO},
    ]
    with unchanged(filled):
        for condition in failing:
            not_renamed("PreconditionFailed", 412, s3, filled, "a", "z", **condition)
        for condition in ({"DestinationIfMatch": "*"}, {"DestinationIfModifiedSince": LONG_AGO}):
            not_renamed("PreconditionFailed", 412, s3, filled, "a", "absent", **condition)
        now = s3.head_object(Bucket=filled, Key="a")["LastModified"]
        for side in ("Source", "Destination"):
            not_renamed("PreconditionFailed", 412, s3, filled, "a", "z", **{f"{side}IfModifiedSince": now})
    holding = {
        "DestinationIfMatch": etags["z"],
        "DestinationIfNoneMatch": etags["a"],
        "DestinationIfModifiedSince": LONG_AGO,
        "DestinationIfUnmodifiedSince": soon,
        "SourceIfMatch": etags["a"],
        "SourceIfNoneMatch": etags["z"],
        "SourceIfModifiedSince": LONG_AGO,
        "SourceIfUnmodifiedSince": soon,
    }
    rename(s3, filled, "a", "z", **holding)
    assert keys(s3, filled) == ["z"]


def test_a_request_with_a_token_may_be_repeated(s3, filled, not_renamed):
    rename(s3, filled, "a", "b", ClientToken="token-1")
    s3.put_object(Bucket=filled, Key="a", Body=b"another")
    rename(s3, filled, "a", "b", ClientToken="token-1")
    assert keys(s3, filled) == ["a", "b", "z"]
    call = {"ClientToken": "token-1"}
    not_renamed("IdempotencyParameterMismatch", 400, s3, filled, "a", "c", **call)
    not_renamed("IdempotencyParameterMismatch", 400, s3, filled, "a", "b", DestinationIfNoneMatch="*", **call)
    rename(s3, filled, "a", "b", ClientToken="token-2")
    assert keys(s3, filled) == ["b", "z"]


def test_tokens_of_another_caller_are_other_tokens(s3, other, filled, new_bucket):
    rename(s3, filled, "a", "b", ClientToken="shared")
    bucket = f"{new_bucket()}-other"
    other.create_bucket(Bucket=bucket)
    other.put_object(Bucket=bucket, Key="a", Body=b"")
    rename(other, bucket, "a", "b", ClientToken="shared")
    assert keys(other, bucket) == ["b"]


@pytest.mark.parametrize("token", ["", "x" * 65, "a b", "é"])
def test_a_token_that_cannot_be(raw, filled, unchanged, token):
    with unchanged(filled):
        headers = {"x-amz-rename-source": "a", "x-amz-client-token": token}
        assert raw("PUT", f"/{filled}/b?renameObject=", "", headers).outcome == (400, "InvalidArgument")


@pytest.mark.parametrize("form", ["a", "%61", "/a", "/{bucket}/a"])
def test_the_source_is_a_key_or_a_path(s3, raw, filled, form):
    headers = {"x-amz-rename-source": form.format(bucket=filled)}
    assert raw("PUT", f"/{filled}/b?renameObject=", "", headers).status == 200
    assert keys(s3, filled) == ["b", "z"]


@pytest.mark.parametrize(
    ("source", "key", "outcome"),
    [
        (None, "b", (400, "InvalidArgument")),
        ("", "b", (400, "InvalidArgument")),
        ("/", "b", (400, "InvalidArgument")),
        ("%", "b", (400, "InvalidArgument")),
        ("%00", "b", (400, "InvalidArgument")),
        ("%ff", "b", (400, "InvalidArgument")),
        ("..%2Fa", "b", (400, "InvalidArgument")),
        ("x" * 1025, "b", (400, "KeyTooLongError")),
        ("a", "a", (400, "InvalidRequest")),
        ("a", "b/", (400, "InvalidRequest")),
        ("a/", "b", (400, "InvalidRequest")),
        ("absent", "b", (404, "NoSuchKey")),
        ("absent", "z", (404, "NoSuchKey")),
    ],
)
def test_what_cannot_be_renamed_changes_nothing(raw, filled, unchanged, source, key, outcome):
    with unchanged(filled):
        headers = {} if source is None else {"x-amz-rename-source": source}
        assert raw("PUT", f"/{filled}/{key}?renameObject=", "", headers).outcome == outcome


def test_dates_that_are_none_are_refused(raw, filled, unchanged):
    with unchanged(filled):
        for name in ("If-Modified-Since", "x-amz-rename-source-if-unmodified-since"):
            headers = {"x-amz-rename-source": "a", name: "yesterday"}
            assert raw("PUT", f"/{filled}/b?renameObject=", "", headers).outcome == (400, "InvalidArgument")


@pytest.mark.parametrize("suspended", [False, True])
def test_in_a_bucket_with_versions_nothing_is_renamed(s3, versioned, not_renamed, suspended):
    s3.put_object(Bucket=versioned, Key="a", Body=b"data")
    if suspended:
        s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    not_renamed("InvalidBucketState", 409, s3, versioned, "a", "b")
    assert s3.get_object(Bucket=versioned, Key="a")["Body"].read() == b"data"


RIGHTS = [
    ({"s3:PutObject": "b", "s3:GetObject": "a", "s3:DeleteObject": "a"}, True),
    ({"s3:PutObject": "b", "s3:GetObject": "a"}, False),
    ({"s3:PutObject": "b", "s3:DeleteObject": "a"}, False),
    ({"s3:GetObject": "a", "s3:DeleteObject": "a"}, False),
    ({"s3:PutObject": "a", "s3:GetObject": "b", "s3:DeleteObject": "b"}, False),
]


@pytest.mark.parametrize(("rights", "allowed"), RIGHTS)
def test_a_rename_needs_the_rights_to_read_delete_and_write(s3, other, filled, not_renamed, rights, allowed):
    statements = ", ".join(
        f'{{"Effect": "Allow", "Principal": "*", "Action": "{action}", "Resource": "arn:aws:s3:::{filled}/{key}"}}'
        for action, key in rights.items()
    )
    policy = f'{{"Version": "2012-10-17", "Statement": [{statements}]}}'
    s3.put_bucket_policy(Bucket=filled, Policy=policy)
    if allowed:
        rename(other, filled, "a", "b")
    else:
        not_renamed("AccessDenied", 403, other, filled, "a", "b")
    assert keys(s3, filled) == (["b", "z"] if allowed else ["a", "z"])
