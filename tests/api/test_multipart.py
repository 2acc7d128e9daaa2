"""Multipart uploads."""

import hashlib
from datetime import timedelta

import pytest

PART = 5 * 1024 * 1024


def tag_of(*bodies):
    """The entity tag that the parts make."""
    return f'"{hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()}-{len(bodies)}"'


class Upload:
    """An upload in progress, through boto3."""

    def __init__(self, s3, bucket, key="k", **arguments):
        self.s3 = s3
        self.name = {"Bucket": bucket, "Key": key}
        self.id = s3.create_multipart_upload(**self.name, **arguments)["UploadId"]
        self.name["UploadId"] = self.id

    def put(self, number, body):
        etag = self.s3.upload_part(**self.name, PartNumber=number, Body=body)["ETag"]
        return {"PartNumber": number, "ETag": etag}

    def complete(self, parts, **arguments):
        return self.s3.complete_multipart_upload(**self.name, MultipartUpload={"Parts": parts}, **arguments)

    def abort(self):
        return self.s3.abort_multipart_upload(**self.name)

    def parts(self, **arguments):
        return self.s3.list_parts(**self.name, **arguments)

    @property
    def numbers(self):
        return [part["PartNumber"] for part in self.parts().get("Parts", [])]


@pytest.fixture
def begin(s3, bucket):
    """A function that begins an upload."""
    return lambda key="k", **arguments: Upload(s3, bucket, key, **arguments)


@pytest.fixture
def upload(begin):
    return begin()


def read(s3, bucket, key="k"):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


# --- the whole way --------------------------------------------------------------------------------------------------


def test_an_upload(s3, bucket, begin, big):
    upload = begin(ContentType="text/plain", Metadata={"a": "b"}, StorageClass="STANDARD_IA", Tagging="a=1")
    bodies = [big[:PART], big[1 : PART + 4], b"end"]
    parts = [upload.put(number, body) for number, body in enumerate(bodies, 1)]
    assert [part["ETag"] for part in parts] == [f'"{hashlib.md5(body).hexdigest()}"' for body in bodies]
    answer = upload.complete(parts)
    assert (answer["Bucket"], answer["Key"], answer["ETag"]) == (bucket, "k", tag_of(*bodies))
    assert answer["Location"].endswith(f"/{bucket}/k")
    found = s3.get_object(Bucket=bucket, Key="k")
    assert found["Body"].read() == b"".join(bodies)
    assert (found["ETag"], found["ContentLength"]) == (tag_of(*bodies), sum(map(len, bodies)))
    assert (found["ContentType"], found["Metadata"], found["StorageClass"]) == ("text/plain", {"a": "b"}, "STANDARD_IA")
    assert found["TagCount"] == 1
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["ETag"], listed["Size"]) == (tag_of(*bodies), sum(map(len, bodies)))


def test_ranges_and_parts(s3, raw, bucket, begin, big):
    upload = begin()
    bodies = [big[:PART], big[7 : PART + 107], b"the end"]
    upload.complete([upload.put(number, body) for number, body in enumerate(bodies, 1)])
    whole = b"".join(bodies)
    for first, last in (
        (0, 0),
        (PART - 3, PART + 3),
        (PART, PART),
        (len(whole) - 9, len(whole) - 1),
        (5, len(whole) - 2),
    ):
        found = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")
        assert found["Body"].read() == whole[first : last + 1]
    start = 0
    for number, body in enumerate(bodies, 1):
        found = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert found["Body"].read() == body
        assert found["ContentRange"] == f"bytes {start}-{start + len(body) - 1}/{len(whole)}"
        assert found["PartsCount"] == 3
        head = raw("HEAD", f"/{bucket}/k?partNumber={number}")
        assert (head.status, head.headers["content-length"], head.headers["x-amz-mp-parts-count"]) == (
            206,
            str(len(body)),
            "3",
        )
        start += len(body)
    assert raw("GET", f"/{bucket}/k?partNumber=4").outcome == (416, "InvalidPartNumber")
    assert "PartsCount" not in s3.head_object(Bucket=bucket, Key="k")


def test_nothing_is_there_before_the_end(s3, refused, bucket, upload):
    upload.put(1, b"part")
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_the_object_of_before_stays_until_the_end(s3, bucket, upload):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    part = upload.put(1, b"after")
    assert read(s3, bucket) == b"before"
    upload.complete([part])
    assert read(s3, bucket) == b"after"


