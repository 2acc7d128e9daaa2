"""A server on drives that tests control: its store, clock and drives, the faults that requests meet, what it was asked.

It is one world: there are no worlds of keys, which a server in memory has.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from s3ish.clock import Clock
from s3ish.jobs.inventory import InventoryJob
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import Runner
from s3ish.objects import snapshots
from s3ish.objects.store import Store
from s3ish.server.access_log import AccessLog
from s3ish.server.planned_faults import PlannedFaults
from s3ish.server.recorder import Recorder
from s3ish.server.storage_faults import StorageFaults

_ONE = "this server keeps its data on drives: worlds of keys, and forks, are for serve --test"


class Snapshot(NamedTuple):
    """See ``test_controls.Snapshot``."""

    objects: int
    taken: datetime


class Controlled:
    """The one world of such a server; see ``test_controls.World`` and ``test_controls.Worlds``.

    ``may_begin`` is waited for by requests before they begin, so that a restore is not overtaken again and again.

    Args:
        clock: of the server.
    """

    names: list[str] = []  # noqa: RUF012 - there never are any

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.recorder = Recorder()
        self.faults = PlannedFaults(self.recorder, clock)
        self.storage: StorageFaults | None = None
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self._turn = asyncio.Lock()
        self._store: Store | None = None
        self._runner: Runner | None = None
        self._access_log: AccessLog | None = None
        self._look_again: Callable[[], Awaitable[None]] | None = None

    def begin(
        self,
        store: Store,
        runner: Runner,
        access_log: AccessLog,
        storage: StorageFaults,
        look_again: Callable[[], Awaitable[None]],
    ) -> None:
        """Control a store: the jobs that age it, its logs and its drives.

        Args:
            look_again: reads again what is kept in memory of its rows.
        """
        self._store, self._runner, self._access_log, self.storage = store, runner, access_log, storage
        self._look_again = look_again

    def end(self) -> None:
        """Let nothing be wrong with the drives, so that no thread waits for one."""
        if self.storage:
            self.storage.clear()

    async def of(self, name: str) -> "Controlled":
        """Return itself. Raises ValueError: a world is named."""
        return self if not name else _refuse()

    async def remove(self, name: str) -> None:
        """There is none. Raises LookupError."""
        raise LookupError(f"there is no world {name!r}")

    async def listed(self) -> Mapping[str, Snapshot]:
        """See ``World.listed``."""
        found = await snapshots.listed(self._held)
        return {name: Snapshot(it.objects, datetime.fromtimestamp(it.taken_ns / 1e9, UTC)) for name, it in found}

    async def reset(self, bucket: str = "", snapshot: str = "") -> None:
        """See ``World.reset``."""
        await self._restore(snapshot or snapshots.START, bucket)
        if not bucket:
            self.clock.service.reset()
            self.faults.clear()
            self.recorder.clear()

    async def take(self, name: str) -> None:
        """See ``World.take``."""
        async with self._alone():
            await snapshots.take(self._held, name)

    async def restore(self, name: str) -> None:
        """See ``World.restore``."""
        await self._restore(name)

    async def fork(self, name: str, other: Any) -> None:  # noqa: ARG002 - there is no other
        """Raise ValueError: there is no other world."""
        _refuse()

    async def forget(self, name: str) -> None:
        """See ``World.forget``."""
        await snapshots.remove(self._held, name)

    async def age(self) -> None:
        """Carry out the lifecycle rules, make the lists of objects that are due, and deliver the access logs, now."""
        if self._runner and self._access_log:
            await self._runner.finish(LifecycleJob.name, InventoryJob.name)
            await self._access_log.deliver(all_of_it=True)

    @property
    def _held(self) -> Store:
        assert self._store, "it has begun"
        return self._store

    async def _restore(self, name: str, bucket: str = "") -> None:
        async with self._alone():
            await snapshots.restore(self._held, name, bucket)
            if self._look_again:
                await self._look_again()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Let no request begin; those that have begun go on."""
        async with self._turn:
            self.may_begin.clear()
            try:
                yield
            finally:
                self.may_begin.set()


def _refuse() -> NoReturn:
    raise ValueError(_ONE)
