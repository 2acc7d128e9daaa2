"""What is done once at start, before the first request: while nothing else changes, it can be put right without care.

It must stay short: what takes time is left to the jobs in the background. Workers begin and die while others serve;
what they ask for is done beside the requests.
"""

import structlog

from s3ish.index.protocol import Conflict, Damaged, Index
from s3ish.integrity.blind_spots import read_blind_spots
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.usage_count import count_usage
from s3ish.jobs.runner import end_leases
from s3ish.objects.settling import settle_all
from s3ish.objects.store import Store
from s3ish.tables.state import AWAY, COUNTED, GENERATION, SET, SWEEP, UNCLEAN

log = structlog.get_logger()


class Stale(Damaged):
    """The index is from the past, like that of a drive that was replaced and comes back."""


class Foreign(Damaged):
    """The index is of another set of volumes."""


async def bind(store: Store, volumes: str, generation: int, commits: int) -> None:
    """Hold the index to a set of volumes: what it does not name will be removed.

    Args:
        store: the engines.
        volumes: the id of the set.
        generation: of the last index that named what is on them.
        commits: how many that has seen, at the least.

    Raises:
        Foreign: the index is of another set.
        Stale: it is older than that.
        IndexFailure: it cannot be used.
    """
    found = await SET.value(store.index)
    if found is None:
        await store.index.commit([SET.put(volumes.encode())])
    elif found != volumes.encode():
        raise Foreign("the index is of another set of volumes. Remove it and run: s3ish index rebuild")
    if int(await GENERATION.value(store.index) or 0) < generation or store.index.commits < commits:
        raise Stale("the index is older than what is on the volumes. Run: s3ish index rebuild")


async def adopt(store: Store, generation: int) -> None:
    """Make the index the one of a generation, with counters that are right. Raises IndexFailure."""
    marks = [GENERATION.put(b"%d" % generation)]
    if await are_counted(store.index) or await count_usage(store):
        marks.append(COUNTED.put(b"%d" % generation))
    await store.index.commit(marks)


async def are_counted(index: Index) -> bool:
    """Whether the counters of usage can be trusted. Raises Unavailable."""
    return await COUNTED.value(index) == await GENERATION.value(index)


async def recover(store: Store) -> None:
    """Make a store ready to serve, after a clean stop or an unclean one, and remember that a server runs.

    Raises:
        IndexFailure: the index cannot be used.
    """
    unclean = await UNCLEAN.value(store.index) is not None
    away = set(store.upkeep.away)
    returned = (set(AWAY.read(await AWAY.value(store.index)) or ()) | store.upkeep.behind) - away
    if unclean:
        log.warning("the last stop was not clean; looking through all sidecars in the background")
    if returned:
        log.warning("volumes came back; looking for what was removed meanwhile", positions=sorted(returned))
    if gaps := await read_blind_spots(store.index):
        log.error("the index has gaps; s3ish check tells of them", count=len(gaps))
    began = [UNCLEAN.put(b"%d" % store.clock.now_ns()), AWAY.put(sorted(away)), *await end_leases(store)]
    left = await settle_all(store, lambda *_: True)
    await store.index.commit([*began, SWEEP.put()] if unclean or returned or left else began)
    await GarbageJob(store).flush()


async def join(store: Store, *, takes_snapshots: bool = True) -> None:
    """Begin as a worker: remember what this process does not reach, and ask for a sweep where another one has died.

    Args:
        takes_snapshots: whether a worker of this server may take a snapshot.

    Raises:
        IndexFailure: the index cannot be used.
    """
    if away := store.upkeep.away:
        await _add_away(store, set(away))
    if dead := await store.upkeep.dead_makers():
        log.warning("a worker died; looking in the background for what it left", workers=len(dead))
        await store.index.commit([SWEEP.put(store.clock.token().encode())])
    if not takes_snapshots:
        await store.removal.pins.rule_out()


async def _add_away(store: Store, positions: set[int]) -> None:
    while True:
        value = await AWAY.value(store.index)
        if positions <= (known := set(AWAY.read(value) or ())):
            return
        try:
            await store.index.commit([AWAY.put(sorted(known | positions))], [AWAY.expect(value)])
        except Conflict:
            continue
        return
