"""Writes to the volumes how many commits the index has seen; see ``index_marks``.

That is done as soon as possible after a commit, and never before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

PAUSE_SECONDS = 0.02
"""The shortest time between two writes, where there are several volumes."""

Each = Callable[[Callable[[int], None], Sequence[int]], Awaitable[None]]
"""Runs a function for each position on threads."""


class CommitNotes:
    """Writes to the volumes how many commits there were; no commit waits for it.

    Args:
        write: writes a number to the volume at a position; it never raises.
        positions: of the volumes.
        each: None to call it at once, on the event loop.
    """

    def __init__(
        self,
        write: Callable[[int, int], None],
        positions: Sequence[int],
        each: Each | None,
    ) -> None:
        self._write, self._positions, self._each = write, positions, each
        self._number = self._written = 0
        self._task: asyncio.Task[None] | None = None

    def note(self, number: int) -> None:
        """There have been so many commits. Called on the event loop, before any caller of them goes on."""
        self._number = max(self._number, number)
        if self._each is None:
            for position in self._positions:
                self._write(self._number, position)
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_each(self._each))

    async def _write_each(self, each: Each) -> None:
        while (number := self._number) != self._written:
            await each(partial(self._write, number), self._positions)
            self._written = number
            await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        """Write the last number."""
        if self._task:
            await self._task
