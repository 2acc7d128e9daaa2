"""A machine whose bucket ``b`` tells a target of its changes and is replicated to ``r``; and what must come of it.

Of each change exactly one event waits from the commit on, until a target has it. Of each version that is still there
when its turn comes there is one replica in the end, and never a second one.
"""

import json
import re
from collections import Counter
from typing import NamedTuple

from s3ish.api.events import Events
from s3ish.api.replication import given_to
from s3ish.integrity.check import Check
from s3ish.integrity.rebuild import rebuild
from s3ish.jobs.deliver import DeliveryJob
from s3ish.jobs.replicas_here import ReplicasHere
from s3ish.jobs.replicate import ReplicationJob
from s3ish.jobs.runner import run_once
from s3ish.objects import buckets
from s3ish.objects.consequences import Consequences
from s3ish.objects.outbox import Targets
from s3ish.objects.replication import Replication, ReplicationRule
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import OUTBOX, REPLICATIONS, VERSIONS
from tests.objects.support import counted
from tests.sim.client import Client
from tests.sim.judge import check_whole
from tests.sim.machine import Machine
from tests.sim.model import Violation, observe

ARN = "arn:aws:sqs:us-east-1:000000000000:q"
_EVENTS = "".join(f"<Event>s3:{name}:*</Event>" for name in ("ObjectCreated", "ObjectRemoved", "LifecycleExpiration"))
_NOTIFICATION = (
    '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration>'
    f"<Id>i</Id><Queue>{ARN}</Queue>{_EVENTS}</QueueConfiguration></NotificationConfiguration>"
)
_RULES = (ReplicationRule(destination="r", markers=True),)


class Told(NamedTuple):
    """An event: what became of which version. ``what`` is ``made``, ``marked`` or ``gone``."""

    what: str
    key: str
    id: str


class Shelf:
    """A target that keeps what it is sent; ``steps`` of a machine are before and after it."""

    batch, in_flight = 1, 4

    def __init__(self, machine, taken=()):
        self.machine, self.taken = machine, list(taken)

    async def send(self, messages):
        self.machine.step("send")
        self.taken += [_told(json.loads(message.body)["Records"][0]) for message in messages]
        self.machine.step("sent")


def _told(record):
    what = re.search("Created$|:Delete$|^ObjectCreated", record["eventName"])[0]
    item = record["s3"]["object"]
    return Told({"Created": "marked", ":Delete": "gone"}.get(what, "made"), item["key"], item.get("versionId", ""))


def _rules_of(bucket):
    return _RULES if bucket.name == "b" else ()


class ServedMachine(Machine):
    """Has sources of consequences, as a server has, and the jobs that follow."""

    def __init__(self, system, image, lost=()):
        super().__init__(system, image, lost)
        replication = Replication(_rules_of)
        self.store.consequences = Consequences(
            Events(self.clock, Targets([ARN])), replication.rows, is_replicated=replication.is_wanted
        )

    async def deliver(self, shelf):
        """Deliver what waits, to the end."""
        await run_once(DeliveryJob(self.store, ARN, shelf, Observer(), 10_000))

    async def replicate(self):
        """Make the replicas that wait, to the end."""
        here = ReplicasHere(self.store, lambda *_: True, given_to)
        await run_once(ReplicationJob(self.store, _rules_of, here, Observer()))

    async def waiting(self):
        """Return the events that wait."""
        rows = await OUTBOX.rows(self.store.index, *keys.outbox_range(ARN), 10_000)
        events = [OUTBOX.decode(*row) for row in rows]
        return [
            _told({"eventName": it.name, "s3": {"object": {"key": it.key, "versionId": it.version_id}}})
            for it in events
        ]

    async def versions(self, bucket):
        """Return the rows of all versions of a bucket."""
        rows = await VERSIONS.rows(self.store.index, *keys.bucket_range(bucket), 10_000)
        return [VERSIONS.decode(*row) for row in rows]


