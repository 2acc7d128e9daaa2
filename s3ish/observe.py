"""What operators see: one structured log line and a few metrics for every request.

Every metric is declared here and nowhere else. Values in log lines are clipped and stripped of control characters, so
that one request is one line whatever its key is called. Secrets never come here.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from s3ish import __version__

_MAX_VALUE = 1024
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)

_encoder = msgspec.json.Encoder(enc_hook=str)


class Observer:
    """The metrics of one process.

    Args:
        shared: whether several processes serve, whose metrics are added up.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        registry = None if shared else self._registry
        self._requests = Counter(
            "s3ish_requests", "Requests by operation and status.", ["operation", "status"], registry=registry
        )
        self._seconds = Histogram(
            "s3ish_request_duration_seconds", "Time to answer.", ["operation"], registry=registry, buckets=_BUCKETS
        )
        self._received = Counter("s3ish_received_bytes", "Body bytes received.", registry=registry)
        self._sent = Counter("s3ish_sent_bytes", "Body bytes sent.", registry=registry)
        self._damage = Counter(
            "s3ish_damage", "Damaged or missing shards and sidecars that were met.", registry=registry
        )
        self._repaired = Counter("s3ish_repaired", "Damaged blobs that were repaired.", registry=registry)
        self._unrepaired = Counter(
            "s3ish_unrepaired", "Times that a damaged blob could not be repaired.", registry=registry
        )
        self._waiting = Gauge(
            "s3ish_repairs_waiting", "Blobs that wait for a repair.", registry=registry, multiprocess_mode="livesum"
        )
        self._scrub = Gauge(
            "s3ish_scrub_progress_ratio",
            "How much of the store the current pass of the scrub has verified.",
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._scrubbed = Counter("s3ish_scrubbed_bytes", "Bytes of objects that the scrub verified.", registry=registry)
        self._passes = Counter("s3ish_scrub_passes", "Passes of the scrub that came to their end.", registry=registry)
        self._info = Gauge(
            "s3ish_build_info", "The release.", ["version"], registry=registry, multiprocess_mode="livemax"
        )
        self._info.labels(__version__).set(1)
        self._bound: dict[tuple[str, int], Any] = {}
        self._log = structlog.get_logger().bind()  # bound once: the lazy proxy costs microseconds a call

    def request(
        self,
        *,
        operation: str,
        bucket: str,
        status: int,
        received: int,
        sent: int,
        seconds: float,
        user: str,
        request_id: str,
    ) -> None:
        """Count and log one request; ``seconds`` is its duration, ``received`` and ``sent`` are body bytes."""
        bound = self._bound.get((operation, status))
        if bound is None:
            bound = (self._requests.labels(operation, str(status)), self._seconds.labels(operation))
            self._bound[operation, status] = bound
        bound[0].inc()
        bound[1].observe(seconds)
        if received:
            self._received.inc(received)
        if sent:
            self._sent.inc(sent)
        self._log.info(
            "request",
            operation=operation,
            bucket=bucket,
            status=status,
            received=received,
            sent=sent,
            seconds=round(seconds, 6),
            user=user,
            request_id=request_id,
        )

    def damage(self, blob: str, files: tuple[str, ...]) -> None:
        """Count and log damaged files of a blob."""
        self._damage.inc(len(files))
        self._log.error("damage", blob=blob, files=list(files))

    def finding(self, name: str, problems: tuple[str, ...], state: str) -> None:
        """Count and log what became of a damaged blob; ``name`` says whose it is."""
        if state == "repaired":
            self._repaired.inc()
            self._log.warning("repaired", name=name, problems=list(problems))
        else:
            self._unrepaired.inc()
            self._log.error("not repaired", name=name, problems=list(problems), state=state)

    def repairs_waiting(self, count: int) -> None:
        """Show how many blobs wait for a repair."""
        self._waiting.set(count)

    def scrubbed(self, size: int) -> None:
        """Count the bytes of an object that the scrub has verified."""
        self._scrubbed.inc(size)

    def scrub_progress(self, ratio: float) -> None:
        """Show how far the pass of the scrub is, from 0 to 1."""
        self._scrub.set(ratio)

    def scrub_passed(self) -> None:
        """Count a pass of the scrub that has come to its end."""
        self._passes.inc()

    def render(self) -> tuple[str, bytes]:
        """Return the content type and text of all metrics."""
        if self._shared:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return CONTENT_TYPE_LATEST, generate_latest(registry)
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


def _clean(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clip texts and escape what could break a line or a terminal."""
    for name, value in event.items():
        if isinstance(value, str) and (len(value) > _MAX_VALUE or not value.isprintable()):
            clipped = value[: _MAX_VALUE * 8] if name == "exception" else value[:_MAX_VALUE]
            event[name] = "".join(
                character
                if character.isprintable() or (name == "exception" and character == "\n")
                else character.encode("unicode_escape").decode()
                for character in clipped
            )
    return event


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encoder.encode(event)


def set_up_logs(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Configure structlog for this process, and send what libraries log through it."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: Any = _as_json if as_json else structlog.dev.ConsoleRenderer()
    factory: Any = (
        structlog.BytesLoggerFactory(sys.stderr.buffer) if as_json else structlog.PrintLoggerFactory(sys.stderr)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _clean,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


class _Forward(logging.Handler):
    """Sends records of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )
