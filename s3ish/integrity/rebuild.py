"""Building an index from the sidecars alone.

One pass stores what every sidecar says; a second one goes through the versions in order and settles what only the whole
can tell: which version is current, where the null version is, which parts have become objects.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import structlog

from s3ish.blob.paths import Past, mint
from s3ish.blob.protocol import BlobError, OutOfReach, Sealed
from s3ish.index.protocol import Change, Put
from s3ish.integrity.blind_spots import LOST_BUCKET, REMEDY, BlindSpots
from s3ish.integrity.renames import settle_renames
from s3ish.integrity.usage_count import count_usage
from s3ish.model import NULL_VERSION, BlobRef, Garbage, Version
from s3ish.objects.multipart import MAX_PARTS
from s3ish.objects.restores import coming
from s3ish.objects.store import Store
from s3ish.objects.unreachable import blobs_of, drop_blobs
from s3ish.tables import keys
from s3ish.tables.catalogue import CURRENT, INLINE, NULLS, PARTS, UPLOADS, VERSIONS
from s3ish.tables.part_list import blobs
from s3ish.tables.state import SWEEP
from s3ish.tables.table import Held, Sidecar

log = structlog.get_logger()

_BATCH = 500


Progress = Callable[[int], None]
"""Called with how many blobs have been read, whenever that is a multiple of ``STEP_BLOBS``."""

STEP_BLOBS = 1000


def _ignore(_: int) -> None:
    pass


async def rebuild(store: Store, progress: Progress = _ignore) -> Counter[str]:
    """Fill the store's empty index from its sidecars.

    What cannot be read leaves a gap in it, which the index knows: see ``integrity.blind_spots``.

    Args:
        store: the engines.
        progress: called with how far it has come.

    Returns:
        How many buckets, versions, uploads and parts were found, how many orphans were named as garbage, and how much
        was unreadable, and of that out of reach on more volumes than may be lost.

    Raises:
        Corrupt: too many volumes are out of reach.
    """
    found: Counter[str] = Counter()
    batch = _Batch(store)
    gaps = BlindSpots()

    def unread(blob: str, error: BlobError) -> None:
        log.error("a sidecar or folder cannot be read; what it tells of is missing now", blob=blob, error=str(error))
        found["unreadable"] += 1
        if isinstance(error, OutOfReach):
            found["out of reach"] += 1
        gaps.add(blob, f"{error}. {REMEDY}")

    read, renamed = 0, False
    async for blob in store.blobs.scan(unread=unread):
        read += 1
        if read % STEP_BLOBS == 0:
            progress(read)
        try:
            told = store.tables.read_sidecar(blob.sidecar).at(blob.ref)
        except ValueError:
            log.error("sidecar of an unknown kind", blob=blob.ref.id)
            found["unknown"] += 1
            continue
        if blob.outdated and not gaps.cover(blob.ref.id):  # removed while the only volumes were away that have it
            found["outdated"] += 1
            await batch.add(drop_blobs([Garbage(blob.ref)]))
            continue
        found[told.table.name] += 1
        renamed = renamed or (told.table is VERSIONS and told.record.origin is not None)
        await batch.add(await _rows_of(store, batch, blob, told))
    await batch.flush()
    if renamed:
        await settle_renames(store, found, gaps, _is_whole)
    await _settle_versions(store, found, gaps)
    await _settle_parts(store, found, gaps)
    await count_usage(store)
    await store.index.commit(gaps.rows())
    if found or await _has_strays(store):  # what was garbage is now unknown to the index
        await store.index.commit([SWEEP.put()])
    return found


async def _has_strays(store: Store) -> bool:
    async def is_named(_: str) -> bool:
        return False

    everything = Past(2**63)
    async for swept in store.blobs.sweep(everything, is_named, dry=True):
        if swept.stray:
            return True
    return False


class _Batch:
    """Changes on their way to the index, many in one commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changes: list[Change] = []
        self._values: dict[tuple[str, bytes], bytes] = {}

    async def add(self, changes: list[Change]) -> None:
        self._changes += changes
        self._values |= {(it.table, it.key): it.value for it in changes if isinstance(it, Put)}
        if len(self._changes) >= _BATCH:
            await self.flush()

    async def flush(self) -> None:
        await self._store.index.commit(self._changes)
        self._changes, self._values = [], {}

    async def value(self, row: Put) -> bytes | None:
        """Return the value in a row's place as it will be after the changes that are still to be committed."""
        return self._values.get((row.table, row.key)) or await self._store.index.get(row.table, row.key)


