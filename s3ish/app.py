"""Where everything is put together: settings become engines, engines a store, the store an application.

No logic lives here. ``prepare`` runs once before a server begins, in the process that supervises it; ``create`` makes
the application of one worker.
"""

import asyncio
import contextlib
import functools
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from s3ish.api.catalogue import catalogue
from s3ish.auth.credentials import Credentials, User
from s3ish.auth.identify import Authenticator
from s3ish.blob.engine import Reporter, StateReporter
from s3ish.blob.engine import Settings as BlobSettings
from s3ish.blob.erasure import ErasureStore
from s3ish.blob.names import MARK_BYTES
from s3ish.blob.opening import open_volumes
from s3ish.blob.probe import SILENT, probe
from s3ish.blob.protocol import BlobError, InUse
from s3ish.blob.volumes import Volumes
from s3ish.clock import Clock
from s3ish.config import ConfigError, Settings
from s3ish.errors import BucketAlreadyOwnedByYou
from s3ish.index.protocol import Damaged, Delete, IndexFailure, Row
from s3ish.index.sqlite import SQLiteIndex, is_blank
from s3ish.jobs.check import Check
from s3ish.jobs.gaps import Gaps, read_gaps
from s3ish.jobs.garbage import GarbageJob, RemovalJob
from s3ish.jobs.inspection import Finding
from s3ish.jobs.inventory import count_rows
from s3ish.jobs.leftovers import LeftoverJob
from s3ish.jobs.mend import mend
from s3ish.jobs.orphans import UNCLEAN, OrphanJob
from s3ish.jobs.rebuild import rebuild
from s3ish.jobs.recovery import Stale, adopt, bind, join, recover
from s3ish.jobs.repair import RepairJob, RepairQueue
from s3ish.jobs.rows import name_of
from s3ish.jobs.runner import Job, Runner, run_once
from s3ish.jobs.scrub import STATE, Progress, ScrubJob, note_look, read_progress
from s3ish.logs import RequestLog, set_up_logs
from s3ish.model import BlobRef, Owner
from s3ish.objects import buckets
from s3ish.objects.store import Store
from s3ish.observe import Observer
from s3ish.offload import Offload
from s3ish.server.admin import PATHS, admin
from s3ish.server.asgi import S3Application
from s3ish.server.lifespan import live
from s3ish.server.router import Router
from s3ish.wire.names import check_bucket_name

log = structlog.get_logger()

ROOT_ID = "s3ish-root"
_INDEX_FILES = ("", "-wal", "-shm")


def users(settings: Settings) -> list[User]:
    """Return all users, the root user first."""
    access_key, secret_key = settings.root_keys
    root = User(access_key, secret_key, Owner(ROOT_ID, access_key), root=True)
    return [root] + [
        User(user.access_key, user.secret_key.reveal(), Owner(user.id, user.display_name or user.id))
        for user in settings.auth.users
    ]


def _open_volumes(settings: Settings, clock: Clock, *, create: bool) -> Volumes:
    return open_volumes(
        settings.storage.volumes,
        clock=clock,
        create=create,
        fsync=settings.storage.fsync,
        missing=settings.erasure.parity if len(settings.storage.volumes) > 1 else 0,
        patience_seconds=settings.storage.drive_timeout_seconds,
    )


def _ignore(*_: object) -> None:
    pass


def _store(
    settings: Settings,
    volumes: Volumes,
    index: Path,
    clock: Clock,
    on_damage: Reporter = _ignore,
    on_broken_row: Callable[[Row], None] | None = None,
    *,
    on_state: StateReporter = _ignore,
    contended: bool = False,
) -> Store:
    erasure, storage = settings.erasure, settings.storage
    offload = Offload()
    blobs = ErasureStore(
        volumes,
        BlobSettings(erasure.code, erasure.data, erasure.parity, storage.stripe_bytes, storage.inline_bytes),
        clock=clock,
        offload=offload,
        on_damage=on_damage,
        on_state=on_state,
    )
    rows = SQLiteIndex(index, durable=storage.fsync, contended=contended)
    return Store(rows, blobs, clock, offload, settings.server.region, on_damage, on_broken_row)


@contextlib.asynccontextmanager
async def _opened(settings: Settings, volumes: Volumes, clock: Clock) -> AsyncIterator[Store]:
    """Open the store with the index that it has. Raises IndexFailure if that is blank or of another set of volumes."""
    if is_blank(settings.index_path):
        volumes.close()
        raise Damaged(f"{settings.index_path} is not there or empty. Run: s3ish index rebuild")
    store = _store(settings, volumes, settings.index_path, clock)
    try:
        await bind(store, volumes.set, volumes.generation)
        yield store
    finally:
        await _close(store)


async def _close(store: Store) -> None:
    await store.settle()
    await store.blobs.close()
    await store.index.close()
    store.offload.close()


