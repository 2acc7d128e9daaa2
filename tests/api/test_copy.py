"""CopyObject."""

from datetime import timedelta

import pytest


@pytest.fixture
def source(s3, bucket):
    """An object with everything that a copy may take along."""
    s3.put_object(
        Bucket=bucket,
        Key="source",
        Body=b"the body",
        ContentType="text/plain",
        CacheControl="no-cache",
        Metadata={"from": "source"},
        Tagging="tag=source",
    )
    return bucket


def copy(s3, bucket, key="copy", source="source", **arguments):
    return s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": source}, **arguments)


def test_copy_takes_everything_along(s3, source):
    answer = copy(s3, source)
    found = s3.get_object(Bucket=source, Key="copy")
    assert found["Body"].read() == b"the body"
    assert (found["ContentType"], found["CacheControl"]) == ("text/plain", "no-cache")
    assert (found["Metadata"], found["TagCount"]) == ({"from": "source"}, 1)
    assert answer["CopyObjectResult"]["ETag"] == found["ETag"] == s3.head_object(Bucket=source, Key="source")["ETag"]
    assert answer["CopyObjectResult"]["LastModified"].replace(microsecond=0) == found["LastModified"]
    assert "CopySourceVersionId" not in answer
    assert "VersionId" not in answer


def test_the_answer_is_xml(raw, source):
    headers = {"x-amz-copy-source": f"{source}/source", "Content-Length": "0"}
    answer = raw("PUT", f"/{source}/copy", headers=headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/xml")
    assert answer.xml.tag == "CopyObjectResult"
    assert answer.xml.findtext("ETag").startswith('"')
    assert "etag" not in answer.headers


def test_copy_is_a_copy(s3, source):
    copy(s3, source)
    s3.put_object(Bucket=source, Key="source", Body=b"changed")
    assert s3.get_object(Bucket=source, Key="copy")["Body"].read() == b"the body"
    s3.delete_object(Bucket=source, Key="copy")
    assert s3.get_object(Bucket=source, Key="source")["Body"].read() == b"changed"


@pytest.mark.parametrize("size", [0, 1, 40000, 3 * 1048576 + 1])
def test_sizes(s3, bucket, big, size):
    s3.put_object(Bucket=bucket, Key="source", Body=big[:size])
    copy(s3, bucket)
    s3.delete_object(Bucket=bucket, Key="source")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == big[:size]


def test_across_buckets(s3, source, new_bucket):
    target = new_bucket()
    s3.copy_object(Bucket=target, Key="copy", CopySource=f"{source}/source")
    s3.delete_object(Bucket=source, Key="source")
    s3.delete_bucket(Bucket=source)
    assert s3.get_object(Bucket=target, Key="copy")["Body"].read() == b"the body"


def test_a_multipart_object(s3, bucket, big):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="source")["UploadId"]
    bodies = [big[: 5 * 1024 * 1024], b"the end"]
    parts = [
        {
            "PartNumber": n,
            "ETag": s3.upload_part(Bucket=bucket, Key="source", UploadId=upload, PartNumber=n, Body=b)["ETag"],
        }
        for n, b in enumerate(bodies, 1)
    ]
    s3.complete_multipart_upload(Bucket=bucket, Key="source", UploadId=upload, MultipartUpload={"Parts": parts})
    copy(s3, bucket)
    s3.delete_object(Bucket=bucket, Key="source")
    found = s3.get_object(Bucket=bucket, Key="copy")
    assert found["Body"].read() == b"".join(bodies)


# --- directives -----------------------------------------------------------------------------------------------------


def test_replace_metadata(s3, source):
    copy(s3, source, MetadataDirective="REPLACE", Metadata={"new": "value"}, ContentType="text/html")
    found = s3.head_object(Bucket=source, Key="copy")
    assert (found["Metadata"], found["ContentType"]) == ({"new": "value"}, "text/html")
    assert "CacheControl" not in found
    assert s3.get_object(Bucket=source, Key="copy")["TagCount"] == 1


def test_without_the_directive_new_metadata_is_ignored(s3, source):
    copy(s3, source, Metadata={"new": "value"}, ContentType="text/html")
    found = s3.head_object(Bucket=source, Key="copy")
    assert (found["Metadata"], found["ContentType"]) == ({"from": "source"}, "text/plain")


@pytest.mark.parametrize("directive", [{}, {"TaggingDirective": "COPY"}])
def test_without_the_directive_new_tags_are_ignored(s3, source, directive):
    tags = s3.get_object_tagging(Bucket=source, Key="source")["TagSet"]
    copy(s3, source, Tagging="other=tag", **directive)
    assert s3.get_object_tagging(Bucket=source, Key="copy")["TagSet"] == tags != []


def test_replace_tags(s3, source):
    copy(s3, source, TaggingDirective="REPLACE", Tagging="a=1&b=2")
    assert s3.get_object(Bucket=source, Key="copy")["TagCount"] == 2
    copy(s3, source, TaggingDirective="REPLACE")
    assert "TagCount" not in s3.get_object(Bucket=source, Key="copy")


