"""What stock clients make of each planned fault."""

import contextlib
import http.client
import time
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from s3ish.testing import Server
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def shared():
    with Server(buckets=("made",)) as server:
        yield server


@pytest.fixture
def server(shared):
    yield shared
    shared.reset()


def client(server, **config):
    return boto3.client("s3", **server.client_arguments, config=Config(**{"retries": {"max_attempts": 0}} | config))


@pytest.fixture
def s3(server):
    return client(server)


def plan(server, **fields):
    server.control("POST", "faults", fields)


def outcomes(s3, count):
    """Return what each of so many uploads was answered with."""
    told = []
    for number in range(count):
        try:
            s3.put_object(Bucket="made", Key=f"k/{number}", Body=b"x")
            told.append("")
        except ClientError as error:
            told.append(error.response["Error"]["Code"])
    return told


def test_conflicts_and_slow_downs_in_turn(server, s3):
    plan(server, operation="PutObject", pattern="x..", status=409, code="ConditionalRequestConflict")
    plan(server, operation="PutObject", pattern=".x.", status=503, code="SlowDown", count=1)
    assert outcomes(s3, 5) == ["ConditionalRequestConflict", "SlowDown", "", "ConditionalRequestConflict", ""]


def test_requests_are_told_apart_by_key_agent_and_caller(server):
    plan(server, key="logs/*.gz", count=9, status=503, code="SlowDown")
    plan(server, user_agent="*my-job*", count=9, status=500, code="InternalError")
    plan(server, access_key="other*", count=9, status=503, code="ServiceUnavailable")
    s3, job = client(server), client(server, user_agent_extra="my-job/1")
    with pytest.raises(ClientError, match="SlowDown"):
        s3.put_object(Bucket="made", Key="logs/2026/a.gz", Body=b"x")
    s3.put_object(Bucket="made", Key="logs/a.txt", Body=b"x")
    with pytest.raises(ClientError, match="InternalError"):
        job.put_object(Bucket="made", Key="a", Body=b"x")
    assert [planned["met"] for planned in server.control("GET", "faults")["faults"]] == [1, 1, 0]


def test_a_probability_is_the_same_in_each_run(server, s3):
    told = []
    for _ in range(2):
        plan(server, operation="PutObject", probability=0.5, seed=3, status=503, code="SlowDown")
        told.append(outcomes(s3, 12))
        server.reset()
    assert told[0] == told[1]
    assert set(told[0]) == {"", "SlowDown"}


def test_a_plan_lasts_for_a_time(server, s3):
    plan(server, operation="PutObject", seconds=1, status=503, code="SlowDown")
    assert outcomes(s3, 1) == ["SlowDown"]
    end = time.monotonic() + 60
    while outcomes(s3, 1) != [""]:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_connection_is_reset_in_the_body(server, s3, size):
    s3.put_object(Bucket="made", Key="k", Body=b"x" * size)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "made", "Key": "k"})
    plan(server, operation="GetObject", reset_after_bytes=500)
    with contextlib.closing(http.client.HTTPConnection(server.endpoint.removeprefix("http://"))) as connection:
        connection.request("GET", url.removeprefix(server.endpoint))
        with pytest.raises(ConnectionResetError):
            connection.getresponse().read()
    with urllib.request.urlopen(url) as answer:
        assert len(answer.read()) == size


def test_a_changed_body_is_found_by_its_checksum(server, s3):
    for size in (10, 3_000_000):
        s3.put_object(Bucket="made", Key="k", Body=b"x" * size)
        plan(server, operation="GetObject", flip_at_byte=size - 1)
        with pytest.raises(Exception, match="checksum"):
            s3.get_object(Bucket="made", Key="k")["Body"].read()
        assert s3.get_object(Bucket="made", Key="k")["Body"].read() == b"x" * size


def test_a_wrong_checksum_is_found(server, s3):
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    right = s3.head_object(Bucket="made", Key="k", ChecksumMode="ENABLED")
    plan(server, operation="GetObject", wrong_checksum=True)
    with pytest.raises(Exception, match="checksum"):
        s3.get_object(Bucket="made", Key="k")["Body"].read()
    plan(server, operation="HeadObject", wrong_checksum=True)
    wrong = s3.head_object(Bucket="made", Key="k", ChecksumMode="ENABLED")
    assert wrong["ChecksumCRC32"] != right["ChecksumCRC32"]
    assert len(wrong["ChecksumCRC32"]) == len(right["ChecksumCRC32"])
    assert wrong["ChecksumType"] == right["ChecksumType"]


