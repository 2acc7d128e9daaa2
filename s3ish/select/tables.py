"""What a query reads from: the engine's SQL for an object of each format, and for what stands in its records."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from s3ish.errors import (
    AmbiguousFieldName,
    InvalidColumnIndex,
    MissingHeaders,
    ParseInvalidPathComponent,
    UnsupportedSqlStructure,
)
from s3ish.select.request import Csv
from s3ish.select.syntax import Each, Index, Name, Step
from s3ish.select.values import Kind, Value

RECORD_BYTES = 1024 * 1024
"""The longest record that is read."""
MAX_COLUMNS = 1024
_WIDEST = 256
"""The most fields of a record that has more than the first: each takes memory of the engine, wherever it is."""
RETURN, LINE = "\ufdd0", "\ufdd1"
"""What stands for a carriage return and a line feed that end no record: the engine would end one there. They are no
characters of texts."""
_BUFFER_BYTES = 4 * RECORD_BYTES
"""How much is read before the first records are found."""
_POSITION = re.compile(r"_([0-9]{1,9})")
_KINDS = {
    "BOOLEAN": Kind.BOOL,
    "TINYINT": Kind.INT,
    "SMALLINT": Kind.INT,
    "INTEGER": Kind.INT,
    "BIGINT": Kind.INT,
    "UTINYINT": Kind.INT,
    "USMALLINT": Kind.INT,
    "UINTEGER": Kind.INT,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.FLOAT,
    "VARCHAR": Kind.TEXT,
    "JSON": Kind.JSON,
}
"""The kinds of values that the types of Parquet are."""
_NO_TEXT = "\x01\x02s3ish\x02\x01"
"""What fields of CSV do not hold: every field is text, an empty one too."""

Bind = Callable[[str], str]
Steps = Sequence[Name | Index]


class Table(Protocol):
    """An object as a table."""

    def find(self, steps: Steps, bind: Bind) -> Value:
        """Return what stands in a record under a path.

        Raises MissingHeaders, AmbiguousFieldName, InvalidColumnIndex, ParseInvalidPathComponent.
        """

    def everything(self) -> list[tuple[str, Value]] | None:
        """Return all columns by their names; None if a record is one value."""

    def record(self) -> Value | None:
        """Return a record as one value; None if it is none."""

    def source(self, bind: Bind) -> str:
        """Return what stands after FROM."""

    def checked(self, condition: str) -> str:
        """Return a condition that fails the query at what was not read as it is."""


class CsvTable:
    """CSV: every field is text.

    Args:
        paths: where the engine reads it.
        form: how it is written.
        header: the names of its columns; None if it has none, or they do not count.
        columns: how many its first record has.
        widest: how many fields of a record are looked at if all are wanted.
        filler: what the first field is of records that are none.
    """

    def __init__(
        self, paths: Sequence[str], form: Csv, header: Sequence[str] | None, columns: int, widest: int, filler: str
    ) -> None:
        self._paths, self._form, self._header, self._filler = paths, form, header, filler
        self._columns, self.widest = columns, max(columns, min(widest, _WIDEST), 1)
        self._used: set[int] = set()
        self._whole = False

    def find(self, steps: Steps, bind: Bind) -> Value:  # noqa: ARG002 - the form of all
        name = steps[0]
        if len(steps) != 1 or not isinstance(name, Name):
            raise ParseInvalidPathComponent(f"{ParseInvalidPathComponent.text} A field of CSV holds no others.")
        number = _position(self._header or (), name)
        if number is None:
            matched = _POSITION.fullmatch(name.text)
            if matched is None:
                raise MissingHeaders(f"{MissingHeaders.text} It has no {name.text[:128]!r}.")
            number = int(matched[1]) - 1
            if not 0 <= number < MAX_COLUMNS:
                raise InvalidColumnIndex
        return self._column(number)

    def everything(self) -> list[tuple[str, Value]]:
        self._whole = True
        names = list(self._header or ())
        names += [f"_{number + 1}" for number in range(len(names), self.widest)]
        return [(name, replace(self._column(number), may_lack=True)) for number, name in enumerate(names)]

    def record(self) -> None:
        return None

    def source(self, bind: Bind) -> str:  # noqa: ARG002 - the form of all
        form = self._form
        names = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(self._count + 1))
        options = {
            "delim": form.field,
            "quote": form.quote,
            "escape": form.escape if form.quote else "",
            "comment": "",  # the engine would look for one within lines
            "new_line": r"\n",
            "nullstr": _NO_TEXT,
        }
        given = ", ".join(f"{name} = {_quoted(value)}" for name, value in options.items())
        paths = ", ".join(map(_quoted, self._paths))
        return (
            f"read_csv([{paths}], columns = {{{names}}}, {given}, auto_detect = false, header = false, "
            f"null_padding = true, strict_mode = false, parallel = false, max_line_size = {RECORD_BYTES}, "
            f"buffer_size = {_BUFFER_BYTES})"
        )

    def checked(self, condition: str) -> str:
        none = f"WHEN c0 = {_quoted(self._filler)} THEN false"
        faults: list[tuple[str, str]] = []
        if not self._form.quoted_records:
            faults += [(f"contains(c{number}, chr(10))", "CSVEscapingRecordDelimiter") for number in sorted(self._used)]
        if self._whole:
            faults.append((f"c{self._count} IS NOT NULL", "CSVParsingError"))
        whens = " ".join(f"WHEN {fault} THEN error('{code}')" for fault, code in faults)
        return f"CASE {none} {whens} ELSE {condition} END"

    @property
    def _count(self) -> int:
        return max(self.widest if self._whole else self._columns, *(number + 1 for number in self._used), 1)

    def _column(self, number: int) -> Value:
        self._used.add(number)
        swapped, mark = self._form.swapped, _quoted(RETURN)
        found = f"CASE WHEN contains(c{number}, {mark}) THEN replace(c{number}, {mark}, chr(13)) ELSE c{number} END"
        if self._form.record == "\r\n":
            found = f"replace(replace({found}, chr(10), chr(13) || chr(10)), {_quoted(LINE)}, chr(10))"
        if not swapped:
            return Value(f"({found})", Kind.RAW)
        return Value(f"translate({found}, {_quoted(swapped + chr(10))}, {_quoted(chr(10) + swapped)})", Kind.RAW)


class JsonTable:
    """JSON: a record is one value.

    Args:
        path: where the engine reads it.
        lines: whether each line is a record.
        steps: the steps from what was read to the records.
        longest: how long a value may be, in bytes.
    """

    def __init__(self, path: str, *, lines: bool, steps: Sequence[Step], longest: int) -> None:
        self._path, self._lines, self._steps, self._longest = path, lines, steps, longest

    def find(self, steps: Steps, bind: Bind) -> Value:
        return Value(f"json_extract(r, {bind(_pointer(steps))})", Kind.JSON)

    def everything(self) -> None:
        return None

    def record(self) -> Value:
        return Value("r", Kind.JSON)

    def source(self, bind: Bind) -> str:
        form = "newline_delimited" if self._lines else "unstructured"
        read = f"read_json_objects({_quoted(self._path)}, format = '{form}', maximum_object_size = {self._longest})"
        found = f"(SELECT json AS r FROM {read})"
        for step in self._steps:
            if isinstance(step, Each):
                members = "CASE json_type(r) WHEN 'ARRAY' THEN json_extract(r, '$[*]') ELSE [r] END"
                found = f"(SELECT unnest({members}) AS r FROM {found} WHERE r IS NOT NULL)"
            else:
                found = f"(SELECT json_extract(r, {bind(_pointer([step]))}) AS r FROM {found})"
        return found

    def checked(self, condition: str) -> str:
        return condition


class ParquetTable:
    """Parquet: columns have types.

    Args:
        path: where the engine reads it.
        columns: name and type of each.
        rows: from which to which the rows are wanted; None for all.
    """

    def __init__(self, path: str, columns: Sequence[tuple[str, str]], rows: tuple[int, int] | None) -> None:
        self._path, self._columns, self._rows = path, columns, rows
        self._names = [name for name, _ in columns]

    def find(self, steps: Steps, bind: Bind) -> Value:
        name = steps[0]
        number = _position(self._names, name) if isinstance(name, Name) else None
        if number is None and isinstance(name, Name) and (matched := _POSITION.fullmatch(name.text)):
            number = int(matched[1]) - 1
        if number is None or not 0 <= number < len(self._columns):
            raise MissingHeaders
        value = self._column(number)
        if len(steps) == 1:
            return value
        if value.kind is not Kind.JSON:
            raise ParseInvalidPathComponent(f"{ParseInvalidPathComponent.text} The column holds no others.")
        return Value(f"json_extract({value.sql}, {bind(_pointer(steps[1:]))})", Kind.JSON)

    def everything(self) -> list[tuple[str, Value]]:
        return [(name, self._column(number)) for number, name in enumerate(self._names)]

    def record(self) -> None:
        return None

    def source(self, bind: Bind) -> str:  # noqa: ARG002 - the form of all
        names = [f"c{number}" for number in range(len(self._columns))]
        numbered = ", file_row_number = true" if self._rows else ""
        if self._rows:
            names.append("row_number")
        return f"read_parquet({_quoted(self._path)}{numbered}) AS t({', '.join(names)})"

    def checked(self, condition: str) -> str:
        if self._rows is None:
            return condition
        return f"row_number >= {self._rows[0]} AND row_number < {self._rows[1]} AND {condition}"

    def _column(self, number: int) -> Value:
        kind, sql = self._columns[number][1], f"c{number}"
        if kind.startswith("DECIMAL"):
            return Value(sql, Kind.DECIMAL)
        if kind.startswith("TIMESTAMP") or kind == "DATE":
            return Value(f"CAST({sql} AS TIMESTAMP)", Kind.TIME)
        if kind == "UBIGINT":
            return Value(f"CAST({sql} AS DECIMAL(38, 0))", Kind.DECIMAL)
        if kind == "BLOB":
            return Value(f"decode({sql})", Kind.TEXT)
        if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
            return Value(f"to_json({sql})", Kind.JSON)
        return Value(sql, _KINDS[kind]) if kind in _KINDS else Value(f"CAST({sql} AS VARCHAR)", Kind.TEXT)


def check_flat(source: Sequence[Step]) -> None:
    """Check that FROM has no path, which records of CSV and Parquet have not. Raises UnsupportedSqlStructure."""
    if source:
        raise UnsupportedSqlStructure(f"{UnsupportedSqlStructure.text} A path in FROM is for JSON.")


def _position(names: Sequence[str], wanted: Name) -> int | None:
    """Return which column a name means. Raises AmbiguousFieldName."""
    found = [number for number, name in enumerate(names) if name == wanted.text]
    if not found and not wanted.exact:
        found = [number for number, name in enumerate(names) if name.lower() == wanted.text.lower()]
    if len(found) > 1:
        raise AmbiguousFieldName
    return found[0] if found else None


def _pointer(steps: Sequence[Name | Index | Each]) -> str:
    """Return a path as a JSON pointer."""
    texts = [str(step.number) if isinstance(step, Index) else step.text for step in steps if not isinstance(step, Each)]
    return "".join("/" + text.replace("~", "~0").replace("/", "~1") for text in texts)


def _quoted(text: str) -> str:
    """Return a text of ours as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
