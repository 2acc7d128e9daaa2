"""Any other server of S3: it gives ids of its own, so that replicas carry the version id of their source as metadata.

Before a version is sent the newest one there is looked at: what it carries says whether the version came already, which
a kill may have left unknown. Versions come in the order of the source because those of a key are sent one after the
other; none is put on top of a later one.
"""

from msgspec.structs import replace

from s3ish.errors import InvalidArgument
from s3ish.jobs.destination import REPLICA_GONE, Refused
from s3ish.model import Bucket, Version
from s3ish.objects import versions
from s3ish.objects.get import Replaced
from s3ish.objects.replica import encodings_of
from s3ish.objects.replication import ReplicationRule, was_replicated
from s3ish.objects.store import Store
from s3ish.peers.amendment import amend
from s3ish.peers.client import Client, check
from s3ish.peers.headers import new_object
from s3ish.peers.unfinished import Unfinished
from s3ish.peers.upload import put_in_parts, put_whole, spans_of
from s3ish.tables.catalogue import SENDINGS

MARK = "x-amz-meta-s3ish-version-id"
"""The metadata that says which version a replica is of."""
_LONGEST_BYTES = 64 * 1024 * 1024
"""What is sent in one request; of what is longer the parts are as long."""
_LATER_VERSIONS = 100
"""How many versions are looked at that may have been sent after one that changes."""
_COMMON = ("CRC32", "CRC32C", "SHA1", "SHA256")
"""Checksums that every server knows; the SHA-256 of each request is signed in any case."""


class OtherPeer:
    """Replicates into a bucket of a server that may be any.

    Args:
        store: the engines of this server.
        client: sends requests to the bucket.
        arn: what rules call it.
    """

    def __init__(self, store: Store, client: Client, arn: str) -> None:
        self._store, self._client = store, client
        self._unfinished = Unfinished(store, client, arn)

    async def tidy(self) -> None:
        """See ``Peer``."""
        await self._unfinished.sweep()

    async def replicate(self, bucket: Bucket, version: Version, rule: ReplicationRule) -> None:  # noqa: ARG002
        """See ``Destination``."""
        newest = await self._client.call("HEAD", version.key)
        if newest.status != 404:
            check(newest)
        found = newest.headers.get(MARK, "")
        hidden = newest.status == 404 and not version.marker and await self._is_covered(version, rule)
        if hidden or _sequence(found) > version.sequence:
            raise Refused("a later version is there already, and an older one cannot be put below it")
        if version.marker:
            if newest.status != 404:
                check(await self._client.call("DELETE", version.key))
        elif found == version.id:
            there = newest.headers.get("x-amz-version-id", "")
            amended = bool(version.revision)  # since it was sent, perhaps
            if amended and not await amend(self._client, version, there, self._store.clock.service_ns()):
                raise Refused("tags cannot be changed there")
        elif was_replicated(version):
            raise Refused("the replica was removed, and is not made again as its source changes", REPLICA_GONE)
        else:
            try:
                await self._send(version, rule)
            except Replaced:
                return  # there is nothing to replicate any more

    async def _is_covered(self, version: Version, rule: ReplicationRule) -> bool:
        """Whether a later version of the key was sent: where nothing is shown then, a delete marker is on top."""
        for held in await self._store.newest(version.bucket, version.key, _LATER_VERSIONS):
            later = held.record
            if later.sequence <= version.sequence:
                break
            of = rule.destination, later.sequence, later.bucket, later.key
            follows = rule.is_about(later) and later.replication in ("COMPLETED", "PENDING")
            if follows and await self._store.get(SENDINGS, *of) is None:
                return True
        return False

    async def _send(self, version: Version, rule: ReplicationRule) -> None:
        if version.checksum and version.checksum.algorithm not in _COMMON:
            version = replace(version, checksum=None)
        headers = {**new_object(version, rule, self._store.clock.service_ns()), MARK: version.id}
        encodings, spans = await encodings_of(self._store, version), spans_of(version, _LONGEST_BYTES)
        if spans:
            await put_in_parts(self._store, self._client, version, spans, encodings, headers, {}, self._unfinished)
        else:
            await put_whole(self._store, self._client, version, encodings, headers)


def _sequence(version_id: str) -> int:
    """Return the sequence in a version id, 0 if it is none of ours: then what is there came another way."""
    try:
        return versions.sequence_of(version_id)
    except InvalidArgument:
        return 0
