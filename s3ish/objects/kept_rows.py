"""The rows that are kept for a snapshot: as they are written, and as they are read like those of an index.

Many stand in one row of the table of kept rows, whose key ends with the key of the last of them. So the first such row
whose key is not less than what is looked for has it, if there is one.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from s3ish.index.protocol import Put, Rows
from s3ish.tables import keys
from s3ish.tables.catalogue import KEPT

_ROWS, _BYTES = 128, 256 << 10
"""So many rows stand in one, unless they have more bytes together: then each has one of its own."""
_READ_AT_ONCE = 64
_REMEMBERED = 64

Row = tuple[bytes, bytes]


def packed(snapshot: str, table: str, rows: Sequence[Row]) -> Iterator[Put]:
    """Yield the rows that keep some rows of a table, which are in order."""
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        count = len(some) if sum([len(value) for _, value in some]) <= _BYTES else 1
        for at in range(0, len(some), count):
            few = some[at : at + count]
            yield KEPT.put(few, snapshot, table, few[-1][0])


class KeptRows:
    """What is kept for one snapshot, to be read as from an index.

    Args:
        index: that keeps it.
        snapshot: its id.
        seen: rows that were decoded lately, for all snapshots; None to remember none.

    Everything raises Damaged, Unavailable.
    """

    def __init__(self, index: Rows, snapshot: str, seen: "Decoded | None" = None) -> None:
        self._index, self._snapshot, self._seen = index, snapshot, seen

    async def get(self, table: str, key: bytes) -> bytes | None:
        """See ``Rows.get``."""
        return next((value for _, value in await self.scan(table, *keys.only(key), 1)), None)

    async def scan(self, table: str, start: bytes, stop: bytes, limit: int) -> Sequence[Row]:
        """See ``Rows.scan``."""
        found: list[Row] = []
        begin, end = keys.kept_key(self._snapshot, table, start), keys.kept_range(self._snapshot, table)[1]
        wanted = 1  # as a rule that is enough
        while pages := await self._index.scan(KEPT.name, begin, end, wanted):
            for page in pages:
                rows = self._seen.rows(*page) if self._seen else KEPT.decode(*page)
                found += [row for row in rows if start <= row[0] < stop]
                if len(found) >= limit or rows[-1][0] >= stop:
                    return found[:limit]
            begin, wanted = keys.after(pages[-1][0]), _READ_AT_ONCE
        return found


class Decoded:
    """Rows of kept rows, decoded: one that is asked for again is decoded once. They never change: ids are unique."""

    def __init__(self) -> None:
        self._rows: OrderedDict[bytes, Sequence[Row]] = OrderedDict()

    def rows(self, key: bytes, value: bytes) -> Sequence[Row]:
        """Return the rows that a row keeps. Raises Damaged."""
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = KEPT.decode(key, value)
            if len(self._rows) > _REMEMBERED:
                self._rows.popitem(last=False)
        return found


async def all_rows(rows: Rows, table: str) -> Mapping[bytes, bytes]:
    """Return all rows of a table. It reads them in one turn of the event loop, so that they are of one moment."""
    return dict(await rows.scan(table, b"", keys.END, 1 << 62))
