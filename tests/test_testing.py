"""The profile for tests: in this process, as a process of its own, from pytest; and its controls."""

import asyncio
import contextlib
import http.client
import json
import os
import textwrap
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from s3ish.config import TEST_KEY
from s3ish.observe.lines import RequestLine
from s3ish.server import test_controls
from s3ish.server.planned_faults import MOST_PLANS
from s3ish.server.recorder import MOST_KEPT, Recorder
from s3ish.testing import Running, Server, mock_s3
from s3ish.testing.mock import leading_to
from s3ish.worlds.memory_world import MOST_SNAPSHOTS
from tests.inner_pytest import run_pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    seed = tmp_path_factory.mktemp("seed")
    (seed / "seeded").mkdir()
    (seed / "seeded" / "a.txt").write_text("from the seed")
    with Server(buckets=("made:versioned",), seed=str(seed)) as server:
        yield server


@pytest.fixture
def server(shared):
    yield shared
    shared.reset()
    for world in shared.control("GET", "worlds")["worlds"]:
        shared.control("DELETE", f"worlds/{world}")
    for snapshot in shared.control("GET", "snapshots")["snapshots"]:
        shared.control("DELETE", f"snapshots/{snapshot['name']}")


@pytest.fixture
def s3(server):
    client = boto3.client("s3", **server.client_arguments, config=Config(retries={"max_attempts": 0}))
    yield client
    client.close()


def names(s3):
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def test_objects_of_any_size_and_shape(s3):
    large = os.urandom(9_000_000)
    s3.put_object(Bucket="made", Key="large", Body=large, Metadata={"who": "me"})
    assert s3.get_object(Bucket="made", Key="large")["Body"].read() == large
    assert s3.get_object(Bucket="made", Key="large", Range="bytes=8999990-")["Body"].read() == large[-10:]
    s3.copy_object(Bucket="made", Key="copy", CopySource="made/large")
    assert s3.get_object(Bucket="made", Key="copy")["Metadata"] == {"who": "me"}
    upload = s3.create_multipart_upload(Bucket="made", Key="parts")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(Bucket="made", Key="parts", UploadId=upload, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in ((1, large[:6_000_000]), (2, b"end"))
    ]
    s3.complete_multipart_upload(Bucket="made", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="made", Key="parts")["Body"].read() == large[:6_000_000] + b"end"
    for key in ("large", "copy", "parts"):
        s3.delete_object(Bucket="made", Key=key)
    assert s3.list_objects_v2(Bucket="made")["KeyCount"] == 0


def test_a_signature_of_any_region_and_a_bucket_in_it(server):
    s3 = boto3.client("s3", **server.client_arguments | {"region_name": "ap-south-2"})
    s3.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "ap-south-2"})
    assert s3.get_bucket_location(Bucket="far")["LocationConstraint"] == "ap-south-2"
    with pytest.raises(ClientError, match="BucketAlreadyOwnedByYou"):  # as everywhere but in us-east-1
        s3.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "ap-south-2"})
    s3.create_bucket(Bucket="made")
    s3.put_object(Bucket="far", Key="a", Body=b"x")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        boto3.client("s3", **server.client_arguments | {"aws_secret_access_key": "wrong"}).list_buckets()


def test_a_reset_leaves_what_the_start_made(server, s3):
    s3.create_bucket(Bucket="gone")
    s3.put_object(Bucket="seeded", Key="a.txt", Body=b"changed")
    s3.put_object(Bucket="made", Key="k", Body=b"x" * 100_000)
    server.control("POST", "faults", {"status": 503})
    server.control("PUT", "clock", {"at": "2040-01-01T00:00:00Z"})
    server.reset()
    assert names(s3) == ["made", "seeded"]
    assert s3.get_object(Bucket="seeded", Key="a.txt")["Body"].read() == b"from the seed"
    assert s3.list_objects_v2(Bucket="made")["KeyCount"] == 0
    assert server.control("GET", "faults") == {"faults": []}
    assert datetime.fromisoformat(server.control("GET", "clock")["now"]).year != 2040


def test_a_reset_of_one_bucket_leaves_the_others(server, s3):
    s3.create_bucket(Bucket="other")
    for bucket in ("made", "other", "seeded"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 100_000)
    s3.create_multipart_upload(Bucket="made", Key="open")
    server.reset("made")
    assert s3.list_object_versions(Bucket="made").get("Versions") is None
    assert s3.list_multipart_uploads(Bucket="made").get("Uploads") is None
    assert s3.get_bucket_versioning(Bucket="made")["Status"] == "Enabled"
    assert s3.get_object(Bucket="other", Key="k")["Body"].read() == b"x" * 100_000
    server.reset("seeded")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="seeded")["Contents"]] == ["a.txt"]
    server.reset("other")
    assert names(s3) == ["made", "seeded"]
    with pytest.raises(ValueError, match="there is no bucket 'none'"):
        server.reset("none")


