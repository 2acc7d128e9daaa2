"""What a table is: one typed object that gives everything that anybody may know about its rows.

A row is found by its typed key; its value is a record. Of some tables the records stand in sidecars as well, from which
an index is rebuilt: these say where the blob lies, what its sidecar says, and which blobs a row names. The tables
themselves are in ``catalogue.py``. No engine is known here but by its protocol.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from s3ish.index.protocol import Delete, Layout, Put, RangeEmpty, RowIs, Rows
from s3ish.model import BlobRef
from s3ish.tables import keys, records, sidecars

_COUNTED_AT_ONCE = 1000

R = TypeVar("R")
K = ParamSpec("K")


class Held(Struct, Generic[R], frozen=True):
    """A record together with its row, so that a commit can expect it unchanged."""

    table: str
    record: R
    key: bytes
    value: bytes

    @property
    def row(self) -> RowIs:
        """The expectation that it is still so."""
        return RowIs(self.table, self.key, self.value)


class Table(Generic[R, K]):
    """A table of the index.

    Args:
        name: of the table.
        record: what its values are.
        key: makes a row's key of what it is found by.
        split: the reverse.
        title: names a row for people, with the parts of its key in the places of the braces.
        long_values: whether they are.
        walked: whether every pass over the whole index goes through its rows.
        spared: see ``Layout``.
    """

    def __init__(
        self,
        name: str,
        record: type[R],
        key: Callable[K, bytes],
        split: Callable[[bytes], tuple[Any, ...]],
        *,
        title: str,
        long_values: bool = False,
        walked: bool = False,
        spared: bool = False,
    ) -> None:
        self.name, self.record, self.key, self.split, self.walked = name, record, key, split, walked
        self._title, self._long_values, self._spared = title, long_values, spared

    @property
    def layout(self) -> Layout:
        """The table as an engine is handed it."""
        return Layout(self.name, self._long_values, spared=self._spared)

    def encode(self, key: bytes, record: R) -> bytes:
        """Return the value of a row."""
        return records.encode(self.name, key, record)

    def decode(self, key: bytes, value: bytes) -> R:
        """Return the record in a row. Raises Damaged, NewerFormat."""
        return records.decode(self.name, key, value, self.record)

    def decode_rows(self, rows: Sequence[tuple[bytes, bytes]]) -> list[R]:
        """Return the records in many rows. Raises Damaged, NewerFormat."""
        return records.decode_rows(self.name, rows, self.record)

    def peek(self, value: bytes) -> R:
        """Return the record in a row, unchecked, to find out whose row it is. Raises Damaged."""
        return records.peek(self.name, value, self.record)

    def hold(self, key: bytes, value: bytes) -> Held[R]:
        """Return the record in a row together with the row. Raises Damaged, NewerFormat."""
        return Held(self.name, self.decode(key, value), key, value)

    def held(self, put: Put, record: R) -> Held[R]:
        """Return a record together with the row that a change writes of it."""
        return Held(self.name, record, put.key, put.value)

    async def get(self, index: Rows, *of: K.args, **by: K.kwargs) -> Held[R] | None:
        """Return a row, None if there is none. Raises Damaged, NewerFormat, Unavailable."""
        key = self.key(*of, **by)
        value = await index.get(self.name, key)
        return None if value is None else self.hold(key, value)

    def rows(
        self, index: Rows, start: bytes, stop: bytes, limit: int
    ) -> Coroutine[Any, Any, Sequence[tuple[bytes, bytes]]]:
        """Return up to ``limit`` rows with keys in ``[start, stop)``, as they are. Raises Unavailable."""
        return index.scan(self.name, start, stop, limit)

    async def count(self, index: Rows, start: bytes, stop: bytes) -> int:
        """Return how many rows have keys in ``[start, stop)``; others have turns meanwhile. Raises Unavailable."""
        count = 0
        while rows := await self.rows(index, start, stop, _COUNTED_AT_ONCE):
            count += len(rows)
            start = keys.after(rows[-1][0])
            await asyncio.sleep(0)
        return count

    def store(self, key: bytes, record: R) -> Put:
        """The change that writes a row of a key."""
        return Put(self.name, key, self.encode(key, record))

    def delete(self, *of: K.args, **by: K.kwargs) -> Delete:
        """The change that removes a row."""
        return Delete(self.name, self.key(*of, **by))

    def drop(self, key: bytes) -> Delete:
        """The change that removes the row of a key."""
        return Delete(self.name, key)

    def expect(self, key: bytes, value: bytes | None) -> RowIs:
        """The expectation that the row of a key has a value, or is absent."""
        return RowIs(self.name, key, value)

    def absent(self, *of: K.args, **by: K.kwargs) -> RowIs:
        """The expectation that there is no such row."""
        return RowIs(self.name, self.key(*of, **by), None)

    def empty(self, start: bytes, stop: bytes) -> RangeEmpty:
        """The expectation that no row has a key in ``[start, stop)``."""
        return RangeEmpty(self.name, start, stop)

    def title(self, key: bytes) -> str:
        """Return for people what a row is about."""
        try:
            return self._title.format(*self.split(key))
        except (UnicodeDecodeError, ValueError, IndexError):  # a damaged key
            return key.decode("utf-8", "replace").replace("\0", "/")


class KeyedTable(Table[R, K]):
    """A table whose records do not say what they are found by."""

    def put(self, record: R, *of: K.args, **by: K.kwargs) -> Put:
        """The change that writes a row."""
        return self.store(self.key(*of, **by), record)


class Sidecar(NamedTuple):
    """What a sidecar says: the record of a row, and what stands ``beside`` it there because the record lacks it."""

    table: "SealedTable[Any, ...]"
    record: Any
    beside: tuple[str, ...] = ()

    @property
    def made_ns(self) -> int:
        """When it was sealed, in nanoseconds since the epoch."""
        return self.table.made_ns(self.record)

    @property
    def key(self) -> bytes | None:
        """The key of the row that it stands for, None if it has none of its own."""
        return self.table.key_of(self.record, *self.beside)

    @property
    def text(self) -> bytes:
        """Its JSON text."""
        return self.table.seal(self.record, *self.beside)

    def at(self, ref: BlobRef) -> "Sidecar":
        """Return the same of the blob at which it was found."""
        return self._replace(record=replace(self.record, blob=ref))

    def row(self) -> Put | None:
        """Return the row that it stands for, None if it has none of its own."""
        key = self.key
        return None if key is None else self.table.store(key, self.record)

    def same(self, other: "Sidecar") -> bool:
        """Whether another one says the same."""
        return self.table is other.table and self.table.alike(self, other)


class Named(NamedTuple):
    """A blob that a row names: for people, its reference, what its sidecar must say, and the row as it was."""

    name: str
    ref: BlobRef
    sidecar: Sidecar
    row: RowIs


class SealedTable(Table[R, K]):
    """A table whose records stand in sidecars as well.

    A record has the field ``blob``, and ``revision`` if it can be amended. ``whole`` says that all that a row names
    stands in the row itself.

    Args:
        kind: what its sidecars are called, and the name of the member that holds the record.
        beside: the members that stand beside it, all of them texts.
        key_of: makes a row's key of a record and of what stands beside it; None where it stands for no row.
        made_ns: when a record was made, in nanoseconds since the epoch: of two for one row the later one holds.
        home: where the blob lies of a row that is found by these.
        at_home: the range of rows that may name a blob at a home.
    """

    whole = True

    def __init__(
        self,
        name: str,
        record: type[R],
        key: Callable[K, bytes],
        split: Callable[[bytes], tuple[Any, ...]],
        *,
        title: str,
        kind: str,
        key_of: Callable[..., bytes | None],
        made_ns: Callable[[R], int],
        home: Callable[..., str],
        at_home: Callable[[str], tuple[bytes, bytes]],
        beside: tuple[str, ...] = (),
    ) -> None:
        super().__init__(name, record, key, split, title=title, walked=True)
        self.kind, self.beside, self.key_of, self.made_ns = kind, beside, key_of, made_ns
        self.home, self.at_home = home, at_home
        self._sidecar = sidecars.structure(kind, record, beside)

    def put(self, record: R, *beside: str) -> Put:
        """The change that writes a row."""
        key = self.key_of(record, *beside)
        assert key is not None, "it stands for no row"
        return self.store(key, record)

    def seal(self, record: R, *beside: str) -> bytes:
        """Return the JSON text of a record's sidecar."""
        return sidecars.write(self._sidecar(**dict(zip(self.beside, beside, strict=True)), **{self.kind: record}))

    def reseal(self, record: R, before: bytes) -> bytes:  # noqa: ARG002 - others take over parts of it
        """Return the JSON text of an amended record's sidecar, given the one that was there."""
        return self.seal(record)

    def read(self, text: bytes, form: int) -> Sidecar:
        """Return what a sidecar of this kind says, given its format. Raises ValueError."""
        told, record = sidecars.read(text, self.kind, self.record, self.beside, form)
        return Sidecar(self, record, tuple(getattr(told, name) for name in self.beside))

    def sidecar(self, record: R, *beside: str) -> Sidecar:
        """Return what the sidecar of a record says."""
        return Sidecar(self, record, beside)

    def alike(self, one: Sidecar, other: Sidecar) -> bool:
        """Whether two sidecars of this table say the same."""
        return one == other

    async def named(self, index: Rows, held: Held[R]) -> Sequence[Named | RowIs]:  # noqa: ARG002 - others look there
        """Return the blobs that a row names, and rows that would name more but are damaged. Raises Unavailable."""
        record: Any = held.record
        return [Named(self.name_of(held), record.blob, Sidecar(self, record), held.row)]

    def name_of(self, held: Held[R]) -> str:
        """Return for people what a record is about."""
        return self.title(held.key)

    async def beside_of(self, index: Rows, key: bytes) -> tuple[str, ...]:  # noqa: ARG002 - others look into the index
        """Return what stands beside a record in its sidecar, given the key of its row. Raises Damaged, Unavailable."""
        return ()

    async def home_of(self, index: Rows, key: bytes) -> str | None:  # noqa: ARG002 - others look into the index
        """Return where the blob lies that a row names, given its key. Raises Unavailable, UnicodeDecodeError."""
        return self.home(*self.split(key))


