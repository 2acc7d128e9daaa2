"""Replicas that another server sends: who may make them, and what they can be."""

import base64
import hashlib
import json
import time

import boto3
import pytest
from botocore.config import Config

from tests.api.conftest import OTHER, READER, ROOT
from tests.api.iam_support import code_of

ETAG = "0123456789abcdef0123456789abcdef"


def id_at(ns):
    """Return a version id of a moment."""
    return base64.b32encode(ns.to_bytes(8, "big") + b"replica").decode().lower()


@pytest.fixture
def version_id():
    return id_at(time.time_ns())


def identity(version_id, **more):
    return {"x-s3ish-replica": version_id, "x-s3ish-replica-modified": str(10**18), **more}


def seen(s3, bucket):
    return s3.list_object_versions(Bucket=bucket).get("Versions", [])


def test_a_replica_keeps_the_id_the_time_and_the_etag_and_is_made_once(raw, s3, versioned, version_id):
    headers = identity(version_id, **{"x-s3ish-replica-etag": ETAG})
    for _ in range(2):
        answer = raw("PUT", f"/{versioned}/a", b"data", headers)
        assert (answer.status, answer.headers["x-amz-version-id"]) == (200, version_id)
    (found,) = seen(s3, versioned)
    assert (found["VersionId"], found["ETag"], found["LastModified"].timestamp()) == (version_id, f'"{ETAG}"', 10**9)
    assert s3.head_object(Bucket=versioned, Key="a")["ReplicationStatus"] == "REPLICA"
    later = s3.put_object(Bucket=versioned, Key="a", Body=b"later")["VersionId"]
    before = id_at(time.time_ns() - 10**10)
    raw("PUT", f"/{versioned}/a", b"before", identity(before))
    assert [it["VersionId"] for it in seen(s3, versioned)] == [later, version_id, before]


def test_a_delete_marker_is_a_replica_too(raw, s3, versioned, version_id):
    for _ in range(2):
        answer = raw("DELETE", f"/{versioned}/a", b"", identity(version_id))
        assert (answer.status, answer.headers["x-amz-version-id"]) == (204, version_id)
    (found,) = s3.list_object_versions(Bucket=versioned)["DeleteMarkers"]
    assert (found["VersionId"], found["LastModified"].timestamp()) == (version_id, 10**9)


def allow(s3, bucket, *actions):
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"},
        "Action": [f"s3:{action}" for action in actions],
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


WRITE = ("PutObject", "DeleteObject", "PutObjectTagging", "PutObjectVersionTagging", "PutObjectLegalHold")


