"""A blob store around another one whose blobs have no sidecar: its caller's rows alone say what they are.

No rebuild of an index finds such blobs, and none is changed that others have sealed.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from s3ish.blob.paths import Past
from s3ish.blob.protocol import (
    Amendment,
    BlobError,
    BlobReader,
    BlobStore,
    BlobWriter,
    Buffer,
    Health,
    IsNamed,
    Missing,
    Sealed,
    Swept,
    Unread,
    Work,
)
from s3ish.model import BlobRef


class UnsealedStore:
    """See ``BlobStore``.

    Args:
        store: the one around which it stands, and which its caller does not close.
    """

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def create(
        self, home: str, size: int | None = None, *, pieces: int | None = None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        return self._create(home, size, pieces)

    @asynccontextmanager
    async def _create(self, home: str, size: int | None, pieces: int | None) -> AsyncIterator[BlobWriter]:
        async with self._store.create(home, size, pieces=pieces) as writer:
            yield _Writer(writer)

    async def open(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> BlobReader:
        return await self._store.open(ref, start, stop)

    async def read_sidecar(self, ref: BlobRef) -> bytes:
        raise Missing(f"{ref.id} has no sidecar")

    async def amend(self, ref: BlobRef, sidecar: bytes, *, inline: bytes | None = None, revision: int = 0) -> None:
        """Do nothing."""

    async def amend_all(self, amendments: Sequence[Amendment]) -> Sequence[BlobError | None]:
        return [None for _ in amendments]

    async def delete(self, ref: BlobRef) -> None:
        await self._store.delete(ref)

    async def unseal(self, ref: BlobRef) -> None:
        """Do nothing: what has a sidecar is of another world."""

    async def check(self, ref: BlobRef, *, repair: bool) -> Health:
        return await self._store.check(ref, repair=repair)

    async def scan(self, after: str | None = None, unread: Unread | None = None) -> AsyncIterator[Sealed]:  # noqa: ARG002
        for sealed in list[Sealed]():
            yield sealed

    async def sweep(self, past: Past, is_named: IsNamed, *, dry: bool = False) -> AsyncIterator[Swept]:  # noqa: ARG002
        for swept in list[Swept]():
            yield swept

    async def close(self) -> None:
        """The store goes on."""


class _Writer:
    def __init__(self, writer: BlobWriter) -> None:
        self._writer = writer

    async def write(self, data: Buffer, before: Work | None = None) -> None:
        await self._writer.write(data, before)

    async def adopt(self, source: BlobRef) -> bool:
        return await self._writer.adopt(source)

    async def finish(self) -> BlobRef:
        return await self._writer.finish()

    async def seal(self, sidecar: bytes) -> bytes | None:  # noqa: ARG002 - there is no reader of it
        return await self._writer.keep()

    async def keep(self) -> bytes | None:
        return await self._writer.keep()
