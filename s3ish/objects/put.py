"""Making versions: PutObject, and the publishing that every new version goes through.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
"""

from typing import NamedTuple

from msgspec.structs import replace

from s3ish.blob.protocol import BlobWriter
from s3ish.index.protocol import Change, Expect, RowIs
from s3ish.model import NULL_VERSION, Attributes, Bucket, Owner, Usage, Version
from s3ish.objects import usage, versions
from s3ish.objects.conditions import UNCONDITIONAL, Conditions, WriteConditions
from s3ish.objects.consequences import BY_SERVER, LIFECYCLE, Cause, Happening
from s3ish.objects.encodings.chain import Chain, Encodings, Links
from s3ish.objects.ingest import Source, ingest
from s3ish.objects.lock import check_removal
from s3ish.objects.quotas import LONG_BYTES
from s3ish.objects.store import Conflicted, Store, attempts, translated
from s3ish.objects.unreachable import garbage_of
from s3ish.tables.catalogue import INLINE, NULLS, USAGE, VERSIONS
from s3ish.tables.table import Held


class Publication(NamedTuple):
    """What one commit will do to make a version the newest of its key, and what it expects.

    ``changes`` are those of null versions.
    """

    happening: Happening
    version: Version
    changes: list[Change]
    expect: list[Expect]


async def plan(store: Store, bucket: Bucket, draft: Version, newest: Held[Version] | None, cause: Cause) -> Publication:
    """Decide id and sequence of a new version, and what it replaces, by the bucket's versioning state.

    Its sequence is greater than that of the draft; its time is the draft's, or now where that has none. What a
    lifecycle rule makes is not replicated: a delete marker.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/delete-marker-replication.html
    """
    sequence = store.clock.sequence(max(newest.record.sequence if newest else 0, draft.sequence))
    enabled = bucket.versioning == "Enabled"
    replicated = enabled and cause.job != LIFECYCLE and store.consequences.is_replicated(bucket, draft)
    version = replace(
        draft,
        sequence=sequence,
        id=versions.mint(sequence, store.clock) if enabled else NULL_VERSION,
        modified_ns=draft.modified_ns or store.clock.service_ns(),
        replication="PENDING" if replicated else "",
    )
    top, replaced = newest.record if newest else None, None
    changes: list[Change] = []
    expect = VERSIONS.newest(version.bucket, version.key, newest)
    if enabled:
        if top and top.id == NULL_VERSION:
            changes.append(NULLS.cover(top))
    elif old := await versions.find_null(store, version.bucket, version.key, newest):
        check_removal(old.record, store.clock.service_ns(), bypass=False)
        replaced = old.record
        if old is not newest:  # else it is the newest, which is expected anyway
            row = NULLS.covered(replaced)
            expect += [old.row, row]
            changes.append(NULLS.drop(row.key))
    return Publication(Happening(bucket, replaced, version, cause, shown=(top, version)), version, changes, expect)


