"""Making a replica: a version of another bucket, with the id, the sequence and the time of its source.

It takes its place among the versions of the key by its sequence, not by when it comes: so it may come to lie below
newer ones, and it is made once, however often that is tried.
"""

from msgspec.structs import replace

from s3ish.blob.protocol import BlobWriter
from s3ish.errors import SlowDown
from s3ish.index.protocol import Change, Expect
from s3ish.model import NULL_VERSION, Attributes, Owner, Usage, Version
from s3ish.objects import copy, lock, named_keys, usage, versions
from s3ish.objects.consequences import Cause
from s3ish.objects.encodings import named
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.replication import JOB, REPLICA
from s3ish.objects.store import Conflicted, Store, attempts, translated
from s3ish.tables.catalog import CURRENT, INLINE, NULLS, USAGE, VERSIONS
from s3ish.tables.table import Held

_CAUSE = Cause(job=JOB)


async def replicate_here(store: Store, source: Version, bucket: str, owner: Owner, attributes: Attributes) -> Version:
    """Have another bucket of this server have a replica of a version, or have the replica say what the version says.

    Args:
        source: the version, or delete marker.
        bucket: the destination, which keeps versions.
        owner: whose the replica is.
        attributes: those of the replica.

    Raises:
        NoSuchBucket: it is not there.
        Replaced: the source was removed.
        S3Error: the engines failed.
    """
    with translated():
        held = await store.get(VERSIONS, bucket, source.key, source.sequence)
        if held is not None:
            return await _amend(store, held.record, attributes)
        draft = replace(
            source,
            bucket=bucket,
            owner=owner,
            attributes=attributes,
            upload="",
            replication=REPLICA,
            revision=0,
            restore=None,
            origin=None,
        )

        async def commit(copied: Version, writer: BlobWriter, rows: tuple[Change, ...]) -> Version:
            return await _publish(store, replace(copied, etag=source.etag), writer, rows)

        try:
            if source.marker:
                async with store.blobs.create(f"{bucket}/{source.key}", 0) as writer:
                    return await commit(replace(draft, blob=await writer.finish()), writer, ())
            encodings = (await _encodings(store, source)).asked_for(source.encoding)
            return await copy.copy_bytes(store, source, draft, commit, encodings)
        except Conflicted:
            held = await store.get(VERSIONS, bucket, source.key, source.sequence)
            if held is None:  # it was made, and removed at once
                raise SlowDown from None
            return held.record


async def _encodings(store: Store, source: Version) -> Encodings:
    """Return the encodings of a version and its replica. Raises S3Error: a key may not be used."""
    keys = [await named_keys.usable(store, key_id) for key_id in named.key_ids(source.encoding)]
    if not keys:
        return store.encodings
    return store.encodings.having({named.NAME: named.codec_of(keys, store.clock.random_bytes)})


async def _amend(store: Store, replica: Version, attributes: Attributes) -> Version:
    if replica.attributes == attributes or replica.marker:
        return replica
    now_ns = store.clock.service_ns()

    def change(version: Version) -> Version:
        kept = lock.no_looser(version.attributes.lock, attributes.lock, now_ns)
        return replace(version, attributes=replace(attributes, lock=kept))

    return await versions.amend_version(store, replica.bucket, replica.key, replica.id, change, cause=_CAUSE)


async def _publish(store: Store, draft: Version, writer: BlobWriter, rows: tuple[Change, ...]) -> Version:
    """Seal a finished blob as a replica and commit it.

    Args:
        draft: the replica.
        writer: its finished blob.
        rows: what else shall be in the commit.

    Raises:
        NoSuchBucket: it is gone.
        QuotaExceeded: the bucket or its owner would hold too much.
        Conflicted: the replica is there by now.
    """
    async with store.turn(draft.bucket, draft.key), store.provisional(draft.blob):
        for _ in attempts():
            bucket = await store.bucket(draft.bucket)
            if await store.get(VERSIONS, draft.bucket, draft.key, draft.sequence) is not None:
                raise Conflicted
            newest = next(iter(await store.newest(draft.bucket, draft.key)), None)
            changes, expect, shown = _place(draft, newest)
            more = usage.of_version(draft) + shown
            room = await store.quotas.check(store.index, bucket.record, more)
            inline = await writer.seal(VERSIONS.seal(draft))
            committed = await store.commit(
                [
                    *changes,
                    VERSIONS.put(draft),
                    *INLINE.keep(draft.blob, inline),
                    *store.consequences.rows(bucket.record, None, draft, _CAUSE),
                    *USAGE.add(bucket.record, more),
                    *rows,
                ],
                [bucket.row, *expect, *room],
            )
            if committed:
                return draft
    raise AssertionError  # attempts() raises before


def _place(replica: Version, newest: Held[Version] | None) -> tuple[list[Change], list[Expect], Usage]:
    """Return what changes beside a replica's row, what must be so, and what listings show more of.

    Args:
        newest: the newest version of its key.
    """
    if newest is not None and newest.record.sequence > replica.sequence:
        own = VERSIONS.key(replica.bucket, replica.key, replica.sequence)
        return [], [VERSIONS.expect(own, None), newest.row], Usage()  # while that is there, listings show no replica
    changes: list[Change] = [CURRENT.show(replica)]
    if newest is not None and newest.record.id == NULL_VERSION:
        changes.append(NULLS.cover(newest.record))
    shown = usage.of_key(newest.record if newest else None, replica)
    return changes, VERSIONS.newest(replica.bucket, replica.key, newest), shown
