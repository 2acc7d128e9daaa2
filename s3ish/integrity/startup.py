"""What is done once at start, before the first request: while nothing else changes, it can be put right without care.

It must stay short: what takes time is left to the jobs in the background. Workers begin and die while others serve;
what they ask for is done beside the requests.
"""

import structlog

from s3ish.blob.protocol import BlobError
from s3ish.index.protocol import Conflict, Damaged, Put, RowIs
from s3ish.integrity.blind_spots import read_blind_spots
from s3ish.integrity.catalog_walk import inventory
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.sweep import SWEEP, UNCLEAN
from s3ish.objects.store import Store
from s3ish.tables import records

log = structlog.get_logger()

AWAY = b"away"
"""The row of the state table that says which volumes are out of reach of the server or of one of its workers. What is
removed meanwhile stays on them, and is looked for when they are back."""


SET = b"set"
"""The row of the state table that says of which set of volumes the index is."""


GENERATION = b"generation"
"""The row of the state table that counts the starts of a server on this index. The volumes have the number too: an
index with a lower one is from the past, and does not know what was stored since."""


class Stale(Damaged):
    """The index is from the past, like that of a drive that was replaced and comes back."""


class Foreign(Damaged):
    """The index is of another set of volumes."""


async def bind(store: Store, volumes: str, generation: int) -> None:
    """Hold the index to a set of volumes: what it does not name will be removed.

    Args:
        store: the engines.
        volumes: the id of the set.
        generation: of the last index that named what is on them.

    Raises:
        Foreign: the index is of another set.
        Stale: it is older than that.
        IndexFailure: it cannot be used.
    """
    found = await store.index.get("state", SET)
    if found is None:
        await store.index.commit([Put("state", SET, volumes.encode())])
    elif found != volumes.encode():
        raise Foreign("the index is of another set of volumes. Remove it and run: s3ish index rebuild")
    if int(await store.index.get("state", GENERATION) or 0) < generation:
        raise Stale("the index is older than what is on the volumes. Run: s3ish index rebuild")


async def adopt(store: Store, generation: int) -> None:
    """Make the index the one of a generation. Raises IndexFailure."""
    await store.index.commit([Put("state", GENERATION, b"%d" % generation)])


async def recover(store: Store) -> None:
    """Make a store ready to serve, after a clean stop or an unclean one, and remember that a server runs.

    Raises:
        IndexFailure: the index cannot be used.
    """
    unclean = await store.index.get("state", UNCLEAN) is not None
    away = set(store.blobs.away)
    returned = _decoded(await store.index.get("state", AWAY)) - away
    if unclean:
        log.warning("the last stop was not clean; looking through all sidecars in the background")
        await _settle_buckets(store)
    if returned:
        log.warning("volumes came back; looking for what was removed meanwhile", positions=sorted(returned))
    if gaps := await read_blind_spots(store.index):
        log.error("the index has gaps; s3ish check tells of them", count=len(gaps))
    began = [Put("state", UNCLEAN, b"%d" % store.clock.now_ns()), _away(away)]
    await store.index.commit([*began, Put("state", SWEEP, b"1")] if unclean or returned else began)
    await GarbageJob(store).flush()


async def join(store: Store) -> None:
    """Begin as a worker: remember what this process does not reach, and ask for a sweep where another one has died.

    Raises:
        IndexFailure: the index cannot be used.
    """
    if store.blobs.away:
        await _add_away(store, set(store.blobs.away))
    if dead := await store.blobs.dead_makers():
        log.warning("a worker died; looking in the background for what it left", workers=len(dead))
        await store.index.commit([Put("state", SWEEP, store.clock.token().encode())])


async def _add_away(store: Store, positions: set[int]) -> None:
    while True:
        value = await store.index.get("state", AWAY)
        if positions <= (known := _decoded(value)):
            return
        try:
            await store.index.commit([_away(known | positions)], [RowIs("state", AWAY, value)])
        except Conflict:
            continue
        return


def _away(positions: set[int]) -> Put:
    return Put("state", AWAY, records.encode("state", AWAY, sorted(positions)))


def _decoded(value: bytes | None) -> set[int]:
    if value is None:
        return set()
    try:
        return set(records.decode("state", AWAY, value, list[int]))
    except Damaged:
        return set()


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
