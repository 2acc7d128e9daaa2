"""The store: the engines behind S3's semantics, and the few moves that all of its operations are made of.

A write follows "seal, commit, answer": the bytes and the sidecar are durable first, then one commit of the index makes
them visible, then the caller gets its answer. Every commit states what it expects to find, so that several processes
can work on one store without locks; when an expectation fails, the operation looks and decides again.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar, cast

from msgspec import Struct
from msgspec.structs import asdict

from s3ish.blob import protocol as blob
from s3ish.blob.protocol import BlobStore
from s3ish.clock import Clock
from s3ish.errors import InsufficientStorage, InternalError, NoSuchBucket, S3Error, ServiceUnavailable, SlowDown
from s3ish.index.protocol import (
    Change,
    Conflict,
    Damaged,
    Delete,
    Expect,
    Index,
    IndexFailure,
    IndexFull,
    Mark,
    Put,
    RangeEmpty,
    RowIs,
    Unavailable,
)
from s3ish.model import BlobRef, Bucket, Entry, Garbage, Version
from s3ish.objects.key_queue import KeyQueue
from s3ish.objects.room import Room
from s3ish.objects.unresolved import UnresolvedWrites
from s3ish.tables import keys, records
from s3ish.tables.part_list import LONG_BYTES, Packed, pieces
from s3ish.threads import ThreadPool

T = TypeVar("T")

MAX_ATTEMPTS = 1000
"""How often a write looks again after losing a race, before the client is asked to slow down."""

_REMOVED_AT_ONCE = 16
"""How many blobs are removed side by side, and for how many parts of one a request waits."""
_GARBAGE_AT_ONCE = 100
"""How many rows of garbage are read at once."""
_REMOVED_KEPT = 64
"""How many rows of garbage that is gone wait for another commit to go with."""
_RECORDS_KEPT = 1024
"""How many decoded records of buckets and versions a process keeps."""


class Held(Struct, frozen=True):
    """A record together with its row, so that a commit can expect it unchanged."""

    record: Version
    key: bytes
    value: bytes

    @property
    def row(self) -> RowIs:
        """The expectation that it is still so."""
        return RowIs("versions", self.key, self.value)


class HeldBucket(Struct, frozen=True):
    """A bucket together with its row."""

    record: Bucket
    row: RowIs


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

    ``left_garbage`` says that a request has left parts to the garbage job.
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
    ) -> None:
        self._on_damage = on_damage
        self._on_broken_row = on_broken_row
        self.index = index
        self.blobs = blobs
        self.clock = clock
        self.offload = offload
        self.region = region
        self.leftovers = UnresolvedWrites()
        self.room = Room()
        self.left_garbage = False
        self._records: dict[tuple[str, bytes, bytes], Any] = {}
        self._removed: list[Change] = []  # rows of garbage that is gone
        self.turns = KeyQueue()

    def decode(self, table: str, key: bytes, value: bytes, kind: type[T]) -> T:
        """Return the record in a row, and tell of a damaged one. Raises Damaged, NewerFormat."""
        try:
            return records.decode(table, key, value, kind)
        except Damaged:
            if self._on_broken_row:
                self._on_broken_row(RowIs(table, key, value))
            raise

    def decode_rows(self, table: str, rows: Sequence[tuple[bytes, bytes]], kind: type[T]) -> list[T]:
        """Return the records in many rows, and tell of a damaged one. Raises Damaged, NewerFormat."""
        try:
            return records.decode_rows(table, rows, kind)
        except Damaged:
            for key, value in rows:
                self.decode(table, key, value, kind)  # tells which it is
            raise

    def _record(self, table: str, key: bytes, value: bytes, kind: type[T]) -> T:
        """Decode a row; one that comes again is decoded once. Raises as ``decode``."""
        record = self._records.get((table, key, value))
        if record is None:
            record = self.decode(table, key, value, kind)
            if len(self._records) >= _RECORDS_KEPT:
                self._records.clear()
            self._records[table, key, value] = record
        return cast("T", record)

    # --- buckets ---------------------------------------------------------------------------------------------------

    async def find_bucket(self, name: str) -> HeldBucket | None:
        """Return a bucket, or None."""
        key = keys.bucket_key(name)
        value = await self.index.get("buckets", key)
        if value is None:
            return None
        return HeldBucket(self._record("buckets", key, value, Bucket), RowIs("buckets", key, value))

    async def bucket(self, name: str) -> HeldBucket:
        """Return a bucket. Raises NoSuchBucket."""
        held = await self.find_bucket(name)
        if held is None:
            raise NoSuchBucket(BucketName=name)
        return held

    # --- versions --------------------------------------------------------------------------------------------------

    async def newest(self, bucket: str, key: str, count: int = 1) -> list[Held]:
        """Return up to ``count`` newest versions of a key, delete markers included, the newest first."""
        prefix = keys.versions_prefix(bucket, key)
        rows = await self.index.scan("versions", *keys.prefix_range(prefix), count)
        return [self.hold(row_key, value) for row_key, value in rows]

    def hold(self, key: bytes, value: bytes) -> Held:
        """Decode a row of the versions table, but for the parts of a long one."""
        if _is_long(value):
            return Held(self.decode("versions", key, value, Packed).unpacked(), key, value)
        return Held(self._record("versions", key, value, Version), key, value)

    def versions_in(self, rows: Sequence[tuple[bytes, bytes]]) -> list[Version]:
        """Decode many rows of the versions table, but for the parts of long ones."""
        if any(_is_long(value) for _, value in rows):
            return [self.hold(key, value).record for key, value in rows]
        return self.decode_rows("versions", rows, Version)

    async def by_sequence(self, bucket: str, key: str, sequence: int) -> Held | None:
        """Return the version of a key with this sequence, or None."""
        row_key = keys.version_key(bucket, key, sequence)
        value = await self.index.get("versions", row_key)
        return None if value is None else self.hold(row_key, value)

    async def inline(self, ref: BlobRef) -> bytes | None:
        """Return the bytes that the index keeps of a small blob; None if there is no valid row of them."""
        if not ref.size:
            return b""
        key = keys.inline_key(ref.id)
        value = await self.index.get("inline", key)
        if value is None:
            return None
        with suppress(Damaged):
            data = records.decode_bytes("inline", key, value)
            if len(data) == ref.size:
                return data
        if self._on_damage:
            self._on_damage(ref, ("row of its bytes",))
        return None

    async def keep_parts(self, version: Version) -> Mark | None:
        """Keep the parts of a version, whatever becomes of it, until the mark is released.

        Returns None if it has been removed already. A caller that removes a version names it as garbage and then looks
        for the mark; here it is the other way round, so that at least one of the two sees the other.
        """
        row = keys.garbage_key(version.blob.id)
        mark = self.index.mark(row)
        try:
            await asyncio.sleep(0)  # what is read in this turn may be older than the mark
            if await self.index.get("garbage", row) is None:
                return mark
        except BaseException:
            mark.release()
            raise
        mark.release()
        return None

    # --- writing ---------------------------------------------------------------------------------------------------

    def turn(self, bucket: str, key: str) -> AbstractAsyncContextManager[None]:
        """Let this process's writers of one key go one after the other."""
        return self.turns.of(keys.object_key(bucket, key))

    async def commit(self, changes: Sequence[Change], expect: Sequence[Expect]) -> bool:
        """Commit, and tell whether the expectations held. Raises ServiceUnavailable, InsufficientStorage."""
        removed, self._removed = self._removed, []
        try:
            await self.index.commit([*changes, *removed], expect)
        except BaseException as error:
            self._removed = removed + self._removed
            if isinstance(error, Conflict):
                return False
            raise
        return True

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
        row = keys.garbage_key(ref.id)
        while True:
            before = RowIs("garbage", row, await self.index.get("garbage", row))
            if found := await self.find_garbage(ref.id):
                return await self.discard([found], all_parts=True)
            if await self.commit(drop_blobs([ref]), [before]):
                return await self.discard([ref])

    async def find_garbage(self, blob: str) -> Garbage | None:
        """Return the garbage that a blob is, or is a part of, given its id. Parts lie where what they are of lies."""
        home = keys.garbage_key(blob.rpartition("@")[0] + "@")
        start, stop = keys.prefix_range(home)
        while rows := await self.index.scan("garbage", start, stop, _GARBAGE_AT_ONCE):
            for key, value in rows:
                with suppress(Damaged):
                    found = records.decode("garbage", key, value, Garbage)
                    if found.id == blob or any(part.id == blob for part in found.parts):
                        return found
            start = keys.after(rows[-1][0])
        return None

    async def discard(self, refs: Iterable[BlobRef], *, all_parts: bool = False) -> None:
        """Remove blobs that a commit has made unreachable and named in the garbage table.

        Parts go after the blob whose sidecar speaks of them. No rebuild brings them back without it, so that where they
        are many no request needs to wait for them: unless ``all_parts`` is set, they stay named there for the garbage
        job, as do those that are still read (see ``keep_parts``), and what cannot be removed now. The rows of what is
        gone go with the next commit. It never fails: the commit stands.
        """
        for some in _groups(list(refs)):
            if len(some) == 1:
                outcomes = [await self._remove(some[0], all_parts)]
            else:
                outcomes = await asyncio.gather(*(self._remove(ref, all_parts) for ref in some))
            self._removed += [change for change in outcomes if change]
        if len(self._removed) >= _REMOVED_KEPT:
            await self.settle()

    async def settle(self) -> None:
        """Forget the garbage that is removed, as far as the index lets it."""
        if self._removed:
            with suppress(IndexFailure):
                await self.commit([], [])

    async def _remove(self, ref: BlobRef, all_parts: bool) -> Change | None:
        """Remove a blob and then its parts; return what has become of its row."""
        if not await self._delete(ref):
            return None
        parts = ref.parts if isinstance(ref, Garbage) else ()
        if parts and self._is_held(ref):
            return None
        if len(parts) > _REMOVED_AT_ONCE and not all_parts:
            self.left_garbage = True
            return None
        left: list[BlobRef] = []
        for some in _groups(parts):
            outcomes = await asyncio.gather(*map(self._delete, some))
            left += [part for part, gone in zip(some, outcomes, strict=True) if not gone]
        if not left:
            return Delete("garbage", keys.garbage_key(ref.id))
        return _name_garbage(with_parts(ref, left)) if len(left) < len(parts) else None

    def _is_held(self, ref: BlobRef) -> bool:
        """Whether a reader, in any process, may read the parts that a blob takes with it."""
        try:
            return self.index.is_marked(keys.garbage_key(ref.id))
        except IndexFailure:
            return True

    async def _delete(self, ref: BlobRef) -> bool:
        """Delete a blob; tell whether it could be done."""
        try:
            await self.blobs.delete(ref)
        except (blob.BlobError, OSError):
            return False
        return True


