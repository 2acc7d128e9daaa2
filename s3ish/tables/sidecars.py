"""The text of sidecars: what everything that an index would have to be rebuilt from looks like in JSON.

``{"kind":"version","format":2,"version":{...}}``: the kind, the number of the format, which a sidecar of format 1
lacks, what stands beside the record, and the record under the name of its kind.
"""

from functools import cache
from typing import Any

import msgspec
from msgspec import Raw, Struct, defstruct

from s3ish.index.protocol import NewerFormat
from s3ish.tables import formats
from s3ish.tables.formats import FORMAT


class _Head(Struct):
    kind: str
    format: int = 1


_heads = msgspec.json.Decoder(_Head)


def structure(kind: str, record: type, beside: tuple[str, ...]) -> type[Struct]:
    """Return the structure of a sidecar, given what its record is and the members beside it."""
    return defstruct(
        f"{kind.capitalize()}Sidecar",
        [("format", int, FORMAT), *((name, str) for name in beside), (kind, record)],
        frozen=True,
        kw_only=True,
        tag_field="kind",
        tag=kind,
    )


def write(sidecar: Struct) -> bytes:
    """Return the JSON text of a sidecar."""
    return msgspec.json.encode(sidecar, enc_hook=list)  # as in ``records``


def head(text: bytes) -> tuple[str, int]:
    """Return the kind and the format of a sidecar.

    Raises:
        ValueError: not a sidecar.
        NewerFormat: it was written by a newer release.
    """
    try:
        found = _heads.decode(text)
    except RecursionError as error:
        raise ValueError("a sidecar is nested too deeply") from error
    if found.format > FORMAT:
        raise NewerFormat(f"a sidecar has format {found.format}; this release reads up to {FORMAT}")
    return found.kind, found.format


def read(text: bytes, kind: str, record: type, beside: tuple[str, ...], form: int) -> tuple[Any, Any]:
    """Return what a sidecar says, and its record as it is now. Raises ValueError."""
    told: list[Any] = []

    def decode(written_as: type) -> Any:
        told.append(_decoder(kind, written_as, beside).decode(text))
        return getattr(told[0], kind)

    try:
        now = formats.migrate(record, form, decode)
    except RecursionError as error:
        raise ValueError("a sidecar is nested too deeply") from error
    return told[0], now


def member(text: bytes, kind: str, record: type, name: str) -> Raw | None:
    """Return a member of a sidecar's record as it is written there; None where it would be written otherwise now."""
    try:
        found, form = head(text)
        if found != kind or formats.steps(record, form):
            return None
        return msgspec.json.decode(msgspec.json.decode(text, type=dict[str, Raw])[kind], type=dict[str, Raw]).get(name)
    except (ValueError, KeyError, RecursionError):
        return None


@cache
def _decoder(kind: str, record: type, beside: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(structure(kind, record, beside))
