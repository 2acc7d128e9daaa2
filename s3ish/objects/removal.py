"""Removing blobs that a commit has made unreachable, and named as garbage."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from s3ish.blob.protocol import BlobError, BlobStore
from s3ish.index.protocol import Change, Damaged, Index, IndexFailure
from s3ish.model import BlobRef, Garbage
from s3ish.tables import keys
from s3ish.tables.catalog import GARBAGE

T = TypeVar("T")

_REMOVED_AT_ONCE = 16
"""How many blobs are removed side by side, and for how many parts of one a request waits."""
_GARBAGE_AT_ONCE = 100
"""How many rows of garbage are read at once."""


class Removal:
    """Removes garbage; see ``Store.discard``.

    ``has_left`` says that parts were left to the garbage job, as they are many.
    """

    def __init__(self, index: Index, blobs: BlobStore) -> None:
        self._index, self._blobs = index, blobs
        self.has_left = False

    async def remove(self, garbage: Iterable[Garbage], *, all_parts: bool) -> list[Change]:
        """Remove blobs and then their parts, as far as that can be done; return what has become of their rows."""
        changes: list[Change] = []
        for some in _groups(list(garbage)):
            if len(some) == 1:
                outcomes = [await self._remove(some[0], all_parts)]
            else:
                outcomes = await asyncio.gather(*(self._remove(item, all_parts) for item in some))
            changes += [change for change in outcomes if change]
        return changes

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

    async def _remove(self, garbage: Garbage, all_parts: bool) -> Change | None:
        if not await self._delete(garbage.ref):
            return None
        parts = garbage.parts
        if parts and self._is_held(garbage.ref):
            return None
        if len(parts) > _REMOVED_AT_ONCE and not all_parts:
            self.has_left = True
            return None
        left = [part for part in parts if self._is_held(part)]
        for some in _groups([part for part in parts if part not in left] if left else parts):
            outcomes = await asyncio.gather(*map(self._delete, some))
            left += [part for part, gone in zip(some, outcomes, strict=True) if not gone]
        if not left:
            return GARBAGE.delete(garbage.ref.id)
        return GARBAGE.name_it(Garbage(garbage.ref, tuple(left))) if len(left) < len(parts) else None

    def _is_held(self, ref: BlobRef) -> bool:
        """Whether a reader, in any process, may read the parts that a blob takes with it."""
        try:
            return self._index.is_marked(GARBAGE.key(ref.id))
        except IndexFailure:
            return True

    async def _delete(self, ref: BlobRef) -> bool:
        """Delete a blob; tell whether it could be done."""
        try:
            await self._blobs.delete(ref)
        except (BlobError, OSError):
            return False
        return True


def _groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield as many as are removed at once."""
    for start in range(0, len(items), _REMOVED_AT_ONCE):
        yield items[start : start + _REMOVED_AT_ONCE]
