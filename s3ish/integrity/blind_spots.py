"""What a rebuild of the index could not read: there the index has gaps, and what no row names may be data of a user.

A gap is a prefix of the ids of blobs, and a row of the state table. What lies in one is not removed for want of a row
that names it, until a rebuild that can read everything has made another index.
"""

import os
from collections.abc import Iterator

from s3ish.index.protocol import Index, Put
from s3ish.tables.state import GAPS

MOST = 1000
"""How many gaps are kept apart; where there are more, the whole is one."""

REMEDY = "When it can be read again, stop the server and run: s3ish index rebuild"

LOST_BUCKET = "The bucket is lost, its objects are there. Make it anew, stop the server and run: s3ish index rebuild"


class BlindSpots:
    """The gaps of an index; iterating yields prefixes and what was wrong, for people."""

    def __init__(self, found: dict[str, str] | None = None) -> None:
        self._found = found or {}
        self._prefixes = tuple(self._found)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._found.items())

    def __len__(self) -> int:
        return len(self._found)

    def cover(self, blob: str) -> bool:
        """Whether a blob lies in a gap, given its id."""
        return blob.startswith(self._prefixes)

    def add(self, blob: str, problem: str) -> None:
        """Note a blob that could not be read; with "", that any may have been overlooked.

        What an object's sidecar would tell of lies at the same home; what a bucket's would, in the bucket.
        """
        if "" in self._found:
            return
        self._found.setdefault(_around(blob), problem)
        if not blob or len(self._found) > MOST:
            self._found = {"": problem}
        self._prefixes = tuple(self._found)

    def rows(self) -> list[Put]:
        """Return the rows that keep them."""
        return [GAPS.of(os.fsencode(prefix)).put(os.fsencode(problem)) for prefix, problem in self]


async def read_blind_spots(index: Index) -> BlindSpots:
    """Return the gaps of an index. Raises IndexFailure."""
    rows = await GAPS.family(index, MOST)
    return BlindSpots({os.fsdecode(prefix): os.fsdecode(problem) for prefix, problem in rows})


def _around(blob: str) -> str:
    """Return what the ids of all blobs at a blob's home begin with; for a bucket's, the ids of all in the bucket."""
    place = blob.rpartition("@")[0]
    of_bucket = place.find("/") == len(place) - 1
    return place if not blob or of_bucket else f"{place}@"
