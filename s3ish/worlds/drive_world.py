"""The world of an access key ``test-<name>`` on the drives of a server: rows of its own in the index of all."""

import contextlib
from collections.abc import AsyncIterator
from typing import Self

from msgspec.structs import replace

from s3ish.blob.wrappers.unsealed import UnsealedStore
from s3ish.clock import Clock, ServiceTime
from s3ish.config import Settings
from s3ish.engines import put_together, users
from s3ish.errors import ServiceUnavailable
from s3ish.index.prefixed_index import PrefixedIndex
from s3ish.objects import worlds
from s3ish.objects.settling import settle_all
from s3ish.objects.snapshots import START, NoSnapshot
from s3ish.objects.store import Store, translated
from s3ish.observe.observer import Observer
from s3ish.server.pipeline import S3Application
from s3ish.server.router import Router
from s3ish.worlds.controlled import Controlled
from s3ish.worlds.stage import Stage, make_cast


class DriveWorld(Controlled):
    """See the module.

    Args:
        main: the main world, on whose volumes it lies.
        name: the access key.
    """

    def __init__(self, settings: Settings, main: Controlled, router: Router, observer: Observer, name: str) -> None:
        clock = Clock(ServiceTime(settings.jobs.day_seconds, settings.jobs.restore_seconds))
        super().__init__(clock, main.gate, name)
        self._settings, self._main = settings, main
        root = replace(users(settings)[0], access_key=name)
        self._cast = make_cast(settings, router, observer, [root], clock, self.faults)
        self._stage: Stage | None = None
        self._used = clock.monotonic()

    async def opened(self) -> Self:
        """Return itself, as it is in the index, or begun as the main world did. Raises S3Error."""
        if (rows := await worlds.enter(self._main.store, self.name)) is None:
            try:
                await self.begin_with(self._main.store, START)
            except NoSnapshot:
                raise ServiceUnavailable("This store is too large for resets, and so for worlds of keys.") from None
        else:
            await self._enter(rows)
        return self

    async def begin_with(self, source: Store, snapshot: str) -> None:
        """Begin, or begin again, with a snapshot of a world. Raises NoSnapshot, S3Error."""
        async with self.gate.closed():
            await worlds.fork(self._main.store, source, snapshot, self.name)
            rows = await worlds.enter(self._main.store, self.name)
            assert rows, "it has begun"
            await self._enter(rows)
        self.forget_all()

    @property
    def store(self) -> Store:
        """Its store."""
        assert self._stage, "it has begun"
        return self._stage.store

    @property
    def idle_seconds(self) -> float:
        """For how long it has not been used."""
        is_busy = self._stage is not None and self._stage.is_busy
        return 0.0 if is_busy else self.clock.monotonic() - self._used

    def touch(self) -> None:
        """Take note that it is used now."""
        self._used = self.clock.monotonic()

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[S3Application]:
        """Lend what answers, to a request."""
        await self.gate.wait()
        assert self._stage, "it has begun"
        with self._stage.request() as s3:
            yield s3

    async def age(self) -> None:
        """See ``Controlled.age``."""
        if self._stage:
            await self._stage.age()

    async def look_again(self) -> None:
        """See ``Controlled.look_again``."""
        if self._stage:
            await self._stage.registry.look()

    async def end(self) -> None:
        """The server ends; its rows stay."""
        if self._stage:
            await self._stage.leave()
            await self._stage.store.settle()
        await self._cast.close()

    async def remove(self) -> None:
        """Take its rows away. What is under way in it fails. Raises S3Error."""
        async with self.gate.closed():
            with contextlib.suppress(LookupError):
                await worlds.remove(self._main.store, self.name)
        await self.end()

    async def _enter(self, rows: PrefixedIndex) -> None:
        """Answer for these rows from now on. Raises S3Error."""
        main, settings = self._main.store, self._settings
        store = put_together(
            settings,
            rows,
            UnsealedStore(main.blobs),
            self.clock,
            main.offload,
            upkeep=main.upkeep,
            consequences=self._cast.consequences,
        )
        with translated():
            await settle_all(store, lambda *_: True)  # of a server that was killed
        self.storage = self._main.storage.of(store) if self._main.storage else None
        old, self._stage = self._stage, Stage(self._cast, store)
        if old:
            await old.leave()
