"""From an expression to its tree: a parser by recursive descent that knows S3's dialect and nothing else.

What it does not know never reaches the engine.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-select.html
"""

from s3ish.errors import (
    EvaluatorNegativeLimit,
    LexerInvalidLiteral,
    ParseAsteriskIsNotAloneInSelectList,
    ParseEmptySelect,
    ParseExpectedExpression,
    ParseExpectedIdentForAlias,
    ParseExpectedKeyword,
    ParseExpectedNumber,
    ParseExpectedTokenType,
    ParseExpectedWhenClause,
    ParseInvalidPathComponent,
    ParseSelectMissingFrom,
    ParseUnexpectedTerm,
    ParseUnexpectedToken,
    ParseUnsupportedSelect,
    S3Error,
    UnsupportedSqlOperation,
    UnsupportedSqlStructure,
)
from s3ish.select import calls
from s3ish.select.syntax import (
    All,
    Between,
    Case,
    Column,
    Constant,
    Each,
    In,
    Index,
    Is,
    Like,
    Name,
    Node,
    Not,
    Operation,
    Path,
    Query,
    Step,
)
from s3ish.select.tokens import Token, tokens_of

MAX_DEPTH = 32
"""How deep expressions may stand in each other."""
MAX_OPERATORS = 200
"""How many operators a query may have; members of IN, AND and OR are not counted."""
_LARGEST = 2**63 - 1
_COMPARISONS = frozenset(("=", "<>", "!=", "<", "<=", ">", ">="))
_KEYWORDS = frozenset(
    (
        "SELECT",
        "FROM",
        "WHERE",
        "LIMIT",
        "AS",
        "AND",
        "OR",
        "NOT",
        "IN",
        "IS",
        "LIKE",
        "ESCAPE",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "NULL",
        "MISSING",
        "TRUE",
        "FALSE",
        "CAST",
        "GROUP",
        "ORDER",
        "HAVING",
        "JOIN",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "DISTINCT",
        "BY",
        "ON",
        "USING",
        "OFFSET",
        "INTO",
        "WITH",
        "VALUES",
    )
)
_NOT_BUILT = frozenset(
    (
        "GROUP",
        "ORDER",
        "HAVING",
        "JOIN",
        "INNER",
        "LEFT",
        "RIGHT",
        "FULL",
        "CROSS",
        "NATURAL",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "OFFSET",
    )
)


def parse(expression: str) -> Query:
    """Return the tree of an expression.

    Raises:
        S3Error: it is not of S3's dialect; the code says what is wrong, the message where.
    """
    return Parser(tokens_of(expression)).query()


