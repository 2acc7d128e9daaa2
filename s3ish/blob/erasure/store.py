"""The blob store on volumes: erasure-coded shards with a JSON sidecar, on one directory or many.

It knows stripes, placement and quorum; not Galois fields (coder.py), nor files (volume.py). One directory without
parity is k = 1, m = 0 of the same code. Each part of the work is its own module: writer, reader, repair, scan, sweep;
what they share is core.py; this one holds the rest.
"""

from collections.abc import AsyncIterator, Sequence

from s3ish.blob.erasure import amending
from s3ish.blob.erasure.core import BlobSettings, ErasureCore, Reporter, StateReporter, ignore
from s3ish.blob.erasure.layout import damage_names, shard_name
from s3ish.blob.erasure.reader import ErasureReader, ShardReader
from s3ish.blob.erasure.repair import Repair
from s3ish.blob.erasure.sidecar import Sidecar
from s3ish.blob.erasure.sidecar_copies import Copies, newest, read_copies, read_copy, verdict
from s3ish.blob.erasure.strays import sweep
from s3ish.blob.erasure.writer import ErasureWriter
from s3ish.blob.memory_reader import MemoryReader
from s3ish.blob.paths import Past
from s3ish.blob.protocol import (
    Amendment,
    BlobError,
    BlobReader,
    Health,
    IsNamed,
    Sealed,
    Swept,
    Unread,
)
from s3ish.blob.volumes.upkeep import VolumesUpkeep
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.clock import Clock
from s3ish.model import BlobRef
from s3ish.threads import ThreadPool


class ErasureStore:
    """A blob store on volumes.

    Args:
        volumes: the open set; the store owns it from now on.
        settings: of new blobs.
        on_damage, on_state: called on the event loop.
        index_volume: the root of the volume whose drive requests wait for in any case, as the index is on it.

    ``upkeep`` is what the volumes tell of themselves, ``note_commits`` is to be called with the commits of the index.

    Raises:
        ValueError: the settings do not fit each other or the number of volumes.
        UnknownCodeError: there is no such code.
    """

    def __init__(
        self,
        volumes: Volumes,
        settings: BlobSettings = BlobSettings(),  # noqa: B008 - immutable
        *,
        clock: Clock,
        offload: ThreadPool,
        on_damage: Reporter = ignore,
        on_state: StateReporter = ignore,
        index_volume: str = "",
    ) -> None:
        self.core = ErasureCore(volumes, settings, clock, offload, on_damage, on_state, index_volume)
        self.volumes = volumes
        self.upkeep = VolumesUpkeep(volumes, self.core.run)
        self.note_commits = self.core.notes.note

    def create(self, home: str, size: int | None = None, *, pieces: int | None = None) -> ErasureWriter:
        return ErasureWriter(self.core, home, size, self.core.settings.stripe_of(pieces))

    async def open(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> BlobReader:
        end = ref.size if stop is None else stop
        if not 0 <= start <= end <= ref.size:
            raise ValueError(f"[{start}, {end}) is no range of {ref.size} bytes")
        if ref.inline:
            data, failed = await self.core.run(self._read_inline, ref)
            if failed:
                self.core.report(ref, damage_names(ref, failed))
            return MemoryReader(memoryview(data)[start:end], len(data))

        def report(numbers: set[int]) -> None:
            self.core.report(ref, tuple(shard_name(number, ref.k) for number in sorted(numbers)))

        shards = ShardReader(self.volumes, ref, self.core.coder_of(ref))
        reader = ErasureReader(shards, self.core.run, self.core.hold, start, end, report)
        await reader.begin()
        return reader

    async def read_sidecar(self, ref: BlobRef) -> bytes:
        return (await self.core.run(self._newest, ref)).content

    async def amend(self, ref: BlobRef, sidecar: bytes, *, inline: bytes | None = None, revision: int = 0) -> None:
        await amending.amend(self.core, Amendment(ref, sidecar, inline, revision))

    async def amend_all(self, amendments: Sequence[Amendment]) -> Sequence[BlobError | None]:
        return await amending.amend_all(self.core, amendments)

    async def delete(self, ref: BlobRef) -> None:
        run = self.core.offload.run_brief if self.core.lazy and ref.inline else self.core.run
        await run(self.core.remove, ref.id, ref.volumes)
        self.core.flusher.soon()

    async def unseal(self, ref: BlobRef) -> None:
        run = self.core.offload.run_brief if self.core.lazy and ref.inline else self.core.run
        await run(self.core.unseal, ref)
        self.core.flusher.soon()

    async def check(self, ref: BlobRef, *, repair: bool) -> Health:
        return await Repair(self.core, ref).check(repair=repair)

    def scan(self, after: str | None = None, unread: Unread | None = None) -> AsyncIterator[Sealed]:
        return self.core.scan(after).sealed(unread)

    def sweep(self, past: Past, is_named: IsNamed, *, dry: bool = False) -> AsyncIterator[Swept]:
        return sweep(self.core, past, is_named, dry=dry)

    async def close(self) -> None:
        await self.core.notes.close()
        await self.core.flusher.close()
        self.core.watch.close()
        self.volumes.close()

    def _read_inline(self, ref: BlobRef) -> tuple[bytes, list[int]]:
        """Return the data, and the positions where it was looked for in vain."""
        copies: dict[int, Sidecar | BlobError] = {}
        for position in ref.volumes:
            copy = read_copy(self.volumes, ref.id, position)
            if isinstance(copy, Sidecar) and copy.data is not None and copy.ref.salt == ref.salt:
                return copy.data, list(copies)
            copies[position] = copy
        newest(copies)  # a newer format is an error of its own
        raise verdict(ref.id, _errors(copies), ref.m)

    def _newest(self, ref: BlobRef) -> Sidecar:
        copies = read_copies(self.volumes, ref.id, ref.volumes)
        found = newest(copies)
        if found is None:
            raise verdict(ref.id, _errors(copies), ref.m)
        return found


def _errors(copies: Copies) -> list[BlobError]:
    return [copy for copy in copies.values() if isinstance(copy, BlobError)]
