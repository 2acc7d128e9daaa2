"""The blob store on volumes: erasure-coded shards with a JSON sidecar, on one directory or many.

It knows stripes, placement and quorum; not Galois fields (coder.py), nor files (volume.py). One directory without
parity is k = 1, m = 0 of the same code. Each part of the work is its own module: writer, reader, repair, scan; what
they share is engine.py; this one holds the rest.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from s3ish.blob.erasure import sidecar as sidecars
from s3ish.blob.erasure.core import ErasureCore
from s3ish.blob.erasure.layout import damage_names, shard_name
from s3ish.blob.erasure.reader import ErasureReader, InlineReader, ShardReader
from s3ish.blob.erasure.repair import Repair
from s3ish.blob.erasure.scan import Scan
from s3ish.blob.erasure.sidecar import Sidecar
from s3ish.blob.erasure.sidecar_copies import Copies, newest, read_copies, read_copy, verdict
from s3ish.blob.erasure.writer import ErasureWriter
from s3ish.blob.paths import Past
from s3ish.blob.protocol import BlobError, BlobReader, Health, Missing, Sealed, Unread, Unwritable, VolumesFull
from s3ish.blob.volumes.volume import is_temporary
from s3ish.model import BlobRef
from s3ish.threads import GivenUp

PRUNED_AT_ONCE = 64


class ErasureStore(ErasureCore):
    """A blob store on volumes; see ``ErasureCore`` for what makes one."""

    def create(
        self,
        home: str,
        size: int | None,  # noqa: ARG002 - the layout needs no hint
        *,
        compact: bool = False,
    ) -> ErasureWriter:
        return ErasureWriter(self, home, self.settings.compact_stripe_bytes if compact else self.settings.stripe_bytes)

    async def open(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> BlobReader:
        end = ref.size if stop is None else stop
        if not 0 <= start <= end <= ref.size:
            raise ValueError(f"[{start}, {end}) is no range of {ref.size} bytes")
        if ref.inline:
            data, failed = await self.run(self._read_inline, ref)
            if failed:
                self.report(ref, damage_names(ref, failed))
            return InlineReader(memoryview(data)[start:end])

        def report(numbers: set[int]) -> None:
            self.report(ref, tuple(shard_name(number, ref.k) for number in sorted(numbers)))

        shards = ShardReader(self.volumes, ref, self.coder_of(ref))
        reader = ErasureReader(shards, self.run, self.hold, start, end, report)
        await reader.begin()
        return reader

    async def read_sidecar(self, ref: BlobRef) -> bytes:
        return (await self.run(self._newest, ref)).content

    async def amend(self, ref: BlobRef, sidecar: bytes, *, inline: bytes | None = None) -> None:
        copies = await self.run(read_copies, self.volumes, ref.id, ref.volumes)
        old = newest(copies)
        if old is None and ref.inline and inline is None:
            raise verdict(ref.id, _errors(copies), ref.m)
        if old is None and not ref.inline and not await self.run(self._any_shard, ref):
            raise Missing(f"{ref.id} is not there")
        revision = self.clock.sequence(after=old.revision if old else 0)
        new = Sidecar(ref, revision, sidecar, old.data if old else inline, old.others if old else {})
        text = await self.run(sidecars.encode, new)
        token = self.token()
        failures: dict[int, BlobError] = {}

        def write(position: int) -> None:
            try:
                self.volumes.at(position).replace(ref.id, sidecars.NAME, text, token)
            except BlobError as error:
                failures[position] = error

        positions = list(dict.fromkeys(ref.volumes))
        await self.each(write, positions)
        written = sum(position not in failures for position in ref.volumes)
        if written < (1 if ref.inline else ref.k):
            full = next((error for error in failures.values() if isinstance(error, VolumesFull)), None)
            raise full or Unwritable("; ".join(str(error) for error in failures.values()))
        if failures:
            self.report(ref, damage_names(ref, failures))

    async def delete(self, ref: BlobRef) -> None:
        run = self.offload.run_brief if self.lazy and ref.inline else self.run
        await run(self.remove, ref.id, ref.volumes)
        self.flusher.soon()

    async def discard(self, blob: str, positions: Sequence[int] | None = None) -> None:
        """Remove all files of a blob by its id, wherever they are. Raises Unwritable if a volume within reach fails."""
        await self.run(self.remove, blob, positions)
        self.flusher.soon()

    async def check(self, ref: BlobRef, *, repair: bool) -> Health:
        return await Repair(self, ref).check(repair=repair)

    async def tidy(self, ref: BlobRef, past: Past) -> None:
        await self.run(self._tidy, ref, past)

    async def prune(self, before_ns: int) -> AsyncIterator[str]:
        for volume in self.volumes.present:
            folders = volume.prune(before_ns)
            with suppress(BlobError, GivenUp):  # for another time
                while batch := await self.run_once(list, islice(folders, PRUNED_AT_ONCE)):
                    for folder in batch:
                        yield folder

    @property
    def away(self) -> tuple[int, ...]:
        hung = [volume.position for volume in self.volumes.present if volume.calls.hung]
        return (*self.volumes.away, *hung)

    async def dead_makers(self) -> frozenset[str]:
        return await self.run(self.volumes.dead_workers)

    async def forget_makers(self, makers: Iterable[str]) -> None:
        await self.run(self.volumes.forget_workers, makers)

    def scan(self, after: str | None = None, unread: Unread | None = None) -> AsyncIterator[Sealed]:
        return self._scan(after).sealed(unread)

    def strays(self, after: str | None = None) -> AsyncIterator[tuple[str, int]]:
        """Yield what has files but no valid sidecar: the id, and when it changed last, in nanoseconds since the epoch.

        It is being written, was left by a crash, or has lost its sidecar: the caller's index knows which, and
        ``discard`` removes it.
        """
        return self._scan(after).strays()

    async def close(self) -> None:
        await self.flusher.close()
        self.watch.close()
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

    def _tidy(self, ref: BlobRef, past: Past) -> None:
        for position in dict.fromkeys(ref.volumes):
            with suppress(BlobError):
                volume = self.volumes.at(position)
                for name in volume.names(ref.id):
                    if is_temporary(name) and past.holds(name, volume.modified_ns(ref.id, name)):
                        volume.unlink(ref.id, name)

    def _scan(self, after: str | None) -> Scan:
        tolerated = self.settings.m if len(self.volumes) > 1 else 0  # of a single one there is no other copy
        return Scan(self.volumes, self.run_once, after, tolerated)

    def _any_shard(self, ref: BlobRef) -> bool:
        for number, position in enumerate(ref.volumes):
            try:
                volume = self.volumes.at(position)
                volume.close_file(volume.open(ref.id, shard_name(number, ref.k)))
            except BlobError:
                continue
            return True
        return False


def _errors(copies: Copies) -> list[BlobError]:
    return [copy for copy in copies.values() if isinstance(copy, BlobError)]
