"""Composition of replication: the rules of buckets, what they have happen, and the jobs that do it."""

from collections.abc import Sequence

from s3ish.api.replication import given_to, may_replicate, rules_of
from s3ish.clock import Clock
from s3ish.config import ReplicaTargetSettings, ReplicationSettings
from s3ish.jobs.destination import Peer
from s3ish.jobs.late import LateJob
from s3ish.jobs.missing_targets import MissingTargetsJob
from s3ish.jobs.pace import Pace
from s3ish.jobs.replicas_here import ReplicasHere
from s3ish.jobs.replicate import ReplicationJob
from s3ish.jobs.replicate_again import ReplicateAgainJob
from s3ish.jobs.runner import Job
from s3ish.jobs.send import SendingJob
from s3ish.objects.replication import Replication
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.peers.client import Address, Client
from s3ish.peers.other_peer import OtherPeer
from s3ish.peers.s3ish_peer import S3ishPeer

REPLICATION = Replication(rules_of)
"""What follows from changes of versions; it has no state."""


class Replicas:
    """The other servers to which one process replicates."""

    def __init__(self, settings: ReplicationSettings, clock: Clock) -> None:
        self._targets, self._patience_seconds = settings.targets, settings.missing_target_seconds
        self._clients = {target.arn: Client(clock, _address(target)) for target in settings.targets}

    def jobs(self, store: Store, observer: Observer, pace: Pace | None = None) -> Sequence[Job]:
        """Return the jobs that make the replicas of a store.

        One is for all buckets here and one for each other server; three are for what was asked for once more, for
        servers that are not in the settings any more, and for what is late.
        """
        here = ReplicationJob(store, rules_of, ReplicasHere(store, may_replicate, given_to), observer, pace)
        sending = [
            SendingJob(store, rules_of, target.arn, self._peer(target, store), observer, pace)
            for target in self._targets
        ]
        again = ReplicateAgainJob(store, rules_of)
        arns = self._clients.keys()
        missing = MissingTargetsJob(store, rules_of, arns, self._patience_seconds, observer)
        return [here, *sending, again, missing, LateJob(store, rules_of)]

    def _peer(self, target: ReplicaTargetSettings, store: Store) -> Peer:
        client = self._clients[target.arn]
        return (S3ishPeer if target.kind == "s3ish" else OtherPeer)(store, client, target.arn)

    def close(self) -> None:
        """End the connections to the other servers."""
        for client in self._clients.values():
            client.close()


def _address(target: ReplicaTargetSettings) -> Address:
    return Address(
        target.endpoint,
        target.bucket,
        target.region,
        (target.access_key, target.secret_key.reveal()),
        target.style == "virtual",
        target.timeout_seconds,
        target.allow_link_local,
        target.ca_file,
    )
