"""PutObject with x-amz-write-offset-bytes: an object grows at its end."""

import base64
import hashlib
import os
import zlib

import pytest

KEY = os.urandom(32)
CUSTOMER = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": KEY,
}


def append(s3, bucket, body, offset, key="k", **more):
    return s3.put_object(Bucket=bucket, Key=key, Body=body, WriteOffsetBytes=offset, **more)


def read(s3, bucket, key="k", **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.fixture
def not_appended(refused, s3):
    """A function that sends an append, which must be refused."""

    def check(code, status, bucket, body, offset, key="k", **more):
        refused(code, status, s3.put_object, Bucket=bucket, Key=key, Body=body, WriteOffsetBytes=offset, **more)

    return check


def test_an_object_is_made_and_grows(s3, bucket):
    made = append(s3, bucket, b"one", 0, Metadata={"a": "1"}, ContentType="text/x", Tagging="t=1")
    assert made["ETag"] == f'"{hashlib.md5(b"one").hexdigest()}"'
    assert "Size" not in made
    grown = append(s3, bucket, b"-two", 3)
    assert (grown["Size"], grown["ETag"][-3:]) == (7, '-2"')
    assert append(s3, bucket, b"-three", 7)["Size"] == 13
    found = s3.get_object(Bucket=bucket, Key="k")
    assert found["Body"].read() == b"one-two-three"
    assert (found["Metadata"], found["ContentType"], found["TagCount"]) == ({"a": "1"}, "text/x", 1)
    assert read(s3, bucket, Range="bytes=2-8") == b"e-two-t"
    entry = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (entry["Size"], entry["ETag"]) == (13, found["ETag"])


def test_it_grows_where_it_ends_and_nowhere_else(s3, bucket, not_appended, unchanged):
    not_appended("InvalidWriteOffset", 400, bucket, b"x", 1)
    append(s3, bucket, b"12345", 0)
    with unchanged(bucket):
        for offset in (0, 4, 6, 2**62):
            not_appended("InvalidWriteOffset", 400, bucket, b"x", offset)
    assert read(s3, bucket) == b"12345"


def test_an_empty_object_grows_at_zero(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"a": "1"})
    append(s3, bucket, b"more", 0)
    assert (read(s3, bucket), s3.head_object(Bucket=bucket, Key="k")["Metadata"]) == (b"more", {"a": "1"})


@pytest.mark.parametrize("offset", ["-1", "x", "1.0", "", "99999999999999999999"])
def test_what_is_no_offset(s3, raw, bucket, unchanged, offset):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "x", {"x-amz-write-offset-bytes": offset})
        assert answer.outcome in ((400, "InvalidArgument"), (400, "InvalidWriteOffset"))


def test_large_pieces_of_all_sizes(s3, bucket, big):
    data = b""
    for size in (3 << 20, 100, 70_000, 8 << 20, 1, 300_000):
        append(s3, bucket, big[:size], len(data))
        data += big[:size]
    assert read(s3, bucket) == data
    assert read(s3, bucket, Range=f"bytes={3 << 20}-{(3 << 20) + 70_000}") == data[3 << 20 : (3 << 20) + 70_001]


def test_it_is_no_object_of_parts(s3, bucket, refused, big):
    upload = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, big[: 5 << 20]), (2, b"end"))
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    append(s3, bucket, b"-more", (5 << 20) + 3)
    whole = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert whole["Body"].read() == big[: 5 << 20] + b"end-more"
    assert "PartsCount" not in whole
    refused("InvalidPartNumber", 416, s3.get_object, Bucket=bucket, Key="k", PartNumber=2)
    wanted = ["ObjectParts", "ObjectSize", "ETag"]
    found = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=wanted)
    assert "ObjectParts" not in found
    assert found["ObjectSize"] == (5 << 20) + 8


