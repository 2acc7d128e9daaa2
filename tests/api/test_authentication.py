"""Who is calling: the codes that a client sees. What is signed and how is tested with the package's ``auth``."""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit

import boto3
import pytest
from botocore.config import Config

WRONG = ("s3ishadmin", "not the secret")


@pytest.fixture
def key(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    return f"/{bucket}/k"


def presigner(server, **config):
    """A function that makes the path of a presigned request on ``k``."""
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(**config),
    )

    def make(operation, bucket, **further):
        params = {"Bucket": bucket, "Key": "k", **further}
        url = client.generate_presigned_url(operation, {n: v for n, v in params.items() if v is not None}, 60)
        return url.removeprefix(server.endpoint)

    return make


@pytest.fixture(scope="session", params=["version 4", "stock"])
def presigned(server, request):
    """By the newer form, and by what boto3 does unless it is told otherwise, which is the older one."""
    return presigner(server, **({"signature_version": "s3v4"} if request.param == "version 4" else {}))


@pytest.fixture(scope="session")
def presigned_v4(server):
    return presigner(server, signature_version="s3v4")


@pytest.fixture(scope="session")
def stock(server):
    return presigner(server)


# --- in the header --------------------------------------------------------------------------------------------------


def test_users_come_in(s3, other):
    assert s3.list_buckets()["Owner"] != other.list_buckets()["Owner"]


def test_unknown_keys(stranger, refused):  # case 53
    answer = refused("InvalidAccessKeyId", 403, stranger.list_buckets)
    assert answer["Error"]["AWSAccessKeyId"] == "UNKNOWNACCESSKEY"


@pytest.mark.parametrize(  # case 52
    ("method", "query"),
    [
        ("GET", ""),
        ("HEAD", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "?acl"),
        ("GET", "?attributes"),
        ("GET", "?uploadId=x"),
        ("POST", "?uploads"),
        ("POST", "?uploadId=x"),
        ("PUT", "?partNumber=1&uploadId=x"),
        ("DELETE", "?uploadId=x"),
        ("PUT", "?tagging"),
    ],
)
@pytest.mark.parametrize("level", ["", "bucket", "key"])
def test_a_wrong_secret_opens_nothing(raw, bucket, key, unchanged, method, query, level):
    path = {"": "/", "bucket": f"/{bucket}", "key": key}[level]
    with unchanged(bucket):
        answer = raw(method, path + query, b"body" if method in ("PUT", "POST") else b"", keys=WRONG)
        # a bucket has no parts, whoever asks
        assert answer.status in {"key": (403,), "bucket": (400, 403, 405), "": (403, 405)}[level]
        if method != "HEAD" and answer.status == 403:
            assert answer.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("query", ["", "?acl", "?uploads", "?versions", "?location", "?policy", "?list-type=2"])
def test_anonymous_callers_are_refused(raw, bucket, key, query):  # case 75
    refused = [(403, "AccessDenied"), (405, "MethodNotAllowed")]
    refused += [(400, "InvalidRequest")] if query in ("?uploads", "?versions") else []  # a key has neither
    for path in (f"/{bucket}{query}", f"{key}{query}"):
        for method in ("GET", "PUT", "DELETE"):
            answer = raw(method, path, b"x" if method == "PUT" else b"", keys=None)
            assert answer.outcome in refused
    assert raw("HEAD", key, keys=None).status == 403
    assert raw("GET", key).body == b"body"


@pytest.mark.parametrize(
    ("authorization", "outcome"),
    [
        ("AWS AKIA", (400, "InvalidArgument")),  # case 62
        ("AWS4-ECDSA-P256-SHA256 Credential=a/b/c", (400, "InvalidRequest")),
        ("Basic dXNlcjpwYXNz", (400, "InvalidArgument")),
        ("Bearer abc", (400, "InvalidArgument")),
        ("AWS4-HMAC-SHA256", (400, "InvalidArgument")),
        ("AWS4-HMAC-SHA256 nonsense", (400, "AuthorizationHeaderMalformed")),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=x", (400, "AuthorizationHeaderMalformed")),
    ],
)
def test_headers_that_are_none(raw, key, authorization, outcome):
    headers = {"Authorization": authorization, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert raw("GET", key, headers=headers, keys=None).outcome == outcome


def test_another_region(server, refused):  # case 54
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="eu-west-1",
        config=Config(retries={"max_attempts": 0}),
    )
    answer = refused("AuthorizationHeaderMalformed", 400, client.list_buckets)
    assert answer["Error"]["Region"] == "us-east-1"


