"""Verifying everything again and again at a steady, slow pace, so that damage is found before there is too much of it.

A pass goes through all that the index names and repairs what it finds. Where it is stands in the index, so that it
goes on after a restart, in whichever process. It is paced by weight: what a blob weighs of the whole is the share of
the period that its look may take.
"""

import asyncio
from collections import Counter
from collections.abc import Container
from contextlib import suppress

from msgspec.structs import replace

from s3ish.blob.protocol import BlobError
from s3ish.index.protocol import Conflict
from s3ish.integrity.blind_spots import read_blind_spots
from s3ish.integrity.inspect import Finding, Inspector
from s3ish.integrity.named_blobs import BrokenRow, WalkedRow, inventory
from s3ish.jobs.runner import Step
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.state import SCRUB, ScrubProgress
from s3ish.tables.table import Named

STEP_SECONDS = 10.0
"""How much of the period a step covers, so that a store of many small objects does not commit for each of them."""

_DAY_NS = 86_400_000_000_000
_MAX_PAUSE_SECONDS = 3600.0
_LOOK_BYTES = 64 << 10
"""What a blob weighs beyond its bytes: opening its files costs about as much as reading this."""
_ROW_BYTES = 64
"""What a row weighs that names no blob."""


_SLICE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.002, 0.1


async def note_look(store: Store, lacking: dict[int, int], began_ns: int) -> None:
    """Remember what a look at everything found that was not a pass of the scrub. Raises Unavailable."""
    await _note_complete(store, lacking, began_ns)
    while True:
        value = await SCRUB.value(store.index)
        progress = SCRUB.read(value) or ScrubProgress()
        after = replace(progress, lacking={}, lacked=lacking, looked_ns=store.clock.now_ns())
        with suppress(Conflict):
            return await store.index.commit([SCRUB.put(after)], [SCRUB.expect(value)])


async def _note_complete(store: Store, lacking: Container[int], began_ns: int) -> None:
    """Let volumes that lack nothing say so, unless there is something of which the index does not tell."""
    if not await read_blind_spots(store.index):
        await store.upkeep.be_complete(lacking, began_ns)


class ScrubJob:
    """A pass over the whole store, without end.

    Args:
        store: the engines.
        observer: shown the progress, and told of what is found.
        period_seconds: how long a pass takes while a server runs; longer where the drives cannot read as fast.
    """

    name = "scrub"

    def __init__(self, store: Store, observer: Observer, period_seconds: float) -> None:
        self._store, self._observer, self._period = store, observer, period_seconds
        self._inspector = Inspector(store, repair=True)

    async def step(self) -> Step:
        """Look at what is due."""
        clock = self._store.clock
        now, begun = clock.now_ns(), clock.monotonic()
        value = await SCRUB.value(self._store.index)
        progress = SCRUB.read(value) or ScrubProgress()
        if not 0 <= now - progress.weighed_ns < _DAY_NS:
            return await self._save(
                replace(progress, total=await self._weigh(), weighed_ns=now), value, Step(more=True)
            )
        self._observer.scrub_progress(progress.ratio)
        share = self._share(progress)
        if 0 <= now - progress.at_ns < share * 1e9:
            return self._pause(share - (now - progress.at_ns) / 1e9)
        after = replace(await self._go_on(progress), at_ns=now)
        took = clock.monotonic() - begun
        return await self._save(after, value, self._pause(max(self._share(after) - took, took / 4)))

    async def _weigh(self) -> int:
        """Return the weight of the whole; it takes a fifth of the time, so that requests have the rest."""
        total, since = 0, self._store.clock.monotonic()
        async for row in inventory(self._store):
            total += _weight_of_row(row)
            if (spent := self._store.clock.monotonic() - since) > _SLICE_SECONDS:
                await asyncio.sleep(min(4 * spent, _LONGEST_PAUSE_SECONDS))
                since = self._store.clock.monotonic()
        return total

    def _share(self, progress: ScrubProgress) -> float:
        """Return the seconds that the last step pays for."""
        if not progress.total:
            return _DAY_NS / 1e9
        return self._period * min(progress.spent / progress.total, 1)

    def _pause(self, seconds: float) -> Step:
        return Step(more=False, pause_seconds=min(seconds, _MAX_PAUSE_SECONDS))

    async def _save(self, progress: ScrubProgress, old: bytes | None, outcome: Step) -> Step:
        """Write where the pass is, unless another process did meanwhile."""
        try:
            await self._store.index.commit([SCRUB.put(progress)], [SCRUB.expect(old)])
        except Conflict:
            return Step(more=False)
        return outcome

    async def _go_on(self, progress: ScrubProgress) -> ScrubProgress:
        """Look at the blobs of one step. Returns where the pass is then; at its end, where the next one begins."""
        budget = max(1, int(progress.total * STEP_SECONDS / self._period))
        spent, lacking = 0, Counter(progress.lacking)
        async for row in inventory(self._store, progress.table, progress.key):
            resumed = (row.table, row.key) == (progress.table, progress.key)
            at = replace(progress, table=row.table, key=row.key)
            for number, item in enumerate(row.items):
                if resumed and number < progress.item:
                    continue
                lacking.update(await self._look(item))
                spent += _weight(item)
                if spent >= budget:
                    done = progress.done + spent
                    return replace(at, done=done, item=number + 1, spent=spent, lacking=dict(lacking))
            if not row.items:
                spent += _ROW_BYTES
                if spent >= budget:
                    done = progress.done + spent
                    return replace(at, done=done, key=keys.after(row.key), item=0, spent=spent, lacking=dict(lacking))
        await self._store.index.verify()  # pages in each other's place hide rows from the pass
        self._observer.scrub_passed()
        looked_ns = self._store.clock.now_ns()
        await _note_complete(self._store, {*lacking, *progress.lacked}, progress.looked_ns)  # when it began
        return ScrubProgress(progress.total, spent=spent, lacked=dict(lacking), looked_ns=looked_ns)

    async def _look(self, item: Named | BrokenRow) -> tuple[int, ...]:
        """Look at a blob, and repair it if need be. Returns where it still lacks something."""
        try:
            finding = await self._inspector.look(item)
        except BlobError as error:  # one that cannot be judged must not hold up all behind it
            finding = Finding(item.name, (str(error),), "damaged")
        if isinstance(item, Named):
            self._observer.scrubbed(item.ref.size)
        if finding is None:
            return ()
        self._tell(finding)
        return () if finding.state == "repaired" else finding.volumes

    def _tell(self, finding: Finding) -> None:
        self._observer.finding(finding.name, finding.problems, finding.state)


def _weight_of_row(row: WalkedRow) -> int:
    return sum(map(_weight, row.items)) if row.items else _ROW_BYTES


def _weight(item: Named | BrokenRow) -> int:
    return _LOOK_BYTES + (item.ref.size if isinstance(item, Named) else 0)
