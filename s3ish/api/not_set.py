"""Reads of what cannot be set yet: the honest answer is that it is not set, and S3 has a name or a document for that.

Each row goes when its feature is built. What is not here answers 501.
"""

from collections.abc import Callable

from s3ish.api.operation import Operation
from s3ish.errors import (
    InvalidRequest,
    NoSuchBucket,
    NoSuchCORSConfiguration,
    NoSuchLifecycleConfiguration,
    NoSuchWebsiteConfiguration,
    NotImplemented,
    ObjectLockConfigurationNotFoundError,
    ReplicationConfigurationNotFoundError,
    S3Error,
    ServerSideEncryptionConfigurationNotFoundError,
)
from s3ish.model import Bucket, Version
from s3ish.objects import versions
from s3ish.objects.store import Store
from s3ish.wire.shape import Written
from s3ish.wire.xml import DECLARATION, NAMESPACE, escape

_ABSENT: dict[str, type[S3Error]] = {
    "GetBucketCors": NoSuchCORSConfiguration,
    "GetBucketEncryption": ServerSideEncryptionConfigurationNotFoundError,
    "GetBucketLifecycleConfiguration": NoSuchLifecycleConfiguration,
    "GetBucketReplication": ReplicationConfigurationNotFoundError,
    "GetBucketWebsite": NoSuchWebsiteConfiguration,
    "GetObjectLockConfiguration": ObjectLockConfigurationNotFoundError,
}
_EMPTY = {
    "GetBucketAccelerateConfiguration": ("AccelerateConfiguration", ""),
    "GetBucketLogging": ("BucketLoggingStatus", ""),
    "GetBucketNotificationConfiguration": ("NotificationConfiguration", ""),
    "GetBucketRequestPayment": ("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
}
"""Root element and content."""


def _tags(version: Version) -> Written:
    """Return the tags that an object was made with."""
    tags = "".join(
        f"<Tag><Key>{escape(tag.key)}</Key><Value>{escape(tag.value)}</Value></Tag>" for tag in version.attributes.tags
    )
    return _document("Tagging", f"<TagSet>{tags}</TagSet>")


def _lock(version: Version) -> Written:  # noqa: ARG001 - the form of every answer about an object
    raise InvalidRequest("Bucket is missing Object Lock Configuration")


_OF_OBJECT: dict[str, Callable[[Version], Written]] = {
    "GetObjectLegalHold": _lock,
    "GetObjectRetention": _lock,
    "GetObjectTagging": _tags,
}

NOT_SET = frozenset((*_ABSENT, *_EMPTY, *_OF_OBJECT))
"""The names of the operations that are answered here."""


def _document(root: str, content: str) -> Written:
    body = f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{content}</{root}>'.encode()
    return Written(200, [("content-type", "application/xml")], body)


async def answer_not_built(
    store: Store, operation: Operation, bucket: Bucket | None, key: str, version_id: str | None
) -> Written:
    """Answer an operation that is not built.

    Raises:
        S3Error: S3's own for what is not set.
        NoSuchKey, NoSuchVersion, MethodNotAllowed: there is no such object.
        NotImplemented: the operation is no read of something that is not set.
    """
    name = operation.name
    if name not in NOT_SET:
        raise NotImplemented(
            f"{NotImplemented.text} {name} is not built: docs/operations.md says what is.", Operation=name
        )
    if bucket is None:
        raise NoSuchBucket
    if name in _ABSENT:
        raise _ABSENT[name](BucketName=bucket.name)
    if name in _EMPTY:
        return _document(*_EMPTY[name])
    version = await versions.get(store, bucket.name, key, version_id)
    answer = _OF_OBJECT[name](version)
    if bucket.versioning:
        answer.headers.append(("x-amz-version-id", version.id))
    return answer
