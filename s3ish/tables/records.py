"""Row values: a format number, a checksum over format, table, key and payload, and the payload.

A database does not notice a flipped bit inside a value, nor a value that stands in another row's place; the checksum
does, before anything is made of it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
import xxhash

from s3ish.index.protocol import Damaged, NewerFormat
from s3ish.tables import formats
from s3ish.tables.formats import FORMAT
from s3ish.tables.part_list import PackedParts

T = TypeVar("T")

_CHECK_BYTES = 8
_HEADER = 1 + _CHECK_BYTES
_ARRAY = b"\xdd"
"""How MessagePack begins an array whose length, in four bytes, and items follow."""


def _as_written(sequence: Any) -> Any:
    """Return how a sequence is written that is no tuple or list; parts that are still encoded stay as they are."""
    return sequence.packed if isinstance(sequence, PackedParts) else list(sequence)


_encoder = msgspec.msgpack.Encoder(enc_hook=_as_written)


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


def _parse(table: str, payload: bytes, form: Any, kind: type) -> Any:
    try:
        return _decoder(form).decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"a row of table {table} is not a {kind.__name__}: {error}") from error


def encode(table: str, key: bytes, record: Any) -> bytes:
    """Return the value of a row that holds a structure."""
    return encode_bytes(table, key, _encoder.encode(record))


def decode(table: str, key: bytes, value: bytes, kind: type[T]) -> T:
    """Return the structure in a row's value.

    Raises:
        Damaged: the value is not what was written there.
        NewerFormat: it was written by a newer release.
    """
    payload = decode_bytes(table, key, value)
    if value[0] != FORMAT:
        return cast("T", formats.migrate(kind, value[0], lambda form: _parse(table, payload, form, kind)))
    return cast("T", _parse(table, payload, kind, kind))


def peek(table: str, value: bytes, kind: type[T]) -> T:
    """Return the structure in a row's value, unchecked, to find out whose row it is. Raises Damaged."""
    form = value[0] if value else FORMAT
    return cast("T", formats.migrate(kind, form, lambda form: _parse(table, value[_HEADER:], form, kind)))


def decode_rows(table: str, rows: Sequence[tuple[bytes, bytes]], kind: type[T]) -> list[T]:
    """Return the structures in the values of many rows, in a fraction of the time that one after another takes.

    Raises:
        Damaged: one of the values is not what was written there.
        NewerFormat: one was written by a newer release.
    """
    place, start, digest = _place(FORMAT, table), bytes((FORMAT,)), xxhash.xxh3_64_digest
    payloads = []
    for key, value in rows:
        if not isinstance(value, bytes):
            decode_bytes(table, key, value)
        payload = value[_HEADER:]
        if value[:_HEADER] != start + digest(place + key + payload):
            decode_bytes(table, key, value)  # says what is wrong with it, if that is not its age
            if formats.steps(cast("Any", kind), value[0]):
                return [decode(table, key, value, kind) for key, value in rows]
        payloads.append(payload)
    array = _ARRAY + len(payloads).to_bytes(4, "big") + b"".join(payloads)
    return cast("list[T]", _parse(table, array, list[kind], kind))  # type: ignore[valid-type]


def encode_bytes(table: str, key: bytes, payload: bytes) -> bytes:
    """Return the value of a row that holds bytes."""
    return bytes((FORMAT,)) + _check(FORMAT, table, key, payload) + payload


def decode_bytes(table: str, key: bytes, value: bytes) -> bytes:
    """Return the bytes in a row's value. Raises Damaged, NewerFormat."""
    if not isinstance(value, bytes) or len(value) < _HEADER:  # damage can make it a number or a text
        raise Damaged(f"a row of table {table} is too short")
    payload = value[_HEADER:]
    if value[1:_HEADER] != _check(value[0], table, key, payload):
        raise Damaged(f"a row of table {table} has the wrong checksum")
    if value[0] > FORMAT:
        raise NewerFormat(f"a row of table {table} has format {value[0]}; this release reads up to {FORMAT}")
    return payload


def _check(form: int, table: str, key: bytes, payload: bytes) -> bytes:
    digest = xxhash.xxh3_64(_place(form, table) + key)
    digest.update(payload)
    return digest.digest()


@cache
def _place(form: int, table: str) -> bytes:
    return f"{form} {table}".encode()