def test_parts_in_any_order_of_arrival(s3, bucket, upload, big):
    last = upload.put(7, b"last")
    first = upload.put(2, big[:PART])
    upload.complete([first, last])
    assert read(s3, bucket) == big[:PART] + b"last"


def test_a_part_put_twice_is_the_later_one(s3, bucket, upload):
    upload.put(1, b"first try")
    part = upload.put(1, b"second try")
    upload.complete([part])
    assert read(s3, bucket) == b"second try"


def test_parts_that_are_not_chosen_are_dropped(s3, bucket, upload):
    upload.put(1, b"not wanted")
    wanted = upload.put(2, b"wanted")
    assert upload.complete([wanted])["ETag"] == tag_of(b"wanted")
    assert read(s3, bucket) == b"wanted"


def test_an_empty_part(s3, bucket, upload):
    upload.complete([upload.put(1, b"")])
    assert read(s3, bucket) == b""
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == tag_of(b"")


def test_in_a_versioned_bucket(s3, versioned):
    before = s3.put_object(Bucket=versioned, Key="k", Body=b"before")["VersionId"]
    upload = Upload(s3, versioned)
    answer = upload.complete([upload.put(1, b"after")])
    assert answer["VersionId"] not in (before, "null")
    assert s3.get_object(Bucket=versioned, Key="k")["VersionId"] == answer["VersionId"]
    assert len(s3.list_object_versions(Bucket=versioned)["Versions"]) == 2


