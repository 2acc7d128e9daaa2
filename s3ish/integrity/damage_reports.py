"""Logging the damage that a request has met, once it is certain that it is damage.

A reader that opens a blob while another process removes it finds some of its files and misses others, as if they were
lost. Only the index can distinguish the two: a blob that no row names was removed.
"""

import asyncio

from s3ish.integrity.references import is_named
from s3ish.integrity.repair_queue import CAPACITY, RepairQueue
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer


class DamageReports:
    """The damage that this process has met and not logged yet, by blob."""

    def __init__(self) -> None:
        self._met: dict[str, tuple[BlobRef, tuple[str, ...]]] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._met)

    def add(self, ref: BlobRef, files: tuple[str, ...]) -> None:
        """Remember damaged files of a blob. Nothing happens if too many blobs wait: the scrub finds it again."""
        _, before = self._met.get(ref.id, (ref, ()))
        if before or len(self._met) < CAPACITY:
            self._met[ref.id] = ref, tuple(dict.fromkeys((*before, *files)))
            self._arrived.set()

    async def next(self) -> BlobRef:
        """Return the blob that has waited longest, as soon as there is one. It stays."""
        while not self._met:
            self._arrived.clear()
            await self._arrived.wait()
        return next(iter(self._met.values()))[0]

    def take(self, ref: BlobRef) -> tuple[str, ...]:
        """Forget a blob; return its damaged files."""
        return self._met.pop(ref.id)[1]


class DamageJob:
    """Logs and counts the damage, and asks for its repair. A step waits until there is some."""

    name = "damage"

    def __init__(self, store: Store, reports: DamageReports, repairs: RepairQueue, observer: Observer) -> None:
        self._store, self._reports, self._repairs, self._observer = store, reports, repairs, observer

    async def step(self) -> Step:
        """Look at one blob. Raises Unavailable; it is looked at again then."""
        ref = await self._reports.next()
        named = await is_named(self._store, ref.id)
        files = self._reports.take(ref)
        if named:
            self._observer.damage(ref.id, files)
            self._repairs.add(ref)
        return Step(more=True)

    async def flush(self) -> None:
        """Log everything that waits. Raises Unavailable."""
        while self._reports:
            await self.step()
