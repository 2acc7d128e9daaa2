"""Replication to another s3ish: what arrives, once, whatever is killed in between."""

import base64
import json
import signal
import urllib.request
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from s3ish.cli import cert
from tests.waiting import wait_until

ARN = "arn:s3ish:replication:::there"
PART = bytes(range(256)) * (32 << 10)
ROLE = "arn:aws:iam::000000000000:role/replicator"


def client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def rule(arn=ARN, **fields):
    plain = {"Status": "Enabled", "Priority": 1, "Filter": {}, "DeleteMarkerReplication": {"Status": "Enabled"}}
    return plain | {"Destination": {"Bucket": arn}} | fields


def replicate(s3, bucket, *rules):
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={"Role": ROLE, "Rules": list(rules)})


def versioned(s3, bucket):
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def status(s3, key, bucket="here", **which):
    return s3.head_object(Bucket=bucket, Key=key, **which).get("ReplicationStatus")


def versions(s3, bucket):
    found = s3.list_object_versions(Bucket=bucket)
    listed = found.get("Versions", []) + found.get("DeleteMarkers", [])
    return sorted((it["Key"], it["VersionId"], it.get("ETag"), it["LastModified"]) for it in listed)


def target(endpoint, arn=ARN, bucket="there", **more):
    fields = {"arn": arn, "endpoint": endpoint, "bucket": bucket, "access_key": "s3ishadmin", "timeout_seconds": 5}
    fields = {"secret_key": "s3ishadmin"} | fields | more
    lines = [f"{name} = {value if isinstance(value, int) else repr(value)}" for name, value in fields.items()]
    return "\n".join(["[[replication.targets]]", *lines, ""])


@pytest.fixture
def kind():
    return "s3ish"


@pytest.fixture
def pair(start_server, tmp_path, kind):
    """Two servers: the bucket ``here`` of the first one is replicated to ``there`` of the second one."""
    second = start_server(tmp_path / "second")
    (tmp_path / "s3ish.toml").write_text(target(second.endpoint, kind=kind))
    first = start_server(tmp_path / "first", "--config", tmp_path / "s3ish.toml")
    here, there = client(first.endpoint), client(second.endpoint)
    versioned(here, "here")
    versioned(there, "there")
    replicate(here, "here", rule())
    return here, there


@pytest.mark.parametrize("key", ["a", "a b+c/ü~'\"(*)&=%25?#", "x//y/./z", "🦊"])
def test_an_object_arrives_with_all_that_belongs_to_it(pair, key):
    here, there = pair
    put = here.put_object(
        Bucket="here",
        Key=key,
        Body=b"data",
        Metadata={"colour": "blue"},
        Tagging="k=v%20w&l=",
        ContentType="text/plain",
        CacheControl="max-age=1",
        StorageClass="STANDARD_IA",
        WebsiteRedirectLocation="/other",
        ChecksumAlgorithm="SHA256",
    )
    wait_until(lambda: status(here, key) == "COMPLETED")
    source = here.get_object(Bucket="here", Key=key, ChecksumMode="ENABLED")
    found = there.get_object(Bucket="there", Key=key, ChecksumMode="ENABLED")
    assert found["Body"].read() == b"data"
    assert (found["VersionId"], found["ReplicationStatus"]) == (put["VersionId"], "REPLICA")
    for name in [
        "ETag",
        "LastModified",
        "Metadata",
        "ContentType",
        "CacheControl",
        "StorageClass",
        "WebsiteRedirectLocation",
        "ChecksumSHA256",
    ]:
        assert found[name] == source[name], name
    tags = there.get_object_tagging(Bucket="there", Key=key)["TagSet"]
    assert tags == here.get_object_tagging(Bucket="here", Key=key)["TagSet"]


