"""What the upkeep of a store asks of the volumes themselves: which are out of reach, and whose work was cut off.

It is no matter of blobs, so that a blob store that stands around another one has nothing to do with it.
"""

from collections.abc import Container, Iterable
from typing import Protocol


class Upkeep(Protocol):
    """What the volumes of a store tell of themselves."""

    @property
    def away(self) -> frozenset[int]:
        """The positions of volumes out of reach: what is removed meanwhile comes back with them."""

    @property
    def mark(self) -> str:
        """The mark of this process in the names of what it makes; "" if it has none."""

    @property
    def behind(self) -> frozenset[int]:
        """The positions of volumes within reach that were away, and may hold what was removed meanwhile."""

    async def flush(self, blobs: Iterable[str] | None = None) -> None:
        """Have sealed blobs, by their ids, be durable with their sidecars, where a seal leaves that for a moment later.

        None means all that any process has sealed.

        Raises Full, Unwritable, VolumeError: they may not be.
        """

    async def catch_up(self, began: int) -> None:
        """All that was removed while volumes were away is removed from them as well: none is behind any more.

        Args:
            began: when the look at all began, as a sequence. What has fallen behind since stays so.
        """

    async def be_complete(self, lacking: Container[int], began: int) -> None:
        """All has been looked at since a moment, in nanoseconds: volumes but some hold what they should."""

    async def dead_makers(self) -> frozenset[str]:
        """Return the marks of processes that died: what they were making will never be finished (see ``Past``)."""

    async def live_makers(self) -> frozenset[str]:
        """Return the marks of processes that live: what they are making may be about to be committed."""

    async def forget_makers(self, makers: Iterable[str]) -> None:
        """Forget processes that died, after what they left has been dealt with."""


class NoUpkeep:
    """Of a store that is nowhere but in this process."""

    away: frozenset[int] = frozenset()
    mark = ""
    behind: frozenset[int] = frozenset()

    async def flush(self, blobs: Iterable[str] | None = None) -> None:
        """Nothing of it outlives the process."""

    async def catch_up(self, began: int) -> None:
        """There is no volume."""

    async def be_complete(self, lacking: Container[int], began: int) -> None:
        """There is no volume."""

    async def dead_makers(self) -> frozenset[str]:
        return frozenset()

    async def live_makers(self) -> frozenset[str]:
        return frozenset()

    async def forget_makers(self, makers: Iterable[str]) -> None:
        """There was none."""
