"""Another s3ish: replicas there keep the version id of their source, so that a version is made once."""

from s3ish.jobs.destination import REPLICA_GONE, Forbidden, Refused
from s3ish.model import Bucket, Version
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.get import Replaced
from s3ish.objects.replica import encodings_of
from s3ish.objects.replication import ReplicationRule, was_replicated
from s3ish.objects.store import Store
from s3ish.outbound.http import Answer
from s3ish.peers.access_list import tell_access_list
from s3ish.peers.amendment import amend
from s3ish.peers.annotations import tell_annotations
from s3ish.peers.client import Client, check
from s3ish.peers.content import HELD_BYTES
from s3ish.peers.headers import new_object
from s3ish.peers.unfinished import Unfinished
from s3ish.peers.upload import put_in_parts, put_whole, spans_of

_LONGEST_BYTES = 5 * 1024**3
"""What a single request may carry."""


class S3ishPeer:
    """Replicates into a bucket of another s3ish.

    Args:
        store: the engines of this server.
        client: sends requests to the bucket.
        arn: what rules call it.
    """

    def __init__(self, store: Store, client: Client, arn: str) -> None:
        self._store, self._client = store, client
        self._unfinished = Unfinished(store, client, arn)
        self._is_strange = False

    async def tidy(self) -> None:
        """See ``Peer``."""
        await self._unfinished.sweep()

    async def replicate(self, bucket: Bucket, version: Version, rule: ReplicationRule) -> None:  # noqa: ARG002
        """See ``Destination``."""
        if self._is_strange:
            raise Forbidden('replicas get other ids there: it is no s3ish, and needs kind = "s3"')
        identity = {
            "x-s3ish-replica": version.id,
            "x-s3ish-replica-modified": str(version.modified_ns),
            **({} if rule.owned else {"x-s3ish-replica-owner": version.owner.id}),
            **({"x-s3ish-replica-etag": version.etag} if version.etag else {}),
            **({"x-s3ish-replica-appends": str(version.appends)} if version.appends else {}),
        }
        try:
            if version.marker:
                self._check_id(version, check(await self._client.call("DELETE", version.key, identity)))
            else:
                await self._replicate_object(version, rule, identity)
        except Replaced:
            return  # there is nothing to replicate any more

    async def _replicate_object(self, version: Version, rule: ReplicationRule, identity: dict[str, str]) -> None:
        store, client, mark = self._store, self._client, {"x-s3ish-replica": version.id}
        encodings = await encodings_of(store, version)
        answer = await self._send(version, rule, identity, encodings)
        self._check_id(version, answer)
        is_new = answer is not None and not version.revision
        if not rule.owned and (version.attributes.acl or not is_new):
            await tell_access_list(client, version, mark)
        await tell_annotations(store, client, version, encodings, mark, fresh=is_new)

    async def _send(
        self, version: Version, rule: ReplicationRule, identity: dict[str, str], encodings: Encodings
    ) -> Answer | None:
        """Have the other server have a replica; return what it answers, None if it had the replica."""
        store, client, now_ns = self._store, self._client, self._store.clock.service_ns()
        if version.revision or version.size > HELD_BYTES:  # it may have been sent before
            mark = {"x-s3ish-replica": version.id}
            if await amend(client, version, version.id, now_ns, mark):
                return None
            if was_replicated(version):
                raise Refused("the replica was removed, and is not made again as its source changes", REPLICA_GONE)
        headers = new_object(version, rule, now_ns)
        spans = spans_of(version, _LONGEST_BYTES)
        if spans:
            return await put_in_parts(store, client, version, spans, encodings, headers, identity, self._unfinished)
        return await put_whole(store, client, version, encodings, headers | identity)

    def _check_id(self, version: Version, answer: Answer | None) -> None:
        if answer is not None and answer.headers.get("x-amz-version-id") != version.id:
            self._is_strange = True
            raise Forbidden('the replica got another id: it is no s3ish, and needs kind = "s3"')
