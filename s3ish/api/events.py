"""What events a change brings: rows of the outbox, in the same commit, for each target that a bucket's owner named.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from s3ish.api.notification import NOTIFICATION, NotificationConfiguration
from s3ish.clock import Clock
from s3ish.model import Event
from s3ish.objects.consequences import LIFECYCLE, Happening, Row
from s3ish.objects.outbox import Targets, rows_for

_CREATIONS = {"PostObject": "Post", "CopyObject": "Copy", "CompleteMultipartUpload": "CompleteMultipartUpload"}
"""What makes an object other than a put, and what the event is called then."""
_AMENDMENTS = {
    "PutObjectTagging": "ObjectTagging:Put",
    "DeleteObjectTagging": "ObjectTagging:Delete",
    "PutObjectAcl": "ObjectAcl:Put",
    "PutObjectRetention": "ObjectRetention:Put",
    "RestoreObject": "ObjectRestore:Post",
    "PutObjectAnnotation": "ObjectAnnotation:Put",
    "DeleteObjectAnnotation": "ObjectAnnotation:Delete",
}
_OF_BUCKETS_ALONE = ("ObjectRetention", "ObjectAnnotation")
"""Events that no bus receives."""
_EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
"""What S3 shows of a delete marker."""
_SERVICE = "s3.amazonaws.com"
"""Who causes what no request asked for."""


class Events:
    """A source of consequences: the events of a change, for the targets that want them.

    Args:
        clock: gives events their order.
        targets: those that there are.
    """

    def __init__(self, clock: Clock, targets: Targets) -> None:
        self._clock, self._targets = clock, targets

    def __call__(self, happening: Happening) -> Iterable[Row]:
        """Return the rows of the outbox that a change brings."""
        bucket = happening.bucket
        if NOTIFICATION.name not in bucket.documents:
            return ()
        configuration = NOTIFICATION.of(bucket)
        name = name_of(happening)
        if configuration is None or not name:
            return ()
        wanted = list(self._wanted(configuration, name, happening.version.key))
        if not wanted:
            return ()
        event = self._event(happening, name)
        return [
            row
            for arn, asked_by in wanted
            for row in rows_for(self._clock, self._targets, arn, replace(event, configuration=asked_by))
        ]

    def _wanted(self, configuration: NotificationConfiguration, name: str, key: str) -> Iterator[tuple[str, str]]:
        """Yield the targets that want an event, and the ids of the configurations that say so."""
        for each in configuration.subscriptions:
            if each.wants(f"s3:{name}", key):
                yield each.arn, each.id or ""
        if configuration.event_bridge is not None and not name.startswith(_OF_BUCKETS_ALONE):
            for arn in self._targets.buses:
                yield arn, ""

    def _event(self, happening: Happening, name: str) -> Event:
        bucket, version, cause = happening.bucket, happening.version, happening.cause
        made = not happening.is_amendment and happening.after is not None
        return Event(
            name=name,
            at_ns=version.modified_ns if made else self._clock.service_ns(),
            bucket=bucket.name,
            owner=bucket.owner.id,
            region=bucket.region,
            key=version.key,
            version_id=version.id if bucket.versioning else "",
            size=version.size if made and not version.marker else None,
            etag="" if happening.after is None else version.etag or _EMPTY_ETAG,
            sequencer=self._clock.sequence(happening.floor),
            operation=cause.operation,
            principal=cause.principal if cause.operation else _SERVICE,
            source=cause.source if cause.operation else _SERVICE,
            request_id=cause.request_id,
            host_id=cause.host_id,
        )


def name_of(happening: Happening) -> str:
    """Return the name of the event that a change is, without ``s3:``; empty if it is none."""
    before, after, cause = happening.before, happening.after, happening.cause
    if happening.is_amendment:
        same_list = before and after and before.attributes.acl == after.attributes.acl
        name = _AMENDMENTS.get(cause.operation, "")
        return "" if name == "ObjectAcl:Put" and same_list else name
    removed = "LifecycleExpiration" if cause.job == LIFECYCLE else "ObjectRemoved"
    if after is None:
        return f"{removed}:Delete"
    if after.marker:
        return f"{removed}:DeleteMarkerCreated"
    return f"ObjectCreated:{_CREATIONS.get(cause.operation, 'Put')}"
