"""Values in the engine's SQL: their text, what kind of value it is, and how one kind becomes another.

A field of CSV is ``RAW``: text that counts as a number, moment or truth where it is compared with one. One of JSON is
``JSON``: what it is shows with each record.
"""

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from s3ish.errors import (
    ExpressionTooLong,
    IllegalSqlFunctionArgument,
    IncorrectSqlFunctionArgumentType,
    InvalidDataType,
)

_LONGEST = 1024 * 1024
"""The longest text that a value of a query may become, in characters: parts of it stand in it several times."""
_NUMBERS = "('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT', 'DECIMAL')"
_MOMENT = r"[0-9]{4}(T|-[0-9]{2}(T|-[0-9]{2}(T|T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2}))?))"
DECIMAL = "DECIMAL(38, 10)"
"""What a text is compared as with a large whole number: a DOUBLE is not exact above 2^53."""
_SMALL = 2**53


def is_small(number: int) -> bool:
    """Whether a DOUBLE keeps a number and its neighbours exactly."""
    return abs(number) < _SMALL


class Kind(Enum):
    """What a value is."""

    NULL = "null"
    TEXT = "text"
    RAW = "raw"
    JSON = "json"
    INT = "int"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOL = "bool"
    TIME = "time"


NUMBERS = frozenset((Kind.INT, Kind.DECIMAL, Kind.FLOAT))


class Value(Struct, frozen=True):
    """A value: its SQL, which stands for itself wherever it is put, and its kind.

    ``is_small`` tells of a whole number that a DOUBLE keeps exactly, and all numbers next to it as well. ``zone`` is
    the SQL of by how many minutes the clock that a moment was read from differs from UTC; empty if it does not.
    ``may_lack`` marks a field that a record need not have: an answer does not have it either then.
    """

    sql: str
    kind: Kind
    is_small: bool = False
    zone: str = ""
    may_lack: bool = False

    def __post_init__(self) -> None:
        if len(self.sql) > _LONGEST:
            raise ExpressionTooLong(f"{ExpressionTooLong.text} Its parts repeat each other too often.")


def is_null(value: Value) -> str:
    """Return whether a value is NULL or missing."""
    if value.kind is Kind.JSON:
        return f"({value.sql} IS NULL OR json_type({value.sql}) = 'NULL')"
    return f"({value.sql} IS NULL)"


def present(value: Value) -> str:
    """Return a value that is NULL where JSON says ``null``."""
    return f"CASE WHEN json_type({value.sql}) <> 'NULL' THEN {value.sql} END" if value.kind is Kind.JSON else value.sql


def shown(value: Value) -> str:
    """Return any value as text."""
    match value.kind:
        case Kind.TEXT | Kind.RAW:
            return value.sql
        case Kind.JSON:
            return f"json_extract_string({value.sql}, '$')"
        case Kind.TIME:
            whole = f"strftime({local(value)}, '%Y-%m-%dT%H:%M:%S')"
            fraction = f"rtrim(rtrim(strftime({value.sql}, '.%f'), '0'), '.')"
            return f"({whole} || {fraction} || {offset(value, ':', zero='Z')})"
        case _:
            return f"CAST({value.sql} AS VARCHAR)"


def plain(value: Value) -> str:
    """Return a value as JSON is made of it: moments as text."""
    return shown(value) if value.kind is Kind.TIME else value.sql


def text(value: Value) -> str:
    """Return a value as text that must be one. Raises IncorrectSqlFunctionArgumentType."""
    match value.kind:
        case Kind.TEXT | Kind.RAW:
            return value.sql
        case Kind.JSON:
            return f"CASE WHEN json_type({value.sql}) = 'VARCHAR' THEN {shown(value)} END"
        case Kind.NULL:
            return "CAST(NULL AS VARCHAR)"
    raise IncorrectSqlFunctionArgumentType(f"{IncorrectSqlFunctionArgumentType.text} Text is expected.")


