"""The application of the profile for tests: a store in memory, test controls beside S3, one process.

It takes the same requests through the same pipeline as a server for data does; only the engines below are others, and
nothing outlives it.
"""

import contextlib
import functools
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from s3ish.api.catalogue import catalogue
from s3ish.api.lifecycle import rules_of
from s3ish.auth.credentials import Credentials
from s3ish.auth.identify import Authentication, Authenticator
from s3ish.auth.request import HttpRequest
from s3ish.auth.sessions import Sessions
from s3ish.blob.memory import MemoryBlobStore
from s3ish.clock import Clock, ServiceTime
from s3ish.config import Settings
from s3ish.engines import encodings, users
from s3ish.errors import NoSuchBucket, S3Error
from s3ish.furnish import furnish
from s3ish.http.exchange import AnswerTorn
from s3ish.index.memory import MemoryIndex
from s3ish.integrity.garbage import GarbageJob, RemovalJob
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import Runner, run_once
from s3ish.objects.erase import erase_bucket
from s3ish.objects.store import Store
from s3ish.observe.lines import RequestLine
from s3ish.observe.logs import RequestLog
from s3ish.observe.observer import Observer
from s3ish.process.lifespan import live
from s3ish.server.control import admin
from s3ish.server.health import is_beside
from s3ish.server.pipeline import S3Application
from s3ish.server.planned_faults import PlannedFaults
from s3ish.server.proxies import Proxies
from s3ish.server.recorder import Recorder
from s3ish.server.router import Router
from s3ish.server.test_controls import controls, is_control
from s3ish.tables.catalog import TABLES
from s3ish.threads import ThreadPool
from s3ish.wire.shape import Written


class _World:
    """A store, what answers for it, and its jobs; a reset puts another one in its place."""

    def __init__(self, store: Store, s3: S3Application) -> None:
        self.store, self.s3 = store, s3
        self._ageing = LifecycleJob(store, rules_of)
        self.runner = Runner(store, [GarbageJob(store), self._ageing], own=[RemovalJob(store)])

    async def age(self) -> None:
        """Carry out the lifecycle rules now."""
        await run_once(self._ageing)

    async def close(self) -> None:
        """End its jobs."""
        await self.runner.stop()
        await self.store.settle()


class MemoryApplication:
    """The ASGI application of the profile for tests.

    Args:
        settings: all settings; those of volumes and of the index do not matter.
        log: where the lines of requests go.
    """

    def __init__(self, settings: Settings, log: RequestLog | None = None) -> None:
        self._settings = settings
        self.clock = Clock(ServiceTime(settings.jobs.day_seconds, settings.jobs.restore_seconds))
        self.faults = PlannedFaults()
        self.recorder = Recorder()
        self._observer = _Recording(log, self)
        self._offload = ThreadPool()
        self._router = Router(catalogue())
        self._world: _World | None = None
        token = settings.test.token.reveal()
        self._controls = functools.cache(functools.partial(controls, self, token))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(self._serving(), receive, send, (OSError,))
        elif is_control(scope):
            await self._controls()(scope, receive, send)
        elif is_beside(scope, self._settings.server.domains):
            await self._admin(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request for S3. An answer that a plan keeps back, or cuts, ends the connection."""
        is_whole = False

        async def sending(message: Any) -> None:
            nonlocal is_whole
            await send(message)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        await self.world.s3(scope, receive, sending)
        if not is_whole:
            raise AnswerTorn

    def refuse(self, error: S3Error, path: str, client: str, *, answered: bool) -> Written:
        """See ``S3Application.refuse``."""
        return self.world.s3.refuse(error, path, client, answered=answered)

    @property
    def world(self) -> _World:
        """The store of now, and what answers for it."""
        assert self._world, "the server begins with the lifespan"
        return self._world

    async def reset(self, bucket: str = "") -> None:
        """Be as after the start, at once for requests that come from now on. Raises KeyError: there is no such bucket.

        Args:
            bucket: which bucket alone is reset; one that was not made at start is gone then.
        """
        if bucket:
            await self._reset_bucket(bucket)
            return
        old, self._world = self._world, await self._make_world()
        self.clock.service.reset()
        self.faults.clear()
        self.recorder.clear()
        if old:
            await old.close()

    async def age(self) -> None:
        """Carry out what is due by the clock that was set."""
        await self.world.age()

    async def _reset_bucket(self, name: str) -> None:
        store = self.world.store
        try:
            await erase_bucket(store, name)
        except NoSuchBucket:
            raise KeyError(name) from None
        await furnish(store, self._settings, users(self._settings)[0].owner, only=name)

    async def _make_world(self) -> _World:
        settings = self._settings
        blobs = MemoryBlobStore(
            clock=self.clock,
            inline_bytes=settings.storage.inline_bytes,
            most_bytes=settings.test.memory_mib << 20,
        )
        store = Store(
            MemoryIndex(TABLES.layouts),
            blobs,
            self.clock,
            self._offload,
            settings.server.region,
            piece_bytes=settings.storage.stripe_bytes,
            encodings=encodings(settings, self.clock),
            any_region=True,
        )
        credentials = Credentials(users(settings))
        sessions = Sessions(credentials, settings.root_keys[1], self.clock.token)
        s3 = S3Application(
            store,
            self._router,
            _Lenient(credentials, "", signature_v2=settings.auth.signature_v2, sessions=sessions, clock=self.clock),
            self._observer,
            domains=settings.server.domains,
            proxies=Proxies(settings.server.trusted_proxies),
            sessions=sessions,
            faults=self.faults,
        )
        await furnish(store, settings, users(settings)[0].owner)
        world = _World(store, s3)
        world.runner.start()
        return world

    @functools.cached_property
    def _admin(self) -> Any:
        return admin(self._observer, self._is_ready, self._settings.metrics.token.reveal())

    async def _is_ready(self) -> bool:
        return self._world is not None

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        self._world = await self._make_world()
        try:
            yield
        finally:
            await self._world.close()
            self._offload.close()
            self._observer.close()


class _Recording(Observer):
    """Counts and logs as always, and keeps what tests may ask for."""

    def __init__(self, log: RequestLog | None, application: MemoryApplication) -> None:
        super().__init__(log=log)
        self._application = application

    def request(self, line: RequestLine) -> None:
        """See ``Observer.request``."""
        self._application.recorder.add(line)
        self._application.faults.ended(line.request_id)
        super().request(line)


class _Lenient(Authenticator):
    """Signatures of any region; those in a header are of machine time, so that clients need not follow a clock that
    was set. Presigned URLs and sessions expire by service time, as everything does that tests move the clock for."""

    def __init__(self, *arguments: Any, clock: Clock, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self._clock = clock

    def identify(self, request: HttpRequest, now: datetime) -> Authentication:
        """See ``Authenticator.identify``."""
        return super().identify(request, self._clock.now() if "authorization" in request.headers else now)
