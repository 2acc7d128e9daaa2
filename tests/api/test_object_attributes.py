"""GetObjectAttributes."""

import hashlib

import pytest

ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
PART = 5 * 1024 * 1024


@pytest.fixture
def key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", StorageClass="STANDARD_IA", ChecksumAlgorithm="SHA256")
    return {"Bucket": bucket, "Key": "k"}


@pytest.fixture(scope="session")
def parted(s3, big):
    """An object of three parts with checksums; made once, nobody changes it."""
    name = {"Bucket": "parted-object", "Key": "k"}
    s3.create_bucket(Bucket=name["Bucket"])
    upload = s3.create_multipart_upload(**name, ChecksumAlgorithm="SHA256")["UploadId"]
    parts = []
    for number, body in enumerate((big[:PART], big[: PART + 1], b"end"), 1):
        put = s3.upload_part(**name, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": put["ETag"], "ChecksumSHA256": put["ChecksumSHA256"]})
    s3.complete_multipart_upload(**name, UploadId=upload, MultipartUpload={"Parts": parts})
    return name, parts


def test_everything(s3, key):
    found = s3.get_object_attributes(**key, ObjectAttributes=ALL)
    head = s3.head_object(**key, ChecksumMode="ENABLED")
    assert found["ETag"] == hashlib.md5(b"body").hexdigest(), "without quotes, as S3 writes it here"
    assert (found["ObjectSize"], found["StorageClass"]) == (4, "STANDARD_IA")
    assert found["Checksum"] == {"ChecksumSHA256": head["ChecksumSHA256"], "ChecksumType": "FULL_OBJECT"}
    assert found["LastModified"] == head["LastModified"]
    assert "ObjectParts" not in found
    assert "VersionId" not in found


@pytest.mark.parametrize("name", ALL)
def test_only_what_was_asked_for(s3, key, name):
    found = s3.get_object_attributes(**key, ObjectAttributes=[name])
    assert {other for other in ALL if other in found} == {name} - {"ObjectParts"}


def test_the_standard_class_is_told(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert (
        s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["StorageClass"])["StorageClass"]
        == "STANDARD"
    )


def test_the_answer_is_xml(raw, key):
    answer = raw("GET", f"/{key['Bucket']}/k?attributes", headers={"x-amz-object-attributes": "ObjectSize"})
    assert (answer.status, answer.xml.tag) == (200, "GetObjectAttributesResponse")
    assert answer.headers["last-modified"].endswith("GMT")


def test_parts(s3, parted):
    name, parts = parted
    found = s3.get_object_attributes(**name, ObjectAttributes=["ObjectParts", "Checksum", "ObjectSize"])
    assert found["ObjectSize"] == 2 * PART + 4
    assert found["Checksum"]["ChecksumType"] == "COMPOSITE"
    whole = s3.head_object(**name, ChecksumMode="ENABLED")["ChecksumSHA256"]
    assert found["Checksum"]["ChecksumSHA256"] + "-3" == whole, "the count stands with the parts"
    listed = found["ObjectParts"]
    assert (listed["TotalPartsCount"], listed["IsTruncated"], listed["MaxParts"]) == (3, False, 1000)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, PART), (2, PART + 1), (3, 3)]
    assert [part["ChecksumSHA256"] for part in listed["Parts"]] == [part["ChecksumSHA256"] for part in parts]


def test_parts_with_the_default_checksum_are_counted_and_not_listed(raw, bucket):
    upload = raw("POST", f"/{bucket}/k?uploads=").xml.findtext("UploadId")
    etag = raw("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload}", "part").headers["etag"]
    parts = f"<Part><ETag>{etag}</ETag><PartNumber>1</PartNumber></Part>"
    done = raw("POST", f"/{bucket}/k?uploadId={upload}", f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
    assert done.status == 200
    answer = raw("GET", f"/{bucket}/k?attributes", headers={"x-amz-object-attributes": "ObjectParts,Checksum"})
    assert answer.xml.findtext("ObjectParts/PartsCount") == "1"
    assert answer.xml.find("ObjectParts/Part") is None
    assert answer.xml.findtext("Checksum/ChecksumType") == "FULL_OBJECT"


def test_pages_of_parts(s3, parted):
    name, _ = parted
    pages, marker = [], 0
    while True:
        found = s3.get_object_attributes(**name, ObjectAttributes=["ObjectParts"], MaxParts=2, PartNumberMarker=marker)
        listed = found["ObjectParts"]
        assert (listed["PartNumberMarker"], listed["MaxParts"]) == (marker, 2)
        pages.append([part["PartNumber"] for part in listed["Parts"]])
        if not listed["IsTruncated"]:
            break
        marker = listed["NextPartNumberMarker"]
    assert pages == [[1, 2], [3]]


def test_parts_of_an_object_count_from_one_whatever_numbers_the_upload_gave_them(s3, bucket, big):
    name = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**name)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**name, UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((2, big[:PART]), (7, b"end"))
    ]
    s3.complete_multipart_upload(**name, UploadId=upload, MultipartUpload={"Parts": parts})
    listed = s3.get_object_attributes(**name, ObjectAttributes=["ObjectParts"])["ObjectParts"]
    assert (listed["TotalPartsCount"], listed["NextPartNumberMarker"], listed["IsTruncated"]) == (2, 2, False)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, PART), (2, 3)]
    assert s3.get_object(**name, PartNumber=2)["Body"].read() == b"end"


