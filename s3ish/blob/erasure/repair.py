"""Checking a blob, and rewriting what is damaged or missing.

Every block of every shard and every copy of the sidecar is verified, a stripe at a time. A damaged shard is written
anew beside the old one from k good blocks of each stripe, flushed, and only then takes its name: at no moment are
there fewer good shards than before.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from s3ish.blob.erasure import sidecar as sidecars
from s3ish.blob.erasure.core import ErasureCore
from s3ish.blob.erasure.file_guard import FileGuard
from s3ish.blob.erasure.layout import block_hash, shard_name, sidecar_name
from s3ish.blob.erasure.reader import ShardReader
from s3ish.blob.erasure.sidecar import Sidecar
from s3ish.blob.erasure.sidecar_copies import newest, read_copies
from s3ish.blob.protocol import BlobError, Buffer, Health, Missing
from s3ish.blob.volumes.tree import temporary_name
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.model import BlobRef


class Repair:
    """The check, and if wanted the repair, of one blob."""

    def __init__(self, store: ErasureCore, ref: BlobRef) -> None:
        self._store, self._ref = store, ref
        self._run = store.run

    async def check(self, *, repair: bool) -> Health:
        """Return what was wrong, and whether it was made good. Raises NewerFormat."""
        told, poor = await self._run(self._check_sidecars)
        readable, bad = (told is not None, []) if self._ref.inline else await self._check_shards()
        names = [shard_name(number, self._ref.k) for number in bad] + [sidecar_name(position) for position in poor]
        repaired = False
        if names and repair:
            shards_done = not bad or (readable and await self._rewrite(bad))
            sidecars_done = not poor or (told is not None and await self._run(self._mend_sidecars, told, poor))
            repaired = shards_done and sidecars_done
        volumes = {self._ref.volumes[number] for number in bad} | set(poor)
        return Health(readable, tuple(names), repaired, tuple(sorted(volumes)))

    def _check_sidecars(self) -> tuple[Sidecar | None, list[int]]:
        """Return the newest sidecar and the positions that do not have it."""
        copies = read_copies(self._store.volumes, self._ref.id, self._ref.volumes)
        best = newest(copies)
        return best, [p for p, copy in copies.items() if not isinstance(copy, Sidecar) or copy != best]

    async def _check_shards(self) -> tuple[bool, list[int]]:
        """Return whether every stripe has k good blocks, and the numbers of the shards that are not whole."""
        shards = ShardReader(self._store.volumes, self._ref, self._store.coder_of(self._ref))
        readable = True
        try:
            bad = set(await self._run(shards.wrong_lengths))
            for stripe in range(shards.layout.stripes):
                lost = await self._run(shards.lost_blocks, stripe)
                readable = readable and len(lost) <= self._ref.m
                bad.update(lost)
        finally:
            await self._run(shards.close)
        return readable, sorted(bad)

    async def _rewrite(self, numbers: Sequence[int]) -> bool:
        """Write shards anew. Returns whether all of them could be."""
        store, ref = self._store, self._ref
        shards = ShardReader(store.volumes, ref, store.coder_of(ref))
        fresh = FreshShards(store.volumes, ref, numbers, store.token())

        def copy_stripe(stripe: int) -> None:
            fresh.write(stripe, shards.layout.offset(stripe), shards.rebuild(stripe, numbers))

        def close() -> None:
            shards.close()
            fresh.close()

        try:
            for stripe in range(shards.layout.stripes):
                await self._run(copy_stripe, stripe)
            return await self._run(fresh.commit)
        except BlobError:  # damaged further while we were at it
            return False
        finally:
            await self._run(close)

    def _mend_sidecars(self, told: Sidecar, positions: Sequence[int]) -> bool:
        """Write the newest sidecar where it is not. Returns whether it is everywhere then."""
        volumes, blob = self._store.volumes, self._ref.id
        text, token = sidecars.encode(told), self._store.token()
        done = True
        for position in positions:
            try:
                volumes.at(position).replace(blob, sidecars.NAME, text, token)
            except BlobError:
                done = False
        others = [position for position in self._ref.volumes if position not in positions]
        if all(isinstance(copy, Missing) for copy in read_copies(volumes, blob, others).values()):
            self._store.remove(blob, self._ref.volumes)  # deleted meanwhile: it must not come back
        return done


class FreshShards:
    """Shards that are written beside damaged ones, to take their places. Synchronous: each method is one job.

    Args:
        numbers: of the shards.
        token: makes the names of the temporary files unique.
    """

    def __init__(self, volumes: Volumes, ref: BlobRef, numbers: Sequence[int], token: str) -> None:
        self._ref, self._numbers, self._token, self._volumes = ref, numbers, token, volumes
        self._files: dict[int, tuple[Volume, int]] = {}
        self._failed: set[int] = set()
        self._gate = FileGuard(self._abandon)

    def write(self, stripe: int, offset: int, blocks: Mapping[int, Buffer]) -> None:
        """Write the blocks of a stripe."""
        with self._gate:
            for number in self._numbers:
                if number not in self._failed:
                    try:
                        volume, descriptor = self._open(number)
                        block = blocks[number]
                        volume.leave_reserve(len(block))
                        volume.write(descriptor, [block_hash(self._ref.salt, number, stripe, block), block], offset)
                    except BlobError:
                        self._failed.add(number)

    def commit(self) -> bool:
        """Flush the shards and let them take their places. Returns whether all did."""
        with self._gate:
            for number, (volume, descriptor) in list(self._files.items()):
                if number not in self._failed:
                    try:
                        volume.sync(descriptor)
                        volume.rename(self._ref.id, self._temporary(number), shard_name(number, self._ref.k))
                        volume.sync_entries(self._ref.id)
                        del self._files[number]
                        volume.close_file(descriptor)
                    except BlobError:
                        self._failed.add(number)
            return not self._failed

    def close(self) -> None:
        """Remove what was not committed, as soon as no job is working on it."""
        self._gate.shut()

    def _open(self, number: int) -> tuple[Volume, int]:
        if number not in self._files:
            volume = self._volumes.at(self._ref.volumes[number])
            self._files[number] = volume, volume.create(self._ref.id, self._temporary(number))
        return self._files[number]

    def _temporary(self, number: int) -> str:
        return temporary_name(shard_name(number, self._ref.k), self._token)

    def _abandon(self) -> None:
        while self._files:
            number, (volume, descriptor) = self._files.popitem()
            volume.close_file(descriptor)
            with suppress(BlobError):
                volume.unlink(self._ref.id, self._temporary(number))
