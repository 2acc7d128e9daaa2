"""Annotations: texts with names beside an object, without it being another one."""

import base64
import json
import os
import zlib
from datetime import UTC, datetime, timedelta

import pytest

CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
MIB = 1 << 20
LENGTH = ({}, {"Content-Length": "0"})


def annotate(s3, bucket, name, text, key="k", **more):
    return s3.put_object_annotation(Bucket=bucket, Key=key, AnnotationName=name, AnnotationPayload=text, **more)


def text_of(s3, bucket, name, key="k", **more):
    answer = s3.get_object_annotation(Bucket=bucket, Key=key, AnnotationName=name, **more)
    return answer["AnnotationPayload"].read()


def listed(s3, bucket, key="k", **more):
    answer = s3.list_object_annotations(Bucket=bucket, Key=key, **more)
    return [entry["AnnotationName"] for entry in answer.get("Annotations", ())]


@pytest.fixture
def annotated(s3, bucket):
    """A bucket whose object ``k`` has two annotations."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    annotate(s3, bucket, "labels", b'{"cat": 0.9}')
    annotate(s3, bucket, "other", "tschüß".encode())
    return bucket


def test_a_text_is_put_read_replaced_and_removed(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    before = s3.head_object(Bucket=bucket, Key="k")
    made = annotate(s3, bucket, "labels", b'{"cat": 0.9}')
    assert (made["Key"], made["AnnotationName"]) == ("k", "labels")
    found = s3.get_object_annotation(Bucket=bucket, Key="k", AnnotationName="labels", ChecksumMode="ENABLED")
    assert found["AnnotationPayload"].read() == b'{"cat": 0.9}'
    assert (found["ETag"], found["ContentLength"]) == (made["ETag"], 12)
    assert abs(found["LastModified"] - datetime.now(UTC)) < timedelta(minutes=5)
    annotate(s3, bucket, "labels", b"[]")
    assert text_of(s3, bucket, "labels") == b"[]"
    after = s3.head_object(Bucket=bucket, Key="k")
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    call = {"Bucket": bucket, "Key": "k", "AnnotationName": "labels"}
    assert s3.delete_object_annotation(**call)["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused("NoSuchAnnotation", 404, s3.get_object_annotation, **call)
    assert s3.delete_object_annotation(**call)["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize("size", [1, 5000, 300_000, MIB])
def test_texts_of_all_sizes(s3, bucket, size):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    text = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    annotate(s3, bucket, "n", text)
    assert text_of(s3, bucket, "n") == text


def test_a_listing(s3, annotated):
    annotate(s3, annotated, "Zoë/1", b"z", ChecksumAlgorithm="SHA256")
    annotate(s3, annotated, "\U0001f600", b"face")
    annotate(s3, annotated, "\uffee", b"wide")
    answer = s3.list_object_annotations(Bucket=annotated, Key="k")
    names = ["Zoë/1", "labels", "other", "\uffee", "\U0001f600"]
    assert [entry["AnnotationName"] for entry in answer["Annotations"]] == names
    assert answer["AnnotationCount"] == 5
    assert "MaxAnnotationResults" not in answer
    entry = answer["Annotations"][0]
    assert (entry["Size"], entry["ChecksumAlgorithm"]) == (1, ["SHA256"])
    assert "NextContinuationToken" not in answer
    assert listed(s3, annotated, AnnotationPrefix="o") == ["other"]
    assert listed(s3, annotated, AnnotationPrefix="Zoë/") == ["Zoë/1"]
    assert listed(s3, annotated, AnnotationPrefix="absent") == []
    found, more = [], {}
    while True:
        page = s3.list_object_annotations(Bucket=annotated, Key="k", MaxAnnotationResults=2, **more)
        assert page["MaxAnnotationResults"] == 2
        found += [entry["AnnotationName"] for entry in page["Annotations"]]
        if "NextContinuationToken" not in page:
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == names


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("max-annotation-results=0", (400, "InvalidArgument")),
        ("max-annotation-results=1001", (400, "InvalidArgument")),
        ("max-annotation-results=x", (400, "InvalidArgument")),
        ("continuation-token=nonsense", (400, "InvalidArgument")),
        (f"annotation-prefix={'x' * 513}", (400, "InvalidPrefix")),
    ],
)
def test_what_cannot_be_listed(raw, annotated, query, outcome):
    assert raw("GET", f"/{annotated}/k?annotation=&{query}").outcome == outcome


def test_the_document_of_a_listing(raw, annotated):
    answer = raw("GET", f"/{annotated}/k?annotation=&annotation-prefix=o&max-annotation-results=7")
    assert answer.xml.tag == "ListObjectAnnotationsOutput"
    names = ["Annotations", "Bucket", "Key", "AnnotationPrefix", "MaxAnnotationResults", "AnnotationCount"]
    assert [element.tag for element in answer.xml] == names


@pytest.mark.parametrize("most", ["0", "-1", "1001"])
def test_how_many_can_be_listed(raw, annotated, most):
    answer = raw("GET", f"/{annotated}/k?annotation=&max-annotation-results={most}")
    assert answer.xml.findtext("Message") == "Argument max-annotation-results must be an integer between 1 and 1000"
    assert answer.xml.findtext("ArgumentValue") == most


def test_an_annotation_that_is_not_there(raw, annotated):
    answer = raw("GET", f"/{annotated}/k?annotation=&annotationName=none")
    assert answer.xml.findtext("Message") == "The specified annotation does not exist."
    assert answer.xml.findtext("AnnotationName") == "none"


def test_a_token_of_another_object_is_none(s3, raw, annotated):
    s3.put_object(Bucket=annotated, Key="other", Body=b"")
    token = s3.list_object_annotations(Bucket=annotated, Key="k", MaxAnnotationResults=1)["NextContinuationToken"]
    answer = raw("GET", f"/{annotated}/other?annotation=&continuation-token={token}")
    assert answer.outcome == (400, "InvalidArgument")


NAMES = [
    ("", (400, "UserAnnotationNameMustBeSpecified")),
    ("aws-x", (400, "InvalidAnnotationName")),
    ("AWS", (400, "InvalidAnnotationName")),
    ("s3", (400, "InvalidAnnotationName")),
    ("S3%3Ax", (400, "InvalidAnnotationName")),
    ("a%0Ab", (400, "InvalidAnnotationName")),
    ("a%7Fb", (400, "InvalidAnnotationName")),
    ("x" * 513, (400, "AnnotationNameTooLong")),
    ("%C3%A4" * 257, (400, "AnnotationNameTooLong")),
]


@pytest.mark.parametrize(("name", "outcome"), NAMES)
def test_names_that_cannot_be(raw, annotated, unchanged, name, outcome):
    with unchanged(annotated):
        for method in ("PUT", "DELETE"):
            assert (
                raw(method, f"/{annotated}/k?annotation=&annotationName={name}", "x"[: method == "PUT"]).outcome
                == outcome
            )


def test_names_that_can_be(s3, annotated):
    for name in ("x" * 512, "ä" * 256, "a b/c?&=+%", "x-aws", "../..", "日本"):
        annotate(s3, annotated, name, name.encode())
        assert text_of(s3, annotated, name) == name.encode()


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", (400, "InvalidRequest")),
        (b"\xff", (415, "UnsupportedMediaType")),
        (b"text \xc3", (415, "UnsupportedMediaType")),
        (b"\xed\xa0\x80", (415, "UnsupportedMediaType")),
        (b"x" * 5000 + b"\x80", (415, "UnsupportedMediaType")),
        (b"x" * (MIB + 1), (400, "EntityTooLarge")),
    ],
)
def test_texts_that_cannot_be(raw, annotated, unchanged, body, outcome):
    with unchanged(annotated):
        assert (
            raw("PUT", f"/{annotated}/k?annotation=&annotationName=labels", body, LENGTH[body == b""]).outcome
            == outcome
        )
    assert raw("GET", f"/{annotated}/k?annotation=&annotationName=labels").body == b'{"cat": 0.9}'


def test_a_character_may_stand_across_pieces(s3, annotated):
    text = ("x" * 4095 + "ä" * 200_000).encode()
    annotate(s3, annotated, "n", text)
    assert text_of(s3, annotated, "n") == text


def test_digests_are_verified_and_kept(s3, raw, annotated, unchanged):
    with unchanged(annotated):
        for headers in (
            {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="},
            {"x-amz-checksum-crc32": "AAAAAA=="},
        ):
            answer = raw("PUT", f"/{annotated}/k?annotation=&annotationName=n", "text", headers)
            assert answer.outcome == (400, "BadDigest")
    made = annotate(s3, annotated, "n", b"text", ChecksumAlgorithm="CRC32")
    crc = base64.b64encode(zlib.crc32(b"text").to_bytes(4, "big")).decode()
    assert made["ChecksumCRC32"] == crc
    found = s3.get_object_annotation(Bucket=annotated, Key="k", AnnotationName="n", ChecksumMode="ENABLED")
    assert (found["ChecksumCRC32"], found["ChecksumType"]) == (crc, "FULL_OBJECT")
    plain = raw("GET", f"/{annotated}/k?annotation=&annotationName=n")
    assert (plain.status, "x-amz-checksum-crc32" in plain.headers) == (200, False)


def test_an_object_that_is_not_the_one_meant(s3, annotated, refused, unchanged):
    etag = s3.head_object(Bucket=annotated, Key="k")["ETag"]
    call = {"Bucket": annotated, "Key": "k", "AnnotationName": "labels"}
    with unchanged(annotated):
        for operation, more in (
            (s3.put_object_annotation, {"AnnotationPayload": b"x"}),
            (s3.delete_object_annotation, {}),
        ):
            refused("PreconditionFailed", 412, operation, **call, **more, ObjectIfMatch='"other"')
    annotate(s3, annotated, "labels", b"new", ObjectIfMatch=etag)
    s3.delete_object_annotation(**call, ObjectIfMatch=etag)
    assert listed(s3, annotated) == ["other"]


def test_what_is_not_there(s3, annotated, refused):
    call = {"Bucket": annotated, "Key": "absent", "AnnotationName": "n"}
    refused("NoSuchKey", 404, s3.put_object_annotation, **call, AnnotationPayload=b"x")
    refused("NoSuchKey", 404, s3.get_object_annotation, **call)
    refused("NoSuchKey", 404, s3.delete_object_annotation, **call)
    refused("NoSuchKey", 404, s3.list_object_annotations, Bucket=annotated, Key="absent")
    refused("NoSuchBucket", 404, s3.get_object_annotation, **call | {"Bucket": f"{annotated}-absent"})


def test_each_version_has_its_own(s3, versioned, refused):
    put = {"Bucket": versioned, "Key": "k"}
    old = s3.put_object(**put, Body=b"old")["VersionId"]
    assert annotate(s3, versioned, "n", b"of the old one")["ObjectVersionId"] == old
    new = s3.put_object(**put, Body=b"new")["VersionId"]
    assert listed(s3, versioned) == []
    assert listed(s3, versioned, VersionId=old) == ["n"]
    annotate(s3, versioned, "m", b"of the old one", VersionId=old)
    annotate(s3, versioned, "n", b"of the new one", VersionId=new)
    assert text_of(s3, versioned, "n", VersionId=old) == b"of the old one"
    assert text_of(s3, versioned, "n") == b"of the new one"
    s3.delete_object_annotation(**put, AnnotationName="n", VersionId=old)
    assert (listed(s3, versioned, VersionId=old), listed(s3, versioned)) == (["m"], ["n"])
    marker = s3.delete_object(**put)["VersionId"]
    call = {**put, "AnnotationName": "n"}
    refused("NoSuchKey", 404, s3.get_object_annotation, **call)
    refused("MethodNotAllowed", 405, s3.get_object_annotation, **call, VersionId=marker)
    refused("MethodNotAllowed", 405, s3.put_object_annotation, **call, AnnotationPayload=b"x", VersionId=marker)


def test_an_overwritten_object_has_none_and_leaves_none(s3, server, annotated):
    s3.put_object(Bucket=annotated, Key="k", Body=b"new")
    assert listed(s3, annotated) == []
    s3.delete_object(Bucket=annotated, Key="k")
    blobs = [path for path in (server.data / annotated).iterdir() if not path.name.startswith("@")]
    assert blobs == []


def test_copies_have_them_unless_they_are_excluded(s3, annotated):
    source = f"{annotated}/k"
    s3.copy_object(Bucket=annotated, Key="with", CopySource=source)
    s3.copy_object(Bucket=annotated, Key="copied", CopySource=source, AnnotationDirective="COPY")
    s3.copy_object(Bucket=annotated, Key="without", CopySource=source, AnnotationDirective="EXCLUDE")
    for key in ("with", "copied"):
        assert listed(s3, annotated, key) == ["labels", "other"]
        assert text_of(s3, annotated, "other", key) == "tschüß".encode()
    assert listed(s3, annotated, "without") == []
    s3.delete_object(Bucket=annotated, Key="k")
    assert text_of(s3, annotated, "labels", "with") == b'{"cat": 0.9}'


def test_they_follow_a_rename_and_an_append(s3, annotated):
    s3.put_object(Bucket=annotated, Key="k", Body=b"more", WriteOffsetBytes=4)
    assert listed(s3, annotated) == ["labels", "other"]
    s3.rename_object(Bucket=annotated, Key="renamed", RenameSource="k")
    s3.put_object(Bucket=annotated, Key="renamed", Body=b"more", WriteOffsetBytes=8)
    assert text_of(s3, annotated, "labels", "renamed") == b'{"cat": 0.9}'
    annotate(s3, annotated, "third", b"3", "renamed")
    assert s3.get_object(Bucket=annotated, Key="renamed")["Body"].read() == b"datamoremore"


def test_objects_under_a_clients_key_have_none(s3, annotated, refused):
    s3.put_object(Bucket=annotated, Key="secret", Body=b"data", **CUSTOMER)
    call = {"Bucket": annotated, "Key": "secret", "AnnotationName": "n", "AnnotationPayload": b"x"}
    refused("InvalidRequest", 400, s3.put_object_annotation, **call)
    copy = {"Bucket": annotated, "Key": "copy", "CopySource": f"{annotated}/k", **CUSTOMER}
    refused("InvalidRequest", 400, s3.copy_object, **copy)
    s3.copy_object(**copy, AnnotationDirective="EXCLUDE")


def test_a_lock_keeps_them(s3, raw, new_bucket, refused):
    bucket = f"{new_bucket()}-lock"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = datetime.now(UTC) + timedelta(days=1)
    s3.put_object(Bucket=bucket, Key="k", Body=b"", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    annotate(s3, bucket, "n", b"first")
    call = {"Bucket": bucket, "Key": "k", "AnnotationName": "n"}
    refused("AccessDenied", 403, s3.put_object_annotation, **call, AnnotationPayload=b"second")
    refused("AccessDenied", 403, s3.delete_object_annotation, **call)
    assert text_of(s3, bucket, "n") == b"first"
    headers = {"x-amz-bypass-governance-retention": "true"}
    assert raw("DELETE", f"/{bucket}/k?annotation=&annotationName=n", "", headers).status == 204
    assert listed(s3, bucket) == []


RIGHTS = [
    ("s3:GetObjectAnnotation", "get_object_annotation", {"AnnotationName": "labels"}),
    ("s3:ListObjectAnnotations", "list_object_annotations", {}),
    ("s3:PutObjectAnnotation", "put_object_annotation", {"AnnotationName": "n", "AnnotationPayload": b"x"}),
    ("s3:DeleteObjectAnnotation", "delete_object_annotation", {"AnnotationName": "labels"}),
]


def allow(s3, bucket, *actions):
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": actions,
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@pytest.mark.parametrize(("action", "call", "arguments"), RIGHTS)
def test_each_needs_its_own_right(s3, other, annotated, refused, action, call, arguments):
    arguments = {"Bucket": annotated, "Key": "k", **arguments}
    allow(s3, annotated, "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket")
    refused("AccessDenied", 403, getattr(other, call), **arguments)
    allow(s3, annotated, action)
    getattr(other, call)(**arguments)


def test_a_copy_needs_the_rights_on_annotations_if_there_are_any(s3, other, annotated, refused):
    allow(s3, annotated, "s3:GetObject", "s3:PutObject")
    copy = {"Bucket": annotated, "Key": "c", "CopySource": f"{annotated}/k"}
    refused("AccessDenied", 403, other.copy_object, **copy)
    other.copy_object(**copy, AnnotationDirective="EXCLUDE")
    allow(s3, annotated, "s3:GetObject", "s3:PutObject", "s3:GetObjectAnnotation")
    refused("AccessDenied", 403, other.copy_object, **copy)
    allow(s3, annotated, "s3:GetObject", "s3:PutObject", "s3:GetObjectAnnotation", "s3:PutObjectAnnotation")
    other.copy_object(**copy)
    assert listed(s3, annotated, "c") == ["labels", "other"]
