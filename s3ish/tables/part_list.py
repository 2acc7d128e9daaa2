"""The parts of a multipart object, of which most who read its row want none, or the few that hold a range.

A row that tells of 10,000 parts is 2 MB long, and making structures of them all takes ten times as long as all the rest
of a request. So those of a long row stay encoded until one is asked for.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol, overload

import msgspec
from msgspec import Raw, Struct, field
from msgspec.structs import asdict

from s3ish.model import BlobRef, Checksum, Link, Part, Version

LONG_BYTES = 4096
"""From this length of a row on its parts are left encoded."""


def is_long(value: object) -> bool:
    """Whether the value of a row is so long that its parts are left encoded; damage can make it no bytes at all."""
    return isinstance(value, bytes) and len(value) >= LONG_BYTES


class Packed(Version, frozen=True, omit_defaults=True):
    """A version as its row tells of it, with the parts still encoded."""

    parts: Raw = Raw()  # type: ignore[assignment]  # that it is no sequence of parts is the point

    def unpacked(self) -> Version:
        """Return the version, whose parts are decoded when they are asked for."""
        return Version(**asdict(self) | {"parts": PackedParts(self.parts) if self.parts else ()})


class Piece(Protocol):
    """What reading needs of a part."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    @property
    def blob(self) -> BlobRef:
        """Where they are."""

    @property
    def checksum(self) -> Checksum | None:
        """Their checksum."""

    @property
    def encoding(self) -> tuple[Link, ...]:
        """How they became what is stored."""


class _Stub(Struct, frozen=True, gc=False):
    """A part of which only the size is decoded."""

    size: int
    packed: Raw = field(name="blob")
    packed_checksum: Raw = field(name="checksum", default=Raw())
    packed_encoding: Raw = field(name="encoding", default=Raw())

    @property
    def blob(self) -> BlobRef:
        return _refs.decode(self.packed)

    @property
    def checksum(self) -> Checksum | None:
        return _checksums.decode(self.packed_checksum) if self.packed_checksum else None

    @property
    def encoding(self) -> tuple[Link, ...]:
        return _links.decode(self.packed_encoding) if self.packed_encoding else ()


_checksums = msgspec.msgpack.Decoder(Checksum | None)
_links = msgspec.msgpack.Decoder(tuple[Link, ...])
_refs = msgspec.msgpack.Decoder(BlobRef)
_stubs = msgspec.msgpack.Decoder(tuple[_Stub, ...])
_parts = msgspec.msgpack.Decoder(tuple[Part, ...])


class PackedParts(Sequence[Part]):
    """Parts as MessagePack, decoded as far as they are asked for."""

    def __init__(self, packed: Raw) -> None:
        self.packed = packed

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The parts, as far as reading needs them."""
        return _stubs.decode(self.packed)

    @cached_property
    def _whole(self) -> tuple[Part, ...]:
        return _parts.decode(self.packed)

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, at: int) -> Part: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Part]: ...
    def __getitem__(self, at: int | slice) -> Part | Sequence[Part]:
        return self._whole[at]

    def __iter__(self) -> Iterator[Part]:
        return iter(self._whole)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedParts) and bytes(self.packed) == bytes(other.packed):
            return True
        return self._whole == (other._whole if isinstance(other, PackedParts) else other)

    def __hash__(self) -> int:
        return hash(self._whole)


def pieces(version: Version) -> Sequence[Piece]:
    """Return a version's parts, as far as reading needs them; what is still encoded of them stays so."""
    return version.parts.pieces if isinstance(version.parts, PackedParts) else version.parts


def blobs(version: Version) -> list[BlobRef]:
    """Return the blobs that a version names beside its own: those of its parts and annotations."""
    return [piece.blob for piece in (*pieces(version), *(one.part for one in version.annotations))]


def within(version: Version, start: int, stop: int) -> Iterator[tuple[Piece, int, int]]:
    """Yield which part holds the bytes ``[start, stop)`` of a multipart object, and which of its bytes, in order."""
    offset = 0
    for piece in pieces(version):
        end = offset + piece.size
        if offset >= stop or start >= stop:
            return
        if end > start and piece.size:
            yield piece, max(start - offset, 0), min(stop, end) - offset
        offset = end


def exactly(version: Version, start: int, stop: int) -> Piece | None:
    """Return the part of a multipart object that is the bytes ``[start, stop)``, if one is."""
    offset = 0
    for piece in pieces(version):
        if piece.size and offset >= start:
            return piece if (offset, offset + piece.size) == (start, stop) else None
        offset += piece.size
    return None
