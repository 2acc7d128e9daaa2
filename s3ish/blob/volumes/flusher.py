"""Flushes in the background what need not be durable before the answer: sidecars on a single volume, removals.

One call for each file system a moment after the first change, however many changes follow.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from s3ish.blob.protocol import BlobError
from s3ish.blob.volumes.volume_set import Volumes


class Flusher:
    """Makes changes durable soon.

    Args:
        run: runs a function on a thread.
        delay_seconds: how long a change may wait.
    """

    def __init__(
        self, volumes: Volumes, run: Callable[[Callable[[], None]], Awaitable[None]], *, delay_seconds: float = 1.0
    ) -> None:
        self._volumes, self._run, self._delay = volumes, run, delay_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Have everything written so far flushed within the delay."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._start)

    async def close(self) -> None:
        """Flush at once what is waiting, and wait for it."""
        if self._task:
            await self._task
        if self._timer:
            self._timer.cancel()
            await self._flush()

    def _start(self) -> None:
        if self._task and not self._task.done():  # a slow disk: one flush at a time
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._start)
            return
        self._task = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        self._timer = None
        await self._run(self._flush_all)

    def _flush_all(self) -> None:
        for volume in self._volumes.present:
            with suppress(BlobError):  # the volume is suspect from then on and says so to the next writer
                volume.sync_all()