def test_boto3_transfers(s3, bucket, big, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(big + b"more than the SDK sends at once")
    s3.upload_file(str(source), bucket, "k")
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-2"')
    s3.download_file(bucket, "k", str(target))
    assert target.read_bytes() == source.read_bytes()


def test_the_answers_are_xml(raw, bucket):
    begun = raw("POST", f"/{bucket}/k?uploads=")
    assert [child.tag for child in begun.xml] == ["Bucket", "Key", "UploadId"]
    assert begun.xml.tag == "InitiateMultipartUploadResult"
    upload = begun.xml.findtext("UploadId")
    etag = raw("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload}", "part").headers["etag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag.replace(chr(34), '&quot;')}</ETag></Part>"
    body = f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{part}</CompleteMultipartUpload>'
    ended = raw("POST", f"/{bucket}/k?uploadId={upload}", body)
    assert (ended.status, ended.xml.tag, ended.xml.findtext("ETag")) == (
        200,
        "CompleteMultipartUploadResult",
        tag_of(b"part"),
    )


# --- parts that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["0", "-1", "10001", "1e2", "abc", "", "99999999999999999999"])  # case 122
def test_part_numbers_that_are_none(raw, upload, bucket, unchanged, number):
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k?partNumber={number}&uploadId={upload.id}", "part")
        assert answer.outcome == (400, "InvalidArgument")
        assert answer.xml.findtext("ArgumentName") == "partNumber"


def test_the_last_part_number(s3, bucket, upload):  # case 122
    upload.complete([upload.put(10_000, b"part")])
    assert read(s3, bucket) == b"part"


def test_a_part_without_a_length(raw, bucket, upload, unchanged):
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload.id}")
        assert answer.outcome == (411, "MissingContentLength")


def test_a_part_that_is_too_large(raw, bucket, upload):  # case 119
    headers = {"Content-Length": str(5 * 1024**3 + 1), "Expect": "100-continue"}
    path = f"/{bucket}/k?partNumber=1&uploadId={upload.id}"
    answer = raw("PUT", path, headers=headers, payload="UNSIGNED-PAYLOAD")
    assert answer.outcome == (400, "EntityTooLarge")


@pytest.mark.parametrize("wrong", ["x", "", "..%2Fx", "%00", "a" * 3000, "0" * 32])  # case 124
def test_upload_ids_that_are_none(raw, bucket, upload, unchanged, wrong):
    with unchanged(bucket):
        path = f"/{bucket}/k?uploadId={wrong}"
        assert raw("PUT", f"{path}&partNumber=1", "part").outcome == (404, "NoSuchUpload")
        assert raw("GET", path).outcome == (404, "NoSuchUpload")
        assert raw("DELETE", path).outcome == (404, "NoSuchUpload")
        part = "<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"
        body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"
        assert raw("POST", path, body).outcome == (404, "NoSuchUpload")


def test_an_upload_belongs_to_its_key_and_bucket(s3, refused, new_bucket, bucket, upload):  # case 124
    for name in ({"Bucket": bucket, "Key": "other"}, {"Bucket": new_bucket(), "Key": "k"}):
        whole = {**name, "UploadId": upload.id}
        refused("NoSuchUpload", 404, s3.upload_part, **whole, PartNumber=1, Body=b"part")
        refused("NoSuchUpload", 404, s3.list_parts, **whole)
        refused("NoSuchUpload", 404, s3.abort_multipart_upload, **whole)
    assert upload.numbers == []


def test_an_upload_belongs_to_its_bucket_owner(other, refused, bucket, upload):
    refused("AccessDenied", 403, other.upload_part, **upload.name, PartNumber=1, Body=b"part")
    refused("AccessDenied", 403, other.abort_multipart_upload, **upload.name)


# --- completing -----------------------------------------------------------------------------------------------------


@pytest.fixture
def three(upload, big):
    """An upload with three parts, and the parts."""
    return upload, [upload.put(1, big[:PART]), upload.put(2, big[:PART]), upload.put(3, b"end")]


def test_wrong_lists_of_parts(s3, refused, bucket, three, unchanged):  # case 123
    upload, (one, two, end) = three
    other_tag = {"PartNumber": 2, "ETag": '"00000000000000000000000000000000"'}
    for code, parts in (
        ("InvalidPartOrder", [two, one, end]),
        ("InvalidPartOrder", [one, one, end]),
        ("InvalidPart", [one, two, {"PartNumber": 4, "ETag": end["ETag"]}]),
        ("InvalidPart", [one, other_tag, end]),
        ("InvalidPart", [one, {"PartNumber": 2, "ETag": "nonsense"}, end]),
        ("InvalidArgument", [{"PartNumber": 0, "ETag": one["ETag"]}]),
        ("InvalidArgument", [one, {"PartNumber": 10_001, "ETag": one["ETag"]}]),
    ):
        with unchanged(bucket):
            refused(code, 400, upload.complete, parts=parts)
    assert upload.complete([one, two, end])["ETag"].endswith('-3"')


def test_a_part_that_is_too_small(s3, refused, bucket, upload, unchanged):  # case 123
    parts = [upload.put(1, b"small"), upload.put(2, b"end")]
    with unchanged(bucket):
        answer = refused("EntityTooSmall", 400, upload.complete, parts=parts)
    assert answer["Error"]["ProposedSize"] == "5"
    assert answer["Error"]["MinSizeAllowed"] == str(PART)
    upload.complete(parts[1:])


def test_tags_with_and_without_quotes(s3, bucket, upload):
    part = upload.put(1, b"part")
    upload.complete([{**part, "ETag": part["ETag"].strip('"')}])
    assert read(s3, bucket) == b"part"


@pytest.mark.parametrize(  # cases 123, 128
    "body",
    [
        "",
        "<CompleteMultipartUpload/>",
        "<CompleteMultipartUpload>",
        "<Complete/>",
        "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
        "<!DOCTYPE x><CompleteMultipartUpload/>",
        "<CompleteMultipartUpload>"
        + "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>x</ETag></Part>" for n in range(1, 10_002))
        + "</CompleteMultipartUpload>",
    ],
    ids=lambda body: body[:60],
)
def test_malformed_lists(raw, bucket, upload, unchanged, body):
    with unchanged(bucket):
        answer = raw("POST", f"/{bucket}/k?uploadId={upload.id}", body)
        assert answer.outcome in ((400, "MalformedXML"), (400, "InvalidRequest"))


@pytest.mark.parametrize("count", [10_001, 100_000])
def test_more_parts_than_there_can_be(raw, bucket, upload, count):  # case 163
    part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part * count}</CompleteMultipartUpload>"
    answer = raw("POST", f"/{bucket}/k?uploadId={upload.id}", body)
    assert answer.outcome == (400, "MalformedXML")


def test_complete_again_answers_the_same(s3, bucket, upload):  # case 48
    parts = [upload.put(1, b"part")]
    first, second = upload.complete(parts), upload.complete(parts)
    assert first["ETag"] == second["ETag"]
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 1


def test_complete_again_with_other_parts(refused, upload):
    part = upload.put(1, b"part")
    upload.complete([part])
    refused("NoSuchUpload", 404, upload.complete, parts=[{**part, "PartNumber": 2}])


def test_after_the_end_the_upload_is_gone(refused, upload):  # case 124
    upload.complete([upload.put(1, b"part")])
    refused("NoSuchUpload", 404, upload.put, number=1, body=b"more")
    refused("NoSuchUpload", 404, upload.parts)
    refused("NoSuchUpload", 404, upload.abort)


