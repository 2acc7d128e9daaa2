"""An index in memory: the semantics, with nothing else. For tests and the simulation."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from s3ish.index.marks import HeldMark, Marks
from s3ish.index.protocol import Change, Conflict, Expect, Layout, Put, RangeEmpty


class MemoryIndex:
    """Sorted keys and a dictionary for each table."""

    def __init__(self, tables: Iterable[Layout]) -> None:
        self.commits = 0
        names = [table.name for table in tables]
        self._keys: dict[str, list[bytes]] = {table: [] for table in names}
        self._values: dict[str, dict[bytes, bytes]] = {table: {} for table in names}
        self._marks = Marks(None)

    async def get(self, table: str, key: bytes) -> bytes | None:
        """See ``Index.get``."""
        return self._values[table].get(key)

    async def scan(self, table: str, start: bytes, stop: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """See ``Index.scan``."""
        keys, values = self._keys[table], self._values[table]
        first, last = bisect_left(keys, start), bisect_left(keys, stop)
        return [(key, values[key]) for key in keys[first : max(first, min(last, first + limit))]]

    async def commit(self, changes: Sequence[Change], expect: Sequence[Expect] = ()) -> None:
        """See ``Index.commit``."""
        for expectation in expect:
            if not self._holds(expectation):
                raise Conflict
        self.commits += 1
        for change in changes:
            keys, values = self._keys[change.table], self._values[change.table]
            if isinstance(change, Put):
                if change.key not in values:
                    insort(keys, change.key)
                values[change.key] = change.value
            elif values.pop(change.key, None) is not None:
                del keys[bisect_left(keys, change.key)]

    def _holds(self, expectation: Expect) -> bool:
        if isinstance(expectation, RangeEmpty):
            keys = self._keys[expectation.table]
            return bisect_left(keys, expectation.start) >= bisect_left(keys, expectation.stop)
        return self._values[expectation.table].get(expectation.key) == expectation.value

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
