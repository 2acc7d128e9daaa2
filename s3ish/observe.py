"""What operators see of requests: a few metrics and a log line for each; and the metrics of everything else.

Every metric is declared here and nowhere else.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from s3ish import __version__
from s3ish.logs import RequestLine, RequestLog

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Observer:
    """The metrics of one process.

    Args:
        shared: whether several processes serve, whose metrics are added up.
        log: where the lines of requests go.
    """

    def __init__(self, *, shared: bool = False, log: RequestLog | None = None) -> None:
        self._shared = shared
        self._request_log = log or RequestLog()
        self._lines: list[RequestLine] = []
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
        self._volumes = Gauge(
            "s3ish_volume_ok",
            "1 for a volume that is read and written, else 0.",
            ["volume"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._states: dict[int, str] = {}
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
        """Count and log one request, together with the others that end in the same turn of the event loop.

        Args:
            seconds: its duration.
            received, sent: its body bytes.
        """
        self._lines.append(RequestLine(operation, bucket, status, received, sent, round(seconds, 6), user, request_id))
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:  # no event loop
                self.flush()

    def flush(self) -> None:
        """Count and log the requests that have ended."""
        lines, self._lines = self._lines, []
        received = sent = 0
        for line in lines:
            bound = self._bound.get((line.operation, line.status))
            if bound is None:
                bound = (self._requests.labels(line.operation, str(line.status)), self._seconds.labels(line.operation))
                self._bound[line.operation, line.status] = bound
            bound[0].inc()
            bound[1].observe(line.seconds)
            received += line.received
            sent += line.sent
        self._received.inc(received)
        self._sent.inc(sent)
        self._request_log.write(lines)

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

    def volume(self, position: int, state: str) -> None:
        """Show and log the state of a volume, "ok" or what is wrong."""
        before, self._states[position] = self._states.get(position, "ok"), state
        self._volumes.labels(position).set(state == "ok")
        if state != before:
            (self._log.warning if state == "ok" else self._log.error)("volume", volume=position, state=state)

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
            _forget_dead_workers(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return CONTENT_TYPE_LATEST, generate_latest(registry)
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


def _forget_dead_workers(directory: Path) -> None:
    """Remove what workers that died told of themselves; what they counted stays."""
    for file in directory.glob("gauge_live*.db"):
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(process, str(directory))  # type: ignore[no-untyped-call]
