"""The application of one worker: engines become a store, the store answers requests.

No logic lives here. What must be done before, once for all workers, is in ``start``.
"""

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from s3ish.answering import make_s3
from s3ish.api.catalogue import catalogue
from s3ish.api.inventory import lister, lists_of
from s3ish.api.lifecycle import rules_of
from s3ish.blob.paths import MARK_BYTES
from s3ish.blob.protocol import BlobError
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.clock import Clock, ServiceTime
from s3ish.config import Settings
from s3ish.engines import close, make_audit, make_store, make_traces, open_volumes, users
from s3ish.errors import S3Error
from s3ish.identity.last_used import FLUSH_SECONDS
from s3ish.identity.registry import LOOK_SECONDS, Registry
from s3ish.identity.resealing import PAUSE_SECONDS, reseal
from s3ish.identity.secrets import Secrets
from s3ish.index.protocol import IndexFailure, IndexPlace, RowIs
from s3ish.integrity.damage_reports import DamageJob, DamageReports
from s3ish.integrity.garbage import GarbageJob, RemovalJob
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.repair_queue import RepairJob, RepairQueue
from s3ish.integrity.scrub import ScrubJob
from s3ish.integrity.startup import join
from s3ish.integrity.unresolved import UnresolvedJob
from s3ish.jobs.inventory import InventoryJob
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.pace import TELL_SECONDS, Pace
from s3ish.jobs.periodic import Periodic
from s3ish.jobs.runner import Job, Runner
from s3ish.notifications import Notifications
from s3ish.objects import holdings, worlds
from s3ish.objects.quota_settings import RELOAD_SECONDS, OwnerQuotas
from s3ish.objects.store import Store
from s3ish.observe.logs import RequestLog, set_up_logs
from s3ish.observe.observer import Observer
from s3ish.process.heartbeat import Heartbeat
from s3ish.process.hooks import names_of_hooks
from s3ish.process.index_place import is_movable, require
from s3ish.process.lifespan import live
from s3ish.process.samples import SAMPLE_SECONDS, Samples, TransactionTally
from s3ish.process.standby import Standby
from s3ish.replication import REPLICATION, Replicas
from s3ish.server.access_log import AccessLog
from s3ish.server.control import admin
from s3ish.server.health import is_beside
from s3ish.server.pipeline import S3Application
from s3ish.server.router import Router
from s3ish.server.storage_faults import StorageFaults
from s3ish.server.test_controls import controls, is_control, no_controls
from s3ish.shared_mark import SharedMark
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import UNCLEAN
from s3ish.wire.shape import Written
from s3ish.worlds.controlled import Controlled, Gate
from s3ish.worlds.drive_world import DriveWorld
from s3ish.worlds.registry import Worlds


def jobs(store: Store) -> list[Job]:
    """Return the jobs of which one process of many does each."""
    sweep = SweepJob(store, store.clock.now_ns())
    lists = InventoryJob(store, lists_of, lister(store))
    return [GarbageJob(store), sweep, LifecycleJob(store, rules_of), lists]


def user_jobs(registry: Registry) -> list[Job]:
    """Return what each process does for its users."""
    return [
        Periodic("keys-used", registry.used.flush, FLUSH_SECONDS),
        Periodic("users-seen", registry.look, LOOK_SECONDS),
        Periodic("keys-sealed", functools.partial(reseal, registry), PAUSE_SECONDS),
    ]


def looks(quotas: OwnerQuotas, samples: Samples, pace: Pace) -> list[Job]:
    """Return what each process looks at every so often, for itself and for the others."""
    return [
        Periodic("quotas", quotas.reload, RELOAD_SECONDS),
        Periodic("samples", samples.take, SAMPLE_SECONDS),
        Periodic("pace", pace.look, TELL_SECONDS),
    ]


