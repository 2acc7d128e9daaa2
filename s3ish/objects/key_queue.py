"""Whose turn it is to write a key: the writers of one process queue, and the first to come is the first to write.

Correctness does not rest on it, because commits state what they expect; it spares writers futile races.
"""

import asyncio
from collections import deque
from contextlib import suppress


class KeyQueue:
    """The queues of the keys that are being written. ``async with turns.of(name):`` waits for a turn and ends it."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def of(self, name: bytes) -> "_Turn":
        """Return the context in which it is the caller's turn."""
        return _Turn(self._waiting, name)


class _Turn:
    __slots__ = ("_name", "_waiting")

    def __init__(self, waiting: dict[bytes, deque[asyncio.Future[None]]], name: bytes) -> None:
        self._waiting, self._name = waiting, name

    async def __aenter__(self) -> None:
        queue = self._waiting.get(self._name)
        if queue is None:
            self._waiting[self._name] = deque()
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):  # the turn before ended meanwhile, and passed over this one
                    queue.remove(turn)
            else:  # it had come just before
                self._pass_on()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        queue = self._waiting[self._name]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[self._name]
