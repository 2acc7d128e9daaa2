"""Damage on purpose, so that tests see it healed: a shard of a blob is lost, or a bit of it is another."""

from typing import Literal

from s3ish.blob.erasure.layout import layout_of, shard_name
from s3ish.blob.protocol import VolumeError
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.model import BlobRef

Kind = Literal["lose", "flip"]


def harm(volumes: Volumes, ref: BlobRef, number: int, kind: Kind, token: str) -> str:
    """Damage a shard of a blob. Returns its name, with its volume.

    Args:
        number: which shard, from 0; those of parity come last.
        kind: whether its file goes, or a bit of it changes.
        token: for the name of a file that takes its place.

    Raises:
        ValueError: the blob has no such shard.
        Missing, VolumeError: it is not there, or cannot be written.
    """
    if ref.inline or not ref.size:
        raise ValueError("the object is stored in the index and in its sidecars: it has no shards")
    if not 0 <= number < len(ref.volumes):
        raise ValueError(f"the object has shards 0 to {len(ref.volumes) - 1}")
    volume, name = volumes.at(ref.volumes[number]), shard_name(number, ref.k)
    if volume is None:
        raise VolumeError(f"the volume of shard {number} is out of reach")
    if kind == "lose":
        volume.unlink(ref.id, name)
    else:
        data = bytearray(volume.read_file(ref.id, name, layout_of(ref).shard_bytes))
        data[len(data) // 2] ^= 1
        volume.replace(ref.id, name, data, token)
    return f"{name} on {volume}"
