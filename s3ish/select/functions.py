"""The functions of S3's dialect in the engine's SQL.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-sql-functions.html
"""

import re
from collections.abc import Callable, Sequence

from s3ish.errors import CastFailed, EvaluatorInvalidTimestampFormatPattern
from s3ish.select.syntax import Call, Cast, Constant
from s3ish.select.values import (
    Kind,
    Value,
    chosen_zone,
    common,
    compared,
    local,
    moment,
    number,
    offset,
    present,
    shown,
    text,
    timed,
    whole,
)

_PATTERN = re.compile(r"yyyy|yy|y|M{1,5}|dd|d|a|hh|h|HH|H|mm|m|ss|s|S{1,9}|n|X{1,5}|x{1,5}|'[^']*'|[^A-Za-z']+")
_PIECES = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%-m",
    "dd": "%d",
    "d": "%-d",
    "a": "%p",
    "hh": "%I",
    "h": "%-I",
    "HH": "%H",
    "H": "%-H",
    "mm": "%M",
    "m": "%-M",
    "ss": "%S",
    "s": "%-S",
}
"""What stands for the pieces of a pattern of TO_STRING."""
_BETWEEN = ("", "", ":", "", ":")
"""What stands between hours and minutes of an offset of one to five letters; one letter shows no minutes that are 0."""
_TYPES = {"BOOL": "BOOLEAN", "FLOAT": "DOUBLE"}
_KINDS = {"BOOL": Kind.BOOL, "INT": Kind.INT, "FLOAT": Kind.FLOAT, "DECIMAL": Kind.DECIMAL, "STRING": Kind.TEXT}

Bind = Callable[[str], str]
"""Makes a text a parameter of the statement, and returns what stands for it."""


def cast(node: Cast, value: Value) -> Value:
    """Return a value as another type; what cannot be fails the query."""
    match node.type:
        case "TIMESTAMP":
            return timed(value)
        case "STRING":
            return Value(shown(value), Kind.TEXT)
        case "INT" if value.kind in (Kind.FLOAT, Kind.DECIMAL):
            return Value(whole(value), Kind.INT)
        case "INT" if value.kind is Kind.BOOL:
            return Value(f"CAST({value.sql} AS BIGINT)", Kind.INT)
        case "INT" if value.kind is Kind.JSON:
            kinds = {"DOUBLE": f"CAST(trunc({number(value, strict=True)}) AS BIGINT)"}
            kinds["BOOLEAN"] = f"CAST(CAST({shown(value)} AS BOOLEAN) AS BIGINT)"
            whens = " ".join(f"WHEN '{kind}' THEN {sql}" for kind, sql in kinds.items())
            return Value(f"CASE json_type({value.sql}) {whens} ELSE {_whole_text(shown(value))} END", Kind.INT)
        case "INT":
            return Value(_whole_text(shown(value)), Kind.INT)
        case "DECIMAL":
            return Value(f"CAST({shown(value)} AS DECIMAL({node.digits}, {node.scale}))", Kind.DECIMAL)
    return Value(f"CAST({shown(value)} AS {_TYPES[node.type]})", _KINDS[node.type])


def _whole_text(given: str) -> str:
    """Return the whole number that a text says; one with a fraction fails the query: the engine would round it."""
    return f"CASE WHEN contains({given}, '.') THEN error('{CastFailed.code}') ELSE CAST({given} AS BIGINT) END"


def call(node: Call, values: Sequence[Value], bind: Bind, now: Value) -> Value:
    """Return a function of values.

    Args:
        bind: makes a text a parameter.
        now: what UTCNOW is.
    """
    match node.name:
        case "UTCNOW":
            return now
        case "LOWER" | "UPPER":
            return Value(f"{node.name}({text(values[0])})", Kind.TEXT)
        case "CHAR_LENGTH":
            return Value(f"length({text(values[0])})", Kind.INT)
        case "TO_TIMESTAMP":
            return timed(values[0])
        case "TO_STRING":
            return _to_string(node, values[0], bind)
        case "COALESCE":
            given, kind = common([Value(present(value), value.kind) for value in values])
            zone = chosen_zone([f"{value.sql} IS NOT NULL" for value in values], values) if kind is Kind.TIME else ""
            return Value(f"coalesce({', '.join(given)})", kind, zone=zone)
        case "NULLIF":
            same = compared("=", values[0], values[1]).sql
            return Value(f"CASE WHEN {same} THEN NULL ELSE {values[0].sql} END", values[0].kind, zone=values[0].zone)
        case "TRIM":
            function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(node.side, "trim")
            return Value(f"{function}({text(values[0])}, {text(values[1])})", Kind.TEXT)
        case "SUBSTRING":
            return _substring(values)
    return _of_moments(node, values)


