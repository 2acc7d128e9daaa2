"""DeleteObject and DeleteObjects."""

import base64
import hashlib
import zlib

import pytest


def keys_of(s3, bucket):
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def digest(body):
    return {"Content-MD5": base64.b64encode(hashlib.md5(body.encode()).digest()).decode()}


def post(raw, bucket, body, headers=None):
    return raw("POST", f"/{bucket}?delete", body, digest(body) if headers is None else headers)


@pytest.fixture
def abc(s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


# --- one ------------------------------------------------------------------------------------------------------------


def test_delete(raw, s3, refused, abc):
    answer = raw("DELETE", f"/{abc}/a")
    assert (answer.status, answer.body) == (204, b"")
    assert not {"x-amz-delete-marker", "x-amz-version-id", "content-length"} & answer.headers.keys()
    refused("NoSuchKey", 404, s3.get_object, Bucket=abc, Key="a")
    assert keys_of(s3, abc) == ["b", "c"]


def test_delete_what_is_not_there(raw, abc):
    assert raw("DELETE", f"/{abc}/missing").status == 204


def test_if_match(s3, refused, abc):
    etag = s3.head_object(Bucket=abc, Key="a")["ETag"]
    answer = refused("PreconditionFailed", 412, s3.delete_object, Bucket=abc, Key="a", IfMatch='"other"')
    assert answer["Error"]["Condition"] == "If-Match"
    assert keys_of(s3, abc) == ["a", "b", "c"]
    s3.delete_object(Bucket=abc, Key="a", IfMatch=etag)
    s3.delete_object(Bucket=abc, Key="b", IfMatch="*")
    assert keys_of(s3, abc) == ["c"]


def test_if_match_where_nothing_is(s3, refused, abc):
    refused("NoSuchKey", 404, s3.delete_object, Bucket=abc, Key="missing", IfMatch="*")


def test_if_match_size_and_time(s3, refused, abc):
    modified = s3.head_object(Bucket=abc, Key="a")["LastModified"]
    early = modified.replace(year=2000)
    for name, wrong in (
        ("If-Match-Size", {"IfMatchSize": 2}),
        ("If-Match-Last-Mod-Time", {"IfMatchLastModifiedTime": early}),
    ):
        answer = refused("PreconditionFailed", 412, s3.delete_object, Bucket=abc, Key="a", **wrong)
        assert answer["Error"]["Condition"] == name
    s3.delete_object(Bucket=abc, Key="a", IfMatchSize=1, IfMatchLastModifiedTime=modified)
    assert keys_of(s3, abc) == ["b", "c"]


def test_many_by_size_and_time(s3, abc):
    """The moment is in HTTP's form, in XML too."""
    modified = s3.head_object(Bucket=abc, Key="a")["LastModified"]
    objects = [
        {"Key": "a", "Size": 1, "LastModifiedTime": modified},
        {"Key": "b", "LastModifiedTime": modified.replace(year=2000)},
    ]
    answer = s3.delete_objects(Bucket=abc, Delete={"Objects": objects})
    assert [item["Key"] for item in answer["Deleted"]] == ["a"]
    assert [(item["Key"], item["Code"]) for item in answer["Errors"]] == [("b", "PreconditionFailed")]


def test_large_objects_leave_no_file(s3, server, bucket, big):
    s3.put_object(Bucket=bucket, Key="folder/k", Body=big)
    assert list((server.data / bucket / "folder").rglob("data.*"))
    s3.delete_object(Bucket=bucket, Key="folder/k")
    assert not list((server.data / bucket).rglob("folder/**/*.*"))


# --- many -----------------------------------------------------------------------------------------------------------


def test_delete_many(s3, abc):
    answer = s3.delete_objects(Bucket=abc, Delete={"Objects": [{"Key": "a"}, {"Key": "missing"}, {"Key": "c"}]})
    assert [item["Key"] for item in answer["Deleted"]] == ["a", "missing", "c"]
    assert "Errors" not in answer
    assert keys_of(s3, abc) == ["b"]


def test_quiet(s3, abc):
    objects = [{"Key": "a"}, {"Key": "b", "VersionId": "nonsense"}]
    answer = s3.delete_objects(Bucket=abc, Delete={"Objects": objects, "Quiet": True})
    assert "Deleted" not in answer
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [("b", "NoSuchVersion")]
    assert keys_of(s3, abc) == ["b", "c"]


def test_one_failure_does_not_stop_the_others(s3, abc):
    objects = [{"Key": "a"}, {"Key": "x" * 1025}, {"Key": "../b"}, {"Key": "c", "ETag": '"other"'}, {"Key": "b"}]
    answer = s3.delete_objects(Bucket=abc, Delete={"Objects": objects})
    assert [item["Key"] for item in answer["Deleted"]] == ["a", "b"]
    failures = {error["Key"]: error["Code"] for error in answer["Errors"]}
    assert failures == {"x" * 1025: "KeyTooLongError", "../b": "InvalidURI", "c": "PreconditionFailed"}
    assert all(error["Message"] for error in answer["Errors"])
    assert keys_of(s3, abc) == ["c"]


def test_many_with_conditions(s3, abc):
    etags = {item["Key"]: item["ETag"] for item in s3.list_objects_v2(Bucket=abc)["Contents"]}
    objects = [{"Key": "a", "ETag": etags["a"]}, {"Key": "b", "Size": 1}, {"Key": "c", "Size": 2}]
    answer = s3.delete_objects(Bucket=abc, Delete={"Objects": objects})
    assert [error["Key"] for error in answer["Errors"]] == ["c"]
    assert keys_of(s3, abc) == ["c"]


def test_the_same_key_twice(s3, abc):
    answer = s3.delete_objects(Bucket=abc, Delete={"Objects": [{"Key": "a"}, {"Key": "a"}]})
    assert len(answer["Deleted"]) == 2
    assert keys_of(s3, abc) == ["b", "c"]


def test_many_in_a_versioned_bucket(s3, versioned):
    versions = {key: s3.put_object(Bucket=versioned, Key=key, Body=b"x")["VersionId"] for key in "ab"}
    objects = [{"Key": "a"}, {"Key": "b", "VersionId": versions["b"]}]
    marked, removed = s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})["Deleted"]
    assert marked["DeleteMarker"] is True
    assert "VersionId" not in marked
    assert removed == {"Key": "b", "VersionId": versions["b"]}
    (marker,) = s3.list_object_versions(Bucket=versioned)["DeleteMarkers"]
    assert marker["VersionId"] == marked["DeleteMarkerVersionId"]
    objects = [{"Key": "a", "VersionId": marker["VersionId"]}]
    (undone,) = s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})["Deleted"]
    assert undone == {
        "Key": "a",
        "VersionId": marker["VersionId"],
        "DeleteMarker": True,
        "DeleteMarkerVersionId": marker["VersionId"],
    }
    assert s3.get_object(Bucket=versioned, Key="a")["VersionId"] == versions["a"]


