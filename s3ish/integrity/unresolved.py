"""Dealing with what this process has left: sealed or amended, with an open fate; see ``objects.unresolved``."""

import structlog

from s3ish.index.protocol import Unavailable
from s3ish.integrity.catalog_walk import find
from s3ish.integrity.doubts import Doubts
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.references import is_named
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects.store import Store
from s3ish.tables.catalog import STATE

log = structlog.get_logger()

BARRIER = b"barrier"
"""The row of the state table that is written to know that the index works and that every earlier commit is decided."""

_PAUSE_SECONDS = 5


class UnresolvedJob:
    """Names as garbage what no row names, and has the sidecars of the rest say what their rows say.

    Every process runs it for itself: no other knows what it has left.
    """

    name = "leftovers"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inspector = Inspector(store, repair=True, settled=False)
        self._doubts = Doubts(store)

    async def step(self) -> Step:
        """Deal with everything that is left now, unless the index still fails."""
        await self._doubts.settle()
        left = list(self._store.leftovers)
        if left:
            try:
                await self._store.index.commit([STATE.mark(BARRIER, b"1")])
                for ref in left:
                    await self._deal_with(ref)
            except Unavailable as error:
                log.warning("the index fails; what was left is dealt with later", count=len(left), error=str(error))
        return Step(more=False, pause_seconds=_PAUSE_SECONDS)

    async def _deal_with(self, ref: BlobRef) -> None:
        if not await is_named(self._store, ref.id):
            await self._store.condemn(ref)
        elif item := await find(self._store, ref.id):
            self._doubts.take(item, await self._inspector.look(item))
        else:
            return  # named by a damaged row, if at all: when that is repaired, we shall see
        self._store.leftovers.settled(ref)
