"""Which objects are copied to which other buckets: the document, and what it means.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from s3ish.api.bucket_encryption import check_key_id
from s3ish.api.context import Context
from s3ish.api.destinations import bucket_named
from s3ish.api.documents import DocumentHeaders, Effect, bucket_document
from s3ish.api.encrypting import encrypted_in
from s3ish.api.filters import Filter, check_filter, check_prefix, prefix_of, tags_of
from s3ish.api.lock import default_retention, is_lockable
from s3ish.api.object_headers import STORAGE_CLASSES
from s3ish.api.rules import rules_of as access_rules_of
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.evaluator import Allowed, Denied, Permit, decide, decide_beside
from s3ish.auth.principals import Principal
from s3ish.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidRequest,
    MalformedXML,
    ReplicationConfigurationNotFoundError,
)
from s3ish.model import Attributes, Bucket, Version
from s3ish.objects.replica import Given
from s3ish.objects.replication import ReplicationRule as Rule
from s3ish.objects.store import Store
from s3ish.wire.fields import element, elements, ignored
from s3ish.wire.names import is_target_arn
from s3ish.wire.shape import shape

MAX_RULES = 1000
MAX_ID = 255
BODY_BYTES = 1024 * 1024
ON_OR_OFF = ("Enabled", "Disabled")
ROLE_ARN = re.compile(r"arn:[a-z-]{1,32}:iam::[0-9]{0,12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_VERSION = (
    "for this version of Cross Region Replication configuration schema. Please refer to S3 Developer Guide for more "
    "information."
)


@shape
class Switch:
    """Something that is on or off."""

    status: str = element("Status", default=..., choices=ON_OR_OFF)


@shape
class SourceSelection:
    """What is replicated beside plain new objects."""

    encrypted: Switch | None = element("SseKmsEncryptedObjects")
    modifications: Switch | None = element("ReplicaModifications")


@shape
class OwnerTranslation:
    """That replicas belong to the owner of the destination."""

    owner: str = element("Owner", default=..., choices=("Destination",))


@shape
class ReplicaEncryption:
    """The key of replicas."""

    key_id: str | None = element("ReplicaKmsKeyID")


@shape
class Minutes:
    """A time."""

    minutes: int | None = element("Minutes")


@shape
class ReplicationTime:
    """Within which time replicas must be there."""

    status: str = element("Status", default=..., choices=ON_OR_OFF)
    time: Minutes = element("Time", default=...)


@shape
class ReplicationMetrics:
    """Which delays are reported."""

    status: str = element("Status", default=..., choices=ON_OR_OFF)
    threshold: Minutes | None = element("EventThreshold")


@shape
class Destination:
    """Where replicas go, and what becomes of them there."""

    bucket: str = element("Bucket", default=...)
    account: str | None = element("Account")
    storage_class: str | None = element("StorageClass", choices=tuple(sorted(STORAGE_CLASSES)))
    translation: OwnerTranslation | None = element("AccessControlTranslation")
    encryption: ReplicaEncryption | None = element("EncryptionConfiguration")
    time: ReplicationTime | None = element("ReplicationTime")
    metrics: ReplicationMetrics | None = element("Metrics")


@shape
class MarkerReplication:
    """Whether delete markers are replicated."""

    status: str | None = element("Status", choices=ON_OR_OFF)


@shape
class ReplicationRule:
    """One rule, of either version of the document: with a prefix of its own, or with a filter and a priority."""

    id: str | None = element("ID")
    priority: int | None = element("Priority")
    prefix: str | None = element("Prefix")
    filter: Filter | None = element("Filter")
    status: str = element("Status", default=..., choices=ON_OR_OFF)
    source: SourceSelection | None = element("SourceSelectionCriteria")
    existing: Switch | None = element("ExistingObjectReplication")
    destination: Destination = element("Destination", default=...)
    markers: MarkerReplication | None = element("DeleteMarkerReplication")


@shape(root="ReplicationConfiguration")
class ReplicationConfiguration:
    """The rules of a bucket."""

    role: str = element("Role", default=...)
    rules: list[ReplicationRule] = elements("Rule", limit=MAX_RULES + 1)


@shape
class ReplicationHeaders(DocumentHeaders):
    """What the request carries that puts the document."""

    token = ignored(
        "x-amz-bucket-object-lock-token", because="lets a bucket with object lock be replicated, which needs no leave"
    )


def _check(configuration: ReplicationConfiguration, bucket: Bucket) -> None:
    rules = configuration.rules
    if not rules:
        raise MalformedXML
    if bucket.versioning != "Enabled":
        raise InvalidRequest("Versioning must be 'Enabled' on the bucket to apply a replication configuration")
    if len(rules) > MAX_RULES:
        raise InvalidRequest(f"The number of replication rules must not exceed the allowed limit of {MAX_RULES} rules.")
    if not all(ROLE_ARN.fullmatch(role) for role in configuration.role.split(",")):
        raise InvalidArgument("Invalid role ARN.", ArgumentName="Role", ArgumentValue=configuration.role[:256])
    ids = [rule.id for rule in rules if rule.id]
    if any(len(number) > MAX_ID for number in ids):
        raise InvalidArgument(f"Rule Id length should not exceed allowed limit of {MAX_ID}", ArgumentName="ID")
    if len(set(ids)) < len(ids):
        raise InvalidArgument("Rule Id must be unique", ArgumentName="ID")
    if any((rule.prefix is None) == (rule.filter is None) for rule in rules):
        raise MalformedXML
    if len({rule.filter is None for rule in rules}) > 1:
        raise InvalidRequest("All rules must follow one version of the replication configuration schema.")
    priorities = [rule.priority for rule in rules if rule.priority is not None]
    if len(set(priorities)) < len(priorities):
        raise InvalidRequest("Priority must be unique. Found same priority for more than one rule")
    for rule in rules:
        _check_rule(rule)
        _check_destination(rule, bucket)
    if rules[0].filter is None:
        _refuse_overlaps(rules)


def _refuse_overlaps(rules: Sequence[ReplicationRule]) -> None:
    """Refuse rules of the first version about the same keys: it has no priorities. Raises InvalidRequest."""
    for shorter, longer in pairwise(sorted(rule.prefix or "" for rule in rules)):
        if longer.startswith(shorter):  # in this order a prefix stands right before what begins with it
            raise InvalidRequest(f"Found overlapping prefixes '{longer}' and '{shorter}'")


def _check_rule(rule: ReplicationRule) -> None:
    check_prefix(rule.prefix or "")
    check_filter(rule.filter)
    if rule.filter is None:
        if rule.priority is not None:
            raise InvalidRequest(f"Priority cannot be used {_VERSION}")
        if rule.markers is not None:
            raise InvalidRequest(f"DeleteMarkerReplication cannot be used {_VERSION}")
        return
    if rule.priority is None:
        raise InvalidRequest(f"Priority must be specified {_VERSION}")
    if not 0 <= rule.priority <= 2**31 - 1:
        raise InvalidArgument("Priority must be nonnegative", ArgumentName="Priority", ArgumentValue=str(rule.priority))
    if rule.markers is None or rule.markers.status is None:
        raise InvalidRequest(f"DeleteMarkerReplication must be specified {_VERSION}")
    if rule.markers.status == "Enabled" and tags_of(rule.filter):
        raise InvalidRequest(
            "Delete marker replication is not supported if any Tag filter is specified. Please refer to S3 Developer "
            "Guide for more information."
        )


def _check_destination(rule: ReplicationRule, bucket: Bucket) -> None:
    destination = rule.destination
    if _place(destination) == bucket.name:
        raise InvalidRequest("Destination bucket cannot be the same as the source bucket.")
    if destination.translation and destination.account is None:
        raise InvalidRequest("Account must be specified if AccessControlTranslation is present.")
    encrypted = rule.source and rule.source.encrypted
    if destination.encryption and not encrypted:
        raise InvalidRequest("SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present.")
    if encrypted and encrypted.status == "Enabled" and not (destination.encryption and destination.encryption.key_id):
        raise InvalidRequest("EncryptionConfiguration must be specified if SseKmsEncryptedObjects is enabled.")
    if destination.encryption and destination.encryption.key_id:
        check_key_id(destination.encryption.key_id, "ReplicaKmsKeyID")  # it is sent to other servers in a header
    threshold = destination.metrics.threshold if destination.metrics else None
    for time in (destination.time.time if destination.time else None, threshold):
        if time is not None and time.minutes != 15:
            raise InvalidArgument("Minutes must be 15", ArgumentName="Minutes", ArgumentValue=str(time.minutes))
    told = destination.metrics is not None and destination.metrics.status == "Enabled" and threshold is not None
    if destination.time and destination.time.status == "Enabled" and not told:
        raise InvalidRequest("Metrics with an EventThreshold must be enabled if ReplicationTime is enabled.")


def _permits(rule: Rule, caller: Principal) -> Iterator[Permit]:
    """Yield the rights on the destination that a rule needs.

    The rights of an owner are looked at again for each version. Those of others are not, so that they need all now.
    """
    for action in ("s3:ReplicateObject", "s3:ReplicateDelete") if rule.markers else ("s3:ReplicateObject",):
        if caller.is_narrowed:
            yield Permit(action, rule.destination, rule.prefix, below=True)
        else:
            yield Permit(action, rule.destination, f"{rule.prefix}*")


async def _admit(context: Context, request: Any) -> None:
    """Check the buckets that replicas go to, and give an id to the rules that have none, as S3 does."""
    meanings = [_meaning(rule) for rule in request.document.rules]
    for arn in {rule.destination for rule in meanings if rule.is_elsewhere}:
        _admit_peer(context, arn)
    here = [rule for rule in meanings if not rule.is_elsewhere]
    for name in {rule.destination for rule in here}:
        held = await context.store.find_bucket(name)
        if held is None:
            raise InvalidRequest("Destination bucket must exist.")
        if held.record.versioning != "Enabled":
            raise InvalidRequest("Destination bucket must have versioning enabled.")
    for permit in {permit for rule in here for permit in _permits(rule, context.principal)}:
        await context.require(permit)
    for rule in request.document.rules:
        rule.id = rule.id or context.store.clock.token(30)


def _admit_peer(context: Context, arn: str) -> None:
    """Check that a target is there, and may be used: what is sent there is signed with keys of the server."""
    if arn not in context.targets.peers:
        raise InvalidRequest("Destination bucket must exist.")
    for action in ("ReplicateObject", "ReplicateDelete"):
        may = decide_beside(context.principal, action, arn, context.circumstances)
        if isinstance(may, Denied):
            raise AccessDenied.because(may.by)


REPLICATION = bucket_document(
    ReplicationConfiguration,
    "replication",
    "GetBucketReplication PutBucketReplication DeleteBucketReplication",
    action="s3:{}ReplicationConfiguration",
    effect=Effect.ACTED_UPON,
    missing=ReplicationConfigurationNotFoundError,
    check=_check,
    admit=_admit,
    headers=ReplicationHeaders,
    body_bytes=BODY_BYTES,
)


def rules_of(bucket: Bucket) -> tuple[Rule, ...]:
    """Return the rules of a bucket that are enabled."""
    return REPLICATION.meant(bucket, _enabled) or ()


def _enabled(configuration: ReplicationConfiguration) -> tuple[Rule, ...]:
    return tuple(_meaning(rule) for rule in configuration.rules if rule.status == "Enabled")


def _meaning(rule: ReplicationRule) -> Rule:
    source, destination = rule.source, rule.destination
    return Rule(
        destination=_place(destination),
        id=rule.id or "",
        prefix=rule.prefix or prefix_of(rule.filter),
        tags=tuple(tags_of(rule.filter)),
        priority=rule.priority or 0,
        storage_class=destination.storage_class or "",
        markers=_is_on(rule.markers) or rule.filter is None,  # the first version of the document knows no choice
        encrypted=source is not None and _is_on(source.encrypted),
        modifications=source is not None and _is_on(source.modifications),
        existing=_is_on(rule.existing),
        owned=destination.translation is not None,
        key_id=(destination.encryption.key_id or "") if destination.encryption else "",
        measured=_is_on(destination.metrics),
        timed=_is_on(destination.time),
    )


def _place(destination: Destination) -> str:
    """Return the name of a bucket of this server, or the ARN of a target. Raises InvalidS3DestinationBucket."""
    arn = destination.bucket
    return arn if is_target_arn(arn) else bucket_named(arn)


def _is_on(switch: Any) -> bool:
    return switch is not None and switch.status == "Enabled"


async def given_to(store: Store, destination: Bucket, key: str, attributes: Attributes, rule: Rule) -> Given:
    """Return what a replica gets that is made in a bucket: its retention where it brings none, and the rule's key.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html

    Raises:
        KMSNotFoundException, KMSDisabledException, KMSInvalidStateException: the key may not be used.
    """
    lock = attributes.lock
    if is_lockable(destination) and not (lock and lock.mode):
        default = default_retention(destination, store.clock.service_ns())
        if default:
            attributes = replace(attributes, lock=replace(default, legal_hold=lock.legal_hold if lock else None))
    if not rule.key_id or not attributes.encryption.get("type", "").startswith("aws:kms"):
        return Given(attributes)
    encryption = attributes.encryption | {"key": rule.key_id}
    made = await encrypted_in(store, destination, key, replace(attributes, encryption=encryption))
    return Given(made.attributes, made.links, made.keys.named)


def may_replicate(source: Bucket, destination: Bucket, version: Version, now: datetime) -> bool:
    """Whether the owner of a bucket may replicate a version into another one, as the rules of that one say now."""
    owner = Principal("user", source.owner, source.owner.id)
    action = "s3:ReplicateDelete" if version.marker else "s3:ReplicateObject"
    permit = Permit(action, destination.name, version.key)
    decision = decide(owner, permit, access_rules_of(destination), Circumstances({}, {}, now))
    return isinstance(decision, Allowed)