async def served(machine, beginning):
    """Make the two buckets on a machine and do the beginning. Returns the client, and the events of what it did."""
    await machine.start()
    client = Client(machine)
    for operation in (("make", "r"), ("versioning", "r", "Enabled"), beginning[0]):
        await client.do(operation)
    await buckets.set_documents(machine.store, "b", {"notification": _NOTIFICATION, "replication": "<rules/>"})
    await machine.replicate()  # so that the rules are known: what comes waits by its own row
    events = Counter()
    for operation in beginning[1:]:
        before = await machine.versions("b")
        await client.do(operation)
        events += changes(before, await machine.versions("b"), versioned=bool(client.state["b"].versioning))
    return client, events


def changes(before, after, *, versioned):
    """Return the events of a change, given all versions of the bucket before and after it."""
    old, new = [{(it.key, it.id): it for it in versions} for versions in (before, after)]
    found = Counter()
    for (key, version_id), version in new.items():
        if (key, version_id) not in old or old[key, version_id].sequence != version.sequence:
            found[Told("marked" if version.marker else "made", key, version_id if versioned else "")] += 1
    for key, version_id in old.keys() - new.keys():
        found[Told("gone", key, version_id if versioned else "")] += 1
    return found


async def check_followed(machine, events, taken=(), local=frozenset()):
    """Do the jobs to their end: each event arrives, each version has its replica. Raises Violation.

    Args:
        events: those of all that has happened.
        taken: what the target had before. Of that some may come once more.
        local: versions, as key and id, that are not replicated.
    """
    shelf = Shelf(machine, taken)
    missing = events - Counter(await machine.waiting()) - Counter(taken)
    _require(not missing, f"events are lost: {missing}")
    surplus = Counter(await machine.waiting()) - events
    _require(not surplus, f"events of what did not happen, or twice: {surplus}")
    await machine.deliver(shelf)
    _require(not await machine.waiting(), "events are left")
    _require(set(shelf.taken) == set(events), f"delivered are {shelf.taken} for {events}")
    _require(bool(taken) or Counter(shelf.taken) == events, "events were delivered twice without a crash")
    await machine.replicate()
    await check_replicas(machine, local)


async def check_replicas(machine, local=frozenset()):
    """Each version has its replica now, once, and says so, but for those that are local. Raises Violation."""
    replicas = await check_single(machine)
    for version in await machine.versions("b"):
        replica = replicas.get((version.key, version.id))
        if version.id == "null" or (version.key, version.id) in local:
            _require(replica is None, f"{version.key} {version.id} is replicated")
            continue
        _require(replica is not None, f"{version.key} {version.id} has no replica")
        _require(version.replication == "COMPLETED", f"{version.key} says {version.replication}")
        alike = [(it.sequence, it.etag, it.size, it.marker, it.attributes) for it in (version, replica)]
        _require(alike[0] == alike[1], f"the replica is another one: {alike}")
    rows = await REPLICATIONS.rows(machine.store.index, b"", keys.END, 10)
    _require(not rows, f"replications are left: {rows}")
    kept, found = await counted(machine.store)
    _require(kept == found, f"the counters say {kept} for {found}")


async def check_single(machine):
    """Return the replicas by key and id: none is there twice. Raises Violation."""
    versions = await machine.versions("r")
    replicas = {(version.key, version.id): version for version in versions}
    _require(len(replicas) == len(versions), f"replicas are there twice: {versions}")
    _require(len({(it.key, it.sequence) for it in versions}) == len(versions), "two replicas have one sequence")
    _require({it.replication for it in versions} <= {"REPLICA"}, "a replica does not say that it is one")
    return replicas


async def check_whole_and_rebuilt(machine):
    """Nothing lies about, and an index that is built from the sidecars shows and replicates the same."""
    await machine.work()
    await check_whole(machine)
    found = await observe(machine.store)
    again = ServedMachine(machine.system, machine.image()._replace(rows=frozenset()))
    await rebuild(again.store)
    await again.start()
    _require(await observe(again.store) == found, "the rebuilt index differs")
    await again.replicate()
    await check_replicas(again)
    _require(await observe(again.store) == found, "replicas came again after a rebuild")
    await again.off()


async def heal(machine):
    """Give every drive what it should hold."""
    check = Check(machine.store, repair=True, before_ns=machine.clock.now_ns())
    findings = [finding async for row in check.rows() for finding in row]
    findings += [finding async for finding in check.orphans()]
    _require({finding.state for finding in findings} <= {"repaired"}, f"beyond repair: {findings}")


def _require(holds, message):
    if not holds:
        raise Violation(message)