class Tables:
    """All tables of a store, by their names.

    Args:
        tables: in the order in which a pass goes through those that are walked.
    """

    def __init__(self, *tables: Table[Any, ...]) -> None:
        self._by_name = {table.name: table for table in tables}
        self.sealed = [table for table in tables if isinstance(table, SealedTable)]
        self.walked = [table for table in tables if table.walked]
        self._by_kind = {table.kind: table for table in self.sealed}
        self._sealed = {table.name: table for table in self.sealed}

    def __getitem__(self, name: str) -> Table[Any, ...]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Table[Any, ...]]:
        return iter(self._by_name.values())

    @property
    def layouts(self) -> list[Layout]:
        """The tables as an engine is handed them."""
        return [table.layout for table in self]

    def sealed_table(self, name: str) -> SealedTable[Any, ...]:
        """Return the table of a name, whose records stand in sidecars as well. Raises KeyError."""
        return self._sealed[name]

    def title(self, row: RowIs) -> str:
        """Return for people what a row is about."""
        return self[row.table].title(row.key)

    def read_sidecar(self, text: bytes) -> Sidecar:
        """Return what a sidecar says.

        Raises:
            ValueError: not a sidecar of a known kind.
            NewerFormat: it was written by a newer release.
        """
        kind, form = sidecars.head(text)
        if kind not in self._by_kind:
            raise ValueError(f"a sidecar of an unknown kind: {kind[:40]}")
        return self._by_kind[kind].read(text, form)
