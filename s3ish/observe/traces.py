"""Spans of requests and of the steps of jobs, sent to an OpenTelemetry collector over HTTP: the extra ``s3ish[otel]``.

A request costs the event loop a look at its headers and a place in a queue. A thread makes the spans and sends them;
while it cannot, the queue fills, and what finds it full is lost. Nothing waits for a collector.

The names of attributes are those of OpenTelemetry's semantic conventions for HTTP, RPC and S3.
"""

import logging
import re
from collections import deque
from collections.abc import Iterator, Mapping
from threading import Event
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from s3ish import __version__
from s3ish.clock import Clock
from s3ish.observe.families import Sample
from s3ish.observe.lines import printable
from s3ish.observe.spans import EndedRequest, EndedStep, Joined
from s3ish.threads import OwnThread

log = structlog.get_logger()

MOST_WAITING = 4096
"""Requests and steps that wait to be sent; those beyond are lost."""
_MOST_AT_ONCE = 32
_RESTS, _LONGEST_REST_SECONDS = 2.0, 0.05
"""After what is sent at once the thread rests for so many times as long as that took: requests need the interpreter."""
_EVERY_SECONDS = 1.0
"""How long spans wait for others to be sent with them."""
CLOSE_SECONDS = 3.0
"""How long the end of a process waits for the collector."""
STEP_SECONDS = 0.05
"""A step of a job that took less, and did not fail, found nothing to do and has no span."""
_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))
_SAMPLED, _NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)
_PORT = re.compile(r"(.+):([0-9]{1,5})", re.ASCII)
_QUERY = re.compile(r"\?\S*")


class OtelTraces:
    """Makes and sends spans. See ``Traces``.

    Args:
        clock: gives time and ids.
        endpoint: the collector's address for spans; empty: the variables ``OTEL_EXPORTER_OTLP_*`` say it.
        sample_ratio: the share of requests without a sampled parent that are traced, from 0 to 1.
    """

    def __init__(self, clock: Clock, endpoint: str, sample_ratio: float) -> None:
        self._clock = clock
        self._reasons = _Reasons()
        self._exporter = OTLPSpanExporter(endpoint=endpoint or None)
        self._format = TraceContextTextMapPropagator()
        self._sampler = ParentBased(TraceIdRatioBased(sample_ratio))
        self._resource = _resource(clock.token())
        self._scope = InstrumentationScope("s3ish", __version__)
        self._waiting: deque[EndedRequest | EndedStep] = deque()
        self._wake, self._closing, self._sent = Event(), Event(), Event()
        self._thread: OwnThread | None = None
        self._fails = False
        self._counts = {"sent": 0, "failed": 0, "dropped": 0}

    def begin(self, headers: Mapping[str, str]) -> Joined:
        """See ``Traces.begin``."""
        parent, around = None, None
        if "traceparent" in headers:
            around = self._format.extract(headers)
            found = get_current_span(around).get_span_context()
            parent = found if found.is_valid else None
        trace_id = parent.trace_id if parent else self._new_id(16)
        sampled = self._sampler.should_sample(around, trace_id, "").decision is Decision.RECORD_AND_SAMPLE
        flags = _SAMPLED if sampled else _NOT_SAMPLED
        state = parent.trace_state if parent else None
        context = SpanContext(trace_id, self._new_id(8), is_remote=False, trace_flags=flags, trace_state=state)
        return Joined(f"{trace_id:032x}", sampled, context, parent)

    def add(self, ended: EndedRequest) -> None:
        """See ``Traces.add``."""
        if ended.joined.is_sampled:
            self._put(ended)

    def step(self, job: str, seconds: float, *, failed: bool) -> None:
        """See ``Traces.step``."""
        if failed or seconds >= STEP_SECONDS:
            self._put(EndedStep(job, seconds, self._clock.now_ns(), failed))

    def close(self) -> None:
        """See ``Traces.close``."""
        self._closing.set()
        self._wake.set()
        if self._thread:
            self._sent.wait(CLOSE_SECONDS)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def samples(self) -> Iterator[Sample]:
        """See ``Source``."""
        yield from (("trace_records", (outcome,), count) for outcome, count in self._counts.items())

    def _put(self, ended: EndedRequest | EndedStep) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._counts["dropped"] += 1
            return
        self._waiting.append(ended)
        if self._thread is None:
            self._thread = OwnThread("traces", self._run)
        if len(self._waiting) == _MOST_AT_ONCE:
            self._wake.set()

    def _run(self) -> None:
        """Send, until the process ends and there is nothing more, or the collector does not take it."""
        while not self._closing.is_set():
            self._wake.wait(_EVERY_SECONDS)
            self._wake.clear()
            while self._waiting and not self._closing.is_set():
                began = self._clock.monotonic()
                self._send()
                took = self._clock.monotonic() - began
                self._closing.wait(min(_RESTS * took, _LONGEST_REST_SECONDS))
        while self._waiting and self._send():
            pass
        self._sent.set()

    def _send(self) -> bool:
        """Send some spans; return whether the collector took them."""
        some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
        try:
            spans = [span for ended in some for span in self._spans(ended)]
            taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:
            log.exception("spans cannot be made")
            taken = False
        self._counts["sent" if taken else "failed"] += len(some)
        if taken and self._fails:
            log.info("traces are sent again", failed=self._counts["failed"], dropped=self._counts["dropped"])
        if not taken and not self._fails:
            log.error("traces cannot be sent", cause=self._reasons.last)
        self._fails = not taken
        return taken

    def _spans(self, ended: EndedRequest | EndedStep) -> Iterator[ReadableSpan]:
        """Yield the spans of what has ended, those of its stages after its own."""
        if isinstance(ended, EndedStep):
            yield self._of_step(ended)
            return

        def at(moment: float) -> int:
            return ended.ended_ns - int((ended.ended - moment) * 1e9)

        own = ended.joined.context
        yield self._span(
            f"S3.{printable(ended.operation)}",
            own,
            ended.joined.parent,
            (at(ended.began), ended.ended_ns),
            kind=SpanKind.SERVER,
            attributes=_attributes(ended),
            failed=ended.status >= 500 or ended.torn == "server",
        )
        before = ended.began
        for name, moment in ended.stages.items():
            stage = SpanContext(own.trace_id, self._new_id(8), is_remote=False, trace_flags=_SAMPLED)
            yield self._span(name, stage, own, (at(before), at(moment)))
            before = moment

    def _of_step(self, ended: EndedStep) -> ReadableSpan:
        context = SpanContext(self._new_id(16), self._new_id(8), is_remote=False, trace_flags=_SAMPLED)
        times = (ended.ended_ns - int(ended.seconds * 1e9), ended.ended_ns)
        attributes = {"s3ish.job": ended.job}
        return self._span(f"job {ended.job}", context, None, times, attributes=attributes, failed=ended.failed)

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        times: tuple[int, int],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        failed: bool = False,
    ) -> ReadableSpan:
        """Return a span that lasted from one moment to another, in nanoseconds since the epoch."""
        return ReadableSpan(
            name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=attributes or {},
            kind=kind,
            status=Status(StatusCode.ERROR) if failed else Status(StatusCode.UNSET),
            start_time=times[0],
            end_time=times[1],
            instrumentation_scope=self._scope,
        )

    def _new_id(self, count: int) -> int:
        return int.from_bytes(self._clock.random_bytes(count)) or 1


