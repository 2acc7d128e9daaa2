"""Readers of shapes: from labels, query, headers and XML to typed structures, as code that is made once."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast, get_args

from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML, MissingRequestBodyError
from s3ish.wire import scalars, xml
from s3ish.wire.fields import Spec
from s3ish.wire.places import Places, fields_of, is_shape
from s3ish.wire.xml import Element


def _scalar_reader(kind: Any) -> Callable[[str], Any] | None:
    if kind is scalars.Instant:
        return scalars.read_http_date  # DeleteObjects has such dates in its XML too
    return {int: scalars.read_integer, bool: scalars.read_boolean, scalars.Count: scalars.read_count}.get(kind)


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
            if spec.name == "partNumber":
                message = "Part number must be an integer between 1 and 10000, inclusive"
                raise InvalidArgument(message, ArgumentName=spec.name, ArgumentValue=text[:256]) from error
            expected = "a valid value" if kind in (bool, scalars.Instant) else "an integer or within integer range"
            raise InvalidArgument(
                f"Provided {spec.name} not {expected}",
                ArgumentName=spec.name,
                ArgumentValue=text[:256],
            ) from error

    return read


def count_readers(compiled: Places) -> dict[str, Callable[[str], Any]]:
    """Return what reads the counts that a query has, by their names; each raises InvalidArgument."""
    return {
        spec.name: read
        for spec, kind in compiled.specs.values()
        if spec.place == "query" and kind is scalars.Count and (read := _parameter(spec, kind))
    }


class _Lines:
    """The code of a reader of requests, by what it reads, and the names that it uses."""

    def __init__(self, space: dict[str, Any]) -> None:
        self.space = space
        self.begin: list[str] = []
        self.of_query: list[str] = []
        self.of_headers: list[str] = []
        self.headers: set[str] = set()
        self.end: list[str] = []

    def named(self, value: Any) -> str:
        """Return a name for a value in the code."""
        name = f"n{len(self.space)}"
        self.space[name] = value
        return name

    def on(self, place: str, name: str, code: str) -> None:
        """Add what is to be done with the text ``v`` of a header or a key of the query, if there is one."""
        if place == "query":
            self.of_query.append(f"if (v := query.get({name!r})) is not None: {code}")
        else:
            self.headers.add(name.lower())
            self.of_headers.append(f"if {name.lower()!r} in given: v = headers[{name.lower()!r}]; {code}")

    def parameter(self, target: str, spec: Spec, kind: Any) -> None:
        """Add the reader of a header or of a key of the query into an item of a dictionary."""
        convert = _parameter(spec, kind)
        self.on(spec.place, spec.name, f"{target} = {self.named(convert)}(v)" if convert else f"{target} = v")

    def group(self, target: str, kind: Any) -> None:
        """Add the reader of a group: it is there if one of its fields is."""
        fields = f"g{len(self.space)}"
        self.begin.append(f"{fields} = {{}}")
        for name, (spec, inner) in kind.__wire__.specs.items():
            if spec.place in ("query", "header"):
                self.parameter(f"{fields}[{name!r}]", spec, inner)
        self.end.append(f"if {fields}: {target} = {self.named(kind)}(**{fields})")

    def checks(self, compiled: Places) -> None:
        """Add the refusal of values that no choice is, of what is not read otherwise."""
        for unread in compiled.unread:
            for name in unread.names if unread.choices else ():
                check = _parameter(Spec(unread.place, name, choices=unread.choices), str)
                self.on(unread.place, name, f"{self.named(check)}(v)")

    def text(self) -> str:
        """Return the code of the whole reader."""
        lines = ["def read(labels, query, headers, document=b''):", " made = new(cls)", " fields = made.__dict__"]
        lines += [f" {line}" for line in self.begin]
        if self.of_query:
            lines += [" if query:", *(f"  {line}" for line in self.of_query)]
        if self.of_headers:  # requests have few of the headers that they may have
            lines += [f" given = {self.named(frozenset(self.headers))}.intersection(headers)", " if given:"]
            lines += [f"  {line}" for line in self.of_headers]
        return "\n".join([*lines, *(f" {line}" for line in self.end), " return made"])


def compile_request_reader(compiled: Places, read_document: Callable[..., Any]) -> Callable[..., Any]:
    """Build ``read(labels, query, headers, document)``: it sets what the request has; the class has the defaults.

    Args:
        read_document: reads an XML body as a structure.
    """
    cls = compiled.cls
    space: dict[str, Any] = {"new": cls.__new__, "cls": cls, "take_prefix": _take_prefix, "read_body": _read_body}
    space |= {"read_text": _read_text, "read_document": read_document}
    lines = _Lines(space)
    for name, (spec, kind) in compiled.specs.items():
        target = f"fields[{name!r}]"
        if spec.place == "label":
            lines.end.append(f"{target} = labels[{spec.name!r}]")
        elif spec.place in ("query", "header"):
            lines.parameter(target, spec, kind)
        elif spec.place == "group":
            lines.group(target, kind)
        elif spec.place == "headers":
            lines.end.append(f"{target} = take_prefix(headers, {spec.name.lower()!r})")
        elif spec.place == "body":
            required = fields_of(cls)[name].required
            given = f"{lines.named(kind)}, document, {lines.named(spec)}, {required}"
            lines.end.append(f"{target} = read_body(read_document, {given})")
        elif spec.place == "document":
            lines.end.append(f"{target} = read_text(document)")
    lines.checks(compiled)
    exec(lines.text(), space)  # noqa: S102  the text is made of names in this package's own source
    return cast("Callable[..., Any]", space["read"])


def _take_prefix(source: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name[len(prefix) :]: value for name, value in source.items() if name.startswith(prefix)}


def _read_body(read_document: Callable[..., Any], kind: type, document: bytes, spec: Spec, required: bool) -> Any:
    if not document:
        if required:
            raise MissingRequestBodyError
        return None
    try:
        return read_document(kind, document, spec.name)
    except MalformedXML as error:
        raise spec.malformed from error


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
    if is_shape(kind):
        return cast("Callable[[Element], Any]", kind.__wire__.read_element)
    return _text_reader(spec, kind)


def _wrapped_reader(spec: Spec, inner: Callable[[Element], Any]) -> Callable[[Element], list[Any]]:
    """Return what reads the list within an element."""
    member, limit = spec.name, spec.limit

    def read(node: Element) -> list[Any]:
        if len(node) > limit:
            raise MalformedXML
        return [inner(item) for item in node if xml.local_name(item) == member or _refuse()]

    return read


class _Child(NamedTuple):
    """What a child element is read as: a field, or where there may be as many as ``limit``, an item of it."""

    group: str
    field: str
    read: Callable[[Element], Any]
    limit: int


def _children_of(compiled: Places, group: str = "") -> dict[str, _Child]:
    """Return what the elements of a structure are read as, by their names."""
    found: dict[str, _Child] = {}
    for name, (spec, kind) in compiled.specs.items():
        if spec.place == "element":
            found[spec.name] = _Child(group, name, _value_reader(spec, kind), limit=0)
        elif spec.place == "elements":
            inner = _value_reader(spec, get_args(kind)[0])
            if spec.wrapper:
                found[spec.wrapper] = _Child(group, name, _wrapped_reader(spec, inner), limit=0)
            else:
                found[spec.name] = _Child(group, name, inner, limit=spec.limit)
        elif spec.place == "group":
            found |= _children_of(kind.__wire__, name)
    return found


def element_reader(compiled: Places) -> Callable[[Element], Any]:
    """Return what reads a structure from its XML element."""
    cls = compiled.cls
    children = _children_of(compiled)
    attributes = {spec.name: name for name, (spec, _) in compiled.specs.items() if spec.place == "attribute"}
    groups = {name: kind for name, (spec, kind) in compiled.specs.items() if spec.place == "group"}

    def read(node: Element) -> Any:
        values: dict[str, Any] = {field_name: node.get(name) for name, field_name in attributes.items()}
        _refuse_text(node.text)
        for child in node:
            _refuse_text(child.tail)
            tag = xml.local_name(child)
            if tag not in children:
                raise MalformedXML
            group, name, inner, limit = children[tag]
            beside = values.setdefault(group, {}) if group else values
            if limit:
                found = beside.setdefault(name, [])
                found.append(inner(child))
                if len(found) > limit:
                    raise MalformedXML
            elif name in beside:
                raise MalformedXML
            else:
                beside[name] = inner(child)
        try:
            for name, kind in groups.items():
                if name in values:
                    values[name] = kind(**values[name])
            return cls(**values)
        except TypeError as error:  # a required element is missing
            raise MalformedXML from error

    return read


def _refuse_text(between: str | None) -> None:
    if between and not between.isspace():
        raise MalformedXML


def _refuse() -> bool:
    raise MalformedXML
