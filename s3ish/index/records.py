"""Row values: a format number, a checksum over format, table, key and payload, and the payload.

A database does not notice a flipped bit inside a value, nor a value that stands in another row's place; the checksum
does, before anything is made of it.
"""

from functools import cache
from typing import Any, TypeVar, cast

import msgspec
import xxhash

from s3ish.index.protocol import Damaged, NewerFormat

T = TypeVar("T")

FORMAT = 1
_CHECK_BYTES = 8
_HEADER = 1 + _CHECK_BYTES

_encoder = msgspec.msgpack.Encoder()


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


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
    try:
        return cast("T", _decoder(cast("Any", kind)).decode(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"a row of table {table} is not a {kind.__name__}: {error}") from error


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
    if value[0] != FORMAT:
        raise NewerFormat(f"a row of table {table} has format {value[0]}; this release reads {FORMAT}")
    return payload


def _check(form: int, table: str, key: bytes, payload: bytes) -> bytes:
    digest = xxhash.xxh3_64(f"{form} {table}".encode())
    digest.update(key)
    digest.update(payload)
    return digest.digest()
