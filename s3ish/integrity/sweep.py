"""After an unclean stop of a server or of one of its workers: sidecars that were not flushed are mended, blobs that no
commit ever named are removed, and so are folders that hold nothing.

Between sealing a blob and committing it a crash leaves an orphan. It costs space, and a rebuild of the index would
bring it to light. On a single volume the sidecar of a small object may be lost in a power cut, and its row in the index
is the copy that it is written anew from. So everything is looked through once, beside the requests: what is old, or was
made by a worker that has died, will not be committed.
"""

from collections.abc import AsyncIterator

import structlog

from s3ish.blob.paths import Past
from s3ish.blob.protocol import Sealed
from s3ish.index.protocol import Conflict
from s3ish.integrity.blind_spots import BlindSpots, read_blind_spots
from s3ish.integrity.mend import mend
from s3ish.integrity.references import References, is_finished
from s3ish.jobs.runner import Step
from s3ish.objects.amend import settle_all
from s3ish.objects.store import Store
from s3ish.tables.catalog import STATE

log = structlog.get_logger()

UNCLEAN = b"unclean"
"""The row of the state table that is there while a server runs, and says since when, in nanoseconds since the epoch.
Found at start, the last stop was not clean."""

UNNAMED = "the index does not name what was finished; is it from the past? Stop the server and run: s3ish index rebuild"
"""What is wrong if there are such blobs; see ``references.is_finished``."""

SWEEP = b"sweep"
"""The row of the state table that asks for a look through all blobs."""

_BATCH = 200


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
        self._gaps = BlindSpots()
        self._references = References(store)
        self._left = self._doubted = 0
        self.removed = self.mended = 0

    async def step(self) -> Step:
        """Look at a batch of blobs."""
        asked = await STATE.value(self._store.index, SWEEP)
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
        await self._store.upkeep.forget_makers(self._past.dead)
        await self._store.upkeep.catch_up()
        try:
            await self._store.index.commit([STATE.drop(SWEEP)], [STATE.expect(SWEEP, self._asked)])
        except Conflict:  # asked for again meanwhile
            return Step(more=True)
        log.info("sweep after unclean stop finished", removed=self.removed, mended=self.mended)
        return Step(more=False, pause_seconds=3600)

    async def _look_through(self) -> AsyncIterator[None]:
        store = self._store
        started = await STATE.value(store.index, UNCLEAN)
        before_ns = self._past.before_ns if started is None else min(self._past.before_ns, int(started))
        self._past = Past(before_ns, await store.upkeep.dead_makers())
        self._gaps = await read_blind_spots(store.index)
        for prefix, problem in self._gaps:
            log.error("the index has gaps; nothing is removed from them", prefix=prefix, problem=problem)
        self._doubted = damaged = 0
        self._left = await settle_all(store, lambda token, intent: self._past.holds(token, intent.made_ns))
        async for mended in mend(store):
            self.mended += bool(mended)
            damaged += mended is None
            yield
        if damaged:  # also a key may be: what such a row named would look as if nothing did
            log.error("the index is damaged; nothing is removed. Run: s3ish index rebuild", rows=damaged)
            return
        await store.index.verify()
        async for found in store.blobs.scan():
            await self._look_at_sealed(found)
            yield
        if self._doubted:
            log.error(UNNAMED, kept=self._doubted)
        async for swept in store.blobs.sweep(self._past, self._is_named):
            self.removed += swept.removed
            self._left += swept.stray and not swept.removed  # what a volume refuses must not hold up all behind it
            yield

    async def _look_at_sealed(self, found: Sealed) -> None:
        ref = found.ref
        try:
            told = self._store.tables.read_sidecar(found.sidecar)
        except ValueError:
            log.error("sidecar of an unknown kind", blob=ref.id)
            return
        if not self._past.holds(ref.id, told.made_ns) or await self._references.is_reachable(ref, told):
            return
        if self._gaps.cover(ref.id):
            return
        if is_finished(found, self._past.dead) and not await self._store.find_garbage(ref.id):
            self._doubted += 1
            return
        await self._store.condemn(ref)
        self.removed += 1

    async def _is_named(self, blob: str) -> bool:
        """Whether a blob without a sidecar stays. Garbage is left to its job, since a reader may still use it."""
        if self._gaps.cover(blob) or await self._references.is_named(blob):
            return True
        return await self._store.find_garbage(blob) is not None
