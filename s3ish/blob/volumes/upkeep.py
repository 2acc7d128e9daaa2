"""What the upkeep of a store asks of its volumes, each question on a thread."""

from collections.abc import Awaitable, Callable, Container, Iterable
from contextlib import suppress
from typing import Any

from s3ish.blob.protocol import Missing
from s3ish.blob.volumes.volume import Volume
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

    async def flush(self, blobs: Iterable[str] | None = None) -> None:
        if len(self._volumes) == 1:  # of several each sidecar is flushed when it is written
            await self._run(self._flush, None if blobs is None else list(blobs))

    def _flush(self, blobs: list[str] | None) -> None:
        for volume in self._volumes.present:
            if blobs is None:
                volume.sync_all()
            for blob in blobs or ():
                _flush(volume, blob)

    async def catch_up(self, began: int) -> None:
        if self.behind and not self.away:  # what does not answer was not looked through
            await self._run(self._volumes.catch_up, began)

    async def be_complete(self, lacking: Container[int], began: int) -> None:
        if not self.away:  # what does not answer was not looked at
            await self._run(self._volumes.be_complete, lacking, began)

    async def dead_makers(self) -> frozenset[str]:
        dead: frozenset[str] = await self._run(self._volumes.dead_workers)
        return dead

    async def live_makers(self) -> frozenset[str]:
        live: frozenset[str] = await self._run(self._volumes.live_workers)
        return live

    async def forget_makers(self, makers: Iterable[str]) -> None:
        await self._run(self._volumes.forget_workers, makers)


def _flush(volume: Volume, blob: str) -> None:
    """Make all files of a blob durable; nothing happens if it is gone. Raises Full, VolumeError."""
    with suppress(Missing):
        for name in volume.names(blob):
            descriptor = volume.open(blob, name)
            try:
                volume.sync(descriptor)
            finally:
                volume.close_file(descriptor)
        volume.sync_entries(blob)