def test_the_size_of_the_whole(refused, bucket, three, unchanged, big):
    upload, parts = three
    with unchanged(bucket):
        refused("InvalidRequest", 400, upload.complete, parts=parts, MpuObjectSize=1)
    upload.complete(parts, MpuObjectSize=2 * PART + 3)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("size", "is invalid: 'size'"),
        ("", "is invalid: ''"),
        ("1.5", "is invalid: '1.5'"),
        ("-1", "is less than zero: '-1'"),
    ],
)
def test_sizes_of_the_whole_that_are_none(raw, bucket, upload, size, message):
    etag = upload.put(1, b"x")["ETag"]
    body = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    answer = raw("POST", f"/{bucket}/k?uploadId={upload.id}", body, {"x-amz-mp-object-size": size})
    assert answer.outcome == (400, "InvalidRequest")
    assert answer.xml.findtext("Message") == f"Value for x-amz-mp-object-size header {message}"


@pytest.mark.parametrize("number", [0, -1])
def test_part_numbers_below_one_at_the_end(raw, bucket, upload, number):
    etag = upload.put(1, b"x")["ETag"]
    part = f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"
    answer = raw("POST", f"/{bucket}/k?uploadId={upload.id}", body)
    assert answer.outcome == (400, "InvalidArgument")
    assert [answer.xml.findtext(name) for name in ("Message", "ArgumentName", "ArgumentValue")] == [
        "PartNumber must be >= 1",
        "PartNumber",
        str(number),
    ]


def test_conditions(s3, refused, bucket, begin):
    first, second, third = begin(), begin(), begin()
    etag = first.complete([first.put(1, b"1")], IfNoneMatch="*")["ETag"]
    parts = [second.put(1, b"2")]
    refused("PreconditionFailed", 412, second.complete, parts=parts, IfNoneMatch="*")
    refused("PreconditionFailed", 412, second.complete, parts=parts, IfMatch='"other"')
    assert second.numbers == [1], "the upload goes on after a condition that did not hold"
    second.complete(parts, IfMatch=etag)
    refused("PreconditionFailed", 412, third.complete, parts=[third.put(1, b"3")], IfMatch=etag)
    assert read(s3, bucket) == b"2"
    missing = begin("missing")
    refused("NoSuchKey", 404, missing.complete, parts=[missing.put(1, b"x")], IfMatch=etag)


# --- aborting -------------------------------------------------------------------------------------------------------


def test_abort(s3, raw, refused, server, bucket, upload, big):  # case 124
    upload.put(1, big[:PART])
    answer = raw("DELETE", f"/{bucket}/k?uploadId={upload.id}")
    assert (answer.status, answer.body) == (204, b"")
    refused("NoSuchUpload", 404, upload.abort)
    refused("NoSuchUpload", 404, upload.put, number=2, body=b"more")
    refused("NoSuchUpload", 404, upload.complete, parts=[{"PartNumber": 1, "ETag": "x"}])
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert not list((server.data / bucket).rglob("data.*")), "its parts take no room any more"


