"""Headers in the query of a presigned URL, where AWS's SDKs for JavaScript, Ruby and Go put them."""

import base64
import hashlib
from urllib.parse import quote, urlencode

import pytest

CRC32_OF_NOTHING = "AAAAAA=="


@pytest.fixture
def by_url(presign, raw):
    """A function that presigns a request with headers in its query alone, and sends it with nothing beside."""

    def send(method, path, body=b"", /, sent=None, **headers):
        query = urlencode({name.replace("_", "-"): value for name, value in headers.items()}, quote_via=quote)
        return raw(method, presign(method, f"{path}{'&' if '?' in path else '?'}{query}"), body, sent, keys=None)

    return send


def sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


DESCRIBED = {
    "x_amz_meta_Colour": "blue green",
    "X_Amz_Meta_Size": "é",
    "x_amz_storage_class": "STANDARD_IA",
    "x_amz_acl": "private",
    "x_amz_tagging": "a=1&b=2",
    "x_amz_server_side_encryption": "AES256",
    "x_amz_website_redirect_location": "/other",
    "Content_Type": "text/plain",
}


def check_described(s3, bucket):
    found = s3.head_object(Bucket=bucket, Key="k")
    assert found["Metadata"]["colour"] == "blue green"
    assert found["ContentType"] == "text/plain"
    assert (found["StorageClass"], found["TagCount"]) == ("STANDARD_IA", 2)
    assert (found["ServerSideEncryption"], found["WebsiteRedirectLocation"]) == ("AES256", "/other")


def test_an_upload_is_described_by_its_url(by_url, s3, bucket):
    answer = by_url("PUT", f"/{bucket}/k", "body", **DESCRIBED)
    assert answer.status == 200
    assert answer.headers["x-amz-server-side-encryption"] == "AES256"
    check_described(s3, bucket)


def test_an_upload_in_parts_is_described_by_its_url(by_url, s3, bucket):
    begun = by_url("POST", f"/{bucket}/k?uploads", **DESCRIBED, x_amz_checksum_algorithm="SHA256")
    assert begun.headers["x-amz-checksum-algorithm"] == "SHA256"
    upload = begun.xml.findtext("UploadId")
    part = by_url("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload}", "p", x_amz_checksum_sha256=sha256(b"p"))
    assert part.status == 200
    parts = [{"PartNumber": 1, "ETag": part.headers["etag"], "ChecksumSHA256": sha256(b"p")}]
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    check_described(s3, bucket)


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"x_amz_acl": "public-read"}, (400, "AccessControlListNotSupported")),
        ({"x_amz_grant_read": 'uri="x"'}, (400, "InvalidArgument")),
        ({"x_amz_server_side_encryption_customer_algorithm": "AES256"}, (400, "InvalidArgument")),
        ({"x_amz_object_lock_legal_hold": "ON"}, (400, "InvalidRequest")),
        ({"x_amz_storage_class": "NONSENSE"}, (400, "InvalidStorageClass")),
        ({"x_amz_tagging": "aws:a=b"}, (400, "InvalidTag")),
        ({"x_amz_expected_bucket_owner": "999999999999"}, (403, "AccessDenied")),
        ({"x_amz_checksum_sha256": sha256(b"other")}, (400, "BadDigest")),
        ({"x_amz_checksum_sha256": "nonsense"}, (400, "InvalidRequest")),
        ({"x_amz_checksum_made_up": "AAAA"}, (400, "InvalidRequest")),
        ({"Content_MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, (400, "BadDigest")),
        ({"x_amz_security_token": "token"}, (400, "InvalidToken")),
        ({"x_amz_copy_source": "nowhere/k"}, (404, "NoSuchBucket")),
    ],
)
def test_what_a_url_asks_for_is_refused_as_in_a_header(by_url, s3, bucket, unchanged, headers, outcome):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    with unchanged(bucket):
        assert by_url("PUT", f"/{bucket}/k", "new", **headers).outcome == outcome


def test_a_checksum_in_a_url_is_stored(by_url, s3, bucket):
    assert by_url("PUT", f"/{bucket}/k", "body", x_amz_checksum_sha256=sha256(b"body")).status == 200
    found = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert found["ChecksumSHA256"] == sha256(b"body")


def test_the_checksum_that_the_javascript_sdk_signs_without_a_body(by_url, raw, bucket):
    """It is that of no bytes, because the SDK does not know what will be sent; AWS takes the upload."""
    headers = {"x_amz_checksum_crc32": CRC32_OF_NOTHING, "x_amz_sdk_checksum_algorithm": "CRC32", "x_id": "PutObject"}
    assert by_url("PUT", f"/{bucket}/k", "body", **headers, x_amz_meta_a="b").status == 200
    answer = raw("GET", f"/{bucket}/k")
    assert (answer.body, answer.headers["x-amz-meta-a"]) == (b"body", "b")
    assert by_url("PUT", f"/{bucket}/empty", b"", {"Content-Length": "0"}, **headers).status == 200


def test_the_checksums_that_a_url_asks_for(by_url, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ChecksumSHA256=sha256(b"body"))
    answer = by_url("GET", f"/{bucket}/k", x_amz_checksum_mode="ENABLED")
    assert answer.headers["x-amz-checksum-sha256"] == sha256(b"body")
    assert by_url("GET", f"/{bucket}/k", x_amz_expected_bucket_owner="9" * 12).outcome == (403, "AccessDenied")


def test_a_copy_by_url(by_url, s3, bucket, other):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", Metadata={"a": "old"})
    headers = {"x_amz_metadata_directive": "REPLACE", "x_amz_meta_a": "new"}
    assert by_url("PUT", f"/{bucket}/copy", x_amz_copy_source=f"/{bucket}/k", **headers).status == 200
    found = s3.get_object(Bucket=bucket, Key="copy")
    assert (found["Body"].read(), found["Metadata"]) == (b"body", {"a": "new"})
    refused = by_url("PUT", f"/{bucket}/copy", x_amz_copy_source=f"/{bucket}/k", x_amz_copy_source_if_match="x")
    assert refused.outcome == (412, "PreconditionFailed")


def test_a_header_beside_the_url(by_url, raw, presign, bucket, unchanged):
    """The same twice is once; anything else is refused, whatever is signed."""
    path = presign("PUT", f"/{bucket}/k?x-amz-meta-a=b")
    with unchanged(bucket):
        assert raw("PUT", path, "body", {"x-amz-meta-a": "other"}, keys=None).outcome == (400, "InvalidRequest")
        assert raw("PUT", path, "body", {"x-amz-meta-a": "b"}, keys=None).outcome == (403, "AccessDenied")
        assert by_url("PUT", f"/{bucket}/k?x-amz-acl=private", "body", X_Amz_Acl="public-read").outcome == (
            400,
            "InvalidRequest",
        )
    assert by_url("PUT", f"/{bucket}/k", "body", {"Content-Type": "text/html"}, Content_Type="text/plain").status == 200
    assert raw("HEAD", f"/{bucket}/k").headers["content-type"] == "text/html"


def test_without_a_presigned_url_the_query_stands_for_no_header(raw, bucket):
    answer = raw("PUT", f"/{bucket}/k?x-amz-acl=public-read&x-amz-meta-a=b", "body")
    assert answer.status == 200
    assert "x-amz-meta-a" not in raw("HEAD", f"/{bucket}/k").headers
    assert raw("PUT", f"/{bucket}/k?x-amz-acl=private", "body", keys=None).outcome == (403, "AccessDenied")
