"""Replicas that come from another server: they keep the id, and with it the place, of their source.

A version that is there already stays as it is, so that a sender may try as often as it likes.
"""

import base64
import re

from msgspec import Struct
from msgspec.structs import replace

from s3ish.clock import Clock
from s3ish.errors import InvalidArgument, InvalidRequest, SlowDown
from s3ish.model import Attributes, Owner, Version
from s3ish.objects import versions
from s3ish.objects.encodings.chain import Encodings, Links
from s3ish.objects.ingest import Source
from s3ish.objects.put import refuse_early, take_in
from s3ish.objects.replica_place import publish_replica
from s3ish.objects.replication import REPLICA
from s3ish.objects.store import Conflicted, Store, translated
from s3ish.tables.catalogue import VERSIONS

_AHEAD_NS = 86_400 * 1_000_000_000
"""By how much the clock of a sender may be ahead: later versions of the key come after what it sends."""
_LONGEST_NS = 2**62
_ETAG = re.compile(r"[0-9a-f]{32}(-[1-9][0-9]{0,4})?")


class Identity(Struct, frozen=True):
    """What a replica has in common with its source: id, sequence, time, ETag, and that it was appended to.

    ``owner`` is whose it is, None for that of who sends it.
    """

    id: str
    sequence: int
    modified_ns: int
    etag: str = ""
    appends: int = 0
    owner: Owner | None = None

    def of(self, version: Version) -> Version:
        """Return a version with this identity, as a replica."""
        return replace(
            version,
            id=self.id,
            sequence=self.sequence,
            modified_ns=self.modified_ns,
            etag=self.etag or version.etag,
            appends=self.appends,
            owner=self.owner or version.owner,
            replication=REPLICA,
        )


def read_identity(
    clock: Clock, version_id: str, modified_ns: int | None, etag: str, appends: int, owner: Owner | None = None
) -> Identity:
    """Return the identity that a sender gives. Raises InvalidArgument: it can be none."""
    sequence = versions.sequence_of(version_id)
    own_form = base64.b32encode(base64.b32decode(version_id, casefold=True)).decode().lower()
    if version_id != own_form or not 0 < sequence <= clock.now_ns() + _AHEAD_NS:
        raise InvalidArgument("The version id is none, or too far in the future.", ArgumentName="x-s3ish-replica")
    if modified_ns is None or not 0 <= modified_ns < _LONGEST_NS:
        raise InvalidArgument("The time of the replica is missing or wrong.", ArgumentName="x-s3ish-replica-modified")
    if (etag and not _ETAG.fullmatch(etag)) or not 0 <= appends < _LONGEST_NS:
        raise InvalidArgument("The ETag of the replica is none.", ArgumentName="x-s3ish-replica-etag")
    return Identity(version_id, sequence, modified_ns, etag, appends, owner)


async def arrived(store: Store, bucket: str, key: str, identity: Identity) -> Version | None:
    """Return the version that has the identity, None if there is none.

    Raises:
        InvalidRequest: the bucket keeps no versions, or another one has that place.
    """
    if (await store.bucket(bucket)).record.versioning != "Enabled":
        raise InvalidRequest("Replicas need a bucket that keeps versions.")
    held = await store.get(VERSIONS, bucket, key, identity.sequence)
    if held is not None and held.record.id != identity.id:
        raise InvalidRequest("Another version has the place of the replica.")
    return held.record if held else None


async def take_object(
    store: Store,
    bucket: str,
    key: str,
    source: Source,
    *,
    identity: Identity,
    owner: Owner,
    attributes: Attributes,
    encoding: Links | None = None,
    encodings: Encodings | None = None,
) -> Version:
    """Store a replica, unless it is there; see ``put_object``."""
    with translated():
        if there := await arrived(store, bucket, key, identity):
            return there
        await refuse_early(store, bucket, key, source.size)
        chain = (encodings or store.encodings).chain(encoding)
        async with store.create(bucket, key, source.size, chain) as writer:
            draft = await take_in(store, bucket, key, source, writer, chain, owner, attributes)
            try:
                return await publish_replica(store, identity.of(draft), writer)
            except Conflicted:
                return await _there(store, bucket, key, identity)


async def take_marker(store: Store, bucket: str, key: str, identity: Identity, owner: Owner) -> Version:
    """Store a replica of a delete marker, unless it is there."""
    with translated():
        if there := await arrived(store, bucket, key, identity):
            return there
        async with store.blobs.create(f"{bucket}/{key}", 0) as writer:
            ref = await writer.finish()
            draft = Version(
                bucket=bucket, key=key, id="", sequence=0, modified_ns=0, owner=owner, blob=ref, marker=True
            )
            try:
                return await publish_replica(store, identity.of(draft), writer)
            except Conflicted:
                return await _there(store, bucket, key, identity)


async def _there(store: Store, bucket: str, key: str, identity: Identity) -> Version:
    """Return what another request has stored meanwhile. Raises SlowDown: it was removed at once."""
    there = await arrived(store, bucket, key, identity)
    if there is None:
        raise SlowDown
    return there