@contextlib.contextmanager
def prepare(settings: Settings) -> Iterator[None]:
    """Take the volumes for one server, make the index ready, and hold them until the server has ended.

    Raises:
        VolumeError, InUse, IndexFailure, ConfigError: the server cannot run; the text says why.
    """
    set_up_logs(settings.log.level, settings.log.format)
    clock = Clock()
    volumes = _open_volumes(settings, clock, create=True)
    try:
        volumes.lock_server()
        if is_blank(settings.index_path):
            _rebuild(settings, clock)
        try:
            asyncio.run(_begin(settings, volumes.again(), clock))
        except Stale:
            log.warning("the index is older than what is on the volumes; it is rebuilt")
            _rebuild(settings, clock)
            asyncio.run(_begin(settings, volumes.again(), clock))
        yield
        asyncio.run(_end(settings, volumes))
    finally:
        volumes.close()


async def _begin(settings: Settings, volumes: Volumes, clock: Clock) -> None:
    """Before the first request: recover from what the last server left, make the default buckets."""
    async with _opened(settings, volumes, clock) as store:
        generation = volumes.generation + 1
        await adopt(store, generation)  # the index first: whatever comes between, it is not the older one
        volumes.write_generation(generation)
        await recover(store)
        for name in settings.storage.default_buckets:
            await _make_bucket(store, name, users(settings)[0].owner)


async def _make_bucket(store: Store, text: str, owner: Owner) -> None:
    name, _, option = text.partition(":")
    if option not in ("", "versioned"):
        raise ConfigError(f"storage.default_buckets: {text} is not of the form name or name:versioned")
    with contextlib.suppress(BucketAlreadyOwnedByYou):
        await buckets.create_bucket(store, check_bucket_name(name), owner, store.region)
    if option:
        await buckets.set_versioning(store, name, enabled=True)


async def _end(settings: Settings, volumes: Volumes) -> None:
    """Remember a clean end, unless a worker died of which nobody has looked for what it left."""
    if volumes.dead_workers():
        return
    index = SQLiteIndex(settings.index_path, durable=settings.storage.fsync)
    await index.commit([Delete("state", UNCLEAN)])
    await index.close()


def rebuild_index(settings: Settings) -> Counter[str]:
    """Build the index anew from the sidecars; no server may be running.

    Returns:
        What was found, by kind.

    Raises:
        VolumeError, InUse: the volumes cannot be used.
    """
    set_up_logs(settings.log.level, settings.log.format)
    clock = Clock()
    volumes = _open_volumes(settings, clock, create=False)
    try:
        volumes.lock_server()
        asyncio.run(_flush_rows(settings, clock))
        return _rebuild(settings, clock)
    finally:
        volumes.close()


async def _flush_rows(settings: Settings, clock: Clock) -> None:
    """Have the sidecars say what only the index may say: after a cut of the power its rows are the durable copies."""
    with contextlib.suppress(IndexFailure):  # then there is nothing better than the sidecars
        async with _opened(settings, _open_volumes(settings, clock, create=False), clock) as store:
            if await store.index.get("state", UNCLEAN) is not None:
                async for _ in mend(store):
                    pass


def _rebuild(settings: Settings, clock: Clock) -> Counter[str]:
    """Fill a new index file, then put it in the old one's place."""
    path = settings.index_path
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    for suffix in _INDEX_FILES:
        Path(f"{fresh}{suffix}").unlink(missing_ok=True)

    async def fill() -> Counter[str]:
        volumes = _open_volumes(settings, clock, create=False)
        store = _store(settings, volumes, fresh, clock)
        try:
            found = await rebuild(store)
            await adopt(store, volumes.generation)
            return found
        finally:
            await _close(store)

    found = asyncio.run(fill())
    for suffix in _INDEX_FILES[1:]:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return found


class VolumeState(NamedTuple):
    """A volume of the set: its place, where it is, how it is, its free bytes if they are known."""

    position: int
    root: str
    state: str
    free_bytes: int | None


def volume_states(settings: Settings) -> list[VolumeState]:
    """Return the state of every volume of the set, those out of reach included.

    Raises:
        VolumeError: none can be opened, or they do not belong together.
    """
    roots = settings.storage.volumes
    patience = settings.storage.drive_timeout_seconds
    found = dict(zip(roots, probe(roots, patience), strict=True))
    silent = [root for root, state in found.items() if state == SILENT]
    volumes = open_volumes(
        roots, clock=Clock(), create=False, missing=len(roots) - 1, patience_seconds=patience, silent=silent
    )
    try:
        present = {it.position: (it.root, found[it.root], it.free_bytes()) for it in volumes.present}
        lost = iter([root for root in roots if root not in {root for root, _, _ in present.values()}])
        return [
            VolumeState(position, *(present.get(position) or _lost(next(lost), silent)))
            for position in range(len(roots))
        ]
    finally:
        volumes.close()


def _lost(root: str, silent: Sequence[str]) -> tuple[str, str, None]:
    return root, SILENT if root in silent else "out of reach", None


def index_state(settings: Settings) -> tuple[Progress, Gaps] | None:
    """Return what scrub and checks know, and the gaps of the index; None if that cannot be read."""
    if not settings.index_path.exists():
        return None

    async def read() -> tuple[Progress, Gaps]:
        index = SQLiteIndex(settings.index_path, durable=settings.storage.fsync)
        try:
            return read_progress(await index.get("state", STATE)), await read_gaps(index)
        finally:
            await index.close()

    try:
        return asyncio.run(read())
    except IndexFailure:
        return None