def test_a_copy_and_a_completion_fail_with_status_200(server, s3):
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    plan(server, operation="CopyObject", status=200, code="InternalError")
    with pytest.raises(ClientError, match="InternalError"):
        s3.copy_object(Bucket="made", Key="copy", CopySource="made/k")
    (answered,) = server.control("GET", "requests?operation=CopyObject")["requests"]
    assert (answered["status"], answered["error"]) == (200, "InternalError")
    upload = s3.create_multipart_upload(Bucket="made", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="made", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    plan(server, operation="CompleteMultipartUpload", status=200, code="InternalError")
    with pytest.raises(ClientError, match="InternalError"):
        s3.complete_multipart_upload(Bucket="made", Key="parts", UploadId=upload, MultipartUpload=parts)
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="made")["Contents"]] == ["k"]
    s3.complete_multipart_upload(Bucket="made", Key="parts", UploadId=upload, MultipartUpload=parts)


def test_a_first_byte_is_late_and_the_request_is_done_meanwhile(server, s3):
    plan(server, operation="PutObject", first_byte_seconds=5)
    impatient = client(server, read_timeout=0.5)
    with pytest.raises(HTTPClientError, match=r"timeout|timed out"):
        impatient.put_object(Bucket="made", Key="k", Body=b"x")
    wait_until(lambda: s3.list_objects_v2(Bucket="made")["KeyCount"])
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("size", [2_000, 200_000])
def test_a_body_is_slow(server, s3, size):
    s3.put_object(Bucket="made", Key="k", Body=b"x" * size)
    plan(server, operation="GetObject", bytes_per_second=size * 4)
    started = time.monotonic()
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == b"x" * size
    assert time.monotonic() - started >= 0.24


def test_a_client_that_retries_a_conditional_put_learns_that_it_was_done(server):
    plan(server, operation="PutObject", drop=True)
    s3 = client(server, retries={"mode": "standard", "max_attempts": 3})
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="made", Key="k", Body=b"x", IfNoneMatch="*")
    assert server.control("GET", "requests?op=PutObject&expect=2")["count"] == 2


def test_requests_are_found_counted_and_expected(server, s3):
    s3.put_object(Bucket="made", Key="k", Body=b"12345", Metadata={"a": "b"})
    s3.get_object(Bucket="made", Key="k")["Body"].read()
    with pytest.raises(ClientError):
        s3.get_object(Bucket="made", Key="none")
    told = server.control("GET", "requests?op=GetObject&key=k")
    assert (told["count"], told["sent"], told["counts"]["GetObject"]) == (1, 5, 2)
    (put,) = server.control("GET", "requests?op=PutObject")["requests"]
    assert put["headers"]["x-amz-meta-a"] == "b"
    assert put["headers"]["authorization"] == "…"
    assert "Boto3" in put["headers"]["user-agent"]
    for query, count in (
        ("status=404", 1),
        ("user_agent=Boto3", 3),
        ("user_agent=curl", 0),
        ("user=test", 3),
        ("method=PUT&bucket=made", 1),
        ("error=NoSuchKey", 1),
    ):
        assert server.control("GET", f"requests?{query}&expect={count}")["count"] == count
    assert len(server.control("GET", "requests?limit=2")["requests"]) == 2
    assert server.control("GET", "requests?limit=0")["requests"] == []
    with pytest.raises(ValueError, match="2 requests match, not 3"):
        server.control("GET", "requests?op=GetObject&expect=3")
    with pytest.raises(ValueError, match="not found by colour"):
        server.control("GET", "requests?colour=red")
    with pytest.raises(ValueError, match="whole numbers"):
        server.control("GET", "requests?expect=-1")


def test_a_customer_key_is_not_kept(server, s3):
    with pytest.raises(ClientError):
        s3.get_object(Bucket="made", Key="none", SSECustomerKey=b"k" * 32, SSECustomerAlgorithm="AES256")
    text = str(server.control("GET", "requests"))
    assert "server-side-encryption-customer-key" in text
    assert "a2tra2tra2tr" not in text


def test_a_run_has_a_price(server, s3):
    for number in range(3):
        s3.put_object(Bucket="made", Key=str(number), Body=b"x")
    s3.put_object(Bucket="made", Key="ia", Body=b"x" * 1000, StorageClass="STANDARD_IA")
    s3.get_object(Bucket="made", Key="ia")["Body"].read()
    s3.delete_object(Bucket="made", Key="ia")
    plan(server, operation="GetObject", status=503)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="made", Key="0")
    told = server.control("GET", "cost")
    amounts = {item["what"]: item["amount"] for item in told["items"]}
    assert amounts == {
        "PUT, COPY, POST and LIST: STANDARD": 3,
        "PUT, COPY, POST and LIST: STANDARD_IA": 1,
        "GET and all others: STANDARD": 1,
        "free requests": 1,
        "bytes out": 1000,
    }
    assert told["dollars"] == pytest.approx(3 * 0.005e-3 + 0.01e-3 + 0.0004e-3 + 1000 * 0.09e-9, rel=1e-3)
