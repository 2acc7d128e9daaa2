"""Repairing soon what a read has met damaged, without anybody asking.

The queue is this process's own and is lost with it: what it forgets, the scrub finds again.
"""

import asyncio
from contextlib import suppress

import structlog

from s3ish.blob.protocol import BlobError
from s3ish.clock import Clock
from s3ish.jobs.inspection import Finding, Inspector
from s3ish.jobs.inventory import Owned, find
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects.store import Store
from s3ish.observe import Observer

log = structlog.get_logger()

CAPACITY = 10_000
"""How many blobs wait at most; while a whole volume is away every read meets damage."""

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 60.0
"""Before the second attempt; it doubles with each further one."""


class RepairQueue:
    """The blobs that wait for a repair, each once.

    Args:
        clock: tells when an attempt is due.
        observer: shown how many there are.
    """

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock, self._observer = clock, observer
        self._waiting: dict[str, tuple[float, int]] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, ref: BlobRef) -> None:
        """Ask for a repair as soon as possible. Nothing happens if the blob waits already, or too many do."""
        if ref.id not in self._waiting and len(self._waiting) < CAPACITY:
            self._put(ref.id, self._clock.monotonic(), 0)

    async def next(self) -> str:
        """Return the id of a blob that is due, as soon as there is one. It stays in the queue."""
        while True:
            self._arrived.clear()
            blob, (due, _) = min(self._waiting.items(), key=lambda item: item[1][0], default=("", (0.0, 0)))
            seconds = due - self._clock.monotonic() if blob else None
            if seconds is not None and seconds <= 0:
                return blob
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()

    def done(self, blob: str) -> None:
        """Take a blob off the queue."""
        self._waiting.pop(blob, None)
        self._observer.repairs_waiting(len(self._waiting))

    def later(self, blob: str, attempts: int = ATTEMPTS) -> bool:
        """Try again after a pause. Returns False if there were attempts enough: it is off the queue then."""
        tried = self._waiting[blob][1] + 1
        if tried >= attempts:
            self.done(blob)
            return False
        self._put(blob, self._clock.monotonic() + FIRST_PAUSE_SECONDS * 2 ** (tried - 1), tried)
        return True

    def _put(self, blob: str, due: float, tried: int) -> None:
        self._waiting[blob] = due, tried
        self._arrived.set()
        self._observer.repairs_waiting(len(self._waiting))


class RepairJob:
    """Repairs what is in the queue, one blob after the other. A step waits until there is something to do."""

    name = "repair"

    def __init__(self, store: Store, queue: RepairQueue, observer: Observer) -> None:
        self._store, self._queue, self._observer = store, queue, observer
        self._inspector = Inspector(store, repair=True, settled=False)

    async def step(self) -> Step:
        """Repair the blob that is due next."""
        blob = await self._queue.next()
        try:
            item = await find(self._store, blob)
            if item is None:  # removed, or sealed and about to be committed
                self._queue.later(blob, attempts=2)
            elif await self._repair(item):
                self._queue.done(blob)
            elif not self._queue.later(blob):
                log.warning("repair given up; the scrub will come back to it", name=item.name)
        except Exception:
            self._queue.later(blob)  # then the runner tells of it
            raise
        return Step(more=True)

    async def _repair(self, item: Owned) -> bool:
        """Repair a blob. Returns whether it is whole now."""
        try:
            finding = await self._inspector.look(item)
        except BlobError as error:
            finding = Finding(item.name, (str(error),), "damaged")
        if finding is None:
            return True
        self._observer.finding(finding.name, finding.problems, finding.state)
        return finding.state == "repaired"