@pytest.mark.parametrize("minutes", [-16, 16, -60 * 24])  # case 56
def test_a_clock_that_is_wrong(raw, key, monkeypatch, minutes):
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None))
    answer = raw("GET", key)
    assert answer.outcome == (403, "RequestTimeTooSkewed")
    assert answer.xml.findtext("MaxAllowedSkewMilliseconds") == "900000"


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_that_is_nearly_right(raw, key, monkeypatch, minutes):
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None))
    assert raw("GET", key).status == 200


@pytest.mark.parametrize(  # case 58
    "name",
    ["x-amz-acl", "x-amz-tagging", "x-amz-meta-x", "x-amz-copy-source", "x-amz-storage-class", "x-amz-security-token"],
)
def test_headers_that_were_not_signed(raw, bucket, key, unchanged, name):
    with unchanged(bucket):
        answer = raw("PUT", key, "new", unsigned={name: "STANDARD"})
        assert answer.status in (400, 403)
        assert answer.code in ("AccessDenied", "InvalidToken")


def test_a_session_token(server, refused):  # case 68
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        aws_session_token="token",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )
    refused("InvalidToken", 400, client.list_buckets)


# --- in the query ---------------------------------------------------------------------------------------------------


def test_presigned(presigned, raw, bucket, key):
    assert raw("GET", presigned("get_object", bucket), keys=None).body == b"body"
    assert raw("PUT", presigned("put_object", bucket), "new", keys=None).status == 200
    assert raw("GET", key).body == b"new"
    assert raw("HEAD", presigned("head_object", bucket), keys=None).status == 200
    assert raw("DELETE", presigned("delete_object", bucket), keys=None).status == 204


def test_presigned_overrides(presigned, raw, bucket, key):
    path = presigned("get_object", bucket, ResponseContentDisposition='attachment; filename="a b.txt"')
    assert raw("GET", path, keys=None).headers["content-disposition"] == 'attachment; filename="a b.txt"'


def test_presigned_for_another_method(presigned, raw, bucket, key, unchanged):  # case 64
    path = presigned("get_object", bucket)
    with unchanged(bucket):
        for method in ("PUT", "DELETE"):
            assert raw(method, path, b"x", keys=None).outcome == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("extra", ["&versionId=null", "&partNumber=1", "&acl", "&response-content-type=text%2Fhtml"])
def test_presigned_and_changed(presigned, raw, bucket, key, extra):  # case 65
    assert raw("GET", presigned("get_object", bucket) + extra, keys=None).outcome == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("name", ["absent", "x\n-y", "x\0", "x<y>", "x\u20ac"])
def test_presigned_with_a_signed_header_that_does_not_come(presigned_v4, raw, bucket, key, name):  # case 57
    names = quote(f"host;{name}" if name > "host" else f"{name};host")
    path = presigned_v4("get_object", bucket).replace("SignedHeaders=host", f"SignedHeaders={names}")
    answer = raw("GET", path, keys=None)
    assert answer.outcome == (403, "SignatureDoesNotMatch")  # well-formed, whatever the name is
    assert answer.xml.findtext("StringToSign").startswith("AWS4-HMAC-SHA256\n")
    assert "\nhost:" in answer.xml.findtext("CanonicalRequest")
    assert f"\n{name}:\n".encode() in bytes.fromhex(answer.xml.findtext("CanonicalRequestBytes"))


def test_presigned_for_another_key(presigned, raw, bucket, key):
    path = presigned("get_object", bucket).replace("/k?", "/other?")
    assert raw("GET", path, keys=None).outcome == (403, "SignatureDoesNotMatch")


def test_presigned_headers(presigned_v4, raw, bucket, key, unchanged):
    path = presigned_v4("put_object", bucket, Metadata={"a": "b"})
    with unchanged(bucket):
        assert raw("PUT", path, "new", {"x-amz-meta-a": "other"}, keys=None).outcome == (403, "SignatureDoesNotMatch")
        assert raw("PUT", path, "new", keys=None).status in (400, 403)
        answer = raw("PUT", path, "new", {"x-amz-meta-a": "b", "x-amz-acl": "private"}, keys=None)
        assert answer.outcome == (403, "AccessDenied")
    assert raw("PUT", path, "new", {"x-amz-meta-a": "b"}, keys=None).status == 200