class _Reasons(logging.Handler):
    """Keeps what the exporter logged last: its results do not say why. Nothing else that the library logs is of use."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry.exporter").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message, without the queries of addresses."""
        self.last = _QUERY.sub("", record.getMessage())


def _resource(instance: str) -> Resource:
    """Return what all spans say about this process; the variables ``OTEL_SERVICE_NAME`` and the like go first."""
    given = Resource.create({})
    own = {"service.version": __version__, "service.instance.id": instance}
    if str(given.attributes.get("service.name", "")).startswith("unknown_service"):
        own["service.name"] = "s3ish"
    return given.merge(Resource(own))


def _attributes(ended: EndedRequest) -> dict[str, Any]:
    """Return the attributes of the span of a request: nothing secret, and of each text at most its begin."""
    host, port = ended.host, ""
    if match := _PORT.fullmatch(host):
        host, port = match.groups()
    texts = {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": ended.operation,
        "aws.s3.bucket": ended.bucket,
        "aws.s3.key": ended.key,
        "aws.request_id": ended.request_id,
        "http.request.method": ended.method if ended.method in _METHODS else "_OTHER",
        "http.request.method_original": "" if ended.method in _METHODS else ended.method,
        "url.scheme": ended.scheme,
        "url.path": ended.path,
        "server.address": host,
        "client.address": ended.client,
        "user_agent.original": ended.agent,
        "error.type": ended.error,
    }
    numbers = {
        "http.response.status_code": ended.status,
        "http.request.body.size": ended.received,
        "http.response.body.size": ended.sent,
    }
    if port:
        numbers["server.port"] = int(port)
    return {name: printable(text) for name, text in texts.items() if text} | numbers