@pytest.mark.parametrize("name", ["x-amz-metadata-directive", "x-amz-tagging-directive"])
def test_directives_that_are_none(raw, source, unchanged, name):
    headers = {"x-amz-copy-source": f"{source}/source", name: "MERGE", "Content-Length": "0"}
    with unchanged(source):
        answer = raw("PUT", f"/{source}/copy", headers=headers)
        assert answer.outcome == (400, "InvalidArgument")
        assert answer.xml.findtext("Message") == f"Unknown {name.split('-')[2]} directive."


def test_class_and_encryption_are_those_of_the_request(s3, source):
    copy(s3, source, "warm", StorageClass="STANDARD_IA", ServerSideEncryption="AES256")
    assert s3.head_object(Bucket=source, Key="warm")["StorageClass"] == "STANDARD_IA"
    assert s3.head_object(Bucket=source, Key="warm")["ServerSideEncryption"] == "AES256"
    copy(s3, source, "cool", "warm")
    assert "StorageClass" not in s3.head_object(Bucket=source, Key="cool")


# --- onto itself ----------------------------------------------------------------------------------------------------


def test_onto_itself_without_a_change(s3, refused, source, unchanged):
    with unchanged(source):
        refused("InvalidRequest", 400, copy, s3=s3, bucket=source, key="source")


def test_onto_itself_with_a_change(s3, source):
    copy(s3, source, "source", MetadataDirective="REPLACE", Metadata={"now": "changed"})
    found = s3.get_object(Bucket=source, Key="source")
    assert (found["Metadata"], found["Body"].read()) == ({"now": "changed"}, b"the body")
    copy(s3, source, "source", StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=source, Key="source")["StorageClass"] == "STANDARD_IA"


def test_an_old_version_onto_itself_restores_it(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old")["VersionId"]
    new = s3.put_object(Bucket=versioned, Key="k", Body=b"new")["VersionId"]
    answer = s3.copy_object(Bucket=versioned, Key="k", CopySource={"Bucket": versioned, "Key": "k", "VersionId": old})
    assert answer["CopySourceVersionId"] == old
    assert answer["VersionId"] not in (old, new)
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"old"
    assert len(s3.list_object_versions(Bucket=versioned)["Versions"]) == 3


# --- versions of the source -----------------------------------------------------------------------------------------


def test_the_newest_version_is_named(s3, versioned):
    s3.put_object(Bucket=versioned, Key="source", Body=b"1")
    newest = s3.put_object(Bucket=versioned, Key="source", Body=b"2")["VersionId"]
    answer = copy(s3, versioned)
    assert answer["CopySourceVersionId"] == newest
    assert s3.head_object(Bucket=versioned, Key="copy")["VersionId"] == answer["VersionId"]


def test_markers_cannot_be_copied(s3, refused, versioned):
    s3.put_object(Bucket=versioned, Key="source", Body=b"1")
    marker = s3.delete_object(Bucket=versioned, Key="source")["VersionId"]
    refused("NoSuchKey", 404, copy, s3=s3, bucket=versioned)
    chosen = {"Bucket": versioned, "Key": "source", "VersionId": marker}
    refused("InvalidRequest", 400, s3.copy_object, Bucket=versioned, Key="copy", CopySource=chosen)


def test_versions_that_are_not_there(s3, refused, versioned):
    version = s3.put_object(Bucket=versioned, Key="source", Body=b"1")["VersionId"]
    s3.delete_object(Bucket=versioned, Key="source", VersionId=version)
    for wrong, outcome in ((version, ("NoSuchVersion", 404)), ("nonsense", ("InvalidArgument", 400))):
        chosen = {"Bucket": versioned, "Key": "source", "VersionId": wrong}
        refused(*outcome, s3.copy_object, Bucket=versioned, Key="copy", CopySource=chosen)


# --- conditions -----------------------------------------------------------------------------------------------------


def test_conditions_on_the_source(s3, refused, source):
    head = s3.head_object(Bucket=source, Key="source")
    early, late = head["LastModified"] - timedelta(hours=1), head["LastModified"] + timedelta(hours=1)
    for holds in (
        {"CopySourceIfMatch": head["ETag"]},
        {"CopySourceIfNoneMatch": '"other"'},
        {"CopySourceIfModifiedSince": early},
        {"CopySourceIfModifiedSince": late},  # a moment to come is ignored
        {"CopySourceIfUnmodifiedSince": late},
        {"CopySourceIfMatch": head["ETag"], "CopySourceIfUnmodifiedSince": early},
    ):
        copy(s3, source, **holds)
        s3.delete_object(Bucket=source, Key="copy")
    for fails in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": head["ETag"]},
        {"CopySourceIfModifiedSince": head["LastModified"]},
        {"CopySourceIfUnmodifiedSince": early},
        {"CopySourceIfNoneMatch": head["ETag"], "CopySourceIfModifiedSince": early},
    ):
        refused("PreconditionFailed", 412, copy, s3=s3, bucket=source, **fails)
    refused("404", 404, s3.head_object, Bucket=source, Key="copy")


