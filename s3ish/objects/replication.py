"""Which versions are replicated, and where to: what the rules of a bucket mean, and the row that a change leaves.

A version that a rule is about is made with the status PENDING, and the same commit writes rows that say so. The jobs
that replicate remove a row when its destinations have the version. A replica has the id and the sequence of its
source, so that it is made once however often that is tried, and the versions of a key are in the same order everywhere.
What came as a replica goes nowhere else: two buckets may be each other's destination.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from s3ish.index.protocol import Change, Delete, Put
from s3ish.model import Bucket, Replicating, Tag, Version
from s3ish.objects.consequences import Happening, Occasion
from s3ish.objects.encodings import customer
from s3ish.tables.catalogue import REPLICATIONS, SENDINGS

REPLICA = "REPLICA"
JOB = "replication"
"""How what replicates names itself as a cause."""
_KMS = "aws:kms"


class ReplicationRule(Struct, frozen=True, kw_only=True):
    """One rule that is enabled.

    ``id`` is that of the document. ``destination`` is the name of a bucket or the ARN of one elsewhere; of several
    rules for one, that of the highest ``priority`` counts. ``storage_class`` is that of replicas, "" for the
    version's own. ``markers`` says that delete markers are replicated, ``encrypted`` that objects are whose
    encryption names a key, ``modifications`` that changes of replicas are, ``existing`` that versions are which
    were there before the rule. ``owned`` says that replicas belong to the owner of the destination, ``key_id`` is
    the key that encrypts those of objects whose encryption names one. ``measured`` says that failures have events,
    ``timed`` that delays have.
    """

    destination: str
    id: str = ""
    prefix: str = ""
    tags: tuple[Tag, ...] = ()
    priority: int = 0
    storage_class: str = ""
    markers: bool = False
    encrypted: bool = False
    modifications: bool = False
    existing: bool = False
    owned: bool = False
    key_id: str = ""
    measured: bool = False
    timed: bool = False

    @property
    def is_elsewhere(self) -> bool:
        """Whether the destination is on another server."""
        return self.destination.startswith("arn:")

    def is_about(self, version: Version) -> bool:
        """Whether a version is to be replicated by the rule."""
        if not version.key.startswith(self.prefix):
            return False
        if version.marker:
            return self.markers and not self.tags
        if customer.link_in(version.encoding):  # the key came with the request, and is not kept
            return False
        if version.attributes.encryption.get("type", "").startswith(_KMS) and not self.encrypted:
            return False
        return set(self.tags) <= set(version.attributes.tags)

    def occasion(self, name: str, bucket: Bucket, version: Version, reason: str = "") -> Occasion:
        """Return what an event of the rule is to report of a version; see ``Occasion``."""
        destination = self.destination if self.is_elsewhere else f"arn:aws:s3:::{self.destination}"
        told = Replicating(self.id, destination, version.modified_ns, reason)
        return Occasion(f"Replication:{name}", bucket, version, told)


RulesOf = Callable[[Bucket], Sequence[ReplicationRule]]


def chosen(rules: Iterable[ReplicationRule], version: Version) -> list[ReplicationRule]:
    """Return the rules that count for a version, one for each destination."""
    best: dict[str, ReplicationRule] = {}
    for rule in rules:
        if rule.is_about(version):
            found = best.get(rule.destination)
            if found is None or rule.priority > found.priority:
                best[rule.destination] = rule
    return list(best.values())


class Replication:
    """What follows from changes of versions where a bucket has rules.

    Args:
        rules_of: returns the enabled rules of a bucket.
    """

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of

    def is_wanted(self, bucket: Bucket, version: Version) -> bool:
        """Whether a version is to be replicated that is made now, or amended."""
        return bool(rules_for(self._rules_of(bucket), version))

    def rows(self, happening: Happening) -> Iterator[Change]:
        """Return the row of a version that is to be replicated, as a source of consequences; one that goes has none."""
        version, gone = happening.after, None if happening.is_amendment else happening.before
        if gone is not None and gone.replication in ("PENDING", REPLICA):
            rules = rules_for(self._rules_of(happening.bucket), gone)
            if rules or gone.replication != REPLICA:
                yield from (Delete(it.table, it.key) for it in waiting(gone, rules))
        if version is None or happening.cause.job == JOB:
            return
        changes_replica = version.replication == REPLICA and happening.is_amendment
        if version.replication != "PENDING" and not changes_replica:
            return
        rules = rules_for(self._rules_of(happening.bucket), version)
        if rules or not changes_replica:
            yield from waiting(version, rules)


def was_replicated(version: Version) -> bool:
    """Whether the destinations have had a version, so that changes of it alone are to be replicated.

    A replica that was removed is not made again then.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-failure-codes.html
    """
    return version.replicated or version.replication == REPLICA


def rules_for(rules: Sequence[ReplicationRule], version: Version) -> list[ReplicationRule]:
    """Return the rules that count for a version as it is: for a replica only those about changes of replicas."""
    if version.replication == REPLICA:
        rules = [rule for rule in rules if rule.modifications]
    return chosen(rules, version) if rules else []


def waiting(version: Version, rules: Sequence[ReplicationRule]) -> list[Put]:
    """Return the rows that say that a version is to be replicated: one for this server, one for each other one.

    A version that no rule is about any more has one here, so that it says in the end what has become of it.
    """
    place = version.sequence, version.bucket, version.key
    elsewhere = [rule.destination for rule in rules if rule.is_elsewhere]
    rows = [SENDINGS.put(version.revision, destination, *place) for destination in elsewhere]
    if len(elsewhere) == len(rules) and rules:
        return rows
    return [REPLICATIONS.put(version.revision, *place), *rows]
