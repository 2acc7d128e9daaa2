"""Versioning of buckets, and what it makes of put, get, head, copy and delete."""

import base64
import hashlib

import pytest


def put(s3, bucket, key, body):
    return s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")


def read(s3, bucket, key, version=None):
    chosen = {"VersionId": version} if version else {}
    return s3.get_object(Bucket=bucket, Key=key, **chosen)["Body"].read()


def suspend(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def enable(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def stack(s3, bucket, key="k"):
    """Every version and marker of a key, newest first, as (id, is it the latest, is it a marker)."""
    found = s3.list_object_versions(Bucket=bucket, Prefix=key)
    both = [(item, False) for item in found.get("Versions", [])]
    both += [(item, True) for item in found.get("DeleteMarkers", [])]
    both.sort(key=lambda pair: (pair[0]["IsLatest"], pair[0]["LastModified"]), reverse=True)
    return [(item["VersionId"], item["IsLatest"], marker) for item, marker in both]


def document(raw, bucket, content):
    return raw("PUT", f"/{bucket}?versioning", f"<VersioningConfiguration>{content}</VersioningConfiguration>")


# --- the configuration ----------------------------------------------------------------------------------------------


def test_a_new_bucket_has_no_state(s3, raw, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    answer = raw("GET", f"/{bucket}?versioning")
    assert (answer.xml.tag, len(answer.xml)) == ("VersioningConfiguration", 0)


def test_states(s3, bucket):
    for status in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


@pytest.mark.parametrize("status", ["Off", "enabled", "", "Disabled", " Enabled "])
def test_states_that_are_none(raw, bucket, status):
    assert document(raw, bucket, f"<Status>{status}</Status>").outcome == (400, "MalformedXML")


def test_a_configuration_without_a_state(raw, bucket):
    assert document(raw, bucket, "").outcome == (400, "IllegalVersioningConfigurationException")


@pytest.mark.parametrize("body", [" ", "<Versioning/>", "<VersioningConfiguration", "<a/><b/>"])
def test_malformed_configuration(raw, bucket, body):
    assert raw("PUT", f"/{bucket}?versioning", body).outcome == (400, "MalformedXML")


def test_no_configuration(raw, bucket):
    assert raw("PUT", f"/{bucket}?versioning", "").outcome == (400, "MissingRequestBodyError")


def test_mfa_delete_is_not_pretended(raw, s3, bucket):
    answer = document(raw, bucket, "<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>")
    assert answer.outcome == (501, "NotImplemented")
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


# --- without versioning ---------------------------------------------------------------------------------------------


def test_unversioned_answers_name_no_version(s3, bucket):
    assert put(s3, bucket, "k", b"one") is None
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="k")
    deleted = s3.delete_object(Bucket=bucket, Key="k")
    assert "VersionId" not in deleted
    assert "DeleteMarker" not in deleted


def test_unversioned_objects_are_the_null_version(s3, refused, bucket):
    put(s3, bucket, "k", b"one")
    assert read(s3, bucket, "k", "null") == b"one"
    assert stack(s3, bucket) == [("null", True, False)]
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="k")


# --- enabled --------------------------------------------------------------------------------------------------------


def test_every_put_is_a_version(s3, versioned):
    ids = [put(s3, versioned, "k", f"body {i}".encode()) for i in range(3)]
    assert len(set(ids)) == 3
    assert "null" not in ids
    assert [read(s3, versioned, "k", version) for version in ids] == [b"body 0", b"body 1", b"body 2"]
    newest = s3.get_object(Bucket=versioned, Key="k")
    assert (newest["Body"].read(), newest["VersionId"]) == (b"body 2", ids[2])
    assert stack(s3, versioned) == [(ids[2], True, False), (ids[1], False, False), (ids[0], False, False)]


def test_head_of_a_version(s3, versioned):
    first = put(s3, versioned, "k", b"one")
    put(s3, versioned, "k", b"and two")
    answer = s3.head_object(Bucket=versioned, Key="k", VersionId=first)
    assert (answer["ContentLength"], answer["VersionId"]) == (3, first)


def test_delete_puts_a_marker(s3, refused, versioned):
    version = put(s3, versioned, "k", b"one")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert deleted["DeleteMarker"] is True
    marker = deleted["VersionId"]
    answer = refused("NoSuchKey", 404, s3.get_object, Bucket=versioned, Key="k")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
    assert read(s3, versioned, "k", version) == b"one"
    assert stack(s3, versioned) == [(marker, True, True), (version, False, False)]
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0


def test_head_of_a_marker(s3, refused, versioned):
    put(s3, versioned, "k", b"one")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    newest = refused("404", 404, s3.head_object, Bucket=versioned, Key="k")
    assert newest["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    named = refused("405", 405, s3.head_object, Bucket=versioned, Key="k", VersionId=marker)
    headers = named["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["allow"]) == ("true", "DELETE")
    assert headers["last-modified"].endswith("GMT")


def test_a_marker_cannot_be_read(s3, refused, versioned):
    marker = s3.delete_object(Bucket=versioned, Key="never there")["VersionId"]
    answer = refused("MethodNotAllowed", 405, s3.get_object, Bucket=versioned, Key="never there", VersionId=marker)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-amz-delete-marker"], headers["allow"]) == ("true", "DELETE")


ENCRYPTION = "<ObjectEncryption><SSE-KMS><KMSKeyArn>{}</KMSKeyArn></SSE-KMS></ObjectEncryption>"


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("PUT", "annotation&annotationName=n", "x"),
        ("GET", "annotation&annotationName=n", ""),
        ("DELETE", "annotation&annotationName=n", ""),
        ("PUT", "encryption", ENCRYPTION.format("arn:aws:kms:us-east-1:000000000000:key/1")),
        ("PUT", "tagging", "<Tagging><TagSet/></Tagging>"),
        ("DELETE", "tagging", ""),
        ("GET", "acl", ""),
        ("PUT", "acl", ""),
        ("POST", "restore", "<RestoreRequest><Days>1</Days></RestoreRequest>"),
    ],
)
def test_what_is_refused_of_a_marker_names_its_method(s3, raw, versioned, method, query, body):
    s3.put_bucket_ownership_controls(
        Bucket=versioned, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    headers = {"x-amz-acl": "private"} if (method, query) == ("PUT", "acl") else {}
    headers["Content-MD5"] = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
    answer = raw(method, f"/{versioned}/k?{query}&versionId={marker}", body, headers)
    assert answer.outcome == (405, "MethodNotAllowed")
    assert [answer.xml.findtext(name) for name in ("Method", "ResourceType")] == [method, "DeleteMarker"]


def test_deleting_the_marker_brings_the_object_back(s3, versioned):
    put(s3, versioned, "k", b"one")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    undone = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (undone["DeleteMarker"], undone["VersionId"]) == (True, marker)
    assert read(s3, versioned, "k") == b"one"
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 1


def test_markers_pile_up(s3, versioned):
    markers = [s3.delete_object(Bucket=versioned, Key="k")["VersionId"] for _ in range(3)]
    assert [entry[0] for entry in stack(s3, versioned)] == markers[::-1]


def test_deleting_a_version_is_for_good(s3, refused, versioned):
    first, second, third = (put(s3, versioned, "k", body) for body in (b"1", b"2", b"3"))
    deleted = s3.delete_object(Bucket=versioned, Key="k", VersionId=second)
    assert deleted["VersionId"] == second
    assert "DeleteMarker" not in deleted
    refused("NoSuchVersion", 404, s3.get_object, Bucket=versioned, Key="k", VersionId=second)
    assert [entry[0] for entry in stack(s3, versioned)] == [third, first]


def test_the_version_below_comes_up(s3, refused, versioned):
    first, second = put(s3, versioned, "k", b"one"), put(s3, versioned, "k", b"two and more")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=second)
    assert s3.get_object(Bucket=versioned, Key="k")["VersionId"] == first
    (listed,) = s3.list_objects_v2(Bucket=versioned)["Contents"]
    assert listed["Size"] == 3
    s3.delete_object(Bucket=versioned, Key="k", VersionId=first)
    refused("NoSuchKey", 404, s3.get_object, Bucket=versioned, Key="k")
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0


def test_deleting_a_version_that_is_gone_is_no_error(s3, versioned):
    version = put(s3, versioned, "k", b"one")
    for _ in range(2):
        assert s3.delete_object(Bucket=versioned, Key="k", VersionId=version)["VersionId"] == version


@pytest.mark.parametrize("wrong", ["x", "nonsense", "NULL", "0" * 32, "a" * 2000, "..%2Fx", "%00", "%01"])
def test_version_ids_that_are_none(raw, s3, versioned, wrong):
    put(s3, versioned, "k", b"one")
    for method in ("GET", "DELETE"):
        assert raw(method, f"/{versioned}/k?versionId={wrong}").outcome == (400, "InvalidArgument")
    assert raw("HEAD", f"/{versioned}/k?versionId={wrong}").status == 400
    assert len(stack(s3, versioned)) == 1


def test_an_empty_version_id(raw, s3, versioned):
    put(s3, versioned, "k", b"one")
    for method in ("GET", "DELETE"):
        answer = raw(method, f"/{versioned}/k?versionId=")
        assert answer.outcome == (400, "InvalidArgument")
        assert answer.xml.findtext("Message") == "Version id cannot be the empty string"


def test_a_version_id_of_another_key(s3, refused, versioned):
    version = put(s3, versioned, "k", b"one")
    refused("NoSuchVersion", 404, s3.get_object, Bucket=versioned, Key="other", VersionId=version)
    s3.delete_object(Bucket=versioned, Key="other", VersionId=version)
    assert read(s3, versioned, "k", version) == b"one"


def test_keys_are_versioned_apart(s3, versioned):
    put(s3, versioned, "k", b"one")
    put(s3, versioned, "k/", b"two")
    s3.delete_object(Bucket=versioned, Key="k")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=versioned)["Contents"]] == ["k/"]


