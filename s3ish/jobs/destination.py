"""What replicas are handed to, and what it answers."""

from typing import Protocol

from s3ish.model import Bucket, Version
from s3ish.objects.replication import ReplicationRule


class Refused(Exception):
    """A destination does not take a version, and will not as things are; the text says why."""


class Unreachable(Exception):
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
