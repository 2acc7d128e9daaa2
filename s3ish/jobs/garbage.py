"""Removing what commits have made unreachable but a request could not remove itself."""

from contextlib import suppress

import structlog

from s3ish.index import keys, records
from s3ish.index.protocol import Damaged, Delete, Put
from s3ish.jobs.orphans import SWEEP
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects.store import Store

log = structlog.get_logger()

_BATCH = 100


class GarbageJob:
    """Deletes the blobs that the garbage table names.

    A row is usually gone a moment after it was written, because the request that made it removes the blob itself. One
    that stays was left by a crash or by a volume that could not be written. Removing a blob twice does no harm.
    """

    name = "garbage"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._start = b""

    async def step(self) -> Step:
        """Delete a batch; what cannot be deleted does not hold up what comes behind it."""
        await self._store.settle()  # what is gone already need not be looked at
        rows = await self._store.index.scan("garbage", self._start, b"\xff", _BATCH)
        for key, value in rows:
            with suppress(Damaged):
                await self._store.discard([records.decode("garbage", key, value, BlobRef)])
                continue
            log.error("damaged row of garbage; looking through all blobs instead", blob=key.decode(errors="replace"))
            await self._store.index.commit([Delete("garbage", key), Put("state", SWEEP, b"1")])
        await self._store.settle()
        more = len(rows) == _BATCH
        self._start = keys.after(rows[-1][0]) if more else b""
        return Step(more=more, pause_seconds=30)

    async def flush(self) -> None:
        """Go through the whole table, at start before any request."""
        while (await self.step()).more:
            pass
