"""Flushing short blobs on a single volume together: those whose turn comes at the same time make one job.

A drive takes little longer for several, and one thread that waits for it disturbs the others less than many do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from s3ish.blob.shards import BlobFiles, flush_together
from s3ish.gathered import Gathered

_MOST = 8
"""So many blobs are flushed by one job: more would wait for each other longer than is spared."""

_Waiting = tuple[BlobFiles, "asyncio.Future[None]"]


class FlushTogether:
    """The door to flushes of short blobs.

    Args:
        run: runs a function on a thread.
    """

    def __init__(
        self, run: Callable[[Callable[[Sequence[BlobFiles], int], None], Sequence[BlobFiles], int], Awaitable[None]]
    ) -> None:
        self._run = run
        self._gathered = Gathered[_Waiting](self._begin, _MOST)
        self._tasks: set[asyncio.Task[None]] = set()

    async def flush(self, files: BlobFiles) -> None:
        """Make the shards of a blob durable, with the directory entries that lead to them; failures are noted there."""
        outcome = asyncio.get_running_loop().create_future()
        self._gathered.add((files, outcome))
        await outcome

    def _begin(self, group: list[_Waiting]) -> None:
        task = asyncio.get_running_loop().create_task(self._flush(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush(self, group: list[_Waiting]) -> None:
        error: BaseException | None = None
        try:
            await self._run(flush_together, [files for files, _ in group], 0)
        except BaseException as caught:  # noqa: BLE001 - whatever it is, those who wait must get it
            error = caught
        for _, outcome in group:
            if outcome.done():  # cancelled
                continue
            if error:
                outcome.set_exception(error)
            else:
                outcome.set_result(None)
