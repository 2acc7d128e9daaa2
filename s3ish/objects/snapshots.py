"""Snapshots of a store, for tests: its rows at one moment, kept in the index; the blobs that they name stay.

A snapshot is taken, restored and removed by one commit each, which requires that the index has seen no other commit
since its rows were read: a crash finds it done or not done. No byte of an object is copied.

A restore writes the rows that differ, and intents for the sidecars that have to follow: of blobs that are named again,
or that say something else. They are written before the caller is answered; after a crash a start does it. What is named
no more is garbage. A rebuild of the index, which is made from sidecars, knows the state that was restored and no
snapshot.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import structlog

from s3ish.errors import SlowDown
from s3ish.index.protocol import Change, Damaged, Delete, Put, Rows
from s3ish.model import Garbage, Snapshot
from s3ish.objects.amend import intent_of
from s3ish.objects.kept_rows import KeptRows, all_rows, packed
from s3ish.objects.moments import commit_untouched, moments
from s3ish.objects.settling import settle_each
from s3ish.objects.store import Store, translated
from s3ish.objects.unreachable import drop_blobs
from s3ish.tables import keys
from s3ish.tables.catalogue import (
    BUCKETS,
    CURRENT,
    GARBAGE,
    INLINE,
    INTENTS,
    KEPT,
    NULLS,
    OF_BUCKET,
    PARTS,
    SNAPSHOTS,
    SYSTEM,
    UPLOADS,
    USAGE,
    VERSIONS,
    WORLDS,
)
from s3ish.tables.state import INVENTORY, LATE, LIFECYCLE, REPLICATION, STATE, SYSTEM_MARK, TOKENS
from s3ish.tables.table import Held, Named

log = structlog.get_logger()

START = "/start"
"""The snapshot to which a reset goes back; no other can have such a name."""
MOST = 100
"""How many snapshots a store may have."""
MOST_ROWS = 300_000
"""Of how many rows a store may be of which one is taken: they are all in memory at once."""

_NOT_KEPT = frozenset(table.name for table in (INLINE, GARBAGE, INTENTS, STATE, SNAPSHOTS, KEPT, WORLDS))
_PROGRESS = tuple(row.key for row in (INVENTORY, LATE, LIFECYCLE, REPLICATION, TOKENS))
"""What begins the names of those rows of the state table that say how far jobs and clients are with the objects."""
_REMOVED_FIRST = 256
"""So much garbage is removed before the answer; a job removes the rest."""

State = Mapping[str, Mapping[bytes, bytes]]
"""The rows of each table."""


class TooMany(ValueError):
    """There are too many rows, or too many snapshots."""


class NoSnapshot(LookupError):
    """There is no such snapshot, or nothing in it of what is wanted."""


class _Swap(NamedTuple):
    """What a restore does: changes of rows, garbage, and intents, in the order in which they are settled.

    While a sidecar says that a bucket has versions, a rebuild in the middle of a restore takes no version for one that
    was replaced. So buckets come ``first``; but those that have no versions any more ``last``, behind all garbage.
    """

    changes: list[Change]
    garbage: list[Garbage]
    first: list[Put]
    intents: list[Put]
    last: list[Put]


async def listed(store: Store) -> list[tuple[str, Snapshot]]:
    """Return the snapshots by name, but for ``START``. Raises S3Error."""
    with translated():
        names = [SNAPSHOTS.split(key)[0] for key, _ in await SNAPSHOTS.rows(store.index, b"", keys.END, 1 << 62)]
        return [(name, (await find(store, name)).record) for name in names if name != START]


async def take(store: Store, name: str) -> Snapshot:
    """Keep the store as it is now under a name, in place of what had it.

    Raises:
        TooMany: there are too many snapshots, or the store has more than ``MOST_ROWS`` rows.
        S3Error: the engines failed, or other requests change the store all the time.
    """
    with translated():
        async for seen in moments(store):
            before = await _held(store, name)
            if before is None and name != START and len(await listed(store)) >= MOST:
                raise TooMany(f"there are {MOST} snapshots already")
            state = await _read(store, store.index)
            count = sum(map(len, state.values()))
            if count > MOST_ROWS:
                raise TooMany(f"the store has {count} rows; snapshots are for tests, of up to {MOST_ROWS}")
            taken = Snapshot(store.clock.token(), store.clock.service_ns(), len(state[CURRENT.name]), count)
            changes: list[Change] = [SNAPSHOTS.put(taken, name)]
            for table, rows in state.items():
                changes += packed(taken.id, table, list(rows.items()))
            if before:
                changes += await _let_go(store, before.record)
            if await commit_untouched(store, changes, seen):
                store.removal.has_left |= before is not None
                return taken
        raise SlowDown


async def note_start(store: Store, *, wanted: bool, again: bool) -> None:
    """Keep the store as it is before the first request, for resets; or nothing, where there will be none.

    Args:
        wanted: whether there will be any.
        again: also if it was kept before.

    Raises:
        IndexFailure, S3Error: the engines failed.
    """
    is_there = await store.index.get(SNAPSHOTS.name, SNAPSHOTS.key(START)) is not None
    if wanted and (again or not is_there):
        try:
            await take(store, START)
        except TooMany as error:
            log.warning("this store cannot be reset", reason=str(error))
            wanted = False
    if is_there and not wanted:
        await remove(store, START)


async def remove(store: Store, name: str) -> None:
    """Remove a snapshot; what it alone names is removed soon. Raises NoSnapshot, S3Error."""
    with translated():
        held = await find(store, name)
        changes = [SNAPSHOTS.drop(held.key), *await _let_go(store, held.record)]
        if not await store.commit(changes, [held.row]):
            raise NoSnapshot(f"there is no snapshot {name!r} any more")
        store.removal.has_left = True


async def restore(store: Store, name: str, bucket: str = "") -> None:
    """Have a store, or one bucket of it, be what it was.

    Raises:
        NoSnapshot: there is no such snapshot, or no such bucket now or then.
        S3Error: the engines failed, or other requests change the store all the time. It may have happened.
    """
    with translated():
        async for seen in moments(store):
            snapshot = (await find(store, name)).record
            if not snapshot.id:
                raise NoSnapshot(f"the snapshot {name!r} is damaged")
            kept = KeptRows(store.index, snapshot.id)
            now, then = await _read(store, store.index), await _read(store, kept)
            counts: list[Change] = []
            if bucket:
                counts = [*_counted(now, -1, bucket), *_counted(then, 1, bucket)]
                now, then = _of_bucket(now, bucket), _of_bucket(then, bucket)
                if not now[BUCKETS.name] and not then[BUCKETS.name]:
                    raise NoSnapshot(f"there is no bucket {bucket!r}")
            swap = await _swap(store, now, then, kept)
            swap.changes.extend(counts)
            if await commit_untouched(
                store, [*swap.changes, *swap.first, *swap.intents, *swap.last, *drop_blobs(swap.garbage)], seen
            ):
                await asyncio.shield(asyncio.ensure_future(_follow(store, swap)))
                return
        raise SlowDown


async def find(store: Store, name: str) -> Held[Snapshot]:
    """Return a snapshot; one without an id is damaged. Raises NoSnapshot, Unavailable."""
    held = await _held(store, name)
    if held is None:
        raise NoSnapshot(f"there is no snapshot {name!r}")
    return held


async def _held(store: Store, name: str) -> Held[Snapshot] | None:
    """Return a snapshot; one without an id where its row is damaged, which can be removed or taken again."""
    key = SNAPSHOTS.key(name)
    value = await store.index.get(SNAPSHOTS.name, key)
    if value is None:
        return None
    try:
        return store.hold(SNAPSHOTS, key, value)
    except Damaged:
        return Held(SNAPSHOTS.name, Snapshot("", 0, 0, 0), key, value)


async def _let_go(store: Store, snapshot: Snapshot) -> list[Change]:
    """The changes that keep its rows no more; of one that is damaged, those that are of no other."""
    if snapshot.id:
        return [KEPT.drop(key) for key, _ in await KEPT.rows(store.index, *keys.kept_range(snapshot.id), 1 << 62)]
    names = [SNAPSHOTS.split(key)[0] for key, _ in await SNAPSHOTS.rows(store.index, b"", keys.END, 1 << 62)]
    others = {(await find(store, name)).record.id for name in names}
    rows = await KEPT.rows(store.index, b"", keys.END, 1 << 62)
    return [KEPT.drop(key) for key, _ in rows if KEPT.split(key)[0] not in others]


async def _read(store: Store, source: Rows) -> State:
    """Return all rows that a snapshot keeps, of one moment."""
    state = {table.name: await all_rows(source, table.name) for table in store.tables if table.name not in _NOT_KEPT}
    rows = await all_rows(source, STATE.name)
    state[STATE.name] = {key: value for key, value in rows.items() if key.startswith(_PROGRESS)}
    return state


# --- one bucket


def _of_bucket(state: State, bucket: str) -> State:
    """Return those rows that are of a bucket, without those that count what it holds."""
    own: dict[str, Mapping[bytes, bytes]] = {name: {} for name in state}
    row, start = BUCKETS.key(bucket), keys.object_key(bucket, "")
    own[BUCKETS.name] = {key: value for key, value in state[BUCKETS.name].items() if key == row}
    for table in (VERSIONS, CURRENT, NULLS, UPLOADS):
        own[table.name] = {key: value for key, value in state[table.name].items() if key.startswith(start)}
    uploads = {keys.split_upload_key(key)[2] for key in own[UPLOADS.name]}
    own[PARTS.name] = {key: value for key, value in state[PARTS.name].items() if keys.split_part_key(key)[0] in uploads}
    return own


def _counted(state: State, sign: int, bucket: str) -> list[Change]:
    """The changes that count what it holds as more or, with a negative sign, as less."""
    record, held = state[BUCKETS.name].get(BUCKETS.key(bucket)), state[USAGE.name].get(USAGE.key(OF_BUCKET, bucket))
    if record is None or held is None:
        return []
    usage = USAGE.decode(USAGE.key(OF_BUCKET, bucket), held)
    return USAGE.add(BUCKETS.decode(BUCKETS.key(bucket), record), usage if sign > 0 else -usage)


# --- what changes


async def _swap(store: Store, now: State, then: State, kept: Rows) -> _Swap:
    """Compare all rows; return what makes those of then out of those of now. Raises Damaged."""
    changes: list[Change] = []
    gone: dict[str, list[tuple[bytes, bytes]]] = {}
    come: dict[str, list[tuple[bytes, bytes]]] = {}
    for name, rows in now.items():
        earlier = then[name]
        gone[name] = [(key, value) for key, value in rows.items() if earlier.get(key) != value]
        come[name] = [(key, value) for key, value in earlier.items() if rows.get(key) != value]
        changes += [Delete(name, key) for key, _ in gone[name] if key not in earlier]
        changes += [Put(name, key, value) for key, value in come[name]]
    if gone[SYSTEM.name] or come[SYSTEM.name]:
        changes.append(SYSTEM_MARK.put(store.clock.token().encode()))
    parts = {keys.split_part_key(key)[0] for key, _ in (*gone[PARTS.name], *come[PARTS.name])}
    for state, rows_of in ((now, gone), (then, come)):
        rows_of[UPLOADS.name] = _of_uploads(state, rows_of[UPLOADS.name], parts)
    before, after = await _named(store, store.index, gone), await _named(store, kept, come)
    had = {item.ref.id: item for items in before for item in items}
    has = {item.ref.id: item for items in after for item in items}
    revived = has.keys() - had.keys()
    written = [item for name, item in has.items() if name in revived or not had[name].sidecar.same(item.sidecar)]
    changes += await _no_garbage(store, revived)
    of_buckets = [item for item in written if item.row.table == BUCKETS.name]
    last = [item for item in of_buckets if item.ref.id in had and _ends_versions(had[item.ref.id], item)]
    first = [item for item in of_buckets if item not in last]
    others = [item for item in written if item.row.table != BUCKETS.name]
    intents = [
        [intent_of(store, item.row.table, item.row.key, item.ref) for item in items] for items in (first, others, last)
    ]
    return _Swap(changes, [*_garbage(before, has.keys())], *intents)


def _ends_versions(before: Named, after: Named) -> bool:
    """Whether a bucket had versions, and has none any more."""
    record: Any = before.sidecar.record
    then: Any = after.sidecar.record
    return bool(record.versioning) and not then.versioning


def _of_uploads(state: State, rows: list[tuple[bytes, bytes]], parts: set[str]) -> list[tuple[bytes, bytes]]:
    """Return rows of uploads, and those of the uploads of which parts have changed: they name these, now and then."""
    uploads = state[UPLOADS.name].items() if parts else ()
    named = [(key, value) for key, value in uploads if keys.split_upload_key(key)[2] in parts]
    return list(dict.fromkeys([*rows, *named]))


async def _named(store: Store, source: Rows, rows: Mapping[str, list[tuple[bytes, bytes]]]) -> list[list[Named]]:
    """Return what each of some rows names. Raises Damaged."""
    found = []
    for table in store.tables.sealed:
        for row in rows[table.name]:
            items = [item for item in await table.named(source, table.hold(*row)) if isinstance(item, Named)]
            found.append(items)
    return found


def _garbage(before: list[list[Named]], kept: Any) -> Iterator[Garbage]:
    """Yield what is named no more; parts go after the blob whose sidecar speaks of them."""
    for items in before:
        gone = [item.ref for item in items if item.ref.id not in kept]
        if gone and gone[0].id == items[0].ref.id:
            yield Garbage(gone[0], tuple(gone[1:]))
        else:
            yield from map(Garbage, gone)


async def _no_garbage(store: Store, revived: Any) -> list[Change]:
    """The changes that take blobs out of the garbage."""
    changes: list[Change] = []
    rows = await GARBAGE.rows(store.index, b"", keys.END, 1 << 62) if revived else []
    for (key, _), garbage in zip(rows, store.decode_rows(GARBAGE, rows), strict=True):
        left = tuple(part for part in garbage.parts if part.id not in revived)
        if garbage.ref.id in revived:
            changes += [GARBAGE.drop(key), *drop_blobs(map(Garbage, left))]
        elif len(left) < len(garbage.parts):
            changes.append(GARBAGE.name_it(Garbage(garbage.ref, left)))
    return changes


# --- what follows


async def _follow(store: Store, swap: _Swap) -> None:
    """Write the sidecars, then remove what is garbage. Raises BlobError, IndexFailure: a job does it later."""
    await store.removal.pause()  # what it decided on earlier may be what was restored
    failures = [*await _settle_all(store, swap.first), *await _settle_all(store, swap.intents)]
    first = len(swap.garbage) if swap.last else _REMOVED_FIRST
    await store.discard(swap.garbage[:first], all_parts=True)
    failures += await _settle_all(store, swap.last)
    await store.settle()
    store.removal.has_left |= len(swap.garbage) > first
    if failures:
        raise failures[0]


async def _settle_all(store: Store, intents: list[Put]) -> list[Exception]:
    """Write sidecars; return what went wrong."""
    try:
        failures = await settle_each(store, [INTENTS.hold(put.key, put.value) for put in intents])
    except BaseException:
        for put in intents:
            store.leftovers.add_intent(put.key)
        raise
    for key, _ in failures:
        store.leftovers.add_intent(key)
    return [error for _, error in failures]