def _substring(values: Sequence[Value]) -> Value:
    """Return a part of a text; what lies before its begin counts in the length, as SQL-92 says."""
    given, start = text(values[0]), whole(values[1])
    if len(values) == 2:
        return Value(f"substring({given}, greatest({start}, 1))", Kind.TEXT)
    length = f"greatest({start} + {whole(values[2])} - greatest({start}, 1), 0)"
    return Value(f"substring({given}, greatest({start}, 1), {length})", Kind.TEXT)


def _of_moments(node: Call, values: Sequence[Value]) -> Value:
    part = node.part
    if node.name == "DATE_ADD":
        step = f"to_{part}s({whole(values[0])})"
        if part in ("year", "month"):  # which the engine counts with fewer bits
            step = f"to_{part}s(CAST({whole(values[0])} AS INTEGER))"
        elif part == "second":
            step = f"to_seconds(CAST({number(values[0], strict=True)} AS DOUBLE))"
        elif part == "day":
            step = f"to_days(CAST({whole(values[0])} AS INTEGER))"
        given = timed(values[1])
        back = f" - to_minutes({given.zone})" if given.zone else ""
        return Value(f"({local(given)} + {step}{back})", Kind.TIME, zone=given.zone)
    if node.name == "DATE_DIFF":
        return Value(f"date_sub('{part}', {moment(values[0])}, {moment(values[1])})", Kind.INT)
    given = timed(values[0])
    if part in ("timezone_hour", "timezone_minute"):
        unit = "// 60" if part == "timezone_hour" else "% 60"
        return Value(f"CASE WHEN {given.sql} IS NOT NULL THEN {given.zone or '0'} {unit} END", Kind.INT)
    return Value(f"CAST(date_part('{part}', {local(given)}) AS BIGINT)", Kind.INT)


def _to_string(node: Call, value: Value, bind: Bind) -> Value:
    pattern = node.arguments[1]
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str) or pattern.moment:
        raise EvaluatorInvalidTimestampFormatPattern(
            f"{EvaluatorInvalidTimestampFormatPattern.text} It must be a text in the expression itself."
        )
    at, found = 0, [bind("")]
    given = timed(value)
    while at < len(pattern.value):
        matched = _PATTERN.match(pattern.value, at)
        if matched is None:
            raise EvaluatorInvalidTimestampFormatPattern(
                f"{EvaluatorInvalidTimestampFormatPattern.text} Position {at + 1} is not understood."
            )
        found.append(_piece(matched[0], given, bind))
        at = matched.end()
    return Value(f"({' || '.join(found)})", Kind.TEXT)


def _piece(piece: str, given: Value, bind: Bind) -> str:
    """Return what a piece of a pattern stands for."""
    shows = local(given)
    if piece in _PIECES:
        return f"strftime({shows}, '{_PIECES[piece]}')"
    if piece == "y":
        return f"CAST(date_part('year', {shows}) AS VARCHAR)"
    if piece == "MMMMM":
        return f"left(strftime({shows}, '%B'), 1)"
    if piece.startswith(("X", "x")):
        between = _BETWEEN[len(piece) - 1]
        zero = "Z" if piece.startswith("X") else f"+00{between}00" if len(piece) > 1 else "+00"
        return offset(given, between, zero=zero, hours_only=len(piece) == 1)
    if piece.startswith("S"):
        return f"left(strftime({shows}, '%n'), {len(piece)})"
    if piece == "n":
        return f"CAST(CAST(strftime({shows}, '%n') AS BIGINT) AS VARCHAR)"
    return bind(piece.strip("'"))
