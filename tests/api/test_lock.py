"""Object Lock: what is kept, from whom, and how long."""

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.iam_support import client, code_of

SOON = timedelta(seconds=2)
MD5_OF_X = "ndTkYSaMgDT1yFZOFVxnpg=="


def later(**period):
    return (datetime.now(UTC) + timedelta(**period)).replace(microsecond=0)


@pytest.fixture
def locked(s3, new_bucket):
    """A bucket whose objects can be locked."""
    name = new_bucket() + "-lock"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def put(s3, bucket, **lock):
    return s3.put_object(Bucket=bucket, Key="k", Body=b"x", **lock)["VersionId"]


def retain(s3, bucket, version, mode, until, **more):
    retention = {"Mode": mode, "RetainUntilDate": until}
    return s3.put_object_retention(Bucket=bucket, Key="k", VersionId=version, Retention=retention, **more)


def test_a_bucket_with_locks_is_versioned_and_stays_so(s3, locked, refused):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    found = s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"]
    assert found == {"ObjectLockEnabled": "Enabled"}
    suspended = {"Status": "Suspended"}
    refused("InvalidBucketState", 409, s3.put_bucket_versioning, Bucket=locked, VersioningConfiguration=suspended)


def test_a_bucket_without_locks(s3, bucket, versioned, refused):
    refused("ObjectLockConfigurationNotFoundError", 404, s3.get_object_lock_configuration, Bucket=bucket)
    s3.put_object(Bucket=versioned, Key="k", Body=b"x")
    refused("InvalidRequest", 400, s3.get_object_retention, Bucket=versioned, Key="k")
    refused("InvalidRequest", 400, s3.get_object_legal_hold, Bucket=versioned, Key="k")
    call = {"Bucket": versioned, "Key": "k", "Body": b"", "ObjectLockLegalHoldStatus": "ON"}
    refused("InvalidRequest", 400, s3.put_object, **call)
    configuration = {"ObjectLockEnabled": "Enabled"}
    call = {"Bucket": bucket, "ObjectLockConfiguration": configuration}
    refused("InvalidBucketState", 409, s3.put_object_lock_configuration, **call)
    s3.put_object_lock_configuration(Bucket=versioned, ObjectLockConfiguration=configuration)
    put(s3, versioned, ObjectLockLegalHoldStatus="ON")


MODES = ["GOVERNANCE", "COMPLIANCE"]


@pytest.mark.parametrize("mode", MODES)
def test_a_retained_version_cannot_be_removed(s3, locked, refused, mode):
    version = put(s3, locked, ObjectLockMode=mode, ObjectLockRetainUntilDate=later(days=1))
    refused("AccessDenied", 403, s3.delete_object, Bucket=locked, Key="k", VersionId=version)
    answer = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    assert [item["Code"] for item in answer["Errors"]] == ["AccessDenied"]
    marker = s3.delete_object(Bucket=locked, Key="k")
    assert marker["DeleteMarker"]
    s3.delete_object(Bucket=locked, Key="k", VersionId=marker["VersionId"])
    put(s3, locked)
    assert s3.get_object(Bucket=locked, Key="k", VersionId=version)["Body"].read() == b"x"
    refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=locked)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("until", [None, "2099-01-01T00:00:00.123456Z"], ids=["default", "microseconds"])
def test_a_retention_may_be_put_again_as_it_is_shown(s3, raw, locked, mode, until):
    """Answers show milliseconds: what a client read and puts back shortens nothing."""
    if until is None:
        rule = {"DefaultRetention": {"Mode": mode, "Days": 1}}
        lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=lock)
    asked = {} if until is None else {"x-amz-object-lock-mode": mode, "x-amz-object-lock-retain-until-date": until}
    assert raw("PUT", f"/{locked}/k", b"x", asked).status == 200
    shown = s3.get_object_retention(Bucket=locked, Key="k")["Retention"]
    s3.put_object_retention(Bucket=locked, Key="k", Retention=shown)
    assert s3.get_object_retention(Bucket=locked, Key="k")["Retention"] == shown
    shorter = shown | {"RetainUntilDate": shown["RetainUntilDate"] - timedelta(milliseconds=1)}
    assert code_of(s3.put_object_retention, Bucket=locked, Key="k", Retention=shorter) == "AccessDenied"


