"""Where the bytes of a blob are in its shard files, and the hash that guards each block.

A blob is cut into stripes of ``stripe_bytes``, each stripe into k blocks of equal length (the last stripe's blocks are
shorter, and padded with zeros to that length), to which the code adds m parity blocks. A shard file is, for each
stripe, 16 bytes of hash and the block. So every offset follows from the size and the geometry. The hash is the
XXH3-128 of the block, seeded with the blob's salt, the shard's number and the stripe's: a block of another blob, shard,
place or generation is detected like a flipped bit.
"""

import struct
from collections.abc import Container
from typing import NamedTuple

import xxhash

from s3ish.blob.protocol import Buffer
from s3ish.model import BlobRef

HASH_BYTES = 16
_SEED = struct.Struct("<QHQ")


class Layout(NamedTuple):
    """The geometry of a blob: its ``size`` and ``stripe_bytes``, and its ``k`` data and ``m`` parity shards."""

    size: int
    stripe_bytes: int
    k: int
    m: int

    @property
    def stripes(self) -> int:
        """How many stripes there are."""
        return -(-self.size // self.stripe_bytes)

    @property
    def shard_bytes(self) -> int:
        """The length of each shard file."""
        last = self.stripes - 1
        return self.offset(last) + HASH_BYTES + self.block_bytes(last) if self.size else 0

    def data_bytes(self, stripe: int) -> int:
        """Return how much data a stripe holds."""
        return min(self.stripe_bytes, self.size - stripe * self.stripe_bytes)

    def block_bytes(self, stripe: int) -> int:
        """Return the length of each of a stripe's blocks."""
        return -(-self.data_bytes(stripe) // self.k)

    def offset(self, stripe: int) -> int:
        """Return where a stripe's hash and block begin in each shard file."""
        return stripe * (HASH_BYTES + -(-self.stripe_bytes // self.k))


def layout_of(ref: BlobRef) -> Layout:
    """Return the geometry of a blob."""
    return Layout(ref.size, ref.stripe_bytes, ref.k, ref.m)


def shard_name(number: int, k: int) -> str:
    """Return the file name of a shard: ``data.0`` and on, then ``parity.0`` and on."""
    return f"data.{number}" if number < k else f"parity.{number - k}"


def sidecar_name(position: int) -> str:
    """Return how reports name the copy of a sidecar on a volume."""
    return f"metadata.json@{position}"


def damage_names(ref: BlobRef, positions: Container[int]) -> tuple[str, ...]:
    """Return how reports name all that a blob has on some volumes."""
    shards = () if ref.inline else enumerate(ref.volumes)
    names = [shard_name(number, ref.k) for number, position in shards if position in positions]
    return (*names, *(sidecar_name(position) for position in dict.fromkeys(ref.volumes) if position in positions))


def block_hash(salt: int, shard: int, stripe: int, block: Buffer) -> bytes:
    """Return the hash of a block."""
    seed = xxhash.xxh3_64_intdigest(_SEED.pack(salt, shard, stripe))
    return xxhash.xxh3_128_digest(block, seed)
