"""What the body of a shape's class says of a field: where it stands on the wire, and what it is by default."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct

from s3ish.errors import MalformedXML, S3Error

Member_co = TypeVar("Member_co", covariant=True)
Place = Literal[
    "label",
    "query",
    "header",
    "headers",
    "element",
    "elements",
    "attribute",
    "text",
    "body",
    "document",
    "stream",
    "status",
    "group",
]


class Spec(Struct, frozen=True):
    """Where a field stands on the wire.

    ``wrapper`` is the element around a list's members, ``choices`` the values an enumeration allows, ``url`` whether
    the text is percent-encoded when the instance has an ``encoding_type``, ``rows`` whether members come as
    tuples, ``gaps`` whether members of another list stand among them, ``fills`` the list of whose members these stand
    among, ``member`` of the model the name in AWS's API model where it is not the wire name, ``limit`` how many
    members a list that is read may have, ``secret`` whether an instance must not show the value, ``malformed`` the
    error where the text is not what it should be, and ``once`` whether the headers of a group are kept with it when
    they are written.
    """

    place: Place
    name: str
    wrapper: str = ""
    choices: tuple[str, ...] = ()
    url: bool = False
    rows: bool = False
    gaps: bool = False
    fills: str = ""
    member: str = ""
    limit: int = 0
    secret: bool = False
    malformed: type[S3Error] = MalformedXML
    once: bool = False


class Unread(Struct, frozen=True):
    """Headers or query keys that a shape names and that no field holds: an instance has no attribute for them.

    ``because`` says why they change nothing, ``where`` who reads them instead of the shape; it is one or the other.
    A value that is none of ``choices`` is refused all the same.
    """

    place: Literal["query", "header"]
    names: tuple[str, ...]
    because: str = ""
    where: str = ""
    choices: tuple[str, ...] = ()


MAX_MEMBERS = 1000
"""The longest list that is read where S3 has no other limit."""


REQUIRED: Any = object()
"""Stands for the default of a field that has none."""


class Field(Struct, frozen=True):
    """What a shape's class body says of a field; ``factory`` makes the default where each instance has its own.

    ``spec`` is None for a field that is not on the wire: it has nothing but a default there.
    """

    spec: Spec | None
    default: Any = REQUIRED
    factory: Callable[[], Any] | None = None

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is REQUIRED and self.factory is None


def label(name: str) -> Any:
    """A part of the path."""
    return Field(Spec("label", name))


def query(name: str, *, default: Any = None, choices: tuple[str, ...] = (), member: str = "") -> Any:
    """A key of the query string."""
    return Field(Spec("query", name, choices=choices, member=member), default)


def header(
    name: str, *, default: Any = None, choices: tuple[str, ...] = (), member: str = "", secret: bool = False
) -> Any:
    """A header, in a request or a response."""
    return Field(Spec("header", name, choices=choices, member=member, secret=secret), default)


def ignored(
    *names: str, because: str, place: Literal["query", "header"] = "header", choices: tuple[str, ...] = ()
) -> Unread:
    """Headers, or keys of the query string, that are understood and change nothing; ``docs/operations.md`` says why."""
    return Unread(place, names, because=because, choices=choices)


def elsewhere(*names: str, where: str, place: Literal["query", "header"] = "header") -> Unread:
    """Headers, or keys of the query string, that take effect before or beside the typed request."""
    return Unread(place, names, where=where)


def headers(prefix: str, *, member: str = "") -> Any:
    """All headers with a prefix, as a dictionary without it."""
    return Field(Spec("headers", prefix, member=member), factory=dict)


def element(name: str, *, default: Any = None, choices: tuple[str, ...] = (), url: bool = False) -> Any:
    """An XML element; required where ``default=...`` (the ellipsis) is given."""
    return Field(Spec("element", name, choices=choices, url=url), REQUIRED if default is ... else default)


def elements(
    name: str,
    *,
    wrapper: str = "",
    choices: tuple[str, ...] = (),
    url: bool = False,
    limit: int = MAX_MEMBERS,
    optional: bool = False,
) -> Any:
    """A list of XML elements, one beside the other, or within ``wrapper``; a longer one than ``limit`` is not read.

    An ``optional`` one is None where its wrapper is absent.
    """
    spec = Spec("elements", name, wrapper=wrapper, choices=choices, url=url, limit=limit)
    return Field(spec, None) if optional else Field(spec, factory=list)


class Rows(Protocol[Member_co]):
    """Many structures of one shape, each as the tuple of its fields in their order.

    For answers with a thousand members: making as many structures takes as long as writing them.
    """

    def __iter__(self) -> Iterator[tuple[Any, ...] | None]:
        """Return the tuples; None for a gap."""


def rows(name: str, *, wrapper: str = "", gaps: bool = False, fills: str = "") -> Any:
    """A list of XML elements, one beside the other, or within ``wrapper``, given as ``Rows``.

    Args:
        gaps: whether it may have gaps, in whose places members of a later list stand.
        fills: the field of the same shape whose gaps the members of this one fill, in their order.
    """
    return Field(Spec("elements", name, wrapper=wrapper, rows=True, gaps=gaps, fills=fills), ())


def attribute(name: str) -> Any:
    """An attribute of the structure's own element."""
    return Field(Spec("attribute", name), None)


def text() -> Any:
    """The text of the structure's own element."""
    return Field(Spec("text", ""), None)


def group(*, once: bool = False) -> Any:
    """Another shape, whose headers, query keys or single XML elements stand beside those of this one.

    It is None where the request has none of them, or the response shows none.

    Args:
        once: its headers are written once for all responses that have this very instance, which does not change.
    """
    return Field(Spec("group", "", once=once), None)


def body(name: str = "", *, required: bool = True, malformed: type[S3Error] = MalformedXML) -> Any:
    """The whole XML body as one structure, whose root element is ``name`` (the shape's own if empty).

    Args:
        required: whether a body must be there.
        malformed: the error where it is not such a structure.
    """
    return Field(Spec("body", name, malformed=malformed), REQUIRED if required else None)


def document() -> Any:
    """The whole body as text that is not XML: the JSON of a policy."""
    return Field(Spec("document", ""), REQUIRED)


def stream() -> Any:
    """The body as bytes that flow: in a response an asynchronous iterator of buffers, or bytes that are all there."""
    return Field(Spec("stream", ""), None)


def status(default: int = 200) -> Any:
    """The status code of a response whose operation has several."""
    return Field(Spec("status", ""), default)