def test_governance_can_be_passed_by_with_the_right_and_the_header(s3, locked):
    version = put(s3, locked, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=later(days=1))
    s3.delete_object(Bucket=locked, Key="k", VersionId=version, BypassGovernanceRetention=True)
    other = put(s3, locked, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=later(days=1))
    answer = s3.delete_objects(
        Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": other}]}, BypassGovernanceRetention=True
    )
    assert "Errors" not in answer


def test_compliance_binds_the_root_user_too(s3, locked, refused):
    version = put(s3, locked, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=later(days=1))
    call = {"Bucket": locked, "Key": "k", "VersionId": version, "BypassGovernanceRetention": True}
    refused("AccessDenied", 403, s3.delete_object, **call)


def test_a_version_shows_a_legal_hold_once_one_was_put_on_or_off(s3, locked, refused):
    """HeadObject's page: the header is not returned if the version has never had a legal hold applied."""
    until = later(days=1)
    never = put(s3, locked, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    off = put(s3, locked, ObjectLockLegalHoldStatus="OFF")
    where = {"Bucket": locked, "Key": "k"}
    for read in (s3.head_object, s3.get_object):
        answer = read(**where, VersionId=never)
        assert answer["ObjectLockMode"] == "GOVERNANCE"
        assert "ObjectLockLegalHoldStatus" not in answer
        assert read(**where, VersionId=off)["ObjectLockLegalHoldStatus"] == "OFF"
    refused("NoSuchObjectLockConfiguration", 404, s3.get_object_legal_hold, **where, VersionId=never)
    s3.put_object_retention(
        **where,
        VersionId=off,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
    )
    assert s3.head_object(**where, VersionId=off)["ObjectLockLegalHoldStatus"] == "OFF"
    s3.put_object_legal_hold(**where, VersionId=never, LegalHold={"Status": "ON"})
    assert s3.head_object(**where, VersionId=never)["ObjectLockLegalHoldStatus"] == "ON"


def test_a_legal_hold_lasts_until_it_is_taken_off(s3, locked, refused):
    version = put(s3, locked, ObjectLockLegalHoldStatus="ON")
    call = {"Bucket": locked, "Key": "k", "VersionId": version}
    assert s3.get_object_legal_hold(**call)["LegalHold"] == {"Status": "ON"}
    refused("AccessDenied", 403, s3.delete_object, **call, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(**call, LegalHold={"Status": "OFF"})
    assert s3.get_object_legal_hold(**call)["LegalHold"] == {"Status": "OFF"}
    s3.delete_object(**call)


def test_a_retention_ends(s3, locked, refused):
    until = later(seconds=2)
    version = put(s3, locked, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    refused("AccessDenied", 403, s3.delete_object, Bucket=locked, Key="k", VersionId=version)
    deadline = time.monotonic() + 30
    while datetime.now(UTC) <= until and time.monotonic() < deadline:
        time.sleep(0.05)
    s3.delete_object(Bucket=locked, Key="k", VersionId=version)


CHANGES = [
    ("GOVERNANCE", "GOVERNANCE", 2, False, True),
    ("GOVERNANCE", "GOVERNANCE", 0.5, False, False),
    ("GOVERNANCE", "GOVERNANCE", 0.5, True, True),
    ("GOVERNANCE", "COMPLIANCE", 2, False, False),
    ("GOVERNANCE", "COMPLIANCE", 2, True, True),
    ("COMPLIANCE", "COMPLIANCE", 2, False, True),
    ("COMPLIANCE", "COMPLIANCE", 0.5, True, False),
    ("COMPLIANCE", "GOVERNANCE", 2, True, False),
]


@pytest.mark.parametrize(("old", "new", "days", "bypass", "allowed"), CHANGES)
def test_a_retention_can_be_made_longer_and_seldom_looser(s3, locked, refused, old, new, days, bypass, allowed):
    version = put(s3, locked, ObjectLockMode=old, ObjectLockRetainUntilDate=later(days=1))
    more = {"BypassGovernanceRetention": True} if bypass else {}
    until = later(days=days)
    if allowed:
        retain(s3, locked, version, new, until, **more)
        found = s3.get_object_retention(Bucket=locked, Key="k", VersionId=version)["Retention"]
        assert found == {"Mode": new, "RetainUntilDate": until}
    else:
        retention = {"Mode": new, "RetainUntilDate": until}
        call = {"Bucket": locked, "Key": "k", "VersionId": version, "Retention": retention} | more
        refused("AccessDenied", 403, s3.put_object_retention, **call)


@pytest.mark.parametrize(
    ("mode", "bypass", "allowed"),
    [("GOVERNANCE", True, True), ("GOVERNANCE", False, False), ("COMPLIANCE", True, False)],
)
def test_a_retention_is_taken_off_by_an_empty_one(s3, locked, refused, mode, bypass, allowed):
    version = put(s3, locked, ObjectLockMode=mode, ObjectLockRetainUntilDate=later(days=1))
    call = {"Bucket": locked, "Key": "k", "VersionId": version, "Retention": {}}
    call |= {"BypassGovernanceRetention": True} if bypass else {}
    if allowed:
        s3.put_object_retention(**call)
        s3.delete_object(Bucket=locked, Key="k", VersionId=version)
    else:
        refused("AccessDenied", 403, s3.put_object_retention, **call)


@pytest.mark.parametrize("period", [{"Days": 1}, {"Years": 1}])
def test_new_objects_get_what_the_bucket_has_by_default(s3, locked, period):
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE"} | period}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=configuration)
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == configuration
    put(s3, locked)
    head = s3.head_object(Bucket=locked, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    days = (head["ObjectLockRetainUntilDate"] - datetime.now(UTC)).total_seconds() / 86_400
    assert abs(days - (1 if "Days" in period else 365.5)) < 1
    own = later(days=3)
    put(s3, locked, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=own)
    head = s3.head_object(Bucket=locked, Key="k")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", own)


def test_copies_and_uploads_are_locked_as_they_ask(s3, locked, refused):
    put(s3, locked, ObjectLockLegalHoldStatus="ON")
    source = {"Bucket": locked, "Key": "k"}
    s3.copy_object(Bucket=locked, Key="copy", CopySource=source)
    assert "ObjectLockLegalHoldStatus" not in s3.head_object(Bucket=locked, Key="copy")
    until = later(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    s3.copy_object(Bucket=locked, Key="copy", CopySource=source, **lock)
    assert s3.head_object(Bucket=locked, Key="copy")["ObjectLockRetainUntilDate"] == until
    upload = s3.create_multipart_upload(Bucket=locked, Key="mp", ObjectLockLegalHoldStatus="ON")["UploadId"]
    part = s3.upload_part(Bucket=locked, Key="mp", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=locked, Key="mp", UploadId=upload, MultipartUpload=parts)
    version = s3.head_object(Bucket=locked, Key="mp")["VersionId"]
    refused("AccessDenied", 403, s3.delete_object, Bucket=locked, Key="mp", VersionId=version)


WRONG = [
    {"ObjectLockMode": "GOVERNANCE"},
    {"ObjectLockRetainUntilDate": later(days=1)},
    {"ObjectLockMode": "NOTHING", "ObjectLockRetainUntilDate": later(days=1)},
    {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": later(days=-1)},
    {"ObjectLockLegalHoldStatus": "MAYBE"},
    {"ObjectLockEventHold": "ON"},
    {"ObjectLockMode": "GOVERNANCE", "ObjectLockEventHold": "ON"},
    {"ObjectLockEventHoldDurationDays": 1},
]


@pytest.mark.parametrize("lock", WRONG)
def test_locks_that_are_none(s3, locked, refused, lock):
    refused("InvalidArgument", 400, s3.put_object, Bucket=locked, Key="k", Body=b"x", **lock)


@pytest.mark.parametrize(
    ("retention", "code"),
    [
        ({"Mode": "GOVERNANCE"}, "MalformedXML"),
        ({"RetainUntilDate": later(days=1)}, "MalformedXML"),
        ({"Mode": "SOME", "RetainUntilDate": later(days=1)}, "MalformedXML"),
        ({"Mode": "GOVERNANCE", "RetainUntilDate": later(days=-1)}, "InvalidArgument"),
    ],
)
def test_retentions_that_are_none(s3, locked, refused, retention, code):
    version = put(s3, locked)
    call = {"Bucket": locked, "Key": "k", "VersionId": version, "Retention": retention}
    refused(code, 400, s3.put_object_retention, **call)
    refused("NoSuchObjectLockConfiguration", 404, s3.get_object_retention, Bucket=locked, Key="k")


@pytest.mark.parametrize("date", ["1577836800", "notadate", "2030-13-01T00:00:00Z", ""])
def test_dates_that_are_none(s3, raw, locked, date):
    version = put(s3, locked)
    body = f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{date}</RetainUntilDate></Retention>"
    digest = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
    path = f"/{locked}/k?retention&versionId={version}"
    assert raw("PUT", path, body, {"Content-MD5": digest}).outcome == (400, "MalformedXML")
    headers = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": date}
    answer = raw("PUT", f"/{locked}/k", "x", headers)
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("ArgumentValue") == date


def test_the_half_that_a_lock_lacks_is_named(raw, locked):
    for name, value, lacks in (
        ("mode", "GOVERNANCE", "retain-until-date"),
        ("retain-until-date", "2099-01-01T00:00:00Z", "mode"),
    ):
        answer = raw("PUT", f"/{locked}/k", "x", {f"x-amz-object-lock-{name}": value})
        assert answer.outcome == (400, "InvalidArgument")
        assert answer.xml.findtext("ArgumentName") == f"x-amz-object-lock-{lacks}"


@pytest.mark.parametrize(
    "rule",
    [
        {"DefaultRetention": {"Mode": "GOVERNANCE"}},
        {"DefaultRetention": {"Days": 1}},
        {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1, "Years": 1}},
        {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 0}},
        {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 101}},
        {"DefaultRetention": {"Mode": "SOME", "Days": 1}},
    ],
)
def test_configurations_that_are_none(s3, locked, rule):
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=configuration)
    assert caught.value.response["Error"]["Code"] in ("MalformedXML", "InvalidArgument")


def test_an_event_hold_keeps_a_version_until_it_is_released(s3, locked, refused):
    version = put(s3, locked, ObjectLockMode="GOVERNANCE", ObjectLockEventHold="ON", ObjectLockEventHoldDurationDays=2)
    call = {"Bucket": locked, "Key": "k", "VersionId": version}
    found = s3.get_object_retention(**call)["Retention"]
    assert (found["Mode"], found["EventHold"], found["EventHoldDuration"]) == ("GOVERNANCE", "ON", {"Days": 2})
    refused("AccessDenied", 403, s3.delete_object, **call)
    s3.put_object_retention(**call, Retention={"Mode": "GOVERNANCE", "EventHold": "OFF"})
    found = s3.get_object_retention(**call)["Retention"]
    days = (found["RetainUntilDate"] - datetime.now(UTC)).total_seconds() / 86_400
    assert 1.9 < days < 2.1
    refused("AccessDenied", 403, s3.delete_object, **call)


UNTIL = {"ObjectLockRetainUntilDate": later(days=10)}
HELD = {"ObjectLockEventHold": "ON", "ObjectLockEventHoldDurationDays": 10}


@pytest.mark.parametrize("made", [UNTIL, HELD])
@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_an_event_hold_makes_no_retention_shorter(s3, locked, refused, mode, made):
    """Who released it would have what is retained for years gone in a day."""
    version = put(s3, locked, ObjectLockMode=mode, **made)
    call = {"Bucket": locked, "Key": "k", "VersionId": version}

    def hold(**duration):
        return call | {"Retention": {"Mode": mode, "EventHold": "ON", "EventHoldDuration": duration}}

    refused("AccessDenied", 403, s3.put_object_retention, **hold(Days=9))
    for longer in ({"Days": 10}, {"Years": 1}):
        s3.put_object_retention(**hold(**longer))
        assert s3.get_object_retention(**call)["Retention"]["EventHoldDuration"] == longer
    refused("AccessDenied", 403, s3.put_object_retention, **hold(Days=364))
    bypassed = hold(Days=1) | {"BypassGovernanceRetention": True}
    if mode == "GOVERNANCE":
        s3.put_object_retention(**bypassed)
    else:
        refused("AccessDenied", 403, s3.put_object_retention, **bypassed)


def test_a_bypass_where_there_are_no_locks(s3, bucket, refused):
    call = {"Bucket": bucket, "Key": "k", "BypassGovernanceRetention": True}
    refused("InvalidArgument", 400, s3.delete_object, **call)


def test_data_that_a_lock_keeps_needs_a_digest(s3, raw, locked):
    """Of the request's own lock, of one that the bucket gives, and of each part of an upload."""
    retained = {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": iso(later(days=1))}
    wanted = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put {} requests with Object Lock parameters"

    def check(query, headers, noun):
        refused = raw("PUT", f"/{locked}/k{query}", "x", headers, payload="UNSIGNED-PAYLOAD")
        assert refused.outcome == (400, "InvalidRequest")
        assert refused.xml.findtext("Message") == wanted.format(noun)
        for digest in ({"Content-MD5": MD5_OF_X}, {"x-amz-checksum-crc32": "jNwWgw=="}):
            answer = raw("PUT", f"/{locked}/k{query}", "x", headers | digest, payload="UNSIGNED-PAYLOAD")
            assert answer.status == 200
        assert raw("PUT", f"/{locked}/k{query}", "x", headers).status == 200  # the signature covers the data

    assert raw("PUT", f"/{locked}/k", "x", payload="UNSIGNED-PAYLOAD").status == 200
    for lock in (retained, {"x-amz-object-lock-legal-hold": "ON"}):
        check("", lock, "Object")
    until = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": later(days=1)}
    uploads = [s3.create_multipart_upload(Bucket=locked, Key="k", **until)["UploadId"]]
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    check("", {}, "Object")
    uploads.append(s3.create_multipart_upload(Bucket=locked, Key="k")["UploadId"])
    for upload in uploads:
        check(f"?partNumber=1&uploadId={upload}", {}, "Part")


@pytest.mark.parametrize(
    ("name", "value"), [("x-amz-object-lock-mode", "governance"), ("x-amz-object-lock-legal-hold", "on")]
)
def test_an_error_tells_what_is_no_lock(raw, locked, name, value):
    answer = raw("PUT", f"/{locked}/k", "x", {name: value, "Content-MD5": MD5_OF_X})
    assert answer.outcome == (400, "InvalidArgument")
    assert (answer.xml.findtext("ArgumentName"), answer.xml.findtext("ArgumentValue")) == (name, value)


PAST_UNTAGGED_ONLY = """{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
  {"Effect": "Deny", "Action": "s3:BypassGovernanceRetention", "Resource": "*",
   "Condition": {"StringEquals": {"s3:ExistingObjectTag/keep": "yes"}}}]}"""


def test_a_bypass_is_decided_on_for_the_version_that_would_go(s3, server, locked, new_user):
    _, keys = new_user(PAST_UNTAGGED_ONLY)
    retained = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": later(days=1)}
    kept, gone = put(s3, locked, Tagging="keep=yes", **retained), put(s3, locked, **retained)
    user = client(server, "s3", keys)
    call = {"Bucket": locked, "BypassGovernanceRetention": True}
    assert code_of(user.delete_object, Key="k", VersionId=kept, **call) == "AccessDenied"
    wanted = [{"Key": "k", "VersionId": version} for version in (kept, gone)]
    answer = user.delete_objects(Delete={"Objects": wanted}, **call)
    assert [(item["VersionId"], item["Code"]) for item in answer["Errors"]] == [(kept, "AccessDenied")]
    assert [item["VersionId"] for item in answer["Deleted"]] == [gone]
