"""Rows of an index whose keys begin with a prefix, as an index of their own."""

from collections.abc import Sequence

from msgspec.structs import replace

from s3ish.index.protocol import (
    Change,
    Conflict,
    Expect,
    Index,
    Mark,
    Put,
    RangeEmpty,
    RowIs,
    Unavailable,
    Untouched,
)


class PrefixedIndex:
    """See the module. Commits are those of the whole, and so are marks.

    Args:
        whole: the index.
        prefix: what the keys begin with there; no other code writes such keys.
        undivided: the tables that are the same in the whole.
        guard: what holds in the whole as long as the part is there; commits fail when it does not.
    """

    def __init__(
        self,
        whole: Index,
        prefix: bytes,
        undivided: frozenset[str] = frozenset(),
        guard: RowIs | None = None,
    ) -> None:
        self.whole, self.prefix, self._undivided, self._guard = whole, prefix, undivided, guard

    async def get(self, table: str, key: bytes) -> bytes | None:
        """See ``Index.get``."""
        return await self.whole.get(table, self._before(table) + key)

    async def scan(self, table: str, start: bytes, stop: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """See ``Index.scan``."""
        before = self._before(table)
        rows = await self.whole.scan(table, before + start, before + stop, limit)
        return [(key[len(before) :], value) for key, value in rows] if before else rows

    async def commit(self, changes: Sequence[Change], expect: Sequence[Expect] = ()) -> None:
        """See ``Index.commit``. Raises Unavailable if the part is not there any more."""
        guard = self._guard
        wanted = [self._expect(it) for it in expect]
        try:
            await self.whole.commit([self.within(change) for change in changes], [guard, *wanted] if guard else wanted)
        except Conflict:
            if guard and await self.whole.get(guard.table, guard.key) != guard.value:
                raise Unavailable("what it was of has ended") from None
            raise

    def within(self, change: Change) -> Change:
        """Return a change of a row as one of the whole."""
        key = self._before(change.table) + change.key
        if isinstance(change, Put):  # of the many that there may be, most
            return Put(change.table, key, change.value)
        return replace(change, key=key)

    def _expect(self, expect: Expect) -> Expect:
        if isinstance(expect, Untouched):
            return expect
        before = self._before(expect.table)
        if isinstance(expect, RangeEmpty):
            return RangeEmpty(expect.table, before + expect.start, before + expect.stop)
        return replace(expect, key=before + expect.key)

    @property
    def commits(self) -> int:
        """See ``Index.commits``."""
        return self.whole.commits

    async def verify(self) -> None:
        """See ``Index.verify``."""
        await self.whole.verify()

    def mark(self, name: bytes) -> Mark:
        """See ``Index.mark``."""
        return self.whole.mark(name)

    def is_marked(self, name: bytes) -> bool:
        """See ``Index.is_marked``."""
        return self.whole.is_marked(name)

    async def close(self) -> None:
        """The whole goes on."""

    def _before(self, table: str) -> bytes:
        return b"" if table in self._undivided else self.prefix
