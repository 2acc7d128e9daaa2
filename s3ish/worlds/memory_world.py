"""What one client of a stack for tests sees: a store in memory with its clock, faults, requests and snapshots.

A reset and a restore put another store in place of the one that is there, made of what a snapshot says. Requests that
are under way end with the store that they began with.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from s3ish.blob.memory import Blob, Capacity, MemoryBlobStore
from s3ish.clock import Clock, ServiceTime
from s3ish.config import Settings
from s3ish.engines import put_together, users
from s3ish.errors import NoSuchBucket
from s3ish.index.memory import MemoryIndex, Rows
from s3ish.objects import holdings
from s3ish.objects.rewind import rewind_bucket
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.seed.furnish import furnish
from s3ish.server.pipeline import S3Application
from s3ish.server.planned_faults import PlannedFaults
from s3ish.server.recorder import Recorder
from s3ish.server.router import Router
from s3ish.tables.catalogue import TABLES
from s3ish.threads import ThreadPool
from s3ish.worlds.stage import Stage, make_cast

MOST_SNAPSHOTS = 100


class Snapshot(NamedTuple):
    """A store at one moment: its rows and blobs, and when that was."""

    rows: Mapping[str, Rows]
    blobs: Mapping[str, Blob]
    taken: datetime

    @property
    def objects(self) -> int:
        """How many keys have an object."""
        return len(self.rows["current"].keys)


class Shared(NamedTuple):
    """What all worlds of a server have in common."""

    settings: Settings
    router: Router
    observer: Observer
    offload: ThreadPool
    capacity: Capacity


class _Stage(Stage):
    """A stage in memory."""

    @property
    def blobs(self) -> MemoryBlobStore:
        """Its blob store."""
        assert isinstance(self.store.blobs, MemoryBlobStore)
        return self.store.blobs

    def clear(self) -> None:
        """Free its memory."""
        self.blobs.forget()


class World:
    """See the module.

    Args:
        shared: what it has in common with others.
        access_key: the key whose world it is, in place of the root user's; empty for the main world of all users.
    """

    def __init__(self, shared: Shared, access_key: str = "") -> None:
        settings = shared.settings
        self._shared = shared
        self.clock = Clock(ServiceTime(settings.jobs.day_seconds, settings.jobs.restore_seconds))
        self.recorder = Recorder()
        self.faults = PlannedFaults(self.recorder, self.clock)
        self.snapshots: dict[str, Snapshot] = {}
        self.storage = None  # memory has no drives
        root, *others = users(settings)
        self._owner = root.owner
        own = [replace(root, access_key=access_key)] if access_key else [root, *others]
        self._cast = make_cast(settings, shared.router, shared.observer, own, self.clock, self.faults)
        self._stage: _Stage | None = None
        self.start: Snapshot | None = None
        self._used = self.clock.monotonic()

    @property
    def stage(self) -> _Stage:
        """The store of now, and what answers for it."""
        assert self._stage, "it has begun"
        return self._stage

    @property
    def is_ready(self) -> bool:
        """Whether it has a store."""
        return self._stage is not None

    async def largest(self) -> list[tuple[str, int, int]]:
        """See ``holdings.largest``."""
        return await holdings.largest(self._stage.store.index if self._stage else None)

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[S3Application]:
        """Lend what answers, to a request."""
        with self.stage.request() as s3:
            yield s3

    async def begin(self, of: Snapshot | None = None) -> None:
        """Have a store: of a snapshot, or furnished as settings say. Raises CannotFurnish."""
        store = self._make_store(of)
        if of is None:
            await furnish(store, self._shared.settings, self._owner)
        await self._enter(store)
        self.start = of or self._taken()

    def begun(self) -> None:
        """Take the store as it is for what it was at start, and forget how it became so."""
        self.start = self._taken()
        self.faults.clear()
        self.recorder.clear()

    def touch(self) -> None:
        """Take note that it is used now."""
        self._used = self.clock.monotonic()

    @property
    def idle_seconds(self) -> float:
        """For how long it has not been used."""
        return 0.0 if self.stage.is_busy else self.clock.monotonic() - self._used

    async def end(self) -> None:
        """End its jobs, and let go of all that it holds."""
        self.snapshots.clear()
        if self._stage:
            await self._stage.leave()
        await self._cast.close()

    async def remove(self) -> None:
        """See ``end``: nothing of it stays."""
        await self.end()

    async def reset(self, bucket: str = "", snapshot: str = "") -> None:
        """Be as after the start: the store, clock, faults and recorded requests.

        Args:
            bucket: which bucket alone is reset; one that was not made at start is gone then.
            snapshot: what the store is to be, in place of what it was at start.

        Raises:
            LookupError: there is no such bucket or snapshot.
        """
        to = self._snapshot(snapshot) if snapshot else self.start
        assert to, "it has begun"
        if bucket:
            await self._rewind(bucket, to)
            return
        await self._enter(self._make_store(to))
        self.clock.service.reset()
        self.faults.clear()
        self.recorder.clear()

    async def age(self) -> None:
        """Carry out what is due by the clock that was set."""
        await self.stage.age()

    # --- snapshots ---

    async def listed(self) -> Mapping[str, Snapshot]:
        """Return the snapshots by name."""
        return self.snapshots

    async def take(self, name: str) -> None:
        """Keep the store as it is now under a name, in place of what had it. Raises ValueError: there are too many."""
        if name not in self.snapshots and len(self.snapshots) >= MOST_SNAPSHOTS:
            raise ValueError(f"there are {MOST_SNAPSHOTS} snapshots already")
        self.snapshots[name] = self._taken()

    async def fork(self, name: str, other: "World") -> None:
        """Have another world begin again, with the store as it was; its resets come back to that.

        Raises LookupError: there is no such snapshot.
        """
        other.start = self._snapshot(name)
        await other.reset()

    async def restore(self, name: str) -> None:
        """Have the store be as it was; clock, faults and recorded requests stay. Raises LookupError: no such name."""
        await self._enter(self._make_store(self._snapshot(name)))

    async def forget(self, name: str) -> None:
        """Remove a snapshot. Raises LookupError: there is no such name."""
        self._snapshot(name)
        del self.snapshots[name]

    def _snapshot(self, name: str) -> Snapshot:
        if name not in self.snapshots:
            raise LookupError(f"there is no snapshot {name!r}")
        return self.snapshots[name]

    def _taken(self) -> Snapshot:
        index, blobs = self.stage.store.index, self.stage.blobs
        assert isinstance(index, MemoryIndex)
        return Snapshot(index.snapshot(), blobs.snapshot(), self.clock.now())

    # --- the store ---

    async def _rewind(self, bucket: str, to: Snapshot) -> None:
        stage = self.stage
        try:
            names = await rewind_bucket(stage.store, bucket, self._make_store(to))
        except NoSuchBucket:
            raise LookupError(f"there is no bucket {bucket!r}") from None
        stage.blobs.bring(to.blobs, names)

    async def _enter(self, store: Store) -> None:
        """Have another store, at once for requests that come from now on."""
        old, self._stage = self._stage, _Stage(self._cast, store)
        if old:
            await old.leave()

    def _make_store(self, of: Snapshot | None) -> Store:
        settings = self._shared.settings
        blobs = MemoryBlobStore(
            clock=self.clock,
            inline_bytes=settings.storage.inline_bytes,
            capacity=self._shared.capacity,
            blobs=of.blobs if of else None,
        )
        return put_together(
            settings,
            MemoryIndex(TABLES.layouts, of.rows if of else None),
            blobs,
            self.clock,
            self._shared.offload,
            consequences=self._cast.consequences,
        )
