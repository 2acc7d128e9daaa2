"""The engines that settings describe: volumes, a store on them, and where its index is.

Where settings do not say, the index is on one of the volumes: each of them is a place where it may be, and the newest
one found is the index. So it can be built anew on another one when its drive fails.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from s3ish.blob.erasure.core import BlobSettings, Reporter, StateReporter
from s3ish.blob.erasure.store import ErasureStore
from s3ish.blob.volumes.identity import PRIVATE
from s3ish.blob.volumes.open_set import open_volumes as open_set
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.index.protocol import Damaged, IndexFailure, Monitor, RowIs
from s3ish.index.sqlite import SQLiteIndex, is_blank, peek
from s3ish.integrity.startup import GENERATION, bind
from s3ish.objects.store import Store
from s3ish.threads import ThreadPool, each_within


def open_volumes(settings: Settings, clock: Clock, *, create: bool) -> Volumes:
    """Open the volumes. Raises VolumeError if they do not belong together, or too many are out of reach."""
    return open_set(
        settings.storage.volumes,
        clock=clock,
        create=create,
        fsync=settings.storage.fsync,
        missing=settings.erasure.parity if len(settings.storage.volumes) > 1 else 0,
        patience_seconds=settings.storage.drive_timeout_seconds,
    )


def _ignore(*_: object) -> None:
    pass


def make_store(
    settings: Settings,
    volumes: Volumes,
    index: Path,
    clock: Clock,
    on_damage: Reporter = _ignore,
    on_broken_row: Callable[[RowIs], None] | None = None,
    *,
    on_state: StateReporter = _ignore,
    monitor: Monitor | None = None,
    contended: bool = False,
    durable: bool = True,
) -> Store:
    """Return a store on volumes, which it owns from now on, with the index in a file.

    Args:
        on_damage, on_broken_row, on_state: told what is met.
        monitor: told how the index is.
        contended: several processes write to the index all the time.
        durable: flush every commit of the index, unless settings say that nothing is flushed.

    Raises:
        IndexFailure: the index cannot be used.
    """
    erasure, storage = settings.erasure, settings.storage
    try:
        rows = SQLiteIndex(index, durable=durable and storage.fsync, contended=contended, monitor=monitor)
    except IndexFailure:
        volumes.close()  # whoever tries another place opens them again
        raise
    offload = ThreadPool()
    blobs = ErasureStore(
        volumes,
        BlobSettings(erasure.code, erasure.data, erasure.parity, storage.stripe_bytes, storage.inline_bytes),
        clock=clock,
        offload=offload,
        on_damage=on_damage,
        on_state=on_state,
    )
    return Store(rows, blobs, clock, offload, settings.server.region, on_damage, on_broken_row)


@contextlib.asynccontextmanager
async def opened(settings: Settings, volumes: Volumes, index: Path, clock: Clock) -> AsyncIterator[Store]:
    """Open the store with the index that it has. Raises IndexFailure if that is blank or of another set of volumes."""
    try:
        require(index)
    except Damaged:
        volumes.close()
        raise
    store = make_store(settings, volumes, index, clock)
    try:
        await bind(store, volumes.set, volumes.generation)
        yield store
    finally:
        await close(store)


async def close(store: Store) -> None:
    """End what a store has under way, and release its files."""
    await store.settle()
    await store.blobs.close()
    await store.index.close()
    store.offload.close()


# --- the place of the index


def require(index: Path) -> None:
    """Raise Damaged if there is no index: SQLite would make a blank one."""
    if is_blank(index):
        raise Damaged(f"{index} is not there or empty. Run: s3ish index rebuild")


def place_on(root: str) -> Path:
    """Return where the index is if it is on a volume."""
    return Path(root) / PRIVATE / "index.db"


def places(settings: Settings, volumes: Volumes) -> list[Path]:
    """Return where the index may be, the preferred place first: where settings say, or on the volumes that answer."""
    if settings.storage.index:
        return [Path(settings.storage.index)]
    return [place_on(volume.root) for volume in volumes.present if not volume.calls.hung]


def is_movable(settings: Settings) -> bool:
    """Whether the index can go to another drive when its own fails."""
    return len(settings.storage.volumes) > 1 and not settings.storage.index


def by_age(candidates: list[Path], patience_seconds: float) -> list[Path]:
    """Return the places where there is an index that can be read, the newest first.

    Args:
        patience_seconds: after which time one does not count; no drive may hold up the others.
    """
    if len(candidates) == 1:
        return [place for place in candidates if not is_blank(place)]
    outcomes = each_within(patience_seconds, [partial(_generation, place) for place in candidates])
    found = [(number, -turn) for turn, number in enumerate(outcomes) if isinstance(number, int)]
    return [candidates[-turn] for _, turn in sorted(found, reverse=True)]


def find_index(settings: Settings, volumes: Volumes) -> Path:
    """Return where the index is, or where it should be."""
    candidates = places(settings, volumes)
    return [*by_age(candidates, settings.storage.drive_timeout_seconds), *candidates][0]


def _generation(place: Path) -> int | None:
    return None if is_blank(place) else int(peek(place, "state", GENERATION) or 0)