# --- before, and suspended ------------------------------------------------------------------------------------------


def test_what_was_there_before_is_the_null_version(s3, bucket):
    put(s3, bucket, "k", b"before")
    enable(s3, bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    version = put(s3, bucket, "k", b"after")
    assert read(s3, bucket, "k", "null") == b"before"
    assert stack(s3, bucket) == [(version, True, False), ("null", False, False)]
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert stack(s3, bucket) == [(version, True, False)]


def test_suspended_puts_replace_the_null_version(s3, bucket):
    put(s3, bucket, "k", b"before")
    enable(s3, bucket)
    version = put(s3, bucket, "k", b"versioned")
    suspend(s3, bucket)
    assert put(s3, bucket, "k", b"suspended") is None
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert stack(s3, bucket) == [("null", True, False), (version, False, False)]
    assert read(s3, bucket, "k", "null") == b"suspended"
    assert put(s3, bucket, "k", b"again") is None
    assert stack(s3, bucket) == [("null", True, False), (version, False, False)]
    assert read(s3, bucket, "k", version) == b"versioned"


def test_suspended_delete_puts_a_null_marker(s3, refused, bucket):
    enable(s3, bucket)
    version = put(s3, bucket, "k", b"versioned")
    suspend(s3, bucket)
    put(s3, bucket, "k", b"suspended")
    deleted = s3.delete_object(Bucket=bucket, Key="k")
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    assert stack(s3, bucket) == [("null", True, True), (version, False, False)]
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="k")
    refused("MethodNotAllowed", 405, s3.get_object, Bucket=bucket, Key="k", VersionId="null")
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert read(s3, bucket, "k") == b"versioned"


