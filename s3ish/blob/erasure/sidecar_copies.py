"""The copies of a blob's sidecar on its volumes: reading them, and choosing the one that holds. Synchronous.

Copies may disagree after a volume was away: the valid one with the greatest revision holds. Which error speaks for all
of them decides between Missing and Corrupt: a blob is only missing if none of its files can be where it is
out of reach or damaged.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from s3ish.blob.erasure import sidecar
from s3ish.blob.erasure.sidecar import Sidecar
from s3ish.blob.protocol import Away, BlobError, Corrupt, Missing, NewerFormat, OutOfReach
from s3ish.blob.volumes.volume_set import Volumes

Copies = Mapping[int, Sidecar | BlobError]
"""The sidecar at each position, or why there is none."""


def read_copies(volumes: Volumes, blob: str, positions: Iterable[int]) -> Copies:
    """Return all copies of a sidecar. Those that are alike, as most are, are decoded once."""
    copies: dict[int, Sidecar | BlobError] = {}
    known: tuple[bytes, Sidecar] | None = None
    for position in dict.fromkeys(positions):
        try:
            text = _read(volumes, blob, position)
            if known is None or known[0] != text:
                known = text, sidecar.decode(text, blob)
            copies[position] = known[1]
        except BlobError as error:
            copies[position] = error
    return copies


def read_copy(volumes: Volumes, blob: str, position: int) -> Sidecar | BlobError:
    """Return the copy at a position, or why there is none."""
    return read_copies(volumes, blob, [position])[position]


def _read(volumes: Volumes, blob: str, position: int) -> bytes:
    return volumes.at(position).read_file(blob, sidecar.NAME, sidecar.LIMIT_BYTES)


def mend(volumes: Volumes, blob: str, copies: Copies) -> Copies:
    """Return copies with what each damaged one said before a bit of it flipped, if that is what happened to it."""
    mended = dict(copies)
    for position, copy in copies.items():
        if isinstance(copy, Corrupt):
            with suppress(BlobError):
                mended[position] = sidecar.mend(_read(volumes, blob, position), blob) or copy
    return mended


def newest(copies: Copies) -> Sidecar | None:
    """Return the valid copy with the greatest revision, None if there is none. Raises NewerFormat if one is."""
    for copy in copies.values():
        if isinstance(copy, NewerFormat):
            raise copy
    valid = [copy for copy in copies.values() if isinstance(copy, Sidecar)]
    return max(valid, key=lambda copy: copy.revision, default=None)


def verdict(blob: str, errors: Iterable[BlobError], tolerated: int) -> Missing | Corrupt:
    """Return the error that says why a blob cannot be read, from what went wrong with each of its files.

    Args:
        tolerated: how many files may be absent from a blob that was written, or damaged.
    """
    causes = list(errors)
    absent = sum(isinstance(cause, Missing) for cause in causes)
    if absent == len(causes) or (absent > tolerated and not any(isinstance(cause, Corrupt) for cause in causes)):
        return Missing(f"{blob} is not there")
    reasons = "; ".join(dict.fromkeys(str(cause) for cause in causes))
    lost = sum(not isinstance(cause, Away) for cause in causes)
    return (OutOfReach if lost <= tolerated else Corrupt)(f"{blob} cannot be read: {reasons}")
