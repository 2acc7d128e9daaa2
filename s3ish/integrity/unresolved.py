"""Dealing with what this process has left: sealed or amended, with an open fate; see ``objects.unresolved``."""

import structlog

from s3ish.blob.protocol import BlobError
from s3ish.index.protocol import Damaged, Unavailable
from s3ish.integrity.named_blobs import find
from s3ish.integrity.references import is_named
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects.settling import settle
from s3ish.objects.store import Store
from s3ish.tables.catalogue import INTENTS
from s3ish.tables.state import BARRIER

log = structlog.get_logger()

_PAUSE_SECONDS = 5


class UnresolvedJob:
    """Names as garbage what no row names, and has the sidecars of amended records say what their rows say.

    Every process runs it for itself: no other knows what it has left.
    """

    name = "leftovers"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def step(self) -> Step:
        """Deal with everything that is left now, unless the index still fails."""
        left, intents = list(self._store.leftovers), list(self._store.leftovers.intents)
        if left or intents:
            try:
                await self._store.index.commit([BARRIER.put()])
                for ref in left:
                    await self._deal_with(ref)
                for key in intents:
                    await self._settle(key)
            except Unavailable as error:
                count = len(left) + len(intents)
                log.warning("the index fails; what was left is dealt with later", count=count, error=str(error))
        await self._store.settle()
        return Step(more=False, pause_seconds=_PAUSE_SECONDS)

    async def _deal_with(self, ref: BlobRef) -> None:
        if not await is_named(self._store, ref.id):
            await self._store.condemn(ref)
        elif not await find(self._store, ref.id):
            return  # named by a damaged row, if at all: when that is repaired, we shall see
        self._store.leftovers.settled(ref)

    async def _settle(self, key: bytes) -> None:
        """Settle an amendment; without an intent in the index it did not happen, or was carried out."""
        value = await self._store.index.get(INTENTS.name, key)
        if value is not None:
            try:
                await settle(self._store, INTENTS.hold(key, value))
            except (BlobError, Damaged) as error:
                log.warning("a sidecar cannot be written; it is tried again", intent=str(key), error=str(error))
                return
        self._store.leftovers.intents.discard(key)
