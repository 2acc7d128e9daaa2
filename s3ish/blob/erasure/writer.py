"""Writing a blob: stripes to shards while data arrives, then the flush, then the sidecar.

At most one stripe is in memory: whoever fills the next one while a thread encodes, hashes and writes it has a second.
What is short stays in memory and goes into the sidecar alone.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from s3ish.blob.erasure import sidecar as sidecars
from s3ish.blob.erasure.core import ErasureCore
from s3ish.blob.erasure.layout import damage_names
from s3ish.blob.erasure.shard_files import ShardFiles
from s3ish.blob.erasure.sidecar import Sidecar
from s3ish.blob.paths import mint
from s3ish.blob.protocol import Buffer, Work
from s3ish.model import BlobRef

LARGE_SIDECAR_BYTES = 64 << 10
"""Longer sidecars are encoded on a thread."""


class ErasureWriter:
    """A blob being written; the context of ``ErasureStore.create``."""

    def __init__(self, store: ErasureCore, home: str, size: int | None, stripe_bytes: int) -> None:
        settings = store.settings
        blob = mint(home, store.token())
        salt = int.from_bytes(store.clock.random_bytes(8), "big") >> 1
        volumes = store.volumes.place(blob, settings.k + settings.m)
        self._store, self._expected = store, size
        self._ref = BlobRef(blob, 0, salt, settings.code, settings.k, settings.m, stripe_bytes, volumes)
        self._files: ShardFiles | None = None
        self._chunks: list[Buffer] = []
        self._buffered = self._size = self._stripes = 0
        self._inline: bytes | None = None
        self._whole = self._adopted = self._finished = self._written = self._sealed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._files:
            return
        if self._sealed:
            self._files.close()
            if error is None and self._files.failures:  # not before: now the caller's index names it
                self._store.report(self._ref, damage_names(self._ref, self._files.failures))
            return
        await asyncio.shield(asyncio.ensure_future(self._store.run(self._files.remove)))

    async def write(self, data: Buffer, before: Work | None = None) -> None:
        assert not self._finished, "written after finish"
        assert not self._adopted, "written after adopt"
        assert not self._whole, "more was written than was announced"
        view, store = memoryview(data), self._store
        if before:
            inline = len(view) <= store.settings.inline_bytes
            if store.lazy and not inline and not self._size and len(view) == self._expected:
                self._whole, self._size = True, len(view)
                await store.offload.run_short(_in_turn(before, *self._take_stripes(view)))
                return
            await store.offload.run_short(before)  # of several volumes one may hang: the rest may be done twice
        self._size += len(view)
        while len(view) >= (room := self._ref.stripe_bytes - self._buffered):
            self._chunks.append(view[:room])
            view = view[room:]
            await store.run(self._take_stripe())
        if view:
            self._chunks.append(view)
            self._buffered += len(view)

    async def adopt(self, source: BlobRef) -> bool:
        assert not self._size, "adopted after write"
        if source.inline:
            return False
        files = self._open(source.volumes, source.k)
        if not await self._store.run(files.link, source):
            self._files = None
            return False
        self._adopted, self._size = True, source.size
        self._ref = replace(source, id=self._ref.id)
        return True

    async def finish(self) -> BlobRef:
        assert not self._finished, "finished twice"
        ref, short = self._ref, self._size <= self._store.settings.inline_bytes
        if short and not self._stripes and not self._adopted:
            self._inline = b"".join(self._chunks)
            copies = tuple(dict.fromkeys(ref.volumes[: ref.m + 1]))
            self._ref = replace(ref, size=self._size, volumes=copies, inline=True)
            self._open(copies, 1)
        else:
            self._ref = replace(ref, size=self._size)
            await self._finish_shards()
        self._finished = True
        return self._ref

    async def seal(self, sidecar: bytes) -> bytes | None:
        assert self._finished, "sealed before finish"
        store, files = self._store, self._files
        assert files
        again, self._written, self._sealed = self._written, True, False
        text = await self._encode(sidecar)
        token, flush = store.token() if again else "", not store.lazy

        def write(position: int) -> None:
            files.write_sidecar(position, text, token, again=again, flush=flush)

        if store.lazy and files.live:  # all on the only volume
            await store.offload.run_brief(write, files.live[0])
        else:
            await store.each(write, files.live)
        files.require_quorum()
        if files.failures:
            await store.run(files.remove_failed)
        if store.lazy:
            store.flusher.soon()
        self._sealed = True
        return self._inline

    async def keep(self) -> bytes | None:
        assert self._finished, "kept before finish"
        store, files = self._store, self._files
        assert files
        if self._inline is None:
            if not store.lazy and not self._adopted:  # of others they are flushed already
                await store.each(files.sync_entries, files.live)
            files.require_quorum()
            if files.failures:
                await store.run(files.remove_failed)
        self._sealed = True
        return self._inline

    async def _encode(self, content: bytes) -> bytes:
        told = Sidecar(self._ref, self._store.clock.sequence(), content, self._inline)
        if len(content) > LARGE_SIDECAR_BYTES:
            return await self._store.run(sidecars.encode, told)
        return sidecars.encode(told)

    async def _finish_shards(self) -> None:
        store = self._store
        files = self._files or self._open(self._ref.volumes, self._ref.k)
        write_rest = self._take_stripe() if self._chunks else _nothing

        def flush(position: int) -> None:
            files.sync(position)
            if store.lazy or self._adopted:
                files.sync_entries(position)

        def write_and_flush() -> None:
            write_rest()
            flush(files.live[0])

        if len(files.live) == 1:
            await store.run(write_and_flush)
        else:
            await store.run(write_rest)
            await store.each(flush, files.live)
        files.require_quorum()

    def _take_stripes(self, data: memoryview) -> Iterator[Callable[[], None]]:
        """Yield the jobs that write all of the data."""
        for start in range(0, len(data), self._ref.stripe_bytes):
            self._chunks = [data[start : start + self._ref.stripe_bytes]]
            yield self._take_stripe()

    def _take_stripe(self) -> partial[None]:
        """Return the job that writes what is buffered as the next stripe."""
        files = self._files or self._open(self._ref.volumes, self._ref.k)
        stripe, chunks = self._stripes, self._chunks
        self._stripes, self._chunks, self._buffered = stripe + 1, [], 0
        ref = self._ref
        return partial(files.write_stripe, self._store.coder, ref.salt, stripe, ref.stripe_bytes, chunks)

    def _open(self, positions: Sequence[int], quorum: int) -> ShardFiles:
        self._files = ShardFiles(self._store.volumes, self._ref.id, positions, quorum)
        self._files.require_quorum()
        return self._files


def _in_turn(*steps: Callable[[], None]) -> Callable[[], None]:
    def job() -> None:
        for step in steps:
            step()

    return job


def _nothing() -> None:
    pass