def test_enabled_again_the_null_version_stays(s3, bucket):
    suspend(s3, bucket)
    put(s3, bucket, "k", b"null")
    enable(s3, bucket)
    version = put(s3, bucket, "k", b"versioned")
    assert stack(s3, bucket) == [(version, True, False), ("null", False, False)]
    suspend(s3, bucket)
    put(s3, bucket, "k", b"new null")
    assert stack(s3, bucket) == [("null", True, False), (version, False, False)]


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("PUT", "", {}),
        ("PUT", "", {"x-amz-copy-source": "SOURCE"}),
        ("POST", "uploads=&", {}),
        ("PUT", "partNumber=1&uploadId=UPLOAD&", {}),
        ("PUT", "partNumber=1&uploadId=UPLOAD&", {"x-amz-copy-source": "SOURCE"}),
        ("POST", "uploadId=UPLOAD&", {}),
    ],
    ids=["put", "copy", "create upload", "part", "copy part", "complete"],
)
def test_what_is_yet_to_be_made_has_no_version_id(raw, s3, versioned, method, query, headers):
    version = s3.put_object(Bucket=versioned, Key="k", Body=b"old")["VersionId"]
    upload = s3.create_multipart_upload(Bucket=versioned, Key="k")["UploadId"]
    headers = {name: value.replace("SOURCE", f"{versioned}/k") for name, value in headers.items()}
    target = f"/{versioned}/k?{query.replace('UPLOAD', upload)}versionId={version}"
    answer = raw(method, target, "new" if method == "PUT" and not headers else "", headers=headers)
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentName") == "versionId"
    assert [item["VersionId"] for item in s3.list_object_versions(Bucket=versioned)["Versions"]] == [version]


def test_versions_and_markers_are_listed_in_one_order(raw, s3, versioned):
    """By key, and the newest first: clients take what is next to each other for the history of a key."""
    wanted = []
    for key in ("a", "b", "c"):
        history = [("Version", s3.put_object(Bucket=versioned, Key=key, Body=b"1")["VersionId"])]
        if key != "b":
            history.append(("DeleteMarker", s3.delete_object(Bucket=versioned, Key=key)["VersionId"]))
            history.append(("Version", s3.put_object(Bucket=versioned, Key=key, Body=b"2")["VersionId"]))
        history.append(("DeleteMarker", s3.delete_object(Bucket=versioned, Key=key)["VersionId"]))
        wanted += [(kind, key, version) for kind, version in reversed(history)]

    def listed(query=""):
        found = raw("GET", f"/{versioned}?versions{query}").xml
        return [(it.tag, it.findtext("Key"), it.findtext("VersionId")) for it in found if it.tag in NAMES]

    assert listed() == wanted
    assert listed("&prefix=b") == wanted[4:6]
    assert listed("&max-keys=3") == wanted[:3]
    answer = s3.list_object_versions(Bucket=versioned)
    assert len(answer["Versions"]) == len(answer["DeleteMarkers"]) == 5
    only = s3.list_object_versions(Bucket=versioned, MaxKeys=1)
    assert ("Versions" in only, len(only["DeleteMarkers"])) == (False, 1)


NAMES = ("Version", "DeleteMarker")
