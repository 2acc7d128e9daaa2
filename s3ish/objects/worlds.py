"""Worlds of tests beside the main one, on the same index and volumes: each is rows of its own, which name blobs of all.

A world begins with what a snapshot holds, in one commit and without copying a byte. What it writes has no sidecar: a
rebuild of the index knows the main world alone, and a sweep removes what others had named. A blob stays as long as any
world or snapshot names it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress

from s3ish.blob.paths import home_of
from s3ish.errors import SlowDown
from s3ish.index.prefixed_index import PrefixedIndex
from s3ish.index.protocol import Change, Damaged, Delete, Put, RowIs, Rows
from s3ish.model import BlobRef, Garbage, Snapshot
from s3ish.objects.kept_rows import KeptRows, all_rows
from s3ish.objects.moments import commit_untouched, moments
from s3ish.objects.pins import named_at, part_of, worlds_in
from s3ish.objects.snapshots import START, NoSnapshot, find
from s3ish.objects.store import Store, translated
from s3ish.objects.unreachable import drop_blobs
from s3ish.tables import keys
from s3ish.tables.catalogue import GARBAGE, INLINE, KEPT, SNAPSHOTS, WORLDS
from s3ish.tables.table import Named

_ALL = 1 << 62


async def listed(store: Store) -> list[str]:
    """Return the names of the worlds. Raises S3Error."""
    with translated():
        return await worlds_in(store.index)


async def enter(store: Store, name: str) -> PrefixedIndex | None:
    """Return the rows of a world, in which nothing can be written when it has ended or begun again; None without one.

    Raises S3Error.
    """
    with translated():
        value = await store.index.get(WORLDS.name, WORLDS.key(name))
        if value is None:
            return None
        return part_of(store.index, name, RowIs(WORLDS.name, WORLDS.key(name), value))


async def fork(store: Store, source: Store, snapshot: str, name: str) -> None:
    """Have a world begin with what a snapshot holds, in place of what it is; its resets come back to that.

    Args:
        store: the main world.
        source: the world that has the snapshot.
        name: of the world that begins.

    Raises:
        NoSnapshot: there is no such snapshot.
        S3Error: the engines failed, or other requests change the store all the time.
    """
    with translated():
        async for seen in moments(store):
            taken = (await find(source, snapshot)).record
            if not taken.id:
                raise NoSnapshot(f"the snapshot {snapshot!r} is damaged")
            world = part_of(store.index, name)
            then = await _beginning(source, taken)
            now = {table.name: await all_rows(world, table.name) for table in store.tables if table is not INLINE}
            changes = [world.within(change) for change in _differences(now, then)]
            changes += [*await _garbage_of(store, world), WORLDS.put(store.clock.sequence(), name)]
            if await commit_untouched(store, changes, seen):
                store.removal.has_left = True
                return
        raise SlowDown


async def remove(store: Store, name: str) -> None:
    """Take a world away, with its snapshots; what it alone names is removed soon. Raises LookupError, S3Error."""
    with translated():
        async for seen in moments(store):
            if name not in await worlds_in(store.index):
                raise LookupError(f"there is no world {name!r}")
            world = part_of(store.index, name)
            now = {table.name: await all_rows(world, table.name) for table in store.tables if table is not INLINE}
            changes = [world.within(change) for change in _differences(now, {})]
            changes += [*await _garbage_of(store, world), WORLDS.delete(name)]
            if await commit_untouched(store, changes, seen):
                store.removal.has_left = True
                return
        raise SlowDown


async def _beginning(source: Store, taken: Snapshot) -> Mapping[str, Mapping[bytes, bytes]]:
    """Return the rows, by their tables, of a world that begins with a snapshot. Raises Damaged, Unavailable."""
    then: dict[str, dict[bytes, bytes]] = defaultdict(dict)
    start = SNAPSHOTS.put(taken, START)
    then[start.table][start.key] = start.value
    for key, value in await KEPT.rows(source.index, *keys.kept_range(taken.id), _ALL):
        then[KEPT.name][key] = value
        then[KEPT.split(key)[1]].update(KEPT.decode(key, value))
    return then


def _differences(
    now: Mapping[str, Mapping[bytes, bytes]], then: Mapping[str, Mapping[bytes, bytes]]
) -> Iterator[Put | Delete]:
    """Yield the changes that make rows what they are to be."""
    for table, rows in now.items():
        wanted = then.get(table, {})
        yield from (Delete(table, key) for key in rows if key not in wanted)
        yield from (Put(table, key, value) for key, value in wanted.items() if rows.get(key) != value)


async def _garbage_of(store: Store, world: PrefixedIndex) -> list[Change]:
    """The changes that make garbage of the main world of what another one may alone name."""
    is_garbage = {ref.id for ref in await _garbage(store.index)}
    refs = [ref for ref in (await names_of(store, world)).values() if ref.id not in is_garbage]
    return drop_blobs([Garbage(ref) for ref in refs if not await _is_in_main(store, ref)])


async def names_of(store: Store, world: PrefixedIndex) -> dict[str, BlobRef]:
    """Return what a world, its snapshots and its garbage name, by the ids, but for rows that the main one has, too.

    What a damaged row names is left to a sweep. Raises Unavailable.
    """
    found = {ref.id: ref for ref in await _garbage(world)}
    sources: list[Rows] = [world]
    for key, value in await SNAPSHOTS.rows(world, b"", keys.END, _ALL):
        with suppress(Damaged):
            sources.append(KeptRows(world, SNAPSHOTS.decode(key, value).id))
    for table in store.tables.sealed:
        seen = set((await all_rows(store.index, table.name)).items()) if table.whole else set()
        for source in sources:
            for row in (await all_rows(source, table.name)).items():
                if row not in seen:
                    with suppress(Damaged):
                        items = await table.named(source, table.hold(*row))
                        found |= {item.ref.id: item.ref for item in items if isinstance(item, Named)}
                    if table.whole:
                        seen.add(row)
    return found


async def _garbage(rows: Rows) -> list[BlobRef]:
    """Return all garbage and its parts; what a damaged row names is left to a sweep."""
    found: list[BlobRef] = []
    for key, value in await GARBAGE.rows(rows, b"", keys.END, _ALL):
        with suppress(Damaged):
            garbage = GARBAGE.decode(key, value)
            found += [garbage.ref, *garbage.parts]
    return found


async def _is_in_main(store: Store, ref: BlobRef) -> bool:
    """Whether the main world names a blob; where that cannot be read the answer is yes."""
    try:
        named = await named_at(store.index, store.tables, home_of(ref.id))
    except Damaged:
        return True
    return named is None or ref.id in named
