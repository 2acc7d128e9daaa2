"""Saving what only a damaged index knows, before another one is built from the sidecars.

Sidecars are lost too: by rot, or by a cut of the power that came before they were flushed. What the index still says of
their blobs is as good, where it is not from the past: ``startup.bind`` has held its commits against those that the
volumes have seen. A row alone proves nothing, for a page whose last write was lost shows rows that were deleted. So
there is a second proof: the shards are on the volumes, or the bytes of a small blob stand in a table of their own.
"""

from contextlib import suppress

import structlog

from s3ish.blob.protocol import BlobError, Corrupt, Missing
from s3ish.index.protocol import Damaged
from s3ish.integrity.named_blobs import BrokenRow, inventory
from s3ish.model import BlobRef
from s3ish.objects.store import Store
from s3ish.tables.table import Named

log = structlog.get_logger()


async def salvage(store: Store) -> int:
    """Write the sidecars again that are lost of what the index names; nothing else may use the store.

    Pages of the index that cannot be read are passed over.

    Returns:
        How many were written.

    Raises:
        NewerFormat, Unavailable: the index cannot be read.
    """
    written = 0
    async for row in inventory(store, over_damage=True):
        for item in row.items:
            if isinstance(item, BrokenRow):
                log.error("damaged row", row=item.name, problem=item.problem)
                continue
            with suppress(Damaged):
                written += await _save(store, item)
    return written


async def _save(store: Store, item: Named) -> bool:
    """Write the sidecar of a blob if it is lost, and the blob is not. Raises Damaged, Unavailable."""
    try:
        if not await _is_lost(store, item.ref) or await store.find_garbage(item.ref.id):
            return False
        if not await _is_there(store, item.ref):
            log.error("sidecar cannot be restored: the blob is lost too", name=item.name, blob=item.ref.id)
            return False
        await store.blobs.amend(item.ref, item.sidecar.text, inline=await store.inline(item.ref))
    except BlobError as error:
        log.error("sidecar cannot be restored", name=item.name, blob=item.ref.id, error=str(error))
        return False
    log.warning("a lost sidecar is written again as the index says", name=item.name, blob=item.ref.id)
    return True


async def _is_lost(store: Store, ref: BlobRef) -> bool:
    """Whether no copy of a sidecar is left, nor may be out of reach. Raises BlobError."""
    try:
        await store.blobs.read_sidecar(ref)
    except (Missing, Corrupt):
        return set(store.upkeep.away).isdisjoint(ref.volumes)
    return False


async def _is_there(store: Store, ref: BlobRef) -> bool:
    """Whether something else than the row says that a blob was not deleted; of an empty one there is nothing else."""
    if ref.inline or not ref.size:
        return await store.inline(ref) is not None
    return (await store.blobs.check(ref, repair=False)).readable