class Parser:
    """A place in a list of tokens, and what can be read from there."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens, self._at, self._depth, self._operators = tokens, 0, 0, 0

    # --- tokens ----------------------------------------------------------------------------------------------------

    @property
    def next(self) -> Token:
        """The token that is read next."""
        return self._tokens[self._at]

    def take(self) -> Token:
        """Read one token."""
        token = self.next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def took(self, *what: str) -> str:
        """Read a keyword or sign if it is one of these; return which, or nothing."""
        token = self.next
        found = token.upper or (token.text if token.kind == "sign" else "")
        if not found or found not in what:
            return ""
        self.take()
        return found

    def expect(self, what: str, error: type[S3Error] = ParseExpectedTokenType) -> None:
        """Read a keyword or sign. Raises the error if it is another."""
        if not self.took(what):
            raise self.refusal(error, f"{what} was expected, and there is {self.next.shown()}")

    def refusal(self, error: type[S3Error], why: str) -> S3Error:
        """Return an error that says why."""
        return error(f"{error.text} {why}.")

    def follows(self, offset: int, sign: str) -> bool:
        """Whether a sign stands so many tokens further on."""
        token = self._tokens[min(self._at + offset, len(self._tokens) - 1)]
        return token.kind == "sign" and token.text == sign

    # --- clauses ---------------------------------------------------------------------------------------------------

    def query(self) -> Query:
        """Read a whole query."""
        self.expect("SELECT", ParseExpectedKeyword)
        if self.took("DISTINCT", "ALL"):
            raise self.refusal(ParseUnsupportedSelect, "DISTINCT and ALL are not built")
        columns = self._columns()
        if not self.took("FROM"):
            raise self.refusal(ParseSelectMissingFrom, f"There is {self.next.shown()}")
        source, alias = self._source()
        where = self.expression() if self.took("WHERE") else None
        limit = self._limit() if self.took("LIMIT") else None
        if self.next.upper in _NOT_BUILT or (self.next.kind == "sign" and self.next.text == ","):
            raise self.refusal(
                UnsupportedSqlStructure, f"A query has SELECT, FROM, WHERE and LIMIT; not {self.next.shown()}"
            )
        if self.next.kind != "end":
            raise self.refusal(ParseUnexpectedToken, f"It is {self.next.shown()}")
        return Query(columns, source, alias, where, limit)

    def _columns(self) -> tuple[Column, ...] | None:
        if self.next.kind == "end" or self.next.upper == "FROM":
            raise ParseEmptySelect
        columns: list[Column] = []
        stars = 0
        while True:
            if self.took("*"):
                stars += 1
            elif self.next.kind in ("word", "name") and self.follows(1, ".") and self.follows(2, "*"):
                stars += 1
                self._at += 3
            else:
                columns.append(self._column())
            if not self.took(","):
                break
        if not stars:
            return tuple(columns)
        if stars > 1 or columns:
            raise ParseAsteriskIsNotAloneInSelectList
        return None

    def _column(self) -> Column:
        value = self.expression()
        if self.took("AS"):
            return Column(value, self._name(ParseExpectedIdentForAlias).text)
        if self.next.kind in ("word", "name") and self.next.upper not in _KEYWORDS:
            return Column(value, self.take().text)
        return Column(value)

    def _source(self) -> tuple[tuple[Step, ...], str]:
        """Read what comes after FROM; return its steps, and what a record is called."""
        if self.took("("):
            raise self.refusal(UnsupportedSqlStructure, "There are no queries within a query")
        if self.take().upper != "S3OBJECT":
            raise self.refusal(ParseUnexpectedTerm, "FROM takes S3Object and nothing else")
        steps: list[Step] = []
        while sign := self.took("[", "."):
            if sign == ".":
                steps.append(Each() if self.took("*") else self._name(ParseInvalidPathComponent))
            elif self.took("*"):
                self.expect("]")
                steps.append(Each())
            else:
                steps.append(self._index())
        alias = steps[-1].text if steps and isinstance(steps[-1], Name) else ""
        if self.took("AS"):
            alias = self._name(ParseExpectedIdentForAlias).text
        elif self.next.kind in ("word", "name") and self.next.upper not in _KEYWORDS | _NOT_BUILT:
            alias = self.take().text
        return tuple(steps[1:] if steps and isinstance(steps[0], Each) else steps), alias

    def _limit(self) -> int:
        if self.took("-"):
            raise EvaluatorNegativeLimit
        token = self.take()
        if token.kind != "number" or not token.text.isdigit() or int(token.text[:20]) > _LARGEST:
            raise self.refusal(ParseExpectedNumber, f"LIMIT takes a whole number, not {token.shown()}")
        return int(token.text)

    def _name(self, error: type[S3Error]) -> Name:
        token = self.take()
        if token.kind == "name" or (token.kind == "word" and token.upper not in _KEYWORDS):
            return Name(token.text, exact=token.kind == "name")
        raise self.refusal(error, f"A name was expected, and there is {token.shown()}")

    def _index(self) -> Index:
        token = self.take()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 9:
            raise self.refusal(ParseInvalidPathComponent, f"An index is a whole number, not {token.shown()}")
        self.expect("]")
        return Index(int(token.text))

    # --- expressions, the loosest first ----------------------------------------------------------------------------

    def expression(self) -> Node:
        """Read an expression."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.refusal(UnsupportedSqlOperation, f"Expressions stand in each other more than {MAX_DEPTH} times")
        parts = [self._all_of()]
        while self.took("OR"):
            parts.append(self._all_of())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else All(tuple(parts), any=True)

    def expressions(self) -> tuple[Node, ...]:
        """Read expressions between commas, and the parenthesis that ends them."""
        found: list[Node] = []
        if self.took(")"):
            return ()
        while True:
            found.append(self.expression())
            if not self.took(","):
                break
        self.expect(")")
        return tuple(found)

    def _all_of(self) -> Node:
        parts = [self._negated()]
        while self.took("AND"):
            parts.append(self._negated())
        return parts[0] if len(parts) == 1 else All(tuple(parts), any=False)

    def _negated(self) -> Node:
        count = 0
        while self.took("NOT"):
            count += 1
        inner = self._compared()
        return Not(inner) if count % 2 else inner

    def _compared(self) -> Node:
        left = self._sum()
        while True:
            sign = self.took(*_COMPARISONS)
            if sign:
                left = self._operation("<>" if sign == "!=" else sign, left, self._sum())
                continue
            if self.took("IS"):
                left = self._is(left)
                continue
            negated = self.next.upper == "NOT" and self._tokens[self._at + 1].upper in ("LIKE", "BETWEEN", "IN")
            if negated:
                self.take()
            word = self.took("LIKE", "BETWEEN", "IN")
            if not word:
                return left
            found = {"LIKE": self._like, "BETWEEN": self._between, "IN": self._in}[word](left)
            left = Not(found) if negated else found
            self._count()

    def _is(self, left: Node) -> Node:
        negated = bool(self.took("NOT"))
        word = self.took("NULL", "MISSING")
        if not word:
            raise self.refusal(ParseExpectedKeyword, f"IS takes NULL or MISSING, not {self.next.shown()}")
        self._count()
        found = Is(left, missing=word == "MISSING")
        return Not(found) if negated else found

    def _like(self, left: Node) -> Node:
        pattern, escape = self._sum(), ""
        if self.took("ESCAPE"):
            token = self.take()
            escape = token.text
            if token.kind != "text" or len(escape) != 1:
                raise self.refusal(LexerInvalidLiteral, "ESCAPE takes a text of one character")
        return Like(left, pattern, escape)

    def _between(self, left: Node) -> Node:
        low = self._sum()
        self.expect("AND", ParseExpectedKeyword)
        return Between(left, low, self._sum())

    def _in(self, left: Node) -> Node:
        self.expect("(")
        members = self.expressions()
        if not members:
            raise self.refusal(ParseExpectedExpression, "IN takes at least one value")
        return In(left, members)

    def _sum(self) -> Node:
        left = self._product()
        while sign := self.took("+", "-", "||"):
            left = self._operation(sign, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._signed()
        while sign := self.took("*", "/", "%"):
            left = self._operation(sign, left, self._signed())
        return left

    def _signed(self) -> Node:
        negative = False
        while sign := self.took("-", "+"):
            negative ^= sign == "-"
            self._count()
        if negative and self.next.kind == "number":
            return self._number(self.take(), -1)
        inner = self._operand()
        return self._operation("-", Constant(0), inner) if negative else inner

    def _operand(self) -> Node:
        token = self.next
        if token.kind in ("text", "moment"):
            self.take()
            return Constant(token.text, moment=token.kind == "moment")
        if token.kind == "number":
            return self._number(self.take(), 1)
        if self.took("("):
            inner = self.expression()
            self.expect(")")
            return inner
        if token.kind == "name":
            return self._path()
        if token.kind != "word":
            raise self.refusal(ParseExpectedExpression, f"There is {token.shown()}")
        return self._of_word(token)

    def _of_word(self, token: Token) -> Node:
        if token.upper in ("TRUE", "FALSE", "NULL"):
            self.take()
            return Constant({"TRUE": True, "FALSE": False, "NULL": None}[token.upper])
        if token.upper == "CASE":
            self.take()
            return self._case()
        if self.follows(1, "("):
            self._at += 2
            self._count()
            return calls.read(self, token)
        if token.upper in _KEYWORDS:
            raise self.refusal(ParseExpectedExpression, f"There is {token.shown()}")
        return self._path()

    def _path(self) -> Path:
        steps: list[Name | Index] = [self._name(ParseExpectedExpression)]
        while sign := self.took(".", "["):
            if sign == ".":
                steps.append(self._name(ParseInvalidPathComponent))
            elif self.next.kind == "text":
                steps.append(Name(self.take().text, exact=True))
                self.expect("]")
            else:
                steps.append(self._index())
        return Path(tuple(steps))

    def _case(self) -> Node:
        subject = None if self.next.upper == "WHEN" else self.expression()
        branches: list[tuple[Node, Node]] = []
        while self.took("WHEN"):
            condition = self.expression()
            if subject is not None:
                condition = self._operation("=", subject, condition)
            self.expect("THEN", ParseExpectedKeyword)
            branches.append((condition, self.expression()))
        if not branches:
            raise ParseExpectedWhenClause
        otherwise = self.expression() if self.took("ELSE") else Constant(None)
        self.expect("END", ParseExpectedKeyword)
        return Case(tuple(branches), otherwise)

    def _number(self, token: Token, factor: int) -> Constant:
        text = token.text
        if text.isdigit() and len(text) < 20 and abs(number := factor * int(text)) <= _LARGEST:
            return Constant(number)
        try:
            return Constant(factor * float(text))
        except ValueError:
            raise self.refusal(LexerInvalidLiteral, f"It is {token.shown()}") from None

    def _operation(self, sign: str, left: Node, right: Node) -> Node:
        self._count()
        return Operation(sign, left, right)

    def _count(self) -> None:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise self.refusal(UnsupportedSqlOperation, f"A query has at most {MAX_OPERATORS} operators and calls")
