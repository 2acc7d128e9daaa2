"""Composition of replication: the rules of buckets, what they have happen, and the job that does it."""

from s3ish.api.replication import may_replicate, rules_of
from s3ish.jobs.replicas_here import ReplicasHere
from s3ish.jobs.replicate import ReplicationJob
from s3ish.objects.replication import Replication
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer

REPLICATION = Replication(rules_of)
"""What follows from changes of versions; it has no state."""


def replication_job(store: Store, observer: Observer) -> ReplicationJob:
    """Return the job that makes the replicas of a store."""
    return ReplicationJob(store, rules_of, ReplicasHere(store, may_replicate), {}, observer)
