"""After an unclean stop: sidecars that were not flushed are mended, blobs that no commit ever named are removed.

Between sealing a blob and committing it a crash leaves an orphan. It costs space, and a rebuild of the index would
bring it to light. On a single volume the sidecar of a small object may be lost in a power cut, and its row in the index
is the copy that it is written anew from. So the next start looks through everything once.
"""

from collections.abc import AsyncIterator, Awaitable

import structlog

from s3ish.blob.protocol import Unwritable
from s3ish.index.protocol import Delete
from s3ish.jobs.mend import mend
from s3ish.jobs.reach import is_named, is_of_lost_bucket, is_reachable
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects import seal
from s3ish.objects.store import Store

log = structlog.get_logger()

UNCLEAN = b"unclean"
"""The row of the state table that is there while a server runs, and says since when, in nanoseconds since the epoch.
Found at start, the last stop was not clean."""

SWEEP = b"sweep"
"""The row of the state table that asks for a look through all blobs."""

_BATCH = 200


class OrphanJob:
    """Looks through the index and all blobs once after an unclean stop.

    Args:
        store: the engines.
        before_ns: blobs that are younger than this moment are left alone: they may be about to be committed. So are
            those that are younger than the server, of whose workers this one may not be the first.
    """

    name = "orphans"

    def __init__(self, store: Store, before_ns: int) -> None:
        self._store = store
        self._before_ns = before_ns
        self._pass: AsyncIterator[None] | None = None
        self._left = 0
        self.removed = self.mended = 0

    async def step(self) -> Step:
        """Look at a batch of blobs."""
        if await self._store.index.get("state", SWEEP) is None:
            return Step(more=False, pause_seconds=3600)
        going_on, self._pass = self._pass or self._look_through(), None
        for _ in range(_BATCH):
            try:
                await anext(going_on)
            except StopAsyncIteration:
                return await self._finish()
        self._pass = going_on  # not after a failure, which ends the pass: the next step begins anew
        return Step(more=True)

    async def _finish(self) -> Step:
        if self._left:
            log.warning("sweep begins anew; a volume could not be written", left=self._left)
            return Step(more=False)
        await self._store.index.commit([Delete("state", SWEEP)])
        log.info("sweep after unclean stop finished", removed=self.removed, mended=self.mended)
        return Step(more=False, pause_seconds=3600)

    async def _look_through(self) -> AsyncIterator[None]:
        store = self._store
        started = await store.index.get("state", UNCLEAN)
        if started is not None:
            self._before_ns = min(self._before_ns, int(started))
        self._left = damaged = 0
        async for mended in mend(store):
            self.mended += bool(mended)
            damaged += mended is None
            yield
        if damaged:  # also a key may be: what such a row named would look as if nothing did
            log.error("the index is damaged; nothing is removed. Run: s3ish index rebuild", rows=damaged)
            return
        async for ref, sidecar in store.blobs.scan():
            await self._look_at_sealed(ref, sidecar)
            yield
        async for blob, modified_ns in store.blobs.strays():
            if modified_ns < self._before_ns and not await is_named(store, blob):
                await self._remove(store.blobs.discard(blob))
            yield

    async def _look_at_sealed(self, ref: BlobRef, sidecar: bytes) -> None:
        try:
            sealed = seal.read(sidecar)
        except ValueError:
            log.error("sidecar of an unknown kind", blob=ref.id)
            return
        if seal.made_ns(sealed) >= self._before_ns:
            return
        if await is_reachable(self._store, ref, sealed):
            await self._store.blobs.tidy(ref, self._before_ns)
            return
        if await is_of_lost_bucket(self._store, sealed):
            log.error("object of an unknown bucket; kept, because the bucket is what was lost", blob=ref.id)
            return
        await self._remove(self._store.blobs.delete(ref))

    async def _remove(self, removal: Awaitable[None]) -> None:
        """Remove a blob, or remember that one is left: what a volume refuses must not hold up all behind it."""
        try:
            await removal
        except Unwritable:
            self._left += 1
        else:
            self.removed += 1
