"""What events a change brings: rows of the outbox, in the same commit, for each target that a bucket's owner named.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from s3ish.api.notification import NOTIFICATION, NotificationConfiguration
from s3ish.clock import Clock
from s3ish.model import Bucket, Event, Version
from s3ish.objects.consequences import LIFECYCLE, Cause, Happening, Occasion, Row
from s3ish.objects.outbox import Targets, rows_for
from s3ish.objects.restores import COMPLETED

_CREATIONS = {"PostObject": "Post", "CopyObject": "Copy", "CompleteMultipartUpload": "CompleteMultipartUpload"}
"""What makes an object other than a put, and what the event is called then."""
_RESTORE, _MOVED = "ObjectRestore:Post", "LifecycleTransition"
_OF_CLASSES = ("ObjectRestore", _MOVED)
"""Events that name a storage class."""
_AMENDMENTS = {
    "PutObjectTagging": "ObjectTagging:Put",
    "DeleteObjectTagging": "ObjectTagging:Delete",
    "PutObjectAcl": "ObjectAcl:Put",
    "PutObjectRetention": "ObjectRetention:Put",
    "RestoreObject": _RESTORE,
    "PutObjectAnnotation": "ObjectAnnotation:Put",
    "DeleteObjectAnnotation": "ObjectAnnotation:Delete",
}
_OF_BUCKETS_ALONE = ("ObjectRetention", "ObjectAnnotation", "Replication")
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
        configuration = _configuration(happening.bucket)
        if configuration is None:
            return ()
        rows: list[Row] = []
        for name in _names_of(happening, at_once=not self._clock.service.restore_ns):
            rows += self._rows(configuration, name, happening)
        return rows

    def tell(self, occasion: Occasion) -> Iterable[Row]:
        """Return the rows of the outbox that report an occasion."""
        configuration = _configuration(occasion.bucket)
        if configuration is None:
            return ()
        return self._rows(configuration, occasion.name, occasion)

    def _rows(self, configuration: NotificationConfiguration, name: str, of: Happening | Occasion) -> list[Row]:
        """Return the rows of an event, which is made if a target wants it."""
        rows: list[Row] = []
        if wanted := list(self._wanted(configuration, name, of.version.key)):
            event = self._event(of, name) if isinstance(of, Happening) else self._told(of)
            for arn, asked_by in wanted:
                rows += rows_for(self._clock, self._targets, arn, replace(event, configuration=asked_by))
        return rows

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
        by_client, classed = cause.operation and name != COMPLETED, name.startswith(_OF_CLASSES)
        return Event(
            name=name,
            at_ns=version.modified_ns if made else self._clock.service_ns(),
            bucket=bucket.name,
            owner=bucket.owner.id,
            region=bucket.region,
            key=version.key,
            version_id=version.id if bucket.versioning else "",
            size=version.size if (made or name.startswith("ObjectRestore")) and not version.marker else None,
            etag="" if happening.after is None else version.etag or _EMPTY_ETAG,
            sequencer=self._clock.sequence(happening.floor),
            operation=cause.operation,
            principal=cause.principal if by_client else _SERVICE,
            source=cause.source if by_client else _SERVICE,
            request_id=cause.request_id,
            host_id=cause.host_id,
            storage_class=version.attributes.storage_class if classed else "",
            until_ns=version.restore.until_ns if classed and version.restore else 0,
        )

    def _told(self, occasion: Occasion) -> Event:
        bucket, version = occasion.bucket, occasion.version
        return Event(
            name=occasion.name,
            at_ns=self._clock.service_ns(),
            bucket=bucket.name,
            owner=bucket.owner.id,
            region=bucket.region,
            key=version.key,
            version_id=version.id if bucket.versioning else "",
            size=None if version.marker else version.size,
            etag=version.etag or _EMPTY_ETAG,
            sequencer=self._clock.sequence(max(version.sequence, version.revision)),
            principal=_SERVICE,
            source=_SERVICE,
            storage_class=version.attributes.storage_class if occasion.name.startswith(_OF_CLASSES) else "",
            until_ns=version.restore.until_ns if version.restore else 0,
            replication=occasion.replication,
        )


def _configuration(bucket: Bucket) -> NotificationConfiguration | None:
    """Return what a bucket's owner asked for; most ask for nothing, which is one look."""
    return NOTIFICATION.of(bucket) if NOTIFICATION.name in bucket.documents else None


def _names_of(happening: Happening, *, at_once: bool) -> Iterator[str]:
    """Yield the names of the events that a change is, without ``s3:``; ``at_once`` says that restores take no time."""
    before, after, cause = happening.before, happening.after, happening.cause
    removed = "LifecycleExpiration" if cause.job == LIFECYCLE else "ObjectRemoved"
    if before is not None and after is not None and happening.is_amendment:
        yield from _amendments(before, after, cause, at_once=at_once)
    elif after is None:
        yield f"{removed}:Delete"
    elif after.marker:
        yield f"{removed}:DeleteMarkerCreated"
    else:
        yield f"ObjectCreated:{_CREATIONS.get(cause.operation, 'Put')}"


def _amendments(before: Version, after: Version, cause: Cause, *, at_once: bool) -> Iterator[str]:
    """Yield the names of the events that a change of a version is, without ``s3:``."""
    name = _AMENDMENTS.get(cause.operation, "")
    if name and not (name == "ObjectAcl:Put" and before.attributes.acl == after.attributes.acl):
        yield name
    begun, restore = before.restore, after.restore
    if name == _RESTORE and at_once and restore and (not begun or begun.ready_ns < restore.ready_ns):
        yield COMPLETED
    if cause.job == LIFECYCLE and before.attributes.storage_class != after.attributes.storage_class:
        yield _MOVED
