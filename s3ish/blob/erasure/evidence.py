"""What the blobs on a volume say about it: each sidecar names the volumes that hold its shards and its copies."""

from collections import Counter

from s3ish.blob.erasure import sidecar
from s3ish.blob.erasure.layout import shard_name
from s3ish.blob.protocol import BlobError
from s3ish.blob.volumes.volume import Volume

_ENOUGH = 20
"""So many blobs are looked at, at most."""


def positions_of(volume: Volume) -> frozenset[int] | None:
    """Return the positions that a volume can have, for most of what lies on it; None if there is no blob.

    What cannot be read says nothing. Raises VolumeError.
    """
    votes: Counter[int] = Counter()
    for blob in volume.some(_ENOUGH):
        try:
            ref = sidecar.decode(volume.read_file(blob, sidecar.NAME, sidecar.LIMIT_BYTES), blob).ref
            names = set(volume.names(blob))
        except BlobError:
            continue
        shards = {position for number, position in enumerate(ref.volumes) if shard_name(number, ref.k) in names}
        votes.update(set(ref.volumes) if ref.inline or not shards else shards)
    most = max(votes.values(), default=0)
    return frozenset(position for position, count in votes.items() if count == most) if votes else None
