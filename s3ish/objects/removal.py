"""Removing blobs that a commit has made unreachable, and named as garbage."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from s3ish.blob.protocol import BlobError, BlobStore
from s3ish.index.protocol import Change, Damaged, Index, IndexFailure
from s3ish.model import BlobRef, Garbage
from s3ish.objects.pins import Pins
from s3ish.tables import keys
from s3ish.tables.catalogue import GARBAGE, INLINE
from s3ish.tables.table import Tables

T = TypeVar("T")

_REMOVED_AT_ONCE = 16
"""How many blobs are removed side by side, and for how many parts of one a request waits."""
_GARBAGE_AT_ONCE = 100
"""How many rows of garbage are read at once."""


class Removal:
    """Removes garbage; see ``Store.discard``.

    What a snapshot names stays, without a sidecar: no rebuild of the index takes it for what is there now. Its row of
    garbage stays with it.

    ``has_left`` says that there is something for the garbage job: parts, as they are many, or what no snapshot names
    any more.
    """

    def __init__(self, index: Index, blobs: BlobStore, tables: Tables) -> None:
        self._index, self._blobs = index, blobs
        self.pins = Pins(index, tables)
        self.has_left = False
        self._under_way: set[asyncio.Future[None]] = set()

    async def remove(self, garbage: Iterable[Garbage], *, all_parts: bool) -> list[Change]:
        """Remove blobs and then their parts, as far as that can be done; return what has become of their rows."""
        changes: list[Change] = []
        items = list(garbage)
        if not items:
            return changes
        ended = asyncio.get_running_loop().create_future()
        self._under_way.add(ended)
        try:
            for some in _groups(items):
                if len(some) == 1:
                    outcomes = [await self._remove(some[0], all_parts)]
                else:
                    outcomes = await asyncio.gather(*(self._remove(item, all_parts) for item in some))
                for outcome in outcomes:
                    changes += outcome
        finally:
            self._under_way.discard(ended)
            ended.set_result(None)
        return changes

    async def pause(self) -> None:
        """Wait until all removals have ended that are under way in this process.

        Those that begin later see each commit that was acknowledged before.
        """
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def find(self, blob: str) -> Garbage | None:
        """Return the garbage that a blob is, or is a part of, given its id. Parts lie where what they are of lies."""
        start, stop = keys.prefix_range(GARBAGE.key(blob.rpartition("@")[0] + "@"))
        while rows := await GARBAGE.rows(self._index, start, stop, _GARBAGE_AT_ONCE):
            for key, value in rows:
                with suppress(Damaged):
                    found = GARBAGE.decode(key, value)
                    if found.ref.id == blob or any(part.id == blob for part in found.parts):
                        return found
            start = keys.after(rows[-1][0])
        return None

    async def _remove(self, garbage: Garbage, all_parts: bool) -> list[Change]:
        """Remove one blob and its parts; return what has become of its row, and of those of their bytes."""
        now: Garbage | None = garbage
        pinned: frozenset[str] = frozenset()
        try:
            if not self.pins.are_none:
                now = await self._still(garbage)
                pinned = await self.pins.of(now) if now else pinned
        except IndexFailure:
            return []
        if now is None or not await self._release(now.ref, pinned):
            return []
        parts = now.parts
        if parts and self._is_held(now.ref):
            return []
        if len(parts) > _REMOVED_AT_ONCE and not all_parts:
            self.has_left = True
            return []
        left = [part for part in parts if self._is_held(part)]
        for some in _groups([part for part in parts if part not in left] if left else parts):
            outcomes = await asyncio.gather(*(self._release(part, pinned) for part in some))
            left += [part for part, gone in zip(some, outcomes, strict=True) if not gone]
        if pinned:  # the row goes with the last of them: one that is written late could name what was restored
            return []
        gone = [change for ref in (now.ref, *parts) if ref not in left for change in INLINE.forget(ref)]
        if not left:
            return [GARBAGE.delete(now.ref.id), *gone]
        return [GARBAGE.name_it(Garbage(now.ref, tuple(left))), *gone] if len(left) < len(parts) else []

    async def _still(self, garbage: Garbage) -> Garbage | None:
        """Return what of it is garbage now: a snapshot may have been restored since. Raises IndexFailure."""
        key = GARBAGE.key(garbage.ref.id)
        value = await self._index.get(GARBAGE.name, key)
        if value is None or not garbage.parts:
            return garbage if value else None
        named = {part.id for part in GARBAGE.decode(key, value).parts}
        return Garbage(garbage.ref, tuple(part for part in garbage.parts if part.id in named))

    def _is_held(self, ref: BlobRef) -> bool:
        """Whether a reader, in any process, may read the parts that a blob takes with it."""
        try:
            return self._index.is_marked(GARBAGE.key(ref.id))
        except IndexFailure:
            return True

    async def _release(self, ref: BlobRef, pinned: frozenset[str]) -> bool:
        """Delete a blob, or its sidecar alone if it is pinned; tell whether it could be done."""
        return await (self._unseal(ref) if ref.id in pinned else self._delete(ref))

    async def _delete(self, ref: BlobRef) -> bool:
        try:
            await self._blobs.delete(ref)
        except (BlobError, OSError):
            return False
        return True

    async def _unseal(self, ref: BlobRef) -> bool:
        try:
            await self._blobs.unseal(ref)
        except (BlobError, OSError):
            return False
        return True


def _groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield as many as are removed at once."""
    for start in range(0, len(items), _REMOVED_AT_ONCE):
        yield items[start : start + _REMOVED_AT_ONCE]
