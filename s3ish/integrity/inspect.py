"""One blob held against the row that names it: its shards, all copies of its sidecar, and a small one's bytes in the
index.

What is damaged is written anew from what is left: shards from parity, sidecars from their copies or from the index,
rows from sidecars. Requests go on meanwhile, so that what a repair wrote is removed again
if the blob was removed in the middle of it.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal, NamedTuple

import structlog

from s3ish.blob.protocol import BlobError, Corrupt, Missing, VolumesFull
from s3ish.index.protocol import Conflict, Damaged, IndexFull, NewerFormat, Put
from s3ish.integrity.named_blobs import BrokenRow, inventory
from s3ish.integrity.references import is_named
from s3ish.integrity.restore_rows import restore
from s3ish.objects.amend import is_under_way, restate
from s3ish.objects.store import Store
from s3ish.tables.catalogue import CURRENT, INLINE, VERSIONS
from s3ish.tables.table import Named

log = structlog.get_logger()

State = Literal["damaged", "repaired", "lost", "orphan"]

DIFFERS = "the sidecar differs from the index"


class Finding(NamedTuple):
    """Something that is not as it should be: of what, which files or rows, and how it stands with it now.

    ``volumes`` are the positions where files were damaged or missing.
    """

    name: str
    problems: tuple[str, ...]
    state: State
    volumes: tuple[int, ...] = ()


class Inspector:
    """Looks at blobs.

    Args:
        store: the engines.
        repair: write anew what is damaged.
    """

    def __init__(self, store: Store, *, repair: bool) -> None:
        self._store, self._repair = store, repair

    async def look(self, item: Named | BrokenRow) -> Finding | None:
        """Return what is wrong with a blob, None if nothing is or if its row has changed meanwhile."""
        if isinstance(item, BrokenRow):
            return await self._look_at_row(item)
        sidecar, right = await self.check_sidecar(item)
        health = await self._store.blobs.check(item.ref, repair=self._repair)
        inline, kept = await self._check_inline(item)
        problems = (*sidecar, *health.damaged, *inline, *await self._check_entry(item))
        if not problems or not await stands(self._store, item, remove=self._repair):
            return None
        readable = health.readable or (item.ref.inline and self._repair)
        if not readable and item.ref.size:
            return Finding(item.name, problems, "lost", health.volumes)
        whole = self._repair and right and kept and (not health.damaged or health.repaired)
        return Finding(item.name, problems, "repaired" if whole else "damaged", health.volumes)

    async def _look_at_row(self, item: BrokenRow) -> Finding | None:
        """Write a damaged row anew; None if it is another one by now."""
        if await self._store.index.get(item.row.table, item.row.key) != item.row.value:
            return None
        if self._repair and await restore(self._store, item.row):
            return Finding(item.name, (item.problem,), "repaired")
        remedy = "s3ish index rebuild" if self._repair else "s3ish check --repair, else s3ish index rebuild"
        return Finding(item.name, (f"{item.problem}; run: {remedy}",), "damaged")

    async def check_sidecar(self, item: Named) -> tuple[list[str], bool]:
        """Compare the sidecar with the row, and write it anew where it differs or is gone.

        Returns what was wrong, and whether it is right now.
        """
        try:
            problem = await self._compare(item)
            if problem == DIFFERS:
                if await is_under_way(self._store, item.ref.id):
                    return [], True
                problem = await self._compare(item)  # the amendment may have ended between the two looks
        except NewerFormat as error:  # it says more than this release can write
            return [str(error)], False
        if not problem:
            return [], True
        if not self._repair:
            return [problem], False
        try:
            return [problem], await rewrite_sidecar(self._store, item)
        except BlobError as error:
            return [f"{problem}, and it cannot be written: {error}"], False

    async def _compare(self, item: Named) -> str:
        """Return how the sidecar differs from the row, "" if it does not. Raises NewerFormat."""
        try:
            found = self._store.tables.read_sidecar(await self._store.blobs.read_sidecar(item.ref))
        except BlobError:
            return "no valid sidecar"
        except ValueError:
            return "a sidecar of an unknown kind"
        return "" if found.same(item.sidecar) else DIFFERS

    async def _check_inline(self, item: Named) -> tuple[list[str], bool]:
        """Check the row of a small blob's bytes, and write it anew from the sidecar.

        Returns what was wrong, and whether it is right now.
        """
        if not item.ref.inline or await self._store.inline(item.ref) is not None:
            return [], True
        if self._repair:
            try:
                reader = await self._store.blobs.open(item.ref)
                data = b"".join([bytes(piece) async for piece in reader])
                await reader.close()
                with suppress(Conflict):  # removed meanwhile
                    await self._store.index.commit(INLINE.keep(item.ref, data), [item.row])
            except (BlobError, IndexFull) as error:
                return [f"no valid row of its bytes, and none can be written: {error}"], False
        return ["no valid row of its bytes"], self._repair

    async def _check_entry(self, item: Named) -> list[str]:
        """Check that the newest version of a key has a row that listings show, and write it if it has none."""
        if item.sidecar.table is not VERSIONS:
            return []
        version = item.sidecar.record
        entry = CURRENT.show(version)
        if not isinstance(entry, Put) or await self._store.index.get(entry.table, entry.key) is not None:
            return []
        try:
            newest = next(iter(await self._store.newest(version.bucket, version.key)), None)
        except Damaged:
            return []
        if newest is None or newest.row != item.row:
            return []
        if self._repair:
            with suppress(Conflict):  # there is a newer one by now
                await self._store.index.commit([entry], VERSIONS.newest(version.bucket, version.key, newest))
        return ["listings do not show it"]


async def rewrite_sidecar(store: Store, item: Named) -> bool:
    """Write a sidecar as the row says. Returns False if the row has changed. Raises BlobError."""
    table = item.sidecar.table
    if table.name == item.row.table and not table.beside and item.row.value is not None:
        try:
            return await restate(store, table, table.hold(item.row.key, item.row.value))
        except IndexFull as error:
            raise VolumesFull(str(error)) from error
    await store.blobs.amend(item.ref, item.sidecar.text, inline=await store.inline(item.ref))
    return await stands(store, item, remove=True)  # what was removed meanwhile must not come back


async def restore_sidecars(store: Store) -> AsyncIterator[bool | None]:
    """Go through all that the index names; yield for each whether its sidecar was lost and is there again.

    For a row that is damaged it yields None.
    """
    inspector = Inspector(store, repair=True)
    async for row in inventory(store):
        for item in row.items:
            if isinstance(item, BrokenRow):
                log.error("damaged row", row=item.name, problem=item.problem)
                yield None
                continue
            try:
                await store.blobs.read_sidecar(item.ref)
            except (Missing, Corrupt):
                problems, right = await inspector.check_sidecar(item)
                if not right and await stands(store, item, remove=True):
                    log.error("sidecar cannot be restored", name=item.name, blob=item.ref.id, problems=problems)
                yield right
            else:
                yield False


async def stands(store: Store, item: Named, *, remove: bool) -> bool:
    """Whether the row is still what it was. With ``remove``, a blob that no row names any more is removed (again)."""
    if await store.index.get(item.row.table, item.row.key) == item.row.value:
        return True
    if remove and not await is_named(store, item.ref.id):
        await store.condemn(item.ref)
    return False
