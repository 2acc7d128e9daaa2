"""Which targets are notified of what happens in a bucket: the document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from typing import Any
from urllib.parse import unquote_plus

from s3ish.api.context import Context
from s3ish.api.documents import DocumentHeaders, Effect, bucket_document
from s3ish.auth.evaluator import Denied, decide_beside
from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML
from s3ish.model import Bucket, Event
from s3ish.objects.consequences import Row
from s3ish.objects.outbox import rows_for
from s3ish.objects.queues import find
from s3ish.wire.fields import element, elements, header
from s3ish.wire.shape import shape

MAX_CONFIGURATIONS = 100
MAX_ID = 255
MAX_VALUE = 1024
_EVENTS = {
    "ObjectCreated": ("*", "Put", "Post", "Copy", "CompleteMultipartUpload"),
    "ObjectRemoved": ("*", "Delete", "DeleteMarkerCreated"),
    "ObjectRestore": ("*", "Post", "Completed", "Delete"),
    "Replication": (
        "*",
        "OperationFailedReplication",
        "OperationNotTracked",
        "OperationMissedThreshold",
        "OperationReplicatedAfterThreshold",
    ),
    "LifecycleExpiration": ("*", "Delete", "DeleteMarkerCreated"),
    "ObjectTagging": ("*", "Put", "Delete"),
    "ObjectAnnotation": ("*", "Put", "Delete"),
    "ObjectAcl": ("Put",),
    "ObjectRetention": ("Put",),
    "LifecycleTransition": (),
    "IntelligentTiering": (),
    "ReducedRedundancyLostObject": (),
}
EVENTS = frozenset(f"s3:{group}:{kind}" for group, kinds in _EVENTS.items() for kind in kinds) | frozenset(
    f"s3:{group}" for group, kinds in _EVENTS.items() if not kinds
)
"""The events that a target can subscribe to."""
_TEST = "TestEvent"
_ORDERED = {"sqs": "SQS queues", "sns": "SNS topics"}
"""What has a kind that keeps an order, to which S3 sends nothing; the names of that kind end with ``.fifo``."""
_ARN = re.compile(r"arn:[a-z-]{1,32}:(?P<service>[a-z]+):(?P<region>[a-z0-9-]*):[0-9]{0,12}:[\w:.$-]{1,256}", re.ASCII)


@shape
class FilterRule:
    """What a key begins or ends with."""

    name: str | None = element("Name")
    value: str | None = element("Value")


@shape
class KeyFilter:
    """Which keys."""

    rules: list[FilterRule] = elements("FilterRule", limit=4)

    def value(self, name: str) -> str:
        """Return what the keys have as ``prefix`` or ``suffix``."""
        return next((rule.value or "" for rule in self.rules if (rule.name or "").lower() == name), "")


@shape
class EventFilter:
    """Which objects."""

    key: KeyFilter | None = element("S3Key")


@shape
class Subscription:
    """The events that a target receives; its kind gives ``arn``, ``what`` and ``service``."""

    id: str | None = element("Id")
    events: list[str] = elements("Event", limit=len(EVENTS))
    filter: EventFilter | None = element("Filter")

    what = service = ""
    arn = ""

    def values(self, name: str) -> tuple[str, str]:
        """Return what keys have as ``prefix`` or ``suffix``, as it is written and without the encoding of URLs.

        S3 has values encoded, with ``+`` for a blank; one that was written as it is means itself, too.
        """
        value = self.filter.key.value(name) if self.filter and self.filter.key else ""
        return value, unquote_plus(value)

    def wants(self, event: str, key: str) -> bool:
        """Whether an event of a key is one that the target receives."""
        return (
            event in _meant_by(frozenset(self.events))
            and key.startswith(self.values("prefix"))
            and key.endswith(self.values("suffix"))
        )


@shape
class QueueSubscription(Subscription):
    """The events that a queue receives."""

    arn: str = element("Queue", default=...)

    what, service = "queue", "sqs"


@shape
class TopicSubscription(Subscription):
    """The events that a topic receives."""

    arn: str = element("Topic", default=...)

    what, service = "topic", "sns"


@shape
class FunctionSubscription(Subscription):
    """The events that a function receives; the role belongs to the first version of the document."""

    arn: str = element("CloudFunction", default=...)
    role: str | None = element("InvocationRole")

    what, service = "function", "lambda"


@shape
class EventBridge:
    """That the event bus receives every event."""


@shape(root="NotificationConfiguration")
class NotificationConfiguration:
    """Which target receives which events; empty if none does."""

    topics: list[TopicSubscription] = elements("TopicConfiguration", limit=MAX_CONFIGURATIONS + 1)
    queues: list[QueueSubscription] = elements("QueueConfiguration", limit=MAX_CONFIGURATIONS + 1)
    functions: list[FunctionSubscription] = elements("CloudFunctionConfiguration", limit=MAX_CONFIGURATIONS + 1)
    event_bridge: EventBridge | None = element("EventBridgeConfiguration")

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """All that has a target by its ARN."""
        yield from (*self.topics, *self.queues, *self.functions)


@shape
class NotificationHeaders(DocumentHeaders):
    """What the request carries that puts the document."""

    skip_validation: bool | None = header("x-amz-skip-destination-validation")


def _check(configuration: NotificationConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    subscriptions = list(configuration.subscriptions)
    if len(subscriptions) > MAX_CONFIGURATIONS:
        raise InvalidRequest(f"There can be at most {MAX_CONFIGURATIONS} notification configurations in a bucket.")
    ids = [each.id for each in subscriptions if each.id]
    if len(set(ids)) < len(ids):
        raise InvalidArgument("Same ID used for multiple configurations. IDs must be unique", ArgumentName="Id")
    for each in subscriptions:
        _check_subscription(each)
    for one, other in combinations(subscriptions, 2):
        _refuse_overlap(one, other)


def _check_subscription(subscription: Subscription) -> None:
    if not subscription.events:
        raise MalformedXML
    if subscription.id is not None and len(subscription.id) > MAX_ID:
        raise InvalidArgument(f"ID length should not exceed allowed limit of {MAX_ID}", ArgumentName="Id")
    for event in subscription.events:
        if event not in EVENTS:
            raise InvalidArgument(
                "A specified event is not supported for notifications.", ArgumentName="Event", ArgumentValue=event[:256]
            )
    _check_filter(subscription.filter)


async def _check_arn(subscription: Subscription, context: Context, *, skip: bool) -> None:
    """Refuse an ARN that is none, or to which no event can go. One of the settings may be of any account and region."""
    arn, targets = subscription.arn, context.targets
    parts = _ARN.fullmatch(arn)
    known = targets.has(arn)
    if arn.split(":")[2:3] != [subscription.service] or not (parts or known):
        raise InvalidArgument("The ARN is not well formed", ArgumentName=subscription.what, ArgumentValue=arn[:256])
    if known:
        return
    if subscription.service in _ORDERED and arn.endswith(".fifo"):
        raise InvalidArgument(
            f"FIFO {_ORDERED[subscription.service]} are not supported.",
            ArgumentName=subscription.what,
            ArgumentValue=arn[:256],
        )
    if parts and parts["region"] != context.target.region:
        raise InvalidArgument(
            "The notification destination service region is not valid for the bucket location constraint",
            ArgumentName=subscription.what,
            ArgumentValue=arn,
        )
    queue = targets.queue(arn)
    may = decide_beside(context.principal, "sqs:SendMessage", arn, context.circumstances)
    if queue and isinstance(may, Denied):  # the server sends in the name of who asks for it
        error = InvalidArgument(
            "Unable to validate the following destination configurations",
            ArgumentName=arn,
            ArgumentValue="Permissions on the destination queue do not allow S3 to publish notifications from this "
            "bucket",
        )
        error.reason = may.by
        raise error
    if not skip and not (queue and await find(context.store, queue)):
        raise InvalidArgument(
            "Unable to validate the following destination configurations",
            ArgumentName=arn,
            ArgumentValue=f"The destination {subscription.what} does not exist",
        )


def _check_filter(found: EventFilter | None) -> None:
    rules = found.key.rules if found and found.key else []
    names = [(rule.name or "").lower() for rule in rules]
    repeated = [name for name in ("prefix", "suffix") if names.count(name) > 1]
    if repeated:
        raise InvalidArgument(f"Cannot specify more than one {repeated[0]} rule in a filter.", ArgumentName=repeated[0])
    for rule, name in zip(rules, names, strict=True):
        if name not in ("prefix", "suffix"):
            raise InvalidArgument(
                "filter rule name must be either prefix or suffix",
                ArgumentName="FilterRule.Name",
                ArgumentValue=(rule.name or "")[:256],
            )
        if len((rule.value or "").encode()) > MAX_VALUE:
            raise InvalidArgument(
                f"Size of filter rule value cannot exceed {MAX_VALUE} bytes in UTF-8 representation",
                ArgumentName="FilterRule.Value",
            )


def _refuse_overlap(one: Subscription, other: Subscription) -> None:
    """Refuse two subscriptions of which one event of one key would be meant by both. Raises InvalidArgument."""
    if _meant_by(frozenset(one.events)).isdisjoint(_meant_by(frozenset(other.events))):
        return
    prefixes, suffixes = (
        sorted((one.values(name)[1], other.values(name)[1]), key=len) for name in ("prefix", "suffix")
    )
    if not (prefixes[1].startswith(prefixes[0]) and suffixes[1].endswith(suffixes[0])):
        return
    if one.filter is None and other.filter is None:
        raise InvalidArgument(
            "Configurations overlap. Configurations on the same bucket cannot share a common event type."
        )
    raise InvalidArgument(
        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
        "overlapping for the same event type."
    )


@lru_cache(256)
def _meant_by(names: frozenset[str]) -> frozenset[str]:
    """Return the events that names mean, those with an asterisk too."""
    wide = tuple(name[:-1] for name in names if name.endswith("*"))
    return names | {event for event in EVENTS if event.startswith(wide)}


async def _admit(context: Context, request: Any) -> None:
    """Refuse targets that do not exist, unless they are not to be asked for, and give an id to what has none.

    Names of filters are kept as S3 returns them, however they were written.
    """
    for each in request.document.subscriptions:
        await _check_arn(each, context, skip=bool(request.skip_validation))
        each.id = each.id or context.store.clock.token(30)
        for rule in each.filter.key.rules if each.filter and each.filter.key else ():
            rule.name = (rule.name or "").capitalize()


def _announce(context: Context, request: Any) -> list[Row]:
    """Return the test events that queues and topics receive when a document is put that names them.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    if request.skip_validation:
        return []
    bucket, store = context.target, context.store
    event = Event(
        name=_TEST,
        at_ns=store.clock.service_ns(),
        bucket=bucket.name,
        owner=bucket.owner.id,
        region=bucket.region,
        sequencer=store.clock.sequence(),
        request_id=context.request_id,
        host_id=context.host_id,
    )
    arns = dict.fromkeys(each.arn for each in (*request.document.queues, *request.document.topics))
    return [row for arn in arns for row in rows_for(store.clock, context.targets, arn, event)]


NOTIFICATION = bucket_document(
    NotificationConfiguration,
    "notification",
    "GetBucketNotificationConfiguration PutBucketNotificationConfiguration",
    action="s3:{}BucketNotification",
    effect=Effect.ACTED_UPON,
    missing=lambda _: NotificationConfiguration(),
    check=_check,
    admit=_admit,
    announce=_announce,
    headers=NotificationHeaders,
)
