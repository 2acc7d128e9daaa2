"""Repairing soon what a read has met damaged, without anybody asking.

The queue is this process's own and is lost with it: what it forgets, the scrub finds again.
"""

import asyncio
from contextlib import suppress

import structlog

from s3ish.blob.protocol import BlobError
from s3ish.clock import Clock
from s3ish.index.protocol import RowIs
from s3ish.integrity.inspect import Finding, Inspector
from s3ish.integrity.named_blobs import BrokenRow, find
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.tables.table import Named

log = structlog.get_logger()

CAPACITY = 10_000
"""How many blobs wait at most; while a whole volume is away every read meets damage."""

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 60.0
"""Before the second attempt; it doubles with each further one."""


Damage = str | RowIs
"""What waits for a repair: a blob, by its id, or a damaged row."""


class RepairQueue:
    """The blobs and rows that wait for a repair, each once.

    Args:
        clock: tells when an attempt is due.
        observer: shown how many there are.
    """

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock, self._observer = clock, observer
        self._waiting: dict[Damage, tuple[float, int]] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, damage: BlobRef | RowIs) -> None:
        """Ask for a repair as soon as possible. Nothing happens if it waits already, or too many do."""
        wanted = damage.id if isinstance(damage, BlobRef) else damage
        if wanted not in self._waiting and len(self._waiting) < CAPACITY:
            self._put(wanted, self._clock.monotonic(), 0)

    async def next(self) -> Damage:
        """Return what is due, as soon as there is something. It stays in the queue."""
        nothing: tuple[Damage, tuple[float, int]] = ("", (0.0, 0))
        while True:
            self._arrived.clear()
            damage, (due, _) = min(self._waiting.items(), key=lambda item: item[1][0], default=nothing)
            seconds = due - self._clock.monotonic() if damage else None
            if seconds is not None and seconds <= 0:
                return damage
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()

    def done(self, damage: Damage) -> None:
        """Take a blob or row off the queue."""
        self._waiting.pop(damage, None)
        self._observer.repairs_waiting(len(self._waiting))

    def later(self, damage: Damage, attempts: int = ATTEMPTS) -> bool:
        """Try again after a pause. Returns False if there were attempts enough: it is off the queue then."""
        tried = self._waiting[damage][1] + 1
        if tried >= attempts:
            self.done(damage)
            return False
        self._put(damage, self._clock.monotonic() + FIRST_PAUSE_SECONDS * 2 ** (tried - 1), tried)
        return True

    def _put(self, damage: Damage, due: float, tried: int) -> None:
        self._waiting[damage] = due, tried
        self._arrived.set()
        self._observer.repairs_waiting(len(self._waiting))


class RepairJob:
    """Repairs what is in the queue, one after the other. A step waits until there is something to do."""

    name = "repair"

    def __init__(self, store: Store, queue: RepairQueue, observer: Observer) -> None:
        self._store, self._queue, self._observer = store, queue, observer
        self._inspector = Inspector(store, repair=True)

    async def step(self) -> Step:
        """Repair what is due next."""
        damage = await self._queue.next()
        try:
            item = await self._find(damage)
            if item is None:  # removed, or sealed and about to be committed
                self._queue.later(damage, attempts=2)
            elif await self._repair(item):
                self._queue.done(damage)
            elif not self._queue.later(damage):
                log.warning("repair given up; the scrub will come back to it", name=item.name)
        except Exception:
            self._queue.later(damage)  # then the runner tells of it
            raise
        return Step(more=True)

    async def _find(self, damage: Damage) -> Named | BrokenRow | None:
        if isinstance(damage, str):
            return await find(self._store, damage)
        return BrokenRow(self._store.tables.title(damage), f"a row of table {damage.table} is damaged", damage)

    async def _repair(self, item: Named | BrokenRow) -> bool:
        """Repair a blob or a row. Returns whether it is whole now."""
        try:
            finding = await self._inspector.look(item)
        except BlobError as error:
            finding = Finding(item.name, (str(error),), "damaged")
        if finding is None:
            return True
        self._observer.finding(finding.name, finding.problems, finding.state)
        return finding.state == "repaired"
