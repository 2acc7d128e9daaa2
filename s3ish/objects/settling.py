"""Carrying out what amendments that were cut off, and restores, have left: intents, of which each says that a sidecar
may be behind its row.

A few sidecars are written each for itself; of many, those whose rows stay as they are meanwhile are written together,
with a few flushes for all.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import structlog

from s3ish.blob.protocol import Amendment, BlobError, Corrupt, Missing, OutOfReach
from s3ish.index.protocol import Damaged, RowIs
from s3ish.model import Intent
from s3ish.objects.amend import amendment_of, write_sidecar
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import INTENTS
from s3ish.tables.table import Held

log = structlog.get_logger()

_READ_AT_ONCE = 2000
_SINGLY_AT_ONCE = 32
_FEW = 32
"""Up to so many are written each for itself."""
_TOGETHER, _TOGETHER_BYTES = 2000, 8 << 20
"""So many are written together, or so many bytes of small blobs."""


async def settle_all(store: Store, ended: Callable[[str, Intent], bool]) -> int:
    """Settle the amendments that were cut off, as far as that can be done.

    Args:
        ended: whether no living process works on one, given its token and the intent.

    Returns:
        How many are left because a volume or the index refused.

    Raises:
        Unavailable: the index cannot be read or written.
    """
    start, left = b"", 0
    while rows := await INTENTS.rows(store.index, start, keys.END, _READ_AT_ONCE):
        some: list[Held[Intent]] = []
        for key, value in rows:
            try:
                held = INTENTS.hold(key, value)
                if ended(INTENTS.split(key)[1], held.record):
                    some.append(held)
            except Damaged as error:
                left += 1
                _tell(key, error)
        for key, failure in await settle_each(store, some):
            left += 1
            _tell(key, failure)
        start = keys.after(rows[-1][0])
    await store.settle()
    return left


def _tell(key: bytes, error: Exception) -> None:
    log.error("an amendment that was cut off cannot be settled yet", intent=str(key), error=str(error))


async def settle_each(store: Store, intents: Sequence[Held[Intent]]) -> list[tuple[bytes, BlobError | Damaged]]:
    """Settle some intents; return the keys of those that stay, and why. Raises Unavailable."""
    failures: list[tuple[bytes, BlobError | Damaged]] = []
    for some in _groups(intents):
        singly = some if len(some) <= _FEW else await _settle_together(store, some)
        for start in range(0, len(singly), _SINGLY_AT_ONCE):
            few = singly[start : start + _SINGLY_AT_ONCE]
            outcomes = await asyncio.gather(*(settle(store, left) for left in few), return_exceptions=True)
            for left, outcome in zip(few, outcomes, strict=True):
                if isinstance(outcome, BlobError | Damaged):
                    failures.append((left.key, outcome))
                elif isinstance(outcome, BaseException):
                    raise outcome
    return failures


def _groups(intents: Sequence[Held[Intent]]) -> Iterator[list[Held[Intent]]]:
    """Yield those that are written together: no blob twice, and no more than may be in memory."""
    some: dict[str, Held[Intent]] = {}
    size = 0
    for left in intents:
        ref = left.record.ref
        if ref.id in some or len(some) == _TOGETHER or size > _TOGETHER_BYTES:
            yield list(some.values())
            some, size = {}, 0
        some[ref.id] = left
        size += ref.size if ref.inline else 0
    if some:
        yield list(some.values())


async def settle(store: Store, left: Held[Intent]) -> None:
    """Have the sidecar of an amendment that was cut off say what the row says, and forget the intent.

    Raises:
        BlobError: the sidecar cannot be written; the intent stays.
        Damaged, Unavailable: the row cannot be read; the intent stays.
    """
    intent = left.record
    table = store.tables.sealed_table(intent.table)
    try:
        await write_sidecar(store, table, intent.row, intent.ref)  # it may have been removed, and brought back since
    except (Missing, Corrupt) as error:
        if isinstance(error, OutOfReach):
            raise
        log.error("the sidecar of an amended record is lost", blob=intent.ref.id, error=str(error))
    store.later(INTENTS.drop(left.key))


async def _settle_together(store: Store, intents: Sequence[Held[Intent]]) -> list[Held[Intent]]:
    """Write sidecars together; return the intents of those for which that could not be done."""
    await asyncio.sleep(0)  # what is read in this turn may be older than what this process has done in it
    found = [await _amendment(store, left.record) for left in intents]
    outcomes = iter(await store.blobs.amend_all([it[0] for it in found if it]))
    done = [it is not None and next(outcomes) is None for it in found]
    await asyncio.sleep(0)
    singly = []
    for left, it, is_done in zip(intents, found, done, strict=True):
        if it and is_done and await store.index.get(it[1].table, it[1].key) == it[1].value:
            store.later(INTENTS.drop(left.key))
        else:
            singly.append(left)
    return singly


async def _amendment(store: Store, intent: Intent) -> tuple[Amendment, RowIs] | None:
    """Return what a sidecar must say now, and the row that says so; None where there is none that can be read."""
    ref, table = intent.ref, store.tables.sealed_table(intent.table)
    value = await store.index.get(table.name, intent.row)
    if value is None:
        return None
    try:
        held = store.hold(table, intent.row, value)
        amendment = await amendment_of(store, table, held, ref)
    except Damaged:
        return None
    return amendment and (amendment, held.row)
