"""The files of one blob while it is written: its shards and its sidecar on their volumes. Synchronous.

A volume that fails is given up for this blob; the write goes on while enough others are left (the write quorum: k
shards, or one copy of an inline blob). Every method is one job on a thread and passes the gate, so that ``remove``
leaves nothing behind whatever was still running.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from s3ish.blob.erasure import sidecar
from s3ish.blob.erasure.coder import Coder
from s3ish.blob.erasure.file_guard import FileGuard
from s3ish.blob.erasure.layout import HASH_BYTES, block_hash, shard_name
from s3ish.blob.protocol import BlobError, Buffer, Unwritable, VolumesFull
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.model import BlobRef

_FLUSHED_BYTES = 4 << 20
"""The kernel begins to write out a shard whenever so much more of it is there."""


class ShardFiles:
    """The files of a blob that is being written.

    Args:
        blob: its id.
        positions: the volume of each shard, or of each copy of an inline blob.
        quorum: how many of them must succeed.
    """

    def __init__(self, volumes: Volumes, blob: str, positions: Sequence[int], quorum: int) -> None:
        self.failures: dict[int, BlobError] = {}
        self._all, self._blob, self._positions, self._quorum = volumes, blob, tuple(positions), quorum
        self._files: dict[int, int] = {}
        self._begun = False
        self._volumes: dict[int, Volume] = {}
        self._gate = FileGuard(self._close)
        for position in set(positions):
            try:
                self._volumes[position] = volumes.at(position)
            except BlobError as error:
                self.failures[position] = error

    @property
    def live(self) -> list[int]:
        """The positions of the volumes that have not failed."""
        return [position for position in dict.fromkeys(self._positions) if position not in self.failures]

    def write_stripe(self, coder: Coder, salt: int, stripe: int, stripe_bytes: int, chunks: Sequence[Buffer]) -> None:
        """Encode the data of a stripe and write it to all shards. Raises Full, Unwritable."""
        with self._gate:
            self._begun = True
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            offset = stripe * (HASH_BYTES + -(-stripe_bytes // coder.k))
            blocks = coder.encode(data)
            for position, shards in Counter(self._positions).items():
                self._try(position, partial(_leave_reserve, shards * (HASH_BYTES + len(blocks[0]))))
            for number, block in enumerate(blocks):
                buffers = [block_hash(salt, number, stripe, block), block]
                self._try(self._positions[number], partial(self._write, number, coder.k, buffers, offset))
            self.require_quorum()

    def sync(self, position: int) -> None:
        """Make the content of the shards on a volume durable, and close them."""
        with self._gate:
            numbers = self._open_on(position)
            if len(numbers) > 1:  # all are on their way to the drive before one is waited for
                for number in numbers:
                    self._try(position, partial(_begin_flush, self._files[number]))
            for number in numbers:
                self._try(position, partial(self._sync, number))

    def sync_entries(self, position: int) -> None:
        """Make the directory entries on a volume durable."""
        with self._gate:
            self._try(position, lambda volume: volume.sync_entries(self._blob))

    def link(self, source: BlobRef) -> bool:
        """Give all shards of another blob names here as well. Returns False, leaving nothing, if one cannot have it."""
        with self._gate:
            self._begun = True
            try:
                for number, position in enumerate(self._positions):
                    self._volumes[position].link(source.id, self._blob, shard_name(number, source.k))
            except (BlobError, KeyError):
                self._remove_all()
                return False
            return True

    def write_sidecar(self, position: int, text: bytes, token: str, *, again: bool, flush: bool) -> None:
        """Write the sidecar on a volume, ``again`` in place of an earlier one."""
        with self._gate:
            if again:
                self._try(position, lambda volume: volume.replace(self._blob, sidecar.NAME, text, token))
                return
            first = not self._begun
            self._try(
                position, lambda volume: volume.write_file(self._blob, sidecar.NAME, text, flush=flush, first=first)
            )
            if flush:
                self._try(position, lambda volume: volume.sync_entries(self._blob))

    def require_quorum(self) -> None:
        """Raise Full or Unwritable if too few volumes are left."""
        left = sum(position not in self.failures for position in self._positions)
        if left < self._quorum:
            causes = list(self.failures.values())
            full = next((cause for cause in causes if isinstance(cause, VolumesFull)), None)
            reason = "; ".join(str(cause) for cause in causes)
            raise (
                VolumesFull(reason)
                if full
                else Unwritable(f"{left} of {self._quorum} needed writes succeeded: {reason}")
            )

    def remove_failed(self) -> None:
        """Remove what volumes hold that have failed: it may look whole and yet not be durable.

        The blob is there without them: those within reach say that they have missed something.
        """
        with self._gate:
            for position in self.failures:
                self._remove(position)
                self._all.miss(position)

    def close(self) -> None:
        """Close the files as soon as no job is working on them."""
        self._gate.shut()

    def remove(self) -> None:
        """Wait for the jobs that are running, then remove every file of the blob."""
        self._gate.drain()
        self._remove_all()

    def _remove_all(self) -> None:
        for position in self._volumes:
            self._remove(position)

    def _remove(self, position: int) -> None:
        with suppress(BlobError, KeyError):  # what cannot be removed now is a stray, for the sweep
            self._volumes[position].unlink(self._blob, sidecar.NAME)
            self._volumes[position].remove(self._blob)

    def _close(self) -> None:
        for number in list(self._files):
            self._volumes[self._positions[number]].close_file(self._files.pop(number))

    def _open_on(self, position: int) -> list[int]:
        """Return the numbers of the shards on a volume that are open."""
        numbers = list(self._files)  # other threads close those on other volumes
        return [number for number in numbers if self._positions[number] == position]

    def _write(self, number: int, k: int, buffers: list[Buffer], offset: int, volume: Volume) -> None:
        if number not in self._files:
            first = not self._open_on(self._positions[number])
            self._files[number] = volume.create(self._blob, shard_name(number, k), first=first)
        descriptor = self._files[number]
        volume.write(descriptor, buffers, offset)
        end = offset + sum(map(len, buffers))
        if end // _FLUSHED_BYTES != offset // _FLUSHED_BYTES:
            begin = max(0, offset // _FLUSHED_BYTES * _FLUSHED_BYTES)
            volume.begin_flush(descriptor, begin, end - begin)

    def _sync(self, number: int, volume: Volume) -> None:
        volume.sync(self._files[number])
        volume.close_file(self._files.pop(number))

    def _try(self, position: int, action: Callable[[Volume], None]) -> None:
        """Do something on a volume, unless it has failed before, and remember if it fails now."""
        if position not in self.failures:
            try:
                action(self._volumes[position])
            except BlobError as error:
                self.failures[position] = error


def _leave_reserve(size: int, volume: Volume) -> None:
    volume.leave_reserve(size)


def _begin_flush(descriptor: int, volume: Volume) -> None:
    volume.begin_flush(descriptor)
