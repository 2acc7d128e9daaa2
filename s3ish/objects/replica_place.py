"""The place of a replica: among the versions of its key by its sequence, not by when it comes.

So it may come to lie below newer ones, and it is made once, however often that is tried.
"""

from s3ish.blob.protocol import BlobWriter
from s3ish.errors import InvalidRequest
from s3ish.index.protocol import Change, Expect, RowIs
from s3ish.model import NULL_VERSION, Usage, Version
from s3ish.objects.consequences import Cause, Happening, Shown
from s3ish.objects.put import still_expected
from s3ish.objects.replication import JOB
from s3ish.objects.store import Conflicted, Store, attempts
from s3ish.tables.catalogue import INLINE, NULLS, USAGE, VERSIONS
from s3ish.tables.table import Held

_CAUSE = Cause(job=JOB)


async def publish_replica(
    store: Store,
    draft: Version,
    writer: BlobWriter,
    changes: tuple[Change, ...] = (),
    expect: tuple[RowIs, ...] = (),
    beside: Usage | None = None,
) -> Version:
    """Seal a finished blob as a replica and commit it.

    Args:
        draft: the replica.
        writer: its finished blob.
        changes, expect: what shall happen, and must be true, in the same commit.
        beside: how much these changes add to what the bucket holds.

    Raises:
        NoSuchBucket: it is gone.
        InvalidRequest: the bucket keeps no versions.
        QuotaExceeded: the bucket or its owner would hold too much.
        Conflicted: the replica is there by now, or ``expect`` no longer holds.
    """
    async with store.turn(draft.bucket, draft.key), store.provisional(draft.blob):
        for _ in attempts():
            bucket = await store.bucket(draft.bucket)
            if bucket.record.versioning != "Enabled":
                raise InvalidRequest("Replicas need a bucket that keeps versions.")
            if await store.get(VERSIONS, draft.bucket, draft.key, draft.sequence) is not None:
                raise Conflicted
            newest = next(iter(await store.newest(draft.bucket, draft.key)), None)
            shown, around, unchanged = _place(draft, newest)
            happening = Happening(bucket.record, None, draft, _CAUSE, shown)
            more = happening.usage + beside if beside else happening.usage
            room = await store.quotas.check(store.index, bucket.record, more)
            inline = await writer.seal(VERSIONS.seal(draft))
            committed = await store.commit(
                [
                    happening,
                    *around,
                    *INLINE.keep(draft.blob, inline),
                    *(USAGE.add(bucket.record, beside) if beside else ()),
                    *changes,
                ],
                [bucket.row, *unchanged, *expect, *room],
            )
            if committed:
                return draft
            await still_expected(store, expect)
    raise AssertionError  # attempts() raises before


def _place(replica: Version, newest: Held[Version] | None) -> tuple[Shown | None, list[Change], list[Expect]]:
    """Return what listings show, what changes beside that, and what must be so.

    Args:
        newest: the newest version of its key.
    """
    if newest is not None and newest.record.sequence > replica.sequence:
        own = VERSIONS.key(replica.bucket, replica.key, replica.sequence)
        return None, [], [VERSIONS.expect(own, None), newest.row]  # while that is there, listings show no replica
    top = newest.record if newest else None
    covered: list[Change] = [NULLS.cover(top)] if top and top.id == NULL_VERSION else []
    return (top, replica), covered, VERSIONS.newest(replica.bucket, replica.key, newest)
