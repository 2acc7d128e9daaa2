"""Shapes: what an operation takes and gives, declared once as a class.

A shape is a class whose fields say where they stand on the wire: in the path, the query, a header, the XML body.
It is compiled into flat readers and writers, so that no request pays for introspection; each when it is first needed
(below a millisecond), so that the start does not pay for all of them.
Shapes nest: a field whose type is another shape is an XML structure.

This module knows nothing of operations, of ASGI or of what the values mean.
"""

import types
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cached_property
from typing import (
    Any,
    Protocol,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from msgspec import Struct

from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML, MissingRequestBodyError
from s3ish.wire import scalars, xml
from s3ish.wire.fields import REQUIRED, Field, Place, Spec, Unread
from s3ish.wire.xml import Element

T = TypeVar("T")
Headers = list[tuple[str, str]]

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


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


class Compiled:
    """The readers and writers of one shape; held by the class as ``__wire__``. Each is made when first asked for."""

    def __init__(self, cls: type, root: str) -> None:
        self.root = root
        self._cls = cls

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self._cls)

    @cached_property
    def optional(self) -> frozenset[str]:
        """The fields that may be None."""
        return frozenset(name for name, hint in self._hints.items() if _bare(hint) is not hint)

    @cached_property
    def specs(self) -> dict[str, tuple[Spec, Any]]:
        """Where each field stands on the wire, and its type."""
        return {name: (spec, _bare(self._hints[name])) for name, spec in _specs_of(self._cls)}

    @cached_property
    def unread(self) -> tuple[Unread, ...]:
        """What is declared without a field, that of the bases first."""
        own = (vars(base).get("__unread__", ()) for base in reversed(self._cls.__mro__))
        return tuple(each for several in own for each in several)

    def names_at(self, place: Place) -> frozenset[str]:
        """Return the names that stand for something in the query or the headers, those that are not read too."""
        read = (spec.name for _, spec in _specs_of(self._cls) if spec.place == place)
        return frozenset((*read, *(name for each in self.unread if each.place == place for name in each.names)))

    @cached_property
    def read_request(self) -> Callable[..., Any]:
        """Return the typed request of labels, query, headers and document."""
        return _compile_request_reader(self._cls, self)

    @cached_property
    def write_content(self) -> Callable[[Any], str]:
        """Return the content of a structure as XML."""
        return _compile_content_writer(self)

    @cached_property
    def write_headers(self) -> Callable[[Any, Headers], None]:
        """Append the headers of a response to a list."""
        return _compile_header_writer(self)

    @cached_property
    def read_element(self) -> Callable[[Element], Any]:
        """Return the structure of an XML element."""
        return _element_reader(self._cls, self)

    @cached_property
    def body_field(self) -> str:
        """The field that is the whole XML body, or empty."""
        return self._field_at("body")

    @cached_property
    def document_field(self) -> str:
        """The field that is the whole body as text, or empty."""
        return self._field_at("document")

    @cached_property
    def stream_field(self) -> str:
        """The field that is the body as bytes, or empty."""
        return self._field_at("stream")

    @cached_property
    def status_field(self) -> str:
        """The field that is the status of the response, or empty."""
        return self._field_at("status")

    def _field_at(self, place: Place) -> str:
        return next((name for name, spec in _specs_of(self._cls) if spec.place == place), "")


def fields_of(cls: type) -> dict[str, Field]:
    """Return the fields of a shape, those of its bases first."""
    return cast("dict[str, Field]", cls.__fields__)  # type: ignore[attr-defined]


def _specs_of(cls: type) -> Iterator[tuple[str, Spec]]:
    return ((name, field.spec) for name, field in fields_of(cls).items() if field.spec)


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
    told = (f"{name}={getattr(self, name)!r}" for name in fields_of(type(self)))
    return f"{type(self).__name__}({', '.join(told)})"


