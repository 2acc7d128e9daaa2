"""The JSON of events, in S3's form and in that of an event bus."""

import json

import pytest
from msgspec.structs import replace

from s3ish.model import Event
from s3ish.targets.message import message_of

EVENT = Event(
    name="ObjectCreated:Put",
    at_ns=1_700_000_000_042_999_999,
    bucket="b",
    owner="owner",
    region="eu-west-1",
    configuration="i",
    key="a b/\u00fc+%",
    version_id="v",
    size=0,
    etag="e",
    sequencer=255,
    operation="PostObject",
    principal="who",
    source="192.0.2.1",
    request_id="R",
    host_id="H",
)


def told(event, *, on_bus=False):
    return json.loads(message_of(event, "ff", on_bus=on_bus).body)


def test_times_have_milliseconds_keys_are_encoded_and_sequencers_can_be_compared():
    (record,) = told(EVENT)["Records"]
    assert record["eventTime"] == "2023-11-14T22:13:20.042Z"
    assert record["s3"]["object"] == {
        "key": "a+b/%C3%BC%2B%25",
        "size": 0,
        "eTag": "e",
        "versionId": "v",
        "sequencer": "00000000000000FF",
    }


def test_what_is_not_known_is_left_out():
    (record,) = told(replace(EVENT, size=None, etag="", version_id=""))["Records"]
    assert set(record["s3"]["object"]) == {"key", "sequencer"}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("ObjectRemoved:Delete", "2.1"),
        ("ObjectTagging:Put", "2.3"),
        ("ObjectAcl:Put", "2.3"),
        ("ObjectRestore:Completed", "2.1"),
        ("ObjectRestore:Delete", "2.3"),
    ],
)
def test_the_version_of_the_structure_is_that_which_has_the_event(name, version):
    assert told(replace(EVENT, name=name))["Records"][0]["eventVersion"] == version


def test_a_bus_is_sent_its_own_form():
    message = told(EVENT, on_bus=True)
    assert message["id"] == "00000000-0000-0000-0000-0000000000ff"
    assert (message["detail-type"], message["time"]) == ("Object Created", "2023-11-14T22:13:20Z")
    assert message["detail"]["object"] == {
        "key": "a b/\u00fc+%",
        "size": 0,
        "etag": "e",
        "version-id": "v",
        "sequencer": "00000000000000FF",
    }
    assert message["detail"]["reason"] == "POST Object"
    assert message["detail"]["source-ip-address"] == "192.0.2.1"


def test_of_an_expiry_the_bus_is_told_the_reason_and_no_address():
    expired = replace(EVENT, name="LifecycleExpiration:DeleteMarkerCreated", operation="")
    detail = told(expired, on_bus=True)["detail"]
    assert (detail["reason"], detail["deletion-type"]) == ("Lifecycle Expiration", "Delete Marker Created")
    assert "source-ip-address" not in detail


def test_of_a_restore_that_has_ended_the_bus_is_told_that_it_has():
    ended = replace(EVENT, name="ObjectRestore:Delete", operation="", storage_class="GLACIER", until_ns=1)
    message = told(ended, on_bus=True)
    assert message["detail-type"] == "Object Restore Expired"
    assert set(message["detail"]) == {"version", "bucket", "object", "request-id", "requester"}
    assert "glacierEventData" not in told(ended)["Records"][0]


@pytest.mark.parametrize("name", ["ObjectTagging:Put", "ObjectAcl:Put", "ObjectRestore:Post"])
def test_the_bus_is_told_a_reason_of_what_comes_and_goes_alone(name):
    detail = told(replace(EVENT, name=name, operation="any"), on_bus=True)["detail"]
    assert "reason" not in detail
    assert detail["source-ip-address"] == "192.0.2.1"


def test_messages_of_a_key_have_an_order_of_their_own():
    assert message_of(EVENT, "1", on_bus=False).order == message_of(replace(EVENT, name="x:y"), "2", on_bus=False).order
    assert message_of(EVENT, "1", on_bus=False).order != message_of(replace(EVENT, key="k"), "1", on_bus=False).order
