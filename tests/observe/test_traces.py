"""Spans: what they tell, which trace they join, and that no collector is waited for."""

import functools
import socket
from itertools import pairwise

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from s3ish.clock import Clock
from s3ish.observe import traces as module
from s3ish.observe.spans import EndedRequest
from s3ish.observe.traces import OtelTraces
from tests.collector import collecting
from tests.waiting import wait_until

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}


@pytest.fixture
def collector():
    """A collector on loopback."""
    with collecting() as found:
        yield found


@pytest.fixture
def make(collector, monkeypatch):
    """A function that makes traces that go to the collector; those still open at the end are closed."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1")
    made = []

    def begin(ratio=1.0, url=None):
        made.append(OtelTraces(Clock(), collector.url if url is None else url, ratio))
        return made[-1]

    yield begin
    collector.held.set()
    for traces in made:
        traces.close()


@functools.cache
def unsent():
    """Traces of which nothing is sent."""
    return OtelTraces(Clock(), "http://127.0.0.1:1/", 0.5)


def ended(joined, **fields):
    told = {"operation": "GetObject", "bucket": "b", "key": "k", "request_id": "ID", "method": "GET", "scheme": "http"}
    told |= {"host": "localhost:9000", "path": "/b/k", "client": "192.0.2.1", "agent": "boto", "status": 200}
    told |= {"error": "", "torn": "", "received": 0, "sent": 3, "began": 10.0, "ended": 10.5}
    told |= {"ended_ns": 5_000_000_000, "stages": {"signature": 10.1, "handle": 10.3, "send": 10.5}}
    return EndedRequest(joined=joined, **(told | fields))


def outcomes(traces):
    return {labels[0]: count for _, labels, count in traces.samples()}


def dead():
    """The address of a port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1/traces"


def test_a_request_is_a_span_with_its_stages_below(collector, make):
    traces = make()
    joined = traces.begin({})
    traces.add(ended(joined))
    traces.close()
    (span,) = collector.named("S3.GetObject")
    assert span.trace_id == joined.trace_id
    assert (span.kind, span.parent_id, span.failed) == (2, "", False)  # a server's
    assert (span.start, span.end) == (4_500_000_000, 5_000_000_000)
    assert span.attributes == {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "GetObject",
        "aws.s3.bucket": "b",
        "aws.s3.key": "k",
        "aws.request_id": "ID",
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/b/k",
        "server.address": "localhost",
        "server.port": 9000,
        "client.address": "192.0.2.1",
        "user_agent.original": "boto",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": 3,
    }
    assert span.resource["service.name"] == "s3ish"
    stages = collector.stages(span)
    assert [each.name for each in stages] == ["signature", "handle", "send"]
    assert {each.trace_id for each in stages} == {span.trace_id}
    assert stages[0].start == span.start
    assert stages[-1].end == span.end
    assert all(before.end == after.start for before, after in pairwise(stages))


@pytest.mark.parametrize(
    ("fields", "failed"),
    [({"status": 404, "error": "NoSuchKey"}, False), ({"status": 500}, True), ({"torn": "server"}, True)],
)
def test_only_what_is_the_servers_fault_is_an_error(collector, make, fields, failed):
    traces = make()
    traces.add(ended(traces.begin({}), **fields))
    traces.close()
    (span,) = collector.named("S3.GetObject")
    assert span.failed is failed
    assert span.attributes.get("error.type", "") == fields.get("error", "")


def test_the_trace_of_the_caller_is_joined(collector, make):
    traces = make(ratio=0.0)
    joined = traces.begin(PARENT | {"tracestate": "congo=t61,rojo=00f0"})
    assert joined.trace_id == TRACE
    traces.add(ended(joined))
    traces.close()
    (span,) = collector.named("S3.GetObject")
    assert (span.trace_id, span.parent_id, span.state) == (TRACE, CALLER, "congo=t61,rojo=00f0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"00-{TRACE}-{CALLER}",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-more",
        f"00-{TRACE}-{CALLER}-01,00-{TRACE}-{CALLER}-01",  # the header came twice
        f"00-{TRACE}-{CALLER}-01\u2028",
        "00-" * 5000,
    ],
)
def test_what_is_no_traceparent_begins_a_trace(make, text):
    joined = make().begin({"traceparent": text, "tracestate": "congo=t61"})
    assert joined.trace_id != TRACE
    assert joined.parent is None
    assert not joined.context.trace_state


@pytest.mark.parametrize("state", ["", "=", "a" * 9000, ",".join(f"k{n}=v" for n in range(40)), "K\x00=v"])
def test_a_tracestate_that_is_none_is_left_out(collector, make, state):
    traces = make()
    joined = traces.begin(PARENT | {"tracestate": state})
    assert joined.trace_id == TRACE
    traces.add(ended(joined))
    traces.close()
    (span,) = collector.named("S3.GetObject")
    assert span.state == ""


