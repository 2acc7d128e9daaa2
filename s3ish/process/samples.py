"""What is shown of a worker beside its requests: its store, its connections, the process itself."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from s3ish.blob.erasure.store import ErasureStore
from s3ish.blob.protocol import BlobError
from s3ish.clock import Clock
from s3ish.http.tally import connection_tally
from s3ish.index.protocol import Monitor
from s3ish.objects.store import Store
from s3ish.observe.families import Sample
from s3ish.observe.observer import Observer
from s3ish.observe.process import process_samples
from s3ish.observe.tally import COUNTS, Stopwatch, Tally

SAMPLE_SECONDS = 1.0
"""How often a worker shows the others what it has counted."""
_SPACE_SAMPLES = 10
"""After so many samples the volumes are asked again how much space they have."""


class TransactionTally:
    """A monitor of the index that counts, before another one.

    Args:
        monitor: the other one.
        clock: tells how long transactions take.
    """

    def __init__(self, monitor: Monitor, clock: Clock) -> None:
        self._monitor, self._begun = monitor, 0.0
        self._seconds, self._sizes = Stopwatch(clock), Tally(COUNTS)
        self._commits = self._conflicts = self._failures = 0

    def begin(self, commits: int) -> None:
        """See ``Monitor``."""
        self._begun = self._seconds.begin()
        self._commits += commits
        self._sizes.add(commits)
        self._monitor.begin(commits)

    def end(self, conflicts: int, failures: int) -> None:
        """See ``Monitor``."""
        self._seconds.end(self._begun)
        self._conflicts += conflicts
        self._failures += failures
        self._monitor.end(conflicts, failures)

    def fail(self, *, damaged: bool) -> None:
        """See ``Monitor``."""
        self._monitor.fail(damaged=damaged)

    def samples(self) -> Iterator[Sample]:
        """See ``Source``."""
        yield "index_commits", (), self._commits
        yield "index_conflicts", (), self._conflicts
        yield "index_failures", (), self._failures
        yield "index_transaction_seconds", (), self._seconds
        yield "index_transaction_commits", (), self._sizes


class Samples:
    """The samples of a worker.

    Args:
        observer: that shows them.
        shared: whether other workers show what this one has counted, too.
        store: what it serves.
        transactions: the monitor of its index.
    """

    def __init__(self, observer: Observer, store: Store, transactions: TransactionTally, *, shared: bool) -> None:
        self._observer, self._store, self._shared = observer, store, shared
        self._delays, self._space = Tally(), dict[str, tuple[int, int, int]]()
        self._taken = 0
        sources = [transactions.samples, connection_tally.samples, store.room.samples, store.offload.samples]
        counted = getattr(store.index, "samples", None)
        if counted:
            sources.append(counted)
        if isinstance(store.blobs, ErasureStore):
            for volume in store.blobs.volumes.present:
                volume.flushes = Stopwatch(store.clock)
            sources.append(store.blobs.core.samples)
        for source in (*sources, self._own, process_samples):
            observer.watch(source)

    async def take(self) -> None:
        """Take a sample: of the event loop, now and then of the drives, and of all for the other workers."""
        begun = self._store.clock.monotonic()
        await asyncio.sleep(0)
        self._delays.add(self._store.clock.monotonic() - begun)
        if self._taken % _SPACE_SAMPLES == 0:
            await self._look_at_volumes()
        self._taken += 1
        if self._shared:
            self._observer.sample()

    async def _look_at_volumes(self) -> None:
        if isinstance(self._store.blobs, ErasureStore):
            for volume in self._store.blobs.volumes.present:
                with suppress(BlobError):
                    self._space[str(volume.position)] = await self._store.blobs.core.run(volume.space)

    def _own(self) -> Iterator[Sample]:
        for volume, (size, free, inodes) in self._space.items():
            yield "volume_size_bytes", (volume,), size
            yield "volume_free_bytes", (volume,), free
            yield "volume_free_inodes", (volume,), inodes
        yield "event_loop_delay_seconds", (), self._delays
