"""JSON that people write by hand: what is wrong with it is said so that they find it."""

from typing import TypeVar

import msgspec
from msgspec import Struct

B = TypeVar("B", bound=Struct)


def read_json(text: bytes | str, kind: type[B]) -> B:
    """Return what a JSON object says. Raises ValueError: it is none, or which of its fields is wrong."""
    try:
        found = msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    names = field_names(kind)
    if isinstance(found, dict) and (unknown := [name for name in found if name not in names]):
        raise ValueError(f"there is no field {unknown[0][:64]!r}; there are: {', '.join(names)}")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise ValueError(_said(str(error))) from None


def field_names(kind: type[Struct]) -> list[str]:
    """Return the names that fields have in JSON."""
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _said(text: str) -> str:
    """Return what a validation says, with the name of the field first."""
    text, _, place = text.partition(" - at `$.")
    return f"{place.rstrip('`')}: {text[0].lower()}{text[1:]}" if place else text
