"""Removing what commits have made unreachable but a request could not remove itself, or left because it is much."""

import structlog

from s3ish.index.protocol import Damaged
from s3ish.jobs.runner import Step
from s3ish.model import Garbage
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import GARBAGE
from s3ish.tables.state import SWEEP

log = structlog.get_logger()

_BATCH = 100
_BATCH_PARTS = 1000
"""A step takes no further row when those that it has taken have so many parts."""
_MOST_SEEN = 10_000
"""So much of what a pass has left is remembered; for more the next one flushes once more."""
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 30.0, 600.0
_RESTS = 100
"""So many times as long as a pass took is the pause after it: rows that stay cost a hundredth of the time."""


class GarbageJob:
    """Deletes the blobs that the garbage table names.

    A row is usually gone a moment after it was written, because the request that made it removes the blob itself. One
    that stays was left by a crash, by a volume that could not be written, or because the blob has many parts. Removing
    a blob twice does no harm.
    """

    name = "garbage"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._start = b""
        self._seconds = 0.0  # that the pass has taken so far
        self._seen: set[str] = set()
        self._flushed: frozenset[str] = frozenset()  # what the pass before has seen, and left: it is pinned

    async def step(self) -> Step:
        """Delete a batch; what cannot be deleted does not hold up what comes behind it."""
        return await self._step(all_parts=True)

    async def _step(self, *, all_parts: bool) -> Step:
        began = self._store.clock.monotonic()
        await self._store.settle()  # what is gone already need not be looked at
        rows = await GARBAGE.rows(self._store.index, self._start, keys.END, _BATCH)
        taken: list[Garbage] = []
        parts = looked = 0
        while looked < len(rows) and parts < _BATCH_PARTS:
            key, value = rows[looked]
            looked += 1
            try:
                taken.append(GARBAGE.decode(key, value))
                parts += len(taken[-1].parts)
            except Damaged:
                log.error(
                    "damaged row of garbage; looking through all blobs instead", blob=key.decode(errors="replace")
                )
                await self._store.index.commit([GARBAGE.drop(key), SWEEP.put()])
        await self._remove(taken, all_parts=all_parts)
        await self._store.settle()
        more = looked < len(rows) or len(rows) == _BATCH
        if not more:
            self._flushed, self._seen = frozenset(self._seen), set()
        self._start = keys.after(rows[looked - 1][0]) if more else b""
        seconds = self._seconds + self._store.clock.monotonic() - began
        self._seconds = seconds if more else 0.0
        return Step(more=more, pause_seconds=min(max(_PAUSE_SECONDS, _RESTS * seconds), _LONGEST_PAUSE_SECONDS))

    async def _remove(self, taken: list[Garbage], *, all_parts: bool) -> None:
        """Remove garbage that any process has named.

        What has the same bytes now may be of one that was killed, or has not flushed it yet: all is flushed before.
        """
        ids = {item.ref.id for item in taken}
        if ids <= self._flushed or await self._store.flush():
            if len(self._seen) < _MOST_SEEN:
                self._seen |= ids
            await self._store.discard(taken, all_parts=all_parts)

    async def flush(self) -> None:
        """Go through the whole table, at start before any request; many parts of one blob do not delay it."""
        while (await self._step(all_parts=False)).more:
            pass


class RemovalJob:
    """Runs the garbage job as soon as a request of this process has left something to it."""

    name = "removal"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._garbage = GarbageJob(store)

    async def step(self) -> Step:
        """Go through the garbage table if something was left there."""
        if self._store.removal.has_left:
            self._store.removal.has_left = False
            while (await self._garbage.step()).more:
                pass
        return Step(more=False, pause_seconds=1)
