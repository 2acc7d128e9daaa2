"""PutObject: bytes, attributes, digests, conditions."""

import base64
import hashlib
from datetime import UTC, datetime
from email.header import decode_header, make_header

import pytest


def md5(data):
    return hashlib.md5(data).hexdigest()


def headers_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, 1048575, 1048576, 1048577, 3 * 1048576 + 5])  # case 120
def test_every_size_comes_back(s3, bucket, big, size):
    body = big[:size]
    answer = s3.put_object(Bucket=bucket, Key="k", Body=body)
    assert answer["ETag"] == f'"{md5(body)}"'
    found = s3.get_object(Bucket=bucket, Key="k")
    assert found["Body"].read() == body
    assert (found["ContentLength"], found["ETag"]) == (size, answer["ETag"])


def test_an_empty_object(raw, s3, bucket):  # case 117
    answer = raw("PUT", f"/{bucket}/k", headers={"Content-Length": "0"})
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["etag"] == '"d41d8cd98f00b204e9800998ecf8427e"'
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 0


def test_a_put_replaces(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first and long", Metadata={"a": "1"}, ContentType="text/plain")
    s3.put_object(Bucket=bucket, Key="k", Body=b"second")
    found = s3.get_object(Bucket=bucket, Key="k")
    assert (found["Body"].read(), found["Metadata"], found["ContentType"]) == (b"second", {}, "binary/octet-stream")


def test_the_answer_names_the_moment(s3, bucket):
    before = datetime.now(UTC).replace(microsecond=0)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert before <= modified <= datetime.now(UTC)


def test_system_headers_are_kept(s3, bucket):
    given = {
        "CacheControl": "max-age=60, private",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de, en",
        "ContentType": "text/plain; charset=utf-8",
        "WebsiteRedirectLocation": "/elsewhere",
        "StorageClass": "STANDARD_IA",
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), **given)
    for found in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        assert {name: found[name] for name in given} == given
        assert headers_of(found)["expires"] == "Wed, 02 Jan 2030 03:04:05 GMT"


@pytest.mark.parametrize(  # case 95
    ("given", "kept"),
    [
        ("deflate, gzip", "deflate, gzip"),
        ("gzip,deflate", "gzip,deflate"),
        ("GZip ,, x-own", "GZip ,, x-own"),
        ("x-aws-chunked", "x-aws-chunked"),
        ("gzip,aws-chunked", "gzip,aws-chunked"),  # only of a body in chunks it says nothing of the object
        ("", None),
    ],
)
def test_codings_are_kept_as_they_are(raw, bucket, given, kept):
    assert raw("PUT", f"/{bucket}/k", "x", {"Content-Encoding": given}).status == 200
    assert raw("HEAD", f"/{bucket}/k").headers.get("content-encoding") == kept


def test_expires_is_kept_as_it_is(raw, bucket):
    raw("PUT", f"/{bucket}/k", "x", {"Expires": "tomorrow, maybe"})
    assert raw("GET", f"/{bucket}/k").headers["expires"] == "tomorrow, maybe"


def test_the_default_type(s3, bucket, raw):
    raw("PUT", f"/{bucket}/k", "x")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


def test_the_standard_class_is_not_told(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="STANDARD")
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == "STANDARD"


@pytest.mark.parametrize("name", ["OUTPOSTS_X", "standard", "x" * 500])
def test_a_class_that_is_none(raw, bucket, unchanged, name):
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "x", {"x-amz-storage-class": name})
        assert answer.outcome == (400, "InvalidStorageClass")


# --- user metadata --------------------------------------------------------------------------------------------------


def test_metadata(s3, bucket):
    given = {"plain": "value", "with-dash": "a, b; c=d", "empty": "", "number": "17"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata=given)
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == given


def test_metadata_names_are_lower_case(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"MixedCase": "Value"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"mixedcase": "Value"}


