"""A blob store around another one, whose calls fail, wait or come short as a plan says.

It stands between a store and its users and knows neither: not what blobs mean, nor where they are.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple, Self

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
    Sealed,
    Swept,
    Unread,
    Work,
)
from s3ish.model import BlobRef


class Call(NamedTuple):
    """A call that is about to be made: the name of the method, and of which blob; of a new one its home.

    Methods are those of ``BlobStore``, of a writer (``write``, ``adopt``, ``finish``, ``seal``, ``keep``), and ``read``
    for each piece of a reader. ``scan`` and ``sweep`` are of no blob.
    """

    method: str
    blob: str = ""


class FaultPlan:
    """A plan without faults; one that has some overrides what it needs."""

    async def before(self, call: Call) -> None:
        """A call is about to be made: raise a ``BlobError`` in its place, or wait."""

    def passes(self, call: Call, data: Buffer) -> Buffer:  # noqa: ARG002 - for those that override it
        """Return what becomes of data on its way, in a ``write`` or a ``read``: less of it, or other bytes."""
        return data


class FaultyStore:
    """See ``BlobStore``.

    Args:
        store: the one around which it stands.
        plan: asked at every call.
    """

    def __init__(self, store: BlobStore, plan: FaultPlan) -> None:
        self._store, self.plan = store, plan

    @asynccontextmanager
    async def _create(self, home: str, size: int | None, pieces: int | None) -> AsyncIterator[BlobWriter]:
        await self.plan.before(Call("create", home))
        async with self._store.create(home, size, pieces=pieces) as writer:
            yield _Writer(writer, self.plan, home)

    def create(
        self, home: str, size: int | None = None, *, pieces: int | None = None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        return self._create(home, size, pieces)

    async def open(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> BlobReader:
        await self.plan.before(Call("open", ref.id))
        return _Reader(await self._store.open(ref, start, stop), self.plan, ref.id)

    async def read_sidecar(self, ref: BlobRef) -> bytes:
        await self.plan.before(Call("read_sidecar", ref.id))
        return await self._store.read_sidecar(ref)

    async def amend(self, ref: BlobRef, sidecar: bytes, *, inline: bytes | None = None, revision: int = 0) -> None:
        await self.plan.before(Call("amend", ref.id))
        await self._store.amend(ref, sidecar, inline=inline, revision=revision)

    async def amend_all(self, amendments: Sequence[Amendment]) -> Sequence[BlobError | None]:
        outcomes: dict[str, BlobError | None] = {}
        for amendment in amendments:
            try:
                await self.plan.before(Call("amend", amendment.ref.id))
            except BlobError as error:
                outcomes[amendment.ref.id] = error
        rest = [amendment for amendment in amendments if amendment.ref.id not in outcomes]
        of_rest = await self._store.amend_all(rest)
        outcomes |= {amendment.ref.id: outcome for amendment, outcome in zip(rest, of_rest, strict=True)}
        return [outcomes[amendment.ref.id] for amendment in amendments]

    async def delete(self, ref: BlobRef) -> None:
        await self.plan.before(Call("delete", ref.id))
        await self._store.delete(ref)

    async def unseal(self, ref: BlobRef) -> None:
        await self.plan.before(Call("unseal", ref.id))
        await self._store.unseal(ref)

    async def check(self, ref: BlobRef, *, repair: bool) -> Health:
        await self.plan.before(Call("check", ref.id))
        return await self._store.check(ref, repair=repair)

    async def scan(self, after: str | None = None, unread: Unread | None = None) -> AsyncIterator[Sealed]:
        await self.plan.before(Call("scan"))
        async for sealed in self._store.scan(after, unread):
            yield sealed

    async def sweep(self, past: Past, is_named: IsNamed, *, dry: bool = False) -> AsyncIterator[Swept]:
        await self.plan.before(Call("sweep"))
        async for swept in self._store.sweep(past, is_named, dry=dry):
            yield swept

    async def close(self) -> None:
        await self._store.close()


class _Writer:
    def __init__(self, writer: BlobWriter, plan: FaultPlan, home: str) -> None:
        self._writer, self._plan, self._home = writer, plan, home

    async def write(self, data: Buffer, before: Work | None = None) -> None:
        call = Call("write", self._home)
        await self._plan.before(call)
        await self._writer.write(self._plan.passes(call, data), before)

    async def adopt(self, source: BlobRef) -> bool:
        await self._plan.before(Call("adopt", self._home))
        return await self._writer.adopt(source)

    async def finish(self) -> BlobRef:
        await self._plan.before(Call("finish", self._home))
        return await self._writer.finish()

    async def seal(self, sidecar: bytes) -> bytes | None:
        await self._plan.before(Call("seal", self._home))
        return await self._writer.seal(sidecar)

    async def keep(self) -> bytes | None:
        await self._plan.before(Call("keep", self._home))
        return await self._writer.keep()


class _Reader:
    def __init__(self, reader: BlobReader, plan: FaultPlan, blob: str) -> None:
        self._reader, self._plan, self._call = reader, plan, Call("read", blob)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Buffer:
        await self._plan.before(self._call)
        return self._plan.passes(self._call, await anext(self._reader))

    async def close(self) -> None:
        await self._reader.close()