def test_a_thousand(s3, raw, bucket):
    keys = [f"k{i:04}" for i in range(1001)]
    s3.put_object(Bucket=bucket, Key=keys[0], Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys[:1000]]})
    assert [item["Key"] for item in answer["Deleted"]] == keys[:1000]
    assert keys_of(s3, bucket) == []


def test_a_thousand_and_one(raw, s3, abc):  # case 128
    entries = "".join(f"<Object><Key>{'a' if i else i}</Key></Object>" for i in range(1001))
    assert post(raw, abc, f"<Delete>{entries}</Delete>").outcome == (400, "MalformedXML")
    assert keys_of(s3, abc) == ["a", "b", "c"]


@pytest.mark.parametrize(  # case 128
    "body",
    [
        "<Delete></Delete>",
        "<Delete><Quiet>true</Quiet></Delete>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><VersionId>x</VersionId></Object></Delete>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key><Unknown/></Object></Delete>",
        "<Delete><Object><Key><b/></Key></Object></Delete>",
        "<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet><Quiet>true</Quiet></Delete>",
        "<Remove><Object><Key>a</Key></Object></Remove>",
        "<Delete><Object><Key>a</Key></Object>",
        "Delete a",
        "<Delete><Object><Key>&#0;</Key></Object></Delete>",
        "<!DOCTYPE Delete><Delete><Object><Key>a</Key></Object></Delete>",
        '<!DOCTYPE D [<!ENTITY k "a">]><Delete><Object><Key>&k;</Key></Object></Delete>',
        '<!DOCTYPE D [<!ENTITY k SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&k;</Key></Object></Delete>',
        '<?xml version="1.0" encoding="no-such-encoding"?><Delete><Object><Key>a</Key></Object></Delete>',
        "<Delete>" + "<Object>" * 5000 + "</Object>" * 5000 + "</Delete>",
    ],
    ids=lambda body: body[:40],
)
def test_malformed_documents(raw, s3, abc, body):
    assert post(raw, abc, body).outcome == (400, "MalformedXML")
    assert keys_of(s3, abc) == ["a", "b", "c"]


def test_utf_16(raw, s3, abc):
    body = '<?xml version="1.0" encoding="UTF-16"?><Delete><Object><Key>a</Key></Object></Delete>'.encode("utf-16")
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    assert raw("POST", f"/{abc}?delete", body, headers).outcome == (400, "MalformedXML")


