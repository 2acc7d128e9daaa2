"""Changing a record in place: tags, access lists, locks, documents of buckets, users. No other code writes a sidecar
again.

One commit changes the row and leaves an intent, which says that the sidecar may still be behind. Then the sidecar is
written, then the caller is answered; the intent goes with a later commit. The row decides: of several who amend, each
expects the row as it was, and after it has written the sidecar it looks at the row once more. If that is another one by
then, the sidecar is written again. So the last of them leaves what the newest row says, and a crash leaves intents
for what was under way and nothing else: recovery reads these, not the store.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

import structlog
from msgspec.structs import replace

from s3ish.blob.paths import home_of
from s3ish.blob.protocol import Amendment, Corrupt, Missing
from s3ish.index.protocol import Change, Expect, Put
from s3ish.model import BlobRef, Intent, Version
from s3ish.objects.consequences import Happening
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables import keys
from s3ish.tables.catalogue import INTENTS, PARTS, UPLOADS, VERSIONS
from s3ish.tables.part_list import blobs
from s3ish.tables.table import Held, Named, SealedTable

R = TypeVar("R")
K = ParamSpec("K")

log = structlog.get_logger()

_VERSIONS_AT_ONCE = 200
_TAKEN_OVER = frozenset((VERSIONS.name, UPLOADS.name, PARTS.name))
"""The tables whose rows name parts."""


class Gone(Exception):
    """The record to amend is no longer there."""


async def amend(
    store: Store, table: SealedTable[R, K], held: Held[R], change: Callable[[R], R], also: Sequence[Change] = ()
) -> Held[R]:
    """Replace a record that is no version by what ``change`` makes of it.

    Args:
        table, held: the record, as it was found.
        change: returns the record to be, given the one that is there. It may be called again when another caller was
            faster, and with a later record then. It changes neither what the row is found by nor the blob.
        also: what is to be written in the same commit.

    Returns:
        The record as it is now.

    Raises:
        Gone: the record has been removed.
        S3Error: the engines failed, and the amendment may have happened all the same; and what ``change`` raises.
    """
    with translated():
        for _ in attempts():
            wanted: Any = change(held.record)
            if wanted == held.record and not also:
                return held
            wanted = replace(wanted, revision=store.clock.sequence(wanted.revision))
            amended = await amend_once(store, table, held, wanted, also)
            if amended:
                return amended
            now = await found_now(store, table, held.key, wanted.blob)
            if now is None:
                raise Gone
            held = now
    raise AssertionError  # attempts() raises before


async def amend_once(
    store: Store,
    table: SealedTable[R, K],
    held: Held[R],
    wanted: Any,
    also: Sequence[Change] = (),
    expect: Sequence[Expect] = (),
) -> Held[R] | None:
    """Replace a record that is no version by another one, unless the row is another one by now; see ``amend``.

    Args:
        wanted: the record to be, with a revision of its own.
        also, expect: what more is changed in the same commit, and what more it requires.

    Returns:
        The record as it is now; None if nothing was changed, because a requirement did not hold.
    """
    row = table.store(held.key, wanted)
    amended = Held(table.name, wanted, row.key, row.value)
    return await _seen_through(_attempt(store, table, held, amended, [row, *also], expect, [wanted.blob]))


async def amend_version_once(
    store: Store,
    held: Held[Version],
    happening: Happening,
    also: Sequence[Change] = (),
    expect: Sequence[Expect] = (),
    parts: Sequence[BlobRef] = (),
) -> Held[Version] | None:
    """Replace a version by another one, as ``amend_once`` does with other records.

    Args:
        happening: the amendment, to a version with a revision of its own.
        parts: the blobs of those parts that say something else, too: their sidecars are written with its own.
    """
    assert happening.put, "a version that is amended stays"
    amended = VERSIONS.held(happening.put, happening.version)
    blobs = [amended.record.blob, *parts]
    return await _seen_through(_attempt(store, VERSIONS, held, amended, [happening, *also], expect, blobs))


async def _seen_through(attempt: Coroutine[Any, Any, R]) -> R:
    """A write that a thread has begun cannot be cancelled, so that an attempt is seen through to its end."""
    return await asyncio.shield(asyncio.ensure_future(attempt))


async def _attempt(
    store: Store,
    table: SealedTable[R, K],
    held: Held[R],
    amended: Held[R],
    changes: Sequence[Change | Happening],
    expect: Sequence[Expect],
    refs: Sequence[BlobRef],
) -> Held[R] | None:
    """Commit an amended record and write the sidecars of these blobs; None if the row is another one by now."""
    left = [intent_of(store, held.table, held.key, ref) for ref in refs]
    try:
        if not await store.commit([*changes, *left], [held.row, *expect]):
            return None
        for intent, ref in zip(left, refs, strict=True):
            await write_sidecar(store, table, amended.key, ref)
            store.later(INTENTS.drop(intent.key))
    except BaseException:  # it may have happened, and the sidecars do not say so
        for intent in left:
            store.leftovers.add_intent(intent.key)
        raise
    return amended


async def restate(store: Store, table: SealedTable[R, K], held: Held[R]) -> bool:
    """Have the sidecar of a record say what its row says: it was lost, or is of a past that must not come back.

    Returns:
        Whether it was done; not if the row is another one by now, or is gone.

    Raises:
        BlobError: the sidecar cannot be written.
        Unavailable: the index cannot be read or written.
    """
    record: Any = held.record
    left = intent_of(store, held.table, held.key, record.blob)
    if not await store.commit([left], [held.row]):
        return False
    done = await write_sidecar(store, table, held.key, record.blob)
    store.later(INTENTS.drop(left.key))
    return done


async def is_under_way(store: Store, blob: str) -> bool:
    """Whether the sidecar of a blob may be behind its row for a moment, given the blob's id. Raises Unavailable."""
    return bool(await INTENTS.rows(store.index, *keys.intents_range(blob), 1))