def number(value: Value, *, strict: bool, exact: bool = False) -> str:
    """Return a value as a number. Raises InvalidDataType.

    Args:
        strict: whether a text that is none fails the query; it is NULL otherwise.
        exact: whether it is compared with a whole number.
    """
    kind = DECIMAL if exact else "DOUBLE"
    cast = "CAST" if strict else "TRY_CAST"
    match value.kind:
        case Kind.INT | Kind.DECIMAL | Kind.FLOAT:
            return value.sql
        case Kind.RAW | Kind.TEXT if strict or exact:
            return f"{cast}({value.sql} AS {kind})"
        case Kind.RAW | Kind.TEXT:  # NaN would be greater than all numbers
            return f"nullif(TRY_CAST({value.sql} AS DOUBLE), CAST('NaN' AS DOUBLE))"
        case Kind.JSON if strict:
            return f"CAST({shown(value)} AS {kind})"
        case Kind.JSON:
            return f"CASE WHEN json_type({value.sql}) IN {_NUMBERS} THEN TRY_CAST({shown(value)} AS {kind}) END"
        case Kind.NULL:
            return f"CAST(NULL AS {kind})"
    raise InvalidDataType(f"{InvalidDataType.text} A number is expected.")


def whole(value: Value) -> str:
    """Return a value as a whole number. Raises InvalidDataType."""
    if value.kind in (Kind.FLOAT, Kind.DECIMAL):
        return f"CAST(trunc({value.sql}) AS BIGINT)"
    return value.sql if value.kind is Kind.INT else f"CAST(trunc({number(value, strict=True)}) AS BIGINT)"


def divisor(number: str) -> str:
    """Return a number that fails the query where it is zero, as SQL-92 says."""
    return f"CASE WHEN {number} = 0 THEN error('{IllegalSqlFunctionArgument.code}') ELSE {number} END"


def truth(value: Value) -> str:
    """Return a value as a condition. Raises InvalidDataType."""
    match value.kind:
        case Kind.BOOL:
            return value.sql
        case Kind.RAW | Kind.TEXT:
            return f"TRY_CAST({value.sql} AS BOOLEAN)"
        case Kind.JSON:
            return f"CASE WHEN json_type({value.sql}) = 'BOOLEAN' THEN CAST({shown(value)} AS BOOLEAN) END"
        case Kind.NULL:
            return "CAST(NULL AS BOOLEAN)"
    raise InvalidDataType(f"{InvalidDataType.text} A condition is expected.")


def moment(value: Value) -> str:
    """Return a value as a moment, in UTC. Raises InvalidDataType."""
    if value.kind is Kind.TIME:
        return value.sql
    if value.kind is Kind.NULL:
        return "CAST(NULL AS TIMESTAMP)"
    if value.kind in NUMBERS or value.kind is Kind.BOOL:
        raise InvalidDataType(f"{InvalidDataType.text} A timestamp is expected.")
    given = text(value)
    full = (
        f"CASE length({given}) WHEN 5 THEN left({given}, 4) || '-01-01' WHEN 8 THEN left({given}, 7) || '-01' "
        f"ELSE rtrim({given}, 'T') END"
    )
    return (
        f"CASE WHEN regexp_full_match({given}, '{_MOMENT}') THEN CAST(CAST({full} AS TIMESTAMPTZ) AS TIMESTAMP) "
        f"WHEN {given} IS NOT NULL THEN error('ValueParseFailure') END"
    )


def timed(value: Value) -> Value:
    """Return a value as a moment that knows the clock that it was read from. Raises InvalidDataType."""
    if value.kind is Kind.TIME:
        return value
    sql = moment(value)
    if value.kind is Kind.NULL:
        return Value(sql, Kind.TIME)
    given = text(value)
    minutes = f"60 * CAST(substring({given}, -5, 2) AS BIGINT) + CAST(right({given}, 2) AS BIGINT)"
    sign = f"CASE substring({given}, -6, 1) WHEN '-' THEN -1 ELSE 1 END"
    zone = f"(CASE WHEN regexp_matches({given}, '[+-][0-9]{{2}}:[0-9]{{2}}$') THEN {sign} * ({minutes}) ELSE 0 END)"
    return Value(sql, Kind.TIME, zone=zone)


def local(value: Value) -> str:
    """Return a moment as the clock showed it that it was read from."""
    return f"({value.sql} + to_minutes({value.zone}))" if value.zone else value.sql


