"""Small answers on their way out: those of one turn of the event loop are sent together.

A client on the same machine that waits is woken by the first of them and stays awake for the others; sent one by one,
as they are made, each would wake it again, which takes longer than to send it.
"""

import asyncio
import threading

from s3ish.batching import TurnBatch

_MOST = 16
"""So many answers are sent at once: more would spare little and let the first of them wait."""


_Answer = tuple[asyncio.Transport, bytes]


def _send(answers: list[_Answer]) -> None:
    for transport, data in answers:
        if not transport.is_closing():  # else the client has gone
            transport.write(data)


class BatchedWrites(threading.local):
    """The answers that wait for the end of the turn, of all connections of a thread."""

    def __init__(self) -> None:
        self._gathered = TurnBatch(_send, _MOST)

    def add(self, transport: asyncio.Transport, data: bytes) -> None:
        """Send all of an answer when the turn ends."""
        self._gathered.add((transport, data))

    def flush(self) -> None:
        """Send what there is: something is to happen to a connection that must come after its answers."""
        self._gathered.flush()


outbox = BatchedWrites()
