"""Where the index is, or may be: on one of the volumes, or where settings say.

Each volume is a place for it, and the newest index found is the one that holds. So it can be built on another volume
when its drive fails.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from s3ish.blob.paths import MARK_BYTES
from s3ish.blob.volumes.identity import PRIVATE
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.clock import Clock
from s3ish.config import Settings
from s3ish.engines import close, make_store, open_volumes
from s3ish.errors import S3Error
from s3ish.index.protocol import Damaged, IndexFailure, IndexPlace
from s3ish.index.sqlite_place import SQLitePlace
from s3ish.integrity.startup import bind
from s3ish.objects.named_keys import NameTaken
from s3ish.objects.store import Store
from s3ish.tables.state import GENERATION, SET, STATE
from s3ish.threads import each_within


@contextlib.asynccontextmanager
async def opened(settings: Settings, volumes: Volumes, place: IndexPlace, clock: Clock) -> AsyncIterator[Store]:
    """Open the store with the index that it has. Raises IndexFailure if that is blank or of another set of volumes."""
    try:
        require(place)
        generation, commits = volumes.generation, volumes.commits  # before the index: a server beside this goes on
    except BaseException:
        volumes.close()
        raise
    store = make_store(settings, volumes, place, clock)
    try:
        await bind(store, volumes.set, generation, commits)
        yield store
    finally:
        await close(store)


@contextlib.asynccontextmanager
async def beside(settings: Settings, clock: Clock) -> AsyncIterator[Store]:
    """Open the store as a process of its own that may write, whether a server runs or not.

    Raises:
        VolumeError, IndexFailure: it cannot be opened.
    """
    volumes = open_volumes(settings, clock, create=False)
    try:
        volumes.lock_worker(clock.token(MARK_BYTES))
    except BaseException:
        volumes.close()
        raise
    async with opened(settings, volumes, find_index(settings, volumes), clock) as store:
        try:
            yield store
        except (S3Error, NameTaken):  # a refusal is a clean end; after a failure the mark has leftovers looked for
            _forget(volumes, store)
            raise
        _forget(volumes, store)


def _forget(volumes: Volumes, store: Store) -> None:
    if not store.leftovers:
        volumes.forget_workers([volumes.mark])


def require(place: IndexPlace) -> None:
    """Raise Damaged if there is no index: a blank one would be made."""
    if place.is_blank():
        raise Damaged(f"{place} is not there or empty. Run: s3ish index rebuild")


def place_on(root: str) -> SQLitePlace:
    """Return where the index is if it is on a volume."""
    return SQLitePlace(Path(root) / PRIVATE / "index.db", root)


def places(settings: Settings, volumes: Volumes) -> Sequence[IndexPlace]:
    """Return where the index may be, the preferred place first: where settings say, or on the volumes that answer."""
    if settings.storage.index:
        return [_chosen(settings)]
    return [place_on(volume.root) for volume in volumes.present if not volume.calls.hung]


def _chosen(settings: Settings) -> SQLitePlace:
    return SQLitePlace(Path(settings.storage.index))


def is_movable(settings: Settings) -> bool:
    """Whether the index can go to another drive when its own fails."""
    return len(settings.storage.volumes) > 1 and not settings.storage.index


def by_age(candidates: Sequence[IndexPlace], patience_seconds: float) -> Sequence[IndexPlace]:
    """Return the places where there is an index that can be read, the newest first.

    Args:
        patience_seconds: after which time one does not count; no drive may hold up the others.
    """
    if len(candidates) == 1:
        return [place for place in candidates if not place.is_blank()]
    outcomes = each_within(patience_seconds, [partial(_generation, place) for place in candidates])
    found = [(number, -turn) for turn, number in enumerate(outcomes) if isinstance(number, int)]
    return [candidates[-turn] for _, turn in sorted(found, reverse=True)]


def find_index(settings: Settings, volumes: Volumes) -> IndexPlace:
    """Return where the index is, or where it should be."""
    candidates = places(settings, volumes)
    return [*by_age(candidates, settings.storage.drive_timeout_seconds), *candidates][0]


def _generation(place: IndexPlace) -> int | None:
    return None if place.is_blank() else int(place.peek(STATE.name, GENERATION.key) or 0)


def set_of_index(settings: Settings) -> str:
    """Return the id of the set that the index is of, where one place is possible for it; "" if that is unknown."""
    roots = settings.storage.volumes
    place = _chosen(settings) if settings.storage.index else place_on(roots[0])
    if len(roots) > 1 and not settings.storage.index:
        return ""
    with contextlib.suppress(IndexFailure, OSError):
        return "" if place.is_blank() else (place.peek(STATE.name, SET.key) or b"").decode(errors="replace")
    return ""
