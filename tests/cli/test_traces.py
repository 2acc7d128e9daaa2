"""Traces of a server: several workers, nothing secret, and a collector that is not there."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

from tests.collector import collecting
from tests.waiting import wait_until

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "s3ishadmin"


@pytest.fixture
def collector():
    """A collector on loopback."""
    with collecting() as found:
        yield found


def client(endpoint, **headers):
    made = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
    )
    made.meta.events.register("before-send.s3", lambda request, **_: request.headers.update(headers))
    return made


def lines(logged):
    return [json.loads(text) for text in logged.splitlines() if text.startswith("{")]


def test_spans_of_all_workers_arrive_before_the_server_has_ended(start_server, tmp_path, collector):
    variables = {"S3ISH_WORKERS": "2", "S3ISH_TRACES_EXPORT": "true", "S3ISH_TRACES_ENDPOINT": collector.url}
    server = start_server(tmp_path / "data", **variables, S3ISH_LOG_FORMAT="json", S3ISH_LOG_SLOW_REQUEST_MS="1")
    s3 = client(server.endpoint, traceparent=f"00-{TRACE}-{CALLER}-01", tracestate="congo=t61")
    s3.create_bucket(Bucket="traced")
    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(client(server.endpoint).put_object, Bucket="traced", Key=f"k{number}", Body=b"x" * 100_000)

    def came_from_both():
        client(server.endpoint).list_buckets()  # by a connection of its own
        return len({span.resource["service.instance.id"] for span in list(collector.spans)}) == 2

    wait_until(came_from_both)
    with pytest.raises(ClientError):
        s3.get_object(Bucket="traced", Key="missing")
    _, logged = server.stop()
    puts = collector.named("S3.PutObject", 8)
    assert {span.attributes["aws.s3.key"] for span in puts} == {f"k{number}" for number in range(8)}
    for span in puts:
        stages = collector.stages(span)
        assert [each.name for each in stages] == ["signature", "rights", "read", "handle", "send"]
        assert span.attributes["http.request.body.size"] == 100_000
    (read,) = collector.named("S3.GetObject")
    assert (read.trace_id, read.parent_id, read.state) == (TRACE, CALLER, "congo=t61")
    assert read.attributes["error.type"] == "NoSuchKey"
    assert not read.failed
    told = {line["request_id"]: line["trace_id"] for line in lines(logged) if line["event"] == "request"}
    assert {span.attributes["aws.request_id"]: span.trace_id for span in (*puts, read)}.items() <= told.items()
    slow = [line for line in lines(logged) if line["event"] == "slow request"]
    assert slow
    assert all(line["trace_id"] == told[line["request_id"]] for line in slow)


def test_no_signature_key_or_token_is_in_a_span(start_server, tmp_path, collector):
    variables = {"S3ISH_TRACES_EXPORT": "true", "S3ISH_TRACES_ENDPOINT": collector.url}
    server = start_server(tmp_path / "data", **variables)
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="traced")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "traced", "Key": "k"})
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("PUT", f"{parts.path}?{parts.query}", b"body", {"authorisation-note": "hidden-value"})
    assert connection.getresponse().status == 200
    connection.close()
    s3.put_object(Bucket="traced", Key="k2", Body=b"x")
    server.stop()
    assert len(collector.named("S3.PutObject", 2)) == 2
    sent = b"".join(collector.bodies)
    for hidden in (b"X-Amz-Signature", b"Signature", b"AWS4-HMAC", b"hidden-value", SECRET.encode()):
        assert hidden not in sent, hidden


def test_without_a_collector_requests_are_answered_and_the_log_says_it_once(start_server, tmp_path):
    variables = {"S3ISH_TRACES_EXPORT": "true", "S3ISH_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}
    server = start_server(tmp_path / "data", **variables, S3ISH_LOG_FORMAT="json", OTEL_EXPORTER_OTLP_TIMEOUT="0.5")
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="traced")
    for number in range(50):
        s3.put_object(Bucket="traced", Key=str(number), Body=b"x")
    code, logged = server.stop()
    assert code == 0
    assert [line["event"] for line in lines(logged)].count("traces cannot be sent") == 1
    assert "opentelemetry" not in logged


def test_a_server_that_sends_no_traces_loads_nothing_of_the_extra(start_server, tmp_path):
    server = start_server(tmp_path / "data")
    client(server.endpoint).create_bucket(Bucket="traced")
    pids = [server.process.pid, *_children(server.process.pid)]
    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in pids]
    assert not any("google/_upb" in text or "protobuf" in text for text in maps)
    _, logged = server.stop()
    assert "trace_id" not in logged


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_the_profile_for_tests_sends_traces_too(start_server, collector):
    server = start_server("--test", S3ISH_TRACES_EXPORT="true", S3ISH_TRACES_ENDPOINT=collector.url)
    boto3.client(
        "s3", endpoint_url=server.endpoint, aws_access_key_id="test", aws_secret_access_key="test", region_name="x"
    ).list_buckets()
    server.stop()
    (span,) = collector.named("S3.ListBuckets")
    assert [each.name for each in collector.stages(span)] == ["signature", "rights", "read", "handle", "send"]


def test_traces_without_the_extra_are_refused_with_what_to_install(monkeypatch):
    from s3ish.config import ConfigError
    from s3ish.config_sources import load

    def find_spec(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    with pytest.raises(ConfigError, match=r"S3ISH_TRACES_EXPORT: traces\.export: .*pip install 's3ish\[otel\]'"):
        load(environment={"S3ISH_TRACES_EXPORT": "true"})
    with pytest.raises(ConfigError, match=r"traces\.endpoint is not of the form"):
        load(environment={"S3ISH_TRACES_ENDPOINT": "collector:4318"})