def _is_long(value: object) -> bool:
    """Whether the value of a row is so long that its parts are left encoded; damage can make it no bytes at all."""
    return isinstance(value, bytes) and len(value) >= LONG_BYTES


def _groups(refs: Sequence[BlobRef]) -> Iterator[Sequence[BlobRef]]:
    """Yield as many as are removed at once."""
    for start in range(0, len(refs), _REMOVED_AT_ONCE):
        yield refs[start : start + _REMOVED_AT_ONCE]


def attempts() -> Iterator[int]:
    """Count the looks of a write that may lose races. Raises SlowDown when there were too many."""
    yield from range(MAX_ATTEMPTS)
    raise SlowDown


def put_version(version: Version) -> Put:
    """The change that stores a version's record."""
    key = keys.version_key(version.bucket, version.key, version.sequence)
    return Put("versions", key, records.encode("versions", key, version))


def put_entry(version: Version) -> Change:
    """The change that makes a version the one that listings show; none for a delete marker."""
    key = keys.object_key(version.bucket, version.key)
    if version.marker:
        return Delete("current", key)
    checksum = version.checksum
    entry = Entry(
        size=version.size,
        etag=version.etag,
        modified_ns=version.modified_ns,
        storage_class=version.attributes.storage_class,
        owner_id=version.owner.id,
        owner_name=version.owner.display_name,
        checksum_algorithm=checksum.algorithm if checksum else "",
        checksum_kind=checksum.kind if checksum else "",
    )
    return Put("current", key, records.encode("current", key, entry))