def test_a_restore_brings_back_what_a_snapshot_saw(server, s3):
    large, small = os.urandom(3_000_000), b"small"
    s3.put_bucket_tagging(Bucket="made", Tagging={"TagSet": [{"Key": "a", "Value": "before"}]})
    s3.put_object(Bucket="made", Key="large", Body=large)
    s3.put_object(Bucket="seeded", Key="small", Body=small, Tagging="a=before")
    upload = s3.create_multipart_upload(Bucket="made", Key="open")["UploadId"]
    s3.upload_part(Bucket="made", Key="open", UploadId=upload, PartNumber=1, Body=b"part")
    server.snapshot("before")
    for _ in range(2):  # a snapshot can be restored more than once
        s3.put_bucket_tagging(Bucket="made", Tagging={"TagSet": [{"Key": "a", "Value": "after"}]})
        s3.put_object_tagging(Bucket="seeded", Key="small", Tagging={"TagSet": [{"Key": "a", "Value": "after"}]})
        (version,) = s3.list_object_versions(Bucket="made")["Versions"]
        s3.delete_object(Bucket="made", Key="large", VersionId=version["VersionId"])
        s3.put_object(Bucket="seeded", Key="small", Body=b"after")
        s3.abort_multipart_upload(Bucket="made", Key="open", UploadId=upload)
        s3.create_bucket(Bucket="later")
        server.restore("before")
        assert names(s3) == ["made", "seeded"]
        assert s3.get_object(Bucket="made", Key="large")["Body"].read() == large
        assert s3.get_object(Bucket="seeded", Key="small")["Body"].read() == small
        assert s3.get_object_tagging(Bucket="seeded", Key="small")["TagSet"][0]["Value"] == "before"
        assert s3.get_bucket_tagging(Bucket="made")["TagSet"][0]["Value"] == "before"
        assert s3.list_parts(Bucket="made", Key="open", UploadId=upload)["Parts"][0]["Size"] == 4
    (told,) = server.control("GET", "snapshots")["snapshots"]
    assert (told["name"], told["objects"]) == ("before", 3)


def test_a_restore_leaves_the_clock_and_a_reset_to_a_snapshot_does_not(server, s3):
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    server.snapshot("before")
    server.control("PUT", "clock", {"at": "2040-01-01T00:00:00Z", "running": False})
    server.control("POST", "faults", {"operation": "DeleteBucket", "status": 503})
    server.restore("before")
    assert server.control("GET", "clock")["running"] is False
    assert len(server.control("GET", "faults")["faults"]) == 1
    server.reset(snapshot="before")
    assert server.control("GET", "clock")["running"] is True
    assert server.control("GET", "faults")["faults"] == []
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="made")["Contents"]] == ["k"]
    server.reset()
    assert s3.list_objects_v2(Bucket="made")["KeyCount"] == 0
    assert [it["name"] for it in server.control("GET", "snapshots")["snapshots"]] == ["before"]


def test_one_bucket_goes_back_to_a_snapshot(server, s3):
    s3.put_object(Bucket="made", Key="k", Body=b"x" * 100_000)
    upload = s3.create_multipart_upload(Bucket="made", Key="open")["UploadId"]
    server.snapshot("before")
    s3.put_object(Bucket="seeded", Key="later", Body=b"x")
    s3.upload_part(Bucket="made", Key="open", UploadId=upload, PartNumber=1, Body=b"part" * 10_000)
    (version,) = s3.list_object_versions(Bucket="made")["Versions"]
    s3.delete_object(Bucket="made", Key="k", VersionId=version["VersionId"])
    server.reset("made", snapshot="before")
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == b"x" * 100_000
    assert "Parts" not in s3.list_parts(Bucket="made", Key="open", UploadId=upload)
    assert s3.get_object(Bucket="seeded", Key="later")["Body"].read() == b"x"


def test_a_download_ends_with_the_store_that_it_began_with(server, s3):
    large = os.urandom(20_000_000)
    s3.put_object(Bucket="made", Key="large", Body=large)
    body = s3.get_object(Bucket="made", Key="large")["Body"]
    begun = body.read(100_000)
    server.reset()
    assert begun + body.read() == large
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="made", Key="large")


@pytest.mark.parametrize(
    ("method", "path", "says"),
    [
        ("POST", "snapshots/none/restore", "there is no snapshot 'none'"),
        ("DELETE", "snapshots/none", "there is no snapshot 'none'"),
        ("PUT", "snapshots/no%20name", "up to 64 letters"),
        ("PUT", "snapshots/" + "x" * 65, "up to 64 letters"),
    ],
)
def test_snapshots_that_cannot_be(server, method, path, says):
    with pytest.raises(ValueError, match=says):
        server.control(method, path)


def test_there_is_an_end_to_snapshots(server):
    for number in range(MOST_SNAPSHOTS):
        server.snapshot(str(number))
    server.snapshot("0")
    with pytest.raises(ValueError, match="snapshots already"):
        server.snapshot("more")
    for number in range(MOST_SNAPSHOTS):
        server.control("DELETE", f"snapshots/{number}")
    assert server.control("GET", "snapshots") == {"snapshots": []}


