"""An index in memory: the semantics, with nothing else. For tests and the simulation."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from s3ish.index.marks import HeldMark, Marks
from s3ish.index.protocol import Add, AtMost, Change, Conflict, Delete, Expect, Layout, Put, RangeEmpty, Untouched
from s3ish.index.sums import PendingSums


class Rows(NamedTuple):
    """The rows of a table: its keys in order, and their values."""

    keys: list[bytes]
    values: dict[bytes, bytes]


class MemoryIndex:
    """Sorted keys and a dictionary for each table.

    Args:
        tables: those that it has.
        rows: what stands in them, as ``snapshot`` returned it; None for nothing.
    """

    def __init__(self, tables: Iterable[Layout], rows: Mapping[str, Rows] | None = None) -> None:
        self.commits = 0
        tables = list(tables)
        self._rows = dict(rows) if rows is not None else {table.name: Rows([], {}) for table in tables}
        self._shared = set(rows or ())  # with snapshots: to be copied before the first change
        self._sums = PendingSums(tables)
        self._marks = Marks(None)

    def snapshot(self) -> Mapping[str, Rows]:
        """Return all rows as they are now. Nothing is copied before a table is changed."""
        self._shared = set(self._rows)
        return dict(self._rows)

    async def get(self, table: str, key: bytes) -> bytes | None:
        """See ``Index.get``."""
        return self._rows[table].values.get(key)

    async def scan(self, table: str, start: bytes, stop: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """See ``Index.scan``."""
        keys, values = self._rows[table]
        first, last = bisect_left(keys, start), bisect_left(keys, stop)
        return [(key, values[key]) for key in keys[first : max(first, min(last, first + limit))]]

    async def commit(self, changes: Sequence[Change], expect: Sequence[Expect] = ()) -> None:
        """See ``Index.commit``."""
        for expectation in expect:
            if not self._holds(expectation):
                raise Conflict
        self.commits += 1
        for change in changes:
            if isinstance(change, Add):
                self._sums.add(change)
                for written in self._sums.take(lambda table, key: self._rows[table].values.get(key)):
                    self._apply(written)
            else:
                self._apply(change)

    def _apply(self, change: Put | Delete) -> None:
        keys, values = self._own(change.table)
        if isinstance(change, Put):
            if change.key not in values:
                insort(keys, change.key)
            values[change.key] = change.value
        elif values.pop(change.key, None) is not None:
            del keys[bisect_left(keys, change.key)]

    def _own(self, table: str) -> Rows:
        """Return the rows of a table, which may be changed."""
        if table in self._shared:
            rows = self._rows[table]
            self._rows[table] = Rows(rows.keys.copy(), rows.values.copy())
            self._shared.remove(table)
        return self._rows[table]

    def _holds(self, expectation: Expect) -> bool:
        if isinstance(expectation, Untouched):
            return expectation.commits == self.commits
        rows = self._rows[expectation.table]
        if isinstance(expectation, RangeEmpty):
            return bisect_left(rows.keys, expectation.start) >= bisect_left(rows.keys, expectation.stop)
        if isinstance(expectation, AtMost):
            return self._sums.hold(expectation, rows.values.get(expectation.key))
        return rows.values.get(expectation.key) == expectation.value

    async def verify(self) -> None:
        """Memory is whole."""

    def mark(self, name: bytes) -> HeldMark:
        """See ``Index.mark``."""
        return self._marks.add(name)

    def is_marked(self, name: bytes) -> bool:
        """See ``Index.is_marked``."""
        return name in self._marks

    async def close(self) -> None:
        """Take back all marks."""
        self._marks.close()