def offset(value: Value, between: str, *, zero: str, hours_only: bool = False) -> str:
    """Return by what the clock of a moment differs from UTC, as text.

    Args:
        between: what stands between hours and minutes.
        zero: what is shown where it does not differ.
        hours_only: whether minutes are left out where there are none.
    """
    if not value.zone:
        return f"'{zero}'"
    zone = value.zone
    hours = f"CASE WHEN {zone} < 0 THEN '-' ELSE '+' END || lpad(CAST(abs({zone}) // 60 AS VARCHAR), 2, '0')"
    minutes = f"'{between}' || lpad(CAST(abs({zone}) % 60 AS VARCHAR), 2, '0')"
    if hours_only:
        minutes = f"CASE WHEN {zone} % 60 = 0 THEN '' ELSE {minutes} END"
    return f"(CASE WHEN {zone} = 0 THEN '{zero}' ELSE {hours} || {minutes} END)"


def equalised(left: Value, right: Value) -> tuple[str, str] | None:
    """Return two values as what they are compared as; None if each record says that for itself."""
    kinds = {left.kind, right.kind}
    if Kind.TIME in kinds:
        return moment(left), moment(right)
    if Kind.BOOL in kinds:
        return truth(left), truth(right)
    if kinds & NUMBERS:
        exact = is_exact(left, right)
        return number(left, strict=False, exact=exact), number(right, strict=False, exact=exact)
    return None if kinds == {Kind.JSON} else (text(left), text(right))


def is_exact(left: Value, right: Value) -> bool:
    """Whether a text is compared with a number that a DOUBLE might not keep."""
    kinds = {left.kind, right.kind}
    if left.is_small or right.is_small or Kind.FLOAT in kinds:
        return False
    return bool(kinds & NUMBERS) and bool(kinds & {Kind.RAW, Kind.TEXT, Kind.JSON})


def compared(sign: str, left: Value, right: Value) -> Value:
    """Return a comparison."""
    pair = equalised(left, right)
    if pair is not None and is_exact(left, right):
        a, b = (f"CAST({number(side, strict=False)} AS DOUBLE)" for side in (left, right))
        fits = f"abs({a}) >= {_SMALL} AND abs({b}) >= {_SMALL} AND {pair[0]} IS NOT NULL AND {pair[1]} IS NOT NULL"
        return Value(f"CASE WHEN {fits} THEN {pair[0]} {sign} {pair[1]} ELSE {a} {sign} {b} END", Kind.BOOL)
    if pair is not None:
        return Value(f"({pair[0]} {sign} {pair[1]})", Kind.BOOL)
    a, b = left.sql, right.sql
    numbers = f"{number(left, strict=False)} {sign} {number(right, strict=False)}"
    return Value(
        f"CASE WHEN json_type({a}) IN {_NUMBERS} AND json_type({b}) IN {_NUMBERS} THEN {numbers} "
        f"WHEN json_type({a}) = json_type({b}) THEN {shown(left)} {sign} {shown(right)} END",
        Kind.BOOL,
    )


def chosen_zone(whens: Sequence[str], values: Sequence[Value]) -> str:
    """Return the zone of the first of several moments whose condition holds, or of the last."""
    if not any(value.zone for value in values):
        return ""
    zones = [value.zone or "0" for value in values]
    branches = " ".join(f"WHEN {when} THEN {zone}" for when, zone in zip(whens, zones, strict=False))
    return f"(CASE {branches} ELSE {zones[-1]} END)"


def common(values: list[Value]) -> tuple[list[str], Kind]:
    """Return values as one kind, and which: what CASE and COALESCE give."""
    kinds = {value.kind for value in values} - {Kind.NULL}
    if not kinds:
        return ["CAST(NULL AS VARCHAR)"] * len(values), Kind.TEXT
    if len(kinds) == 1:
        return [value.sql for value in values], kinds.pop()
    if kinds <= NUMBERS:
        return [f"CAST({value.sql} AS DOUBLE)" for value in values], Kind.FLOAT
    return [f"CAST({shown(value)} AS VARCHAR)" for value in values], Kind.TEXT