def test_conditions_on_the_target(s3, refused, source):
    etag = copy(s3, source, IfNoneMatch="*")["CopyObjectResult"]["ETag"]
    refused("PreconditionFailed", 412, copy, s3=s3, bucket=source, IfNoneMatch="*")
    copy(s3, source, IfMatch=etag)
    refused("PreconditionFailed", 412, copy, s3=s3, bucket=source, IfMatch='"other"')
    refused("NoSuchKey", 404, copy, s3=s3, bucket=source, key="missing", IfMatch=etag)


# --- sources that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(  # case 78
    ("given", "outcome"),
    [
        ("", (400, "InvalidArgument")),
        ("/", (400, "InvalidArgument")),
        ("{b}", (400, "InvalidArgument")),
        ("{b}/", (400, "InvalidArgument")),
        ("//", (400, "InvalidArgument")),
        ("%", (400, "InvalidArgument")),
        ("{b}/source%00", (400, "InvalidArgument")),
        ("{b}/%ff", (400, "InvalidArgument")),
        ("{b}/" + "x" * 1025, (400, "KeyTooLongError")),
        ("Not_A_Bucket/k", (400, "InvalidArgument")),
        ("no-such-bucket-of-ours/k", (404, "NoSuchBucket")),
        ("{b}/missing", (404, "NoSuchKey")),
        ("{b}/source?versionId=", (400, "InvalidArgument")),
        ("{b}/source%3FversionId=null", (404, "NoSuchKey")),
        ("{b}/source?versionId=null%00", (400, "InvalidArgument")),
    ],
)
def test_sources_that_are_none(raw, source, unchanged, given, outcome):
    headers = {"x-amz-copy-source": given.replace("{b}", source), "Content-Length": "0"}
    with unchanged(source):
        assert raw("PUT", f"/{source}/copy", headers=headers).outcome == outcome


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "Invalid copy source bucket name"),
        ("/", "Invalid copy source bucket name"),
        ("{b}", "Invalid copy source object key"),
        ("/{b}/", "Invalid copy source object key"),
    ],
)
def test_what_is_missing_in_a_source(raw, source, given, message):
    headers = {"x-amz-copy-source": given.replace("{b}", source), "Content-Length": "0"}
    assert raw("PUT", f"/{source}/copy", headers=headers).xml.findtext("Message") == message


@pytest.mark.parametrize(
    "form", ["{b}/source", "/{b}/source", "{b}%2Fsource", "{b}/%73ource", "{b}/source?versionId=null"]
)
def test_forms_of_a_source(raw, source, form):
    headers = {"x-amz-copy-source": form.replace("{b}", source), "Content-Length": "0"}
    assert raw("PUT", f"/{source}/copy", headers=headers).status == 200


def test_a_source_of_somebody_else(s3, other, refused, source):  # case 77
    own = source.replace("t-", "o-")
    other.create_bucket(Bucket=own)
    refused("AccessDenied", 403, other.copy_object, Bucket=own, Key="k", CopySource=f"{source}/source")
    refused("AccessDenied", 403, other.copy_object, Bucket=own, Key="k", CopySource=f"{source}/missing")
    assert other.list_objects_v2(Bucket=own)["KeyCount"] == 0


def test_expected_owner_of_the_source(s3, refused, source):
    arguments = {"s3": s3, "bucket": source, "ExpectedSourceBucketOwner": "999999999999"}
    refused("AccessDenied", 403, copy, **arguments)


def test_a_copy_is_not_a_put_with_a_body(raw, source, unchanged):  # case 78
    with unchanged(source):
        headers = {"x-amz-copy-source": f"{source}/missing"}
        assert raw("PUT", f"/{source}/copy", "body", headers).outcome == (404, "NoSuchKey")


# --- checksums ------------------------------------------------------------------------------------------------------


def test_the_checksum_goes_along(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="source", Body=b"body", ChecksumAlgorithm="SHA256")
    assert copy(s3, bucket)["CopyObjectResult"]["ChecksumSHA256"] == put["ChecksumSHA256"]
    found = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert found["ChecksumSHA256"] == put["ChecksumSHA256"]


def test_another_checksum_is_computed(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=b"body", ChecksumAlgorithm="SHA256")
    right = s3.put_object(Bucket=bucket, Key="right", Body=b"body", ChecksumAlgorithm="CRC32C")
    result = copy(s3, bucket, ChecksumAlgorithm="CRC32C")["CopyObjectResult"]
    assert result["ChecksumCRC32C"] == right["ChecksumCRC32C"]
    assert "ChecksumSHA256" not in result
