"""Which blobs must stay because a snapshot or another world names them, also when the objects are gone."""

from collections.abc import Set as AbstractSet

from s3ish.blob.paths import home_of
from s3ish.index.prefixed_index import PrefixedIndex
from s3ish.index.protocol import Damaged, Index, RowIs, Rows
from s3ish.model import Garbage
from s3ish.objects.kept_rows import Decoded, KeptRows
from s3ish.tables import keys
from s3ish.tables.catalogue import INLINE, SNAPSHOTS, WORLDS
from s3ish.tables.table import Named, Tables

_ALL = 1 << 62
_UNDIVIDED = frozenset({INLINE.name})
"""Blobs are of all worlds, and so are the bytes of small ones."""


def part_of(index: Index, world: str, guard: RowIs | None = None) -> PrefixedIndex:
    """Return the rows of a world, given the main index and, for one that is written, what holds while it is there."""
    return PrefixedIndex(index, keys.world_prefix(world), _UNDIVIDED, guard)


async def worlds_in(index: Index) -> list[str]:
    """Return the names of the worlds, given the main index. Raises Unavailable."""
    return [WORLDS.split(key)[0] for key, _ in await WORLDS.rows(index, b"", keys.END, _ALL)]


class Pins:
    """What all snapshots name, and all worlds but the own one.

    It is looked up in the index each time, unless there ``are_none``: no snapshot and no world is there, and none will
    be while this store is open. What is garbage and pinned by none cannot be pinned later: a snapshot or a world names
    what is current, or what another one names.
    """

    def __init__(self, index: Index, tables: Tables) -> None:
        self._index, self._tables = index, tables
        self._main = index.whole if isinstance(index, PrefixedIndex) else index
        self._decoded = Decoded()
        self.are_none = False

    async def rule_out(self) -> None:
        """Look no more if there is neither: the caller knows that none will be made. Raises Unavailable."""
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
        if self._main is not self._index:
            return True  # the main world is another one
        return any([await table.rows(self._index, b"", keys.END, 1) for table in (SNAPSHOTS, WORLDS)])

    async def hold(self, blob: str) -> bool:
        """Whether a blob is pinned, given its id; where that cannot be read the answer is yes. Raises Unavailable."""
        return _is_in(await self._named_beside(blob), blob)

    async def _named_beside(self, blob: str) -> AbstractSet[str] | None:
        """Return the ids of the blobs that these name at the home of one, None where that cannot be read."""
        found: set[str] = set()
        try:
            home = home_of(blob)
            for rows in await self._sources():
                named = await named_at(rows, self._tables, home)
                if named is None:
                    return None
                found |= named
        except (Damaged, UnicodeDecodeError):
            return None
        return found

    async def _sources(self) -> list[Rows]:
        """Return the rows of all snapshots, each once, and of all worlds but the own one. Raises Damaged."""
        parts = [part_of(self._main, name) for name in await worlds_in(self._main)]
        found, seen = list[Rows](), set[str]()
        for rows in (self._main, *parts):
            if not _is_same(rows, self._index):
                found.append(rows)
            for key, value in await SNAPSHOTS.rows(rows, b"", keys.END, _ALL):
                if (name := SNAPSHOTS.decode(key, value).id) not in seen:
                    seen.add(name)
                    found.append(KeptRows(rows, name, self._decoded))
        return found


async def named_at(rows: Rows, tables: Tables, home: str) -> AbstractSet[str] | None:
    """Return the ids of the blobs at a home that some rows name, None where that cannot be read.

    Raises Damaged, Unavailable.
    """
    found: set[str] = set()
    for table in tables.sealed:
        for row in await rows.scan(table.name, *table.at_home(home), _ALL):
            for item in await table.named(rows, table.hold(*row)):
                if not isinstance(item, Named):
                    return None
                found.add(item.ref.id)
    return found


def _is_same(one: Index, other: Index) -> bool:
    if isinstance(one, PrefixedIndex) and isinstance(other, PrefixedIndex):
        return one.prefix == other.prefix
    return one is other


def _is_in(named: AbstractSet[str] | None, blob: str) -> bool:
    return named is None or blob in named