def test_checksums(s3, bucket, raw, unchanged):
    append(s3, bucket, b"one", 0, ChecksumAlgorithm="CRC32")
    answer = append(s3, bucket, b"two", 3, ChecksumAlgorithm="CRC32")
    assert answer["ChecksumCRC32"] == crc32(b"two")
    found = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (found["ChecksumCRC32"], found["ChecksumType"]) == (crc32(b"onetwo"), "FULL_OBJECT")
    answer = append(s3, bucket, b"three", 6, ChecksumAlgorithm="SHA256")
    assert answer["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"three").digest()).decode()
    found = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert found["ChecksumCRC32"] == crc32(b"onetwothree")
    with unchanged(bucket):
        for header, value in (("x-amz-checksum-crc32", crc32(b"other")), ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")):
            headers = {"x-amz-write-offset-bytes": "11", header: value}
            assert raw("PUT", f"/{bucket}/k", "x", headers).outcome == (400, "BadDigest")


def test_conditions(s3, bucket, not_appended):
    append(s3, bucket, b"one", 0, IfNoneMatch="*")
    etag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    not_appended("PreconditionFailed", 412, bucket, b"x", 3, IfNoneMatch="*")
    not_appended("PreconditionFailed", 412, bucket, b"x", 3, IfMatch='"other"')
    not_appended("NoSuchKey", 404, bucket, b"x", 0, key="absent", IfMatch=etag)
    append(s3, bucket, b"two", 3, IfMatch=etag)
    not_appended("PreconditionFailed", 412, bucket, b"x", 6, IfMatch=etag)
    assert read(s3, bucket) == b"onetwo"


SAID = [
    {"Metadata": {"a": "2"}},
    {"Tagging": "t=2"},
    {"CacheControl": "no-store"},
    {"ContentDisposition": "inline"},
    {"ContentEncoding": "gzip"},
    {"StorageClass": "STANDARD_IA"},
    {"ACL": "public-read"},
    {"GrantRead": "id=x"},
    {"WebsiteRedirectLocation": "/x"},
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: next(iter(said)))
def test_what_is_said_of_an_object_is_said_when_it_is_made(s3, bucket, not_appended, unchanged, said):
    s3.put_object(Bucket=bucket, Key="k", Body=b"one")
    with unchanged(bucket):
        not_appended("InvalidRequest", 400, bucket, b"x", 3, **said)


def test_a_content_type_and_the_class_that_it_has_may_be_sent_again(s3, bucket):
    append(s3, bucket, b"one", 0, ContentType="text/x", StorageClass="STANDARD_IA")
    append(s3, bucket, b"two", 3, ContentType="application/octet-stream", StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "text/x"


def test_encryption_is_that_of_the_first_write(s3, bucket, not_appended):
    append(s3, bucket, b"one", 0)
    not_appended("EncryptionTypeMismatch", 400, bucket, b"x", 3, ServerSideEncryption="AES256")
    not_appended("EncryptionTypeMismatch", 400, bucket, b"x", 3, **CUSTOMER)
    append(s3, bucket, b"one", 0, key="e", ServerSideEncryption="aws:kms")
    answer = append(s3, bucket, b"two", 3, key="e")
    assert answer["ServerSideEncryption"] == "aws:kms"
    append(s3, bucket, b"three", 6, key="e", ServerSideEncryption="aws:kms")
    not_appended("EncryptionTypeMismatch", 400, bucket, b"x", 11, key="e", ServerSideEncryption="AES256")
    assert read(s3, bucket, "e") == b"onetwothree"


@pytest.mark.parametrize("sizes", [(3, 4), (70_000, 50), (50, 70_000)])
def test_an_object_under_a_clients_key_grows_under_it(s3, bucket, not_appended, big, sizes):
    append(s3, bucket, big[: sizes[0]], 0, **CUSTOMER)
    not_appended("EncryptionTypeMismatch", 400, bucket, b"x", sizes[0])
    wrong = CUSTOMER | {"SSECustomerKey": os.urandom(32)}
    not_appended("AccessDenied", 403, bucket, b"x", sizes[0], **wrong)
    for _ in range(2):
        append(s3, bucket, big[: sizes[1]], len(read(s3, bucket, **CUSTOMER)), **CUSTOMER)
    assert read(s3, bucket, **CUSTOMER) == big[: sizes[0]] + 2 * big[: sizes[1]]
    copy = {f"CopySource{name}": value for name, value in CUSTOMER.items()}
    s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k", **copy)
    assert read(s3, bucket, "c") == big[: sizes[0]] + 2 * big[: sizes[1]]


@pytest.mark.parametrize("suspended", [False, True])
def test_in_a_bucket_with_versions_nothing_is_appended(s3, versioned, not_appended, suspended):
    s3.put_object(Bucket=versioned, Key="k", Body=b"one")
    if suspended:
        s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    not_appended("InvalidBucketState", 409, versioned, b"two", 3)
    not_appended("InvalidBucketState", 409, versioned, b"two", 0, key="new")
    assert read(s3, versioned) == b"one"


def test_what_is_archived_does_not_grow(s3, bucket, not_appended):
    append(s3, bucket, b"one", 0, StorageClass="GLACIER")
    not_appended("InvalidObjectState", 403, bucket, b"two", 3)


def test_what_has_grown_is_copied_renamed_and_removed(s3, bucket, refused):
    for number in range(20):
        append(s3, bucket, b"%02d" % number, 2 * number)
    data = b"".join(b"%02d" % number for number in range(20))
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    s3.rename_object(Bucket=bucket, Key="renamed", RenameSource="k")
    append(s3, bucket, b"-more", len(data), key="renamed")
    assert (read(s3, bucket, "copy"), read(s3, bucket, "renamed")) == (data, data + b"-more")
    s3.delete_object(Bucket=bucket, Key="renamed")
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="renamed")
    assert read(s3, bucket, "copy") == data


def test_who_may_put_may_append_and_nobody_else(s3, other, bucket, refused):
    append(s3, bucket, b"one", 0)
    call = {"Bucket": bucket, "Key": "k", "Body": b"x", "WriteOffsetBytes": 3}
    refused("AccessDenied", 403, other.put_object, **call)
    assert read(s3, bucket) == b"one"


def test_many_appends_leave_few_files(s3, server, bucket):
    data = b"".join(b"line %d\n" % number for number in range(200))
    offset = 0
    for line in data.splitlines(keepends=True):
        append(s3, bucket, line, offset)
        offset += len(line)
    assert read(s3, bucket) == data
    folders = [path for path in (server.data / bucket).rglob("*") if path.is_dir() and "@" in path.name]
    assert len(folders) <= 2 + len(data).bit_length()