# --- presigned as boto3 and AWS CLI 1 do it unless told otherwise ----------------------------------------------------

DESCRIBED = {"Metadata": {"a": "b c"}, "ContentType": "text/plain", "ACL": "private", "Tagging": "t=1"}
SENT = {"x-amz-meta-a": "b c", "Content-Type": "text/plain", "x-amz-acl": "private", "x-amz-tagging": "t=1"}


@pytest.mark.parametrize("headers", [SENT, {}], ids=["sent", "in the URL alone"])
def test_a_stock_upload_with_headers(stock, raw, s3, bucket, headers):
    path = stock("put_object", bucket, StorageClass="STANDARD_IA", **DESCRIBED)
    assert "AWSAccessKeyId=" in path
    assert raw("PUT", path, "new", headers, keys=None).status == 200
    found = s3.head_object(Bucket=bucket, Key="k")
    assert (found["Metadata"], found["ContentType"], found["TagCount"]) == ({"a": "b c"}, "text/plain", 1)
    assert found["StorageClass"] == "STANDARD_IA"


def test_a_stock_upload_with_other_headers_than_signed(stock, raw, bucket, key, unchanged):
    path = stock("put_object", bucket, **DESCRIBED)
    with unchanged(bucket):
        for name, outcome in (("Content-Type", "SignatureDoesNotMatch"), ("x-amz-acl", "InvalidRequest")):
            answer = raw("PUT", path, "new", SENT | {name: "other"}, keys=None)
            assert answer.code == outcome
        answer = raw("PUT", path, "new", SENT | {"x-amz-storage-class": "STANDARD_IA"}, keys=None)
        assert answer.outcome == (403, "SignatureDoesNotMatch")


def test_stock_urls_of_buckets(stock, raw, bucket, key):
    assert raw("HEAD", stock("head_bucket", bucket, Key=None), keys=None).status == 200
    for operation in ("list_objects", "list_objects_v2"):
        listed = raw("GET", stock(operation, bucket, Key=None, Prefix="k", MaxKeys=5, Delimiter="/"), keys=None)
        assert [item.text for item in listed.xml.iter("Key")] == ["k"]
        assert listed.xml.findtext("MaxKeys") == "5"


def test_stock_urls_of_an_upload_in_parts(stock, raw, bucket):
    begun = raw("POST", stock("create_multipart_upload", bucket, Metadata={"a": "b"}), keys=None)
    upload = begun.xml.findtext("UploadId")
    part = raw("PUT", stock("upload_part", bucket, PartNumber=1, UploadId=upload), "part", keys=None)
    done = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    url = stock("complete_multipart_upload", bucket, UploadId=upload)
    assert raw("POST", url, done + "</CompleteMultipartUpload>", keys=None).status == 200
    answer = raw("GET", stock("get_object", bucket), keys=None)
    assert (answer.body, answer.headers["x-amz-meta-a"]) == (b"part", "b")


def test_a_stock_copy(stock, raw, s3, bucket, key):
    path = stock("copy_object", bucket, Key="copy", CopySource=key)
    assert raw("PUT", path, keys=None).status == 200
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"body"


def test_a_stock_url_of_a_bucket_that_the_host_names(raw, bucket, key):
    client = boto3.client(
        "s3",
        endpoint_url="http://s3.test",
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "virtual"}),
    )
    for operation, params in (("get_object", {"Key": "k"}), ("list_objects_v2", {})):
        url = urlsplit(client.generate_presigned_url(operation, {"Bucket": bucket, **params}))
        assert url.hostname == f"{bucket}.s3.test"
        answer = raw("GET", f"{url.path}?{url.query}", keys=None, host=url.hostname)
        assert answer.status == 200
        other = raw("GET", f"{url.path}?{url.query}", keys=None, host=f"x{bucket}.s3.test")
        assert other.outcome == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("extra", ["attributes", "torrent", "retention", "legal-hold", "annotation"])
def test_a_stock_url_opens_no_other_operation(stock, raw, bucket, key, extra):  # case 65
    """The older form leaves most query keys unsigned; none of them may lead elsewhere."""
    answer = raw("GET", f"{stock('get_object', bucket)}&{extra}", keys=None)
    assert answer.status in (403, 405)
    assert answer.code in ("AccessDenied", "SignatureDoesNotMatch", "MethodNotAllowed")


