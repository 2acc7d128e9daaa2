"""A blob store in memory: for tests, and for servers whose data may go with them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
from msgspec import Raw

from s3ish.blob.memory_reader import MemoryReader
from s3ish.blob.paths import Past, mint
from s3ish.blob.protocol import (
    Amendment,
    BlobError,
    Buffer,
    Health,
    IsNamed,
    Missing,
    Sealed,
    Swept,
    Unread,
    VolumesFull,
    Work,
)
from s3ish.clock import Clock
from s3ish.model import BlobRef


class Capacity:
    """How many bytes blobs may have together, in all stores and snapshots that share it.

    Args:
        most_bytes: that many; None for as many as memory has.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._most_bytes, self.used_bytes = most_bytes, 0

    def take(self, count: int) -> None:
        """Take room for so many bytes. Raises VolumesFull."""
        if self._most_bytes is not None and self.used_bytes + count > self._most_bytes:
            raise VolumesFull(f"blobs may take {self._most_bytes} bytes of memory, and do")
        self.used_bytes += count

    def release(self, count: int) -> None:
        """Give room for so many bytes back."""
        self.used_bytes -= count


class _Data:
    """The bytes of a blob. Their room is free when no store and no snapshot has them any more."""

    __slots__ = ("_capacity", "bytes")

    def __init__(self, data: bytes, capacity: Capacity) -> None:
        self.bytes, self._capacity = data, capacity

    def __del__(self) -> None:
        self._capacity.release(len(self.bytes))


class Blob(NamedTuple):
    """A sealed blob."""

    ref: BlobRef
    data: _Data
    sidecar: bytes


class MemoryBlobStore:
    """A blob store in memory.

    Args:
        clock: mints ids.
        inline_bytes: up to this size a blob is inline.
        piece_bytes: the most that readers yield at once.
        capacity: the room for blobs; None for as much as memory has.
        blobs: what it holds, as ``snapshot`` returned it.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        inline_bytes: int = 32 << 10,
        piece_bytes: int = 1 << 20,
        capacity: Capacity | None = None,
        blobs: Mapping[str, Blob] | None = None,
    ) -> None:
        self.clock, self.inline_bytes, self.piece_bytes = clock, inline_bytes, piece_bytes
        self.capacity = capacity or Capacity()
        self._blobs = {} if blobs is None else dict(blobs)
        self._unsealed: dict[str, Blob] = {}

    def snapshot(self) -> Mapping[str, Blob]:
        """Return all blobs as they are now; none of their bytes is copied."""
        return dict(self._blobs)

    def create(
        self,
        home: str,
        size: int | None = None,  # noqa: ARG002 - no layout to choose
        *,
        pieces: int | None = None,  # noqa: ARG002 - all is in memory anyway
    ) -> "MemoryWriter":
        return MemoryWriter(self, mint(home, self.clock.token()))

    async def open(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> MemoryReader:
        end = ref.size if stop is None else stop
        if not 0 <= start <= end <= ref.size:
            raise ValueError(f"[{start}, {end}) is no range of {ref.size} bytes")
        blob = self._unsealed.get(ref.id) or self.get(ref)
        return MemoryReader(memoryview(blob.data.bytes)[start:end], self.piece_bytes)

    async def read_sidecar(self, ref: BlobRef) -> bytes:
        return self.get(ref).sidecar

    async def amend(
        self,
        ref: BlobRef,
        sidecar: bytes,
        *,
        inline: bytes | None = None,
        revision: int = 0,  # noqa: ARG002 - there is one copy
    ) -> None:
        require_json(sidecar)
        if unsealed := self._unsealed.pop(ref.id, None):
            self._blobs[ref.id] = unsealed
        if ref.id not in self._blobs and ref.inline and inline is not None:
            self.capacity.take(len(inline))
            self.put(ref, inline, sidecar)
        self._blobs[ref.id] = self.get(ref)._replace(sidecar=sidecar)

    async def amend_all(self, amendments: Sequence[Amendment]) -> Sequence[BlobError | None]:
        outcomes: list[BlobError | None] = []
        for ref, sidecar, inline, revision in amendments:
            try:
                await self.amend(ref, sidecar, inline=inline, revision=revision)
            except BlobError as error:
                outcomes.append(error)
            else:
                outcomes.append(None)
        return outcomes

    async def delete(self, ref: BlobRef) -> None:
        self._blobs.pop(ref.id, None)
        self._unsealed.pop(ref.id, None)

    async def unseal(self, ref: BlobRef) -> None:
        blob = self._blobs.pop(ref.id, None)
        if blob and not ref.inline:
            self._unsealed[ref.id] = blob

    async def check(self, ref: BlobRef, *, repair: bool) -> Health:  # noqa: ARG002 - memory is whole or gone
        return Health(readable=ref.id in self._blobs)

    async def scan(
        self,
        after: str | None = None,
        unread: Unread | None = None,  # noqa: ARG002 - all can be read
    ) -> AsyncIterator[Sealed]:
        last = after.split("/") if after else []
        for blob in sorted(self._blobs, key=lambda blob: blob.split("/")):
            if blob.split("/") > last and (found := self._blobs.get(blob)):
                yield Sealed(found.ref, found.sidecar, found.data.bytes if found.ref.inline else None)

    async def sweep(
        self,
        past: Past,  # noqa: ARG002 - a process that dies leaves nothing
        is_named: IsNamed,  # noqa: ARG002
        *,
        dry: bool = False,  # noqa: ARG002
    ) -> AsyncIterator[Swept]:
        for blob in list(self._blobs):
            yield Swept(blob)

    async def close(self) -> None:
        pass

    def bring(self, blobs: Mapping[str, Blob], names: Iterable[str]) -> None:
        """Have some blobs of a snapshot again, as they were."""
        self._blobs.update((name, blobs[name]) for name in names)

    def forget(self) -> None:
        """Let go of all blobs; what a snapshot has stays there."""
        self._blobs.clear()
        self._unsealed.clear()

    def get(self, ref: BlobRef) -> Blob:
        """Return a sealed blob. Raises Missing."""
        if ref.id not in self._blobs:
            raise Missing(f"{ref.id} is not there")
        return self._blobs[ref.id]

    def put(self, ref: BlobRef, data: bytes, sidecar: bytes) -> None:
        """Store a sealed blob, for whose bytes room was taken, or a blob's sidecar again."""
        held = self._blobs[ref.id].data if ref.id in self._blobs else _Data(data, self.capacity)
        self._blobs[ref.id] = Blob(ref, held, sidecar)