class Application:
    """The ASGI application of one worker; see ``create``."""

    def __init__(
        self,
        settings: Settings,
        index: IndexPlace,
        log: RequestLog,
        leave: Callable[[], None],
        clock: Clock,
        users_changed: SharedMark,
    ) -> None:
        self._settings, self._index, self._clock = settings, index, clock
        self._users_changed = users_changed
        self._named = settings.domains, settings.server.website_domains
        self._leave = leave
        self._scripts = names_of_hooks(settings)
        slow_seconds = settings.log.slow_request_ms / 1000
        self._observer = Observer(
            shared=settings.server.workers > 1,
            log=log,
            audit=make_audit(settings),
            slow_seconds=slow_seconds,
            traces=make_traces(settings, clock),
        )
        self._store: Store | None = None
        self._s3: S3Application | None = None
        self._router = Router(catalogue())
        self._worlds = self._make_worlds() if settings.test.controls else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(self._serving(), receive, send, (BlobError, IndexFailure, OSError))
        elif is_control(scope, *self._named):
            await self._controls(scope, receive, send)
        elif is_beside(scope, *self._named):
            await self._admin(scope, receive, send)
        else:
            assert self._s3, "the server begins with the lifespan"
            if self._worlds:
                await self._worlds.answer(scope, receive, send, self.refuse)
            else:
                await self._s3(scope, receive, send)

    def _make_worlds(self) -> Worlds[Controlled]:
        """Return the worlds that tests control."""
        settings, main = self._settings, Controlled(self._clock, Gate())

        async def make(name: str) -> Controlled:
            return await DriveWorld(settings, main, self._router, self._observer, name).opened()

        return Worlds(settings, main, make)

    def refuse(self, error: S3Error, path: str, client: str, *, answered: bool) -> Written:
        """See ``S3Application.refuse``."""
        assert self._s3, "the server begins with the lifespan"
        return self._s3.refuse(error, path, client, answered=answered)

    @functools.cached_property
    def _controls(self) -> Any:
        return (
            controls(self._worlds, self._settings.test.token.reveal(), self._settings.domains)
            if self._worlds
            else no_controls()
        )

    @functools.cached_property
    def _admin(self) -> Any:
        settings = self._settings
        token = settings.metrics.token.reveal()
        return admin(self._observer, self._is_ready, token, self._largest, settings.domains, self._scripts)

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        settings, clock = self._settings, self._clock
        require(self._index)
        volumes = self._take_volumes()
        repairs, reports = RepairQueue(clock, self._observer), DamageReports()

        def report_row(row: RowIs) -> None:
            self._observer.damage(TABLES.title(row), (f"row of {row.table}",))
            repairs.add(row)

        patience = settings.storage.drive_timeout_seconds if is_movable(settings) else None
        pulse = Heartbeat(patience, self._leave)
        transactions = TransactionTally(pulse, clock)
        notifications = Notifications(settings.notifications, clock)
        replicas = Replicas(settings.replication, clock)
        store = make_store(
            settings,
            volumes,
            self._index,
            clock,
            reports.add,
            report_row,
            on_state=self._observer.volume,
            monitor=transactions,
            contended=settings.server.workers > 1,
            consequences=notifications.consequences(REPLICATION.rows, is_replicated=REPLICATION.is_wanted),
        )
        damage = DamageJob(store, reports, repairs, self._observer)
        leftovers = UnresolvedJob(store)
        access_log = AccessLog(store, settings.jobs.access_log_seconds)
        delivery = Periodic("access-logs", access_log.deliver, access_log.pause_seconds)
        owner_quotas = OwnerQuotas(store)
        registry = Registry(store, users(settings), Secrets(store.keyring), self._users_changed)
        samples = Samples(self._observer, store, transactions, shared=settings.server.workers > 1)
        pace = Pace(store.index, clock, lambda: self._observer.requests.begun)
        repair, removal = RepairJob(store, repairs, self._observer), RemovalJob(store)
        own: list[Job] = [damage, repair, leftovers, removal, delivery, *user_jobs(registry)]
        own += looks(owner_quotas, samples, pace)
        shared = [*self._shared_jobs(store), *notifications.jobs(store, self._observer)]
        shared += replicas.jobs(store, self._observer, pace)
        runner = Runner(store, shared, own, self._observer)
        await join(store, takes_snapshots=self._worlds is not None)
        await owner_quotas.reload()
        self._store = store
        self._s3 = make_s3(
            settings,
            store,
            registry,
            self._router,
            self._observer,
            notifications.targets,
            by_machine_time=self._worlds is not None,
            access_log=access_log,
            faults=self._worlds.main.faults if self._worlds else None,
        )

        async def look_again() -> None:
            registry.tell()
            await owner_quotas.reload()

        runner.start()
        try:
            async with self._control(store, runner, access_log, StorageFaults(store, volumes), look_again):
                yield
        finally:
            await runner.stop()
            await notifications.close()
            replicas.close()
            pulse.close()
            await self._finish(store, volumes, damage, registry, access_log, leftovers)

    async def _finish(
        self,
        store: Store,
        volumes: Volumes,
        damage: DamageJob,
        registry: Registry,
        access_log: AccessLog,
        leftovers: UnresolvedJob,
    ) -> None:
        """Store what is still only in memory, and close the store."""
        try:
            with contextlib.suppress(IndexFailure):
                await damage.flush()
                await registry.used.flush()
            await access_log.deliver(all_of_it=True)
            await leftovers.step()
            if not store.leftovers:
                volumes.forget_workers([volumes.mark])
        finally:
            await close(store)
            self._observer.close()

    @contextlib.asynccontextmanager
    async def _control(
        self,
        store: Store,
        runner: Runner,
        access_log: AccessLog,
        storage: StorageFaults,
        look_again: Callable[[], Awaitable[None]],
    ) -> AsyncIterator[None]:
        """Let tests control the store, if settings say so; nothing is wrong with its drives afterwards."""
        if not self._worlds:
            yield
            return
        assert self._s3, "it answers already"
        self._worlds.main.begin(store, self._s3, runner, access_log, storage, look_again)
        await self._worlds.begin(await worlds.listed(store))
        try:
            yield
        finally:
            await self._worlds.end()

    def _take_volumes(self) -> Volumes:
        """Open the volumes, and say how each is."""
        volumes = open_volumes(self._settings, self._clock, create=False)
        volumes.lock_worker(self._clock.token(MARK_BYTES))
        for position, state in volumes.states.items():
            self._observer.volume(position, state)
        return volumes

    def _shared_jobs(self, store: Store) -> list[Job]:
        """Return what one process of many does."""
        scrub = ScrubJob(store, self._observer, self._settings.jobs.scrub_days * 86_400)
        return [*jobs(store), scrub]

    async def _largest(self) -> list[tuple[str, int, int]]:
        return await holdings.largest(self._store.index if self._store else None)

    async def _is_ready(self) -> bool:
        if self._store is None:
            return False
        try:
            await UNCLEAN.value(self._store.index)
        except IndexFailure:
            return False
        return True


def create(users_changed: SharedMark, settings: Settings, index: IndexPlace, leave: Callable[[], None]) -> Application:
    """Return the application of one worker process.

    Args:
        users_changed: what all workers of the server share.
        index: where the index is.
        leave: called on a thread when it cannot be used, or the event loop stands still, if that can help.
    """
    clock = Clock(ServiceTime(settings.jobs.day_seconds, settings.jobs.restore_seconds))
    log = set_up_logs(settings.log.level, settings.log.format, clock)
    return Application(settings, index, log, leave, clock, users_changed)


def create_standby(settings: Settings, _index: IndexPlace, _leave: Callable[[], None]) -> Standby:
    """Return the application of the process that answers while the index moves."""
    clock = Clock()
    log = set_up_logs(settings.log.level, settings.log.format, clock)
    return Standby(Observer(shared=settings.server.workers > 1, log=log), settings.metrics.token.reveal(), clock)
