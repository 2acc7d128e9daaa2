"""What a query says: the tree that the parser makes, and the translation reads."""

from typing import Literal, Union

from msgspec import Struct

Part = Literal["year", "month", "day", "hour", "minute", "second", "timezone_hour", "timezone_minute"]


class Name(Struct, frozen=True):
    """A step of a path to what has a name; ``exact`` where capitals count."""

    text: str
    exact: bool


class Index(Struct, frozen=True):
    """A step of a path into an array, counted from 0."""

    number: int


class Each(Struct, frozen=True):
    """A step of a path to every element of an array."""


Step = Name | Index | Each


class Constant(Struct, frozen=True):
    """A value that the query has in it; ``moment`` where it is a timestamp, as text."""

    value: str | int | float | bool | None
    moment: bool = False


class Path(Struct, frozen=True):
    """Where a value stands in a record."""

    steps: tuple[Name | Index, ...]


class Operation(Struct, frozen=True):
    """A comparison, arithmetic, or the joining of texts."""

    sign: str
    left: "Node"
    right: "Node"


class All(Struct, frozen=True):
    """Conditions that must all hold, or one of them if ``any``."""

    parts: "tuple[Node, ...]"
    any: bool


class Not(Struct, frozen=True):
    """The contrary of a condition."""

    inner: "Node"


class Is(Struct, frozen=True):
    """Whether a value is NULL, or ``missing``."""

    inner: "Node"
    missing: bool


class Like(Struct, frozen=True):
    """Whether a text is like a pattern."""

    inner: "Node"
    pattern: "Node"
    escape: str


class Between(Struct, frozen=True):
    """Whether a value lies within two others."""

    inner: "Node"
    low: "Node"
    high: "Node"


class In(Struct, frozen=True):
    """Whether a value is one of several."""

    inner: "Node"
    members: "tuple[Node, ...]"


class Case(Struct, frozen=True):
    """The value of the first condition that holds."""

    branches: "tuple[tuple[Node, Node], ...]"
    otherwise: "Node"


class Cast(Struct, frozen=True):
    """A value as another type; ``digits`` and ``scale`` of a DECIMAL."""

    inner: "Node"
    type: str
    digits: int = 38
    scale: int = 10


class Call(Struct, frozen=True):
    """A function of values; ``part`` of a date where it has one, ``side`` of TRIM."""

    name: str
    arguments: "tuple[Node, ...]"
    part: Part | None = None
    side: str = ""


class Aggregate(Struct, frozen=True):
    """A function of all records; ``of`` is None for ``COUNT(*)``."""

    name: str
    of: "Node | None"


Node = Union[Constant, Path, Operation, All, Not, Is, Like, Between, In, Case, Cast, Call, Aggregate]  # noqa: UP007 - strings in it


class Column(Struct, frozen=True):
    """A column of the result; ``name`` is empty if the query gives it none."""

    value: Node
    name: str = ""


class Query(Struct, frozen=True):
    """A whole query: ``columns`` is None for ``*``, ``source`` the steps after S3Object, ``alias`` a record's name."""

    columns: tuple[Column, ...] | None
    source: tuple[Step, ...]
    alias: str
    where: Node | None
    limit: int | None
