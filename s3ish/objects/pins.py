"""Which blobs must stay because a snapshot names them, also when the objects that they were are gone."""

from collections.abc import Set as AbstractSet

from s3ish.blob.paths import home_of
from s3ish.index.protocol import Damaged, Index
from s3ish.model import Garbage
from s3ish.objects.kept_rows import Decoded, KeptRows
from s3ish.tables import keys
from s3ish.tables.catalog import SNAPSHOTS
from s3ish.tables.table import Named, Tables

_ALL = 1 << 62


class Pins:
    """What all snapshots of a store name.

    It is looked up in the index each time, unless there ``are_none``: no snapshot is there, and none will be while this
    store is open. What is garbage and pinned by none cannot be pinned later: a snapshot names what is current, or what
    another snapshot names.
    """

    def __init__(self, index: Index, tables: Tables) -> None:
        self._index, self._tables = index, tables
        self._decoded = Decoded()
        self.are_none = False

    async def rule_out(self) -> None:
        """Look no more if there is no snapshot: the caller knows that none will be taken. Raises Unavailable."""
        self.are_none = not await self._is_any()

    async def of(self, garbage: Garbage) -> frozenset[str]:
        """Return the ids of those blobs of garbage that are pinned. Raises Unavailable."""
        if not await self._is_any():
            return frozenset()
        seen: dict[str, AbstractSet[str] | None] = {}  # parts lie where their object does
        pinned: list[str] = []
        for ref in (garbage.ref, *garbage.parts):
            place = ref.id.rpartition("@")[0]
            if place not in seen:
                seen[place] = await self._named_beside(ref.id)
            if _is_in(seen[place], ref.id):
                pinned.append(ref.id)
        return frozenset(pinned)

    async def _is_any(self) -> bool:
        return bool(await SNAPSHOTS.rows(self._index, b"", keys.END, 1))

    async def hold(self, blob: str) -> bool:
        """Whether a blob is pinned, given its id; where that cannot be read the answer is yes. Raises Unavailable."""
        return _is_in(await self._named_beside(blob), blob)

    async def _named_beside(self, blob: str) -> AbstractSet[str] | None:
        """Return the ids of the blobs that snapshots name at the home of one, None where that cannot be read."""
        found: set[str] = set()
        try:
            home = home_of(blob)
            for key, value in await SNAPSHOTS.rows(self._index, b"", keys.END, _ALL):
                kept = KeptRows(self._index, SNAPSHOTS.decode(key, value).id, self._decoded)
                for table in self._tables.sealed:
                    for row in await kept.scan(table.name, *table.at_home(home), _ALL):
                        for item in await table.named(kept, table.hold(*row)):
                            if not isinstance(item, Named):
                                return None
                            found.add(item.ref.id)
        except (Damaged, UnicodeDecodeError):
            return None
        return found


def _is_in(named: AbstractSet[str] | None, blob: str) -> bool:
    return named is None or blob in named