@pytest.mark.parametrize("path", ["/moto-api/reset", "/_localstack/state/reset"])
def test_the_resets_of_other_servers(server, s3, path):
    s3.create_bucket(Bucket="gone")
    answer = urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}{path}", method="POST"))
    assert json.load(answer) == {"status": "ok"}
    assert names(s3) == ["made", "seeded"]


def test_the_clock_stands_and_runs_and_clients_need_not_follow(server, s3):
    shown = server.control("PUT", "clock", {"at": "2031-05-01T12:00:00+02:00", "running": False})
    assert shown == {"now": "2031-05-01T10:00:00+00:00", "running": False}
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    assert s3.head_object(Bucket="made", Key="k")["LastModified"] == datetime(2031, 5, 1, 10, tzinfo=UTC)
    assert server.control("PUT", "clock", {"advance_seconds": 3600, "running": False})["now"][11:16] == "11:00"
    assert server.control("PUT", "clock", {"at": "2031-05-01T10:00:00Z"})["running"] is True
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    assert s3.head_object(Bucket="made", Key="k")["LastModified"].date() == datetime(2031, 5, 1, tzinfo=UTC).date()
    assert server.control("DELETE", "clock")["running"] is True


def test_objects_expire_when_the_clock_is_set(server, s3):
    s3.create_bucket(Bucket="ageing")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket="ageing", LifecycleConfiguration={"Rules": [rule]})
    for key in ("logs/a", "kept"):
        s3.put_object(Bucket="ageing", Key=key, Body=b"data")
    server.control("PUT", "clock", {"advance_seconds": 29 * 86_400})
    assert s3.list_objects_v2(Bucket="ageing")["KeyCount"] == 2
    server.control("PUT", "clock", {"advance_seconds": 2 * 86_400})
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="ageing")["Contents"]] == ["kept"]


