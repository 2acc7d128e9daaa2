"""The metrics, each declared here and nowhere else, and their text.

Imported when they are shown, or something that happens seldom is counted: prometheus-client takes a tenth of the time
of a start.

https://prometheus.github.io/client_python/multiprocess/
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from s3ish import __version__
from s3ish.observe.families import FAMILIES, Family, Sample
from s3ish.observe.tally import Tally


class Metrics:
    """The metrics of one process.

    Args:
        shared: whether several processes serve, whose metrics are added up.
    """

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        registry = None if shared else self._registry
        self.damage = Counter(
            "s3ish_damage", "Damaged or missing shards and sidecars that were met.", registry=registry
        )
        self.repaired = Counter("s3ish_repaired", "Damaged blobs that were repaired.", registry=registry)
        self.unrepaired = Counter(
            "s3ish_unrepaired", "Times that a damaged blob could not be repaired.", registry=registry
        )
        self.waiting = Gauge(
            "s3ish_repairs_waiting", "Blobs that wait for a repair.", registry=registry, multiprocess_mode="livesum"
        )
        self.volumes = Gauge(
            "s3ish_volume_ok",
            "1 for a volume that is read and written, else 0.",
            ["volume"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.scrub = Gauge(
            "s3ish_scrub_progress_ratio",
            "How much of the store the current pass of the scrub has verified.",
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self.scrubbed = Counter("s3ish_scrubbed_bytes", "Bytes of objects that the scrub verified.", registry=registry)
        self.passes = Counter("s3ish_scrub_passes", "Passes of the scrub that came to their end.", registry=registry)
        self._events(registry)
        self._replication(registry)
        self._sampled = {family.name: _Sampled(family, registry) for family in FAMILIES}
        self.info = Gauge(
            "s3ish_build_info", "The release.", ["version"], registry=registry, multiprocess_mode="livemax"
        )
        self.info.labels(__version__).set(1)

    def _replication(self, registry: CollectorRegistry | None) -> None:
        self.replicated = Counter(
            "s3ish_replicated", "Versions that a destination has taken.", ["destination"], registry=registry
        )
        self.replicated_bytes = Counter(
            "s3ish_replicated_bytes",
            "Bytes of versions that a destination has taken.",
            ["destination"],
            registry=registry,
        )
        self.replication_failed = Counter(
            "s3ish_replication_failed",
            "Times that a destination has not taken a version.",
            ["destination"],
            registry=registry,
        )
        self.replication_age = Gauge(
            "s3ish_replication_oldest_seconds",
            "For how long the oldest version has been waiting for its replicas.",
            registry=registry,
            multiprocess_mode="livemostrecent",
        )

        self.sendings_waiting = Gauge(
            "s3ish_replication_target_waiting",
            "Versions that wait for another server.",
            ["destination"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self.oldest_sending = Gauge(
            "s3ish_replication_target_oldest_seconds",
            "For how long the oldest version has been waiting for another server.",
            ["destination"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )

    def _events(self, registry: CollectorRegistry | None) -> None:
        """Make the metrics of events on their way to targets."""

        def count(name: str, text: str) -> Counter:
            return Counter(name, text, ["target"], registry=registry)

        def show(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["target"], registry=registry, multiprocess_mode="livemostrecent")

        self.events_delivered = count("s3ish_events_delivered", "Events that a target has taken.")
        self.events_failed = count("s3ish_events_failed", "Attempts to deliver events that failed.")
        self.events_dropped = count("s3ish_events_dropped", "Events that were given up: too many waited.")
        self.events_waiting = show("s3ish_events_waiting", "Events that wait for a target.")
        self.oldest_event = show("s3ish_events_oldest_seconds", "For how long the first event has waited.")

    def put(self, sample: Sample) -> None:
        """Show what a part of this process has counted."""
        name, labels, value = sample
        self._sampled[name].put(labels, value)

    def render(self, buckets: Iterable[tuple[str, int, int]] = ()) -> tuple[str, bytes]:
        """Return the content type and text of all metrics.

        Args:
            buckets: the name, bytes and objects of those that are shown.
        """
        registry = CollectorRegistry()
        registry.register(_Holdings(buckets))
        own = self._registry
        if self._shared:
            _forget_dead_workers(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
            own = CollectorRegistry()
            multiprocess.MultiProcessCollector(own)  # type: ignore[no-untyped-call]
        return CONTENT_TYPE_LATEST, generate_latest(own) + generate_latest(registry)


class _Sampled:
    """A metric of a family, which is brought up to what was counted elsewhere."""

    def __init__(self, family: Family, registry: CollectorRegistry | None) -> None:
        name = f"s3ish_{family.name}"
        self._metric: Any
        if family.kind == "counter":
            self._metric = Counter(name, family.help, family.labels, registry=registry)
        elif family.kind == "gauge":
            across: Any = family.across
            self._metric = Gauge(name, family.help, family.labels, registry=registry, multiprocess_mode=across)
        else:
            self._metric = Histogram(name, family.help, family.labels, registry=registry, buckets=family.bounds)
        self._family, self._children = family, dict[tuple[str, ...], Any]()
        self._seen: dict[tuple[str, ...], float] = {}
        self._seen_counts: dict[tuple[str, ...], list[int]] = {}

    def put(self, labels: tuple[str, ...], value: float | Tally) -> None:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels) if labels else self._metric
        if isinstance(value, Tally):
            self._add(child, labels, value)
        elif self._family.kind == "gauge":
            child.set(value)
        elif value > (seen := self._seen.get(labels, 0)):
            child.inc(value - seen)
            self._seen[labels] = value

    def _add(self, child: Any, labels: tuple[str, ...], tally: Tally) -> None:
        """Add what is new of a tally at once; the library itself adds amounts one by one."""
        counts, total = list(tally.counts), tally.total
        seen = self._seen_counts.get(labels) or [0] * len(counts)
        for bucket, count, before in zip(child._buckets, counts, seen, strict=True):  # noqa: SLF001
            if count != before:
                bucket.inc(count - before)
        if total != self._seen.get(labels, 0.0):
            child._sum.inc(total - self._seen.get(labels, 0.0))  # noqa: SLF001
        self._seen_counts[labels], self._seen[labels] = counts, total


class _Holdings(Collector):
    """What buckets hold: the index counts it for all processes, so that none keeps it."""

    def __init__(self, buckets: Iterable[tuple[str, int, int]]) -> None:
        self._buckets = list(buckets)

    def collect(self) -> Iterable[Metric]:
        size = GaugeMetricFamily("s3ish_bucket_bytes", "Bytes of all versions in a bucket.", labels=["bucket"])
        objects = GaugeMetricFamily("s3ish_bucket_objects", "Current objects in a bucket.", labels=["bucket"])
        for name, held, count in self._buckets:
            size.add_metric([name], held)
            objects.add_metric([name], count)
        return size, objects


def _forget_dead_workers(directory: Path) -> None:
    """Remove what workers that died told of themselves; what they counted stays."""
    for file in directory.glob("gauge_live*.db"):
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(process, str(directory))  # type: ignore[no-untyped-call]
