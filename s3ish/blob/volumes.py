"""The volumes of a set by position, some of which may be out of reach, and who holds which shard of a blob."""

from collections.abc import Sequence

import xxhash

from s3ish.blob.protocol import VolumeError
from s3ish.blob.volume import Volume


class Volumes:
    """An open set of volumes.

    Args:
        volumes: by position; None for one that is out of reach.
    """

    def __init__(self, volumes: Sequence[Volume | None]) -> None:
        self._volumes = tuple(volumes)

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
            volume.lock_server()

    def lock_worker(self) -> None:
        """Say that a worker of the server uses the volumes. Raises InUse."""
        for volume in self.present:
            volume.lock_worker()

    def close(self) -> None:
        """Release all volumes; idempotent."""
        for volume in self.present:
            volume.close()
