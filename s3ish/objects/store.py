"""The store: the engines behind S3's semantics, and the few moves that all of its operations are made of.

A write follows "seal, commit, answer": the bytes and the sidecar are durable first, then one commit of the index makes
them visible, then the caller gets its answer. Every commit states what it expects to find, so that several processes
can work on one store without locks; when an expectation fails, the operation looks and decides again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, ParamSpec, TypeVar

import structlog

from s3ish.blob import protocol as blob
from s3ish.blob.protocol import BlobStore, BlobWriter
from s3ish.blob.upkeep import NoUpkeep, Upkeep
from s3ish.clock import Clock
from s3ish.errors import InsufficientStorage, InternalError, NoSuchBucket, S3Error, ServiceUnavailable, SlowDown
from s3ish.index.protocol import (
    Broken,
    Change,
    Conflict,
    Damaged,
    Expect,
    Index,
    IndexFailure,
    IndexFull,
    RowIs,
    Unavailable,
)
from s3ish.model import BlobRef, Bucket, Garbage, Version
from s3ish.objects.consequences import Consequences, Happening
from s3ish.objects.encodings.chain import PLAIN, Chain, Encodings, UnknownEncoding
from s3ish.objects.encodings.keyring import Keyring
from s3ish.objects.key_queue import KeyQueue
from s3ish.objects.quotas import Quotas
from s3ish.objects.removal import Removal
from s3ish.objects.room import PIECE_BYTES, Room
from s3ish.objects.row_cache import RowCache
from s3ish.objects.unreachable import drop_blobs
from s3ish.objects.unresolved import UnresolvedWrites
from s3ish.select.running import Selects
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, CURRENT, GARBAGE, INLINE, TABLES, VERSIONS
from s3ish.tables.table import Held, Table, Tables
from s3ish.threads import ThreadPool

R = TypeVar("R")
K = ParamSpec("K")
T = TypeVar("T")

MAX_ATTEMPTS = 1000
"""How often a write looks again after losing a race, before the client is asked to slow down."""

log = structlog.get_logger()

_LOOK_SECONDS = 3600.0
"""How long a look through the whole index stands for the next ones that a contradiction asks for."""

_KEPT_FOR_LATER = 64
"""How many changes wait for another commit to go with."""


class Conflicted(Exception):
    """Another writer changed what a write expects."""


class _Provisional:
    """The context of ``Store.provisional``."""

    __slots__ = ("_refs", "_store")

    def __init__(self, store: "Store", refs: tuple[BlobRef, ...]) -> None:
        self._store, self._refs = store, refs

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        store = self._store
        store.leftovers.add(*self._refs)
        if isinstance(error, S3Error) and isinstance(error.__cause__, blob.BlobError | IndexFailure):
            return  # an engine failed, in the commit or after it
        if isinstance(error, S3Error | Conflicted | blob.BlobError | IndexFull):
            for ref in self._refs:
                with suppress(blob.BlobError):
                    await store.blobs.delete(ref)
                    store.leftovers.settled(ref)


class Store:
    """The engines, and what every operation needs of them.

    Args:
        index, blobs: the two waists.
        clock, offload: the doors to time and threads.
        region: what GetBucketLocation answers for new buckets.
        on_damage: called with a small blob whose row of bytes is not what was written.
        on_broken_row: called with any other row that is not what was written.
        tables: all that the index has.
        encodings: how an object's bytes become those that are stored.
        keyring: the master keys, under which named keys are sealed; None if there are none.
        upkeep: what the volumes tell of themselves.
        piece_bytes: how much an upload takes at a time outside a crowd.
        any_region: whether a bucket may be made for any region, as stacks for tests want it.
        tables_active: whether metadata tables are said to be there, as tools under test want it.
        consequences: what follows from changes of versions.
        quotas: how much buckets and owners may hold; no limits if None.
        keys_need_tls: whether clients' keys to encrypt by are refused that did not come over TLS.
        selects: what runs queries on objects.
    """

    def __init__(
        self,
        index: Index,
        blobs: BlobStore,
        clock: Clock,
        offload: ThreadPool,
        region: str,
        on_damage: Callable[[BlobRef, tuple[str, ...]], None] | None = None,
        on_broken_row: Callable[[RowIs], None] | None = None,
        *,
        tables: Tables = TABLES,
        encodings: Encodings | None = None,
        keyring: Keyring | None = None,
        upkeep: Upkeep = NoUpkeep(),  # noqa: B008 - immutable
        piece_bytes: int = PIECE_BYTES,
        any_region: bool = False,
        tables_active: bool = False,
        consequences: Consequences = Consequences(),  # noqa: B008 - immutable
        quotas: Quotas | None = None,
        keys_need_tls: bool = False,
        selects: Selects | None = None,
    ) -> None:
        self._on_damage = on_damage
        self.index = index
        self.tables = tables
        self.blobs = blobs
        self.clock = clock
        self.offload = offload
        self.region = region
        self.any_region = any_region
        self.tables_active = tables_active
        self.consequences = consequences
        self.quotas = quotas or Quotas()
        self.keys_need_tls = keys_need_tls
        self.selects = selects or Selects(clock)
        self.leftovers = UnresolvedWrites()
        self.upkeep = upkeep
        self.encodings = encodings or Encodings()
        self.keyring = keyring
        self.room = Room(piece_bytes=piece_bytes)
        self.removal = Removal(index, blobs, tables)
        self._rows = RowCache(on_broken_row)
        self._later: list[Change] = []  # rows of garbage that is gone, intents that were carried out
        self._watched: dict[str, asyncio.Event] = {}
        self._look_again = 0.0
        self.turns = KeyQueue()

    # --- reading rows ----------------------------------------------------------------------------------------------

    async def get(self, table: Table[R, K], *of: K.args, **by: K.kwargs) -> Held[R] | None:
        """Return a row, None if there is none, and report a damaged one. Raises Damaged, NewerFormat, Unavailable."""
        key = table.key(*of, **by)
        value = await self.index.get(table.name, key)
        return None if value is None else self.hold(table, key, value)

    def hold(self, table: Table[R, K], key: bytes, value: bytes) -> Held[R]:
        """Return a record and its row; one that comes again is decoded once. Raises Damaged, NewerFormat."""
        return Held(table.name, self._rows.record(table, key, value), key, value)

    def decode_rows(self, table: Table[R, K], rows: Sequence[tuple[bytes, bytes]]) -> list[R]:
        """Return the records in many rows, and report a damaged one. Raises Damaged, NewerFormat."""
        return self._rows.records(table, rows)

    def find_bucket(self, name: str) -> Coroutine[Any, Any, Held[Bucket] | None]:
        """Return a bucket, or None."""
        return self.get(BUCKETS, name)

    async def bucket(self, name: str) -> Held[Bucket]:
        """Return a bucket. Raises NoSuchBucket."""
        held = await self.find_bucket(name)
        if held is None:
            raise NoSuchBucket(BucketName=name)
        return held

    async def newest(self, bucket: str, key: str, count: int = 1) -> list[Held[Version]]:
        """Return up to ``count`` newest versions of a key, delete markers included, the newest first."""
        rows = await VERSIONS.rows(self.index, *keys.versions_range(bucket, key), count)
        return [self.hold(VERSIONS, row_key, value) for row_key, value in rows]

    async def require_absence(self, bucket: str, key: str) -> None:
        """Check that listings do not show a key that seems to have no version: they stand on other pages of the index.

        Both are read in one turn, so of one moment. Raises Damaged if the index contradicts itself: pages of it may
        have changed places, which their checksums do not see. It is looked through then, at most once an hour.
        """
        if await self.index.get(CURRENT.name, CURRENT.key(bucket, key)) is None:
            return
        if self.clock.monotonic() >= self._look_again:
            self._look_again = self.clock.monotonic() + _LOOK_SECONDS
            log.error("listings show an object of which no version is found; looking through the index", key=key)
            await self.index.verify()
        raise Damaged(f"no version is found of {bucket}/{key}, which listings show. Run: s3ish index rebuild")

    async def inline(self, ref: BlobRef) -> bytes | None:
        """Return the bytes that the index keeps of a small blob; None if there is no valid row of them."""
        if not ref.size:
            return b""
        key = INLINE.key(ref.id)
        value = await self.index.get(INLINE.name, key)
        if value is None:
            return None
        with suppress(Damaged):
            data = INLINE.decode(key, value)
            if len(data) == ref.size:
                return data
        if self._on_damage:
            self._on_damage(ref, ("row of its bytes",))
        return None

    # --- writing ---------------------------------------------------------------------------------------------------

    def create(
        self, bucket: str, key: str, size: int | None, chain: Chain = PLAIN
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin the blob of a version or part of so many bytes, if that is known; see ``BlobStore.create``.

        Args:
            chain: how they are encoded, unless they are as they are stored.
        """
        pieces = chain.stored_size(self.room.piece_bytes)
        return self.blobs.create(f"{bucket}/{key}", chain.stored_size(size), pieces=pieces)

    def turn(self, bucket: str, key: str) -> AbstractAsyncContextManager[None]:
        """Let this process's writers of one key go one after the other."""
        return self.turns.of(keys.object_key(bucket, key))

    async def commit(self, changes: Sequence[Change | Happening], expect: Sequence[Expect]) -> bool:
        """Commit, and tell whether the expectations held. Raises ServiceUnavailable, InsufficientStorage.

        A version changes by a happening alone, which brings all rows that follow from it.
        """
        rows = self.consequences.rows(changes)
        later, self._later = self._later, []
        try:
            await self.index.commit([*rows, *later], expect)
        except BaseException as error:
            self._later = later + self._later
            if isinstance(error, Conflict):
                return False
            raise
        if self._watched:
            self._wake({change.table for change in rows})
        return True

    async def committed(self, table: Table[Any, ...], seconds: float) -> None:
        """Wait for a commit of this process that changes a table, and no longer than so many seconds."""
        watch = self._watched.setdefault(table.name, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await watch.wait()

    def _wake(self, tables: set[str]) -> None:
        """Let those go on that wait for a change of a table."""
        for name in tables & self._watched.keys():
            self._watched.pop(name).set()

    def provisional(self, *refs: BlobRef) -> AbstractAsyncContextManager[None]:
        """Remove these blobs again if what they are sealed for is refused: a rebuild would take them for committed.

        When the index fails, or the caller is cancelled, the commit may still have happened: they are left, as are
        those that cannot be removed now.
        """
        return _Provisional(self, refs)

    async def condemn(self, ref: BlobRef) -> None:
        """Remove a blob that no row of something alive names, now or as soon as it can be done.

        A part of garbage goes with that, whose readers may need it. Raises Unavailable.
        """
        garbage = [Garbage(ref)]
        key = GARBAGE.key(ref.id)
        while True:
            before = GARBAGE.expect(key, await self.index.get(GARBAGE.name, key))
            if found := await self.find_garbage(ref.id):
                if await self.flush():  # what has the same bytes now may be of a process that was killed
                    await self.discard([found], all_parts=True)
                return None
            if await self.removal.pins.hold(ref.id):
                return None  # it is no orphan: the snapshot has been restored
            if await self.commit(drop_blobs(garbage), [before]):
                return await self.discard(garbage)

    async def find_garbage(self, blob: str) -> Garbage | None:
        """Return the garbage that a blob is, or is a part of, given its id."""
        return await self.removal.find(blob)

    async def discard(
        self, garbage: Iterable[Garbage], *, all_parts: bool = False, after: Garbage | None = None
    ) -> None:
        """Remove blobs that a commit has made unreachable and named in the garbage table.

        Parts go after the blob whose sidecar speaks of them. No rebuild brings them back without it, so that where they
        are many no request needs to wait for them: unless ``all_parts`` is set, they stay named there for the garbage
        job, as do those that are still read (see ``keep_parts``), and what cannot be removed now. The rows of what is
        gone go with the next commit. It never fails: the commit stands.

        ``after`` is what has the same bytes now, as it would be garbage itself. It is durable before they go, sidecars
        and all: else a power cut that takes the index along could leave neither.
        """
        if after and not await self.flush([ref.id for ref in (*after.parts, after.ref)]):
            return
        self._later += await self.removal.remove(garbage, all_parts=all_parts)
        if len(self._later) >= _KEPT_FOR_LATER:
            await self.settle()

    async def flush(self, blobs: Sequence[str] | None = None) -> bool:
        """Have sealed blobs, or all, be durable with their sidecars; tell whether they are."""
        try:
            await self.upkeep.flush(blobs)
        except (blob.BlobError, OSError):
            return False
        return True

    def later(self, change: Change) -> None:
        """Have a change go with the next commit: it takes note of what is done already, and may be lost."""
        self._later.append(change)

    async def settle(self) -> None:
        """Commit what waits for another commit, as far as the index lets it."""
        if self._later:
            with suppress(IndexFailure):
                await self.commit([], [])


def attempts() -> Iterator[int]:
    """Count the looks of a write that may lose races. Raises SlowDown when there were too many."""
    yield from range(MAX_ATTEMPTS)
    raise SlowDown


class translated:  # noqa: N801 - reads as a verb, as contextlib's managers do
    """A context that turns the failures of the engines into S3's errors."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, blob.VolumesFull | IndexFull):
            raise InsufficientStorage from error
        if isinstance(error, blob.Unwritable | blob.OutOfReach | Unavailable | Broken):
            raise ServiceUnavailable from error
        if isinstance(error, blob.Missing | blob.Corrupt):
            raise InternalError("The object's data is damaged beyond repair; the operator has been told.") from error
        if isinstance(error, UnknownEncoding):
            raise InternalError(f"The object cannot be read or written: {error}.") from error
        if isinstance(error, Damaged):
            raise InternalError("The index is damaged; the operator has been told.") from error