def put_inline(ref: BlobRef, data: bytes | None) -> list[Change]:
    """The change that keeps a small blob's bytes in the index as well."""
    if not data:
        return []
    key = keys.inline_key(ref.id)
    return [Put("inline", key, records.encode_bytes("inline", key, data))]


def drop_blobs(refs: Iterable[BlobRef]) -> list[Change]:
    """The changes that name blobs as garbage; ``Store.discard`` then removes them."""
    changes: list[Change] = []
    for ref in refs:
        changes.append(_name_garbage(ref))
        members = (ref, *ref.parts) if isinstance(ref, Garbage) else (ref,)
        changes += [Delete("inline", keys.inline_key(member.id)) for member in members if member.inline and member.size]
    return changes


def _name_garbage(ref: BlobRef) -> Put:
    key = keys.garbage_key(ref.id)
    return Put("garbage", key, records.encode("garbage", key, ref))


def garbage_of(version: Version) -> BlobRef:
    """What is to be removed with a version: its own blob, the sidecar, and after it those of its parts."""
    return with_parts(version.blob, [piece.blob for piece in pieces(version)])


def with_parts(ref: BlobRef, parts: Sequence[BlobRef]) -> BlobRef:
    """Return a blob as garbage that takes others with it."""
    return Garbage(**asdict(ref) | {"parts": tuple(parts)}) if parts else ref


def blobs_of(version: Version) -> list[BlobRef]:
    """All blobs that exist only for this version: its own (the sidecar) first."""
    return [version.blob, *(part.blob for part in version.parts)]


def is_newest(bucket: str, key: str, newest: Held | None) -> list[Expect]:
    """The expectations that ``newest`` (or nothing) is still the newest version of a key."""
    prefix = keys.versions_prefix(bucket, key)
    start, stop = keys.prefix_range(prefix)
    if newest is None:
        return [RangeEmpty("versions", start, stop)]
    return [RangeEmpty("versions", start, newest.key), newest.row]


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
        if isinstance(error, blob.Unwritable | blob.OutOfReach | Unavailable):
            raise ServiceUnavailable from error
        if isinstance(error, blob.Missing | blob.Corrupt):
            raise InternalError("The object's data is damaged beyond repair; the operator has been told.") from error
        if isinstance(error, Damaged):
            raise InternalError("The index is damaged; the operator has been told.") from error
