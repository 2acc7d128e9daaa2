"""Removing what commits have made unreachable but a request could not remove itself."""

from s3ish.index import keys, records
from s3ish.jobs.runner import Step
from s3ish.model import BlobRef
from s3ish.objects.store import Store

_BATCH = 100
_GRACE_NS = 60 * 1_000_000_000


class GarbageJob:
    """Deletes the blobs that the garbage table names.

    A row is usually gone a moment after it was written, because the request that made it removes the blob itself. One
    that is still there after a minute was left by a crash or by a volume that could not be written.
    """

    name = "garbage"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[bytes, int] = {}

    async def step(self) -> Step:
        """Look at a batch of rows; delete those that were there a minute ago."""
        rows = await self._store.index.scan("garbage", b"", b"\xff", _BATCH)
        now = self._store.clock.now_ns()
        self._seen = {key: self._seen.get(key, now) for key, _ in rows}
        due = [(key, value) for key, value in rows if now - self._seen[key] >= _GRACE_NS]
        await self._store.discard([records.decode("garbage", key, value, BlobRef) for key, value in due])
        return Step(more=len(due) == _BATCH, pause_seconds=30)

    async def flush(self) -> int:
        """Delete everything the table names at once, at start before any request; return how many blobs."""
        removed = 0
        start = b""
        while rows := await self._store.index.scan("garbage", start, b"\xff", _BATCH):
            await self._store.discard([records.decode("garbage", key, value, BlobRef) for key, value in rows])
            removed += len(rows)
            start = keys.after(rows[-1][0])
        return removed
