"""What replicas are handed to, and what it answers."""

from typing import Protocol

from s3ish.model import Bucket, Version
from s3ish.objects.replication import ReplicationRule

REASONS = {
    "NoSuchBucket": "DstBucketNotFound",
    "KMS.NotFoundException": "DstKmsKeyNotFound",
    "KMS.DisabledException": "DstKmsKeyInvalidState",
    "KMS.KMSInvalidStateException": "DstKmsKeyInvalidState",
}
"""What events call the reason of a failure, by the code of the error.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html
"""
REPLICA_GONE = "DstVersionNotFound"


class _Failure(Exception):
    """See the classes below; ``reason`` is what events call it, empty where it is about the version itself."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class Refused(_Failure):
    """A destination does not take a version, and will not as things are; the text says why."""


class Unreachable(_Failure):
    """A destination takes nothing now, or not this version; the text says why."""


class Forbidden(Unreachable):
    """A destination takes nothing from this server: keys have no right, or its bucket is gone. That may be mended."""


class Destination(Protocol):
    """Where replicas go."""

    async def replicate(self, bucket: Bucket, version: Version, rule: ReplicationRule) -> None:
        """Have the destination of a rule have a replica of a version, or have that replica say what the version says.

        Raises Refused, Unreachable.
        """


class Peer(Destination, Protocol):
    """Another server."""

    async def tidy(self) -> None:
        """End what was begun there for versions that do not wait any more. Raises Refused, Unreachable."""
