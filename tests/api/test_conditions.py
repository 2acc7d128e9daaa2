"""Conditions on what a request says in its body, or of one key of several."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import OTHER
from tests.api.test_access import OTHER_ARN, policy_of

TEAM, SECRET = {"Key": "team", "Value": "blue"}, {"Key": "secret", "Value": "x"}


def give(s3, bucket, *statements):
    """Put a policy that gives another user rights, each under a condition."""
    documents = [json.loads(policy_of(bucket, *arguments, **more)) for arguments, more in statements]
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=json.dumps(
            {"Version": "2012-10-17", "Statement": [each for document in documents for each in document["Statement"]]}
        ),
    )


def to_other(action, operator, key, value, effect="Allow"):
    return (action, {"AWS": OTHER_ARN}, effect), {"Condition": {operator: {key: value}}}


def test_of_more_tags_than_there_may_be_none_is_asked(s3, other, new_bucket, refused):
    """To ask hundreds of conditions for thousands of tags would hold up all other requests."""
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    give(s3, bucket, to_other("s3:PutObjectTagging", "Null", "s3:RequestObjectTag/k1", "true"))
    tags = [{"Key": f"k{number}", "Value": ""} for number in range(11)]
    refused("BadRequest", 400, other.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    refused("AccessDenied", 403, other.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": tags[:2]})


@pytest.mark.parametrize(
    ("operator", "key", "value", "allowed"),
    [
        ("ForAllValues:StringEquals", "s3:RequestObjectTagKeys", ["team"], [[TEAM], []]),
        ("ForAnyValue:StringEquals", "s3:RequestObjectTagKeys", ["team"], [[TEAM], [TEAM, SECRET]]),
        ("StringEquals", "s3:RequestObjectTag/team", "blue", [[TEAM], [TEAM, SECRET]]),
        ("StringEquals", "s3:RequestObjectTag/Team", "red", []),
    ],
)
def test_the_tags_that_an_object_is_given_are_asked(s3, other, new_bucket, refused, operator, key, value, allowed):
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    give(s3, bucket, to_other("s3:PutObjectTagging", operator, key, value))
    for tags in ([TEAM], [TEAM, SECRET], [SECRET], []):
        arguments = {"Bucket": bucket, "Key": "k", "Tagging": {"TagSet": tags}}
        if tags in allowed:
            other.put_object_tagging(**arguments)
            assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
        else:
            refused("AccessDenied", 403, other.put_object_tagging, **arguments)


def test_tags_that_are_denied_are_given_to_no_version(s3, other, new_bucket, refused):
    bucket = new_bucket("Enabled")
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"")["VersionId"]
    both = ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"]
    denial = to_other(both, "StringLike", "s3:RequestObjectTag/secret", "*", "Deny")
    give(s3, bucket, ((both, {"AWS": OTHER_ARN}), {}), denial)
    for more in ({}, {"VersionId": version}):
        arguments = {"Bucket": bucket, "Key": "k", **more}
        other.put_object_tagging(**arguments, Tagging={"TagSet": [TEAM]})
        refused("AccessDenied", 403, other.put_object_tagging, **arguments, Tagging={"TagSet": [SECRET]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [TEAM]


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringEquals", "s3:RequestObjectTag/team", "blue"),
        ("ForAllValues:StringEquals", "s3:RequestObjectTagKeys", ["team"]),
    ],
)
def test_the_tags_that_a_copy_takes_over_are_asked(s3, other, new_bucket, refused, operator, key, value):
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="team", Body=b"", Tagging="team=blue")
    s3.put_object(Bucket=bucket, Key="secret", Body=b"", Tagging="secret=x")
    rights = ((["s3:PutObject", "s3:GetObject", "s3:GetObjectTagging"], {"AWS": OTHER_ARN}), {})
    give(s3, bucket, rights, to_other("s3:PutObjectTagging", operator, key, value))
    for more in ({}, {"Tagging": "team=blue"}, {"Tagging": "team=blue", "TaggingDirective": "COPY"}):
        source = {"CopySource": f"{bucket}/secret"}
        refused("AccessDenied", 403, other.copy_object, Bucket=bucket, Key="k", **source, **more)
    other.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/team")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [TEAM]


def test_writing_that_is_denied_for_a_tag_is_denied_to_a_copy_that_takes_it_over(s3, other, new_bucket, refused):
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="secret", Body=b"", Tagging="secret=x")
    denial = {"Effect": "Deny", "Condition": {"StringLike": {"s3:RequestObjectTag/secret": "*"}}}
    own = [f"arn:aws:s3:::{bucket}/*"]
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": OTHER_ARN}, "Action": "s3:*", "Resource": own},
        {"Principal": "*", "Action": "s3:PutObject", "Resource": own, **denial},
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    where = {"Bucket": bucket, "Key": "k"}
    refused("AccessDenied", 403, other.put_object, **where, Tagging="secret=y")
    refused("AccessDenied", 403, other.copy_object, **where, CopySource=f"{bucket}/secret")
    other.copy_object(**where, CopySource=f"{bucket}/secret", TaggingDirective="REPLACE")


def test_tags_that_a_copy_ignores_satisfy_no_condition(s3, other, new_bucket, refused):
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="source", Body=b"")
    rights = ((["s3:GetObject", "s3:PutObjectTagging"], {"AWS": OTHER_ARN}), {})
    give(s3, bucket, rights, to_other("s3:PutObject", "StringEquals", "s3:RequestObjectTag/team", "blue"))
    where = {"Bucket": bucket, "Key": "k", "CopySource": f"{bucket}/source", "Tagging": "team=blue"}
    refused("AccessDenied", 403, other.copy_object, **where)
    refused("AccessDenied", 403, other.copy_object, **where, TaggingDirective="COPY")
    other.copy_object(**where, TaggingDirective="REPLACE")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [TEAM]


def test_a_header_of_copies_hides_no_tags_of_an_upload(s3, raw, new_bucket):
    bucket = new_bucket()
    denial = to_other("s3:PutObject", "StringLike", "s3:RequestObjectTag/secret", "*", "Deny")
    give(s3, bucket, (("s3:*", {"AWS": OTHER_ARN}), {}), denial)
    for more in ({}, {"x-amz-copy-source": f"{bucket}/k"}):
        headers = {"x-amz-tagging": "secret=y", **more}
        assert raw("POST", f"/{bucket}/k?uploads=", headers=headers, keys=OTHER).outcome == (403, "AccessDenied")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_headers_say_nothing_of_tags_and_locks_that_a_body_gives(s3, other, refused):
    bucket = "conditions-beside-headers"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    give(
        s3,
        bucket,
        to_other("s3:PutObjectTagging", "StringEquals", "s3:RequestObjectTag/team", "blue"),
        to_other("s3:PutObjectRetention", "StringEquals", "s3:object-lock-mode", "GOVERNANCE"),
        to_other("s3:PutObjectLegalHold", "StringEquals", "s3:object-lock-legal-hold", "OFF"),
    )
    given = {
        "x-amz-tagging": "team=blue",
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-legal-hold": "OFF",
    }

    def add(request, **_):
        for name, value in given.items():
            request.headers[name] = value

    other.meta.events.register("before-sign.s3", add)
    try:
        where = {"Bucket": bucket, "Key": "k"}
        for tags in ([SECRET], []):
            refused("AccessDenied", 403, other.put_object_tagging, **where, Tagging={"TagSet": tags})
        refused("AccessDenied", 403, other.put_object_retention, **where, Retention={})
        refused("AccessDenied", 403, other.put_object_legal_hold, **where, LegalHold={"Status": "ON"})
    finally:
        other.meta.events.unregister("before-sign.s3", add)


def test_who_may_give_no_tags_learns_nothing_of_the_object(other, new_bucket, refused):
    bucket = new_bucket()
    refused("AccessDenied", 403, other.put_object_tagging, Bucket=bucket, Key="none", Tagging={"TagSet": [TEAM]})


def test_who_may_give_no_tags_learns_of_no_bucket(limited, refused):
    for call in (limited.put_object_tagging, limited.get_object_tagging):
        more = {"Tagging": {"TagSet": [TEAM]}} if call == limited.put_object_tagging else {}
        refused("AccessDenied", 403, call, Bucket="no-bucket-of-this-name", Key="k", **more)


def test_for_how_long_and_how_an_object_is_retained_is_asked(s3, other, refused):
    bucket = "conditions-on-locks"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    days, mode = "s3:object-lock-remaining-retention-days", "s3:object-lock-mode"
    give(
        s3,
        bucket,
        ((["s3:PutObjectRetention", "s3:PutObject"], {"AWS": OTHER_ARN}), {}),
        to_other("s3:*", "NumericGreaterThan", days, "10", "Deny"),
        to_other("s3:*", "StringEquals", mode, "COMPLIANCE", "Deny"),
        to_other("s3:PutObjectLegalHold", "StringEquals", "s3:object-lock-legal-hold", "ON"),
    )

    def after(count):
        return datetime.now(UTC) + timedelta(days=count)

    def retain(count, mode="GOVERNANCE"):
        return {"Bucket": bucket, "Key": "k", "Retention": {"Mode": mode, "RetainUntilDate": after(count)}}

    other.put_object_retention(**retain(10))
    refused("AccessDenied", 403, other.put_object_retention, **retain(11))
    refused("AccessDenied", 403, other.put_object_retention, **retain(10, "COMPLIANCE"))
    made = {"Bucket": bucket, "Key": "new", "Body": b"", "ObjectLockMode": "GOVERNANCE"}
    other.put_object(**made, ObjectLockRetainUntilDate=after(10))
    refused("AccessDenied", 403, other.put_object, **made, ObjectLockRetainUntilDate=after(11))
    held = made | {"ObjectLockEventHold": "ON"}
    for longer in ({"ObjectLockEventHoldDurationDays": 11}, {"ObjectLockEventHoldDurationYears": 1}):
        refused("AccessDenied", 403, other.put_object, **held, **longer)
    other.put_object(**held, ObjectLockEventHoldDurationDays=10)

    def hold(**duration):
        retention = {"Mode": "GOVERNANCE", "EventHold": "ON", "EventHoldDuration": duration}
        return {"Bucket": bucket, "Key": "k", "Retention": retention}

    refused("AccessDenied", 403, other.put_object_retention, **hold(Days=11))
    refused("AccessDenied", 403, other.put_object_retention, **hold(Years=1))
    other.put_object_retention(**hold(Days=10))
    other.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "ON"})
    off = {"Bucket": bucket, "Key": "k", "LegalHold": {"Status": "OFF"}}
    refused("AccessDenied", 403, other.put_object_legal_hold, **off)


def test_the_version_is_asked_of_each_key_and_of_the_source_of_a_copy(s3, other, new_bucket, refused):
    bucket = new_bucket("Enabled")
    kept, old = (s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"] for _ in range(2))
    actions = ["s3:DeleteObjectVersion", "s3:GetObjectVersion", "s3:PutObject"]
    denial = to_other(actions[:2], "StringEquals", "s3:VersionId", kept, "Deny")
    give(s3, bucket, ((actions, {"AWS": OTHER_ARN}), {}), denial)
    source = {"Bucket": bucket, "Key": "k"}
    other.copy_object(Bucket=bucket, Key="copy", CopySource={**source, "VersionId": old})
    arguments = {"Bucket": bucket, "Key": "copy", "CopySource": {**source, "VersionId": kept}}
    refused("AccessDenied", 403, other.copy_object, **arguments)
    objects = [{"Key": "k", "VersionId": version} for version in (kept, old)]
    answer = other.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert [it["VersionId"] for it in answer["Deleted"]] == [old]
    assert [it["VersionId"] for it in answer["Errors"]] == [kept]


def test_attributes_are_for_who_may_read_the_object(s3, other, new_bucket, refused):
    bucket = new_bucket()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    wanted = {"Bucket": bucket, "Key": "k", "ObjectAttributes": ["ObjectSize"]}
    for actions in (["s3:GetObjectAttributes"], ["s3:GetObject"]):
        give(s3, bucket, ((actions, {"AWS": OTHER_ARN}), {}))
        refused("AccessDenied", 403, other.get_object_attributes, **wanted)
    give(s3, bucket, ((["s3:GetObject", "s3:GetObjectAttributes"], {"AWS": OTHER_ARN}), {}))
    assert other.get_object_attributes(**wanted)["ObjectSize"] == 1
