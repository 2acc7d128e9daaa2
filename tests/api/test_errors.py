"""Every failure is an S3 error in XML with the ids of its request, and leaves nothing behind."""

import base64
import hashlib
import http.client
import re
import time
from urllib.parse import urlsplit

import pytest

REQUEST_ID = re.compile(r"[0-9A-F]{16}")
ANOTHER = hashlib.sha256(b"another body").hexdigest()
LIST = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"
MD5 = {"Content-MD5": base64.b64encode(hashlib.md5(b"<").digest()).decode()}
WRONG_MD5 = {"Content-MD5": base64.b64encode(bytes(16)).decode()}
TRAILER = {"payload": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
CHUNKED = {"x-amz-decoded-content-length": "5"}
UPLOAD = "uploadId={upload}"

FAILURES = [
    # name, method, path below the bucket, body, headers, further arguments, status, code
    ("no such key", "GET", "/missing", b"", {}, {}, 404, "NoSuchKey"),
    ("no such version", "GET", "/k?versionId=aaaaaaaaaaaaaaaaaaaaaaaa", b"", {}, {}, 404, "NoSuchVersion"),
    ("no such upload", "GET", "/k?uploadId=missing", b"", {}, {}, 404, "NoSuchUpload"),
    ("range", "GET", "/k", b"", {"Range": "bytes=99-"}, {}, 416, "InvalidRange"),
    ("condition", "GET", "/k", b"", {"If-Match": '"x"'}, {}, 412, "PreconditionFailed"),
    ("argument", "GET", "?max-keys=x", b"", {}, {}, 400, "InvalidArgument"),
    ("uri", "GET", "/%ff", b"", {}, {}, 400, "InvalidURI"),
    ("key too long", "PUT", "/" + "x" * 1025, b"body", {}, {}, 400, "KeyTooLongError"),
    ("digest", "PUT", "/k", b"body", WRONG_MD5, {}, 400, "BadDigest"),
    ("not a digest", "PUT", "/k", b"body", {"Content-MD5": "x"}, {}, 400, "InvalidDigest"),
    ("checksum", "PUT", "/k", b"body", {"x-amz-checksum-crc32": "AAAAAA=="}, {}, 400, "BadDigest"),
    ("hash", "PUT", "/k", b"body", {}, {"payload": ANOTHER}, 400, "XAmzContentSHA256Mismatch"),
    ("large hash", "PUT", "/k", bytes(300_000), {}, {"payload": ANOTHER}, 400, "XAmzContentSHA256Mismatch"),
    ("part", "PUT", f"/k?partNumber=1&{UPLOAD}", b"body", {}, {"payload": ANOTHER}, 400, "XAmzContentSHA256Mismatch"),
    ("length", "PUT", "/k", b"", {}, {}, 411, "MissingContentLength"),
    ("metadata", "PUT", "/k", b"body", {"x-amz-meta-a": "x" * 2048}, {}, 400, "MetadataTooLarge"),
    ("class", "PUT", "/k", b"body", {"x-amz-storage-class": "X"}, {}, 400, "InvalidStorageClass"),
    ("exists", "PUT", "/k", b"body", {"If-None-Match": "*"}, {}, 412, "PreconditionFailed"),
    ("chunks", "PUT", "/k", b"5\r\nbody", CHUNKED, TRAILER, 400, "IncompleteBody"),
    ("payload", "PUT", "/k", b"body", {}, {"payload": "STREAMING-X"}, 400, "InvalidArgument"),
    ("copy", "PUT", "/c", b"", {"x-amz-copy-source": "x", "Content-Length": "0"}, {}, 400, "InvalidArgument"),
    ("xml", "POST", "?delete", b"<", MD5, {}, 400, "MalformedXML"),
    ("no digest", "POST", "?delete", b"<Delete/>", {}, {}, 400, "InvalidRequest"),
    ("parts", "POST", f"/k?{UPLOAD}", LIST, {}, {}, 400, "InvalidPart"),
    ("state", "PUT", "?versioning", b"<Versioning/>", {}, {}, 400, "MalformedXML"),
    ("method", "POST", "/k", b"", {}, {}, 405, "MethodNotAllowed"),
    ("unknown method", "PATCH", "/k", b"body", {}, {}, 405, "MethodNotAllowed"),
    ("not built", "GET", "/k?torrent", b"", {}, {}, 501, "NotImplemented"),
    ("anonymous", "PUT", "/k", b"body", {}, {"keys": None}, 403, "AccessDenied"),
    ("secret", "PUT", "/k", b"body", {}, {"keys": ("s3ishadmin", "wrong")}, 403, "SignatureDoesNotMatch"),
    ("unknown", "PUT", "/k", b"body", {}, {"keys": ("nobody", "x")}, 403, "InvalidAccessKeyId"),
    ("not the owner", "PUT", "/k", b"body", {"x-amz-expected-bucket-owner": "9" * 12}, {}, 403, "AccessDenied"),
]  # fmt: skip


@pytest.fixture
def filled(s3, bucket):
    """A bucket with an object, and an upload with a part."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"part")
    return bucket, upload


@pytest.mark.parametrize("failure", FAILURES, ids=[failure[0] for failure in FAILURES])
def test_failures(raw, s3, filled, unchanged, failure):
    _, method, path, body, headers, further, status, code = failure
    bucket, upload = filled
    with unchanged(bucket):
        answer = raw(method, f"/{bucket}{path.replace('{upload}', upload)}", body, headers, **further)
    assert answer.outcome == (status, code)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"old"

    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["content-length"] == str(len(answer.body))
    error = answer.xml
    assert (error.tag, error.find("Message").text.strip()) != ("Error", "")
    assert REQUEST_ID.fullmatch(answer.headers["x-amz-request-id"])
    assert error.findtext("RequestId") == answer.headers["x-amz-request-id"]
    assert error.findtext("HostId") == answer.headers["x-amz-id-2"]
    assert error.findtext("Resource") == f"/{bucket}{path.partition('?')[0]}"[:1024]
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert not re.search(rb"Traceback|\.py|/tmp/|secret", answer.body)


@pytest.mark.parametrize("path", ["/missing", "/k?partNumber=9", "/k?versionId=x", "/%ff", "/" + "x" * 1025])
def test_head_has_no_body(raw, s3, bucket, path):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    head, got = raw("HEAD", f"/{bucket}{path}"), raw("GET", f"/{bucket}{path}")
    assert (head.status, head.body) == (got.status, b"")
    assert REQUEST_ID.fullmatch(head.headers["x-amz-request-id"])
    assert head.headers["content-type"] == "application/xml"


def test_every_answer_has_its_own_id(raw, bucket):
    answers = [
        raw("PUT", f"/{bucket}/k", "x"),
        raw("GET", f"/{bucket}/k"),
        raw("DELETE", f"/{bucket}/k"),
        raw("GET", "/"),
    ]
    ids = [answer.headers["x-amz-request-id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    assert all(REQUEST_ID.fullmatch(it) for it in ids)
    assert all(
        answer.headers["x-amz-id-2"] and answer.headers["date"] and answer.headers["server"] for answer in answers
    )


def test_errors_repeat_what_was_sent_escaped_and_shortened(raw, bucket):  # cases 129, 130
    answer = raw("GET", f"/{bucket}/%3Cscript%3E%26{'x' * 900}")
    assert answer.xml.findtext("Key").startswith("<script>&xxx")
    assert b"<script>" not in answer.body
    answer = raw("GET", f"/{bucket}?max-keys={'x' * 5000}")
    assert len(answer.body) < 3000


@pytest.mark.parametrize("text", ["%01", "%0B", "%EF%BF%BE", "%0D%0A", "%E2%80%A8"])  # case 129
def test_errors_can_always_be_read(raw, bucket, text):
    assert raw("GET", f"/{bucket}/{text}").outcome == (404, "NoSuchKey")
    assert raw("GET", f"/{bucket}?max-keys={text}").outcome == (400, "InvalidArgument")
    assert "\n" not in raw("GET", f"/{bucket}?max-keys={text}").headers.get("x-amz-request-id")


def test_not_modified_has_neither_body_nor_error(raw, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["ETag"]
    answer = raw("GET", f"/{bucket}/k", headers={"If-None-Match": etag})
    assert (answer.status, answer.body) == (304, b"")
    assert "content-type" not in answer.headers


def test_the_connection_goes_on_after_a_failure(server, raw, bucket):
    """A short body that nobody wanted is read away, so that the next request is not taken for it."""
    where = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
    for _ in range(3):
        connection.request("PUT", f"/{bucket}/k", b"x" * 1000)
        answer = connection.getresponse()
        assert (answer.status, b"AccessDenied" in answer.read()) == (403, True)
    connection.request("GET", "/-/live")
    assert connection.getresponse().status == 200
    connection.close()


def test_who_waits_to_continue_is_not_asked_for_the_body(raw, bucket):  # case 111
    headers = {"Content-Length": "1000000", "Expect": "100-continue"}
    answer = raw("PUT", f"/{bucket}/k", headers=headers, keys=("s3ishadmin", "wrong"), payload="UNSIGNED-PAYLOAD")
    assert answer.outcome == (403, "SignatureDoesNotMatch")
    assert answer.headers["connection"] == "close"


def abandoned(connection):
    """How many PUTs the server has seen end in the middle of their body: who closes ends one side first."""
    connection.request("GET", "/-/metrics")
    text = connection.getresponse().read().decode()
    found = re.search(r's3ish_requests_total\{operation="PutObject",status="400"\} (\S+)', text)
    return float(found[1]) if found else 0


def test_a_client_that_goes_away_leaves_nothing(server, raw, s3, bucket, presign, unchanged):  # cases 109, 110
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    where = urlsplit(server.endpoint)
    watch = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
    with unchanged(bucket):
        before, deadline = abandoned(watch), time.monotonic() + 20
        for sent in (0, 10, 200_000):
            connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
            connection.putrequest("PUT", presign("PUT", f"/{bucket}/k"))
            connection.putheader("Content-Length", "1000000")
            connection.endheaders(bytes(sent))
            connection.close()
        while abandoned(watch) < before + 3:
            assert time.monotonic() < deadline, "the server did not notice"
        assert raw("GET", f"/{bucket}/k").body == b"old"
    watch.close()


@pytest.mark.parametrize("query", ["", "?uploads="])
def test_methods_that_nobody_has(raw, bucket, query):  # case 107
    for method in ("PATCH", "TRACE", "PROPFIND"):
        answer = raw(method, f"/{bucket}/k{query}")
        assert answer.status in (400, 405, 501)


@pytest.mark.parametrize("path", ["/", "/{bucket}?versions", "/{bucket}/k", "/{bucket}/k?acl"])
def test_a_wrong_signature_is_refused_before_a_method_that_is_not_allowed(raw, bucket, path):
    path = path.format(bucket=bucket)
    for keys in (("s3ishadmin", "s3ishadmin"), None):
        assert raw("PATCH", path, keys=keys).outcome == (405, "MethodNotAllowed")
    assert raw("PATCH", path, keys=("s3ishadmin", "wrong")).outcome == (403, "SignatureDoesNotMatch")
    assert raw("PATCH", path, keys=("nobody", "x")).outcome == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("query", ["acl", "uploads", "uploadId=x", "versioning", "versions", "location", "attributes"])
def test_a_part_is_never_taken_for_the_whole(raw, s3, filled, unchanged, query):
    """What cannot be done to a part of a bucket or an object must not happen to the bucket or the object."""
    bucket, _ = filled
    with unchanged(bucket):
        assert raw("DELETE", f"/{bucket}/k?{query}").status in (404, 405)
        assert raw("PUT", f"/{bucket}/k?{query}", "new").status in (400, 405, 501)
        assert raw("PUT", f"/{bucket}?{query}").status in (400, 405, 501)
    s3.delete_object(Bucket=bucket, Key="k")
    outcome = (400, "InvalidRequest") if query == "uploadId=x" else (405, "MethodNotAllowed")
    assert raw("DELETE", f"/{bucket}?{query}").outcome == outcome
    s3.head_bucket(Bucket=bucket)


def test_a_part_without_its_upload(raw, filled, unchanged):
    with unchanged(filled[0]):
        for method in ("PUT", "POST", "DELETE"):
            assert raw(method, f"/{filled[0]}/k?partNumber=1", "part").outcome == (400, "InvalidArgument")
        answer = raw("PUT", f"/{filled[0]}/k?uploadId={filled[1]}", "part")
        assert answer.outcome == (405, "MethodNotAllowed")
        assert answer.headers["allow"] == "DELETE, GET, POST"


@pytest.mark.parametrize(
    "path",
    [
        "?abac",
        "?accelerate",
        "?analytics&id=x",
        "?cors",
        "?encryption",
        "?intelligent-tiering&id=x",
        "?inventory&id=x",
        "?lifecycle",
        "?logging",
        "?metrics&id=x",
        "?notification",
        "?object-lock",
        "?ownershipControls",
        "?policy",
        "?publicAccessBlock",
        "?replication",
        "?requestPayment",
        "?tagging",
        "?versioning",
        "?website",
        "/k?tagging",
    ],
)
def test_a_request_without_the_document_that_it_is_about(s3, raw, bucket, path):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert raw("PUT", f"/{bucket}{path}").outcome == (400, "MissingRequestBodyError")


@pytest.mark.parametrize("query", ["retention", "legal-hold"])
def test_a_lock_without_its_document(s3, raw, bucket, query):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert raw("PUT", f"/{bucket}/k?{query}").outcome == (400, "MalformedXML")
