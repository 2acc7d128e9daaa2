"""Room in memory for documents: bodies that are held whole before anything is made of them.

However many clients send some at once, and stop in the middle, a process holds no more than so many bytes of them. Who
finds no room is asked to come again: to wait would let those who have stopped hold up the others for longer.
"""

from s3ish.errors import SlowDown

ROOM_BYTES = 64 << 20
"""What all of them take beyond what is free."""

FREE_BYTES = 16 << 10
"""So much of each takes no room: most documents are shorter, and none of these is refused."""


class DocumentRoom:
    """The room for the documents of one kind of request, in one process.

    Args:
        size: in bytes.
    """

    def __init__(self, size: int = ROOM_BYTES) -> None:
        self._size = size
        self.taken = 0

    def take(self, count: int) -> None:
        """Take room for so many more bytes. Raises SlowDown."""
        if self.taken + count > self._size:
            raise SlowDown
        self.taken += count

    def leave(self, count: int) -> None:
        """Make room for others."""
        self.taken -= count