def test_access_logs_are_delivered_when_the_clock_is_set(server, s3):
    s3.create_bucket(Bucket="logs")
    principal = {"Service": "logging.s3.amazonaws.com"}
    allowed = {"Effect": "Allow", "Principal": principal, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/*"}
    s3.put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    enabled = {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "made/"}}
    s3.put_bucket_logging(Bucket="made", BucketLoggingStatus=enabled)
    s3.put_object(Bucket="made", Key="noted", Body=b"x")
    server.clock.advance(3600)
    (entry,) = s3.list_objects_v2(Bucket="logs", Prefix="made/")["Contents"]
    assert b"REST.PUT.OBJECT noted" in s3.get_object(Bucket="logs", Key=entry["Key"])["Body"].read()


def test_lists_of_objects_are_made_once_though_two_set_the_clock(server, s3):
    s3.create_bucket(Bucket="lists")
    to = {"Bucket": "arn:aws:s3:::lists", "Format": "CSV"}
    wanted = {"Id": "all", "IsEnabled": True, "IncludedObjectVersions": "Current", "Schedule": {"Frequency": "Daily"}}
    s3.put_bucket_inventory_configuration(
        Bucket="made", Id="all", InventoryConfiguration=wanted | {"Destination": {"S3BucketDestination": to}}
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: server.clock.set("2031-05-01T10:00:00Z"), range(8)))
    made = [entry["Key"] for entry in s3.list_objects_v2(Bucket="lists")["Contents"]]
    assert [key for key in made if key.endswith("manifest.json")] == ["made/all/2031-05-01T10-00Z/manifest.json"]
    assert sum(key.endswith(".csv.gz") for key in made) == 1


def test_a_presigned_url_expires_by_the_clock(server, s3):
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "made", "Key": "k"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"x"
    server.control("PUT", "clock", {"advance_seconds": 61})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url)


def test_the_third_put_of_a_bucket_fails_as_planned(server, s3):
    server.control(
        "POST", "faults", {"operation": "PutObject", "bucket": "made", "nth": 3, "status": 503, "code": "SlowDown"}
    )
    for number in range(5):
        s3.put_object(Bucket="seeded", Key="elsewhere", Body=b"x")
        with pytest.raises(ClientError, match="SlowDown") if number == 2 else contextlib.nullcontext() as refused:
            s3.put_object(Bucket="made", Key=str(number), Body=b"x")
        if refused:
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="made")["Contents"]] == ["0", "1", "3", "4"]
    (planned,) = server.control("GET", "faults")["faults"]
    assert (planned["matched"], planned["met"]) == (5, 1)


def test_a_stock_client_rides_over_planned_faults(server):
    server.control("POST", "faults", {"operation": "GetObject", "count": 2, "status": 500, "code": "InternalError"})
    s3 = boto3.client("s3", **server.client_arguments, config=Config(retries={"mode": "standard", "max_attempts": 4}))
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == b"x"
    assert server.control("GET", "requests")["counts"]["GetObject"] == 3


def test_an_answer_that_is_dropped_was_done(server, s3):
    server.control("POST", "faults", {"operation": "PutObject", "key": "k", "drop": True})
    with pytest.raises(HTTPClientError):
        s3.put_object(Bucket="made", Key="k", Body=b"done", IfNoneMatch="*")
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == b"done"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="made", Key="k", Body=b"again", IfNoneMatch="*")


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_an_answer_is_cut_in_its_body(server, s3, size):
    s3.put_object(Bucket="made", Key="k", Body=b"x" * size)
    server.control("POST", "faults", {"operation": "GetObject", "cut_after_bytes": 10})
    with pytest.raises(Exception, match=r"(?i)incomplete|reset|broken"):
        s3.get_object(Bucket="made", Key="k")["Body"].read()
    assert len(s3.get_object(Bucket="made", Key="k")["Body"].read()) == size


def test_an_answer_waits_as_planned(server, s3):
    server.control("POST", "faults", {"operation": "HeadBucket", "delay_seconds": 0.2})
    s3.head_bucket(Bucket="made")
    (found,) = server.control("GET", "requests?operation=HeadBucket")["requests"]
    assert found["seconds"] >= 0.2


def test_requests_are_recorded_and_counted(server, s3):
    server.control("DELETE", "requests")
    s3.put_object(Bucket="made", Key="k", Body=b"12345")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="made", Key="none")
    told = server.control("GET", "requests")
    assert told["counts"] == {"PutObject": 1, "GetObject": 1}
    (found,) = server.control("GET", "requests?operation=GetObject&bucket=made")["requests"]
    assert {name: found[name] for name in ("key", "status", "error", "user")} == {
        "key": "none",
        "status": 404,
        "error": "NoSuchKey",
        "user": TEST_KEY,
    }
    assert server.control("GET", "requests?operation=GetObject&bucket=seeded")["requests"] == []
    nothing = {"counts": {}, "count": 0, "received": 0, "sent": 0, "requests": []}
    assert server.control("DELETE", "requests") == nothing


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("POST", "faults", {}, "a plan needs a fault"),
        ("POST", "faults", {"status": 503, "drop": True}, "a plan has one of"),
        ("POST", "faults", {"status": 200}, "status is >= 400, or 200 with"),
        ("POST", "faults", {"status": 503, "code": "<x>"}, "^code: expected `str` matching regex"),
        ("POST", "faults", {"stauts": 503}, "no field 'stauts'; there are: operation, bucket, .*, status, code, drop"),
        ("POST", "faults", {"delay_seconds": 601}, "^delay_seconds: expected .* <= 600"),
        ("POST", "faults", {"status": "503"}, "^status: expected `int | null`, got `str`"),
        ("POST", "faults", {"drop": True, "nth": -1}, "^nth: expected `int` >= 1"),
        ("POST", "faults", {"cut_after_bytes": 10**23}, "^cut_after_bytes: expected `int` <= "),
        ("POST", "faults", {"drop": True, "probability": 0.5, "seed": 10**30}, "^seed: expected `int` <= "),
        ("POST", "faults", {"code": "SlowDown", "drop": True}, "a code needs a status"),
        ("POST", "faults", {"operation": "PutObjekt", "drop": True}, "no operation is called PutObjekt"),
        ("PUT", "clock", {"at": "2030-01-01T00:00:00"}, "at needs a time zone: 2030-01-01T00:00:00Z"),
        ("PUT", "clock", {"at": "2030-01-01"}, "at needs a time zone: 2030-01-01T00:00:00Z"),
        ("PUT", "clock", {"at": "tomorrow"}, "'tomorrow' is no moment in ISO 8601: 2030-01-01T00:00:00Z"),
        ("PUT", "clock", {"at": 1_900_000_000}, "^at: expected `str | null`, got `int`"),
        ("PUT", "clock", {"advance": 1}, "no field 'advance'; there are: at, advance_seconds, running"),
        ("PUT", "clock", {"at": "9999-01-01T00:00:00Z"}, "the year must be"),
        ("PUT", "clock", {"advance_seconds": 1e10}, "the year must be"),
        ("PUT", "clock", {"at": "2030-01-01T00:00:00Z", "advance_seconds": 1}, "not both"),
        ("POST", "reset", {"buckets": "x"}, "no field 'buckets'; there are: bucket, snapshot"),
        ("POST", "reset", {"bucket": "x" * 70_000}, "more than 65536 bytes"),
        ("GET", "requests?buckt=x", None, "not found by buckt, but by: bucket, error, key, method, operation"),
        ("GET", "requests?op=putobject", None, "no operation is called putobject: is it PutObject"),
        ("GET", "requests?status=abc", None, "'abc' is no status"),
    ],
)
def test_what_the_controls_do_not_understand_they_refuse(server, method, path, body, says):
    with pytest.raises(ValueError, match=says):
        server.control(method, path, body)
    assert server.control("GET", "faults") == {"faults": []}


def test_there_is_an_end_to_plans(server):
    for _ in range(MOST_PLANS):
        server.control("POST", "faults", {"bucket": "none", "drop": True})
    with pytest.raises(ValueError, match="plans already"):
        server.control("POST", "faults", {"drop": True})


def test_the_recorder_keeps_the_newest_and_counts_all(server, s3):
    recorder = Recorder()
    for number in range(MOST_KEPT + 5):
        line = {"method": "GET", "operation": "x", "bucket": "", "key": f"\x1b{number}", "status": 200, "error": ""}
        recorder.add(RequestLine(**line, received=0, sent=0, seconds=0, user="", client="", request_id=""), {})
    assert recorder.counts["x"] == MOST_KEPT + 5
    assert [it["key"] for it in recorder.found()][:: MOST_KEPT - 1] == ["\x1b5", f"\x1b{MOST_KEPT + 4}"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Host": "rebound.example:9000"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
def test_no_page_of_a_browser_and_no_proxy_comes_to_the_controls(server, headers):
    for method, path in (
        ("POST", "/-/test/reset"),
        ("POST", "/moto-api/reset"),
        ("POST", "/_localstack/state/reset"),
        ("GET", "/-/test/requests"),
    ):
        request = urllib.request.Request(f"{server.endpoint}{path}", method=method, headers=headers)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)


def test_memory_has_an_end_and_what_is_deleted_gives_it_back(start_server):
    server = start_server("--test", "--bucket", "made", S3ISH_TEST_MEMORY_MIB="4")
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )
    for _ in range(3):
        s3.put_object(Bucket="made", Key="a", Body=b"x" * 3_000_000)
        with pytest.raises(ClientError, match="InsufficientStorage"):
            s3.put_object(Bucket="made", Key="b", Body=b"x" * 3_000_000)
        s3.delete_object(Bucket="made", Key="a")
    for bucket in ("made", ""):
        for _ in range(3):
            s3.put_object(Bucket="made", Key="a", Body=b"x" * 1_500_000)
            upload = s3.create_multipart_upload(Bucket="made", Key="b")["UploadId"]
            s3.upload_part(Bucket="made", Key="b", UploadId=upload, PartNumber=1, Body=b"x" * 1_500_000)
            reset = json.dumps({"bucket": bucket}).encode()
            urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}/-/test/reset", reset, method="POST"))


def test_a_process_of_its_own(start_server, tmp_path):
    audit = tmp_path / "audit.jsonl"
    server = start_server("--test", "--bucket", "made:versioned", S3ISH_LOG_AUDIT=str(audit))
    assert "from memory, for tests" in server.greeting[0]
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="eu-west-3",
    )
    s3.put_object(Bucket="made", Key="a", Body=b"x")
    request = urllib.request.Request(f"{server.endpoint}/-/test/reset", method="POST")
    assert json.load(urllib.request.urlopen(request)) == {"reset": "all"}
    assert s3.list_objects_v2(Bucket="made")["KeyCount"] == 0
    s3.close()
    code, log = server.stop()
    assert code == 0
    assert [json.loads(line)["operation"] for line in audit.read_text().splitlines()] == ["PutObject", "ListObjectsV2"]
    assert "Traceback" not in log


def test_a_token_is_asked_for_where_there_is_one(start_server):
    server = start_server("--test", S3ISH_TEST_TOKEN="hush")
    request = urllib.request.Request(f"{server.endpoint}/-/test/requests")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)
    request.add_header("Authorization", "Bearer hush")
    assert urllib.request.urlopen(request).status == 200


def test_a_process_that_cannot_begin_says_why_in_its_last_line(run_s3ish, tmp_path):
    ended = run_s3ish("serve", "--test", "--port", "0", "--seed", tmp_path / "missing")
    assert ended.returncode == 1
    told = f"s3ish: the server cannot begin: cannot make the objects of {tmp_path}/missing: No such file or directory"
    assert ended.stderr.splitlines()[-1] == told


def test_others_are_not_served_with_well_known_keys(run_s3ish):
    refused = run_s3ish("serve", "--test", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 78
    assert "refusing to listen on 0.0.0.0 with well-known keys" in refused.stderr


def test_code_under_test_needs_no_change(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    @mock_s3(buckets=("made",))
    def code():
        s3 = boto3.client("s3")
        s3.put_object(Bucket="made", Key="a", Body=b"x")
        found = names(s3)
        s3.close()
        return found

    assert code() == ["made"]
    assert code() == ["made"]
    assert os.environ["AWS_PROFILE"] == "production"
    assert "AWS_ENDPOINT_URL" not in os.environ
    with mock_s3() as one, mock_s3() as two:
        assert one.endpoint != two.endpoint == os.environ["AWS_ENDPOINT_URL"]


def test_mocks_that_end_in_another_order_leave_the_environment_as_it_was(monkeypatch):
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session())
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    before, session = dict(os.environ), boto3.DEFAULT_SESSION
    first, second, third = (leading_to(Running(f"http://{name}.test:9000")) for name in ("one", "two", "three"))
    for mock in (first, second, third):
        mock.__enter__()
        boto3.setup_default_session()
    within = boto3.DEFAULT_SESSION
    second.__exit__(None, None, None)
    first.__exit__(None, None, None)
    assert os.environ["AWS_ENDPOINT_URL"] == "http://three.test:9000"
    assert "AWS_SECRET_ACCESS_KEY" in os.environ
    assert boto3.DEFAULT_SESSION is within
    third.__exit__(None, None, None)
    assert dict(os.environ) == before
    assert boto3.DEFAULT_SESSION is session


def test_no_proxy_and_no_setting_of_endpoints_leads_away_from_a_mock(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "other.test")
    for name in ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    with mock_s3(buckets=("made",)):
        assert boto3.client("sqs").create_queue(QueueName="made")["QueueUrl"].startswith(os.environ["AWS_ENDPOINT_URL"])
        assert [it["Name"] for it in boto3.client("s3").list_buckets()["Buckets"]] == ["made"]
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "other.test,127.0.0.1"
    assert (os.environ["NO_PROXY"], os.environ.get("no_proxy")) == ("other.test", None)
    assert os.environ["AWS_USE_FIPS_ENDPOINT"] == "true"
    assert os.environ["AWS_ENDPOINT_URL_SQS"] == "http://127.0.0.1:1"


def test_no_proxy_leads_away_from_a_server_elsewhere(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with leading_to(Running("http://s3.test:9000")):
        assert urllib.request.proxy_bypass_environment("s3.test:9000")


def test_a_decorator_takes_coroutines(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    def used():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="made")
        s3.close()
        return os.environ["AWS_ENDPOINT_URL"]

    @mock_s3
    def function():
        return used()

    @mock_s3()
    async def coroutine():
        await asyncio.sleep(0)
        return used()

    assert function().startswith("http://127.0.0.1:")
    assert asyncio.run(coroutine()).startswith("http://127.0.0.1:")


def test_a_server_of_an_event_loop(tmp_path):
    async def run():
        async with Server(buckets=("made",)) as server:
            assert server.control("GET", "requests")["count"] == 0
            endpoint = server.endpoint
        with pytest.raises(ConnectionRefusedError):
            Running(endpoint).control("GET", "requests")
        with pytest.raises(RuntimeError, match="cannot begin"):
            async with Server(seed=str(tmp_path / "none")):
                pass

    asyncio.run(run())


def test_clock_faults_and_requests_by_their_names(server, s3):
    server.clock.set("2031-05-01T10:00:00Z")
    assert server.clock.now == datetime(2031, 5, 1, 10, tzinfo=UTC)
    server.clock.advance(86_400, running=False)
    assert server.clock.now == datetime(2031, 5, 2, 10, tzinfo=UTC)
    server.clock.set(datetime(2032, 1, 1, tzinfo=UTC))
    assert server.clock.now.year == 2032
    with pytest.raises(ValueError, match="needs a time zone"):
        server.clock.set(datetime(2032, 1, 1))
    server.clock.reset()
    assert server.clock.now.year < 2031
    with server.faults.during(operation="PutObject", status=503, code="SlowDown"):
        with pytest.raises(ClientError, match="SlowDown"):
            s3.put_object(Bucket="made", Key="k", Body=b"x")
        assert server.faults.met == [1]
    s3.put_object(Bucket="made", Key="a b", Body=b"x")
    assert server.requests.count("PutObject") == 2
    assert server.requests.count(status="503") == 1
    assert [it["bucket"] for it in server.requests.find("PutObject", key="a b")] == ["made"]
    assert server.requests.dollars == pytest.approx(0.005e-3)
    server.requests.clear()
    assert server.requests.count() == 0


def test_a_container_starts_the_profile_for_tests(start_server, monkeypatch):
    """The command and the variables that a container is given, run as a process."""
    from s3ish.testing.container import PORT, S3ishContainer

    monkeypatch.setattr("testcontainers.core.container.DockerClient", lambda **_: None)
    container = S3ishContainer(buckets=("made", "site:public"), secret_key="hush", token="let-me")
    assert list(map(int, container.ports)) == [PORT]
    command, *arguments = container._command.split()
    process = start_server(*arguments, **container.env)
    assert command == "serve"
    host, port = process.endpoint.removeprefix("http://").split(":")
    monkeypatch.setattr(container, "get_container_host_ip", lambda: host)
    monkeypatch.setattr(container, "get_exposed_port", lambda inside: int(port))
    s3 = boto3.client("s3", **container.server.client_arguments)
    assert names(s3) == ["made", "site"]
    container.server.reset()
    s3.close()
    with pytest.raises(ValueError, match="with the token"):
        Running(process.endpoint).reset()


def test_a_server_that_cannot_begin_says_so(tmp_path):
    with pytest.raises(RuntimeError, match="cannot begin"):
        Server(seed=str(tmp_path / "none")).start()
    with Server() as server, pytest.raises(Exception, match="Address already in use"):
        Server(port=int(server.endpoint.rpartition(":")[2])).start()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_fixtures_of_pytest(server, tmp_path, elsewhere):
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent(
            """
            import boto3, os, pytest

            def test_one(s3ish_client, s3ish_bucket):
                s3ish_client.put_object(Bucket=s3ish_bucket, Key="a", Body=b"x")
                assert s3ish_bucket in [b["Name"] for b in s3ish_client.list_buckets()["Buckets"]]

            @pytest.fixture(scope="module")
            def shared(s3ish_server):
                s3 = boto3.client("s3", **s3ish_server.client_arguments)
                s3.create_bucket(Bucket="of-the-module")

            def test_clock_and_faults(s3ish_client, shared, s3ish_clock, s3ish_faults, s3ish_requests):
                s3ish_clock.set("2031-05-01T10:00:00Z")
                s3ish_faults.add(operation="PutObject", status=503, code="SlowDown", count=9)
                with pytest.raises(Exception, match="SlowDown"):
                    s3ish_client.put_object(Bucket="of-the-module", Key="a", Body=b"x")
                assert s3ish_requests.count("PutObject") > 1

            def test_two(s3ish_client, s3ish_server, s3ish_clock):
                assert s3ish_clock.now.year != 2031
                assert "of-the-module" in [b["Name"] for b in s3ish_client.list_buckets()["Buckets"]]
                s3ish_client.put_object(Bucket="of-the-module", Key="a", Body=b"x")
                assert not [b for b in s3ish_client.list_buckets()["Buckets"] if "test-one" in b["Name"]]
                assert s3ish_server.endpoint == os.environ.get("S3ISH_ENDPOINT", s3ish_server.endpoint)
                assert s3ish_server.endpoint.startswith("http://127.0.0.1:")
            """
        )
    )
    given = {"S3ISH_ENDPOINT": server.endpoint} if elsewhere else {}
    ended = run_pytest(tmp_path, **given)
    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr


def test_code_that_makes_its_own_clients_has_the_server_of_a_fixture(tmp_path):
    code = """
        import os
        import boto3

        def code():
            return [it["Name"] for it in boto3.client("s3").list_buckets()["Buckets"]]

        def test_one(s3ish_environment):
            assert os.environ["AWS_ENDPOINT_URL"] == s3ish_environment.endpoint
            boto3.client("s3").create_bucket(Bucket="made")
            assert code() == ["made"]

        def test_two(s3ish_environment, s3ish_bucket):
            assert code() == [s3ish_bucket]

        def test_after():
            assert "AWS_ENDPOINT_URL" not in os.environ
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(code))
    without = {name: value for name, value in os.environ.items() if not name.startswith("AWS")}
    ended = run_pytest(tmp_path, environment=without)
    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr


def test_the_client_of_a_fixture_uses_no_proxy(tmp_path):
    (tmp_path / "test_it.py").write_text("def test_one(s3ish_bucket):\n    pass\n")
    none = {"NO_PROXY": "", "no_proxy": ""}
    ended = run_pytest(tmp_path, HTTP_PROXY="http://127.0.0.1:1", http_proxy="http://127.0.0.1:1", **none)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


SPECIFICATION = yaml.safe_load((ROOT / "docs/test-controls.yaml").read_text())
EXAMPLES = [
    (method, path, operation)
    for path, methods in SPECIFICATION["paths"].items()
    for method, operation in methods.items()
    if method != "parameters"
]


@pytest.mark.parametrize(("method", "path", "operation"), EXAMPLES, ids=lambda it: it if isinstance(it, str) else "")
def test_the_description_for_programs_is_true(server, on_drives, method, path, operation):
    """Each example is answered with what is described, and each field that is answered is described."""
    if path in ("/-/test/drives", "/-/test/shards"):
        check_as_described(on_drives.endpoint, method, path, operation)
        return
    server.snapshot("before")
    server.world("one").snapshot("before")
    parameters = SPECIFICATION["paths"][path].get("parameters", [])
    path = path.format(**{it["name"]: it["example"] for it in parameters if it["in"] == "path"})
    if any(it["name"] == "world" for it in parameters):
        path += "?world=test-one"
    check_as_described(server.endpoint, method, path, operation)


@pytest.fixture
def on_drives(start_server, tmp_path, path):
    """A server whose drives can be harmed, where that is described."""
    if path not in ("/-/test/drives", "/-/test/shards"):
        return None
    process = start_server(tmp_path / "data", "--bucket", "made", S3ISH_TEST_CONTROLS="true")
    running = Running(process.endpoint, "s3ishadmin", "s3ishadmin")
    boto3.client("s3", **running.client_arguments).put_object(Bucket="made", Key="k", Body=b"x" * 100_000)
    return running


def check_as_described(endpoint, method, path, operation):
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for example in (content.get("examples") or {"none": {"value": None}}).values():
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://"))
        body = None if example["value"] is None else json.dumps(example["value"], default=str)
        connection.request(method.upper(), path, body)
        answer = connection.getresponse()
        given = json.load(answer)
        connection.close()
        assert str(answer.status) in operation["responses"], given
        described = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
        assert answer.status == 200, given
        assert given.keys() == described.keys()


def test_the_description_has_every_route_and_every_field():
    routes = test_controls.controls(None, "").routes
    served = {(route.path, method.lower()) for route in routes for method in route.methods - {"HEAD"}}
    assert {(path, method) for method, path, _ in EXAMPLES} == served
    for kind, name in (
        (test_controls.FaultPlan, "FaultPlan"),
        (test_controls.ClockRequest, "ClockRequest"),
        (test_controls.ResetRequest, "ResetRequest"),
        (test_controls.ForkRequest, "ForkRequest"),
        (test_controls.DriveRequest, "DriveRequest"),
        (test_controls.HarmRequest, "HarmRequest"),
    ):
        described = SPECIFICATION["components"]["schemas"][name]
        assert set(described["properties"]) == set(kind.__struct_fields__), name
        assert described["additionalProperties"] is False


@pytest.mark.parametrize("text", ["[" * 60_000, '{"bucket":' * 6_000, "{", "nothing", '"reset"', "1e999"])
def test_what_is_no_object_in_json_is_refused(server, text):
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc)
    connection.request("POST", "/-/test/reset", text)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert (answer.status, list(told)) == (400, ["error"])


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/-/test/", 404, "there is /-/test/ with: reset, snapshots, worlds, clock, faults"),
        ("GET", "/-/test", 404, "there is no control /-/test;"),
        ("GET", "/-/test/snapshot", 404, "there is no control /-/test/snapshot;"),
        ("GET", "/-/test/reset", 405, "/-/test/reset takes POST, not GET"),
        ("POST", "/-/test/snapshots/a", 405, "/-/test/snapshots/a takes DELETE and PUT, not POST"),
        ("PUT", "/-/test/clock", 400, "as the body, with some of: at, advance_seconds, running"),
        ("POST", "/-/test/snapshots/a/fork", 400, "as the body, with some of: world"),
        ("POST", "/-/test/reset/", 404, "there is no control /-/test/reset/;"),
        ("POST", "/-/test/reset?wrld=test-a", 400, "no query parameter 'wrld'; there is: world"),
    ],
)
def test_what_is_no_control_is_told_what_there_is(server, method, path, status, says):
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc)
    connection.request(method, path)
    answer = connection.getresponse()
    told = json.loads(answer.read())["error"]
    connection.close()
    assert answer.status == status
    assert says in told


def test_a_server_without_controls_says_how_they_are_had(start_server, tmp_path):
    process = start_server(tmp_path)
    assert "  controls  " not in "".join(process.greeting)
    how = "start it with --test, or set test.controls (S3ISH_TEST_CONTROLS=true)"
    for method, path in (("GET", "/-/test"), ("PUT", "/-/test/a/b"), ("POST", test_controls.MOTO_RESET)):
        connection = http.client.HTTPConnection(urlsplit(process.endpoint).netloc)
        connection.request(method, path)
        answer = connection.getresponse()
        told = json.loads(answer.read())["error"]
        connection.close()
        assert (answer.status, told) == (404, f"this server has no test controls: {how}")
    with pytest.raises(ValueError, match=r"set test\.controls"):
        Running(process.endpoint).reset()


def test_a_server_on_drives_names_its_controls(start_server, tmp_path):
    process = start_server(tmp_path, S3ISH_TEST_CONTROLS="true")
    assert f"  controls    {process.endpoint}/-/test/…  (for this machine): docs/testing.md\n" in process.greeting


def test_a_name_of_an_operation_with_a_slip_is_no_count_of_none(server):
    with pytest.raises(ValueError, match="no operation is called PutObjct: is it PutObject"):
        server.requests.count("PutObjct")
    assert server.requests.count("AssumeRole") == 0


@pytest.mark.parametrize("name", ["a b", "a/b", "", "ü", "a%2fb", "a?world=test-x", ".", ".."])
def test_a_name_that_no_snapshot_can_have_is_refused(server, name):
    for act in (server.snapshot, server.restore, lambda name: server.fork(name, "w")):
        with pytest.raises(ValueError, match="snapshot"):
            act(name)


def test_a_world_of_an_impossible_name_is_refused(server):
    with pytest.raises(ValueError, match="a world is named by its access key"):
        server.world("a b").reset()


def test_a_server_that_cannot_begin_says_why():
    with pytest.raises(RuntimeError, match="cannot make the bucket Up_: The specified bucket is not valid"):
        Server(buckets=("Up_",)).start()


def test_one_bucket_is_a_name_or_a_list():
    for buckets in ("made:versioned", ["made:versioned"]):
        with Server(buckets=buckets) as server:
            s3 = boto3.client("s3", **server.client_arguments)
            assert s3.get_bucket_versioning(Bucket="made")["Status"] == "Enabled"


def test_a_server_serves_once_at_a_time():
    server = Server()
    for _ in range(2):
        with server, pytest.raises(RuntimeError, match="serves already"):
            server.start()


def test_an_endpoint_without_a_scheme_is_refused():
    with pytest.raises(ValueError, match="an endpoint is a URL: http://localhost:9000"):
        Running("localhost:9000")


def test_a_generator_has_its_server_until_it_ends():
    @mock_s3(buckets=("made",))
    def fixture():
        yield boto3.client("s3")

    for s3 in fixture():
        s3.put_object(Bucket="made", Key="a", Body=b"x")
    assert "AWS_ENDPOINT_URL" not in os.environ


async def test_an_asynchronous_generator_has_its_server_until_it_ends():
    ended = []

    @mock_s3(buckets=("made",))
    async def fixture(bucket):
        yield boto3.client("s3"), bucket
        ended.append(os.environ["AWS_ENDPOINT_URL"])

    async for s3, bucket in fixture("made"):
        await asyncio.to_thread(s3.put_object, Bucket=bucket, Key="a", Body=b"x")
    assert len(ended) == 1
    assert "AWS_ENDPOINT_URL" not in os.environ
