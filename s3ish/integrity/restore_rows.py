"""Writing damaged rows of the index anew.

A row whose key is damaged is no longer found where it belongs: its value says whose it is, and its checksum, which
covers the key, proves it. What a damaged value said stands in the sidecar of the blob that it named, and what a listing
shows in the row of the newest version. Where more than one sidecar could be meant, the rules are those of a rebuild;
what is named as garbage is never meant.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Any

from s3ish.blob.paths import home_of, mint
from s3ish.blob.protocol import BlobError
from s3ish.index.protocol import Change, Conflict, Damaged, Expect, IndexFull, NewerFormat, Put, RangeEmpty, RowIs
from s3ish.model import NULL_VERSION, Version
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import CURRENT, GARBAGE, USAGE, VERSIONS
from s3ish.tables.state import COUNTED
from s3ish.tables.table import SealedTable, Sidecar


async def restore(store: Store, row: RowIs) -> bool:
    """Write a damaged row anew, unless it is another one by now.

    Returns False where nothing says what it was, or there is no room for it now.
    """
    table = store.tables[row.table]
    try:
        if isinstance(table, SealedTable):
            return await _put_back(store, table, row) or await _from_sidecar(store, table, row)
        if row.table == USAGE.name:
            return await _forget_count(store, row)
        return row.table == CURRENT.name and await _listed(store, row)
    except (BlobError, Damaged, NewerFormat, UnicodeDecodeError):  # out of reach, or what it is made of is damaged too
        return False
    except IndexFull:  # what comes behind it need not wait
        return False


# --- its key is damaged


async def _put_back(store: Store, table: SealedTable[Any, ...], row: RowIs) -> bool:
    """Put a row where it belongs, unless that is taken. Returns False where nothing proves that it belongs anywhere."""
    if row.value is None:
        return False
    try:
        record = table.peek(row.value)
        key = await _own_key(store, table, record)
        if key is None or key == row.key:
            return False
        table.decode(key, row.value)
        changes, expect = await _comes_back(store, record, row.key) if table is VERSIONS else ([], [])
        moved: list[Change] = [table.drop(row.key), Put(row.table, key, row.value)]
        await store.index.commit([*moved, *changes], [row, RowIs(row.table, key, None), *_beside(expect, row.key)])
    except (BlobError, Conflict, Damaged, NewerFormat, ValueError):
        return False
    return True


async def _own_key(store: Store, table: SealedTable[Any, ...], record: Any) -> bytes | None:
    """Return the key that a row says it has; what stands beside its record is known from the sidecar alone."""
    if not table.beside:
        return table.key_of(record)
    told = store.tables.read_sidecar(await store.blobs.read_sidecar(record.blob))
    return told._replace(record=record).key if told.table is table else None


def _beside(expect: Iterable[Expect], key: bytes) -> Iterator[Expect]:
    """Yield expectations of which none is of the row with a damaged key: that may lie among its own."""
    for it in expect:
        if isinstance(it, RangeEmpty) and it.table == VERSIONS.name and it.start <= key < it.stop:
            yield VERSIONS.empty(it.start, key)
            yield VERSIONS.empty(keys.after(key), it.stop)
        else:
            yield it


async def _comes_back(store: Store, version: Version, damaged: bytes) -> tuple[list[Change], list[Expect]]:
    """A version may be the newest again, which listings show; but it must not come back if it was replaced meanwhile.

    One with an id of its own is replaced by nothing. Of a null version it is known only where nothing else is there and
    listings still show it.

    Args:
        damaged: the key that it has now, which may be one of its key's.
    """
    rows = await VERSIONS.rows(store.index, *keys.versions_range(version.bucket, version.key), 2)
    newest = next((store.hold(VERSIONS, *row) for row in rows if row[0] != damaged), None)
    entry = CURRENT.show(version)
    if version.id == NULL_VERSION:
        if newest or not isinstance(entry, Put):
            raise Damaged("a null version may have been replaced")
        return [], [CURRENT.expect(entry.key, entry.value), *VERSIONS.newest(version.bucket, version.key, None)]
    if newest and newest.record.sequence > version.sequence:
        return [], []
    return [entry], VERSIONS.newest(version.bucket, version.key, newest)


# --- its value is damaged


async def _listed(store: Store, row: RowIs) -> bool:
    """What a listing shows is made of the newest version."""
    bucket, key = CURRENT.split(row.key)
    newest = next(iter(await store.newest(bucket, key)), None)
    change = CURRENT.show(newest.record) if newest else CURRENT.drop(row.key)
    await _write(store, row, [change], VERSIONS.newest(bucket, key, newest))
    return True


async def _from_sidecar(store: Store, table: SealedTable[Any, ...], row: RowIs) -> bool:
    """Everything else stands in a sidecar at the row's home; of several the one that was made last holds."""
    home = await table.home_of(store.index, row.key)
    found: list[Sidecar] = []
    if home is not None:
        found = [told async for told in _sealed_at(store, home) if told.table is table and told.key == row.key]
    if not found:
        return False
    put = max(found, key=lambda told: told.made_ns).row()
    assert put is not None, "its key is that of the row"
    await _write(store, row, [put, COUNTED.drop()], [])  # it may be later than what was counted
    return True


async def _forget_count(store: Store, row: RowIs) -> bool:
    """What a bucket or an owner holds is counted at the next start."""
    await _write(store, row, [USAGE.drop(row.key), COUNTED.drop()], [])
    return True


async def _write(store: Store, row: RowIs, changes: list[Change], expect: list[Expect]) -> None:
    with suppress(Conflict):  # it is another one by now
        await store.index.commit(changes, [row, *expect])


async def _sealed_at(store: Store, home: str) -> AsyncIterator[Sidecar]:
    """Yield the sidecars of all blobs at a home that are no garbage."""
    async for ref, content, *_ in store.blobs.scan(mint(home, "")):
        if home_of(ref.id) != home:
            return
        if await store.index.get(GARBAGE.name, GARBAGE.key(ref.id)) is None:
            with suppress(ValueError):
                yield store.tables.read_sidecar(content).at(ref)
