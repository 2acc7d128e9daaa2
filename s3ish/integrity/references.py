"""Whether the index names a blob. Where a row that would say so is damaged the answer is yes: what decides on a removal
must not guess.
"""

from collections.abc import Container
from typing import Any

from s3ish.blob.paths import home_of, maker_of
from s3ish.blob.protocol import Sealed
from s3ish.index.protocol import Damaged, RowIs
from s3ish.integrity.named_blobs import rows_of
from s3ish.model import BlobRef
from s3ish.objects.store import Store
from s3ish.tables.table import Named, SealedTable, Sidecar


def is_finished(found: Sealed, dead: Container[str]) -> bool:
    """Whether a blob that no row names was not left by a crash: then the index that does not name it is in doubt.

    A process that ends well has removed what it did not commit, and what a commit made unreachable is garbage by name.

    Args:
        found: the blob, which is sealed and no garbage.
        dead: the marks of processes that died, and whose orphans are still to be removed.
    """
    maker = maker_of(found.ref.id)
    return found.complete and bool(maker) and maker not in dead


class References:
    """Answers whether the index names a blob.

    Of an object with many parts each asks for the same row, which is decoded once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._row: tuple[str, bytes, bytes] = ("", b"", b"")
        self._blobs: frozenset[str] = frozenset()

    async def is_reachable(self, ref: BlobRef, sidecar: Sidecar) -> bool:
        """Whether the index names a blob with this sidecar: as a rule by the row that the sidecar stands for."""
        try:
            key = sidecar.key
            if key is not None and (value := await self._store.index.get(sidecar.table.name, key)) is not None:
                record: Any = sidecar.table.decode(key, value)
                if record.blob.id == ref.id:
                    return True
        except Damaged:
            return True
        return await self.is_named(ref.id)

    async def is_named(self, blob: str) -> bool:
        """Whether the index names a blob of which nothing but the id is known: its rows are those of its home."""
        try:
            home = home_of(blob)
            for table in self._store.tables.sealed:
                async for key, value in rows_of(self._store, table, *table.at_home(home)):
                    if blob in await self._named(table, key, value):
                        return True
        except (Damaged, UnicodeDecodeError):  # the latter: a folder that is none of ours
            return True
        return False

    async def _named(self, table: SealedTable[Any, ...], key: bytes, value: bytes) -> frozenset[str]:
        row = (table.name, key, value)
        if row != self._row or not table.whole:
            named = await table.named(self._store.index, table.hold(key, value))
            if any(isinstance(item, RowIs) for item in named):
                raise Damaged("what a row names is damaged")
            self._row, self._blobs = row, frozenset(item.ref.id for item in named if isinstance(item, Named))
        return self._blobs


async def is_named(store: Store, blob: str) -> bool:
    """Whether the index names a blob, given its id."""
    return await References(store).is_named(blob)
