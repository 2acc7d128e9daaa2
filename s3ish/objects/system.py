"""Records that belong to no bucket, and change one at a time, in one order for all processes.

Every change raises one mark in the same commit, and requires it as the caller saw it. So a caller that has read all
records decides on all of them, and no two decide on the same state; and a process that keeps them in memory asks for
the mark alone to learn whether they are still the same.
"""

from msgspec.structs import replace

from s3ish.index.protocol import Damaged, Put
from s3ish.model import Garbage, SystemRecord
from s3ish.objects.amend import amend_once
from s3ish.objects.store import Conflicted, Store, attempts, translated
from s3ish.objects.unreachable import drop_blobs
from s3ish.tables import keys
from s3ish.tables.catalogue import SYSTEM
from s3ish.tables.state import SYSTEM_MARK
from s3ish.tables.table import Held

_READ_AT_ONCE = 1000


async def seen(store: Store) -> bytes | None:
    """Return the mark: another one means that records have changed. Raises S3Error."""
    with translated():
        return await SYSTEM_MARK.value(store.index)


async def read_all(store: Store, prefix: str) -> tuple[list[Held[SystemRecord]], bool]:
    """Return the records whose names begin with a text, by name, and whether they are all: none was damaged.

    Raises:
        S3Error: the index cannot be read.
    """
    with translated():
        start, stop = keys.prefix_range(SYSTEM.key(prefix))
        found: list[Held[SystemRecord]] = []
        complete = True
        while rows := await SYSTEM.rows(store.index, start, stop, _READ_AT_ONCE):
            for key, value in rows:
                try:
                    found.append(store.hold(SYSTEM, key, value))
                except Damaged:
                    complete = False
            start = keys.after(rows[-1][0])
        return found, complete


async def create(store: Store, name: str, document: str, mark: bytes | None) -> bool:
    """Make a record; tell whether it was done, and not overtaken by another change.

    Args:
        mark: as the caller saw it.

    Raises:
        S3Error: the engines failed.
    """
    with translated():
        async with store.blobs.create(SYSTEM.home(name), 0) as writer:
            record = SystemRecord(
                name=name, created_ns=store.clock.service_ns(), blob=await writer.finish(), document=document
            )
            try:
                async with store.provisional(record.blob):
                    await writer.seal(SYSTEM.seal(record))
                    changes = [SYSTEM.put(record), _next(store)]
                    if not await store.commit(changes, [SYSTEM.absent(name), SYSTEM_MARK.expect(mark)]):
                        raise Conflicted
            except Conflicted:
                return False
            return True


async def change(store: Store, held: Held[SystemRecord], document: str, mark: bytes | None) -> bool:
    """Give a record another document; see ``create``."""
    with translated():
        wanted = replace(held.record, document=document, revision=store.clock.sequence(held.record.revision))
        return bool(await amend_once(store, SYSTEM, held, wanted, [_next(store)], [SYSTEM_MARK.expect(mark)]))


async def remove(store: Store, held: Held[SystemRecord], mark: bytes | None) -> bool:
    """Remove a record; see ``create``."""
    with translated():
        garbage = [Garbage(held.record.blob)]
        changes = [SYSTEM.drop(held.key), _next(store), *drop_blobs(garbage)]
        if not await store.commit(changes, [held.row, SYSTEM_MARK.expect(mark)]):
            return False
        await store.discard(garbage)
        return True


def _next(store: Store) -> Put:
    return SYSTEM_MARK.put(store.clock.token().encode())


async def ensure(store: Store, name: str, document: str) -> bool:
    """Make a record unless there is one of this name; tell whether it was made. Raises S3Error."""
    for _ in attempts():
        mark = await seen(store)
        if await store.get(SYSTEM, name):
            return False
        if await create(store, name, document, mark):
            return True
    raise AssertionError  # attempts() raises before


async def forget(store: Store, name: str) -> None:
    """Remove a record, if there is one of this name. Raises S3Error."""
    for _ in attempts():
        mark = await seen(store)
        held = await store.get(SYSTEM, name)
        if held is None or await remove(store, held, mark):
            return
    raise AssertionError  # attempts() raises before
