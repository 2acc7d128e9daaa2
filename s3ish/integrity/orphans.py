"""After an unclean stop of a server or of one of its workers: sidecars that were not flushed are mended, blobs that no
commit ever named are removed, and so are folders that hold nothing.

Between sealing a blob and committing it a crash leaves an orphan. It costs space, and a rebuild of the index would
bring it to light. On a single volume the sidecar of a small object may be lost in a power cut, and its row in the index
is the copy that it is written anew from. So everything is looked through once, beside the requests: what is old, or was
made by a worker that has died, will not be committed.
"""

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple

import structlog

from s3ish.blob.paths import Past, maker_of
from s3ish.blob.protocol import BlobError, Swept, Unread
from s3ish.index.protocol import Conflict
from s3ish.integrity.blind_spots import BlindSpots, read_blind_spots
from s3ish.integrity.inspect import restore_sidecars
from s3ish.integrity.references import References, is_finished
from s3ish.jobs.runner import Step
from s3ish.objects.settling import settle_all
from s3ish.objects.store import Store
from s3ish.tables.state import AWAY, SWEEP, UNCLEAN

log = structlog.get_logger()

UNNAMED = "the index does not name what was finished; is it from the past? Stop the server and run: s3ish index rebuild"
"""What is wrong if there are such blobs; see ``references.is_finished``."""

_SEALED, _STRAY = "sealed, but named by no row", "files without a sidecar, named by no row"

_BATCH = 200


class Orphan(NamedTuple):
    """What lies on the volumes and no row names: a blob by its id, what it is, and what has become of it.

    It is ``removed``, or ``refused`` by a volume; or ``kept``, because nothing may be removed, or it may be named by
    what could not be read; or ``doubted``, because it was finished (see ``references.is_finished``); or ``unknown``,
    because its sidecar is of no kind that this release knows.
    """

    blob: str
    problem: str
    state: Literal["removed", "refused", "kept", "doubted", "unknown"]


async def find_orphans(
    store: Store, past: Past, gaps: BlindSpots, *, remove: bool, unread: Unread | None = None
) -> AsyncIterator[Orphan | None]:
    """Go through all that lies on the volumes; yield what no row names, and None for each of the rest.

    Args:
        store: the engines.
        past: what it does not hold may be about to be committed, and is no orphan.
        gaps: of the index; what lies in one is kept.
        remove: whether orphans are removed, and with them garbage, and what else writers that were cut off have left.
        unread: called with what could not be read.

    Raises:
        Corrupt: too many volumes are out of reach to see all blobs.
        Unavailable: the index cannot be read or written.
    """
    references, dead = References(store), await store.upkeep.dead_makers()
    async for found in store.blobs.scan(unread=unread):
        ref = found.ref
        try:
            sidecar = store.tables.read_sidecar(found.sidecar)
        except ValueError:
            yield Orphan(ref.id, "a sidecar of an unknown kind", "unknown")
            continue
        is_past = past.holds(ref.id, sidecar.made_ns)
        if not is_past or await references.is_reachable(ref, sidecar) or await _is_at_work_on(store, ref.id):
            yield None
        elif garbage := await store.find_garbage(ref.id):
            if remove and await store.flush():
                await store.discard([garbage], all_parts=True)
            yield None
        elif is_finished(found, dead) and not gaps.cover(ref.id):
            yield Orphan(ref.id, UNNAMED, "doubted")
        elif remove and not gaps.cover(ref.id):
            await store.condemn(ref)
            yield Orphan(ref.id, _SEALED, "removed")
        else:
            yield Orphan(ref.id, _SEALED, "kept")
    kept: list[Orphan] = []

    async def stays(blob: str) -> bool:
        if await _is_at_work_on(store, blob):
            return True
        if await references.is_named(blob) or await store.find_garbage(blob) or await store.removal.pins.hold(blob):
            return True
        if remove and gaps.cover(blob):
            kept.append(Orphan(blob, _STRAY, "kept"))
            return True
        return False

    async for swept in store.blobs.sweep(past, stays, dry=not remove):
        yield Orphan(swept.name, _STRAY, _state(swept, remove)) if swept.stray else None
        while kept:
            yield kept.pop()