def test_repeated_metadata_is_joined(raw, s3, bucket):  # case 59
    raw("PUT", f"/{bucket}/k", "x", {"x-amz-meta-a": "one,two"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"a": "one,two"}


def test_metadata_beyond_ascii_comes_as_an_encoded_word(raw, bucket):  # case 105
    assert raw("PUT", f"/{bucket}/k", "x", {"x-amz-meta-a": "Grüße aus 東京"}).status == 200
    found = raw("HEAD", f"/{bucket}/k").headers["x-amz-meta-a"]
    assert found.isascii()
    assert str(make_header(decode_header(found))) == "Grüße aus 東京"


@pytest.mark.parametrize(
    "text", ["a\x85b", "a\u2028b", "a\u2029b", "e\u0301", "\u202eabc", "\U0001faa3" * 100, "a\xa0b"]
)
def test_metadata_of_any_script_is_readable(raw, bucket, text):  # case 162
    assert raw("PUT", f"/{bucket}/k", "x", {"x-amz-meta-a": text}).status == 200
    for method in ("HEAD", "GET"):
        found = raw(method, f"/{bucket}/k")
        assert (found.status, str(make_header(decode_header(found.headers["x-amz-meta-a"])))) == (200, text)


@pytest.mark.parametrize(
    "name", ["Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"]
)
def test_system_headers_hold_iso_8859_1(raw, bucket, unchanged, name):  # case 162
    assert raw("PUT", f"/{bucket}/k", "x", {name: "caf\xe9"}).status == 200
    assert raw("GET", f"/{bucket}/k").headers[name.lower()] == "caf\xe9"
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "y", {name: "東京\u2028"})
        assert answer.outcome == (400, "InvalidArgument")
        assert answer.xml.findtext("ArgumentName") == name.lower()
        redirect = {"x-amz-website-redirect-location": "/東京"}
        assert raw("PUT", f"/{bucket}/k", "y", redirect).outcome == (400, "InvalidArgument")


def test_an_encoded_word_stays_one(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "=?utf-8?q?Gr=C3=BC=C3=9Fe?="})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"a": "=?utf-8?q?Gr=C3=BC=C3=9Fe?="}


def test_two_kibibytes_of_metadata(s3, refused, bucket, unchanged):  # case 105
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"name": "v" * 2044})
    with unchanged(bucket):
        call = {"Bucket": bucket, "Key": "k", "Body": b"y", "Metadata": {"name": "v" * 2045}}
        answer = refused("MetadataTooLarge", 400, s3.put_object, **call)
        assert (answer["Error"]["Size"], answer["Error"]["MaxSizeAllowed"]) == ("2049", "2048")


def test_names_of_our_own_are_nothing_to_us(raw, bucket):  # case 81
    names = ["x-s3ish-owner", "x-minio-internal-x", "x-amz-meta-kept"]
    raw("PUT", f"/{bucket}/k", "x", dict.fromkeys(names, "forged"))
    found = raw("HEAD", f"/{bucket}/k").headers
    assert [name for name in names if name in found] == ["x-amz-meta-kept"]


def test_a_redirect_that_leads_nowhere(raw, bucket, unchanged):
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "x", {"x-amz-website-redirect-location": "ftp://somewhere"})
        assert answer.outcome == (400, "InvalidRedirectLocation")


# --- tags, encryption, grants ---------------------------------------------------------------------------------------


def test_tags_are_counted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=two%20words&c=")
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 3
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "TagCount" not in s3.get_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    ("tagging", "count"),
    [
        ("a", 1),
        ("a&b=&c=1", 3),
        ("&", 0),
        ("&&a=1&", 1),
        ("a=b=c", 1),
        ("a+b=c%20d&a%2Bb=1", 2),
        ("%C3%A4=%E6%9D%B1%20%E4%BA%AC", 1),
        ("a%40b.c%3A/d_e-f=%3D", 1),
        (f"{'%F0%A0%AE%B7' * 64}={'%F0%A0%AE%B7' * 128}", 1),
        (f"{'k' * 128}={'v' * 256}", 1),
        ("&".join(f"k{i}" for i in range(10)), 10),
    ],
)
def test_forms_of_tags(raw, bucket, tagging, count):
    assert raw("PUT", f"/{bucket}/k", "x", {"x-amz-tagging": tagging}).status == 200
    assert int(raw("HEAD", f"/{bucket}/k").headers.get("x-amz-tagging-count", 0)) == count