def test_large_objects_uploads_and_empty_ones_arrive(pair):
    here, there = pair
    here.put_object(Bucket="here", Key="empty", Body=b"")
    large = bytes(range(256)) * (40 << 10)
    here.put_object(Bucket="here", Key="large", Body=large, StorageClass="GLACIER")
    upload = here.create_multipart_upload(Bucket="here", Key="parts", ContentType="text/plain")["UploadId"]
    parts = []
    for number, body in ((1, large), (2, b"end")):
        part = here.upload_part(Bucket="here", Key="parts", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    here.complete_multipart_upload(Bucket="here", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    wait_until(lambda: all(status(here, key) == "COMPLETED" for key in ("empty", "large", "parts")))
    assert versions(there, "there") == versions(here, "here")
    assert there.head_object(Bucket="there", Key="large")["StorageClass"] == "GLACIER"
    there.restore_object(Bucket="there", Key="large", RestoreRequest={"Days": 1})
    assert there.get_object(Bucket="there", Key="large")["Body"].read() == large
    assert there.get_object(Bucket="there", Key="parts")["Body"].read() == large + b"end"
    assert there.head_object(Bucket="there", Key="parts", PartNumber=2)["PartsCount"] == 2
    assert there.list_multipart_uploads(Bucket="there").get("Uploads") is None


def test_a_copy_of_an_object_that_was_appended_to_arrives_as_it_is(pair):
    here, there = pair
    here.create_bucket(Bucket="log")
    here.put_object(Bucket="log", Key="a", Body=b"x" * 100)
    here.put_object(Bucket="log", Key="a", Body=b"y" * (6 << 20), WriteOffsetBytes=100)
    here.copy_object(Bucket="here", Key="a", CopySource="log/a")
    wait_until(lambda: status(here, "a") == "COMPLETED")
    assert versions(there, "there") == versions(here, "here")
    assert there.get_object(Bucket="there", Key="a")["Body"].read() == b"x" * 100 + b"y" * (6 << 20)


def test_delete_markers_and_later_changes_follow(pair):
    here, there = pair
    version = here.put_object(Bucket="here", Key="a", Body=b"1")["VersionId"]
    here.delete_object(Bucket="here", Key="a")
    wait_until(lambda: versions(there, "there") == versions(here, "here"))
    here.put_object_tagging(
        Bucket="here", Key="a", VersionId=version, Tagging={"TagSet": [{"Key": "k", "Value": "w + x"}]}
    )
    wait_until(lambda: status(here, "a", VersionId=version) == "COMPLETED")
    tags = there.get_object_tagging(Bucket="there", Key="a", VersionId=version)["TagSet"]
    assert tags == [{"Key": "k", "Value": "w + x"}]
    assert status(there, "a", bucket="there", VersionId=version) == "REPLICA"
    assert versions(there, "there") == versions(here, "here")


def annotations(s3, bucket, key):
    found = s3.list_object_annotations(Bucket=bucket, Key=key).get("Annotations", [])
    names = [it["AnnotationName"] for it in found]
    read = [s3.get_object_annotation(Bucket=bucket, Key=key, AnnotationName=name) for name in names]
    return {name: it["AnnotationPayload"].read() for name, it in zip(names, read, strict=True)}


def test_annotations_follow_and_go(pair):
    here, there = pair
    names = [f'n {number:02} <&"ü🦊>' for number in range(25)]
    here.put_object(Bucket="here", Key="a", Body=b"1")
    for name in names:
        here.put_object_annotation(Bucket="here", Key="a", AnnotationName=name, AnnotationPayload=name.encode())
    here.copy_object(Bucket="here", Key="copy", CopySource="here/a")
    wait_until(lambda: all(status(here, key) == "COMPLETED" for key in ("a", "copy")))
    wanted = {name: name.encode() for name in names}
    assert annotations(there, "there", "a") == annotations(there, "there", "copy") == wanted
    here.put_object_annotation(Bucket="here", Key="a", AnnotationName=names[3], AnnotationPayload=b"other")
    for name in names[:3] + names[4:]:
        here.delete_object_annotation(Bucket="here", Key="a", AnnotationName=name)
    wait_until(lambda: status(here, "a") == "COMPLETED")
    assert annotations(there, "there", "a") == {names[3]: b"other"}
    assert status(there, "a", bucket="there") == "REPLICA"
    here.delete_object_annotation(Bucket="here", Key="a", AnnotationName=names[3])
    wait_until(lambda: status(here, "a") == "COMPLETED")
    assert annotations(there, "there", "a") == {}


def grants(s3, bucket, key):
    found = s3.get_object_acl(Bucket=bucket, Key=key)["Grants"]
    return sorted((it["Grantee"].get("URI") or it["Grantee"]["ID"], it["Permission"]) for it in found)


def test_access_lists_follow_where_they_have_a_meaning(pair):
    here, there = pair
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    open_to_all = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False
    )
    here.put_bucket_ownership_controls(Bucket="here", OwnershipControls=controls)
    here.put_public_access_block(Bucket="here", PublicAccessBlockConfiguration=open_to_all)
    here.put_object(Bucket="here", Key="a", Body=b"1", ACL="public-read")
    wait_until(lambda: status(here, "a") == "COMPLETED")  # there the owner of the bucket owns all
    assert grants(there, "there", "a") != grants(here, "here", "a")
    there.put_bucket_ownership_controls(Bucket="there", OwnershipControls=controls)
    there.put_public_access_block(Bucket="there", PublicAccessBlockConfiguration=open_to_all)
    here.put_object(Bucket="here", Key="b", Body=b"1", ACL="public-read")
    wait_until(lambda: status(here, "b") == "COMPLETED")
    assert len(grants(there, "there", "b")) == 2
    assert grants(there, "there", "b") == grants(here, "here", "b")
    here.put_object_acl(Bucket="here", Key="b", ACL="private")
    wait_until(lambda: status(here, "b") == "COMPLETED")
    assert len(grants(there, "there", "b")) == 1
    replicate(
        here,
        "here",
        rule(Destination={"Bucket": ARN, "Account": "1" * 12, "AccessControlTranslation": {"Owner": "Destination"}}),
    )
    here.put_object(Bucket="here", Key="c", Body=b"1", ACL="public-read")
    wait_until(lambda: status(here, "c") == "COMPLETED")
    assert len(grants(there, "there", "c")) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_kill_of_either_server_loses_a_version_or_makes_a_second_one(start_server, tmp_path, workers):
    def start(name, *more):
        return start_server(tmp_path / name, "--config", tmp_path / f"{name}.toml", *more, S3ISH_WORKERS=workers)

    (tmp_path / "second.toml").write_text("")
    second = start("second")
    port = second.endpoint.rpartition(":")[2]
    (tmp_path / "first.toml").write_text(target(second.endpoint))
    first = start("first")
    here, there = client(first.endpoint), client(second.endpoint)
    versioned(here, "here")
    versioned(there, "there")
    replicate(here, "here", rule())
    for turn in range(4):
        for number in range(12):
            here.put_object(Bucket="here", Key=f"{turn}/{number % 8}", Body=b"x" * (5 << 20 if number == 0 else 10))
        here.delete_object(Bucket="here", Key=f"{turn}/3")
        if turn % 2:
            second.stop(signal.SIGKILL)
            second = start("second", "--port", port)
            there = client(second.endpoint)
        else:
            first.stop(signal.SIGKILL)
            first = start("first")
            here = client(first.endpoint)
    wait_until(lambda: versions(there, "there") == versions(here, "here"))
    wait_until(
        lambda: all(status(here, it[0], VersionId=it[1]) == "COMPLETED" for it in versions(here, "here") if it[2])
    )
    assert versions(there, "there") == versions(here, "here")


def control(endpoint, path, **document):
    """Send a document to the test controls of a server, or nothing; return the answer."""
    data = json.dumps(document).encode() if document else None
    with urllib.request.urlopen(f"{endpoint}/-/test/{path}", data) as answer:
        return json.load(answer)


@pytest.mark.parametrize("kind", ["s3ish", "s3"])
def test_an_upload_that_kills_of_both_servers_cut_off_goes_on_with_the_part_that_is_missing(
    start_server, run_s3ish, tmp_path, kind
):
    def start(name, *more, **variables):
        return start_server(tmp_path / name, "--config", tmp_path / f"{name}.toml", *more, **variables)

    def hold(part):
        control(second.endpoint, "faults", operation="UploadPart", nth=part, delay_seconds=600)

    def is_held(number):
        return control(second.endpoint, "faults")["faults"][number]["met"]

    def done():
        counts = control(second.endpoint, "requests?status=200&limit=0")["counts"]
        return counts.get("CreateMultipartUpload", 0), counts["UploadPart"]

    watched = {"S3ISH_TEST_CONTROLS": "true"}
    (tmp_path / "second.toml").write_text("")
    second = start("second", **watched)
    (tmp_path / "first.toml").write_text(target(second.endpoint, kind=kind, timeout_seconds=60))
    first = start("first")
    here, there = client(first.endpoint), client(second.endpoint)
    versioned(here, "here")
    versioned(there, "there")
    replicate(here, "here", rule())
    upload, parts = here.create_multipart_upload(Bucket="here", Key="film")["UploadId"], []
    for number in range(1, 9):
        part = here.upload_part(Bucket="here", Key="film", UploadId=upload, PartNumber=number, Body=PART)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    hold(3)
    here.complete_multipart_upload(Bucket="here", Key="film", UploadId=upload, MultipartUpload={"Parts": parts})
    wait_until(lambda: is_held(0))
    first.stop(signal.SIGKILL)
    assert done() == (1, 2)
    hold(4)
    first = start("first")
    wait_until(lambda: is_held(1))
    assert done() == (1, 5)
    second.stop(signal.SIGKILL)
    second = start("second", "--port", second.endpoint.rpartition(":")[2], **watched)
    here, there = client(first.endpoint), client(second.endpoint)
    wait_until(lambda: status(here, "film") == "COMPLETED")
    assert done() == (0, 3)
    [arrived] = there.list_object_versions(Bucket="there")["Versions"]
    [sent] = here.list_object_versions(Bucket="here")["Versions"]
    assert (arrived["Size"], arrived["ETag"]) == (8 * len(PART), sent["ETag"])
    assert there.head_object(Bucket="there", Key="film", PartNumber=8)["PartsCount"] == 8
    assert "Uploads" not in there.list_multipart_uploads(Bucket="there")
    second.stop()
    assert run_s3ish("check", tmp_path / "second").returncode == 0


def test_two_servers_may_be_each_others_destination(start_server, tmp_path):
    second = start_server(tmp_path / "second")
    port = second.endpoint.rpartition(":")[2]
    (tmp_path / "first.toml").write_text(target(second.endpoint))
    first = start_server(tmp_path / "first", "--config", tmp_path / "first.toml")
    second.stop()
    (tmp_path / "second.toml").write_text(target(first.endpoint, bucket="here"))
    second = start_server(tmp_path / "second", "--config", tmp_path / "second.toml", "--port", port)
    here, there = client(first.endpoint), client(second.endpoint)
    versioned(here, "here")
    versioned(there, "there")
    both = {"SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}}}
    replicate(here, "here", rule(**both))
    replicate(there, "there", rule(**both))
    one = here.put_object(Bucket="here", Key="a", Body=b"1")["VersionId"]
    there.put_object(Bucket="there", Key="b", Body=b"2")
    there.delete_object(Bucket="there", Key="b")
    wait_until(lambda: len(versions(here, "here")) == 3 and versions(there, "there") == versions(here, "here"))
    tagging = {"TagSet": [{"Key": "k", "Value": "v"}]}
    there.put_object_tagging(Bucket="there", Key="a", VersionId=one, Tagging=tagging)
    wait_until(lambda: here.get_object_tagging(Bucket="here", Key="a")["TagSet"] == tagging["TagSet"])
    assert (status(here, "a"), status(there, "a", bucket="there")) == ("COMPLETED", "REPLICA")
    assert versions(there, "there") == versions(here, "here")


def test_a_server_that_is_down_holds_up_no_other_bucket(start_server, tmp_path):
    (tmp_path / "s3ish.toml").write_text(target("http://127.0.0.1:9"))
    server = start_server(tmp_path / "first", "--config", tmp_path / "s3ish.toml")
    s3 = client(server.endpoint)
    for bucket in ("here", "copies"):
        versioned(s3, bucket)
    replicate(s3, "here", rule(Filter={"Prefix": "far"}), rule("arn:aws:s3:::copies", Priority=2))
    for key in ("far/1", "near", "far/2"):
        s3.put_object(Bucket="here", Key=key, Body=b"x")
    wait_until(lambda: len(versions(s3, "copies")) == 3)
    assert [status(s3, key) for key in ("far/1", "near", "far/2")] == ["PENDING", "COMPLETED", "PENDING"]


def bodies(s3, bucket):
    """Return what listings show of each version, the newest of a key first, and what it holds."""
    found = s3.list_object_versions(Bucket=bucket)
    listed = found.get("Versions", []) + found.get("DeleteMarkers", [])
    listed.sort(key=lambda it: (it["Key"], it["LastModified"]), reverse=True)
    return [(it["Key"], "Size" in it and read(s3, bucket, it)) for it in listed]


def read(s3, bucket, version):
    return s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"].read()


@pytest.mark.parametrize("kind", ["s3"])
def test_versions_arrive_in_their_order_where_ids_cannot_be_given(pair):
    here, there = pair
    for number in range(5):
        here.put_object(Bucket="here", Key="a b+c/ü", Body=b"%d" % number, Tagging="k=v")
    here.delete_object(Bucket="here", Key="a b+c/ü")
    here.put_object(Bucket="here", Key="a b+c/ü", Body=b"last", ContentType="text/plain")
    here.put_object(Bucket="here", Key="other", Body=bytes(65 << 20))
    wait_until(lambda: len(bodies(there, "there")) == 8)
    shown = there.list_object_versions(Bucket="there", Prefix="a")
    sizes = [it["Size"] for it in shown["Versions"]]
    assert (sizes, len(shown["DeleteMarkers"])) == ([4, 1, 1, 1, 1, 1], 1)
    assert [read(there, "there", it) for it in shown["Versions"]] == [b"last", b"4", b"3", b"2", b"1", b"0"]
    wait_until(lambda: status(here, "other") == "COMPLETED")
    newest = there.head_object(Bucket="there", Key="a b+c/ü")
    assert (newest["ContentType"], list(newest["Metadata"])) == ("text/plain", ["s3ish-version-id"])
    assert "ReplicationStatus" not in newest
    assert there.head_object(Bucket="there", Key="other", PartNumber=1)["PartsCount"] == 2
    version = here.head_object(Bucket="here", Key="other")["VersionId"]
    tagging = {"TagSet": [{"Key": "k", "Value": "v"}]}
    here.put_object_tagging(Bucket="here", Key="other", VersionId=version, Tagging=tagging)
    wait_until(lambda: there.get_object_tagging(Bucket="there", Key="other")["TagSet"] == tagging["TagSet"])
    assert len(bodies(there, "there")) == 8


@pytest.mark.parametrize("kind", ["s3"])
def test_an_older_version_is_not_put_on_top_of_a_later_one(pair):
    here, there = pair
    here.delete_bucket_replication(Bucket="here")
    old = here.put_object(Bucket="here", Key="a", Body=b"old")["VersionId"]
    replicate(here, "here", rule())
    here.put_object(Bucket="here", Key="a", Body=b"new")
    wait_until(lambda: status(here, "a") == "COMPLETED")
    replicate(here, "here", rule(ExistingObjectReplication={"Status": "Enabled"}, ID="again"))
    wait_until(lambda: status(here, "a", VersionId=old) == "FAILED")
    assert [body for _, body in bodies(there, "there")] == [b"new"]


def test_locks_arrive_and_default_retention_is_that_of_the_bucket_there(start_server, tmp_path):
    second = start_server(tmp_path / "second")
    targets = [target(second.endpoint), target(second.endpoint, f"{ARN}-open", "open")]
    (tmp_path / "s3ish.toml").write_text("\n".join(targets))
    first = start_server(tmp_path / "first", "--config", tmp_path / "s3ish.toml")
    here, there = client(first.endpoint), client(second.endpoint)
    for s3, bucket in ((here, "here"), (there, "there")):
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    versioned(there, "open")
    default = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": default}
    there.put_object_lock_configuration(Bucket="there", ObjectLockConfiguration=lock)
    replicate(here, "here", rule(), rule(f"{ARN}-open", Priority=2, Filter={"Prefix": "open"}))
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    retained = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    here.put_object(Bucket="here", Key="held", Body=b"x", ObjectLockLegalHoldStatus="ON", **retained)
    plain = here.put_object(Bucket="here", Key="plain", Body=b"x")["VersionId"]
    here.put_object(Bucket="here", Key="open/held", Body=b"x", ObjectLockLegalHoldStatus="ON")
    wait_until(lambda: [status(here, key) for key in ("held", "plain")] == ["COMPLETED"] * 2)
    wait_until(lambda: status(here, "open/held") == "FAILED")  # a bucket without locks refuses it
    held = there.head_object(Bucket="there", Key="held")
    assert (held["ObjectLockMode"], held["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", until)
    assert held["ObjectLockLegalHoldStatus"] == "ON"
    found = there.head_object(Bucket="there", Key="plain")
    assert found["ObjectLockMode"] == "GOVERNANCE"
    here.put_object_retention(
        Bucket="here", Key="plain", VersionId=plain, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}
    )
    wait_until(lambda: there.head_object(Bucket="there", Key="plain")["ObjectLockRetainUntilDate"] == until)
    sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": until - timedelta(days=1)}
    here.put_object_retention(
        Bucket="here", Key="plain", VersionId=plain, Retention=sooner, BypassGovernanceRetention=True
    )
    here.put_object_legal_hold(Bucket="here", Key="held", LegalHold={"Status": "OFF"})
    wait_until(lambda: [status(here, key) for key in ("held", "plain")] == ["COMPLETED"] * 2)
    assert there.head_object(Bucket="there", Key="plain")["ObjectLockRetainUntilDate"] == until
    assert there.head_object(Bucket="there", Key="held")["ObjectLockLegalHoldStatus"] == "ON"


def test_encrypted_objects_arrive_under_the_keys_of_the_server_there(start_server, run_s3ish, tmp_path):
    keys = [base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    second = start_server(tmp_path / "second", S3ISH_MASTER_KEY=keys[1])
    (tmp_path / "s3ish.toml").write_text(target(second.endpoint))
    first = start_server(tmp_path / "first", "--config", tmp_path / "s3ish.toml", S3ISH_MASTER_KEY=keys[0])
    made = run_s3ish(
        "key", "create", "--alias", "alias/there", "--volume", tmp_path / "second", S3ISH_MASTER_KEY=keys[1]
    )
    arn = made.stdout.strip()
    here, there = client(first.endpoint), client(second.endpoint)
    versioned(here, "here")
    versioned(there, "there")
    destination = {"Bucket": ARN, "EncryptionConfiguration": {"ReplicaKmsKeyID": "alias/there"}}
    criteria = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    replicate(here, "here", rule(SourceSelectionCriteria=criteria, Destination=destination))
    body = bytes(range(256)) * (20 << 10)
    sealed = {"ServerSideEncryption": "aws:kms"}
    here.put_object(Bucket="here", Key="kms", Body=body, **sealed)
    here.put_object(Bucket="here", Key="sse", Body=b"x", ServerSideEncryption="AES256")
    upload = here.create_multipart_upload(Bucket="here", Key="parts", **sealed)["UploadId"]
    parts = []
    for number, part in ((1, body), (2, b"end")):
        etag = here.upload_part(Bucket="here", Key="parts", UploadId=upload, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    here.complete_multipart_upload(Bucket="here", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    here.put_object(Bucket="here", Key="customer", Body=b"x", **customer)
    wait_until(lambda: [status(here, key) for key in ("kms", "sse", "parts")] == ["COMPLETED"] * 3)
    for key, wanted in (("kms", body), ("parts", body + b"end")):
        found = there.get_object(Bucket="there", Key=key)
        assert (found["Body"].read(), found["SSEKMSKeyId"]) == (wanted, arn)
    assert there.head_object(Bucket="there", Key="sse")["ServerSideEncryption"] == "AES256"
    assert "ReplicationStatus" not in here.head_object(Bucket="here", Key="customer", **customer)
    assert [it[:3] for it in versions(there, "there")] == [
        it[:3] for it in versions(here, "here") if it[0] != "customer"
    ]


def test_a_target_over_tls_is_trusted_by_its_own_authority(start_server, tmp_path):
    files = cert.write(tmp_path / "tls", ["127.0.0.1"], datetime.now(UTC), days=1)
    served = {"S3ISH_TLS_CERTIFICATES": str(files.certificate), "S3ISH_TLS_KEYS": str(files.key)}
    second = start_server(tmp_path / "second", S3ISH_DEFAULT_BUCKETS="there:versioned", **served)
    strange = target(second.endpoint, f"{ARN}-strange")
    (tmp_path / "s3ish.toml").write_text(target(second.endpoint, ca_file=str(files.authority)) + strange)
    here = client(start_server(tmp_path / "first", "--config", tmp_path / "s3ish.toml").endpoint)
    versioned(here, "here")
    replicate(here, "here", rule(), rule(f"{ARN}-strange", Priority=2, Filter={"Prefix": "strange"}))
    for key in ("strange", "a"):
        here.put_object(Bucket="here", Key=key, Body=b"x")
    wait_until(lambda: status(here, "a") == "COMPLETED")
    assert status(here, "strange") == "PENDING"