async def _rows_of(store: Store, batch: _Batch, blob: Sealed, told: Sidecar) -> list[Change]:
    """Return the rows that one sidecar stands for; of two for one row the one that was made later holds."""
    row = told.row()
    rows: list[Change] = [row] if row else []
    old = await batch.value(row) if row else None
    if row and old:
        other = Sidecar(told.table, told.table.decode(row.key, old), told.beside)
        later = max(other, told, key=lambda sidecar: sidecar.made_ns)
        if not await _is_readable(store, later.record.blob):
            later = told if later is other else other
        rows = [row] if later is told else []
    return [*rows, *INLINE.keep(blob.ref, blob.data)]


async def _is_readable(store: Store, ref: BlobRef) -> bool:
    """Whether a blob that would take another one's place can be read, as all can that a write was answered for.

    A crash while it was being sealed may have left it on too few volumes.
    """
    if ref.inline or len(store.upkeep.away) > ref.m:
        return True
    return (await store.blobs.check(ref, repair=False)).readable


async def _is_whole(store: Store, version: Version) -> bool:
    """Whether a version that would take another one's place can be read with all that it names.

    On one volume sidecars are flushed in no order: that of a version may be there without those of its small parts.
    """
    if not await _is_readable(store, version.blob):
        return False
    for ref in blobs(version):
        if len(store.upkeep.away) <= ref.m and not (await store.blobs.check(ref, repair=False)).readable:
            return False
    return True


async def _settle_versions(store: Store, found: Counter[str], gaps: BlindSpots) -> None:
    """Go through all versions, key by key, and write what follows from their order."""
    start, carried, batch = b"", list[Held[Version]](), _Batch(store)
    while rows := await VERSIONS.rows(store.index, start, keys.END, _BATCH):
        start = keys.after(rows[-1][0])
        carried += [store.hold(VERSIONS, key, value) for key, value in rows]
        groups = list(_by_key(carried))
        carried = groups.pop()  # the last key may go on in the next batch
        for group in groups:
            await batch.add(await _settled(store, group, found, gaps))
    if carried:
        await batch.add(await _settled(store, carried, found, gaps))
    await batch.flush()


def _by_key(held: list[Held[Version]]) -> Iterator[list[Held[Version]]]:
    group: list[Held[Version]] = []
    for item in held:
        if group and (group[0].record.bucket, group[0].record.key) != (item.record.bucket, item.record.key):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


async def _settled(store: Store, group: list[Held[Version]], found: Counter[str], gaps: BlindSpots) -> list[Change]:
    """Return what follows from the versions of one key."""
    bucket_name = group[0].record.bucket
    bucket = await store.find_bucket(bucket_name)
    if bucket is None:
        found["orphans"] += len(group)
        gaps.add(mint(bucket_name, ""), LOST_BUCKET)
        return [VERSIONS.drop(held.key) for held in group]
    changes: list[Change] = []
    versioned = bool(bucket.record.versioning)
    kept = await _without_stale(store, group, versioned=versioned)
    owned = {ref.id for held in kept for ref in blobs_of(held.record)}
    for stale in group:
        if stale not in kept:
            found["orphans"] += 1
            unowned = [ref for ref in blobs_of(stale.record) if ref.id not in owned]
            garbage = [ref for ref in unowned if not gaps.cover(ref.id)]
            changes += [VERSIONS.drop(stale.key), *drop_blobs(map(Garbage, garbage))]
            if stale.record.blob in unowned and stale.record.blob not in garbage:
                await _unseal(store, stale.record.blob)
    changes.append(CURRENT.show(kept[0].record))
    changes += [row for held in kept for row in coming(held.record, store.clock.service_ns())]
    changes += [NULLS.cover(held.record) for held in kept[1:] if held.record.id == NULL_VERSION]
    for held in kept:
        changes += await _end_upload(store, held.record)
    return changes


