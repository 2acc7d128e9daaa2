"""The functions of S3's dialect: how each is written. What is not here is refused by name.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-sql-functions.html
"""

from typing import TYPE_CHECKING, cast, get_args

from s3ish.errors import (
    EvaluatorInvalidArguments,
    ParseExpectedDatePart,
    ParseExpectedKeyword,
    ParseExpectedNumber,
    ParseExpectedTypeName,
    ParseInvalidTypeParam,
    ParseUnsupportedCallWithStar,
    UnsupportedFunction,
)
from s3ish.select.syntax import Aggregate, Call, Cast, Constant, Node, Part
from s3ish.select.tokens import Token

if TYPE_CHECKING:
    from s3ish.select.parser import Parser

AGGREGATES = ("AVG", "COUNT", "MAX", "MIN", "SUM")
_ARGUMENTS = {
    "CHAR_LENGTH": (1, 1),
    "CHARACTER_LENGTH": (1, 1),
    "COALESCE": (1, 100),
    "LOWER": (1, 1),
    "NULLIF": (2, 2),
    "TO_STRING": (2, 2),
    "TO_TIMESTAMP": (1, 1),
    "UPPER": (1, 1),
    "UTCNOW": (0, 0),
}
"""The functions that take values between commas, and how many."""
_TYPES = {
    "BOOL": "BOOL",
    "BOOLEAN": "BOOL",
    "INT": "INT",
    "INTEGER": "INT",
    "STRING": "STRING",
    "FLOAT": "FLOAT",
    "DECIMAL": "DECIMAL",
    "NUMERIC": "DECIMAL",
    "TIMESTAMP": "TIMESTAMP",
}
_PARTS = frozenset(get_args(Part))
_MOST_DIGITS = 38


def read(parser: "Parser", name: Token) -> Node:
    """Read a call after its name and parenthesis. Raises UnsupportedFunction, and what is wrong in it."""
    function = name.upper
    special = {"CAST": _cast, "SUBSTRING": _substring, "TRIM": _trim, "EXTRACT": _extract}.get(function)
    if special:
        return special(parser)
    if function in ("DATE_ADD", "DATE_DIFF"):
        return _date(parser, function)
    if function in AGGREGATES:
        return _aggregate(parser, function)
    if function not in _ARGUMENTS:
        raise UnsupportedFunction(f"{UnsupportedFunction.text} It is {name.shown()}.")
    arguments = parser.expressions()
    least, most = _ARGUMENTS[function]
    if not least <= len(arguments) <= most:
        raise EvaluatorInvalidArguments(f"{EvaluatorInvalidArguments.text} {function} has {len(arguments)}.")
    return Call("CHAR_LENGTH" if function == "CHARACTER_LENGTH" else function, arguments)


def _aggregate(parser: "Parser", function: str) -> Node:
    if parser.took("*"):
        if function != "COUNT":
            raise ParseUnsupportedCallWithStar
        parser.expect(")")
        return Aggregate(function, None)
    arguments = parser.expressions()
    if len(arguments) != 1:
        raise EvaluatorInvalidArguments(f"{EvaluatorInvalidArguments.text} {function} has {len(arguments)}.")
    return Aggregate(function, arguments[0])


def _cast(parser: "Parser") -> Node:
    inner = parser.expression()
    parser.expect("AS", ParseExpectedKeyword)
    token = parser.take()
    kind = _TYPES.get(token.upper)
    if kind is None:
        raise parser.refusal(ParseExpectedTypeName, f"There is {token.shown()}")
    digits, scale = _MOST_DIGITS, 10
    if kind == "DECIMAL" and parser.took("("):
        digits, scale = _whole(parser), 0
        if parser.took(","):
            scale = _whole(parser)
        parser.expect(")")
        if not 1 <= digits <= _MOST_DIGITS or scale > digits:
            raise parser.refusal(ParseInvalidTypeParam, f"DECIMAL has 1 to {_MOST_DIGITS} digits")
    parser.expect(")")
    return Cast(inner, kind, digits, scale)


def _whole(parser: "Parser") -> int:
    token = parser.take()
    if token.kind != "number" or not token.text.isdigit() or len(token.text) > 3:
        raise parser.refusal(ParseExpectedNumber, f"There is {token.shown()}")
    return int(token.text)


def _substring(parser: "Parser") -> Node:
    text = parser.expression()
    separators = ("FROM", "FOR") if parser.next.upper == "FROM" else (",", ",")
    parser.expect(separators[0])
    arguments = [text, parser.expression()]
    if parser.took(separators[1]):
        arguments.append(parser.expression())
    parser.expect(")")
    return Call("SUBSTRING", tuple(arguments))


def _trim(parser: "Parser") -> Node:
    side = parser.took("LEADING", "TRAILING", "BOTH")
    if side and parser.took("FROM"):
        first, text = Constant(" "), parser.expression()
    else:
        given = parser.expression()
        if not side and not parser.took("FROM"):
            parser.expect(")")
            return Call("TRIM", (given, Constant(" ")), side="BOTH")
        if side:
            parser.expect("FROM", ParseExpectedKeyword)
        first, text = cast("Constant", given), parser.expression()
    parser.expect(")")
    return Call("TRIM", (text, first), side=side or "BOTH")


def _part(parser: "Parser") -> Part:
    token = parser.take()
    part = token.text.lower()
    if token.kind != "word" or part not in _PARTS:
        raise parser.refusal(ParseExpectedDatePart, f"There is {token.shown()}")
    return cast("Part", part)


def _date(parser: "Parser", function: str) -> Node:
    part = _part(parser)
    if part.startswith("timezone"):
        raise parser.refusal(ParseExpectedDatePart, f"{function} takes year, month, day, hour, minute or second")
    parser.expect(",")
    arguments = parser.expressions()
    if len(arguments) != 2:
        raise EvaluatorInvalidArguments(f"{EvaluatorInvalidArguments.text} {function} has {len(arguments) + 1}.")
    return Call(function, arguments, part)


def _extract(parser: "Parser") -> Node:
    part = _part(parser)
    parser.expect("FROM", ParseExpectedKeyword)
    moment = parser.expression()
    parser.expect(")")
    return Call("EXTRACT", (moment,), part)