def _initializer(cls: type) -> Callable[..., None]:
    """Return an ``__init__`` that sets what is given; the class has the rest: most of many fields are absent."""
    fields = fields_of(cls)
    known = fields.keys()
    factories = [(name, field.factory) for name, field in fields.items() if field.factory]
    required = frozenset(name for name, field in fields.items() if field.required)

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
    parsed = xml.parse(document)
    expected = root or wire(cls).root
    if expected and xml.local_name(parsed) != expected:
        raise MalformedXML
    return cast("T", wire(cls).read_element(parsed))


def _bare(hint: Any) -> Any:
    """Drop ``| None``."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [argument for argument in get_args(hint) if argument is not type(None)]
        return rest[0] if len(rest) == 1 else hint
    return hint


def _is_shape(kind: Any) -> bool:
    return hasattr(kind, "__wire__")


# --- reading -------------------------------------------------------------------------------------------------------


def _scalar_reader(kind: Any) -> Callable[[str], Any] | None:
    if kind is scalars.Instant:
        return scalars.read_http_date  # DeleteObjects has such dates in its XML too
    return {int: scalars.read_integer, bool: scalars.read_boolean}.get(kind)


def _parameter(spec: Spec, kind: Any) -> Callable[[str], Any] | None:
    """Return what turns the text of a query or header into a value, or None where the text is the value."""
    convert = _scalar_reader(kind)
    if convert is None and not spec.choices:
        return None

    def read(text: str) -> Any:
        if spec.choices and text not in spec.choices:
            raise InvalidArgument(f"Invalid value for {spec.name}", ArgumentName=spec.name, ArgumentValue=text[:256])
        try:
            return convert(text) if convert else text
        except ValueError as error:
            expected = "an integer" if kind is int else "a valid value"
            raise InvalidArgument(
                f"Provided {spec.name} not {expected} or within its range",
                ArgumentName=spec.name,
                ArgumentValue=text[:256],
            ) from error

    return read


def _compile_request_reader(cls: type, compiled: Compiled) -> Callable[..., Any]:
    """Build ``read(labels, query, headers, document)``: it sets what the request has; the class has the defaults."""
    space: dict[str, Any] = {"new": cls.__new__, "cls": cls, "take_prefix": _take_prefix, "read_body": _read_body}
    space["read_text"] = _read_text
    always, of_query, of_headers = [], [], []
    for index, (name, (spec, kind)) in enumerate(compiled.specs.items()):
        if spec.place == "label":
            always.append(f"fields[{name!r}] = labels[{spec.name!r}]")
        elif spec.place in ("query", "header"):
            convert = space[f"c{index}"] = _parameter(spec, kind)
            value = f"c{index}(v)" if convert else "v"
            if spec.place == "query":
                of_query.append(f"if (v := query.get({spec.name!r})) is not None: fields[{name!r}] = {value}")
            else:
                key = spec.name.lower()
                of_headers.append(f"if (v := headers.get({key!r})) is not None: fields[{name!r}] = {value}")
        elif spec.place == "headers":
            always.append(f"fields[{name!r}] = take_prefix(headers, {spec.name.lower()!r})")
        elif spec.place == "body":
            required = fields_of(cls)[name].required
            space[f"k{index}"] = kind
            always.append(f"fields[{name!r}] = read_body(k{index}, document, {spec.name!r}, {required})")
        elif spec.place == "document":
            always.append(f"fields[{name!r}] = read_text(document)")
    for index, unread in enumerate(compiled.unread):
        if unread.choices:
            for number, name in enumerate(unread.names):
                check = f"u{index}_{number}"
                space[check] = _parameter(Spec(unread.place, name, choices=unread.choices), str)
                source, key = ("query", name) if unread.place == "query" else ("headers", name.lower())
                code = f"if (v := {source}.get({key!r})) is not None: {check}(v)"
                (of_query if unread.place == "query" else of_headers).append(code)
    lines = ["def read(labels, query, headers, document=b''):", " made = new(cls)", " fields = made.__dict__"]
    if of_query:
        lines += [" if query:", *("  " + line for line in of_query)]
    lines += [" " + line for line in (*of_headers, *always)] + [" return made"]
    exec("\n".join(lines), space)  # noqa: S102  the text is made of names in this package's own source
    return cast("Callable[..., Any]", space["read"])


def _take_prefix(source: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name[len(prefix) :]: value for name, value in source.items() if name.startswith(prefix)}


def _read_body(kind: type, document: bytes, root: str, required: bool) -> Any:
    if not document:
        if required:
            raise InvalidRequest("Missing required body") if not root else MalformedXML
        return None
    return read_document(kind, document, root)


def _read_text(document: bytes) -> str:
    if not document:
        raise MissingRequestBodyError
    try:
        return document.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("The body is not in UTF-8.") from error


def _text_reader(spec: Spec, kind: Any) -> Callable[[Element], Any]:
    convert = _scalar_reader(kind)

    def read(node: Element) -> Any:
        if len(node):
            raise MalformedXML
        text = node.text or ""
        if spec.choices and text not in spec.choices:
            raise MalformedXML
        try:
            return convert(text.strip()) if convert else text
        except ValueError as error:
            raise MalformedXML from error

    return read


def _value_reader(spec: Spec, kind: Any) -> Callable[[Element], Any]:
    if _is_shape(kind):
        return wire(kind).read_element
    return _text_reader(spec, kind)


def _element_reader(cls: type, compiled: Compiled) -> Callable[[Element], Any]:
    singles: dict[str, tuple[str, Callable[[Element], Any]]] = {}
    lists: dict[str, tuple[str, Callable[[Element], Any]]] = {}
    wrapped: dict[str, tuple[str, str, Callable[[Element], Any]]] = {}
    attributes: dict[str, str] = {}
    for name, (spec, kind) in compiled.specs.items():
        if spec.place == "element":
            singles[spec.name] = (name, _value_reader(spec, kind))
        elif spec.place == "elements":
            inner = _value_reader(spec, get_args(kind)[0])
            if spec.wrapper:
                wrapped[spec.wrapper] = (name, spec.name, inner)
            else:
                lists[spec.name] = (name, inner)
        elif spec.place == "attribute":
            attributes[spec.name] = name

    def read(node: Element) -> Any:
        values: dict[str, Any] = {field_name: node.get(name) for name, field_name in attributes.items()}
        _refuse_text(node.text)
        for child in node:
            _refuse_text(child.tail)
            tag = xml.local_name(child)
            if tag in lists:
                name, inner = lists[tag]
                values.setdefault(name, []).append(inner(child))
                continue
            if tag in singles:
                name, inner = singles[tag]
                value: Any = inner(child)
            elif tag in wrapped:
                name, member, inner = wrapped[tag]
                value = [inner(item) for item in child if xml.local_name(item) == member or _refuse()]
            else:
                raise MalformedXML
            if name in values:
                raise MalformedXML
            values[name] = value
        try:
            return cls(**values)
        except TypeError as error:  # a required element is missing
            raise MalformedXML from error

    return read


def _refuse_text(between: str | None) -> None:
    if between and not between.isspace():
        raise MalformedXML


def _refuse() -> bool:
    raise MalformedXML


# --- writing -------------------------------------------------------------------------------------------------------


def _text_of(kind: Any, spec: Spec, value: str) -> str:
    """Return the expression that turns a value into text on the wire."""
    if kind is scalars.Instant:
        return f"iso({value})" if spec.place in ("element", "elements") else f"date({value})"
    if kind is scalars.EntityTag:
        return f"tag({value})"
    if kind is int:
        return f"str({value})"
    if kind is bool:
        return f"boolean({value})"
    if spec.place in ("header", "headers"):
        return value
    return f"key({value})" if spec.url else f"escape({value})"


def _element_of(kind: Any, spec: Spec, value: str, space: dict[str, Any]) -> str:
    """Return what stands in a template for one element with its text or content."""
    if _is_shape(kind):
        function = f"write_{kind.__name__}"
        space[function] = wire(kind).write_content
        return f"<{spec.name}{_attributes_of(kind, value)}>{{{function}({value})}}</{spec.name}>"
    return f"<{spec.name}>{{{_text_of(kind, spec, value)}}}</{spec.name}>"


def _attributes_of(kind: Any, value: str) -> str:
    text = ""
    for name, (spec, _) in wire(kind).specs.items():
        if spec.place == "attribute":
            plain = spec.name.replace(f"{{{_XSI}}}", "xsi:")
            prefix = f' xmlns:xsi="{_XSI}"' if plain != spec.name else ""
            text += f'{prefix} {plain}="{{escape({value}.{name} or "")}}"'
    return text


def _compile_content_writer(compiled: Compiled) -> Callable[[Any], str]:
    """Build ``write(value)``: the content of a structure as text."""
    space: dict[str, Any] = {
        "escape": xml.escape,
        "url": scalars.write_url,
        "iso": scalars.write_iso8601,
        "date": scalars.write_http_date,
        "tag": xml.entity_tag,
        "boolean": scalars.write_boolean,
    }
    code, template = _content_of(compiled, "s.", "t", space)
    code = ["key = url if getattr(s, 'encoding_type', None) == 'url' else escape", *code, f"return f'{template}'"]
    exec("\n    ".join(["def write(s):", *code]), space)  # noqa: S102  made of names in this package's own source
    return cast("Callable[[Any], str]", space["write"])


def _content_of(compiled: Compiled, source: str, made: str, space: dict[str, Any]) -> tuple[list[str], str]:
    """Return code and the template of a structure's content. A field's value is at ``source`` and its name.

    What may be absent, and what there may be many of, is made by the code in variables that begin with ``made``; the
    template is all that is left to do.
    """
    code: list[str] = []
    template = ""
    for index, (name, (spec, kind)) in enumerate(compiled.specs.items()):
        value, variable = f"{source}{name}", f"{made}{index}"
        if spec.place == "text":
            template += f"{{{_text_of(kind, spec, value)}}}"
        elif spec.place == "element" and name not in compiled.optional:
            template += _element_of(kind, spec, value, space)
        elif spec.place == "element":
            text = _element_of(kind, spec, "v", space)
            code += [f"v = {value}", f"{variable} = f'{text}' if v is not None else ''"]
            template += f"{{{variable}}}"
        elif spec.place == "elements":
            code += [f"vs = {value}", *_many(get_args(kind)[0], spec, variable, space)]
            template += f"{{{variable}}}"
    return code, template


def _many(kind: Any, spec: Spec, made: str, space: dict[str, Any]) -> list[str]:
    """Return code that puts the elements of ``vs`` into the variable ``made``."""
    if spec.rows:
        code, template = _content_of(wire(kind), "f_", "r", space)
        fields_of = ", ".join(f"f_{name}" for name in wire(kind).specs)
        code.append(f"put(f'<{spec.name}>{template}</{spec.name}>')")
        loop = [f"for {fields_of}, in vs:", *("    " + line for line in code)]
        begin, end = (f"'<{spec.wrapper}>' + ", f" + '</{spec.wrapper}>'") if spec.wrapper else ("", "")
        return ["texts = []; put = texts.append", *loop, f"{made} = {begin}''.join(texts){end}"]
    text = f"''.join([f'{_element_of(kind, spec, 'v', space)}' for v in vs])"
    if spec.wrapper:
        return [f"{made} = '<{spec.wrapper}>' + {text} + '</{spec.wrapper}>' if vs is not None else ''"]
    return [f"{made} = {text} if vs else ''"]


def _compile_header_writer(compiled: Compiled) -> Callable[[Any, Headers], None]:
    """Build ``write(value, out)``: append the headers of a response."""
    space: dict[str, Any] = {"date": scalars.write_http_date, "boolean": scalars.write_boolean}
    code = "def write(s, out):\n    pass\n"
    for name, (spec, kind) in compiled.specs.items():
        if spec.place == "header":
            text = _text_of(kind, spec, "v")
            code += f"    if (v := s.{name}) is not None:\n        out.append(({spec.name.lower()!r}, {text}))\n"
        elif spec.place == "headers":
            code += f"    for n, v in s.{name}.items():\n        out.append(({spec.name.lower()!r} + n, v))\n"
    exec(code, space)  # noqa: S102  the text is made of names in this package's own source
    return cast("Callable[[Any, Headers], None]", space["write"])