def test_of_a_version(s3, refused, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old")["VersionId"]
    s3.put_object(Bucket=versioned, Key="k", Body=b"and new")
    name = {"Bucket": versioned, "Key": "k", "ObjectAttributes": ["ObjectSize"]}
    found = s3.get_object_attributes(**name, VersionId=old)
    assert (found["ObjectSize"], found["VersionId"]) == (3, old)
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    answer = refused("NoSuchKey", 404, s3.get_object_attributes, **name)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    refused("MethodNotAllowed", 405, s3.get_object_attributes, **name, VersionId=marker)
    assert s3.get_object_attributes(**name, VersionId=old)["ObjectSize"] == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-object-attributes": "ETag,Nonsense"},
        {"x-amz-object-attributes": "etag"},
        {"x-amz-object-attributes": ""},
        {"x-amz-object-attributes": ",ETag"},
        {"x-amz-object-attributes": "ETag,,ObjectSize"},
        {"x-amz-object-attributes": "ETag, ,ObjectSize"},
        {"x-amz-object-attributes": "ObjectParts", "x-amz-part-number-marker": "x"},
    ],
)
def test_what_cannot_be_asked(raw, key, headers):
    assert raw("GET", f"/{key['Bucket']}/k?attributes", headers=headers).outcome == (400, "InvalidArgument")


def test_the_first_wrong_name_is_told(raw, key):
    answer = raw("GET", f"/{key['Bucket']}/k?attributes", headers={"x-amz-object-attributes": "ETag, Foo,Bar"})
    assert answer.xml.findtext("ArgumentValue") == "Foo"


@pytest.mark.parametrize("names", ["ETag,", "ETag,,", " ETag ,"])
def test_nothing_behind_the_last_comma_is_asked(raw, key, names):
    answer = raw("GET", f"/{key['Bucket']}/k?attributes", headers={"x-amz-object-attributes": names})
    assert [element.tag for element in answer.xml] == ["ETag"]


@pytest.mark.parametrize(
    ("asked", "shown"), [("x", 1000), ("-1", 1000), ("", 1000), ("1.5", 1000), ("9" * 30, 1000), ("1", 1), ("0", 0)]
)
def test_a_limit_of_parts_that_is_none_is_ignored(raw, s3, bucket, asked, shown):
    name = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**name, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
    etag = s3.upload_part(**name, UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="CRC32")["ETag"]
    s3.complete_multipart_upload(
        **name,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]},
        ChecksumType="FULL_OBJECT",
    )
    headers = {"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": asked}
    page = raw("GET", f"/{bucket}/k?attributes", headers=headers).xml.find("ObjectParts")
    assert (page.findtext("MaxParts"), len(page.findall("Part"))) == (str(shown), min(shown, 1))
    assert page.findtext("IsTruncated") == "false"  # not of no parts either: who went on would do so for ever


def test_of_parts_without_chosen_checksums_there_is_a_count_alone(raw, plain, bucket):
    name = {"Bucket": bucket, "Key": "k"}
    upload = plain.create_multipart_upload(**name)["UploadId"]
    etag = plain.upload_part(**name, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    plain.complete_multipart_upload(
        **name, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    answer = raw("GET", f"/{bucket}/k?attributes", headers={"x-amz-object-attributes": "ObjectParts"})
    assert [(element.tag, element.text) for element in answer.xml.find("ObjectParts")] == [("PartsCount", "1")]


@pytest.mark.parametrize("headers", [{}, {"x-amz-object-attributes": ","}, {"x-amz-object-attributes": " , "}])
def test_nothing_is_asked(raw, key, headers):
    assert raw("GET", f"/{key['Bucket']}/k?attributes", headers=headers).outcome == (400, "InvalidRequest")


def test_of_nothing(s3, refused, bucket):
    refused("NoSuchKey", 404, s3.get_object_attributes, Bucket=bucket, Key="missing", ObjectAttributes=["ETag"])
