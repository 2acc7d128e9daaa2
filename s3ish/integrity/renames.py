"""Objects that a rebuild of the index finds under two names, because a crash cut off a rename.

The new version names the old one. So one of the two goes: the old one, unless that shows that the rename was not
committed. It does if it was amended later: a commit takes it away together with its row. What the old one had taken the
place of before goes with it: there are no other versions where objects are renamed.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from s3ish.integrity.blind_spots import BlindSpots
from s3ish.model import Garbage, Version
from s3ish.objects.store import Store
from s3ish.objects.unreachable import blobs_of, drop_blobs
from s3ish.tables import keys
from s3ish.tables.catalogue import VERSIONS
from s3ish.tables.table import Held

_BATCH = 500

IsWhole = Callable[[Store, Version], Awaitable[bool]]


async def settle_renames(store: Store, found: Counter[str], gaps: BlindSpots, is_whole: IsWhole) -> None:
    """Take one of two versions away wherever one is the other renamed; they are garbage then.

    Args:
        store: the engines; the index has the rows of all sidecars that were found.
        found: counts those that go as orphans.
        gaps: what could not be read, and of which nothing is removed.
        is_whole: whether a version that would take another one's place can be read.
    """
    stale = {}
    async for new, old in _pairs(store):  # all are looked at before any goes: one may have been renamed twice
        late = old.record.revision > new.record.sequence
        goes = new if late or not await is_whole(store, new.record) else old
        stale[goes.key] = goes
    for held in stale.values():
        found["orphans"] += 1
        garbage = [Garbage(ref) for ref in blobs_of(held.record) if not gaps.cover(ref.id)]
        await store.index.commit([VERSIONS.drop(held.key), *drop_blobs(garbage)])


async def _pairs(store: Store) -> AsyncIterator[tuple[Held[Version], Held[Version]]]:
    """Yield each version that was made by a rename with those that it was, as far as they are there as well."""
    start = b""
    while rows := await VERSIONS.rows(store.index, start, keys.END, _BATCH):
        for version, (key, value) in zip(store.decode_rows(VERSIONS, rows), rows, strict=True):
            origin = version.origin
            if origin:
                first = VERSIONS.key(version.bucket, origin.key, origin.sequence)
                _, end = keys.versions_range(version.bucket, origin.key)
                for old in await VERSIONS.rows(store.index, first, end, _BATCH):
                    yield Held(VERSIONS.name, version, key, value), store.hold(VERSIONS, *old)
        start = keys.after(rows[-1][0])