@pytest.mark.parametrize(  # case 73
    ("tagging", "code"),
    [
        ("&".join(f"k{i}=v" for i in range(11)), "BadRequest"),
        ("a=1&a=2", "InvalidArgument"),
        ("a+b=1&a%20b=2", "InvalidArgument"),
        ("=v", "InvalidArgument"),
        ("=", "InvalidArgument"),
        ("a=%", "InvalidArgument"),
        ("%zz=1", "InvalidArgument"),
        ("a=%ff", "InvalidArgument"),
        ("a=%00", "InvalidArgument"),
        (f"{'k' * 129}=v", "InvalidTag"),
        (f"k={'v' * 257}", "InvalidTag"),
        (f"{'%F0%A0%AE%B7' * 65}=v", "InvalidTag"),
        ("aws:own=v", "InvalidTag"),
        ("a=inv%26alid", "InvalidTag"),
        ("a*=v", "InvalidTag"),
        ("a=(v)", "InvalidTag"),
        ("a=%09", "InvalidTag"),
        ("a=%C2%85", "InvalidTag"),
        ("a=%F0%9F%AA%A3", "InvalidTag"),
    ],
)
def test_tags_that_are_none(raw, bucket, unchanged, tagging, code):
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/k", "x", {"x-amz-tagging": tagging}).outcome == (400, code)


def test_what_is_wrong_with_a_tag_is_said(raw, bucket):
    answer = raw("PUT", f"/{bucket}/k", "x", {"x-amz-tagging": "good=1&key=inv%26alid"})
    assert (answer.xml.findtext("TagKey"), answer.xml.findtext("TagValue")) == ("key", "inv&alid")
    answer = raw("PUT", f"/{bucket}/k", "x", {"x-amz-tagging": "a=1&a=2"})
    assert "without tag name duplicates" in answer.xml.findtext("Message")


@pytest.mark.parametrize(
    "given",
    [
        {"ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
        {"ServerSideEncryption": "aws:kms:dsse"},
    ],
)
def test_encryption_is_echoed(s3, bucket, given):
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **given)
    found = s3.head_object(Bucket=bucket, Key="k")
    assert {name: answer[name] for name in given} == {name: found[name] for name in given} == given
    assert answer.get("SSEKMSKeyId") == found.get("SSEKMSKeyId")


def test_an_encryption_that_is_none(raw, bucket, unchanged):
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "x", {"x-amz-server-side-encryption": "rot13"})
        assert answer.outcome == (400, "InvalidArgument")


def test_a_lock_needs_a_bucket_with_locks(raw, bucket, unchanged):
    headers = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z"}
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/k", "x", headers).outcome == (400, "InvalidRequest")


@pytest.mark.parametrize("acl", ["private", "bucket-owner-full-control", "bucket-owner-read"])
def test_an_acl_that_opens_nothing(s3, raw, bucket, acl):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL=acl)
    assert raw("GET", f"/{bucket}/k").body == b"x"
    assert raw("GET", f"/{bucket}/k", keys=None).outcome == (403, "AccessDenied")


# --- length and digests ---------------------------------------------------------------------------------------------


def test_content_md5(s3, bucket):
    digest = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ContentMD5=digest)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@pytest.mark.parametrize(  # case 115
    ("digest", "code"),
    [
        (base64.b64encode(hashlib.md5(b"another").digest()).decode(), "BadDigest"),
        ("not base64!", "InvalidDigest"),
        ("", "InvalidDigest"),
        (base64.b64encode(bytes(15)).decode(), "InvalidDigest"),
        (base64.b64encode(bytes(17)).decode(), "InvalidDigest"),
    ],
)
def test_content_md5_that_is_wrong(raw, s3, bucket, unchanged, digest, code):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/k", "body", {"Content-MD5": digest}).outcome == (400, code)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"old"


def test_a_wrong_md5_is_told_in_hex(raw, bucket):
    other = hashlib.md5(b"another")
    answer = raw("PUT", f"/{bucket}/k", "body", {"Content-MD5": base64.b64encode(other.digest()).decode()})
    assert answer.xml.findtext("ExpectedDigest") == other.hexdigest()
    assert base64.b64decode(answer.xml.findtext("CalculatedDigest")) == hashlib.md5(b"body").digest()


def test_a_signed_hash_in_capitals(raw, s3, bucket):
    digest = hashlib.sha256(b"body").hexdigest().upper()
    assert raw("PUT", f"/{bucket}/k", "body", payload=digest).status == 200
    assert raw("PUT", f"/{bucket}/k", "other", payload=digest).outcome == (400, "XAmzContentSHA256Mismatch")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_the_signed_hash_of_another_body(raw, bucket, unchanged):  # case 61
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", "body", payload=hashlib.sha256(b"other").hexdigest())
        assert answer.outcome == (400, "XAmzContentSHA256Mismatch")
        assert answer.xml.findtext("S3ComputedContentSHA256") == hashlib.sha256(b"body").hexdigest()


