"""From the tree of a query to the engine's SQL with parameters: nothing of the text of a query is in that."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from s3ish.errors import LexerInvalidLiteral, UnsupportedSqlOperation, UnsupportedSqlStructure
from s3ish.select import functions, values
from s3ish.select.syntax import (
    Aggregate,
    All,
    Between,
    Call,
    Case,
    Cast,
    Column,
    Constant,
    In,
    Is,
    Like,
    Name,
    Node,
    Not,
    Operation,
    Path,
    Query,
)
from s3ish.select.tables import Table
from s3ish.select.values import NUMBERS, Kind, Value

_TYPES: dict[type, tuple[str, Kind]] = {
    str: ("VARCHAR", Kind.TEXT),
    int: ("BIGINT", Kind.INT),
    float: ("DOUBLE", Kind.FLOAT),
    bool: ("BOOLEAN", Kind.BOOL),
}

_PARAMETER = re.compile(r"CAST\(\$(p[0-9]+) AS ")


_MAY_FAIL = re.compile(r"error\(|(?<!TRY_)CAST\((?!\$)")
"""What fails a query for some values."""

Pack = Callable[[Sequence[tuple[str, Value]], Callable[[str], str]], str | None]
"""Makes one text of columns, if that can be done."""


class Statement(Struct, frozen=True):
    """What the engine is asked: ``names`` and ``kinds`` of the columns; no names where a row is a record as it is.

    No kinds, where it is the text that the client gets.
    """

    sql: str
    parameters: dict[str, Any]
    names: list[str]
    kinds: list[Kind]


def translate(query: Query, table: Table, now: str, pack: Pack) -> Statement:
    """Return what the engine is asked.

    Args:
        pack: makes a record of the answer.
        now: what UTCNOW is, as ISO 8601 has it.

    Raises:
        S3Error: the query does not fit the table, or its values do not fit each other.
    """
    return _Translator(query, table, now, pack).statement()


class _Translator:
    def __init__(self, query: Query, table: Table, now: str, pack: Pack) -> None:
        self._query, self._table, self._now, self._pack = query, table, now, pack
        self._parameters: dict[str, Any] = {}
        self._inside = False
        """Whether the translation is within an aggregate."""
        self._aggregates = self._plain = 0
        self._translations: dict[type, Callable[[Any], Value]] = {
            Constant: self._constant,
            Path: self._path,
            Operation: self._operation,
            All: self._all,
            Not: lambda node: Value(f"(NOT {self._truth(node.inner)})", Kind.BOOL),
            Is: self._is,
            Like: self._like,
            Between: self._between,
            In: self._in,
            Case: self._case,
            Cast: lambda node: functions.cast(node, self._value(node.inner)),
            Call: self._call,
            Aggregate: self._aggregate,
        }

    def statement(self) -> Statement:
        query = self._query
        columns = self._columns(query.columns)
        if self._aggregates and (self._plain or query.columns is None):
            raise UnsupportedSqlStructure(
                f"{UnsupportedSqlStructure.text} Aggregates and values of single records cannot stand side by side."
            )
        self._aggregates = 0
        where = f"coalesce({self._truth(query.where)}, false)" if query.where else "true"
        if self._aggregates:
            raise UnsupportedSqlStructure(f"{UnsupportedSqlStructure.text} WHERE takes no aggregates.")
        names = [] if query.columns is None and self._table.record() else [name for name, _ in columns]
        packed = self._pack(columns, self._bind) if names else None
        shown = packed or ", ".join(_shown(value) for _, value in columns)
        condition = self._table.checked(where)
        sql = f"SELECT {shown} FROM {self._table.source(self._bind)} WHERE {condition}"
        if query.limit is not None:
            sql += f" LIMIT {query.limit}"
        used = set(_PARAMETER.findall(sql))  # one that stands nowhere is refused
        given = {name: value for name, value in self._parameters.items() if name in used}
        return Statement(sql, given, names, [] if packed else [value.kind for _, value in columns])

    def _columns(self, columns: tuple[Column, ...] | None) -> list[tuple[str, Value]]:
        if columns is None:
            record = self._table.record()
            return [("", record)] if record else self._table.everything() or []
        found = [(column, self._value(column.value)) for column in columns]
        return [(column.name or _name(column.value, number), value) for number, (column, value) in enumerate(found)]

    def _bind(self, value: Any, kind: str = "VARCHAR") -> str:
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return f"CAST(${name} AS {kind})"

    def _value(self, node: Node) -> Value:
        return self._translations[type(node)](node)

    def _truth(self, node: Node) -> str:
        return values.truth(self._value(node))

    def _constant(self, node: Constant) -> Value:
        if node.value is None:
            return Value("NULL", Kind.NULL)
        kind, is_a = _TYPES[type(node.value)]
        found = Value(self._bind(node.value, kind), is_a, is_a is Kind.INT and values.is_small(int(node.value)))
        return values.timed(found) if node.moment else found

    def _path(self, node: Path) -> Value:
        if not self._inside:
            self._plain += 1
        steps = node.steps
        first = steps[0]
        if isinstance(first, Name) and self._is_alias(first):
            steps = steps[1:]
            if not steps:
                record = self._table.record()
                if record is None:
                    raise UnsupportedSqlOperation(f"{UnsupportedSqlOperation.text} A record is not one value here.")
                return record
        return self._table.find(steps, self._bind)

    def _is_alias(self, name: Name) -> bool:
        alias = self._query.alias
        return name.text == alias or (not name.exact and name.text.lower() in (alias.lower(), "s3object"))

    def _operation(self, node: Operation) -> Value:
        left, right = self._value(node.left), self._value(node.right)
        if node.sign == "||":
            return Value(f"({values.text(left)} || {values.text(right)})", Kind.TEXT)
        if node.sign not in "+-*/%":
            return values.compared(node.sign, left, right)
        kind, sides = Kind.INT, [left.sql, right.sql]
        if not left.kind is right.kind is Kind.INT:
            kind, sides = Kind.FLOAT, [f"CAST({values.number(it, strict=True)} AS DOUBLE)" for it in (left, right)]
        if node.sign in "/%":
            sides[1] = values.divisor(sides[1])
        sign = "//" if node.sign == "/" and kind is Kind.INT else node.sign
        return Value(f"({sides[0]} {sign} {sides[1]})", kind)

    def _all(self, node: All) -> Value:
        parts = [self._truth(part) for part in node.parts]
        found = f"({(' OR ' if node.any else ' AND ').join(parts)})"
        if any(map(_MAY_FAIL.search, parts[1:])):  # the engine looks at all; S3 not beyond the one that decides
            known = " ".join(f"WHEN {part} THEN true" if node.any else f"WHEN NOT {part} THEN false" for part in parts)
            found = f"CASE {known} ELSE {found} END"
        return Value(found, Kind.BOOL)

    def _is(self, node: Is) -> Value:
        inner = self._value(node.inner)
        return Value(f"({inner.sql} IS NULL)" if node.missing else values.is_null(inner), Kind.BOOL)

    def _like(self, node: Like) -> Value:
        inner, pattern = self._value(node.inner), self._value(node.pattern)
        if node.escape and isinstance(node.pattern, Constant) and isinstance(node.pattern.value, str):
            _check_escapes(node.pattern.value, node.escape)
        escape = f" ESCAPE {self._bind(node.escape)}" if node.escape else ""
        return Value(f"({values.text(inner)} LIKE {values.text(pattern)}{escape})", Kind.BOOL)

    def _between(self, node: Between) -> Value:
        inner = self._value(node.inner)
        low = values.compared(">=", inner, self._value(node.low)).sql
        return Value(f"({low} AND {values.compared('<=', inner, self._value(node.high)).sql})", Kind.BOOL)

    def _in(self, node: In) -> Value:
        inner = self._value(node.inner)
        members = [self._value(member) for member in node.members]
        pairs = [values.equalised(inner, member) for member in members]
        if len({pair[0] for pair in pairs if pair}) == 1 and all(pairs):  # one look at the value for all of them
            return Value(f"({pairs[0][0]} IN ({', '.join(pair[1] for pair in pairs if pair)}))", Kind.BOOL)  # type: ignore[index]
        same = [values.compared("=", inner, member).sql for member in members]
        return Value(f"({' OR '.join(same)})", Kind.BOOL)

    def _case(self, node: Case) -> Value:
        conditions = [self._truth(condition) for condition, _ in node.branches]
        results = [self._value(it) for it in (*(value for _, value in node.branches), node.otherwise)]
        given, kind = values.common(results)
        whens = " ".join(f"WHEN {when} THEN {then}" for when, then in zip(conditions, given, strict=False))
        zone = values.chosen_zone(conditions, results) if kind is Kind.TIME else ""
        return Value(f"CASE {whens} ELSE {given[-1]} END", kind, zone=zone)

    def _call(self, node: Call) -> Value:
        arguments = [self._value(argument) for argument in node.arguments]
        now = Value(f"CAST({self._bind(self._now)} AS TIMESTAMP)" if node.name == "UTCNOW" else "NULL", Kind.TIME)
        return functions.call(node, arguments, self._bind, now)

    def _aggregate(self, node: Aggregate) -> Value:
        if self._inside:
            raise UnsupportedSqlStructure(f"{UnsupportedSqlStructure.text} Aggregates do not stand in each other.")
        self._aggregates += 1
        if node.of is None:
            return Value("count(*)", Kind.INT)
        self._inside = True
        value = self._value(node.of)
        self._inside = False
        if node.name == "COUNT":
            return Value(f"count({values.present(value)})", Kind.INT)
        if node.name in ("MIN", "MAX") and value.kind in (Kind.TEXT, Kind.TIME):
            zone = f"arg_{node.name.lower()}({value.zone}, {value.sql})" if value.zone else ""
            return Value(f"{node.name}({value.sql})", value.kind, zone=zone)
        given = values.number(value, strict=True)
        kind = value.kind if value.kind in NUMBERS and node.name != "AVG" else Kind.FLOAT
        return Value(f"{node.name}({given})", kind)


def _shown(value: Value) -> str:
    """Return a column as the child process takes it."""
    if value.kind is Kind.TIME:
        return values.shown(value)
    return f"json({value.sql})" if value.kind is Kind.JSON else value.sql


def _name(node: Node, number: int) -> str:
    """Return what a column is called that the query gives no name."""
    last = node.steps[-1] if isinstance(node, Path) else None
    return last.text if isinstance(last, Name) else f"_{number + 1}"


def _check_escapes(pattern: str, escape: str) -> None:
    """Check that an escape stands before what needs one. Raises LexerInvalidLiteral."""
    rest = iter(pattern)
    for character in rest:
        if character == escape and next(rest, "") not in ("%", "_", escape):
            raise LexerInvalidLiteral(f"{LexerInvalidLiteral.text} ESCAPE stands before %, _ and itself alone.")
