"""The volumes of a set by position, some of which may be out of reach, and who holds which shard of a blob."""

from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import xxhash

from s3ish.blob.protocol import Away, BlobError, InUse, VolumesFull
from s3ish.blob.volumes.index_marks import FOR_EVER
from s3ish.blob.volumes.volume import Volume
from s3ish.threads import each_within

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""How long a drive may take to answer: longer than one spins up, or tries to read a bad sector, or flushes a shard."""


class Volumes:
    """An open set of volumes.

    Args:
        volumes: by position; None for one that is out of reach.
        tolerated: how many of them may be out of reach or not answer.
        patience_seconds: after which time a volume counts as one that does not answer, if others can do without it.

    ``reasons`` say why volumes are out of reach, and ``restored`` are the roots of those that were given
    their identity back. ``mark`` tells this process from others, once it is a worker.
    """

    def __init__(
        self, volumes: Sequence[Volume | None], *, tolerated: int = 0, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._volumes = tuple(volumes)
        self.tolerated, self.patience_seconds = tolerated, patience_seconds
        self.mark = ""
        self._until: dict[int, int] = {}  # of those behind: until when, as a sequence, they may have missed removals
        self._lacking: dict[int, int] = {}  # until when they may have missed what was written
        self._full = self._unwritable = frozenset[int]()
        self.reasons: tuple[str, ...] = ()
        self.restored: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._volumes)

    def at(self, position: int) -> Volume:
        """Return the volume at a position. Raises Away if it is out of reach."""
        volume = self._volumes[position] if position < len(self._volumes) else None
        if volume is None:
            raise Away(f"volume {position} is out of reach")
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
        return volume is None or volume.state != "ok"

    @property
    def missed(self) -> int:
        """How many are out of reach or do not answer."""
        return sum(volume is None or volume.calls.hung for volume in self._volumes)

    def lock_server(self) -> None:
        """Take all volumes for one server; those that fail are done without. Raises InUse, VolumeError."""
        self._require(lambda volume: volume.locks.take_server())

    def lock_worker(self, mark: str = "") -> None:
        """Say that a worker of the server uses the volumes, known by a mark. Raises InUse, VolumeError."""
        self.mark = mark
        self._require(lambda volume: volume.locks.take_worker(mark))

    @property
    def generation(self) -> int:
        """Which generation of the index was the last to name what is on the volumes within reach."""
        return max(self._each(lambda volume: volume.marks.generation())[0].values(), default=0)

    def write_generation(self, generation: int, now: int = FOR_EVER) -> None:
        """Write it to all volumes within reach; one that cannot take it is behind at the next start.

        One that is behind already says so itself from now on: it sees this start, and what is stored in it.

        Args:
            now: as a sequence.
        """

        def write(volume: Volume) -> None:
            if self._until.get(volume.position) == FOR_EVER:
                volume.marks.fall_behind(now)
            volume.marks.write_generation(generation)

        self._each(write)

    @property
    def behind(self) -> frozenset[int]:
        """The positions of those that may hold what was removed while they were away."""
        return frozenset(self._until)

    def look_behind(self) -> None:
        """Find out which volumes are behind, and which were."""
        found, unknown = self._each(lambda volume: (volume.marks.generation(), volume.marks.behind()))
        self._lacking = self._each(lambda volume: volume.marks.lacking())[0]
        newest = max((generation for generation, _ in found.values()), default=0)
        until = {at: marked if generation == newest else FOR_EVER for at, (generation, marked) in found.items()}
        until |= dict.fromkeys(unknown, FOR_EVER)  # what did not say it in time may answer later
        self._until = {at: sequence for at, sequence in until.items() if sequence}

    def may_lack_removal(self, position: int, written: int) -> bool:
        """Whether what a volume holds may have been removed from the others, given when it was written, as a sequence.

        It was away since, or lets nothing be removed.
        """
        return position in self._unwritable or written < self._until.get(position, 0)

    def must_hold(self, position: int, written: int) -> bool:
        """Whether a volume has what was written for it at a time, as a sequence, unless that was removed."""
        missed = position in self._full or written < self._lacking.get(position, 0)
        return not missed and not self.may_lack_removal(position, written)

    def miss(self, position: int) -> None:
        """Something goes on without a volume, if there are others. One that is out of reach is behind anyway."""
        if len(self) > 1:
            with suppress(Away):
                self.at(position).miss()

    def catch_up(self, began: int) -> None:
        """All was looked through since a moment, as a sequence; only what has fallen behind later still is."""

        def catch_up(volume: Volume) -> None:
            if volume.marks.behind() <= began:
                volume.marks.catch_up()

        self.write_generation(self.generation, began)
        self._each(catch_up)
        self.look_behind()

    def be_complete(self, lacking: Container[int], began: int) -> None:
        """All was looked at since a moment, as a sequence; only some volumes still lack what they should hold."""

        def complete(volume: Volume) -> None:
            if volume.position not in lacking and volume.marks.lacking() <= began:
                volume.marks.be_complete()

        self._each(complete)

    @property
    def commits(self) -> int:
        """How many commits the index has seen, at the least, that names what is on the volumes within reach."""
        return max(self._each(lambda volume: volume.marks.commits())[0].values(), default=0)

    def write_commits(self, number: int, position: int) -> None:
        """Write it to a volume, if that can be done."""
        with suppress(BlobError):
            self.at(position).marks.write_commits(number)

    def dead_workers(self) -> frozenset[str]:
        """Return the marks of the workers that ended without ``forget_workers``."""
        return frozenset().union(*self._each(lambda volume: volume.locks.dead_workers())[0].values())

    def live_workers(self) -> frozenset[str]:
        """Return the marks of workers of a server that live and use them, and of commands that may write."""
        return frozenset().union(*self._each(lambda volume: volume.locks.live_workers())[0].values())

    def are_used(self) -> bool:
        """Whether there are any."""
        return bool(self.live_workers())

    def forget_workers(self, marks: Iterable[str]) -> None:
        """Forget workers that end, or of which all that they left has been dealt with."""
        forgotten = list(marks)

        def forget(volume: Volume) -> None:
            for mark in forgotten:
                volume.locks.forget_worker(mark)

        self._each(forget)

    @property
    def states(self) -> dict[int, str]:
        """How each volume is, by position: "ok" or what is wrong."""
        return {position: volume.state if volume else "out of reach" for position, volume in enumerate(self._volumes)}

    def probe(self) -> None:
        """Find out which volumes do not answer, if any; they are left alone from then on. And which take no writes."""
        failures = self._each(lambda volume: volume.probe())[1]
        self._full = frozenset(at for at, error in failures.items() if isinstance(error, VolumesFull))
        self._unwritable = frozenset(failures) - self._full

    def again(self) -> "Volumes":
        """Return the same set, open once more; what is out of reach stays so."""
        volumes = [volume and volume.again() for volume in self._volumes]
        again = Volumes(volumes, tolerated=self.tolerated, patience_seconds=self.patience_seconds)
        again._until, again._lacking = self._until, self._lacking
        again._full, again._unwritable = self._full, self._unwritable
        return again

    def close(self) -> None:
        """Release all volumes; idempotent."""
        for volume in self.present:
            volume.close()

    def _require(self, action: Callable[[Volume], object]) -> None:
        """Do something on each volume within reach. Raises InUse if one does, VolumeError if too many fail."""
        errors = list(self._each(action)[1].values())
        if used := next((error for error in errors if isinstance(error, InUse)), None):
            raise used
        if errors and len(errors) + len(self.away) > self.tolerated:
            raise errors[0]

    def _each(self, action: Callable[[Volume], T]) -> tuple[dict[int, T], dict[int, BlobError]]:
        """Do something on each volume within reach. Returns the results and the errors by position.

        One that takes too long counts as one that does not answer from then on, if it may.
        """
        volumes, results, errors = self.present, dict[int, T](), dict[int, BlobError]()
        seconds = self.patience_seconds if self.tolerated else None  # nothing goes on without one of them
        for volume, outcome in zip(volumes, each_within(seconds, [partial(action, it) for it in volumes]), strict=True):
            if isinstance(outcome, TimeoutError):
                errors[volume.position] = Away(f"{volume} does not answer")
                if self.missed < self.tolerated:
                    volume.calls.leave_alone()
            elif isinstance(outcome, BlobError):
                errors[volume.position] = outcome
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                results[volume.position] = outcome
        return results, errors
