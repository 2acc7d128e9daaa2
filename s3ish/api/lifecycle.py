"""What happens to objects as they grow old: the document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from s3ish.api.context import Context
from s3ish.api.documents import DocumentHeaders, Effect, bucket_document
from s3ish.api.filters import AllOf, Filter, check_filter, check_prefix, prefix_of, tags_of
from s3ish.api.lifecycle_actions import (
    AbortUploads,
    Expiration,
    NoncurrentExpiration,
    NoncurrentTransition,
    Transition,
    check_days,
    check_expiration,
    check_noncurrent,
    check_transitions,
)
from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML, NoSuchLifecycleConfiguration
from s3ish.model import Bucket, Upload, Version
from s3ish.objects.archive import ARCHIVES
from s3ish.objects.lifecycle import CLASSES, Move, Rule, expiry, upload_expiry
from s3ish.wire.fields import element, elements, header
from s3ish.wire.headers import write_text
from s3ish.wire.scalars import Instant, write_http_date
from s3ish.wire.shape import shape, wire

MAX_RULES = 1000
MAX_ID = 255
MAX_SIZE = 1000 << 40
"""Up to which size in bytes a filter may tell objects apart."""
BODY_BYTES = 1024 * 1024
SMALL_STAY, BY_CLASS = "all_storage_classes_128K", "varies_by_storage_class"
"""Which small objects no transition moves."""
_ACTIONS = ("expiration", "transitions", "noncurrent_expiration", "noncurrent_transitions", "abort_uploads")
_SMALL_BYTES = 128 * 1024
_MINIMUM = "x-amz-transition-default-minimum-object-size"


@shape
class AllOfLifecycle(AllOf):
    """Conditions that must all hold; sizes in bytes."""

    greater_than: int | None = element("ObjectSizeGreaterThan")
    less_than: int | None = element("ObjectSizeLessThan")


@shape
class LifecycleFilter(Filter):
    """Which objects a rule is about; sizes in bytes."""

    greater_than: int | None = element("ObjectSizeGreaterThan")
    less_than: int | None = element("ObjectSizeLessThan")
    all_of: AllOfLifecycle | None = element("And")


@shape
class LifecycleRule:
    """One rule, of either version of the document: with a prefix of its own, or with a filter."""

    id: str | None = element("ID")
    prefix: str | None = element("Prefix")
    filter: LifecycleFilter | None = element("Filter")
    status: str = element("Status", default=..., choices=("Enabled", "Disabled"))
    expiration: Expiration | None = element("Expiration")
    transitions: list[Transition] = elements("Transition", limit=len(CLASSES))
    noncurrent_expiration: NoncurrentExpiration | None = element("NoncurrentVersionExpiration")
    noncurrent_transitions: list[NoncurrentTransition] = elements("NoncurrentVersionTransition", limit=len(CLASSES))
    abort_uploads: AbortUploads | None = element("AbortIncompleteMultipartUpload")

    @property
    def described(self) -> str:
        """How the error messages of S3 name the rule."""
        if self.filter is None:
            return f"prefix '{self.prefix or ''}'"
        found = self.filter.all_of or self.filter
        parts = [f"prefix={found.prefix}"] if found.prefix is not None else []
        parts += [f"tag={{key={tag.key}, value={tag.value}}}" for tag in tags_of(self.filter)]
        parts += [f"objectsizegreaterthan={found.greater_than}"] if found.greater_than is not None else []
        parts += [f"objectsizelessthan={found.less_than}"] if found.less_than is not None else []
        return f"filter '({' and '.join(parts) or 'prefix='})'"


@shape(root="LifecycleConfiguration")
class LifecycleConfiguration:
    """The rules of a bucket."""

    rules: list[LifecycleRule] = elements("Rule", limit=MAX_RULES + 1)
    minimum_size: str | None = header(_MINIMUM, default=SMALL_STAY)


@shape
class LifecycleHeaders(DocumentHeaders):
    """What the request carries that puts the document."""

    minimum_size: str | None = header(_MINIMUM, choices=(SMALL_STAY, BY_CLASS))


@shape
class PutLifecycleResponse:
    """Which small objects no transition moves."""

    minimum_size: str | None = header(_MINIMUM)


def _check(configuration: LifecycleConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    rules = configuration.rules
    if not rules:
        raise MalformedXML
    if len(rules) > MAX_RULES:
        raise InvalidRequest(f"The number of lifecycle rules must not exceed the allowed limit of {MAX_RULES} rules.")
    ids = [rule.id for rule in rules if rule.id]
    if any(len(number) > MAX_ID for number in ids):
        raise InvalidArgument(f"ID length should not exceed allowed limit of {MAX_ID}", ArgumentName="ID")
    if len(set(ids)) < len(ids):
        raise InvalidArgument("Rule ID must be unique. Found same ID for more than one rule", ArgumentName="ID")
    if any((rule.prefix is None) == (rule.filter is None) for rule in rules):
        raise MalformedXML
    if len({rule.filter is None for rule in rules}) > 1:
        raise InvalidRequest(
            "Filter element can only be used in Lifecycle V2."
            if rules[0].filter is None
            else "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."
        )
    for rule in rules:
        _check_rule(rule)
    if rules[0].filter is None:
        _refuse_overlaps(rules)


def _refuse_overlaps(rules: Sequence[LifecycleRule]) -> None:
    """Refuse rules of the first version that do the same to the same keys: it does not say which counts."""
    enabled = [rule for rule in rules if rule.status == "Enabled"]
    for action in _ACTIONS:
        prefixes = sorted(rule.prefix or "" for rule in enabled if getattr(rule, action))
        for shorter, longer in pairwise(prefixes):  # in this order a prefix stands right before what begins with it
            if longer.startswith(shorter):
                name = wire(LifecycleRule).specs[action][0].name
                raise InvalidRequest(
                    f"Found overlapping prefixes '{longer}' and '{shorter}' for same action type '{name}'"
                )


def _check_rule(rule: LifecycleRule) -> None:
    check_prefix(rule.prefix or "")
    check_filter(rule.filter)
    if rule.filter:
        _check_sizes(rule.filter)
    uploads = rule.abort_uploads
    if not (
        rule.expiration or rule.transitions or rule.noncurrent_expiration or rule.noncurrent_transitions or uploads
    ):
        raise InvalidRequest("At least one action needs to be specified in a rule.")
    check_expiration(rule.expiration)
    check_transitions(rule.transitions, rule.expiration, rule.described)
    check_noncurrent(rule.noncurrent_transitions, rule.noncurrent_expiration, rule.described)
    if rule.filter is None and _newer_versions(rule):
        raise InvalidRequest("NewerNoncurrentVersions element can only be used in Lifecycle V2.")
    if uploads:
        check_days(uploads.days, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action", least=1)
        _refuse_conditions(rule.filter, "AbortIncompleteMultipartUpload")
    if rule.expiration and rule.expiration.marker:
        _refuse_conditions(rule.filter, "ExpiredObjectDeleteMarker")


def _check_sizes(found: LifecycleFilter) -> None:
    sizes = found.all_of or found
    least, most = sizes.greater_than, sizes.less_than
    for name, size, lowest in (("ObjectSizeGreaterThan", least, 0), ("ObjectSizeLessThan", most, 1)):
        if size is not None and not lowest <= size <= MAX_SIZE:
            raise InvalidRequest(f"'{name}' should be between {lowest} and {MAX_SIZE}.")
    if least is not None and most is not None and least >= most:
        raise InvalidRequest("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")


def _newer_versions(rule: LifecycleRule) -> bool:
    expiration = rule.noncurrent_expiration
    return bool(expiration and expiration.newer_versions is not None) or any(
        transition.newer_versions is not None for transition in rule.noncurrent_transitions
    )


def _refuse_conditions(found: LifecycleFilter | None, action: str) -> None:
    """Refuse an action on what has neither tags nor a size. Raises InvalidRequest."""
    if tags_of(found):
        raise InvalidRequest(f"{action} cannot be specified with Tags.")
    sizes = found and (found.all_of or found)
    if sizes and (sizes.greater_than is not None or sizes.less_than is not None):
        raise InvalidRequest(f"{action} cannot be specified with Object Size.")


async def _admit(context: Context, request: Any) -> None:
    """Give an id to the rules that have none, as S3 does."""
    for rule in request.document.rules:
        rule.id = rule.id or context.store.clock.token(30)


LIFECYCLE = bucket_document(
    LifecycleConfiguration,
    "lifecycle",
    "GetBucketLifecycleConfiguration PutBucketLifecycleConfiguration DeleteBucketLifecycle",
    action="s3:{}LifecycleConfiguration",
    effect=Effect.ACTED_UPON,
    missing=NoSuchLifecycleConfiguration,
    check=_check,
    admit=_admit,
    headers=LifecycleHeaders,
    kept="minimum_size",
    put_response=PutLifecycleResponse,
    body_bytes=BODY_BYTES,
    needs_digest=True,
)


def rules_of(bucket: Bucket) -> tuple[Rule, ...]:
    """Return the rules of a bucket that are enabled."""
    return LIFECYCLE.meant(bucket, _enabled) or ()


def _enabled(configuration: LifecycleConfiguration) -> tuple[Rule, ...]:
    by_class = configuration.minimum_size == BY_CLASS
    return tuple(_meaning(rule, by_class=by_class) for rule in configuration.rules if rule.status == "Enabled")


def _meaning(rule: LifecycleRule, *, by_class: bool) -> Rule:
    sizes = rule.filter and (rule.filter.all_of or rule.filter)
    ends, noncurrent = rule.expiration, rule.noncurrent_expiration
    return Rule(
        id=rule.id or "",
        prefix=rule.prefix or prefix_of(rule.filter),
        tags=tuple(tags_of(rule.filter)),
        greater_than=sizes.greater_than if sizes else None,
        less_than=sizes.less_than if sizes else None,
        days=ends.days if ends else None,
        at_ns=ends.date if ends else None,
        markers=bool(ends and ends.marker),
        noncurrent_days=noncurrent.days if noncurrent else None,
        newer_versions=(noncurrent.newer_versions or 0) if noncurrent else 0,
        upload_days=rule.abort_uploads.days if rule.abort_uploads else None,
        moves=tuple(
            Move(
                storage_class=it.storage_class,
                days=it.days,
                at_ns=it.date,
                least=_least_moved(rule, it.storage_class, by_class=by_class),
            )
            for it in rule.transitions
        ),
        noncurrent_moves=tuple(
            Move(
                storage_class=it.storage_class,
                days=it.days,
                newer_versions=it.newer_versions or 0,
                least=_least_moved(rule, it.storage_class, by_class=by_class),
            )
            for it in rule.noncurrent_transitions
        ),
    )


def _least_moved(rule: LifecycleRule, storage_class: str, *, by_class: bool) -> int:
    """Return the size in bytes from which on a rule moves objects to a class.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
    """
    sizes = rule.filter and (rule.filter.all_of or rule.filter)
    if sizes and (sizes.greater_than is not None or sizes.less_than is not None):
        return 0
    return 0 if by_class and storage_class in ARCHIVES else _SMALL_BYTES


def shown_expiry(context: Context, version: Version) -> str | None:
    """Return what ``x-amz-expiration`` says of a current version: when it expires, and by which rule.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    rules = rules_of(context.target)
    due = expiry(rules, version, context.store.clock.service.day_ns) if rules else None
    return f'expiry-date="{write_http_date(due.at_ns)}", rule-id="{quote(due.rule)}"' if due else None


@shape
class AbortHeaders:
    """When an upload is aborted if it is not completed, and by which rule."""

    date: Instant | None = header("x-amz-abort-date")
    rule: str | None = header("x-amz-abort-rule-id")


def shown_abortion(context: Context, upload: Upload) -> AbortHeaders | None:
    """Return what an answer says of an upload that a rule will abort."""
    rules = rules_of(context.target)
    due = upload_expiry(rules, upload, context.store.clock.service.day_ns) if rules else None
    return AbortHeaders(date=Instant(due.at_ns), rule=write_text(due.rule)) if due else None