def test_abort_if_begun_at(s3, refused, bucket, upload):
    (listed,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    begun = listed["Initiated"]
    call = {**upload.name, "IfMatchInitiatedTime": begun - timedelta(hours=1)}
    refused("PreconditionFailed", 412, s3.abort_multipart_upload, **call)
    s3.abort_multipart_upload(**upload.name, IfMatchInitiatedTime=begun)


# --- copying parts --------------------------------------------------------------------------------------------------


def copy_part(s3, upload, source, number=1, **arguments):
    return s3.upload_part_copy(**upload.name, PartNumber=number, CopySource=source, **arguments)


def test_copied_parts(s3, bucket, upload, big):
    s3.put_object(Bucket=bucket, Key="source", Body=big)
    source = {"Bucket": bucket, "Key": "source"}
    ranged = copy_part(s3, upload, source, 1, CopySourceRange=f"bytes=3-{PART + 2}")
    whole = copy_part(s3, upload, source, 2)
    result = ranged["CopyPartResult"]
    assert result["ETag"] == f'"{hashlib.md5(big[3 : PART + 3]).hexdigest()}"'
    assert result["LastModified"]
    assert "CopySourceVersionId" not in ranged
    parts = [{"PartNumber": n, "ETag": it["CopyPartResult"]["ETag"]} for n, it in ((1, ranged), (2, whole))]
    assert upload.complete(parts)["ETag"] == tag_of(big[3 : PART + 3], big)
    assert read(s3, bucket) == big[3 : PART + 3] + big


def test_a_part_of_a_version(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="source", Body=b"old")["VersionId"]
    s3.put_object(Bucket=versioned, Key="source", Body=b"new")
    upload = Upload(s3, versioned)
    copied = copy_part(s3, upload, {"Bucket": versioned, "Key": "source", "VersionId": old})
    assert copied["CopySourceVersionId"] == old
    upload.complete([{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}])
    assert read(s3, versioned) == b"old"


@pytest.mark.parametrize(
    "text",
    ["bytes=0-", "bytes=-5", "0-5", "bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "bytes=0-10", "bytes=10-10", ""],
)
def test_source_ranges_that_are_none(raw, s3, bucket, upload, unchanged, text):
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    headers = {"x-amz-copy-source": f"{bucket}/source", "x-amz-copy-source-range": text, "Content-Length": "0"}
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload.id}", headers=headers)
        assert answer.outcome == (400, "InvalidArgument")


def test_conditions_on_the_source_of_a_part(s3, refused, bucket, upload):
    etag = s3.put_object(Bucket=bucket, Key="source", Body=b"part")["ETag"]
    source = {"Bucket": bucket, "Key": "source"}
    copy_part(s3, upload, source, CopySourceIfMatch=etag)
    call = {"s3": s3, "upload": upload, "source": source}
    refused("PreconditionFailed", 412, copy_part, **call, CopySourceIfMatch='"other"')
    refused("PreconditionFailed", 412, copy_part, **call, CopySourceIfNoneMatch=etag)


def test_sources_of_parts_that_are_none(s3, other, refused, bucket, upload):  # case 77
    call = {"s3": s3, "upload": upload}
    refused("NoSuchKey", 404, copy_part, **call, source={"Bucket": bucket, "Key": "missing"})
    refused("NoSuchBucket", 404, copy_part, **call, source={"Bucket": "no-such-bucket-of-ours", "Key": "k"})
    refused("InvalidArgument", 400, copy_part, **call, number=10_001, source={"Bucket": bucket, "Key": "k"})
    own = bucket.replace("t-", "o-")
    other.create_bucket(Bucket=own)
    theirs = Upload(other, own)
    refused("AccessDenied", 403, copy_part, s3=other, upload=theirs, source={"Bucket": bucket, "Key": "k"})
    assert upload.numbers == theirs.numbers == []


# --- listing parts --------------------------------------------------------------------------------------------------


def test_list_parts(s3, bucket, upload):
    for number in (1, 3, 10_000):
        upload.put(number, bytes(number))
    found = upload.parts()
    assert [(part["PartNumber"], part["Size"]) for part in found["Parts"]] == [(1, 1), (3, 3), (10_000, 10_000)]
    assert found["Parts"][0]["ETag"] == f'"{hashlib.md5(bytes(1)).hexdigest()}"'
    assert (found["Bucket"], found["Key"], found["UploadId"]) == (bucket, "k", upload.id)
    assert (found["MaxParts"], found["IsTruncated"], found["PartNumberMarker"]) == (1000, False, 0)
    assert found["StorageClass"] == "STANDARD"
    assert found["Owner"] == found["Initiator"] == s3.list_buckets()["Owner"]


def test_pages_of_parts(upload):
    for number in (1, 3, 5, 7):
        upload.put(number, b"x")
    pages, marker = [], 0
    while True:
        found = upload.parts(MaxParts=3, PartNumberMarker=marker)
        assert (found["PartNumberMarker"], found["MaxParts"]) == (marker, 3)
        pages.append([part["PartNumber"] for part in found["Parts"]])
        if not found["IsTruncated"]:
            break
        marker = found["NextPartNumberMarker"]
    assert pages == [[1, 3, 5], [7]]
    assert upload.parts(PartNumberMarker=7).get("Parts", []) == []
    assert upload.parts(PartNumberMarker=99_999).get("Parts", []) == []


@pytest.mark.parametrize("query", ["max-parts=-1", "max-parts=x", "part-number-marker=-1", "part-number-marker=x"])
def test_pages_that_are_none(raw, bucket, upload, query):
    answer = raw("GET", f"/{bucket}/k?uploadId={upload.id}&{query}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == query.partition("=")[0]


@pytest.mark.parametrize(("asked", "told"), [(0, 0), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_max_parts(upload, asked, told):
    upload.put(1, b"x")
    found = upload.parts(MaxParts=asked)
    assert found["MaxParts"] == told
    assert len(found.get("Parts", [])) == min(asked, 1)
    assert not found["IsTruncated"]  # not of no parts either: who went on from there would do so for ever


# --- listing uploads ------------------------------------------------------------------------------------------------


def listed(found):
    return [item["Key"] for item in found.get("Uploads", [])]


def test_list_uploads(s3, bucket, begin):
    uploads = {key: begin(key) for key in ("b", "a/2", "a/1", "c")}
    found = s3.list_multipart_uploads(Bucket=bucket)
    assert listed(found) == ["a/1", "a/2", "b", "c"]
    assert [item["UploadId"] for item in found["Uploads"]] == [uploads[key].id for key in listed(found)]
    first = found["Uploads"][0]
    assert first["Owner"] == first["Initiator"] == s3.list_buckets()["Owner"]
    assert first["StorageClass"] == "STANDARD"
    assert first["Initiated"]
    assert (found["Bucket"], found["MaxUploads"], found["IsTruncated"]) == (bucket, 1000, False)


def test_uploads_of_one_key_stand_in_the_order_of_their_beginning(s3, bucket, begin):
    ids = [begin().id for _ in range(6)]
    assert [item["UploadId"] for item in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ids


def test_uploads_by_prefix_and_delimiter(s3, bucket, begin):
    for key in ("a/1", "a/2", "a-b", "b/x/y", "c"):
        begin(key)
    assert listed(s3.list_multipart_uploads(Bucket=bucket, Prefix="a")) == ["a-b", "a/1", "a/2"]
    found = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert listed(found) == ["a-b", "c"]
    assert [item["Prefix"] for item in found["CommonPrefixes"]] == ["a/", "b/"]
    assert found["Delimiter"] == "/"
    found = s3.list_multipart_uploads(Bucket=bucket, Prefix="b/", Delimiter="/")
    assert [item["Prefix"] for item in found["CommonPrefixes"]] == ["b/x/"]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_of_uploads(s3, bucket, begin, size):
    for key in ("a", "k", "k", "k", "z"):
        begin(key)
    everything = [item["UploadId"] for item in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]]
    pages, markers = [], {}
    while True:
        found = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=size, **markers)
        pages.append([item["UploadId"] for item in found["Uploads"]])
        if not found["IsTruncated"]:
            break
        markers = {"KeyMarker": found["NextKeyMarker"], "UploadIdMarker": found["NextUploadIdMarker"]}
    assert all(len(page) == size for page in pages[:-1])
    assert [upload for page in pages for upload in page] == everything


def test_a_key_marker_alone_goes_behind_the_key(s3, bucket, begin):
    for key in ("a", "k", "k", "z"):
        begin(key)
    assert listed(s3.list_multipart_uploads(Bucket=bucket, KeyMarker="k")) == ["z"]
    assert listed(s3.list_multipart_uploads(Bucket=bucket, KeyMarker="b")) == ["k", "k", "z"]


@pytest.mark.parametrize(
    "query",
    [
        "max-uploads=-1",
        "max-uploads=x",
        "max-uploads=2147483648",
        "encoding-type=base64",
        "key-marker=a&upload-id-marker=x",
        "key-marker=a&upload-id-marker=" + "0" * 65,
    ],
)
def test_lists_of_uploads_that_are_none(raw, bucket, query):
    answer = raw("GET", f"/{bucket}?uploads=&{query}")
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == query.rpartition("&")[2].partition("=")[0]


def test_a_list_of_uploads_says_where_it_ends(raw, s3, bucket, begin):
    def ends(query="prefix="):
        found = raw("GET", f"/{bucket}?uploads=&{query}").xml
        names = ("NextKeyMarker", "NextUploadIdMarker", "MaxUploads", "Prefix", "IsTruncated")
        return [found.findtext(name) for name in names]

    assert ends() == ["", "", "1000", None, "false"]
    begin("a")
    last = begin("k")
    assert ends("prefix=") == ["k", last.id, "1000", None, "false"]
    assert ends("prefix=k&max-uploads=2000") == ["k", last.id, "1000", "k", "false"]
    assert ends("max-uploads=")[:3] == ["k", last.id, "1000"]
    assert ends("upload-id-marker=x") == ["k", last.id, "1000", None, "false"], "nothing without a key marker"
