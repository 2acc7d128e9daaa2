"""Reading a blob: verified blocks in order, rebuilt from parity where some are damaged.

On the healthy path only the data blocks that the range touches are read. What is in memory is read by the event loop
itself, which takes less time than to ask a thread for it; else a thread reads the next stripe while the caller sends
the current one. All files are opened before the first byte flows, so that a deletion does not disturb.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from s3ish.blob.erasure.coder import Coder
from s3ish.blob.erasure.file_guard import FileGuard
from s3ish.blob.erasure.layout import HASH_BYTES, block_hash, layout_of, shard_name
from s3ish.blob.erasure.sidecar_copies import verdict
from s3ish.blob.hold import Hold
from s3ish.blob.protocol import Away, BlobError, Buffer, Corrupt
from s3ish.blob.volumes.volume import Volume
from s3ish.blob.volumes.volume_set import Volumes
from s3ish.buffers import buffers
from s3ish.model import BlobRef

Run = Callable[[Callable[[], list[Buffer]]], Awaitable[list[Buffer]]]
"""Runs a job on a thread."""

READER_BYTES = 28 << 10
"""What each reader holds in any case: there is a connection and a request to it."""

AT_ONCE_BYTES = 2 << 20
"""The longest stripe that the event loop reads itself: others wait for as long as that takes."""

BRIEF_BYTES = 128 << 10
"""So much it reads at the beginning without giving others their turn before."""

LOOK_AGAIN_STRIPES = 16
"""At most so many stripes are read by threads before the next is looked for in memory again."""


def _room(size: int) -> memoryview:
    """Return room for blocks. Short ones, of any length, would displace those that are worth being kept."""
    return buffers.take(size) if size > BRIEF_BYTES else memoryview(bytearray(size))


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
        self._gate = FileGuard(self._close)

    def open_all(self) -> None:
        """Open all shards that are there, so that they stay readable."""
        with self._gate:
            for number in range(self.ref.k + self.ref.m):
                try:
                    self._open(number)
                except BlobError as error:
                    self._note(number, error)

    def read(self, stripe: int, start: int, stop: int, *, final: bool = False) -> list[Buffer]:
        """Return the bytes from ``start`` to ``stop`` within a stripe, in pieces. Raises Missing, Corrupt.

        The files are closed then if nothing is read after these.
        """
        with self._gate:
            block, numbers = self.layout.block_bytes(stripe), self.numbers(stripe, start, stop)
            blocks = self._good_blocks(stripe, numbers)
            pieces: list[Buffer] = []
            for number in numbers:
                base = number * block
                piece = memoryview(blocks[number])[max(start - base, 0) : min(stop - base, block)]
                pieces.append(piece if len(piece) == block else bytes(piece))  # a view would keep the whole block
            if final:
                self._gate.shut()
            return pieces

    def open_cached(self, numbers: Iterable[int]) -> bool:
        """Open shards, if all of them can be opened without waiting for a drive; tell whether they are open."""
        with self._gate:
            for number in numbers:
                if number in self._files:
                    continue
                try:
                    volume = self._volumes.at(self.ref.volumes[number])
                except BlobError:
                    return False
                descriptor = volume.open_cached(self.ref.id, shard_name(number, self.ref.k))
                if descriptor is None:
                    return False
                self._files[number] = volume, descriptor
            return True

    def read_cached(self, stripe: int, start: int, stop: int) -> Buffer | None:
        """Return the bytes from ``start`` to ``stop`` within a stripe if their blocks are in memory and good.

        Waits for no drive. The shards must be open.
        """
        with self._gate:
            block, offset = self.layout.block_bytes(stripe), self.layout.offset(stripe)
            numbers = self.numbers(stripe, start, stop)
            data, found_hash = _room(block * len(numbers)), bytearray(HASH_BYTES)
            for place, number in enumerate(numbers):
                if number not in self._files:
                    return None
                volume, descriptor = self._files[number]
                part = data[place * block : (place + 1) * block]
                if not volume.read_cached(descriptor, [found_hash, part], offset):
                    return None
                if block_hash(self.ref.salt, number, stripe, part) != found_hash:
                    return None
            base = numbers[0] * block
            piece = data[start - base : stop - base]
            return piece if 2 * len(piece) >= len(data) else bytes(piece)  # a view would keep all of it

    def close_cached(self) -> None:
        """Close the files that can be closed without waiting for a drive."""
        with self._gate:
            for number, (volume, descriptor) in list(self._files.items()):
                if volume.close_cached(descriptor):
                    del self._files[number]

    def numbers(self, stripe: int, start: int, stop: int) -> range:
        """Return the numbers of the data shards that hold bytes of a stripe."""
        block = self.layout.block_bytes(stripe)
        return range(start // block, max(start, stop - 1) // block + 1)

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

    @property
    def is_open(self) -> bool:
        """Whether there are files to close, which may take a while if they were removed meanwhile."""
        return bool(self._files)

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
                self._note(number, error)
                lost.append(number)
        return good, lost

    def _note(self, number: int, error: BlobError) -> None:
        """Remember a shard as damaged, unless its volume is away: it will be there again with it."""
        if not isinstance(error, Away):
            self.damaged.add(number)

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
        run: runs a job on a thread.
        hold: where what it holds is counted.
        start, stop: the range in bytes.
        report: called with the numbers of damaged shards when they are first met.
    """

    def __init__(
        self,
        shards: ShardReader,
        run: Run,
        hold: Hold,
        start: int,
        stop: int,
        report: Callable[[set[int]], None],
    ) -> None:
        self._shards, self._run, self._hold, self._report = shards, run, hold, report
        self._begin, self._position, self._stop = start, start, stop
        self._held = self._handed_out = 0  # bytes counted; those of them that may still be on their way
        self._pieces: deque[Buffer] = deque()
        self._reading: asyncio.Task[list[Buffer]] | None = None
        self._look_from, self._pause = 0, 1  # the stripe to look for in memory next; after how many the one after that
        self._reported: set[int] = set()

    async def begin(self) -> None:
        """Open the files and verify the first stripe. Raises Missing, Corrupt."""
        self._count(READER_BYTES)
        try:
            if not await self._begin_at_once():
                await self._begin_on_a_thread()
        except BaseException:
            await self.close()
            raise
        finally:
            self._tell()

    async def _begin_at_once(self) -> bool:
        """Open the files and take the first stripe from memory, if all that is in memory and good."""
        layout, shards = self._shards.layout, self._shards
        if self._position >= self._stop or not self._may_read_at_once:
            return False
        stripe, start = divmod(self._position, layout.stripe_bytes)
        stop = min(self._stop - stripe * layout.stripe_bytes, layout.data_bytes(stripe))
        last = self._position + stop - start == self._stop
        if not shards.open_cached(shards.numbers(stripe, start, stop) if last else range(shards.ref.k + shards.ref.m)):
            return False
        if not await self._take_cached(stripe, start, stop):
            return False
        if last:
            shards.close_cached()
        return True

    async def _begin_on_a_thread(self) -> None:
        job = self._next_job()
        several = self._position < self._stop

        def open_and_read() -> list[Buffer]:
            if several:
                self._shards.open_all()
            return job()

        self._pieces.extend(await self._run(open_and_read))

    def __aiter__(self) -> "ErasureReader":
        return self

    async def __anext__(self) -> Buffer:
        self._count(-self._handed_out)
        self._handed_out = 0
        if not self._pieces and not self._reading and self._looks:
            stripe_bytes = self._shards.layout.stripe_bytes
            await self._take_cached(self._position // stripe_bytes, 0, stripe_bytes)
        if not self._pieces:
            self._read_on()
            if self._reading:
                try:
                    self._pieces.extend(await self._reading)
                finally:
                    self._tell()
                    self._reading = None
        if not self._looks and self._may_hold_a_stripe:
            self._read_on()
        if not self._pieces:
            raise StopAsyncIteration
        piece = self._pieces.popleft()
        self._handed_out = len(piece)
        return piece

    @property
    def _may_hold_a_stripe(self) -> bool:
        return self._hold.share >= self._shards.layout.stripe_bytes

    @property
    def _may_read_at_once(self) -> bool:
        return self._may_hold_a_stripe and self._shards.layout.stripe_bytes <= AT_ONCE_BYTES

    @property
    def _looks(self) -> bool:
        """Whether to look for the next stripe in memory: the more were not there, the more rarely.

        The last is for a thread, because it closes the files then, which may take a while.
        """
        stripe_bytes = self._shards.layout.stripe_bytes
        stripe, start = divmod(self._position, stripe_bytes)
        likely = stripe >= self._look_from
        return likely and not start and self._position + stripe_bytes < self._stop and self._may_read_at_once

    async def _take_cached(self, stripe: int, start: int, stop: int) -> bool:
        """Take bytes of a stripe, which come next, from memory, if they are there and good."""
        if self._position == self._begin and stop - start <= BRIEF_BYTES:
            piece = self._shards.read_cached(stripe, start, stop)
        else:
            async with self._hold.turn:
                await asyncio.sleep(0)  # whatever else is to be done has its turn between any two stripes
                piece = self._shards.read_cached(stripe, start, stop)
        if piece is None:
            self._look_from = stripe + self._pause
            self._pause = min(2 * self._pause, LOOK_AGAIN_STRIPES)
            return False
        self._pause = 1
        self._pieces.append(piece)
        self._position += len(piece)
        self._count(len(piece))
        return True

    def _read_on(self) -> None:
        """Begin to read what comes next, unless that is under way or nothing comes."""
        if not self._reading and self._position < self._stop:
            self._reading = asyncio.ensure_future(self._run(self._next_job()))

    async def close(self) -> None:
        if self._reading:
            self._reading.add_done_callback(_retrieve)
            self._reading.cancel()
            self._reading = None
        self._count(-self._held)
        self._handed_out = 0
        if self._shards.is_open:
            await self._run(self._close)
        else:
            self._shards.close()

    def _close(self) -> list[Buffer]:
        self._shards.close()
        return []

    def _next_job(self) -> Callable[[], list[Buffer]]:
        """Return the job that reads what the range has of its next stripe, or as much of it as its share allows."""
        layout = self._shards.layout
        stripe, start = divmod(min(self._position, layout.size - 1), layout.stripe_bytes)
        stop = min(self._stop - stripe * layout.stripe_bytes, layout.data_bytes(stripe), self._reach(stripe, start))
        if self._position == self._stop:  # an empty range, which must be there all the same
            stop = start
        else:
            self._position = stripe * layout.stripe_bytes + stop
        self._count(stop - start)
        return partial(self._shards.read, stripe, start, stop, final=self._position == self._stop)

    def _reach(self, stripe: int, start: int) -> int:
        """Return how far its share lets it go: whole blocks, if it can, since only they can be verified."""
        block, reach = self._shards.layout.block_bytes(stripe), start + self._hold.share
        return reach - reach % block if reach // block > start // block else reach

    def _count(self, size: int) -> None:
        self._held += size
        self._hold.take(size)

    def _tell(self) -> None:
        if fresh := self._shards.damaged - self._reported:
            self._reported |= fresh
            self._report(fresh)


def _retrieve(task: "asyncio.Task[list[Buffer]]") -> None:
    """Take note of the error of a stripe that is not wanted."""
    if not task.cancelled():
        task.exception()