def test_a_large_body_with_a_wrong_hash(raw, bucket, big, unchanged):
    with unchanged(bucket):
        answer = raw("PUT", f"/{bucket}/k", big[: 2 * 1024 * 1024], payload="0" * 64)
        assert answer.outcome == (400, "XAmzContentSHA256Mismatch")


def test_an_unsigned_payload(raw, s3, bucket):
    assert raw("PUT", f"/{bucket}/k", "body", payload="UNSIGNED-PAYLOAD").status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_without_a_length(raw, bucket, unchanged):  # case 118
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/k").outcome == (411, "MissingContentLength")


def test_a_length_beyond_the_limit(raw, bucket, unchanged):  # case 119
    with unchanged(bucket):
        headers = {"Content-Length": str(5 * 1024**3 + 1), "Expect": "100-continue"}
        answer = raw("PUT", f"/{bucket}/k", headers=headers, payload="UNSIGNED-PAYLOAD")
        assert answer.outcome == (400, "EntityTooLarge")
        assert answer.xml.findtext("MaxSizeAllowed") == str(5 * 1024**3)
        assert answer.headers["connection"] == "close"


# --- conditions -----------------------------------------------------------------------------------------------------


def test_if_none_match(s3, refused, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first", IfNoneMatch="*")
    call = {"Bucket": bucket, "Key": "k", "Body": b"second", "IfNoneMatch": "*"}
    answer = refused("PreconditionFailed", 412, s3.put_object, **call)
    assert answer["Error"]["Condition"] == "If-None-Match"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.put_object(**call)


def test_if_none_match_sees_no_marker(s3, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"first")
    s3.delete_object(Bucket=versioned, Key="k")
    s3.put_object(Bucket=versioned, Key="k", Body=b"second", IfNoneMatch="*")
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"second"


def test_if_none_match_with_a_tag_is_not_implemented(s3, refused, bucket):
    call = {"Bucket": bucket, "Key": "k", "Body": b"x", "IfNoneMatch": '"abc"'}
    answer = refused("NotImplemented", 501, s3.put_object, **call)["Error"]
    assert answer["Message"] == "A header you provided implies functionality that is not implemented"
    assert answer["Header"] == "If-None-Match"
    assert answer["additionalMessage"] == "We don't accept the provided value of If-None-Match header for this API"


def test_two_conditions_of_a_write_are_not_implemented(s3, refused, bucket):
    call = {"Bucket": bucket, "Key": "k", "IfNoneMatch": "*", "IfMatch": '"abc"'}
    answer = refused("NotImplemented", 501, s3.put_object, **call)["Error"]
    assert answer["Message"] == "A header you provided implies functionality that is not implemented"
    assert answer["Header"] == "If-Match,If-None-Match"
    assert answer["additionalMessage"] == "Multiple conditional request headers present in the request"


@pytest.mark.parametrize("form", ['"{}"', "{}"])
def test_if_match(s3, refused, bucket, form):
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    s3.put_object(Bucket=bucket, Key="k", Body=b"second", IfMatch=form.format(md5(b"first")))
    call = {"Bucket": bucket, "Key": "k", "Body": b"third", "IfMatch": form.format(md5(b"first"))}
    answer = refused("PreconditionFailed", 412, s3.put_object, **call)
    assert answer["Error"]["Condition"] == "If-Match"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"


def test_if_match_where_nothing_is(s3, refused, bucket, unchanged):  # case 47
    with unchanged(bucket):
        call = {"Bucket": bucket, "Key": "k", "Body": b"x", "IfMatch": f'"{md5(b"first")}"'}
        refused("NoSuchKey", 404, s3.put_object, **call)


def test_a_condition_is_looked_at_before_the_body(raw, s3, bucket):  # case 111
    s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    headers = {"Content-Length": "1000000", "Expect": "100-continue", "If-None-Match": "*"}
    answer = raw("PUT", f"/{bucket}/k", headers=headers, payload="UNSIGNED-PAYLOAD")
    assert answer.outcome == (412, "PreconditionFailed")
