"""What comes in one turn of the event loop, handed on together.

The receiver is asleep: a thread, or a client on the same machine. Waking it costs as much as much of the work on a
small request, so that it is woken once for all of them.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TurnBatch(Generic[T]):
    """Gathers until the turn ends, or there is enough.

    It is handed on before anything else runs that was begun after it came, but for what the event loop calls for a
    connection or a timer: those have to ``flush`` if the order matters.

    Args:
        hand_on: takes all that came, in order. It must not raise.
        most: so many are handed on at once.
    """

    __slots__ = ("_hand_on", "_items", "_loop", "_most")

    def __init__(self, hand_on: Callable[[list[T]], None], most: int) -> None:
        self._hand_on, self._most = hand_on, most
        self._items: list[T] = []
        self._loop: asyncio.AbstractEventLoop | None = None  # the one whose turn's end is waited for

    def add(self, item: T) -> None:
        """Hand on one more; at once where no event loop runs."""
        self._items.append(item)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if loop is not self._loop:  # it may have ended in the middle of a turn
            self._loop = loop
            loop.call_soon(self._end_turn)
        if len(self._items) >= self._most:
            self.flush()

    def flush(self) -> None:
        """Hand on what there is."""
        if self._items:
            items, self._items = self._items, []
            self._hand_on(items)

    def _end_turn(self) -> None:
        self._loop = None
        self.flush()