async def publish(
    store: Store,
    draft: Version,
    writer: BlobWriter,
    conditions: Conditions = UNCONDITIONAL,
    changes: tuple[Change | Happening, ...] = (),
    expect: tuple[RowIs, ...] = (),
    cause: Cause = BY_SERVER,
    beside: Usage | None = None,
    *,
    carries: bool = False,
) -> Version:
    """Seal a finished blob as the newest version of its key and commit it.

    Args:
        draft: the version, without its id; see ``plan`` for its sequence and time.
        writer: its finished blob.
        conditions: what must be true of the key at that moment.
        changes, expect: what shall happen, and must be true, in the same commit.
        cause: why.
        beside: how much these changes add to what the bucket holds, but for happenings.
        carries: whether it has bytes of the version that it may replace; see ``Store.discard``.

    Returns:
        The version as published.

    Raises:
        NoSuchBucket, NoSuchKey, PreconditionFailed: the commit's moment has come and it may not be.
        QuotaExceeded: the bucket or its owner would hold too much.
        Conflicted: ``expect`` no longer holds.
    """
    async with store.turn(draft.bucket, draft.key), store.provisional(draft.blob):
        for _ in attempts():
            bucket = await store.bucket(draft.bucket)
            newest = next(iter(await store.newest(draft.bucket, draft.key)), None)
            conditions.check(newest.record if newest else None, draft.key)
            happening, version, nulls, unchanged = await plan(store, bucket.record, draft, newest, cause)
            more = happening.usage + beside if beside else happening.usage
            for change in changes:
                if isinstance(change, Happening):
                    more += change.usage
            room = await store.quotas.check(store.index, bucket.record, more)
            inline = await writer.seal(VERSIONS.seal(version))
            committed = await store.commit(
                [
                    *changes,  # what goes comes before what is made
                    happening,
                    *nulls,
                    *INLINE.keep(version.blob, inline),
                    *(USAGE.add(bucket.record, beside) if beside else ()),
                ],
                [bucket.row, *unchanged, *expect, *room],
            )
            if committed:
                # what it took over of that is durable
                made = garbage_of(version, happening.before) if carries and happening.garbage else None
                await store.discard(happening.garbage, after=made)
                return version
            await still_expected(store, expect)
    raise AssertionError  # attempts() raises before


async def refuse_early(store: Store, name: str, key: str, size: int | None) -> None:
    """Refuse what a quota leaves no room for before many bytes come; the commit decides. Raises QuotaExceeded."""
    if not size or size <= LONG_BYTES:
        return
    bucket = (await store.bucket(name)).record
    if bucket.versioning != "Suspended" and store.quotas.limit(bucket):
        newest = [] if bucket.versioning else await store.newest(name, key)
        more = Usage(bytes=size - sum(usage.bytes_of(held.record) for held in newest))
        await store.quotas.check(store.index, bucket, more)


async def still_expected(store: Store, expect: tuple[RowIs, ...]) -> None:
    """Raises Conflicted unless rows are as they are expected."""
    for expectation in expect:
        if await store.index.get(expectation.table, expectation.key) != expectation.value:
            raise Conflicted


async def take_in(
    store: Store,
    bucket: str,
    key: str,
    source: Source,
    writer: BlobWriter,
    chain: Chain,
    owner: Owner,
    attributes: Attributes,
) -> Version:
    """Write the bytes of a source; return the version that they become, without its id, sequence and time.

    Raises:
        S3Error: a broken body, a digest that does not match.
    """
    ref, digests, links, etag = await ingest(source, writer, store.offload, store.room, chain=chain)
    return Version(
        bucket=bucket,
        key=key,
        id="",
        sequence=0,
        modified_ns=0,
        owner=owner,
        blob=ref,
        size=digests.size,
        etag=etag,
        checksum=digests.checksum,
        attributes=attributes,
        encoding=links,
    )


async def put_object(
    store: Store,
    bucket: str,
    key: str,
    source: Source,
    *,
    owner: Owner,
    attributes: Attributes,
    conditions: WriteConditions = UNCONDITIONAL,
    encoding: Links | None = None,
    encodings: Encodings | None = None,
    cause: Cause = BY_SERVER,
) -> Version:
    """Store an object.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

    Args:
        attributes: what the client says of it.
        encoding: the links under which it is stored; the default ones if None.
        encodings: of a request that brings a key; the store's if None.
        cause: why.

    Raises:
        S3Error: a broken body, a digest that does not match, a condition that does not hold, no such bucket.
    """
    conditions.check_form()
    if conditions.any:  # refuse before the body is read; publish() looks again at the decisive moment
        newest = await store.newest(bucket, key)
        conditions.check(newest[0].record if newest else None, key)
    with translated():
        await refuse_early(store, bucket, key, source.size)
        chain = (encodings or store.encodings).chain(encoding)
        async with store.create(bucket, key, source.size, chain) as writer:
            draft = await take_in(store, bucket, key, source, writer, chain, owner, attributes)
            return await publish(store, draft, writer, conditions, cause=cause)