def test_with_and_without_the_namespace(raw, s3, abc):
    spaced = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    assert post(raw, abc, f"<Delete {spaced}><Object><Key>a</Key></Object></Delete>").status == 200
    answer = post(raw, abc, "<Delete><Object><Key>b</Key></Object></Delete>")
    assert answer.status == 200
    assert [element.tag for element in answer.xml.iter()] == ["DeleteResult", "Deleted", "Key"]
    assert answer.headers["content-type"] == "application/xml"
    assert keys_of(s3, abc) == ["c"]
    assert post(raw, abc, '<Delete xmlns="urn:x"><Object><Key>c</Key></Object></Delete>').status == 200
    assert keys_of(s3, abc) == []


def test_an_empty_key(raw, s3, abc):
    answer = post(raw, abc, "<Delete><Object><Key>a</Key></Object><Object><Key></Key></Object></Delete>")
    assert answer.outcome == (400, "UserKeyMustBeSpecified")
    assert keys_of(s3, abc) == ["a", "b", "c"]


@pytest.mark.parametrize(("quiet", "told"), [("true", 0), ("TRUE", 0), ("false", 1), ("yes", 1), ("", 1)])
def test_quiet_is_true_or_nothing(raw, abc, quiet, told):
    answer = post(raw, abc, f"<Delete><Quiet>{quiet}</Quiet><Object><Key>a</Key></Object></Delete>")
    assert (answer.status, answer.body.count(b"<Deleted>")) == (200, told)


BODY = "<Delete><Object><Key>a</Key></Object></Delete>"


def test_without_a_digest(raw, s3, abc):
    answer = post(raw, abc, BODY, {})
    assert answer.outcome == (400, "InvalidRequest")
    assert "Content-MD5" in answer.xml.findtext("Message")
    assert keys_of(s3, abc) == ["a", "b", "c"]


def test_any_checksum_is_a_digest(raw, s3, abc):
    crc = base64.b64encode(zlib.crc32(BODY.encode()).to_bytes(4, "big")).decode()
    assert post(raw, abc, BODY, {"x-amz-checksum-crc32": crc}).status == 200
    assert keys_of(s3, abc) == ["b", "c"]


@pytest.mark.parametrize("headers", [digest("other"), {"x-amz-checksum-crc32": "AAAAAA=="}])
def test_a_wrong_digest(raw, s3, abc, headers):
    answer = post(raw, abc, BODY, headers)
    assert answer.outcome == (400, "BadDigest")
    assert answer.xml.findtext("ExpectedDigest") == headers.get("Content-MD5"), "as it was sent"
    assert keys_of(s3, abc) == ["a", "b", "c"]


@pytest.mark.parametrize("md5", ["", "AAAA", "nonsense!", "d41d8cd98f00b204e9800998ecf8427e"])
def test_a_digest_that_is_none(raw, s3, abc, md5):
    for answer in (post(raw, abc, BODY, {"Content-MD5": md5}), raw("PUT", f"/{abc}/a", "x", {"Content-MD5": md5})):
        assert answer.outcome == (400, "InvalidDigest")
        assert answer.xml.findtext("Content-MD5") == md5
    assert keys_of(s3, abc) == ["a", "b", "c"]


def test_a_document_that_is_too_long(raw, s3, abc):  # case 128
    headers = digest("") | {"Content-Length": str(3 * 1024 * 1024), "Expect": "100-continue"}
    answer = raw("POST", f"/{abc}?delete", headers=headers, payload="UNSIGNED-PAYLOAD")
    assert answer.outcome == (400, "MaxMessageLengthExceeded")


def test_without_a_body(raw, abc):
    assert raw("POST", f"/{abc}?delete", headers=digest("")).outcome == (400, "MissingRequestBodyError")


def test_keys_of_xml_come_back_exactly(s3, bucket):  # case 129
    keys = ["<&>\"']]>", " spaces ", "a\tb", "line\nbreak", "cr\r", "\u2028", "ü"]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert [item["Key"] for item in answer["Deleted"]] == keys


def test_a_version_id_that_cannot_be_is_of_no_version_in_a_batch(s3, versioned, refused):
    """Alone it is ``InvalidArgument``."""
    refused("InvalidArgument", 400, s3.delete_object, Bucket=versioned, Key="k", VersionId="abc")
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": "abc"}, {"Key": "l"}]})
    message = "The specified version does not exist."
    assert answer["Errors"] == [{"Key": "k", "VersionId": "abc", "Code": "NoSuchVersion", "Message": message}]
    assert [item["Key"] for item in answer["Deleted"]] == ["l"]
