"""What a server shows of itself: every family when there is something to show, right over several workers."""

import re
import shutil
import socket
import subprocess
import threading
import urllib.request
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families

from s3ish.cli import cert
from s3ish.observe.families import FAMILIES
from s3ish.observe.lines import RequestLine
from s3ish.observe.metrics import Metrics
from s3ish.observe.observer import Observer
from s3ish.observe.tally import Tally
from tests.waiting import wait_until


def shown(endpoint):
    with urllib.request.urlopen(f"{endpoint}/-/metrics") as answer:
        return answer.read().decode()


def values(text):
    """Return the samples of a text by name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))] = sample.value
    return found


def client(endpoint, **others):
    keys = {"aws_access_key_id": "s3ishadmin", "aws_secret_access_key": "s3ishadmin", "region_name": "us-east-1"}
    config = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=endpoint, config=config, **{**keys, **others})


WITH_TLS = {
    "tls_certificate_expiry_timestamp_seconds",
    "tls_failures",
    "tls_handshakes",
    "tls_handshake_seconds",
    "tls_reloads",
}
WITH_TRACES = {"trace_records"}
MISHAPS = {"limited_requests", "connections_timed_out", "torn_answers"}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_few_requests_show_every_family(start_server, tmp_path, workers):
    server = start_server(
        *(tmp_path / str(number) for number in range(3)),
        S3ISH_WORKERS=workers,
        S3ISH_FSYNC="true",
        S3ISH_LOG_SLOW_REQUEST_MS="1",
    )
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="bucket")
    for number in range(10):
        s3.put_object(Bucket="bucket", Key=str(number), Body=bytes(100_000))
        s3.get_object(Bucket="bucket", Key=str(number))["Body"].read()
    with pytest.raises(ClientError):
        client(server.endpoint, aws_secret_access_key="wrong").list_buckets()
    with pytest.raises(ClientError):
        s3.get_object(Bucket="bucket", Key="none")
    with socket.create_connection(("127.0.0.1", int(server.endpoint.rpartition(":")[2]))) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")

    def all_counted():
        found = values(shown(server.endpoint))
        return (
            found.get(("s3ish_requests_total", "operation=PutObject", "status=200")) == 10
            and found.get(("s3ish_requests_total", "operation=GetObject", "status=200")) == 10
            and found.get(("s3ish_workers",)) == int(workers)
            and ("s3ish_auth_failures_total", "stage=signature") in found  # of another worker, perhaps
            and ("s3ish_volume_free_bytes", "volume=2") in found
        )

    wait_until(all_counted)
    text = shown(server.endpoint)
    found = values(text)
    names = set(re.findall(r"^s3ish_(\w+?)(?:_total|_count)?(?:\{.*\})? ", text, re.M))
    assert names >= {family.name for family in FAMILIES} - WITH_TLS - WITH_TRACES - MISHAPS
    assert found["s3ish_auth_failures_total", "stage=signature"] == 1
    assert found["s3ish_request_errors_total", "code=NoSuchKey"] == 1
    assert found["s3ish_malformed_requests_total", "code=InvalidRequest"] == 1
    assert found["s3ish_received_bytes_total",] == found["s3ish_request_body_bytes_sum",] == 1_000_000
    assert found["s3ish_request_body_bytes_count",] == 10
    assert found["s3ish_request_duration_seconds_count", "operation=PutObject"] == 10
    assert found["s3ish_request_duration_seconds_bucket", "le=+Inf", "operation=PutObject"] == 10
    assert found["s3ish_request_first_byte_seconds_count", "operation=GetObject"] == 11
    assert found["s3ish_index_transaction_seconds_count",] <= found["s3ish_index_commits_total",]
    assert found["s3ish_index_transaction_commits_sum",] == found["s3ish_index_commits_total",]
    assert found["s3ish_erasure_encoded_bytes_total",] == 1_000_000
    assert found["s3ish_volume_flush_seconds_count", "volume=0"] >= 10
    assert found["s3ish_connections",] <= found["s3ish_connections_accepted_total",]
    assert found["s3ish_requests_in_flight",] == 0
    _, log = server.stop()
    assert re.search(r'"event":"slow request"', log)
    assert re.search(r'"operation":"PutObject".*"signature_ms":[\d.]+,"rights_ms":.*"handle_ms":.*"send_ms"', log)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_finds_nothing_in_what_is_shown(start_server, tmp_path):
    text = shown(start_server(tmp_path).endpoint)
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_tls_is_shown(start_server, tmp_path):
    files = cert.write(tmp_path / "tls", ["127.0.0.1"], datetime.now(UTC), 30)
    server = start_server(
        tmp_path / "data",
        S3ISH_TLS_CERTIFICATES=str(files.certificate),
        S3ISH_TLS_KEYS=str(files.key),
        S3ISH_METRICS_TOKEN="hush",
    )
    subprocess.run(["curl", "-s", server.endpoint.replace("https", "http")], capture_output=True, check=False)
    asked = ["curl", "-s", "--cacert", files.authority, "-H", "Authorization: Bearer hush"]
    ran = subprocess.run([*asked, f"{server.endpoint}/-/metrics"], capture_output=True, text=True, check=True)
    found = values(ran.stdout)
    assert found["s3ish_tls_handshakes_total", "version=1.3"] == found["s3ish_tls_handshake_seconds_count",] == 1
    assert found["s3ish_tls_failures_total", "reason=plain http"] == 1
    expiry = found["s3ish_tls_certificate_expiry_timestamp_seconds", f"file={files.certificate}"]
    assert expiry == files.until.replace(microsecond=0).timestamp()


def test_a_tally_is_added_whole_and_only_once():
    metrics, tally = Metrics(shared=False), Tally((1, 2, 4, 8, 16, 32, 64, 128, 256))
    for amount in (0.5, 1, 2, 3, 1000):
        tally.add(amount)
    for _ in range(2):
        metrics.put(("index_transaction_commits", (), tally))
    found = values(metrics.render()[1].decode())
    buckets = {
        labels[0]: value for (name, *labels), value in found.items() if name.endswith("transaction_commits_bucket")
    }
    assert [buckets[f"le={bound}"] for bound in ("1.0", "2.0", "4.0", "256.0", "+Inf")] == [2, 3, 4, 4, 5]
    assert found["s3ish_index_transaction_commits_sum",] == 1006.5
    tally.add(1)
    metrics.put(("index_transaction_commits", (), tally))
    assert values(metrics.render()[1].decode())["s3ish_index_transaction_commits_count",] == 6


def line(**changes):
    told = dict.fromkeys(("method", "operation", "bucket", "key", "error", "user", "client", "request_id"), "")
    return RequestLine(**(told | {"status": 200, "received": 0, "sent": 0, "seconds": 0.0} | changes))


def test_a_counter_of_several_threads_loses_nothing():
    observer = Observer()
    threads = [
        threading.Thread(target=lambda: [observer.request(line(operation="GetObject")) for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = values(observer.render()[1].decode())
    assert found["s3ish_requests_total", "operation=GetObject", "status=200"] == 8000


@pytest.mark.parametrize(("took", "logged"), [(0.4, False), (0.5, True), (2.0, True)])
def test_slow_requests_alone_are_logged_with_their_stages(monkeypatch, took, logged):
    told = []
    log = SimpleNamespace(warning=lambda event, **fields: told.append((event, fields)))
    monkeypatch.setattr("s3ish.observe.requests.log", log)
    observer = Observer(slow_seconds=0.5)
    stages = {"signature": 10.1, "handle": 10.3, "send": 10.0 + took}
    observer.request(line(operation="GetObject", seconds=took, key="k"), stages, 10.0)
    assert len(told) == logged
    if logged:
        event, fields = told[0]
        assert event == "slow request"
        assert (fields["signature_ms"], fields["handle_ms"], fields["ms"]) == (100.0, 200.0, took * 1000)
    assert (("s3ish_slow_requests_total", "operation=GetObject") in values(observer.render()[1].decode())) == logged


def test_steps_of_jobs_count_before_anybody_looks():
    observer = Observer()
    observer.job_step("scrub", 1.5, failed=True)
    found = values(observer.render()[1].decode())
    assert found["s3ish_job_failures_total", "name=scrub"] == 1
    assert found["s3ish_job_seconds_total", "name=scrub"] == 1.5