@given(
    parent=st.one_of(st.just(PARENT["traceparent"]), st.text(), st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-.{0,30}")),
    state=st.one_of(st.text(), st.lists(st.text(max_size=20)).map(",".join), st.from_regex(r"(\w+=[^,]*,){0,40}")),
)
def test_no_header_fails_a_request(parent, state):
    joined = unsent().begin({"traceparent": parent, "tracestate": state})
    assert len(joined.trace_id) == 32


def test_the_share_that_is_sampled_is_decided_by_the_caller_or_the_setting(collector, make):
    traces = make(ratio=0.0)
    unsampled = traces.begin({})
    assert len(unsampled.trace_id) == 32  # for the log, all the same
    refused = make(ratio=1.0).begin({"traceparent": f"00-{TRACE}-{CALLER}-00"})
    assert [it.is_sampled for it in (unsampled, refused, traces.begin(PARENT))] == [False, False, True]
    traces.add(ended(unsampled))
    traces.add(ended(refused))
    traces.close()
    assert collector.bodies == []
    half = make(ratio=0.5)
    assert 400 < sum(half.begin({}).is_sampled for _ in range(1000)) < 600


def test_texts_of_clients_are_escaped_and_cut(collector, make):
    traces = make()
    given = {"key": "a\nb\ud800", "path": "/" + "x" * 5000, "agent": "\x1b[2J", "method": "PRI", "host": "h:99999999"}
    traces.add(ended(traces.begin({}), **given))
    traces.close()
    (span,) = collector.named("S3.GetObject")
    assert span.attributes["aws.s3.key"] == "a\\nb\\ud800"
    assert len(span.attributes["url.path"]) == 1024
    assert span.attributes["user_agent.original"] == "\\x1b[2J"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "PRI"
    assert span.attributes["server.address"] == "h:99999999"


def test_a_step_of_a_job_is_a_span_if_it_did_something(collector, make):
    traces = make(ratio=0.0)
    traces.step("scrub", 0.2, failed=False)
    traces.step("sweep", 0.0001, failed=True)
    traces.step("garbage", 0.0001, failed=False)
    traces.close()
    assert [(span.name, span.failed) for span in collector.spans] == [("job scrub", False), ("job sweep", True)]
    assert collector.spans[0].end - collector.spans[0].start == 200_000_000
    assert collector.spans[0].attributes == {"s3ish.job": "scrub"}


def test_spans_are_sent_while_the_server_goes_on(collector, make):
    traces = make()
    traces.add(ended(traces.begin({})))
    collector.named("S3.GetObject")
    wait_until(lambda: outcomes(traces) == {"sent": 1, "failed": 0, "dropped": 0})


def test_a_dead_collector_is_logged_once_and_its_return_too(collector, make):
    collector.status = 503
    traces = make()
    with structlog.testing.capture_logs() as logs:
        for count in (1, 2):
            traces.add(ended(traces.begin({})))
            wait_until(lambda count=count: outcomes(traces)["failed"] == count)
        collector.status = 200
        traces.add(ended(traces.begin({})))
        wait_until(lambda: outcomes(traces)["sent"] == 1)
        traces.close()
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("error", "traces cannot be sent"),
        ("info", "traces are sent again"),
    ]
    assert logs[1]["failed"] == 2


def test_the_log_says_why_without_what_an_address_holds(make):
    traces = make(url=dead() + "?api-key=secret")
    with structlog.testing.capture_logs() as logs:
        traces.add(ended(traces.begin({})))
        wait_until(lambda: outcomes(traces)["failed"] == 1)
    (line,) = logs
    assert "Failed to export" in line["cause"]
    assert "secret" not in str(line)


def test_what_does_not_fit_the_queue_is_dropped_without_waiting(collector, make):
    collector.held.clear()
    traces = make()
    traces.add(ended(traces.begin({})))
    wait_until(lambda: collector.bodies)  # the thread waits for the answer from here on
    for _ in range(module.MOST_WAITING + 3):
        traces.add(ended(traces.begin({})))
    assert outcomes(traces)["dropped"] == 3


def test_the_end_waits_only_a_while_for_a_collector_that_hangs(collector, make, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "60")
    collector.held.clear()
    traces = make()
    traces.add(ended(traces.begin({})))
    wait_until(lambda: collector.bodies)
    traces.close()
    assert outcomes(traces)["sent"] == 0


def test_the_variables_of_opentelemetry_name_service_headers_and_collector(collector, make, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.removesuffix("/v1/traces"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "archive")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    traces = make(url="")
    traces.add(ended(traces.begin({})))
    traces.close()
    (span,) = collector.named("S3.GetObject")
    assert span.resource["service.name"] == "archive"
    assert span.resource["deployment.environment"] == "test"
    assert collector.headers[0]["x-team"] == "blue"
