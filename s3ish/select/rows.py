"""Rows of the engine as the records of an answer: CSV or JSON."""

import json
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from s3ish.select import values
from s3ish.select.request import Csv, Json, Task
from s3ish.select.values import Kind, Value

Write = Callable[[Sequence[Any]], str]


def writer(task: Task, names: list[str], kinds: list[Kind]) -> Write:
    """Return what makes a record of a row.

    Args:
        names: of the columns; none if a row is one record of JSON as it is.
        kinds: of their values.
    """
    if task.csv_out:
        return _csv_writer(task.csv_out, names, kinds)
    return _json_writer(task.json_out or Json(), names, kinds)


def packed(task: Task, columns: Sequence[tuple[str, Value]], bind: Callable[[str], str]) -> str | None:
    """Return a record of an answer as the engine itself makes it, which takes a fifth of the time.

    Returns:
        Its SQL; None if a row must be looked at, for values that are not all written as they are.
    """
    if not {value.kind for _, value in columns} <= _PLAIN:
        return None
    if task.csv_out is None:
        members = ", ".join(f"{bind(name)}, {values.plain(value)}" for name, value in columns)
        found = f"CAST(json_object({members}) AS VARCHAR)"
        last = columns[-1][1]
        if last.may_lack:  # what lacks is not there, and all after it
            found = f"CASE WHEN {last.sql} IS NULL THEN {_of_those_there(columns, bind)} ELSE {found} END"
        return f"({found} || {bind((task.json_out or Json()).record)})"
    form = task.csv_out
    quote, escaped, field = bind(form.quote), bind(form.escape + form.quote), bind(form.field)
    special = [bind(character) for character in sorted(_special(form))]

    def shown(value: Value) -> str:
        text = values.shown(value) if value.may_lack else f"coalesce({values.shown(value)}, '')"
        if not form.quote:
            return text
        quoted = f"({quote} || replace({text}, {quote}, {escaped}) || {quote})"
        if form.always:
            return quoted
        if value.kind is Kind.INT or value.kind is Kind.BOOL:
            return text
        needs_quotes = " OR ".join(f"contains({text}, {character})" for character in special)
        return f"CASE WHEN {needs_quotes} THEN {quoted} ELSE {text} END"

    joined = f"concat_ws({field}, {', '.join(shown(value) for _, value in columns)})"  # without what is NULL
    return f"({joined} || {bind(form.record)})"


def _of_those_there(columns: Sequence[tuple[str, Value]], bind: Callable[[str], str]) -> str:
    """Return an object of JSON that has no member for a field that its record lacks."""
    members = ", ".join(
        f"CAST(to_json({bind(name)}) AS VARCHAR) || ':' || CAST(to_json({value.sql}) AS VARCHAR)"
        for name, value in columns
    )
    return f"('{{' || concat_ws(',', {members}) || '}}')"


_PLAIN = frozenset((Kind.TEXT, Kind.RAW, Kind.INT, Kind.BOOL, Kind.TIME))
"""The kinds that the engine writes as they are to be."""


def _special(form: Csv) -> set[str]:
    """Return the characters of a field that must be quoted."""
    return {form.field, form.quote, *form.record, "\n", "\r"} - {""}


def _csv_writer(form: Csv, names: list[str], kinds: list[Kind]) -> Write:
    needs_quotes = re.compile("[" + re.escape("".join(sorted(_special(form)))) + "]").search
    quote, escaped, field, record = form.quote, form.escape + form.quote, form.field, form.record

    def shown(value: str) -> str:
        if quote and (form.always or needs_quotes(value)):
            return quote + value.replace(quote, escaped) + quote
        return value

    def write(row: Sequence[Any]) -> str:
        if not names:  # a row is a record; one that is not there has no members
            return field.join([shown(_plain(value, Kind.JSON)) for value in _members(row[0])]) + record
        return field.join([shown(_plain(value, kind)) for value, kind in zip(row, kinds, strict=True)]) + record

    return write


def _members(record: str | None) -> list[str]:
    """Return the values in a record of JSON, each as JSON."""
    value = json.loads(record) if record else {}
    inner = value.values() if isinstance(value, dict) else [value]
    return [json.dumps(member, ensure_ascii=False, separators=(",", ":")) for member in inner]


def _plain(value: Any, kind: Kind) -> str:
    """Return a value as a field of CSV."""
    if value is None:
        return ""
    if kind is Kind.JSON:
        if value == "null":
            return ""
        return str(json.loads(value)) if value.startswith('"') else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value) if isinstance(value, Decimal | float) else str(value)


def _json_writer(form: Json, names: list[str], kinds: list[Kind]) -> Write:
    record = form.record
    keys = [json.dumps(name, ensure_ascii=False) + ":" for name in names]

    def write(row: Sequence[Any]) -> str:
        if not names:
            text: str = row[0] or "{}"
            return (text if text.startswith("{") else f'{{"_1":{text}}}') + record
        members = [
            key + _as_json(value, kind)
            for key, value, kind in zip(keys, row, kinds, strict=True)
            if value is not None or kind is not Kind.JSON  # what is missing stays so
        ]
        return "{" + ",".join(members) + "}" + record

    return write


def _as_json(value: Any, kind: Kind) -> str:
    if kind is Kind.JSON:
        return str(value)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Decimal | float):
        return _number(value) if math.isfinite(value) else "null"  # JSON knows no infinity
    return json.dumps(str(value), ensure_ascii=False)


def _number(value: Decimal | float) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
