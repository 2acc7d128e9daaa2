"""What all parts of the erasure store share: the volumes, the settings, the doors, the coders, the flusher.

The store has one, and so have writer, repair and sweep.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar, TypeVarTuple

from s3ish.blob.erasure import sidecar as sidecars
from s3ish.blob.erasure.coder import Coder, coder
from s3ish.blob.erasure.scan import Scan
from s3ish.blob.erasure.timed_coder import CoderWork, TimedCoder
from s3ish.blob.hold import HELD_BYTES, Hold
from s3ish.blob.protocol import BlobError, Missing, Unwritable, VolumeError, VolumesFull
from s3ish.blob.volumes.commit_notes import CommitNotes
from s3ish.blob.volumes.flusher import Flusher
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.blob.volumes.watchdog import Watchdog
from s3ish.clock import Clock
from s3ish.model import BlobRef
from s3ish.observe.families import Sample
from s3ish.threads import GivenUp, ThreadPool

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

Reporter = Callable[[BlobRef, tuple[str, ...]], None]
"""Called with the files of a blob that were found damaged or missing, or could not be written."""

StateReporter = Callable[[int, str], None]
"""Called with the position of a volume whose state has changed, and the state, "ok" or what is wrong."""

_LITTLE = 256
"""A stripe may be longer by this part."""

COMPACT_STRIPE_BYTES = 128 << 10
"""Shorter stripes would make a byte cost more."""


class BlobSettings(NamedTuple):
    """How new blobs are stored; existing ones say it themselves.

    ``code`` names the erasure code, with ``k`` data and ``m`` parity shards. Up to ``inline_bytes`` the data lives in
    the sidecar. ``stripe_bytes`` is the data in one stripe, or less where memory is short.
    """

    code: str = "rs-cauchy-11d"
    k: int = 2
    m: int = 1
    stripe_bytes: int = 1 << 20
    inline_bytes: int = 32 << 10

    def stripe_of(self, pieces: int | None) -> int:
        """Return the data in one stripe of a blob that is written in pieces of a length.

        Short pieces say that memory is short: then a stripe is short as well, which is in memory until it is whole.
        Where pieces are a little longer than a stripe, as those are that carry tags, it is as long as they are: so
        none must be put together from two.
        """
        if pieces is None:
            return self.stripe_bytes
        if 0 < pieces - self.stripe_bytes <= self.stripe_bytes // _LITTLE:
            return pieces
        return min(self.stripe_bytes, max(pieces, COMPACT_STRIPE_BYTES))


def ignore(*_: object) -> None:
    """Do nothing."""


class ErasureCore:
    """What works on a set of volumes needs; see ``ErasureStore`` for its arguments."""

    def __init__(
        self,
        volumes: Volumes,
        settings: BlobSettings,
        clock: Clock,
        offload: ThreadPool,
        on_damage: Reporter,
        on_state: StateReporter,
        index_volume: str,
    ) -> None:
        needed = settings.k + settings.m
        if 1 < len(volumes) < needed:
            raise ValueError(f"k + m = {needed} shards need 1 or at least {needed} volumes, not {len(volumes)}")
        if not 0 <= settings.inline_bytes < settings.stripe_bytes <= 64 << 20 or settings.inline_bytes > 1 << 20:
            raise ValueError("needed: inline_bytes <= 1 MiB and inline_bytes < stripe_bytes <= 64 MiB")
        self.volumes, self.settings, self.clock, self.offload = volumes, settings, clock, offload
        self.report = on_damage
        self._work = CoderWork(clock)
        self.coder: Coder = TimedCoder(coder(settings.code, settings.k, settings.m), self._work)
        self.watch = Watchdog(volumes, offload, on_state, clock.now_ns)
        self.flusher = Flusher(volumes, self.run)
        self.hold = Hold(max(HELD_BYTES, 16 * settings.stripe_bytes))  # so that who reads alone reads whole stripes
        self.lazy = len(volumes) == 1
        at = [(volume.position, self.lazy or volume.root == index_volume) for volume in volumes.present]
        here, elsewhere = [position for position, near in at if near], [position for position, near in at if not near]
        self.notes = CommitNotes(volumes.write_commits, here, elsewhere, self.each)
        self._coders: dict[tuple[str, int, int], Coder] = {(settings.code, settings.k, settings.m): self.coder}

    def token(self) -> str:
        """Return an unpredictable token that tells which worker made it."""
        return self.volumes.mark + self.clock.token()

    def coder_of(self, ref: BlobRef) -> Coder:
        """Return the coder of a blob. Raises UnknownCodeError."""
        key = (ref.code, ref.k, ref.m)
        if key not in self._coders:
            self._coders[key] = TimedCoder(coder(*key), self._work)
        return self._coders[key]

    def samples(self) -> Iterator[Sample]:
        """See ``Source``."""
        yield from self._work.samples()
        for volume in self.volumes.present:
            label = (str(volume.position),)
            yield "volume_calls", label, len(volume.calls.under_way)
            yield "volume_flush_failures", label, volume.failed_flushes
            if volume.flushes:
                yield "volume_flush_seconds", label, volume.flushes

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run a job that works on volumes on a thread.

        One that hangs on a volume is given up and done once more, which goes on without that volume.
        """
        while True:
            try:
                return await self.run_once(function, *arguments)
            except GivenUp:
                continue

    async def run_once(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Do the same with a job that cannot be done once more. Raises GivenUp."""
        self.watch.jobs += 1
        self.watch.soon()
        try:
            return await self.offload.run(function, *arguments)
        finally:
            self.watch.jobs -= 1

    async def each(self, function: Callable[[int], None], positions: Sequence[int]) -> None:
        """Run a function for each position, on as many threads."""
        if len(positions) == 1:
            await self.run(function, positions[0])
        else:
            await asyncio.gather(*(self.run(function, position) for position in positions))

    def scan(self, after: str | None = None) -> Scan:
        """Begin to go through all blobs."""
        tolerated = self.settings.m if len(self.volumes) > 1 else 0  # of a single one there is no other copy
        return Scan(self.volumes, self.run_once, after, tolerated)

    def remove(self, blob: str, positions: Sequence[int] | None) -> None:
        """Remove all sidecars before any shard, so that a crash in between leaves nothing that looks whole."""
        self._on_each(
            positions,
            lambda volume: volume.unlink(blob, sidecars.NAME),
            lambda volume: self._sync_removal(volume, blob),
            lambda volume: volume.remove(blob),
        )

    def unseal(self, ref: BlobRef) -> None:
        """Have no file of a blob be called as a sidecar is. Raises Unwritable.

        Where there is none nothing is flushed: what snapshots alone name is unsealed again and again.
        """
        had: set[int] = set()

        def rename(volume: Volume) -> None:
            with suppress(Missing):
                volume.rename(ref.id, sidecars.NAME, sidecars.UNSEALED)
                had.add(volume.position)

        def flush(volume: Volume) -> None:
            if volume.position in had:
                self._sync_removal(volume, ref.id)

        self._on_each(ref.volumes, rename, flush)

    def _sync_removal(self, volume: Volume, blob: str) -> None:
        if not self.lazy:  # the index may go with its volume: then nothing but this says that the blob was removed
            volume.sync_removal(blob)

    def _on_each(self, positions: Sequence[int] | None, *steps: Callable[[Volume], object]) -> None:
        """Do each step on all volumes before the next one. Raises Unwritable where one could not be done."""
        wanted = [volume for volume in self.volumes.present if positions is None or volume.position in positions]
        failures: list[BlobError] = []
        for step in steps:
            for volume in wanted:
                try:
                    step(volume)
                except (VolumeError, VolumesFull) as error:
                    failures.append(error)
                    self.volumes.miss(volume.position)
        if failures:
            raise Unwritable("; ".join(dict.fromkeys(str(error) for error in failures)))
