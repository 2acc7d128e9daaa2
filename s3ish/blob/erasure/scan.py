"""Going through all blobs of a set: the union of what the volumes hold, each once, in an order that can be resumed.

Works through batches on threads; one batch is in memory.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

from s3ish.blob.erasure import sidecar as sidecars
from s3ish.blob.erasure.sidecar import Sidecar, Unwritten
from s3ish.blob.erasure.sidecar_copies import Copies, mend, newest, read_copies
from s3ish.blob.protocol import Away, BlobError, Corrupt, Missing, OutOfReach, Sealed, Unread, VolumeError
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.threads import GivenUp

_BATCH, _AT_ONCE = 64, 4


class Found(NamedTuple):
    """A blob; one that has no valid sidecar and is a stray changed at ``modified_ns``.

    ``error`` says why a file of it that may hold its sidecar could not be read; without ``blob``, a folder.
    ``complete`` and ``outdated`` are those of ``Sealed``.
    """

    blob: str
    sidecar: Sidecar | None = None
    modified_ns: int | None = None
    error: BlobError | None = None
    complete: bool = True
    outdated: bool = False


_Name = tuple[str, list[int]]
"""The id of a blob, and the positions of the volumes that list it."""


def _shares(names: Sequence[_Name]) -> Iterator[Sequence[_Name]]:
    """Yield what is looked at at once, in order: drives are faster when they are asked for several things."""
    share = -(-_BATCH // _AT_ONCE)
    for start in range(0, len(names), share):
        yield names[start : start + share]


class Scan:
    """One pass over all blobs.

    Args:
        run: runs a function on a thread.
        after: the id behind which to begin.
        tolerated: how many volumes may be out of reach; with more, blobs could be overlooked.
    """

    def __init__(
        self,
        volumes: Volumes,
        run: Callable[[Callable[[], list[Any]]], Awaitable[list[Any]]],
        after: str | None,
        tolerated: int,
    ) -> None:
        self._volumes, self._run, self._tolerated = volumes, run, tolerated
        self._lost: dict[int, BlobError] = {}
        self._failing: set[int] = set()
        self._unlisted: list[Found] = []
        self._begin(after)

    def _begin(self, after: str | None) -> None:
        self._last = after
        walks = [self._walk(position, after) for position in range(len(self._volumes))]
        self._blobs = groupby(heapq.merge(*walks), key=lambda item: item[0])

    async def sealed(self, unread: Unread | None = None) -> AsyncIterator[Sealed]:
        """Yield every blob that has a valid sidecar, with the newest. Raises NewerFormat, Corrupt."""
        async for found in self.all():
            if found.sidecar:
                told = found.sidecar
                yield Sealed(told.ref, told.content, told.data, found.complete, found.outdated)
            elif found.error and unread:
                unread(found.blob, found.error)

    async def all(self) -> AsyncIterator[Found]:
        """Yield every blob, and folders that could not be read. Raises Corrupt."""
        while True:
            try:
                names = await self._run(self._names)
                looks = (self._run(partial(self._look_at, some)) for some in _shares(names))
                batch = list(chain.from_iterable(await asyncio.gather(*looks)))
            except GivenUp:  # the walks may still be in the hands of the job that hangs
                self._begin(self._last)
                continue
            unlisted, self._unlisted = self._unlisted, []
            if not names and not unlisted:
                return
            for found in batch + unlisted:
                self._last = found.blob or self._last
                yield found

    def _names(self) -> list[_Name]:
        """Return what comes next; nothing at the end."""
        return [("/".join(parts), [position for _, position in group]) for parts, group in islice(self._blobs, _BATCH)]

    def _look_at(self, names: Sequence[_Name]) -> list[Found]:
        return [self._look(blob, positions) for blob, positions in names]

    def _walk(self, position: int, after: str | None) -> Iterator[tuple[list[str], int]]:
        try:
            for blob in self._volumes.at(position).walk(after):
                yield blob.split("/"), position
        except BlobError as error:
            if not isinstance(error, Away):
                self._unlisted.append(Found("", error=error))
            self._lost[position] = error
            if len(self._lost) > self._tolerated:
                raise Corrupt(f"too many volumes are out of reach to see all blobs: {error}") from error

    def _look(self, blob: str, positions: list[int]) -> Found:
        """Return what a blob is, given the volumes that list it."""
        copies = read_copies(self._volumes, blob, positions)
        if sidecar := newest(copies):
            return self._sealed(blob, sidecar, positions, copies)
        hidden = read_copies(self._volumes, blob, self._lost)
        if sidecar := newest(hidden):
            return Found(blob, sidecar)
        mended = mend(self._volumes, blob, copies)
        if sidecar := newest(mended):
            return self._sealed(blob, sidecar, positions, mended)
        error = self._verdict({**copies, **hidden})
        if any(isinstance(copy, VolumeError) for copy in copies.values()):
            return Found(blob, error=error)
        with suppress(BlobError):  # it vanished
            modified_ns = max(self._volumes.at(position).modified_ns(blob) for position in positions)
            return Found(blob, modified_ns=modified_ns, error=error)
        return Found(blob, error=error)

    def _sealed(self, blob: str, sidecar: Sidecar, positions: list[int], copies: Copies) -> Found:
        """Return a blob that has a sidecar, given the volumes that list it, and the copies on those."""
        meant = set(sidecar.ref.volumes)
        having = {position for position, copy in copies.items() if isinstance(copy, Sidecar)}
        lacking = meant.difference(positions, self._lost, self._volumes.away)
        written = sidecar.revision
        doubtful = all(self._volumes.may_lack_removal(position, written) for position in having)
        if doubtful:
            lacking |= {position for position in meant.intersection(positions) if self._is_unsealed(blob, position)}
        outdated = doubtful and any(self._volumes.must_hold(position, written) for position in lacking)
        return Found(blob, sidecar, complete=len(having) > min(sidecar.ref.m, len(meant) - 1), outdated=outdated)

    def _is_unsealed(self, blob: str, position: int) -> bool:
        try:
            names = self._volumes.at(position).names(blob)
        except BlobError:
            return False
        return sidecars.UNSEALED in names and sidecars.NAME not in names

    def _verdict(self, copies: Copies) -> BlobError | None:
        """Return why no copy of a sidecar could be read; OutOfReach if more volumes fail than may be lost.

        An empty one on several volumes never was one: they flush it before the blob is sealed.
        """
        absent = Missing if len(self._volumes) == 1 else (Missing, Unwritten)
        failures = (copy for copy in copies.values() if isinstance(copy, BlobError))
        error = next((failure for failure in failures if not isinstance(failure, absent)), None)
        self._failing |= {position for position, copy in copies.items() if isinstance(copy, VolumeError)}
        if error and len(self._failing | self._lost.keys()) > self._tolerated:
            return OutOfReach(str(error))
        return error
