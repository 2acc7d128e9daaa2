"""Two machines: what is written on one is sent to the other, a server of its own, as real requests without sockets.

Of each version that is still there when its turn comes there is one replica in the end, under its id, and never a
second one, whichever of the two loses its power at which step.
"""

from msgspec.structs import replace

from s3ish.jobs.destination import Unreachable
from s3ish.jobs.runner import run_once
from s3ish.jobs.send import SendingJob
from s3ish.objects import annotations, buckets
from s3ish.objects.consequences import Consequences
from s3ish.objects.replication import Replication, ReplicationRule
from s3ish.observe.observer import Observer
from s3ish.outbound.http import Answer
from s3ish.peers.client import element
from s3ish.peers.s3ish_peer import S3ishPeer
from s3ish.tables import keys
from s3ish.tables.catalogue import SENDINGS, VERSIONS
from tests.model.door import Door
from tests.objects.support import read_all
from tests.sim.client import Client
from tests.sim.machine import Machine, blank
from tests.sim.model import OWNER, Violation

AWAY = "arn:s3ish:replication:::away"
THERE = "there"
"""The bucket on the other machine."""
_RULES = (ReplicationRule(destination=AWAY, markers=True),)


def _rules_of(bucket):
    return _RULES if bucket.name == "b" else ()


class Line:
    """A line from one machine to another: each request is a step of the sender before it leaves and after the answer.

    Args:
        sender, receiver: the machines.
    """

    def __init__(self, sender, receiver):
        self._sender, self._door = sender, Door(receiver.store)

    async def call(self, method, key, headers=None, *, query=None, content=None):
        """See ``peers.client.Client``."""
        self._sender.step("send")
        body = content.body if content else b""
        assert isinstance(body, bytes), "nothing here is too long to be held"
        asked = {name.replace("-", "_"): value for name, value in (query or {}).items()}
        found = await self._door.ask(method, THERE, key, body, headers, **asked)
        self._sender.step("sent")
        answer = Answer(found.status, found.headers, found.body)
        if found.status >= 500 or element(answer, "Code") in ("ConditionalRequestConflict", "OperationAborted"):
            raise Unreachable(found.code)
        return answer


class Pair:
    """A sender and a receiver.

    Args:
        system: on which they run.
        images: of both; blank ones if None.
        volumes: how many each has.
    """

    def __init__(self, system, images=None, volumes=1):
        sender, receiver = images or (blank(volumes), blank(volumes))
        self.sender, self.receiver = Machine(system, sender), Machine(system, receiver)
        replication = Replication(_rules_of)
        self.sender.store.consequences = Consequences(replication.rows, is_replicated=replication.is_wanted)

    async def start(self):
        """Start both."""
        for machine in (self.receiver, self.sender):
            await machine.start()

    async def begin(self, beginning):
        """Make the buckets and do the beginning; return the client."""
        await self.start()
        await buckets.create_bucket(self.receiver.store, THERE, OWNER, "us-east-1")
        await buckets.set_versioning(self.receiver.store, THERE, enabled=True)
        client = Client(self.sender)
        await client.do(beginning[0])
        await buckets.set_documents(self.sender.store, "b", {"replication": "<rules/>"})
        for operation in beginning[1:]:
            await client.do(operation)
        return client

    async def send(self):
        """Send what waits, to the end."""
        store = self.sender.store
        peer = S3ishPeer(store, Line(self.sender, self.receiver), AWAY)
        await run_once(SendingJob(store, _rules_of, AWAY, peer, Observer()))

    def images(self, choice_of_sender=None, choice_of_receiver=None):
        """Return what crashes would leave of both; a clean stop where there is no choice."""
        return self.sender.image(choice_of_sender), self.receiver.image(choice_of_receiver)

    async def off(self):
        """End both."""
        for machine in (self.sender, self.receiver):
            await machine.off()

    async def check(self):
        """Each version has its replica, once, with all that belongs to it, and says so. Raises Violation."""
        versions, replicas = await _versions(self.sender, "b"), await _versions(self.receiver, THERE)
        found = {(replica.key, replica.id): replica for replica in replicas}
        _require(len(found) == len(replicas), f"replicas are there twice: {replicas}")
        _require({it.replication for it in replicas} <= {"REPLICA"}, "a replica does not say that it is one")
        named = {(version.key, version.id) for version in versions if version.id != "null"}
        _require(set(found) == named, f"replicas of others, or none: {set(found) ^ named}")
        for version in versions:
            if version.id != "null":
                _require(version.replication == "COMPLETED", f"{version.key} says {version.replication}")
                alike = [await _said(*it) for it in ((self.sender, version), (self.receiver, found[_name(version)]))]
                _require(alike[0] == alike[1], f"the replica is another one: {alike}")
        order = [[_name(it) for it in every if it.id != "null"] for every in (versions, replicas)]
        _require(order[0] == order[1], f"the replicas are in another order: {order}")
        rows = await SENDINGS.rows(self.sender.store.index, b"", keys.END, 10)
        _require(not rows, f"sendings are left: {rows}")


def _name(version):
    return version.key, version.id


async def _versions(machine, bucket):
    rows = await VERSIONS.rows(machine.store.index, *keys.bucket_range(bucket), 10_000)
    return [VERSIONS.decode(*row) for row in rows]


async def _said(machine, version):
    """Return what readers see of a version."""
    if version.marker:
        return version.modified_ns
    texts = [(it.name, await annotations.text_of(machine.store, version, it, None)) for it in version.annotations]
    attributes = replace(version.attributes, headers={})  # what comes by HTTP has a type
    return version.modified_ns, version.etag, attributes, texts, await read_all(machine.store, version)


def _require(holds, message):
    if not holds:
        raise Violation(message)