class StoreCheck:
    """A check of a whole store from the shell, while a server runs or not.

    Args:
        repair: write anew what is damaged.
        report: told every finding.
        begin: told how many rows there are.
        advance: told after every row.

    Raises:
        VolumeError, IndexFailure: the store cannot be opened.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        repair: bool,
        report: Callable[[Finding], None],
        begin: Callable[[int], None],
        advance: Callable[[], None],
    ) -> None:
        self._settings, self._repair = settings, repair
        self._report, self._begin, self._advance = report, begin, advance

    def run(self) -> Check:
        """Check everything; return the check, with its counts."""
        set_up_logs(self._settings.log.level, self._settings.log.format)
        clock = Clock()
        volumes = _open_volumes(self._settings, clock, create=self._repair)
        running = False
        try:
            volumes.lock_server()
        except InUse:
            running = True
        if self._repair and not running and is_blank(self._settings.index_path):
            _rebuild(self._settings, clock)
        return asyncio.run(self._check(volumes, clock, running))

    async def _check(self, volumes: Volumes, clock: Clock, running: bool) -> Check:
        async with _opened(self._settings, volumes, clock) as store:
            before_ns = clock.now_ns()
            started = await store.index.get("state", UNCLEAN)
            if running and started:  # what came since may be about to be committed
                before_ns = int(started)
            check = Check(store, repair=self._repair, before_ns=before_ns)
            self._begin(await count_rows(store))
            async for findings in check.rows():
                for finding in findings:
                    self._report(finding)
                self._advance()
            async for finding in check.orphans():
                self._report(finding)
            with contextlib.suppress(IndexFailure):  # it is a report, which is given in any case
                await note_look(store, check.lacking)
            return check


def run_job(settings: Settings, name: str) -> None:
    """Run one job from the shell until it has nothing more to do. Raises ConfigError for an unknown name."""
    set_up_logs(settings.log.level, settings.log.format)
    clock = Clock()

    async def run() -> None:
        async with _opened(settings, _open_volumes(settings, clock, create=False), clock) as store:
            found = [job for job in _jobs(store) if job.name == name]
            if not found:
                raise ConfigError(f"no job {name}; there are: {', '.join(job.name for job in _jobs(store))}")
            await run_once(found[0])

    asyncio.run(run())


def _jobs(store: Store) -> list[Job]:
    return [GarbageJob(store), OrphanJob(store, store.clock.now_ns())]


class Application:
    """The ASGI application of one worker."""

    def __init__(self, settings: Settings, log: RequestLog) -> None:
        self._settings = settings
        self._observer = Observer(shared=settings.server.workers > 1, log=log)
        self._store: Store | None = None
        self._s3: S3Application | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(self._serving(), receive, send, (BlobError, IndexFailure, OSError))
        elif scope["path"] in PATHS:
            await self._admin(scope, receive, send)
        else:
            assert self._s3, "the server begins with the lifespan"
            await self._s3(scope, receive, send)

    @functools.cached_property
    def _admin(self) -> Any:
        return admin(self._observer, self._is_ready, self._settings.metrics.token.reveal())

    @contextlib.asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        settings, clock = self._settings, Clock()
        volumes = _open_volumes(settings, clock, create=False)
        volumes.lock_worker(clock.token(MARK_BYTES))
        for position, state in volumes.states.items():
            self._observer.volume(position, state)
        repairs = RepairQueue(clock, self._observer)

        def report(ref: BlobRef, files: tuple[str, ...]) -> None:
            self._observer.damage(ref.id, files)
            repairs.add(ref)

        def report_row(row: Row) -> None:
            self._observer.damage(name_of(row), (f"row of {row.table}",))
            repairs.add(row)

        contended = settings.server.workers > 1
        store = _store(
            settings,
            volumes,
            settings.index_path,
            clock,
            report,
            report_row,
            on_state=self._observer.volume,
            contended=contended,
        )
        scrub = ScrubJob(store, self._observer, settings.jobs.scrub_days * 86_400)
        leftovers = LeftoverJob(store)
        own: list[Job] = [RepairJob(store, repairs, self._observer), leftovers, RemovalJob(store)]
        runner = Runner(store, [*_jobs(store), scrub], own=own)
        await join(store)
        self._store = store
        self._s3 = S3Application(
            store,
            Router(catalogue()),
            Authenticator(Credentials(users(settings)), settings.server.region),
            self._observer,
            domains=settings.server.domains,
        )
        runner.start()
        try:
            yield
        finally:
            await runner.stop()
            try:
                await leftovers.step()
                if not store.leftovers:
                    volumes.forget_workers([volumes.mark])
            finally:
                await _close(store)
                self._observer.flush()

    async def _is_ready(self) -> bool:
        if self._store is None:
            return False
        try:
            await self._store.index.get("state", UNCLEAN)
        except IndexFailure:
            return False
        return True


def create(settings: Settings) -> Application:
    """Return the application of one worker process."""
    return Application(settings, set_up_logs(settings.log.level, settings.log.format))
