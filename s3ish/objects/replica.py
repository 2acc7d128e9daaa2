"""Making a replica: a version of another bucket, with the id, the sequence and the time of its source.

It takes its place among the versions of the key by its sequence, not by when it comes: so it may come to lie below
newer ones, and it is made once, however often that is tried.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec.structs import replace

from s3ish.blob.protocol import BlobWriter
from s3ish.errors import NoSuchVersion, SlowDown
from s3ish.index.protocol import Change
from s3ish.model import Attributes, Owner, Version
from s3ish.objects import annotations, copy, lock, named_keys, versions
from s3ish.objects.consequences import Cause
from s3ish.objects.encodings import named
from s3ish.objects.encodings.chain import Encodings, Links
from s3ish.objects.encodings.named import NamedKey
from s3ish.objects.replica_place import publish_replica
from s3ish.objects.replication import JOB, REPLICA, was_replicated
from s3ish.objects.store import Conflicted, Store, translated
from s3ish.tables.catalogue import VERSIONS

_CAUSE = Cause(job=JOB)


class Given(NamedTuple):
    """What a replica gets where it is made: its attributes, and the links under which it is stored, with their keys.

    Without ``links`` it is stored as its source is.
    """

    attributes: Attributes
    links: Links | None = None
    keys: tuple[NamedKey, ...] = ()


async def replicate_here(
    store: Store,
    source: Version,
    bucket: str,
    owner: Owner,
    attributes: Attributes,
    give: Callable[[], Awaitable[Given]],
) -> Version:
    """Have another bucket of this server have a replica of a version, or have the replica say what the version says.

    Args:
        source: the version, or delete marker.
        bucket: the destination, which keeps versions.
        owner: whose the replica is.
        attributes: those of the replica, if it is there.
        give: returns what it gets if it is not.

    Raises:
        NoSuchBucket: it is not there.
        Replaced: the source was removed.
        NoSuchVersion: the replica was removed, and the source has changed alone.
        S3Error: the engines failed.
    """
    with translated():
        held = await store.get(VERSIONS, bucket, source.key, source.sequence)
        if held is not None:
            return await _annotate(store, source, await _amend(store, held.record, attributes))
        if was_replicated(source):
            raise NoSuchVersion(Key=source.key, VersionId=source.id)
        given = Given(attributes) if source.marker else await give()
        draft = replace(
            source,
            bucket=bucket,
            owner=owner,
            attributes=given.attributes,
            upload="",
            replication=REPLICA,
            replicated=False,
            revision=0,
            restore=None,
            origin=None,
        )

        async def commit(copied: Version, writer: BlobWriter, rows: tuple[Change, ...]) -> Version:
            return await publish_replica(store, replace(copied, etag=source.etag), writer, rows)

        try:
            if source.marker:
                async with store.blobs.create(f"{bucket}/{source.key}", 0) as writer:
                    return await commit(replace(draft, blob=await writer.finish()), writer, ())
            links = source.encoding if given.links is None else given.links
            encodings = (await encodings_of(store, source, *given.keys)).asked_for(links)
            return await copy.copy_bytes(store, source, draft, commit, encodings)
        except Conflicted:
            held = await store.get(VERSIONS, bucket, source.key, source.sequence)
            if held is None:  # it was made, and removed at once
                raise SlowDown from None
            return held.record


async def encodings_of(store: Store, source: Version, *others: NamedKey) -> Encodings:
    """Return the encodings of a version, and of other named keys. Raises S3Error: a key may not be used."""
    keys = [*others, *[await named_keys.usable(store, key_id) for key_id in named.key_ids(source.encoding)]]
    if not keys:
        return store.encodings
    return store.encodings.having({named.NAME: named.codec_of(keys, store.clock.random_bytes)})


async def _annotate(store: Store, source: Version, replica: Version) -> Version:
    """Have a replica have the annotations of its source, and no others."""
    where = replica.bucket, replica.key, replica.id
    there = {one.name: one.part.etag for one in replica.annotations}
    missing = [one for one in source.annotations if there.pop(one.name, None) != one.part.etag]
    if missing:
        encodings = await encodings_of(store, source)
        given = await encodings_of(store, replica)
        for one in missing:
            text = annotations.Held(await annotations.text_of(store, source, one, encodings), one.part)
            replica, _ = await annotations.put_annotation(
                store, replica, replica.id, one.name, text, encodings=given, cause=_CAUSE
            )
    for name in there:
        replica = await annotations.delete_annotation(store, *where, name, cause=_CAUSE)
    return replica


async def _amend(store: Store, replica: Version, attributes: Attributes) -> Version:
    """Have a replica say what its source says by now of what may change; its class and its encryption are its own."""
    now_ns = store.clock.service_ns()

    def change(version: Version) -> Version:
        own = version.attributes
        kept = lock.no_looser(own.lock, attributes.lock, now_ns)
        return replace(version, attributes=replace(own, tags=attributes.tags, acl=attributes.acl, lock=kept))

    if replica.marker or change(replica) == replica:
        return replica
    return await versions.amend_version(store, replica.bucket, replica.key, replica.id, change, cause=_CAUSE)
