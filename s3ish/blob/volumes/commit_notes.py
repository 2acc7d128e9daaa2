"""Writes to the volumes how many commits the index has seen; see ``index_marks``.

That is done as soon as possible after a commit, and never before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

PAUSE_SECONDS = 0.02
"""The shortest time between two writes to a volume that no commit waits for."""

Each = Callable[[Callable[[int], None], Sequence[int]], Awaitable[None]]
"""Runs a function for each position on threads."""


class CommitNotes:
    """Writes to the volumes how many commits there were.

    Args:
        write: writes a number to the volume at a position; it never raises.
        here: the positions of the volumes that are written to at once, on the event loop.
        elsewhere: those of the others, which no commit waits for.
        each: see ``Each``.
    """

    def __init__(
        self,
        write: Callable[[int, int], None],
        here: Sequence[int],
        elsewhere: Sequence[int],
        each: Each,
    ) -> None:
        self._write, self._here, self._elsewhere, self._each = write, here, elsewhere, each
        self._number = self._written = 0
        self._task: asyncio.Task[None] | None = None

    def note(self, number: int) -> None:
        """There have been so many commits. Called on the event loop, before any caller of them goes on."""
        self._number = max(self._number, number)
        for position in self._here:
            self._write(self._number, position)
        if self._elsewhere and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._write_elsewhere())

    async def _write_elsewhere(self) -> None:
        while (number := self._number) != self._written:
            await self._each(partial(self._write, number), self._elsewhere)
            self._written = number
            await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        """Write the last number."""
        if self._task:
            await self._task
