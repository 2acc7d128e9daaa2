"""Keeping the parts of a version for a reader, whatever becomes of the version meanwhile."""

import asyncio
from contextlib import ExitStack
from typing import Self

from s3ish.index.protocol import Mark
from s3ish.model import Version
from s3ish.objects.store import Store
from s3ish.tables.catalogue import GARBAGE, VERSIONS
from s3ish.tables.part_list import pieces


async def keep_parts(store: Store, version: Version) -> Mark | None:
    """Keep the parts of a version until the mark is released.

    Returns None if it has been removed already. A caller that removes a version names it as garbage and then looks for
    the mark; here it is the other way round, so that at least one of the two sees the other. Parts that a later version
    may take over have marks of their own.
    """
    parts = [piece.blob for piece in pieces(version)] if version.appends else []
    held = ExitStack()
    with held:
        for ref in (version.blob, *parts):
            held.enter_context(store.index.mark(GARBAGE.key(ref.id)))
        await asyncio.sleep(0)  # what is read in this turn may be older than the marks
        found = await store.get(VERSIONS, version.bucket, version.key, version.sequence)
        if found and found.record.blob.id == version.blob.id:
            return _Marks(held.pop_all())
    return None


class _Marks:
    """Several marks that are released together; see ``Mark``."""

    def __init__(self, marks: ExitStack) -> None:
        self._marks = marks

    def release(self) -> None:
        """Take them back; idempotent."""
        self._marks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
