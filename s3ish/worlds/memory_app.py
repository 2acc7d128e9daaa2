"""The application of the profile for tests: a store in memory, test controls beside S3, one process.

It takes the same requests through the same pipeline as a server for data does; only the engines below are others, and
nothing outlives it.
"""

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

from msgspec.structs import replace

from s3ish.api.catalogue import catalogue
from s3ish.blob.memory import Capacity
from s3ish.config import Settings
from s3ish.errors import S3Error
from s3ish.http.tally import connection_tally
from s3ish.observe.audit import AuditLog
from s3ish.observe.logs import RequestLog
from s3ish.observe.observer import Observer
from s3ish.observe.process import process_samples
from s3ish.observe.spans import Traces
from s3ish.process.hooks import names_of_hooks
from s3ish.process.lifespan import live
from s3ish.server.control import admin
from s3ish.server.health import is_beside
from s3ish.server.router import Router
from s3ish.server.test_controls import controls, is_control
from s3ish.threads import ThreadPool
from s3ish.wire.shape import Written
from s3ish.worlds.memory_world import Shared, World
from s3ish.worlds.registry import Worlds


class MemoryApplication:
    """The ASGI application of the profile for tests.

    ``failure`` says why it could not begin, or end well.

    Args:
        settings: all settings; those of volumes and of the index do not matter.
        log: where the lines of requests go.
        audit: where it is written down who did what; None if that is not wanted.
        traces: where spans go; None if they are not wanted.
    """

    def __init__(
        self,
        settings: Settings,
        log: RequestLog | None = None,
        audit: AuditLog | None = None,
        traces: Traces | None = None,
    ) -> None:
        settings = self._settings = replace(settings, server=replace(settings.server, any_region=True))
        self._named = settings.domains, settings.server.website_domains
        self.failure = ""
        slow_seconds = settings.log.slow_request_ms / 1000
        self._observer = Observer(log=log, audit=audit, slow_seconds=slow_seconds, traces=traces)
        self._scripts = names_of_hooks(settings)
        self._offload = ThreadPool()
        for source in (connection_tally.samples, self._offload.samples, process_samples):
            self._observer.watch(source)
        capacity = Capacity(settings.test.memory_mib << 20)
        shared = Shared(settings, Router(catalogue()), self._observer, self._offload, capacity)
        main = World(shared)

        async def make(name: str) -> World:
            world = World(shared, name)
            await world.begin(main.start)
            return world

        self._worlds = Worlds(settings, main, make)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self.failure = await live(self._serving(), receive, send, (OSError,))
        elif is_control(scope, *self._named):
            await self._controls(scope, receive, send)
        elif is_beside(scope, *self._named):
            await self._admin(scope, receive, send)
        else:
            await self._worlds.answer(scope, receive, send, self.refuse)

    def begun(self) -> None:
        """Take what is there now for what it was at start: scripts have prepared it."""
        self._worlds.main.begun()

    def refuse(self, error: S3Error, path: str, client: str, *, answered: bool) -> Written:
        """See ``S3Application.refuse``."""
        return self._worlds.main.stage.s3.refuse(error, path, client, answered=answered)

    @functools.cached_property
    def _controls(self) -> Any:
        return controls(self._worlds, self._settings.test.token.reveal(), self._settings.domains)

    @functools.cached_property
    def _admin(self) -> Any:
        settings = self._settings
        token, largest = settings.metrics.token.reveal(), self._worlds.main.largest
        return admin(self._observer, self._is_ready, token, largest, settings.domains, self._scripts)

    async def _is_ready(self) -> bool:
        return self._worlds.main.is_ready

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        await self._worlds.main.begin()
        await self._worlds.begin()
        try:
            yield
        finally:
            await self._worlds.end()
            self._offload.close()
            self._observer.close()