class MemoryWriter:
    """A blob being written into memory; the context of ``MemoryBlobStore.create``."""

    def __init__(self, store: MemoryBlobStore, blob: str) -> None:
        self._store = store
        self._chunks: list[bytes] = []
        self._ref = BlobRef(blob, 0, 0, "memory", 1, 0, store.piece_bytes, ())
        self._finished = self._adopted = False
        self._taken = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chunks.clear()
        self._store.capacity.release(self._taken)

    async def write(self, data: Buffer, before: Work | None = None) -> None:
        assert not self._finished, "written after finish"
        assert not self._adopted, "written after adopt"
        if before:
            before()
        self._take(len(data))
        self._chunks.append(bytes(data))

    def _take(self, count: int) -> None:
        self._store.capacity.take(count)
        self._taken += count

    async def adopt(self, source: BlobRef) -> bool:
        assert not self._chunks, "adopted after write"
        if source.inline:
            return False
        self._take(source.size)
        self._chunks = [self._store.get(source).data.bytes]
        self._adopted = True
        return True

    async def finish(self) -> BlobRef:
        assert not self._finished, "finished twice"
        self._finished = True
        size = sum(map(len, self._chunks))
        self._chunks = [b"".join(self._chunks)]
        inline = size <= self._store.inline_bytes and not self._adopted
        self._ref = msgspec.structs.replace(self._ref, size=size, inline=inline)
        return self._ref

    async def seal(self, sidecar: bytes) -> bytes | None:
        assert self._finished, "sealed before finish"
        require_json(sidecar)
        self._store.put(self._ref, self._chunks[0], sidecar)
        self._taken = 0
        return self._chunks[0] if self._ref.inline else None

    async def keep(self) -> bytes | None:
        data = await self.seal(b"{}")
        await self._store.unseal(self._ref)
        return data


def require_json(sidecar: bytes) -> None:
    """Raise ValueError if a sidecar is no JSON text."""
    try:
        msgspec.json.decode(sidecar, type=Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"a sidecar's content must be JSON: {error}") from error
