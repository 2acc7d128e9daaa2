"""The ten checksum algorithms of S3: what they are called, how they are computed, how parts make a whole.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

import base64
import binascii
import functools
import hashlib
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import xxhash
from msgspec import Struct

Buffer = bytes | bytearray | memoryview


class _Running(Protocol):
    def update(self, data: Any, /) -> Any: ...

    def digest(self) -> bytes: ...


class _Cyclic:
    """A cyclic redundancy check that is a function of the bytes and the value so far."""

    def __init__(self, function: Callable[[Any, int], int], size: int) -> None:
        self._function = function
        self._size = size
        self._value = 0

    def update(self, data: Any) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _crc32c() -> _Running:
    from awscrt import checksums  # deferred: 10 ms and 12 MB that a server without such objects never needs

    return _Cyclic(checksums.crc32c, 4)


def _crc64nvme() -> _Running:
    from awscrt import checksums

    return _Cyclic(checksums.crc64nvme, 8)


class Algorithm(Struct, frozen=True):
    """One algorithm: the length of its digest in bytes, and the kinds of multipart checksum it can make.

    A ``quick`` one takes less time, some 25 µs a MiB, than to have another thread compute it.
    """

    size: int
    start: Callable[[], _Running]
    kinds: tuple[str, ...]
    quick: bool = False


_FULL, _COMPOSITE = "FULL_OBJECT", "COMPOSITE"

ALGORITHMS: dict[str, Algorithm] = {
    "CRC32": Algorithm(4, lambda: _Cyclic(zlib.crc32, 4), (_COMPOSITE, _FULL)),
    "CRC32C": Algorithm(4, _crc32c, (_COMPOSITE, _FULL), quick=True),
    "CRC64NVME": Algorithm(8, _crc64nvme, (_FULL,), quick=True),
    "SHA1": Algorithm(20, lambda: hashlib.sha1(usedforsecurity=False), (_COMPOSITE,)),
    "SHA256": Algorithm(32, hashlib.sha256, (_COMPOSITE,)),
    "SHA512": Algorithm(64, hashlib.sha512, (_COMPOSITE,)),
    "MD5": Algorithm(16, lambda: hashlib.md5(usedforsecurity=False), (_COMPOSITE,)),
    "XXHASH64": Algorithm(8, xxhash.xxh64, (_COMPOSITE,)),
    "XXHASH3": Algorithm(8, xxhash.xxh3_64, (_COMPOSITE,), quick=True),
    "XXHASH128": Algorithm(16, xxhash.xxh3_128, (_COMPOSITE,), quick=True),
}


class Hasher:
    """A checksum being computed."""

    __slots__ = ("_running",)

    def __init__(self, algorithm: str) -> None:
        self._running = ALGORITHMS[algorithm].start()

    def update(self, data: Buffer) -> None:
        """Add bytes."""
        self._running.update(data)

    def value(self) -> str:
        """Return the checksum so far: base64 of the digest, most significant byte first."""
        return base64.b64encode(self._running.digest()).decode()


@functools.cache
def of_nothing(algorithm: str) -> str:
    """Return the checksum of no bytes at all."""
    return Hasher(algorithm).value()


def valid(algorithm: str, value: str) -> bool:
    """Whether a text is base64 of a digest of this algorithm's length."""
    return algorithm in ALGORITHMS and _decode(value, ALGORITHMS[algorithm].size) is not None


def _decode(value: str, size: int) -> bytes | None:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    canonical = base64.b64encode(digest).decode() == value  # not if it ends in bits that stand for nothing
    return digest if len(digest) == size and canonical else None


def supports(algorithm: str, kind: str) -> bool:
    """Whether a multipart object can have this kind of checksum of this algorithm."""
    return kind in ALGORITHMS[algorithm].kinds


def default_kind(algorithm: str) -> str:
    """Return the kind of checksum that a multipart upload gets if the client does not say."""
    return ALGORITHMS[algorithm].kinds[0]


def combine(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """Return the checksum of a whole from those of its parts.

    Args:
        algorithm: one that supports FULL_OBJECT.
        parts: value (base64) and length in bytes of each part, in order.
    """
    from awscrt import checksums

    join = {
        "CRC32": checksums.combine_crc32,
        "CRC32C": checksums.combine_crc32c,
        "CRC64NVME": checksums.combine_crc64nvme,
    }[algorithm]
    size = ALGORITHMS[algorithm].size
    total = 0
    for value, length in parts:
        total = join(total, int.from_bytes(cast("bytes", _decode(value, size)), "big"), length)
    return base64.b64encode(total.to_bytes(size, "big")).decode()


def composite(algorithm: str, values: Sequence[str]) -> str:
    """Return the checksum of the parts' checksums, with their number behind it."""
    hasher = Hasher(algorithm)
    for value in values:
        hasher.update(base64.b64decode(value))
    return f"{hasher.value()}-{len(values)}"
