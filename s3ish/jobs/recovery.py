"""What is done once at start, before the first request: while nothing else changes, it can be put right without care.

It must stay short: what takes time is left to the jobs in the background.
"""

import structlog

from s3ish.blob.protocol import BlobError
from s3ish.index.protocol import Damaged, Put
from s3ish.jobs.garbage import GarbageJob
from s3ish.jobs.inspection import Inspector
from s3ish.jobs.inventory import inventory
from s3ish.jobs.orphans import SWEEP, UNCLEAN
from s3ish.objects.store import Store

log = structlog.get_logger()


SET = b"set"
"""The row of the state table that says of which set of volumes the index is."""


async def bind(store: Store, volumes: str) -> None:
    """Hold the index to a set of volumes: what it does not name will be removed.

    Args:
        store: the engines.
        volumes: the id of the set.

    Raises:
        IndexFailure: the index is of another set, or cannot be used.
    """
    found = await store.index.get("state", SET)
    if found is None:
        await store.index.commit([Put("state", SET, volumes.encode())])
    elif found != volumes.encode():
        raise Damaged("the index is of another set of volumes. Remove it and run: s3ish index rebuild")


async def recover(store: Store) -> None:
    """Make a store ready to serve, after a clean stop or an unclean one, and remember that a server runs.

    Raises:
        IndexFailure: the index cannot be used.
    """
    if await store.index.get("state", UNCLEAN) is not None:
        log.warning("the last stop was not clean; looking through all sidecars in the background")
        await _settle_buckets(store)
        await store.index.commit([Put("state", SWEEP, b"1")])
    await store.index.commit([Put("state", UNCLEAN, b"%d" % store.clock.now_ns())])
    await GarbageJob(store).flush()


async def _settle_buckets(store: Store) -> None:
    """Have the sidecars of all buckets say what the index says.

    A change of a bucket writes the sidecar first and the row then. One that was cut off in between was never
    acknowledged, and a rebuild must not bring it to light.
    """
    inspector = Inspector(store, repair=True)
    async for row in inventory(store):
        if row.table != "buckets":
            break
        for item in row.items:
            try:
                await inspector.look(item)
            except BlobError as error:
                log.error("a bucket's sidecar cannot be checked", name=item.name, error=str(error))
