"""Room in memory for what uploads have sent and the drives have not yet taken: taken in turns, first come first served.

However many upload at once, a process holds no more than so many bytes of them. A piece has a place before it is taken
from its sender, until it is stored. So an upload that has a place needs nothing but its sender and the drives, and no
two wait for each other. In a crowd pieces are small, so that many have a place.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

ROOM_BYTES, SLOW_BYTES = 26 << 20, 6 << 20
"""What a process holds of quick and of slow senders."""

UPLOAD_BYTES = 24 << 10
"""What each upload takes of the room, besides its pieces: it has a connection and its first bytes have come."""

CROWD = 64
"""More uploads than these are a crowd."""

PIECE_BYTES, CROWD_PIECE_BYTES = 1 << 20, 128 << 10
"""What an upload takes at a time, and what it does in a crowd: small enough that many have room at once, and large
enough that a byte costs little more."""

PATIENCE_SECONDS = 0.5
"""Who needs longer for a piece is slow, and gives its place to others: there is room besides for many of its kind."""

FREE_BYTES = 32 << 10
"""Pieces of up to so many bytes need no place: they are there already, in what the connection holds."""


class Place:
    """What a piece takes of the room."""

    def __init__(self, room: "Room", size: int) -> None:
        self._room, self._size, self._slow_size = room, size, 0

    def give_way(self) -> None:
        """Let quick senders have the place of a slow one, if there is room for another of its kind."""
        if self._room.has_for_slow(self._size):
            size, self._size = self._size, 0
            self._slow_size += size
            self._room.move(size)

    def leave(self) -> None:
        """Make room for others; idempotent."""
        self._room.free(self._size, self._slow_size)
        self._size = self._slow_size = 0


class Room:
    """The room of one process.

    Args:
        size: in bytes, a quarter of which is for pieces whatever the number of uploads; pieces that are large beside
            it still have room for four.
        slow_size: the same for the pieces of slow senders.
        piece_bytes: what an upload takes at a time outside a crowd.
    """

    def __init__(self, size: int = ROOM_BYTES, slow_size: int = SLOW_BYTES, *, piece_bytes: int = PIECE_BYTES) -> None:
        self._size, self._slow_size, self._piece_bytes = size, slow_size, piece_bytes
        self._quick = self._slow = self._uploads = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def taken(self) -> int:
        """How many bytes have a place."""
        return self._quick + self._slow

    def samples(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """See ``s3ish.observe.families.Source``."""
        yield "upload_memory_bytes", (), self.taken
        yield "upload_memory_limit_bytes", (), self._size + self._slow_size
        yield "uploads_waiting", (), len(self._waiting)
        yield "uploads", (), self._uploads

    @property
    def piece_bytes(self) -> int:
        """What the next upload should take at a time."""
        return min(self._piece_bytes, CROWD_PIECE_BYTES) if self._uploads >= CROWD else self._piece_bytes

    @contextmanager
    def upload(self) -> Iterator[None]:
        """The time from an upload's beginning to its end."""
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def enter(self, size: int) -> Place:
        """Take a place for so many bytes, as soon as all that came earlier have one."""
        if not self._waiting and self._has(size):
            self._quick += size
        else:
            await self._turn(size)
        return Place(self, size)

    def has_for_slow(self, size: int) -> bool:
        """Whether there is room for a piece of a slow sender."""
        return self._slow + size <= self._slow_size

    def move(self, size: int) -> None:
        """Count so many bytes as a slow sender's."""
        self._slow += size
        self.free(size)

    def free(self, size: int, slow_size: int = 0) -> None:
        """Let those in who wait, now that so many bytes are free."""
        self._slow -= slow_size
        self._quick -= size
        while self._waiting and (self._waiting[0][1].done() or self._has(self._waiting[0][0])):
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self._quick += wanted
                turn.set_result(None)

    def _has(self, size: int) -> bool:
        limit = max(self._size - self._uploads * UPLOAD_BYTES, self._size // 4)
        return self._quick + size <= max(limit, 4 * size)

    async def _turn(self, size: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self.free(0 if turn.cancelled() else size)  # or the turn came at the same moment
            raise
