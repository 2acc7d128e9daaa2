"""What readers hold of blobs for receivers, of whom some are slow."""

import asyncio

HELD_BYTES = 16 << 20
"""What the open readers of a process hold, all together."""

LEAST_SHARE_BYTES = 24 << 10
"""What one of them may hold however many there are."""


class Hold:
    """What the open readers of a process hold for receivers, of whom some are slow: bounded for all together.

    Args:
        size: how many bytes that is.

    ``turn`` is held by the reader whose stripe the event loop reads.
    """

    def __init__(self, size: int = HELD_BYTES) -> None:
        self._free = size
        self.turn = asyncio.Lock()

    @property
    def share(self) -> int:
        """What the next to read may take, in bytes: the more is held, the less it is."""
        return max(self._free // 8, LEAST_SHARE_BYTES)

    def take(self, size: int) -> None:
        """Count so many bytes more, or fewer."""
        self._free -= size
