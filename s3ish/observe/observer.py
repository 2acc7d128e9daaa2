"""What operators see of requests and of everything else: the metrics, and lines of the log."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from s3ish.batching import TurnBatch
from s3ish.observe.audit import AuditLog
from s3ish.observe.families import Sample, Source
from s3ish.observe.lines import RequestLine
from s3ish.observe.logs import RequestLog
from s3ish.observe.refusals import Refusals
from s3ish.observe.requests import NO_STAGES, RequestTallies, Stages
from s3ish.observe.spans import Traces

if TYPE_CHECKING:
    from s3ish.observe.metrics import Metrics

SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of the environment that names where the processes of a server meet to observe."""
_MOST_DESTINATIONS = 1000
"""Of so many buckets of this server replicas have a label of their own: callers can make any number of buckets."""
_MOST_LINES = 1024
"""So many requests are logged at once."""


class Observer:
    """Counts and logs what happens in one process.

    Args:
        shared: whether several processes serve, whose metrics are added up.
        log: where the lines of requests go.
        audit: where it is written down who did what; None if that is not wanted.
        slow_seconds: a request that takes longer is logged with its stages; 0 for none.
        traces: where spans go; None if they are not wanted.
    """

    def __init__(
        self,
        *,
        shared: bool = False,
        log: RequestLog | None = None,
        audit: AuditLog | None = None,
        slow_seconds: float = 0.0,
        traces: Traces | None = None,
    ) -> None:
        self._shared = shared
        self.audit = audit
        self.traces = traces
        self.requests = RequestTallies(slow_seconds)
        self._destinations: set[str] = set()
        self._job_steps: Counter[str] = Counter()
        self._job_failures: Counter[str] = Counter()
        self._job_seconds: defaultdict[str, float] = defaultdict(float)
        self._sources: list[Source] = [self.requests.samples, self._jobs]
        self._request_log = log or RequestLog()
        self._lines = TurnBatch(self._request_log.write, _MOST_LINES)
        if traces:
            self._sources.append(traces.samples)
        self._states: dict[int, str] = {}
        self._log = structlog.get_logger().bind()  # bound once: the lazy proxy costs microseconds a call

    @cached_property
    def refusals(self) -> Refusals:
        """Why requests were refused not long ago, in any process that serves."""
        return Refusals(Path(os.environ[SHARED_DIRECTORY]) if self._shared else None)

    @cached_property
    def _metrics(self) -> "Metrics":
        from s3ish.observe.metrics import Metrics

        metrics = Metrics(shared=self._shared)
        for position, state in self._states.items():
            metrics.volumes.labels(position).set(state == "ok")
        return metrics

    def request(self, line: RequestLine, stages: Stages = NO_STAGES, started: float = 0.0) -> None:
        """Count and log one request, together with the others that end in the same turn of the event loop.

        Args:
            stages: that it has been through; ``started`` is when the first of them began.
        """
        self.requests.add(line, stages, started)
        self._lines.add(line)

    def watch(self, source: Source) -> None:
        """Show what a part of the process counts by itself."""
        self._sources.append(source)

    def sample(self) -> None:
        """Take over what the parts of the process have counted: other processes see it from then on."""
        for source in self._sources:
            for sample in source():
                self._metrics.put(sample)

    def flush(self) -> None:
        """Log the requests that have ended."""
        self._lines.flush()

    def close(self) -> None:
        """Write down what waits: the last requests have ended."""
        self.flush()
        if self.traces:
            self.traces.close()
        if self._shared:
            self.sample()
        if self.audit:
            self.audit.close()

    def damage(self, blob: str, files: tuple[str, ...]) -> None:
        """Count and log damaged files of a blob."""
        self._metrics.damage.inc(len(files))
        self._log.error("damage", blob=blob, files=list(files))

    def finding(self, name: str, problems: tuple[str, ...], state: str) -> None:
        """Count and log what became of a damaged blob; ``name`` says whose it is."""
        if state == "repaired":
            self._metrics.repaired.inc()
            self._log.warning("repaired", name=name, problems=list(problems))
        else:
            self._metrics.unrepaired.inc()
            self._log.error("not repaired", name=name, problems=list(problems), state=state)

    def repairs_waiting(self, count: int) -> None:
        """Show how many blobs wait for a repair."""
        self._metrics.waiting.set(count)

    def volume(self, position: int, state: str) -> None:
        """Show and log the state of a volume, "ok" or what is wrong."""
        before, self._states[position] = self._states.get(position, "ok"), state
        if "_metrics" in vars(self):  # else they are told when they are made
            self._metrics.volumes.labels(position).set(state == "ok")
        if state != before:
            (self._log.warning if state == "ok" else self._log.error)("volume", volume=position, state=state)

    def replicated(self, destination: str, size: int) -> None:
        """Count a version that a destination has taken, and its bytes."""
        label = self._label(destination)
        self._metrics.replicated.labels(label).inc()
        self._metrics.replicated_bytes.labels(label).inc(size)

    def replication_failed(self, destination: str) -> None:
        """Count a version that a destination has not taken."""
        self._metrics.replication_failed.labels(self._label(destination)).inc()

    def _label(self, destination: str) -> str:
        """Return what metrics call a destination: empty for buckets of this server beyond those that are shown."""
        if destination.startswith("arn:"):
            return destination
        if len(self._destinations) < _MOST_DESTINATIONS:
            self._destinations.add(destination)
        return destination if destination in self._destinations else ""

    def replication_age(self, seconds: float) -> None:
        """Show for how long the oldest version has been waiting for its replicas."""
        self._metrics.replication_age.set(seconds)

    def sendings_waiting(self, destination: str, count: int) -> None:
        """Show how many versions wait for another server."""
        self._metrics.sendings_waiting.labels(destination).set(count)

    def oldest_sending(self, destination: str, seconds: float) -> None:
        """Show for how long the oldest of them has been waiting."""
        self._metrics.oldest_sending.labels(destination).set(seconds)

    def scrubbed(self, size: int) -> None:
        """Count the bytes of an object that the scrub has verified."""
        self._metrics.scrubbed.inc(size)

    def scrub_progress(self, ratio: float) -> None:
        """Show how far the pass of the scrub is, from 0 to 1."""
        self._metrics.scrub.set(ratio)

    def scrub_passed(self) -> None:
        """Count a pass of the scrub that has come to its end."""
        self._metrics.passes.inc()

    def events_delivered(self, target: str, count: int) -> None:
        """Count events that a target has taken."""
        self._metrics.events_delivered.labels(target).inc(count)

    def events_failed(self, target: str, count: int) -> None:
        """Count attempts to deliver events that failed."""
        self._metrics.events_failed.labels(target).inc(count)

    def events_dropped(self, target: str, count: int) -> None:
        """Count events that were given up."""
        self._metrics.events_dropped.labels(target).inc(count)

    def events_waiting(self, target: str, count: int) -> None:
        """Show how many events wait for a target."""
        self._metrics.events_waiting.labels(target).set(count)

    def oldest_event(self, target: str, seconds: float) -> None:
        """Show for how long the first event has waited for a target."""
        self._metrics.oldest_event.labels(target).set(seconds)

    def job_step(self, job: str, seconds: float, *, failed: bool) -> None:
        """Count a step of a background job."""
        self._job_steps[job] += 1
        self._job_seconds[job] += seconds
        self._job_failures[job] += failed
        if self.traces:
            self.traces.step(job, seconds, failed=failed)

    def _jobs(self) -> Iterator[Sample]:
        """See ``Source``."""
        yield from (("job_steps", (job,), count) for job, count in self._job_steps.items())
        yield from (("job_seconds", (job,), seconds) for job, seconds in self._job_seconds.items())
        yield from (("job_failures", (job,), count) for job, count in self._job_failures.items())

    def render(self, buckets: Iterable[tuple[str, int, int]] = ()) -> tuple[str, bytes]:
        """Return the content type and text of all metrics; of ``buckets`` name, bytes and objects are shown."""
        self.sample()
        return self._metrics.render(buckets)
