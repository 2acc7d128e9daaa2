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

    A record is kept with the value that it was decoded from, and stands for no other one, so that none is out of date.
    Values are compared and not hashed: a bucket with a long policy would cost as much as all else about its rights.

    Args:
        on_broken_row: called with a row that is not what was written.
    """

    def __init__(self, on_broken_row: Callable[[RowIs], None] | None) -> None:
        self._on_broken_row = on_broken_row
        self._records: dict[tuple[str, bytes], tuple[bytes, Any]] = {}

    def record(self, table: Table[R, K], key: bytes, value: bytes) -> R:
        """Return the record in a row. Raises Damaged, NewerFormat."""
        place = (table.name, key)
        kept = self._records.get(place)
        if kept is not None and kept[0] == value:
            return cast("R", kept[1])
        record = self._decode(table, key, value)
        if not is_long(value):
            if len(self._records) >= _RECORDS_KEPT:
                self._records.clear()
            self._records[place] = value, record
        return record

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
