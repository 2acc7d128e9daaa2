"""Replication as clients see it: statuses, what arrives, and who may have it done."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import ROOT
from tests.api.iam_support import allowing, client, code_of, remove
from tests.waiting import wait_until

ROLE = "arn:aws:iam::000000000000:role/replicator"


def rule(destination, **fields):
    plain = {"Status": "Enabled", "Priority": 1, "Filter": {}, "DeleteMarkerReplication": {"Status": "Enabled"}}
    return plain | {"Destination": {"Bucket": f"arn:aws:s3:::{destination}"}} | fields


def replicate(s3, bucket, *rules):
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration={"Role": ROLE, "Rules": list(rules)})


@pytest.fixture
def pair(new_bucket):
    return new_bucket("Enabled"), new_bucket("Enabled")


def status_of(s3, bucket, key, **arguments):
    return s3.head_object(Bucket=bucket, Key=key, **arguments).get("ReplicationStatus")


def arrived(s3, bucket, key):
    wait_until(lambda: status_of(s3, bucket, key) != "PENDING")
    return status_of(s3, bucket, key)


def test_an_object_arrives_with_all_that_belongs_to_it(s3, pair, big):
    source, destination = pair
    replicate(s3, source, rule(destination))
    put = s3.put_object(
        Bucket=source, Key="a key", Body=big, Metadata={"colour": "blue"}, Tagging="k=v", ContentType="text/plain"
    )
    assert arrived(s3, source, "a key") == "COMPLETED"
    found = s3.get_object(Bucket=destination, Key="a key")
    assert found["Body"].read() == big
    assert (found["VersionId"], found["ETag"], found["ReplicationStatus"]) == (put["VersionId"], put["ETag"], "REPLICA")
    assert (found["Metadata"], found["ContentType"], found["TagCount"]) == ({"colour": "blue"}, "text/plain", 1)
    source_time = s3.head_object(Bucket=source, Key="a key")["LastModified"]
    assert found["LastModified"] == source_time


def test_a_completed_upload_and_a_delete_marker_arrive(s3, pair):
    source, destination = pair
    replicate(s3, source, rule(destination))
    upload = s3.create_multipart_upload(Bucket=source, Key="many")["UploadId"]
    parts = []
    for number, body in ((1, bytes(5 << 20)), (2, b"end")):
        part = s3.upload_part(Bucket=source, Key="many", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(Bucket=source, Key="many", UploadId=upload, MultipartUpload={"Parts": parts})
    assert arrived(s3, source, "many") == "COMPLETED"
    assert s3.head_object(Bucket=destination, Key="many", PartNumber=2)["PartsCount"] == 2
    s3.delete_object(Bucket=source, Key="many")
    wait_until(lambda: s3.list_objects_v2(Bucket=destination)["KeyCount"] == 0)
    listed = s3.list_object_versions(Bucket=destination)
    assert (len(listed["DeleteMarkers"]), len(listed["Versions"])) == (1, 1)


def test_what_no_rule_is_about_has_no_status(s3, pair):
    source, destination = pair
    replicate(s3, source, rule(destination, Filter={"Prefix": "logs/"}))
    s3.put_object(Bucket=source, Key="logs/a", Body=b"x")
    s3.put_object(Bucket=source, Key="other", Body=b"x")
    assert arrived(s3, source, "logs/a") == "COMPLETED"
    assert status_of(s3, source, "other") is None
    assert [it["Key"] for it in s3.list_objects_v2(Bucket=destination)["Contents"]] == ["logs/a"]


def test_existing_objects_arrive_on_request(s3, pair):
    source, destination = pair
    s3.put_object(Bucket=source, Key="old", Body=b"x")
    replicate(s3, source, rule(destination, ExistingObjectReplication={"Status": "Enabled"}))
    wait_until(lambda: status_of(s3, source, "old") == "COMPLETED")
    assert status_of(s3, destination, "old") == "REPLICA"


def test_a_destination_that_is_gone_is_a_failure(s3, pair):
    source, destination = pair
    replicate(s3, source, rule(destination))
    s3.delete_bucket(Bucket=destination)
    s3.put_object(Bucket=source, Key="a", Body=b"x")
    assert arrived(s3, source, "a") == "FAILED"


def test_nobody_has_objects_written_where_they_may_not_write(s3, other, new_bucket, refused):
    """The server acts on behalf of who puts the rules, so that these must have the right themselves."""
    theirs, target = f"{new_bucket()}-theirs", new_bucket("Enabled")
    other.create_bucket(Bucket=theirs)
    other.put_bucket_versioning(Bucket=theirs, VersioningConfiguration={"Status": "Enabled"})
    configuration = {"Role": ROLE, "Rules": [rule(target)]}
    refused(
        "AccessDenied",
        403,
        other.put_bucket_replication,
        Bucket=theirs,
        ReplicationConfiguration=configuration,
    )
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:user/other"},
        "Action": "s3:ReplicateObject",
        "Resource": f"arn:aws:s3:::{target}/*",
    }
    closed = statement | {"Effect": "Deny", "Resource": f"arn:aws:s3:::{target}/closed/*"}
    s3.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement, closed]}))
    refused(
        "AccessDenied",  # delete markers need a right of their own
        403,
        other.put_bucket_replication,
        Bucket=theirs,
        ReplicationConfiguration=configuration,
    )
    statement["Action"] = ["s3:ReplicateObject", "s3:ReplicateDelete"]
    s3.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement, closed]}))
    other.put_bucket_replication(Bucket=theirs, ReplicationConfiguration=configuration)
    other.put_object(Bucket=theirs, Key="a", Body=b"x")
    assert arrived(other, theirs, "a") == "COMPLETED"
    other.put_object(Bucket=theirs, Key="closed/a", Body=b"x")
    assert arrived(other, theirs, "closed/a") == "FAILED"
    s3.delete_bucket_policy(Bucket=target)
    other.put_object(Bucket=theirs, Key="b", Body=b"x")
    assert arrived(other, theirs, "b") == "FAILED"
    assert [it["Key"] for it in s3.list_objects_v2(Bucket=target)["Contents"]] == ["a"]


def test_a_lock_arrives_and_its_release_is_a_matter_of_each_bucket(s3, new_bucket):
    source, destination = (f"{new_bucket()}-locked" for _ in range(2))
    for bucket in (source, destination):
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    replicate(s3, source, rule(destination))
    version = s3.put_object(Bucket=source, Key="a", Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    assert arrived(s3, source, "a") == "COMPLETED"
    s3.put_object_legal_hold(Bucket=source, Key="a", VersionId=version, LegalHold={"Status": "OFF"})
    assert arrived(s3, source, "a") == "COMPLETED"
    hold = s3.get_object_legal_hold(Bucket=destination, Key="a", VersionId=version)["LegalHold"]
    assert hold == {"Status": "ON"}
    s3.put_object_legal_hold(Bucket=destination, Key="a", VersionId=version, LegalHold={"Status": "OFF"})
    s3.delete_object(Bucket=destination, Key="a", VersionId=version)


AWAY = {"Bucket": "arn:s3ish:replication:::away"}


def test_a_target_of_the_settings_is_a_destination_and_others_are_none(s3, pair, unchanged):
    source, other_bucket = pair
    replicate(s3, source, rule("", Destination=AWAY), rule(other_bucket, Priority=2))
    kept = s3.get_bucket_replication(Bucket=source)["ReplicationConfiguration"]["Rules"]
    assert [it["Destination"]["Bucket"] for it in kept] == [AWAY["Bucket"], f"arn:aws:s3:::{other_bucket}"]
    s3.put_object(Bucket=source, Key="a", Body=b"x")
    wait_until(lambda: s3.list_objects_v2(Bucket=other_bucket)["KeyCount"] == 1)
    assert status_of(s3, source, "a") == "PENDING"
    s3.delete_bucket_replication(Bucket=source)
    wait_until(lambda: status_of(s3, source, "a") is None)
    for arn in ("arn:s3ish:replication:::gone", "arn:s3ish:replication:::away/x", "arn:s3ish:replication:::"):
        configuration = {"Role": ROLE, "Rules": [rule("", Destination={"Bucket": arn})]}
        with unchanged(source), pytest.raises(s3.exceptions.ClientError) as caught:
            s3.put_bucket_replication(Bucket=source, ReplicationConfiguration=configuration)
        assert caught.value.response["Error"]["Code"] in ("InvalidRequest", "InvalidS3DestinationBucket")


@pytest.mark.parametrize("key_id", ["a\r\n\r\nDELETE /b HTTP/1.1", "a\nx-amz-acl: public-read", "a\tb", "k" * 2049])
def test_a_key_of_replicas_that_no_header_can_carry_is_refused(s3, pair, unchanged, key_id):
    encrypted = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    destination = AWAY | {"EncryptionConfiguration": {"ReplicaKmsKeyID": key_id}}
    wanted = rule("", SourceSelectionCriteria=encrypted, Destination=destination)
    with unchanged(pair[0]), pytest.raises(s3.exceptions.ClientError) as caught:
        replicate(s3, pair[0], wanted)
    assert caught.value.response["Error"]["Code"] == "InvalidArgument"


def test_a_target_is_used_by_those_alone_to_whom_a_policy_gives_it(server, s3, other, pair):
    """What is sent there is signed with keys of the server, so that owning a bucket gives no right to it."""
    theirs = f"{pair[0]}-theirs"
    other.create_bucket(Bucket=theirs)
    other.put_bucket_versioning(Bucket=theirs, VersioningConfiguration={"Status": "Enabled"})
    rules = {"Role": ROLE, "Rules": [rule("", Destination=AWAY)]}
    assert code_of(other.put_bucket_replication, Bucket=theirs, ReplicationConfiguration=rules) == "AccessDenied"
    iam = client(server, "iam", ROOT)
    name = f"u-{pair[0]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = client(server, "s3", (key["AccessKeyId"], key["SecretAccessKey"]))

    def allow(*statements):
        own = allowing("s3:PutReplicationConfiguration", f"arn:aws:s3:::{pair[0]}")
        document = json.dumps({"Version": "2012-10-17", "Statement": [own, *statements]})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)

    try:
        for statements in ([], [allowing("s3:ReplicateObject", AWAY["Bucket"])]):
            allow(*statements)
            assert (
                code_of(user.put_bucket_replication, Bucket=pair[0], ReplicationConfiguration=rules) == "AccessDenied"
            )
        allow(allowing("s3:Replicate*", AWAY["Bucket"]))
        user.put_bucket_replication(Bucket=pair[0], ReplicationConfiguration=rules)
    finally:
        remove(iam, name)


def test_a_replica_without_retention_gets_that_of_its_bucket_and_no_other_does(s3, new_bucket):
    source, destination = (f"{new_bucket()}-locked" for _ in range(2))
    for bucket in (source, destination):
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    default = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": default}
    s3.put_object_lock_configuration(Bucket=destination, ObjectLockConfiguration=lock)
    replicate(s3, source, rule(destination))
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    s3.put_object(Bucket=source, Key="none", Body=b"x")
    s3.put_object(Bucket=source, Key="held", Body=b"x", ObjectLockLegalHoldStatus="ON")
    s3.put_object(Bucket=source, Key="own", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    assert [arrived(s3, source, key) for key in ("none", "held", "own")] == ["COMPLETED"] * 3
    found = {key: s3.head_object(Bucket=destination, Key=key) for key in ("none", "held", "own")}
    assert [found[key]["ObjectLockMode"] for key in found] == ["GOVERNANCE"] * 3
    assert (found["own"]["ObjectLockRetainUntilDate"], found["held"]["ObjectLockLegalHoldStatus"]) == (until, "ON")
    ends = found["none"]["ObjectLockRetainUntilDate"]
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(days=1)
    s3.put_object_tagging(Bucket=source, Key="none", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert arrived(s3, source, "none") == "COMPLETED"
    assert s3.head_object(Bucket=destination, Key="none")["ObjectLockRetainUntilDate"] == ends
    for key in found:
        s3.put_object_legal_hold(Bucket=destination, Key=key, LegalHold={"Status": "OFF"})
