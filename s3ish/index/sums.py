"""What commits add to rows of sums, gathered so that each row is written once for all commits of a transaction."""

from collections.abc import Callable, Iterable

from s3ish.index.protocol import Add, AtMost, Damaged, Delete, Layout, NewerFormat, Put


class PendingSums:
    """What was added and is not yet written.

    Args:
        tables: all that the index has.
    """

    def __init__(self, tables: Iterable[Layout]) -> None:
        self._sums = {table.name: table.sums for table in tables if table.sums}
        self._pending: dict[tuple[str, bytes], tuple[int, ...]] = {}

    def are_in(self, table: str) -> bool:
        """Whether something waits to be written, and may be to this table."""
        return bool(self._pending) and table in self._sums

    def add(self, change: Add) -> None:
        """Add to a row."""
        place = change.table, change.key
        before = self._pending.get(place)
        self._pending[place] = _total(before, change.numbers) if before else change.numbers

    def hold(self, expectation: AtMost, value: bytes | None) -> bool:
        """Whether an expectation holds of a row, given its value."""
        try:
            numbers = self._sums[expectation.table].numbers(expectation.key, value)
        except (Damaged, NewerFormat):
            return True
        return sum(numbers[place] for place in expectation.places) <= expectation.most

    def clear(self) -> None:
        """Forget what was added."""
        self._pending.clear()

    def take(self, get: Callable[[str, bytes], bytes | None]) -> list[Put | Delete]:
        """Return the changes that write what was added; nothing waits then.

        Args:
            get: returns the value of a row.
        """
        pending, self._pending = self._pending, {}
        changes: list[Put | Delete] = []
        for (table, key), numbers in pending.items():
            sums, value = self._sums[table], get(table, key)
            try:
                total = _total(sums.numbers(key, value), numbers)
            except (Damaged, NewerFormat):  # a reader meets it; a write must not fail for it
                continue
            if any(total):
                changes.append(Put(table, key, sums.value(key, total)))
            elif value is not None:
                changes.append(Delete(table, key))
        return changes


def _total(some: Iterable[int], others: Iterable[int]) -> tuple[int, ...]:
    return tuple(map(int.__add__, some, others))