def requests(s3, bucket, version_id):
    """Yield each request that makes or changes a replica, and the right that it needs."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    parts = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    complete = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    own = s3.put_object(Bucket=bucket, Key="t", Body=b"x")["VersionId"]
    tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
    yield "ReplicateObject", ("PUT", f"/{bucket}/a", b"x")
    yield "ReplicateDelete", ("DELETE", f"/{bucket}/d", b"")
    yield "ReplicateObject", ("POST", f"/{bucket}/m?uploadId={upload}", complete)
    yield "ReplicateTags", ("PUT", f"/{bucket}/t?tagging&versionId={own}", tags)


def test_without_the_right_of_replication_nothing_can_pass_for_a_replica(raw, s3, versioned, version_id):
    allow(s3, versioned, *WRITE)
    for right, (method, path, body) in requests(s3, versioned, version_id):
        before = s3.list_object_versions(Bucket=versioned)
        answer = raw(method, path, body, identity(version_id), keys=OTHER)
        assert answer.outcome == (403, "AccessDenied"), path
        after = s3.list_object_versions(Bucket=versioned)
        assert (before.get("Versions"), before.get("DeleteMarkers")) == (
            after.get("Versions"),
            after.get("DeleteMarkers"),
        )
        allow(s3, versioned, *WRITE, right)
        assert raw(method, path, body, identity(version_id), keys=OTHER).status in (200, 204), path
        allow(s3, versioned, *WRITE)
    assert raw("PUT", f"/{versioned}/a", b"x", identity(version_id), keys=READER).outcome == (403, "AccessDenied")
    assert raw("PUT", f"/{versioned}/a", b"x", identity(version_id), keys=None).outcome == (403, "AccessDenied")


WRITE_BESIDE = ("PutObjectVersionAcl", "PutObjectVersionAnnotation", "DeleteObjectVersionAnnotation")


def test_what_is_beside_a_replica_needs_the_right_of_replication(raw, s3, versioned):
    own = s3.put_object(Bucket=versioned, Key="a", Body=b"x")["VersionId"]
    owner = s3.get_object_acl(Bucket=versioned, Key="a")["Owner"]["ID"]
    grants = "<AccessControlList></AccessControlList>"
    note = f"annotation&annotationName=n&versionId={own}"
    for method, query, body in (
        (
            "PUT",
            f"acl&versionId={own}",
            f"<AccessControlPolicy><Owner><ID>{owner}</ID></Owner>{grants}</AccessControlPolicy>",
        ),
        ("PUT", note, "text"),
        ("DELETE", note, ""),
    ):
        allow(s3, versioned, *WRITE_BESIDE)
        s3.put_bucket_ownership_controls(
            Bucket=versioned, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        )
        mark = {"x-s3ish-replica": own}
        path = f"/{versioned}/a?{query}"
        assert raw(method, path, body, mark, keys=OTHER).outcome == (403, "AccessDenied"), query
        allow(s3, versioned, *WRITE_BESIDE, "ReplicateObject")
        assert raw(method, path, body, mark, keys=OTHER).status in (200, 204), query


def test_a_replica_has_the_owner_of_its_source_where_both_servers_know_him(raw, s3, other, versioned):
    """Unless the owner of the bucket owns all that is in it, or the sender knows none."""
    other.create_bucket(Bucket=f"{versioned}-other")
    known = other.list_buckets()["Owner"]["ID"]
    sender = s3.list_buckets()["Owner"]["ID"]

    def owner_of(owner, key):
        headers = identity(id_at(time.time_ns()), **{"x-s3ish-replica-owner": owner})
        assert raw("PUT", f"/{versioned}/{key}", b"x", headers).status == 200
        return s3.get_object_acl(Bucket=versioned, Key=key)["Owner"]["ID"]

    assert owner_of(known, "a") == sender
    s3.put_bucket_ownership_controls(
        Bucket=versioned, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    assert (owner_of(known, "b"), owner_of("stranger", "c")) == (known, sender)


def test_the_access_list_of_a_source_may_name_users_of_that_server(raw, s3, versioned, version_id):
    s3.put_bucket_ownership_controls(
        Bucket=versioned, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    assert raw("PUT", f"/{versioned}/a", b"x", identity(version_id)).status == 200

    def put_list(*grants):
        listed = "".join(
            '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
            f"<ID>{grantee}</ID></Grantee><Permission>{permission}</Permission></Grant>"
            for grantee, permission in grants
        )
        body = (
            "<AccessControlPolicy><Owner><ID>elsewhere</ID></Owner>"
            f"<AccessControlList>{listed}</AccessControlList></AccessControlPolicy>"
        )
        path = f"/{versioned}/a?acl&versionId={version_id}"
        assert raw("PUT", path, body).status >= 400
        assert raw("PUT", path, body, {"x-s3ish-replica": version_id}).status == 200
        found = s3.get_object_acl(Bucket=versioned, Key="a")["Grants"]
        return sorted((it["Grantee"]["ID"], it["Permission"]) for it in found)

    own = s3.list_buckets()["Owner"]["ID"]
    assert put_list(("elsewhere", "FULL_CONTROL"), ("other", "READ")) == [
        ("elsewhere", "FULL_CONTROL"),
        ("other", "READ"),
    ]
    assert put_list(("elsewhere", "FULL_CONTROL")) == [(own, "FULL_CONTROL")]
    assert raw("PUT", f"/{versioned}/a?acl", b"", {"x-s3ish-replica": version_id, "x-amz-acl": "private"}).status == 400


def test_headers_of_replicas_must_be_signed(raw, s3, versioned, version_id):
    answer = raw("PUT", f"/{versioned}/a", b"x", unsigned=identity(version_id))
    assert answer.outcome == (403, "AccessDenied")
    assert seen(s3, versioned) == []


def test_signature_version_2_does_not_cover_them(server, s3, versioned, version_id):
    config = Config(signature_version="s3", retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    keys = {"aws_access_key_id": ROOT[0], "aws_secret_access_key": ROOT[1]}
    older = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", config=config, **keys)
    older.put_object(Bucket=versioned, Key="t", Body=b"x")
    (own,) = seen(s3, versioned)

    def add(request, **_):
        for name, value in identity(version_id).items():
            request.headers[name] = value

    older.meta.events.register("before-sign.s3.*", add)
    place = {"Bucket": versioned, "Key": "t"}
    assert code_of(older.put_object, **place, Body=b"x") == "AccessDenied"
    assert code_of(older.delete_object, **place) == "AccessDenied"
    assert code_of(older.put_object_tagging, **place, Tagging={"TagSet": []}) == "AccessDenied"
    assert seen(s3, versioned) == [own]


def test_the_right_to_replicate_is_none_to_write(raw, s3, versioned, version_id):
    allow(s3, versioned, "ReplicateObject", "ReplicateDelete")
    for method in ("PUT", "DELETE"):
        assert raw(method, f"/{versioned}/a", b"", identity(version_id), keys=OTHER).outcome == (403, "AccessDenied")


@pytest.mark.parametrize(
    "headers",
    [
        identity("null"),
        identity(""),
        identity("x"),
        identity(id_at(0)),
        identity(id_at(2**64 - 1)),
        identity(id_at(time.time_ns() + 3 * 86_400 * 10**9)),
        identity(id_at(10**18).upper()),
        {"x-s3ish-replica": id_at(10**18)},
        identity(id_at(10**18), **{"x-s3ish-replica-modified": "-1"}),
        identity(id_at(10**18), **{"x-s3ish-replica-modified": str(2**63 - 1)}),
        identity(id_at(10**18), **{"x-s3ish-replica-etag": "<b>"}),
        identity(id_at(10**18), **{"x-s3ish-replica-appends": "-1"}),
    ],
)
def test_what_no_replica_can_have_in_common_with_a_source_is_refused(raw, s3, versioned, headers):
    for method in ("PUT", "DELETE"):
        assert raw(method, f"/{versioned}/a", b"x", headers).outcome == (400, "InvalidArgument")
    assert seen(s3, versioned) == []


def test_a_bucket_that_keeps_no_versions_takes_no_replicas(raw, s3, bucket, version_id):
    for method in ("PUT", "DELETE"):
        assert raw(method, f"/{bucket}/a", b"x", identity(version_id)).outcome == (400, "InvalidRequest")
    assert seen(s3, bucket) == []


def test_two_versions_of_a_key_have_no_place_in_common(raw, s3, versioned):
    one, two = (
        base64.b32encode((10**18).to_bytes(8, "big") + random).decode().lower() for random in (b"1" * 7, b"2" * 7)
    )
    assert raw("PUT", f"/{versioned}/a", b"1", identity(one)).status == 200
    assert raw("PUT", f"/{versioned}/a", b"2", identity(two)).outcome == (400, "InvalidRequest")
    assert [it["VersionId"] for it in seen(s3, versioned)] == [one]


def test_a_body_that_is_not_what_it_claims_makes_no_replica(raw, s3, versioned, version_id):
    headers = identity(version_id, **{"x-amz-checksum-crc32": "AAAAAA=="})
    assert raw("PUT", f"/{versioned}/a", b"data", headers).outcome == (400, "BadDigest")
    assert seen(s3, versioned) == []


def test_a_replica_has_the_stricter_retention_of_its_source_and_never_a_looser_one(raw, s3, new_bucket, version_id):
    bucket = f"{new_bucket()}-locked"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    default = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=default)
    raw("PUT", f"/{bucket}/a", b"x", identity(version_id))

    def put(end, mode, headers):
        body = f"<Retention><Mode>{mode}</Mode>{end}</Retention>".encode()
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        target = f"/{bucket}/a?retention&versionId={version_id}"
        return raw("PUT", target, body, {"content-md5": md5, **headers}).status

    def retain(mode, days, headers):
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86_400))
        return put(f"<RetainUntilDate>{until}</RetainUntilDate>", mode, headers)

    def kept():
        found = s3.get_object_retention(Bucket=bucket, Key="a", VersionId=version_id)["Retention"]
        return found["Mode"], round((found["RetainUntilDate"].timestamp() - time.time()) / 86_400)

    assert retain("COMPLIANCE", 2, {}) == 403  # of others that needs the right to bypass it
    assert kept() == ("GOVERNANCE", 1)
    assert retain("COMPLIANCE", 2, identity(version_id)) == 200
    assert kept() == ("COMPLIANCE", 2)
    for mode, days in (("GOVERNANCE", 3), ("COMPLIANCE", 1)):
        retain(mode, days, identity(version_id))
        assert kept() == ("COMPLIANCE", 2)
    held = "<EventHold>ON</EventHold><EventHoldDuration><Days>3</Days></EventHoldDuration>"
    assert put(held, "COMPLIANCE", identity(version_id)) == 200
    put("<EventHold>OFF</EventHold>", "COMPLIANCE", identity(version_id))  # which only who may write it here releases
    assert s3.get_object_retention(Bucket=bucket, Key="a", VersionId=version_id)["Retention"]["EventHold"] == "ON"