def test_requests_signed_by_the_older_form_in_the_header(server, big):
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(signature_version="s3", retries={"max_attempts": 0}),
    )
    bucket = f"t-{uuid.uuid4().hex[:20]}"
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="é +k", Body=big, Metadata={"a": "b"}, ContentType="text/plain")
    answer = client.get_object(Bucket=bucket, Key="é +k", Range="bytes=1-9", ResponseContentType="a b/c")
    assert (answer["Body"].read(), answer["ContentType"]) == (big[1:10], "a b/c")
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "é +k"})
    assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket, MaxKeys=2)["Contents"]] == ["copy", "é +k"]
    keys = [{"Key": "é +k"}, {"Key": "copy"}]
    assert "Errors" not in client.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    client.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize(  # case 66
    ("expires", "outcome"),
    [
        ("-1", (400, "AuthorizationQueryParametersError")),
        ("604801", (400, "AuthorizationQueryParametersError")),
        ("1e3", (400, "AuthorizationQueryParametersError")),
        ("", (400, "AuthorizationQueryParametersError")),
        ("604800", (200, None)),
        ("1", (200, None)),
    ],
)
def test_how_long_a_url_is_valid(raw, key, presign, expires, outcome):
    answer = raw("GET", presign("GET", key, expires), keys=None)
    assert answer.status == outcome[0]
    assert outcome[1] is None or answer.code == outcome[1]


@pytest.mark.parametrize(("minutes", "message"), [(-2, "Request has expired"), (16, "Request is not yet valid")])
def test_when_a_url_is_valid(raw, key, presign, monkeypatch, minutes, message):  # case 66
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None))
    answer = raw("GET", presign("GET", key), keys=None)
    assert answer.outcome == (403, "AccessDenied")
    assert answer.xml.findtext("Message") == message
    assert answer.xml.findtext("X-Amz-Expires") == ("60" if minutes < 0 else None)


def test_two_ways_at_once(presigned, raw, bucket, key):  # case 62
    assert raw("GET", presigned("get_object", bucket)).outcome == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "name",
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires", "X-Amz-Signature"],
)
def test_without_one_of_the_parameters(presigned_v4, raw, bucket, key, name):
    path, _, query = presigned_v4("get_object", bucket).partition("?")
    rest = "&".join(pair for pair in query.split("&") if not pair.startswith(name + "="))
    assert raw("GET", f"{path}?{rest}", keys=None).outcome == (400, "AuthorizationQueryParametersError")


@pytest.mark.parametrize("given", ["AWSAccessKeyId", "Signature", "AWSAccessKeyId Expires", "Expires Signature"])
def test_without_one_of_the_parameters_of_the_older_form(raw, key, given):  # case 62
    values = {"AWSAccessKeyId": "s3ishadmin", "Expires": "9999999999", "Signature": "x"}
    query = urlencode({name: values[name] for name in given.split()})
    assert raw("GET", f"{key}?{query}", keys=None).outcome == (403, "AccessDenied")


@pytest.mark.parametrize("said", ["nonsense", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hashlib.sha256(b"x").hexdigest()])
def test_what_is_said_of_the_body_beside_a_url(presigned_v4, raw, bucket, key, unchanged, said):
    """Whoever has a URL may add it: a read has no body, and a write is held to it."""
    headers = {"x-amz-content-sha256": said}
    assert raw("GET", presigned_v4("get_object", bucket), headers=headers, keys=None).body == b"body"
    with unchanged(bucket):
        answer = raw("PUT", presigned_v4("put_object", bucket), "new", headers, keys=None)
        assert answer.outcome == (400, "XAmzContentSHA256Mismatch")
        assert answer.xml.findtext("ClientComputedContentSHA256") == said
    assert raw("DELETE", presigned_v4("delete_object", bucket), headers=headers, keys=None).status == 204


def test_forwarded_hosts_have_no_effect(server, raw, bucket, key):  # case 79
    headers = {"X-Forwarded-Host": f"{bucket}.s3.test", "X-Forwarded-For": "10.0.0.1"}
    assert raw("GET", key, headers=headers).body == b"body"
    assert urlsplit(server.endpoint).hostname == "127.0.0.1"
