"""Making a store ready for a server, in the process that supervises it: volumes taken, index found or built.

When the drive of the index fails under way, the same is done once more with what is left: see ``make_ready_again``.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

import structlog

from s3ish.blob.volumes.volume_set import Volumes
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.engines import close, make_store, open_volumes, users
from s3ish.index.protocol import Damaged, IndexFailure, IndexFull, IndexPlace, NewerFormat, Unavailable
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.rebuild import STEP_BLOBS, Progress, rebuild
from s3ish.integrity.salvage import salvage
from s3ish.integrity.startup import Foreign, Stale, adopt, recover
from s3ish.objects import master_keys, snapshots, worlds
from s3ish.objects.settling import settle_all
from s3ish.objects.store import Store
from s3ish.observe.logs import set_up_logs
from s3ish.process import predecessor
from s3ish.process.index_place import by_age, find_index, is_movable, opened, places
from s3ish.seed.furnish import furnish
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import GENERATION, UNCLEAN
from s3ish.threads import each_within

log = structlog.get_logger()

_TOLD_BLOBS = 100_000
"""After how many blobs the log tells again how far a rebuild has come."""


class Preparation:
    """What a server serves: volumes that it holds alone, and an index that is ready.

    ``index`` is its place, ``movable`` whether it can go to another drive. ``begun`` says that requests may have been
    served: from then on an end that is not clean leaves something to look for.

    Args:
        volumes: that this process holds.
    """

    index: IndexPlace
    begun = False

    def __init__(self, settings: Settings, clock: Clock, volumes: Volumes) -> None:
        self._settings, self._clock, self._volumes = settings, clock, volumes
        self._failed: set[IndexPlace] = set()
        self._doubted = False
        self.movable = is_movable(settings)

    def make_ready(self, volumes: Volumes) -> None:
        """Find the index, or build it, and begin. Raises IndexFailure, OSError, BlobError, S3Error."""
        if self.movable:
            volumes.probe()
        candidates = [place for place in places(self._settings, volumes) if place not in self._failed]
        newest = by_age(candidates, self._settings.storage.drive_timeout_seconds)[:1]
        failure: Exception = Unavailable("no drive is left for the index")
        for place, anew in [*((place, False) for place in newest), *((place, True) for place in candidates)]:
            if place in self._failed:
                continue
            try:
                if anew:
                    build(self._settings, self._clock, volumes, place, whole=self.movable)
                else:
                    _renew(place)
                asyncio.run(self._begin(volumes.again(), place))
            except Stale:
                log.warning("the index is older than what is on the volumes; it is rebuilt")
            except (IndexFailure, OSError) as error:
                if isinstance(error, Foreign | NewerFormat):
                    raise
                if not self.movable:
                    if anew or not isinstance(error, Damaged):
                        raise
                    log.warning("the index is damaged; it is rebuilt", error=str(error))
                    asyncio.run(_salvage(self._settings, volumes.again(), place, self._clock))
                    place.set_aside()
                    continue
                if isinstance(error, IndexFull) and not anew:  # it is whole, and needs room, not another drive
                    raise
                log.warning("the index cannot be used where it is", index=str(place), error=str(error))
                self._failed.add(place)
                failure = error
            else:
                self.index = place
                self._remove_others(volumes)
                return
        raise failure

    def make_ready_again(self, elsewhere: bool) -> None:
        """Make the index ready once more; no process may be using it. Raises as ``make_ready``.

        Args:
            elsewhere: whether it has failed where it is. One that can go nowhere else is looked through, and rebuilt
                there if it is damaged.
        """
        volumes = open_volumes(self._settings, self._clock, create=False)
        try:
            self._doubted = elsewhere
            if elsewhere and self.movable:
                self._failed.add(self.index)
                if self._failed.issuperset(places(self._settings, volumes)):
                    self._failed = {self.index}
            self.make_ready(volumes)
        finally:
            volumes.close()
        log.warning("the index is ready again", index=str(self.index))

    def disown(self) -> None:
        """Close the volumes in a process that was forked from the one that holds them."""
        self._volumes.close()

    def end(self) -> None:
        """Remember a clean end, unless a worker died and what it left has not been looked for."""
        if not self._volumes.dead_workers():
            asyncio.run(_forget_start(self._settings, self.index))

    async def _begin(self, volumes: Volumes, place: IndexPlace) -> None:
        """Before the first request: recover from what the last server left, make the buckets and objects of a start."""
        async with opened(self._settings, volumes, place, self._clock) as store:
            if self._doubted:
                await store.index.verify()
            seen = int(await GENERATION.value(store.index) or 0)  # the volumes within reach may have seen fewer
            generation = max(volumes.generation, seen) + 1
            await adopt(store, generation)  # the index first: whatever comes between, it is not the older one
            volumes.write_generation(generation, self._clock.sequence())
            await recover(store)
            await _note_master_keys(store)
            try:
                await furnish(store, self._settings, users(self._settings)[0].owner)
                await _note_tests(store, self._settings.test.controls, again=not self.begun)
            except BaseException:  # nothing was served: whatever was there to look for is still marked
                await store.index.commit([UNCLEAN.drop()])
                raise

    def _remove_others(self, volumes: Volumes) -> None:
        """Remove what is left of an index in places where it is no more."""
        others = [place for place in places(self._settings, volumes) if place != self.index]
        each_within(self._settings.storage.drive_timeout_seconds, [place.remove for place in others])


async def _note_tests(store: Store, are_controlled: bool, *, again: bool) -> None:
    """Keep the store for resets, or let go of what only a server with test controls has; say what stays."""
    await snapshots.note_start(store, wanted=are_controlled, again=again)
    if not are_controlled:
        for name in await worlds.listed(store):
            await worlds.remove(store, name)
        if left := [name for name, _ in await snapshots.listed(store)]:
            log.warning(
                "snapshots of tests keep what they name on the drives, though test.controls is off. To remove one, "
                "start with test.controls and send DELETE /-/test/snapshots/NAME",
                snapshots=left,
            )


async def _note_master_keys(store: Store) -> None:
    """Say before anything is served that a master key is lost."""
    if lost := await master_keys.note(store):
        log.error(
            "a master key that this store has been used with is not among the settings: what is encrypted under it "
            "cannot be read. Set it as encryption.master_key, or as encryption.previous_master_key",
            keys=lost,
        )


async def _forget_start(settings: Settings, place: IndexPlace) -> None:
    index = place.open(TABLES.layouts, durable=settings.storage.fsync)
    await index.commit([UNCLEAN.drop()])
    await index.close()


@contextlib.contextmanager
def prepare(settings: Settings, clock: Clock, *, accept_loss: bool = False) -> Iterator[Preparation]:
    """Take the volumes for one server, make the index ready, and hold them until the server has ended.

    Args:
        accept_loss: whether empty volumes may take the places of more lost ones than parity makes up for.

    Raises:
        VolumeError, InUse, IndexFailure, S3Error: the server cannot run; the text says why.
    """
    set_up_logs(settings.log.level, settings.log.format, clock)
    with _taken(settings, clock, create=True, accept_loss=accept_loss) as volumes:
        for reason in volumes.reasons:
            log.error("a volume is out of reach", reason=reason)
        preparation = Preparation(settings, clock, volumes)
        preparation.make_ready(volumes)
        try:
            yield preparation
        except BaseException:
            if not preparation.begun:
                preparation.end()
            raise
        preparation.end()


@contextlib.contextmanager
def _taken(settings: Settings, clock: Clock, *, create: bool, accept_loss: bool = False) -> Iterator[Volumes]:
    """Open the volumes and hold them, as one server does. Raises VolumeError, InUse."""
    volumes = open_volumes(settings, clock, create=create, accept_loss=accept_loss)
    try:
        volumes.lock_server()
        yield volumes
    finally:
        volumes.close()


def rebuild_index(settings: Settings, clock: Clock, progress: Progress) -> Counter[str]:
    """Build the index anew from the sidecars; no server may be running.

    Args:
        progress: called now and then with how many blobs have been read.

    Returns:
        What was found, by kind.

    Raises:
        VolumeError, InUse: the volumes cannot be used.
    """
    set_up_logs(settings.log.level, settings.log.format, clock)
    predecessor.await_end(settings, clock)
    with _taken(settings, clock, create=False) as volumes:
        place = find_index(settings, volumes)
        asyncio.run(_salvage(settings, volumes.again(), place, clock))
        return build(settings, clock, volumes, place, progress)


def make_whole(settings: Settings, clock: Clock, volumes: Volumes, place: IndexPlace) -> None:
    """Build the index if there is none, or a damaged one. Raises IndexFailure, BlobError, OSError."""
    if place.is_blank():
        build(settings, clock, volumes, place)
    elif damage := place.find_damage():
        log.warning("the index is damaged; it is rebuilt", error=damage)
        asyncio.run(_salvage(settings, volumes.again(), place, clock))
        build(settings, clock, volumes, place)


async def _salvage(settings: Settings, volumes: Volumes, place: IndexPlace, clock: Clock) -> None:
    """Have the sidecars say what only the index may say, which another one will take the place of.

    After a cut of the power its rows are the durable copies. One from the past is not believed.
    """
    with contextlib.suppress(IndexFailure):  # then there is nothing better than the sidecars
        async with opened(settings, volumes, place, clock) as store:
            with contextlib.suppress(Damaged):
                await settle_all(store, lambda *_: True)
            await salvage(store)
            with contextlib.suppress(Damaged):  # what is not removed yet would come back
                await store.index.verify()
                await GarbageJob(store).flush()


def build(
    settings: Settings,
    clock: Clock,
    volumes: Volumes,
    place: IndexPlace,
    progress: Progress | None = None,
    *,
    whole: bool = False,
) -> Counter[str]:
    """Fill a new index, then put it in the old one's place.

    Args:
        progress: called now and then with how many blobs have been read, in place of the log.
        whole: whether it may lack nothing that is out of reach: it could take the place of one that does not.

    Raises:
        Unavailable: it would.
        IndexFailure, BlobError, OSError: it cannot be built there, or of these volumes.
    """
    if len(volumes) > 1:  # of one that takes no writes it is not believed what the others lack
        volumes.probe()
    draft = place.draft()

    async def fill() -> Counter[str]:
        store = make_store(settings, volumes.again(), draft, clock, unfinished=True)
        try:
            found = await rebuild(store, progress or _tell)
            await adopt(store, volumes.generation)
            return found
        finally:
            await close(store)

    found = asyncio.run(fill())
    if whole and found["out of reach"]:
        draft.remove()
        raise Unavailable("the index cannot be rebuilt: too many volumes are out of reach")
    place.take_draft()
    return found


def _renew(place: IndexPlace) -> None:
    """Bring an index into the current format, if there is room. Raises Damaged, Unavailable, OSError."""
    try:
        place.renew()
    except IndexFull:
        log.warning("no room to give the pages of the index checksums; it goes on without")


def _tell(blobs: int) -> None:
    """Let the log say that a rebuild goes on, if it takes longer than a moment."""
    if blobs == STEP_BLOBS or blobs % _TOLD_BLOBS == 0:
        log.warning("the index is rebuilt from the sidecars", blobs_read=blobs)
