"""What answers say of objects and uploads that lifecycle rules will remove, and that a server removes them."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.waiting import wait_until


def midnight_after(days):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days + 1)


def rule(**fields):
    return {"ID": "a rule", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, **fields}


@pytest.fixture
def ageing(s3, bucket):
    def give(*rules):
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})
        return bucket

    return give


def test_answers_say_when_an_object_expires(s3, ageing):
    bucket = ageing(rule(Expiration={"Days": 3}))
    days = {midnight_after(3).strftime("%a, %d %b %Y %H:%M:%S GMT")}
    made = s3.put_object(Bucket=bucket, Key="logs/a", Body=b"data")["Expiration"]
    days.add(midnight_after(3).strftime("%a, %d %b %Y %H:%M:%S GMT"))  # the test may run at midnight
    assert made in {f'expiry-date="{day}", rule-id="a%20rule"' for day in days}
    assert s3.head_object(Bucket=bucket, Key="logs/a")["Expiration"] == made
    assert s3.get_object(Bucket=bucket, Key="logs/a")["Expiration"] == made
    copied = s3.copy_object(Bucket=bucket, Key="logs/b", CopySource=f"{bucket}/logs/a")
    assert copied["Expiration"].startswith("expiry-date=")
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="kept", Body=b"data")
    assert "Expiration" not in s3.head_object(Bucket=bucket, Key="kept")


def test_answers_say_when_an_upload_is_aborted(s3, ageing):
    bucket = ageing(rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}))
    days = {midnight_after(7)}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="logs/a")
    assert upload["AbortDate"] in days | {midnight_after(7)}
    assert upload["AbortRuleId"] == "a rule"
    parts = s3.list_parts(Bucket=bucket, Key="logs/a", UploadId=upload["UploadId"])
    assert (parts["AbortDate"], parts["AbortRuleId"]) == (upload["AbortDate"], "a rule")
    assert "AbortDate" not in s3.create_multipart_upload(Bucket=bucket, Key="kept")


@pytest.mark.parametrize(
    ("number", "shown"),
    [("a\r\nX-Other: 1", "a%0D%0AX-Other: 1"), ("ü", "%C3%BC"), ("a\tb", "a%09b"), ("🦊", "%F0%9F%A6%8A")],
)
def test_any_id_of_a_rule_stands_in_a_header(s3, ageing, number, shown):
    bucket = ageing(rule(ID=number, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}, Expiration={"Days": 3}))
    upload = s3.create_multipart_upload(Bucket=bucket, Key="logs/a")
    parts = s3.list_parts(Bucket=bucket, Key="logs/a", UploadId=upload["UploadId"])
    for answer in (upload, parts):
        assert answer["AbortRuleId"] == shown
        assert "x-other" not in answer["ResponseMetadata"]["HTTPHeaders"]
    made = s3.put_object(Bucket=bucket, Key="logs/b", Body=b"data")["Expiration"]
    assert made.endswith(f'rule-id="{quote(number)}"')


def test_a_rule_that_is_disabled_says_nothing(s3, ageing):
    bucket = ageing(rule(Expiration={"Days": 3}, Status="Disabled"))
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="logs/a", Body=b"data")


def test_a_server_removes_what_is_due(s3, ageing, bucket):
    """A date that has passed is due at once."""
    for key in ("logs/a", "logs/b", "kept"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"data")
    ageing(rule(Expiration={"Date": datetime(2020, 1, 1, tzinfo=UTC)}))

    def left():
        return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]

    wait_until(lambda: left() == ["kept"])
