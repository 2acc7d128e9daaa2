"""The JSON of events, as S3 sends it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import msgspec

from s3ish.model import ACCOUNT, Event, Replicating, dashed
from s3ish.targets.protocol import Message

TEST = "TestEvent"
_LATER = (
    "LifecycleExpiration",
    "LifecycleTransition",
    "ObjectTagging",
    "ObjectAcl",
    "ObjectRetention",
    "ObjectAnnotation",
    "ObjectRestore:Delete",
)
"""Events, or groups of them, that came with a later version of the structure."""
_RESTORED, _MOVED = "ObjectRestore:Completed", "LifecycleTransition"
_EXPIRED = "ObjectRestore:Delete"
_ON_THE_BUS = {
    "ObjectCreated": "Object Created",
    "ObjectRemoved": "Object Deleted",
    "LifecycleExpiration": "Object Deleted",
    "ObjectTagging:Put": "Object Tags Added",
    "ObjectTagging:Delete": "Object Tags Deleted",
    "ObjectAcl": "Object ACL Updated",
    "ObjectRestore": "Object Restore Initiated",
    _RESTORED: "Object Restore Completed",
    _EXPIRED: "Object Restore Expired",
    _MOVED: "Object Storage Class Changed",
}
_REASONS = {"LifecycleExpiration": "Lifecycle Expiration", "PostObject": "POST Object"}
"""What a bus calls what lifecycle rules do, and operations where it is not by their name. Of objects that come and go
alone it receives a reason."""


def message_of(event: Event, number: str, *, on_bus: bool) -> Message:
    """Return the message of an event.

    Args:
        number: tells it from all others.
        on_bus: whether it is for an event bus.
    """
    if on_bus:
        told = _bus(event, number)
    elif event.name == TEST:
        told = _test(event)
    else:
        told = {"Records": [_record(event)]}
    return Message(number, f"{event.bucket}/{event.key}", msgspec.json.encode(told))


def _time(at_ns: int) -> str:
    moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns // 1_000_000 % 1000:03}Z"


def _seconds(at_ns: int) -> str:
    return _time(at_ns)[:19] + "Z"


def _sequencer(event: Event) -> str:
    return f"{event.sequencer:016X}"


def _test(event: Event) -> dict[str, Any]:
    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": _time(event.at_ns),
        "Bucket": event.bucket,
        "RequestId": event.request_id,
        "HostId": event.host_id,
    }


def _record(event: Event) -> dict[str, Any]:
    told: dict[str, Any] = {"key": quote_plus(event.key, safe="/", errors="surrogatepass")}
    if event.size is not None:
        told["size"] = event.size
    if event.etag:
        told["eTag"] = event.etag
    if event.version_id:
        told["versionId"] = event.version_id
    told["sequencer"] = _sequencer(event)
    record: dict[str, Any] = {
        "eventVersion": "2.2" if event.replication else "2.3" if event.name.startswith(_LATER) else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": event.region,
        "eventTime": _time(event.at_ns),
        "eventName": event.name,
        "userIdentity": {"principalId": event.principal},
        "requestParameters": {"sourceIPAddress": event.source},
        "responseElements": {"x-amz-request-id": event.request_id, "x-amz-id-2": event.host_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": event.configuration,
            "bucket": {
                "name": event.bucket,
                "ownerIdentity": {"principalId": event.owner},
                "arn": f"arn:aws:s3:::{event.bucket}",
            },
            "object": told,
        },
    }
    if event.name == _RESTORED:
        ends = {
            "lifecycleRestorationExpiryTime": _time(event.until_ns),
            "lifecycleRestoreStorageClass": event.storage_class,
        }
        record["glacierEventData"] = {"restoreEventData": ends}
    if event.name == _MOVED:
        moved = {"destinationStorageClass": event.storage_class}
        record["lifecycleEventData"] = {"transitionEventData": moved}
    if event.replication:
        record["replicationEventData"] = _replication(event.replication, is_marker=event.size is None)
    return record


def _replication(told: Replicating, *, is_marker: bool) -> dict[str, str]:
    """Return what a record says of a replica.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html
    """
    data = {
        "replicationRuleId": told.rule,
        "destinationBucket": told.destination,
        "s3Operation": "OBJECT_DELETE" if is_marker else "OBJECT_PUT",
        "requestTime": _time(told.requested_ns),
    }
    return data | {"failureReason": told.reason} if told.reason else data


def _bus(event: Event, number: str) -> dict[str, Any]:
    group, _, kind = event.name.partition(":")
    told: dict[str, Any] = {"key": event.key}
    if event.size is not None:
        told["size"] = event.size
    if event.etag:
        told["etag"] = event.etag
    if event.version_id:
        told["version-id"] = event.version_id
    told["sequencer"] = _sequencer(event)
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": event.bucket},
        "object": told,
        "request-id": event.request_id,
        "requester": event.principal,
    }
    if event.name == _RESTORED:
        detail["restore-expiry-time"] = _seconds(event.until_ns)
    elif event.operation:
        detail["source-ip-address"] = event.source
    if _ON_THE_BUS.get(group) in ("Object Created", "Object Deleted"):
        detail["reason"] = _REASONS.get(group) or _REASONS.get(event.operation, event.operation)
    if event.storage_class and event.name != _EXPIRED:
        detail["destination-storage-class" if event.name == _MOVED else "source-storage-class"] = event.storage_class
    if _ON_THE_BUS.get(group) == "Object Deleted":
        detail["deletion-type"] = "Permanently Deleted" if kind == "Delete" else "Delete Marker Created"
    return {
        "version": "0",
        "id": dashed(number),
        "detail-type": _ON_THE_BUS.get(event.name) or _ON_THE_BUS[group],
        "source": "aws.s3",
        "account": ACCOUNT,
        "time": _seconds(event.at_ns),
        "region": event.region,
        "resources": [f"arn:aws:s3:::{event.bucket}"],
        "detail": detail,
    }
