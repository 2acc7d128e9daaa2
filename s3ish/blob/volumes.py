"""The volumes of a set by position, some of which may be out of reach, and who holds which shard of a blob."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import xxhash

from s3ish.blob.protocol import BlobError, VolumeError
from s3ish.blob.volume import Volume


class Volumes:
    """An open set of volumes.

    Args:
        volumes: by position; None for one that is out of reach.

    ``mark`` tells this process from others, once it is a worker.
    """

    def __init__(self, volumes: Sequence[Volume | None]) -> None:
        self._volumes = tuple(volumes)
        self.mark = ""

    def __len__(self) -> int:
        return len(self._volumes)

    def at(self, position: int) -> Volume:
        """Return the volume at a position. Raises VolumeError if it is out of reach."""
        volume = self._volumes[position] if position < len(self._volumes) else None
        if volume is None:
            raise VolumeError(f"volume {position} is out of reach")
        return volume

    @property
    def set(self) -> str:
        """The id of the set."""
        return self.present[0].identity.set

    @property
    def present(self) -> list[Volume]:
        """The volumes within reach, by position."""
        return [volume for volume in self._volumes if volume]

    @property
    def away(self) -> tuple[int, ...]:
        """The positions of those out of reach."""
        return tuple(position for position, volume in enumerate(self._volumes) if volume is None)

    def place(self, blob: str, count: int) -> tuple[int, ...]:
        """Return the positions for ``count`` files of a blob: distinct ones, or all on the only volume.

        They rotate with the blob's id; volumes that take no writes come last.
        """
        total = len(self._volumes)
        if total == 1:
            return (0,) * count
        first = xxhash.xxh3_64_intdigest(blob.encode("utf-8", "surrogatepass")) % total
        rotated = [(first + step) % total for step in range(total)]
        rotated.sort(key=self._is_unwritable)
        return tuple(rotated[:count])

    def _is_unwritable(self, position: int) -> bool:
        volume = self._volumes[position]
        return volume is None or bool(volume.suspect)

    def lock_server(self) -> None:
        """Take all volumes for one server. Raises InUse."""
        for volume in self.present:
            volume.locks.take_server()

    def lock_worker(self, mark: str = "") -> None:
        """Say that a worker of the server uses the volumes, known by a mark. Raises InUse."""
        self.mark = mark
        for volume in self.present:
            volume.locks.take_worker(mark)

    @property
    def generation(self) -> int:
        """Which generation of the index was the last to name what is on the volumes within reach."""
        return max((volume.read_generation() for volume in self.present), default=0)

    def write_generation(self, generation: int) -> None:
        """Write it to all volumes within reach; one that cannot take it learns it at the next start."""
        for volume in self.present:
            with suppress(BlobError):
                volume.write_generation(generation)

    def dead_workers(self) -> frozenset[str]:
        """Return the marks of the workers that ended without ``forget_workers``."""
        dead: set[str] = set()
        for volume in self.present:
            with suppress(BlobError):
                dead |= volume.locks.dead_workers()
        return frozenset(dead)

    def forget_workers(self, marks: Iterable[str]) -> None:
        """Forget workers that end, or of which all that they left has been dealt with."""
        for mark in marks:
            for volume in self.present:
                with suppress(BlobError):
                    volume.locks.forget_worker(mark)

    def close(self) -> None:
        """Release all volumes; idempotent."""
        for volume in self.present:
            volume.close()
