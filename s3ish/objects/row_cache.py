"""Decoded rows: a record that comes again is decoded once, and a damaged row is reported."""

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from s3ish.index.protocol import Damaged, RowIs
from s3ish.tables.part_list import is_long
from s3ish.tables.table import Table

R = TypeVar("R")
K = ParamSpec("K")

_RECORDS_KEPT = 1024
"""How many decoded records a process keeps."""


class RowCache:
    """The records in rows.

    A row is its own key here, so that nothing is out of date: another value is another row.

    Args:
        on_broken_row: called with a row that is not what was written.
    """

    def __init__(self, on_broken_row: Callable[[RowIs], None] | None) -> None:
        self._on_broken_row = on_broken_row
        self._records: dict[tuple[str, bytes, bytes], Any] = {}

    def record(self, table: Table[R, K], key: bytes, value: bytes) -> R:
        """Return the record in a row. Raises Damaged, NewerFormat."""
        place = (table.name, key, value)
        record = self._records.get(place)
        if record is None:
            record = self._decode(table, key, value)
            if not is_long(value):
                if len(self._records) >= _RECORDS_KEPT:
                    self._records.clear()
                self._records[place] = record
        return cast("R", record)

    def records(self, table: Table[R, K], rows: Sequence[tuple[bytes, bytes]]) -> list[R]:
        """Return the records in many rows, of which none is kept. Raises Damaged, NewerFormat."""
        try:
            return table.decode_rows(rows)
        except Damaged:
            for key, value in rows:
                self._decode(table, key, value)  # shows which it is
            raise

    def _decode(self, table: Table[R, K], key: bytes, value: bytes) -> R:
        try:
            return table.decode(key, value)
        except Damaged:
            if self._on_broken_row:
                self._on_broken_row(RowIs(table.name, key, value))
            raise
