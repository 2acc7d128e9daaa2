"""What the upkeep of a store asks of its volumes, each question on a thread."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from s3ish.blob.volumes.volume_set import Volumes


class VolumesUpkeep:
    """See ``Upkeep``.

    Args:
        run: runs a job that works on volumes on a thread.
    """

    def __init__(self, volumes: Volumes, run: Callable[..., Awaitable[Any]]) -> None:
        self._volumes, self._run = volumes, run

    @property
    def away(self) -> frozenset[int]:
        hung = (volume.position for volume in self._volumes.present if volume.calls.hung)
        return frozenset((*self._volumes.away, *hung))

    @property
    def mark(self) -> str:
        return self._volumes.mark

    @property
    def behind(self) -> frozenset[int]:
        return self._volumes.behind

    async def catch_up(self) -> None:
        if self.behind and not self.away:  # what does not answer was not looked through
            await self._run(self._volumes.catch_up)

    async def dead_makers(self) -> frozenset[str]:
        dead: frozenset[str] = await self._run(self._volumes.dead_workers)
        return dead

    async def forget_makers(self, makers: Iterable[str]) -> None:
        await self._run(self._volumes.forget_workers, makers)
