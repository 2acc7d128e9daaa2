"""Reading a blob: verified blocks in order, rebuilt from parity where some are damaged.

On the healthy path only the data blocks that the range touches are read. The next stripe is read while the caller
sends the current one. All files are opened before the first byte flows, so that a deletion does not disturb.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from s3ish.blob.coder import Coder
from s3ish.blob.copies import verdict
from s3ish.blob.gate import Gate
from s3ish.blob.layout import HASH_BYTES, block_hash, layout_of, shard_name
from s3ish.blob.protocol import BlobError, Buffer, Corrupt
from s3ish.blob.volume import Volume
from s3ish.blob.volumes import Volumes
from s3ish.model import BlobRef
from s3ish.offload import Offload


class ShardReader:
    """The shard files of a blob, open for reading. Synchronous: each method is one job on a thread.

    ``damaged`` collects the numbers of the shards with which something was wrong.
    """

    def __init__(self, volumes: Volumes, ref: BlobRef, coder: Coder) -> None:
        self.ref, self.layout = ref, layout_of(ref)
        self.damaged: set[int] = set()
        self._volumes, self._coder = volumes, coder
        self._files: dict[int, tuple[Volume, int]] = {}
        self._errors: dict[int, BlobError] = {}
        self._unopened: dict[int, BlobError] = {}
        self._gate = Gate(self._close)

    def open_all(self) -> None:
        """Open all shards that are there, so that they stay readable."""
        with self._gate:
            for number in range(self.ref.k + self.ref.m):
                try:
                    self._open(number)
                except BlobError:
                    self.damaged.add(number)

    def read(self, stripe: int, start: int, stop: int) -> list[Buffer]:
        """Return the bytes from ``start`` to ``stop`` within a stripe, in pieces. Raises Missing, Corrupt."""
        with self._gate:
            block = self.layout.block_bytes(stripe)
            first, last = start // block, max(start, stop - 1) // block
            blocks = self._good_blocks(stripe, range(first, last + 1))
            pieces: list[Buffer] = []
            for number in range(first, last + 1):
                base = number * block
                view = memoryview(blocks[number])
                pieces.append(view[max(start - base, 0) : min(stop - base, block)])
            return pieces

    def rebuild(self, stripe: int, wanted: Sequence[int]) -> dict[int, Buffer]:
        """Return the ``wanted`` blocks of a stripe as they must be. Raises Missing, Corrupt."""
        with self._gate:
            return self._good_blocks(stripe, wanted)

    def lost_blocks(self, stripe: int) -> list[int]:
        """Return the numbers of the shards whose block of a stripe is not good."""
        with self._gate:
            return self._blocks(stripe, range(self.ref.k + self.ref.m))[1]

    def wrong_lengths(self) -> list[int]:
        """Return the numbers of the shards that are not there or not as long as they must be."""
        with self._gate:
            return [number for number in range(self.ref.k + self.ref.m) if not self._fits(number)]

    def close(self) -> None:
        """Close the files as soon as no job is working on them; idempotent."""
        self._gate.shut()

    def _fits(self, number: int) -> bool:
        try:
            volume, descriptor = self._open(number)
            return volume.size(descriptor) == self.layout.shard_bytes
        except BlobError:
            return False

    def _good_blocks(self, stripe: int, wanted: Sequence[int]) -> dict[int, Buffer]:
        blocks, lost = self._blocks(stripe, wanted)
        if lost:
            for number in range(self.ref.k + self.ref.m):
                if len(blocks) >= self.ref.k:
                    break
                if number not in wanted:
                    blocks |= self._blocks(stripe, [number])[0]
            if len(blocks) < self.ref.k:
                raise verdict(self.ref.id, self._errors.values(), self.ref.m)
            blocks |= self._coder.rebuild(blocks, lost)
        return blocks

    def _blocks(self, stripe: int, numbers: Sequence[int]) -> tuple[dict[int, Buffer], list[int]]:
        """Return those of the blocks of a stripe that are good, and the numbers of the others."""
        good: dict[int, Buffer] = {}
        lost = []
        for number in numbers:
            try:
                good[number] = self._block(stripe, number)
            except BlobError as error:
                self._errors[number] = error
                self.damaged.add(number)
                lost.append(number)
        return good, lost

    def _block(self, stripe: int, number: int) -> Buffer:
        volume, descriptor = self._open(number)
        length = HASH_BYTES + self.layout.block_bytes(stripe)
        found = volume.read(descriptor, length, self.layout.offset(stripe))
        block = memoryview(found)[HASH_BYTES:]
        if len(found) < length or block_hash(self.ref.salt, number, stripe, block) != found[:HASH_BYTES]:
            raise Corrupt(f"block {stripe} of {self.ref.id}/{shard_name(number, self.ref.k)} is damaged")
        return block

    def _open(self, number: int) -> tuple[Volume, int]:
        if number in self._unopened:
            raise self._unopened[number]
        if number not in self._files:
            try:
                volume = self._volumes.at(self.ref.volumes[number])
                self._files[number] = volume, volume.open(self.ref.id, shard_name(number, self.ref.k))
            except BlobError as error:
                self._unopened[number] = error
                raise
        return self._files[number]

    def _close(self) -> None:
        while self._files:
            volume, descriptor = self._files.popitem()[1]
            volume.close_file(descriptor)


class ErasureReader:
    """An open range of a blob with shards.

    Args:
        start, stop: the range in bytes.
        report: told the numbers of damaged shards when they are first met.
    """

    def __init__(
        self, shards: ShardReader, offload: Offload, start: int, stop: int, report: Callable[[set[int]], None]
    ) -> None:
        self._shards, self._offload, self._report = shards, offload, report
        self._position, self._stop = start, stop
        self._pieces: deque[Buffer] = deque()
        self._reading: asyncio.Task[list[Buffer]] | None = None
        self._reported: set[int] = set()

    async def begin(self) -> None:
        """Open the files and verify the first stripe. Raises Missing, Corrupt."""
        stripe_bytes = self._shards.layout.stripe_bytes
        several = self._position // stripe_bytes < (self._stop - 1) // stripe_bytes
        job = self._next_job()

        def open_and_read() -> list[Buffer]:
            if several:
                self._shards.open_all()
            return job()

        try:
            self._pieces.extend(await self._offload.run(open_and_read))
        except BaseException:
            await self.close()
            raise
        finally:
            self._tell()

    def __aiter__(self) -> "ErasureReader":
        return self

    async def __anext__(self) -> Buffer:
        if not self._pieces and self._reading:
            try:
                self._pieces.extend(await self._reading)
            finally:
                self._tell()
                self._reading = None
        if not self._reading and self._position < self._stop:
            self._reading = asyncio.ensure_future(self._offload.run(self._next_job()))
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.popleft()

    async def close(self) -> None:
        if self._reading:
            self._reading.add_done_callback(_retrieve)
            self._reading.cancel()
            self._reading = None
        self._shards.close()

    def _next_job(self) -> Callable[[], list[Buffer]]:
        """Return the job that reads what the range has of its next stripe."""
        layout = self._shards.layout
        stripe, start = divmod(min(self._position, layout.size - 1), layout.stripe_bytes)
        stop = min(self._stop - stripe * layout.stripe_bytes, layout.data_bytes(stripe))
        if self._position == self._stop:  # an empty range, which must be there all the same
            stop = start
        else:
            self._position = stripe * layout.stripe_bytes + stop
        return partial(self._shards.read, stripe, start, stop)

    def _tell(self) -> None:
        if fresh := self._shards.damaged - self._reported:
            self._reported |= fresh
            self._report(fresh)


def _retrieve(task: "asyncio.Task[list[Buffer]]") -> None:
    """Take note of the error of a stripe that nobody wants any more."""
    if not task.cancelled():
        task.exception()


class InlineReader:
    """A range of a blob that is in memory."""

    def __init__(self, data: Buffer) -> None:
        self._data = data

    def __aiter__(self) -> "InlineReader":
        return self

    async def __anext__(self) -> Buffer:
        data, self._data = self._data, b""
        if not len(data):
            raise StopAsyncIteration
        return data

    async def close(self) -> None:
        self._data = b""
