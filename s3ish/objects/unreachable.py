"""What a commit makes unreachable: blobs that are named as garbage by it, and removed after it."""

from collections.abc import Iterable

from s3ish.index.protocol import Change
from s3ish.model import BlobRef, Garbage, Version
from s3ish.tables.catalogue import GARBAGE
from s3ish.tables.part_list import blobs


def drop_blobs(garbage: Iterable[Garbage]) -> list[Change]:
    """The changes that name blobs as garbage; ``Store.discard`` then removes them, and the rows of their bytes."""
    return [GARBAGE.name_it(item) for item in garbage]


def garbage_of(version: Version, successor: Version | None = None) -> Garbage:
    """What is to be removed with a version: its own blob, the sidecar, and after it those that this speaks of.

    Args:
        successor: what takes its place, and takes over parts of it if it came of an append.
    """
    kept = {ref.id for ref in blobs(successor)} if successor else ()
    return Garbage(version.blob, tuple(ref for ref in blobs(version) if ref.id not in kept))


def blobs_of(version: Version) -> list[BlobRef]:
    """All blobs that exist only for this version: its own (the sidecar) first."""
    return [version.blob, *blobs(version)]
