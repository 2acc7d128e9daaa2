"""Going through all blobs of a set: the union of what the volumes hold, each once, in an order that can be resumed.

Works through batches on a thread; one batch is in memory.
"""

import heapq
from collections.abc import AsyncIterator, Iterator
from itertools import groupby, islice
from typing import NamedTuple

from s3ish.blob.copies import newest, read_copies
from s3ish.blob.protocol import BlobError, Corrupt, VolumeError
from s3ish.blob.sidecar import Sidecar
from s3ish.blob.volumes import Volumes
from s3ish.model import BlobRef
from s3ish.offload import Offload

_BATCH = 64


class _Found(NamedTuple):
    blob: str
    sidecar: Sidecar | None
    modified_ns: int


class Scan:
    """One pass over all blobs.

    Args:
        after: the id behind which to begin.
        tolerated: how many volumes may be out of reach; with more, blobs could be overlooked.
    """

    def __init__(self, volumes: Volumes, offload: Offload, after: str | None, tolerated: int) -> None:
        self._volumes, self._offload, self._tolerated = volumes, offload, tolerated
        walks = [self._walk(position, after) for position in range(len(volumes))]
        self._blobs = groupby(heapq.merge(*walks), key=lambda item: item[0])
        self._lost: list[BlobError] = []

    async def sealed(self) -> AsyncIterator[tuple[BlobRef, bytes]]:
        """Yield every blob that has a valid sidecar, with the newest. Raises NewerFormat, Corrupt."""
        async for found in self._all():
            if found.sidecar:
                yield found.sidecar.ref, found.sidecar.content

    async def strays(self) -> AsyncIterator[tuple[str, int]]:
        """Yield the id and the time of the last change of every blob that has no valid sidecar. Raises Corrupt."""
        async for found in self._all():
            if not found.sidecar:
                yield found.blob, found.modified_ns

    async def _all(self) -> AsyncIterator[_Found]:
        while batch := await self._offload.run(self._batch):
            for found in batch:
                if found:
                    yield found

    def _batch(self) -> list[_Found | None]:
        """Return what comes next; nothing at the end."""
        return [
            self._look("/".join(parts), [position for _, position in group])
            for parts, group in islice(self._blobs, _BATCH)
        ]

    def _walk(self, position: int, after: str | None) -> Iterator[tuple[list[str], int]]:
        try:
            for blob in self._volumes.at(position).walk(after):
                yield blob.split("/"), position
        except BlobError as error:
            self._lost.append(error)
            if len(self._lost) > self._tolerated:
                raise Corrupt(f"too many volumes are out of reach to see all blobs: {error}") from error

    def _look(self, blob: str, positions: list[int]) -> _Found | None:
        """Return what a blob is; None if it vanished or a volume failed to say."""
        copies = read_copies(self._volumes, blob, positions)
        found = newest(copies)
        if found:
            return _Found(blob, found, 0)
        if any(isinstance(copy, VolumeError) for copy in copies.values()):
            return None
        try:
            return _Found(blob, None, max(self._volumes.at(position).modified_ns(blob) for position in positions))
        except BlobError:
            return None
