"""The main world of a server on drives that tests control: its store, clock and drives, the faults that requests meet,
what it was asked.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from s3ish.clock import Clock
from s3ish.jobs.inventory import InventoryJob
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.restores import RestoresJob
from s3ish.jobs.runner import Runner
from s3ish.objects import snapshots
from s3ish.objects.store import Store
from s3ish.server.access_log import AccessLog
from s3ish.server.pipeline import S3Application
from s3ish.server.planned_faults import PlannedFaults
from s3ish.server.recorder import Recorder
from s3ish.server.storage_faults import StorageFaults


class Snapshot(NamedTuple):
    """See ``test_controls.Snapshot``."""

    objects: int
    taken: datetime


class Gate:
    """Lets no request of any world begin while one is restored, so that this is not overtaken again and again; those
    that have begun go on."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._open = asyncio.Event()
        self._open.set()

    async def wait(self) -> None:
        """Wait until requests may begin."""
        await self._open.wait()

    @contextlib.asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Let no request begin until the context ends."""
        async with self._turn:
            self._open.clear()
            try:
                yield
            finally:
                self._open.set()


class Controlled:
    """See ``test_controls.World``; the world of a key is another class of these.

    Args:
        clock: of its requests.
        gate: that all worlds of a server share.
        name: the access key whose world it is; empty for the main one.
    """

    def __init__(self, clock: Clock, gate: Gate, name: str = "") -> None:
        self.clock, self.gate, self.name = clock, gate, name
        self.recorder = Recorder()
        self.faults = PlannedFaults(self.recorder, clock)
        self.storage: StorageFaults | None = None
        self._store: Store | None = None
        self._s3: S3Application | None = None
        self._runner: Runner | None = None
        self._access_log: AccessLog | None = None
        self._look_again: Callable[[], Awaitable[None]] | None = None

    def begin(
        self,
        store: Store,
        s3: S3Application,
        runner: Runner,
        access_log: AccessLog,
        storage: StorageFaults,
        look_again: Callable[[], Awaitable[None]],
    ) -> None:
        """Control a store: what answers for it, the jobs that age it, its logs and its drives.

        Args:
            look_again: reads again what is kept in memory of its rows.
        """
        self._store, self._s3, self.storage = store, s3, storage
        self._runner, self._access_log, self._look_again = runner, access_log, look_again

    @property
    def store(self) -> Store:
        """Its store."""
        assert self._store, "it has begun"
        return self._store

    @property
    def idle_seconds(self) -> float:
        """It is never idle."""
        return 0.0

    def touch(self) -> None:
        """It is never idle."""

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[S3Application]:
        """Lend what answers, to a request."""
        await self.gate.wait()
        assert self._s3, "it has begun"
        yield self._s3

    async def end(self) -> None:
        """Let nothing be wrong with the drives, so that no thread waits for one."""
        if self.storage:
            self.storage.clear()

    async def remove(self) -> None:
        """Raise LookupError: it stays."""
        raise LookupError("the main world stays")

    async def listed(self) -> Mapping[str, Snapshot]:
        """See ``World.listed``."""
        found = await snapshots.listed(self.store)
        return {name: Snapshot(it.objects, datetime.fromtimestamp(it.taken_ns / 1e9, UTC)) for name, it in found}

    async def reset(self, bucket: str = "", snapshot: str = "") -> None:
        """See ``World.reset``."""
        await self._restore(snapshot or snapshots.START, bucket)
        if not bucket:
            self.forget_all()

    def forget_all(self) -> None:
        """Let clock, faults and recorded requests be as at its start."""
        self.clock.service.reset()
        self.faults.clear()
        self.recorder.clear()

    async def take(self, name: str) -> None:
        """See ``World.take``."""
        async with self.gate.closed():
            await snapshots.take(self.store, name)

    async def restore(self, name: str) -> None:
        """See ``World.restore``."""
        await self._restore(name)

    async def fork(self, name: str, other: Any) -> None:
        """See ``World.fork``. Raises ValueError: the other one is the main world, which keeps its sidecars."""
        if not other.name:
            raise ValueError("on drives the main world cannot be a fork: restore the snapshot in it")
        await other.begin_with(self.store, name)

    async def forget(self, name: str) -> None:
        """See ``World.forget``."""
        await snapshots.remove(self.store, name)

    async def age(self) -> None:
        """Carry out the lifecycle rules, make the lists of objects that are due, report restores, and deliver the
        access logs, now."""
        if self._runner and self._access_log:
            await self._runner.finish(LifecycleJob.name, InventoryJob.name, RestoresJob.name)
            await self._access_log.deliver(all_of_it=True)

    async def _restore(self, name: str, bucket: str = "") -> None:
        async with self.gate.closed():
            await snapshots.restore(self.store, name, bucket)
            await self.look_again()

    async def look_again(self) -> None:
        """Read again what is kept in memory of its rows."""
        if self._look_again:
            await self._look_again()
