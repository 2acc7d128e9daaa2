"""What a shape declares: its fields, their types, and where each stands on the wire."""

import types
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from s3ish.wire.fields import Field, Place, Spec, Unread


def fields_of(cls: type) -> dict[str, Field]:
    """Return the fields of a shape, those of its bases first."""
    return cast("dict[str, Field]", cls.__fields__)  # type: ignore[attr-defined]


def is_shape(kind: Any) -> bool:
    """Whether a type is a shape."""
    return hasattr(kind, "__wire__")


class Places:
    """Where the fields of a shape stand."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self._names: dict[Place, frozenset[str]] = {}

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.cls)

    @cached_property
    def optional(self) -> frozenset[str]:
        """The fields that may be None."""
        return frozenset(name for name, hint in self._hints.items() if _bare(hint) is not hint)

    @cached_property
    def specs(self) -> dict[str, tuple[Spec, Any]]:
        """Where each field stands on the wire, and its type."""
        return {name: (spec, _bare(self._hints[name])) for name, spec in self._declared()}

    @cached_property
    def unread(self) -> tuple[Unread, ...]:
        """What is declared without a field, that of the bases first."""
        own = (vars(base).get("__unread__", ()) for base in reversed(self.cls.__mro__))
        return tuple(each for several in own for each in several)

    def names_at(self, place: Place) -> frozenset[str]:
        """Return the names that stand for something at a place, those in groups and those that are not read too."""
        known = self._names.get(place)
        if known is None:
            known = self._names[place] = self._find_names(place)
        return known

    def _find_names(self, place: Place) -> frozenset[str]:
        found = {name for each in self.unread if each.place == place for name in each.names}
        for spec, kind in self.specs.values():
            if spec.place == place:
                found.add(spec.name)
            elif spec.place == "group":
                found |= kind.__wire__.names_at(place)
        return frozenset(found)

    @cached_property
    def most_elements(self) -> int:
        """How many XML elements a structure can have, its own included."""
        most = 1
        for spec, kind in self.specs.values():
            if spec.place == "element":
                most += _most_of(kind)
            elif spec.place == "elements":
                most += bool(spec.wrapper) + spec.limit * _most_of(get_args(kind)[0])
            elif spec.place == "group":
                most += _most_of(kind) - 1
        return most

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
        return next((name for name, spec in self._declared() if spec.place == place), "")

    def _declared(self) -> Iterator[tuple[str, Spec]]:
        return ((name, field.spec) for name, field in fields_of(self.cls).items() if field.spec)


def _most_of(kind: Any) -> int:
    return cast("int", kind.__wire__.most_elements) if is_shape(kind) else 1


def _bare(hint: Any) -> Any:
    """Drop ``| None``."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [argument for argument in get_args(hint) if argument is not type(None)]
        return rest[0] if len(rest) == 1 else hint
    return hint
