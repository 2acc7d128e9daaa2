"""Writers of shapes: from typed structures to headers and XML, as code that is made once."""

from collections.abc import Callable
from typing import Any, cast, get_args

from s3ish.wire import scalars, xml
from s3ish.wire.fields import Spec
from s3ish.wire.places import Places, is_shape

Headers = list[tuple[str, str]]

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


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
    if is_shape(kind):
        function = f"write_{kind.__name__}"
        space[function] = kind.__wire__.write_content
        return f"<{spec.name}{_attributes_of(kind, value)}>{{{function}({value})}}</{spec.name}>"
    return f"<{spec.name}>{{{_text_of(kind, spec, value)}}}</{spec.name}>"


def _attributes_of(kind: Any, value: str) -> str:
    text = ""
    for name, (spec, _) in kind.__wire__.specs.items():
        if spec.place == "attribute":
            plain = spec.name.replace(f"{{{_XSI}}}", "xsi:")
            prefix = f' xmlns:xsi="{_XSI}"' if plain != spec.name else ""
            text += f'{prefix} {plain}="{{escape({value}.{name} or "")}}"'
    return text


def compile_content_writer(compiled: Places) -> Callable[[Any], str]:
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
    code = [f"key = url if {_encoding_of(compiled)} else escape", *code, f"return f'{template}'"]
    exec("\n    ".join(["def write(s):", *code]), space)  # noqa: S102  made of names in this package's own source
    return cast("Callable[[Any], str]", space["write"])


def _encoding_of(compiled: Places) -> str:
    """Return the expression for how keys are encoded: what the structure ``s`` says, or a group in it."""
    groups = (name for name, (spec, kind) in compiled.specs.items() if spec.place == "group" and _says_encoding(kind))
    return f"getattr(s{''.join(f'.{name}' for name in groups)}, 'encoding_type', None)"


def _says_encoding(kind: Any) -> bool:
    return "encoding_type" in kind.__wire__.specs


def _content_of(compiled: Places, source: str, made: str, space: dict[str, Any]) -> tuple[list[str], str]:
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
        elif spec.place == "group":
            inner, text = _content_of(kind.__wire__, f"{variable}_.", f"{variable}_", space)
            code.append(f"if ({variable}_ := {value}) is None: {variable} = ''")
            code += ["else:", *("    " + line for line in inner), f"    {variable} = f'{text}'"]
            template += f"{{{variable}}}"
        elif spec.place == "elements":
            code += [f"vs = {value}", *_many(get_args(kind)[0], spec, variable, space)]
            if spec.fills:
                gaps = f"{made}{list(compiled.specs).index(spec.fills)}"
                code += [f"fill = iter({variable})", f"{variable} = ''.join([text or next(fill) for text in {gaps}])"]
            template += "" if spec.gaps else f"{{{variable}}}"
    return code, template


def _many(kind: Any, spec: Spec, made: str, space: dict[str, Any]) -> list[str]:
    """Return code that puts the elements of ``vs`` into the variable ``made``."""
    if spec.rows:
        code, template = _content_of(kind.__wire__, "f_", "r", space)
        fields_of = ", ".join(f"f_{name}" for name in kind.__wire__.specs)
        code.append(f"put(f'<{spec.name}>{template}</{spec.name}>')")
        if spec.gaps:
            code = ["if row is None:", "    put(''); continue", f"{fields_of}, = row", *code]
        loop = [f"for {'row' if spec.gaps else fields_of + ','} in vs:", *("    " + line for line in code)]
        if spec.gaps or spec.fills:
            return ["texts = []; put = texts.append", *loop, f"{made} = texts"]
        begin, end = (f"'<{spec.wrapper}>' + ", f" + '</{spec.wrapper}>'") if spec.wrapper else ("", "")
        return ["texts = []; put = texts.append", *loop, f"{made} = {begin}''.join(texts){end}"]
    text = f"''.join([f'{_element_of(kind, spec, 'v', space)}' for v in vs])"
    if spec.wrapper:
        return [f"{made} = '<{spec.wrapper}>' + {text} + '</{spec.wrapper}>' if vs is not None else ''"]
    return [f"{made} = {text} if vs else ''"]


def compile_header_writer(compiled: Places) -> Callable[[Any, Headers], None]:
    """Build ``write(value, out)``: append the headers of a response."""
    space: dict[str, Any] = {"date": scalars.write_http_date, "boolean": scalars.write_boolean, "once": _written_once}
    code = ["def write(s, out):", " pass", *(f" {line}" for line in _headers_of(compiled, "s"))]
    exec("\n".join(code), space)  # noqa: S102  the text is made of names in this package's own source
    return cast("Callable[[Any, Headers], None]", space["write"])


def _headers_of(compiled: Places, source: str) -> list[str]:
    """Return code that appends the headers of the structure that the variable ``source`` holds."""
    code: list[str] = []
    for index, (name, (spec, kind)) in enumerate(compiled.specs.items()):
        if spec.place == "header":
            text = f"({spec.name.lower()!r}, {_text_of(kind, spec, 'v')})"
            code += [f"if (v := {source}.{name}) is not None:", f" out.append({text})"]
        elif spec.place == "headers":
            code += [f"for n, v in {source}.{name}.items():", f" out.append(({spec.name.lower()!r} + n, v))"]
        elif spec.place == "group" and spec.once:
            code += [f"if (v := {source}.{name}) is not None:", " out += v.__dict__.get('written') or once(v)"]
        elif spec.place == "group":
            group = f"{source}{index}"
            inner = _headers_of(kind.__wire__, group)
            code += [f"if ({group} := {source}.{name}) is not None:", " pass", *(f" {line}" for line in inner)]
    return code


def _written_once(group: Any) -> Headers:
    """Return the headers of a group, which keeps them."""
    written: Headers = []
    group.__wire__.write_headers(group, written)
    group.__dict__["written"] = written
    return written