async def _is_at_work_on(store: Store, blob: str) -> bool:
    """Whether a living process made a blob, which may be about to be committed however old it looks.

    The clock may have been set back since, and a replica has the time of its source.
    """
    return maker_of(blob) in await store.upkeep.live_makers()


def _state(swept: Swept, remove: bool) -> Literal["removed", "refused", "kept"]:
    if swept.removed:
        return "removed"
    return "refused" if remove else "kept"


class SweepJob:
    """Looks through the index and all blobs once after an unclean stop.

    Args:
        store: the engines.
        before_ns: blobs that are younger than this moment are left alone, unless their maker has died: they may be
            about to be committed. So are those that are younger than the server, of whose workers this one may not be
            the first.
    """

    name = "orphans"

    def __init__(self, store: Store, before_ns: int) -> None:
        self._store = store
        self._past = Past(before_ns)
        self._pass: AsyncIterator[None] | None = None
        self._asked: bytes | None = None
        self._left = self._began = 0
        self._overlooks = False
        self.removed = self.mended = 0

    async def step(self) -> Step:
        """Look at a batch of blobs."""
        asked = await SWEEP.value(self._store.index)
        if asked is None:
            return Step(more=False, pause_seconds=3600)
        going_on, self._pass = self._pass, None
        if going_on is None:
            going_on, self._asked = self._look_through(), asked
        ended = False
        for _ in range(_BATCH):
            try:
                await anext(going_on)
            except StopAsyncIteration:
                ended = True
                break
        if ended:
            return await self._finish()
        self._pass = going_on  # not after a failure, which ends the pass: the next step begins anew
        return Step(more=True)

    async def _finish(self) -> Step:
        if self._left:
            log.warning("sweep begins anew; a volume could not be written", left=self._left)
            return Step(more=False)
        if not self._overlooks:  # else the next start looks again, or the rebuild that is asked for
            await self._store.upkeep.forget_makers(self._past.dead)
            # this may be a command beside a server that lacks some
            if not AWAY.read(await AWAY.value(self._store.index)):
                await self._store.upkeep.catch_up(self._began)
        try:
            await self._store.index.commit([SWEEP.drop()], [SWEEP.expect(self._asked)])
        except Conflict:  # asked for again meanwhile
            return Step(more=True)
        log.info("sweep after unclean stop finished", removed=self.removed, mended=self.mended)
        return Step(more=False, pause_seconds=3600)

    async def _look_through(self) -> AsyncIterator[None]:
        store = self._store
        self._began = store.clock.sequence()
        started = await UNCLEAN.value(store.index)
        before_ns = self._past.before_ns if started is None else min(self._past.before_ns, int(started))
        self._past = Past(before_ns, await store.upkeep.dead_makers())
        await store.flush()  # a process that was killed has left this undone
        gaps = await read_blind_spots(store.index)
        for prefix, problem in gaps:
            log.error("the index has gaps; nothing is removed from them", prefix=prefix, problem=problem)
        damaged, self._overlooks = 0, False
        self._left = await settle_all(store, lambda token, intent: self._past.holds(token, intent.made_ns))
        async for mended in restore_sidecars(store):
            self.mended += bool(mended)
            damaged += mended is None
            yield
        if damaged:  # also a key may be: what such a row named would look as if nothing did
            log.error("the index is damaged; nothing is removed. Run: s3ish index rebuild", rows=damaged)
            self._overlooks = True
            return
        await store.index.verify()
        doubted = 0
        async for orphan in find_orphans(store, self._past, gaps, remove=True, unread=self._overlook):
            if orphan:
                self._overlooks |= orphan.state == "kept"
                self.removed += orphan.state == "removed"
                self._left += orphan.state == "refused"  # it must not hold up all behind it
                doubted += orphan.state == "doubted"
                if orphan.state == "unknown":
                    log.error(orphan.problem, blob=orphan.blob)
            yield
        if doubted:
            log.error(UNNAMED, kept=doubted)

    def _overlook(self, _blob: str, _error: BlobError) -> None:
        self._overlooks = True
