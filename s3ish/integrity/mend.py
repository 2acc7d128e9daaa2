"""Writing sidecars anew that are lost, from what the index says."""

from collections.abc import AsyncIterator

import structlog

from s3ish.blob.protocol import BlobError, Corrupt, Missing
from s3ish.integrity.catalog_walk import inventory
from s3ish.integrity.inspect import rewrite_sidecar
from s3ish.objects.store import Store
from s3ish.tables.table import Named

log = structlog.get_logger()


async def mend(store: Store) -> AsyncIterator[bool | None]:
    """Go through all that the index names; yield for each whether its sidecar was lost and is there again.

    For a row that is damaged it yields None.
    """
    async for row in inventory(store):
        for item in row.items:
            if isinstance(item, Named):
                yield await _mend_one(store, item)
            else:
                log.error("damaged row", row=item.name, problem=item.problem)
                yield None


async def _mend_one(store: Store, item: Named) -> bool:
    try:
        await store.blobs.read_sidecar(item.ref)
    except (Missing, Corrupt):
        pass
    else:
        return False
    try:
        return await rewrite_sidecar(store, item)
    except BlobError as error:
        log.error("sidecar cannot be mended", name=item.name, blob=item.ref.id, error=str(error))
        return False
