"""The connections without a request, the longest idle first: one of them makes room for a newcomer.

Without that, clients that connect and say nothing would turn everybody away until their time is up.
"""

import threading
from collections import OrderedDict
from typing import Protocol

from s3ish.http.batched_writes import outbox


class Closable(Protocol):
    """A connection that can be closed."""

    def close(self) -> None:
        """Close it soon."""


class IdleConnections(threading.local):
    """The idle connections of the event loop of this thread."""

    def __init__(self) -> None:
        self._since: OrderedDict[Closable, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._since)

    def add(self, connection: Closable) -> None:
        """A connection begins to be idle."""
        self._since[connection] = None

    def discard(self, connection: Closable) -> None:
        """A connection has a request, or has ended."""
        self._since.pop(connection, None)

    def close_longest(self) -> bool:
        """Close the connection that has been idle for the longest time; return False if there is none."""
        if not self._since:
            return False
        outbox.flush()  # its answer may be among those that wait
        connection, _ = self._since.popitem(last=False)
        connection.close()
        return True


idle_connections = IdleConnections()
