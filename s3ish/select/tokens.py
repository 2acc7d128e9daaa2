"""The words of S3's SQL dialect: from text to tokens.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference.html
"""

import re
from typing import Literal

from msgspec import Struct

from s3ish.errors import ExpressionTooLong, LexerInvalidChar, LexerInvalidLiteral

MAX_BYTES = 256 * 1024
"""The longest expression that is read."""

Kind = Literal["word", "name", "text", "moment", "number", "sign", "end"]

_TOKEN = re.compile(
    r"""\s+
    | (?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[^\W\d]\w*)
    | '(?P<text>(?:[^']|'')*)'
    | "(?P<name>(?:[^"]|"")*)"
    | `(?P<moment>[^`]*)`
    | (?P<sign><=|>=|<>|!=|\|\||[=<>+\-*/%(),.\[\]])""",
    re.VERBOSE,
)
_DOUBLED = {"text": "'", "name": '"'}


class Token(Struct, frozen=True):
    """One token: ``text`` without its quotes, ``upper`` of a word in capitals, ``at`` where it begins."""

    kind: Kind
    text: str
    at: int

    @property
    def upper(self) -> str:
        """The keyword that it is; empty if it is no word."""
        return self.text.upper() if self.kind == "word" else ""

    def shown(self) -> str:
        """Return how an error names it."""
        return f"{self.text[:64]!r} at position {self.at + 1}" if self.kind != "end" else "the end"


def tokens_of(expression: str) -> list[Token]:
    """Return the tokens of an expression, the last of which is its end.

    Raises:
        ExpressionTooLong: it has more than 256 KiB.
        LexerInvalidChar, LexerInvalidLiteral: something in it is no token.
    """
    if len(expression.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ExpressionTooLong
    found: list[Token] = []
    at = 0
    while at < len(expression):
        matched = _TOKEN.match(expression, at)
        if matched is None:
            if expression[at] in "'\"`":
                raise LexerInvalidLiteral(f"{LexerInvalidLiteral.text} It begins at position {at + 1} and has no end.")
            raise LexerInvalidChar(f"{LexerInvalidChar.text} It is {expression[at]!r} at position {at + 1}.")
        kind = matched.lastgroup
        if kind:
            text = matched[kind]
            if quote := _DOUBLED.get(kind):
                text = text.replace(quote * 2, quote)
            if "\0" in text:
                raise LexerInvalidChar
            found.append(Token(kind, text, at))  # type: ignore[arg-type]
        at = matched.end()
    return [*found, Token("end", "", at)]
