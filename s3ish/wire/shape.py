"""Shapes: what an operation takes and gives, declared once as a class.

A shape is a class whose fields say where they stand on the wire: in the path, the query, a header, the XML body.
It is compiled into flat readers and writers, so that no request pays for introspection; each when it is first needed
(below a millisecond), so that the start does not pay for all of them.
Shapes nest: a field whose type is another shape is an XML structure, or a group, whose fields stand beside its own.

This module knows nothing of operations, of ASGI or of what the values mean.
"""

from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import Any, Protocol, TypeVar, cast, dataclass_transform

from msgspec import Struct

from s3ish.errors import MalformedXML
from s3ish.wire import readers, writers, xml
from s3ish.wire.fields import REQUIRED, Field, Unread
from s3ish.wire.places import Places, fields_of
from s3ish.wire.xml import Element

T = TypeVar("T")
Headers = writers.Headers


class Flow(Protocol):
    """Pieces of a body on their way out. The caller closes it, read to the end or not."""

    def __aiter__(self) -> AsyncIterator[Any]:
        """Yield them in order."""

    async def aclose(self) -> None:
        """Release what is held; idempotent."""


class Written(Struct):
    """A response on its way out: ``body`` is the whole of it, ``flow`` its source where it is streamed."""

    status: int
    headers: Headers
    body: bytes = b""
    flow: Flow | None = None


class Compiled(Places):
    """The readers and writers of one shape; held by the class as ``__wire__``. Each is made when first asked for."""

    def __init__(self, cls: type, root: str) -> None:
        super().__init__(cls)
        self.root = root

    @cached_property
    def read_request(self) -> Callable[..., Any]:
        """Return the typed request of labels, query, headers and document."""
        return readers.compile_request_reader(self, read_document)

    @cached_property
    def counts(self) -> dict[str, Callable[[str], Any]]:
        """What reads the counts of a query, by their names."""
        return readers.count_readers(self)

    @cached_property
    def write_content(self) -> Callable[[Any], str]:
        """Return the content of a structure as XML."""
        return writers.compile_content_writer(self)

    @cached_property
    def write_headers(self) -> Callable[[Any, Headers], None]:
        """Append the headers of a response to a list."""
        return writers.compile_header_writer(self)

    @cached_property
    def read_element(self) -> Callable[[Element], Any]:
        """Return the structure of an XML element."""
        return readers.element_reader(self)


@dataclass_transform(kw_only_default=True)
def shape(cls: type[T] | None = None, *, root: str = "") -> Any:
    """Make a class a shape. ``root`` names the XML root element of a response whose members are its content."""

    def make(plain: Any) -> type[T]:
        plain.__unread__ = _take_unread(plain)
        plain.__fields__ = _take_fields(plain)
        plain.__init__ = _initializer(plain)
        plain.__eq__, plain.__hash__, plain.__repr__ = _equals, None, _show
        plain.__wire__ = Compiled(plain, root)
        return cast("type[T]", plain)

    return make(cls) if cls is not None else make


def _take_unread(cls: type) -> tuple[Unread, ...]:
    """Return what a class declares without a field, and take it out of its body."""
    found = {name: said for name, said in vars(cls).items() if isinstance(said, Unread)}
    for name in found:
        delattr(cls, name)
    return tuple(found.values())


def _take_fields(cls: type) -> dict[str, Field]:
    """Return the fields of a class with those of its bases, and leave in its body what they are by default."""
    found: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        found |= vars(base).get("__fields__", {})
    for name in cls.__annotations__:
        said = vars(cls)[name]
        field = found[name] = said if isinstance(said, Field) else Field(None, said)
        if field.default is REQUIRED:
            delattr(cls, name)
        else:
            setattr(cls, name, field.default)
    return found


def _equals(self: Any, other: Any) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in fields_of(type(self)))


def _show(self: Any) -> str:
    shown = {name: getattr(self, name) for name in fields_of(type(self))}
    for name, field in fields_of(type(self)).items():
        if field.spec and field.spec.secret and shown[name] is not None:
            shown[name] = ...
    told = (f"{name}={value!r}" for name, value in shown.items())
    return f"{type(self).__name__}({', '.join(told)})"


def _initializer(cls: type) -> Callable[..., None]:
    """Return an ``__init__`` that sets what is given; the class has the rest: most of many fields are absent."""
    fields = fields_of(cls)
    known = fields.keys()
    factories = [(name, field.factory) for name, field in fields.items() if field.factory]
    required = frozenset(name for name, field in fields.items() if field.required)

    def initialize_group(self: Any, **given: Any) -> None:
        if given:
            if not given.keys() <= known:
                raise TypeError(f"{cls.__name__} was given {sorted(given)}")
            self.__dict__.update(given)

    if not required and not factories:
        return initialize_group

    def initialize(self: Any, **given: Any) -> None:
        if not required <= given.keys() <= known:
            raise TypeError(f"{cls.__name__} needs {sorted(required)} and was given {sorted(given)}")
        values = self.__dict__
        values.update(given)
        for name, make in factories:
            if name not in given:
                values[name] = make()

    return initialize


def wire(cls: type) -> Compiled:
    """Return what ``@shape`` compiled for a class."""
    return cast("Compiled", cls.__wire__)  # type: ignore[attr-defined]


def write(response: Any, default_status: int) -> Written:
    """Write a response shape: its status, headers, and its XML or stream."""
    compiled = wire(type(response))
    written = Written(getattr(response, compiled.status_field) if compiled.status_field else default_status, [])
    compiled.write_headers(response, written.headers)
    if compiled.stream_field:
        source = getattr(response, compiled.stream_field)
        if isinstance(source, bytes):
            written.body = source
        else:
            written.flow = source
        return written
    inner, root = response, compiled.root
    if compiled.body_field:
        inner = getattr(response, compiled.body_field)
        root = compiled.specs[compiled.body_field][0].name or wire(type(inner)).root if inner is not None else ""
    if inner is not None and root:
        written.body = write_document(inner, root)
        written.headers.append(("content-type", "application/xml"))
    return written


def write_document(structure: Any, root: str) -> bytes:
    """Write a structure as an XML document in S3's namespace."""
    content = wire(type(structure)).write_content(structure)
    text = f'{xml.DECLARATION}<{root} xmlns="{xml.NAMESPACE}">{content}</{root}>'
    return text.encode("utf-8", "surrogatepass")


def read_document(cls: type[T], document: bytes, root: str = "") -> T:
    """Read an XML document as a structure.

    Raises:
        MalformedXML: not well-formed, another root, an unknown, repeated or missing element, or a wrong value.
    """
    parsed = xml.parse(document, wire(cls).most_elements)
    expected = root or wire(cls).root
    if expected and xml.local_name(parsed) != expected:
        raise MalformedXML
    return cast("T", wire(cls).read_element(parsed))