async def _unseal(store: Store, ref: BlobRef) -> None:
    """Have no later rebuild take for current what was replaced, but stays: what could not be read may name its bytes.

    Where a volume does not let that be done, those that do say it to the later one.
    """
    with suppress(BlobError):
        await store.blobs.unseal(ref)


async def _without_stale(store: Store, group: list[Held[Version]], *, versioned: bool) -> list[Held[Version]]:
    """Keep the newest null version only, and in a bucket without versioning the newest version only.

    Of several versions that came of one upload the newest holds as well: the others are completions that were cut off
    before their commit, and name the same parts. What takes the place of others must be whole, unless none of them is.
    """
    marks = [_places(held.record, versioned=versioned) for held in group]
    contended = Counter(mark for some in marks for mark in some)
    kept: list[Held[Version]] = []
    taken: set[str] = set()
    for number, (held, own) in enumerate(zip(group, marks, strict=True)):
        if not taken.isdisjoint(own):
            continue
        if any(contended[mark] > 1 for mark in own):
            others = [it for it, of in zip(group[number + 1 :], marks[number + 1 :], strict=True) if of & own]
            if others and not await _is_whole(store, held.record) and await _any_whole(store, others):
                continue
        kept.append(held)
        taken |= own
    return kept


def _places(version: Version, *, versioned: bool) -> set[str]:
    """Return what a version takes that one of its key alone can have."""
    if not versioned:
        return {"the key"}
    places = {f"upload {version.upload}"} if version.upload else set()
    return places | {NULL_VERSION} if version.id == NULL_VERSION else places


async def _any_whole(store: Store, held: list[Held[Version]]) -> bool:
    for it in held:
        if await _is_whole(store, it.record):
            return True
    return False


async def _end_upload(store: Store, version: Version) -> list[Change]:
    """A version that came of an upload owns its parts: the upload has ended."""
    if not version.upload:
        return []
    changes: list[Change] = [PARTS.delete(version.upload, part.number) for part in version.parts]
    if held := await UPLOADS.get(store.index, version.bucket, version.key, version.upload):
        changes += [UPLOADS.drop(held.key), *drop_blobs([Garbage(held.record.blob)])]
    return changes


async def _settle_uploads(store: Store, found: Counter[str], gaps: BlindSpots) -> set[str]:
    """Take out the uploads of buckets that are not there; return the ids of all."""
    uploads: set[str] = set()
    start = b""
    while rows := await UPLOADS.rows(store.index, start, keys.END, _BATCH):
        for key, value in rows:
            upload = UPLOADS.decode(key, value)
            uploads.add(upload.id)
            if await store.find_bucket(upload.bucket) is None:
                found["orphans"] += 1
                parts = await PARTS.rows(store.index, *keys.parts_range(upload.id), MAX_PARTS)
                gaps.add(mint(upload.bucket, ""), LOST_BUCKET)
                await store.index.commit([UPLOADS.drop(key), *(PARTS.drop(row) for row, _ in parts)])
        start = keys.after(rows[-1][0])
    return uploads


async def _settle_parts(store: Store, found: Counter[str], gaps: BlindSpots) -> None:
    """Parts of uploads that are no more are garbage, unless those are what could not be read."""
    uploads = await _settle_uploads(store, found, gaps)
    start = b""
    while rows := await PARTS.rows(store.index, start, keys.END, _BATCH):
        changes: list[Change] = []
        for key, value in rows:
            if keys.split_part_key(key)[0] not in uploads:
                found["orphans"] += 1
                blob = PARTS.decode(key, value).blob
                changes += [PARTS.drop(key), *([] if gaps.cover(blob.id) else drop_blobs([Garbage(blob)]))]
        await store.index.commit(changes)
        start = keys.after(rows[-1][0])
