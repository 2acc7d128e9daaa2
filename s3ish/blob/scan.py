"""Going through all blobs of a set: the union of what the volumes hold, each once, in an order that can be resumed.

Works through batches on a thread; one batch is in memory.
"""

import heapq
from collections.abc import AsyncIterator, Iterator
from itertools import groupby, islice
from typing import NamedTuple

from s3ish.blob.copies import newest, read_copies
from s3ish.blob.protocol import BlobError, Corrupt
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
    """One pass over all blobs, from behind the id ``after``."""

    def __init__(self, volumes: Volumes, offload: Offload, after: str | None) -> None:
        self._volumes, self._offload = volumes, offload
        walks = [self._walk(position, after) for position in range(len(volumes))]
        merged = heapq.merge(*walks)
        self._blobs = groupby(merged, key=lambda item: item[0])
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
                yield found

    def _batch(self) -> list[_Found]:
        found = []
        for parts, group in islice(self._blobs, _BATCH):
            blob, positions = "/".join(parts), [position for _, position in group]
            found.append(self._look(blob, positions))
        return found