def intent_of(store: Store, table: str, key: bytes, ref: BlobRef) -> Put:
    """The change that notes an intent to write the sidecar of a blob as a row says."""
    return INTENTS.put(Intent(table, key, ref, store.clock.now_ns()), ref.id, store.upkeep.mark + store.clock.token())


async def found_now(store: Store, table: SealedTable[R, K], key: bytes, ref: BlobRef) -> Held[R] | None:
    """Return the record of a row as it is now; None if it is gone, or another one has taken its place."""
    await asyncio.sleep(0)  # what is read in this turn may be older than what this process has done in it
    value = await store.index.get(table.name, key)
    if value is None:
        return None
    held = store.hold(table, key, value)
    return held if _names(held.record, ref) else None


def _names(record: Any, ref: BlobRef) -> bool:
    """Whether a blob is a record's own, or that of a part of a version."""
    return record.blob.id == ref.id or (isinstance(record, Version) and any(it.id == ref.id for it in blobs(record)))


async def write_sidecar(store: Store, table: SealedTable[R, K], key: bytes, ref: BlobRef) -> bool:
    """Write the sidecar of a record, given the key of its row, until it says what the row says.

    One that was removed meanwhile is removed again; then it returns False.
    """
    names: SealedTable[Any, ...] = table
    written = b""
    while True:
        now: Held[Any] | None = await found_now(store, names, key, ref)  # before the first write too, which may be late
        if now is None and table.name in _TAKEN_OVER:
            now, names = await _heir_of(store, ref), VERSIONS
        if now is None:
            await store.condemn(ref)
            return False
        if now.value == written:
            return True
        key = now.key
        await _write_once(store, names, now, ref)
        written = now.value


async def _heir_of(store: Store, ref: BlobRef) -> Held[Version] | None:
    """Return the version that has a blob now among its parts; None if there is none.

    A version that takes the place of another one by an append takes over its parts, and so does one that an upload
    becomes. Raises Damaged, Unavailable.
    """
    start, stop = VERSIONS.at_home(home_of(ref.id))
    while rows := await VERSIONS.rows(store.index, start, stop, _VERSIONS_AT_ONCE):
        for row in rows:
            held = store.hold(VERSIONS, *row)
            if _names(held.record, ref):
                return held
        start = keys.after(rows[-1][0])
        await asyncio.sleep(0)  # where there are so many, nothing is appended to
    return None


async def _write_once(store: Store, table: SealedTable[R, K], held: Held[R], ref: BlobRef) -> None:
    record: Any = held.record
    if record.blob.id == ref.id:
        with suppress(Missing, Corrupt):
            before = await store.blobs.read_sidecar(ref)
            beside = await table.beside_of(store.index, held.key)
            text = table.seal(held.record, *beside) if beside else table.reseal(held.record, before)
            await store.blobs.amend(ref, text, revision=_revision(record))
            return
    if it := await amendment_of(store, table, held, ref):
        await store.blobs.amend(ref, it.sidecar, inline=it.inline, revision=it.revision)


async def amendment_of(store: Store, table: SealedTable[R, K], held: Held[R], ref: BlobRef) -> Amendment | None:
    """Return what the sidecar of a blob must say as a record says, with its bytes if it is inline.

    None where the record does not name it. Raises Damaged, Unavailable.
    """
    record: Any = held.record
    if record.blob.id == ref.id:
        text = table.seal(held.record, *await table.beside_of(store.index, held.key))
    else:
        named = [it for it in await table.named(store.index, held) if isinstance(it, Named) and it.ref.id == ref.id]
        if not named:
            return None
        text = named[0].sidecar.text
    data = await store.inline(ref) if ref.inline else None
    return Amendment(ref, text, data, _revision(record))


def _revision(record: Any) -> int:
    """Parts have none."""
    return getattr(record, "revision", 0)
