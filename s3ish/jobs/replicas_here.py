"""Buckets of this server as destinations of replication."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from s3ish.errors import InternalError, NoSuchBucket, S3Error, SlowDown
from s3ish.jobs.destination import Refused, Unreachable
from s3ish.model import Bucket, Version
from s3ish.objects.get import Replaced
from s3ish.objects.replica import replicate_here
from s3ish.objects.replication import ReplicationRule
from s3ish.objects.store import Store

MayReplicate = Callable[[Bucket, Bucket, Version, datetime], bool]


class ReplicasHere:
    """Makes replicas in the buckets of a store.

    Args:
        store: the engines.
        may: whether the owner of a bucket may replicate a version into another one.
    """

    def __init__(self, store: Store, may: MayReplicate) -> None:
        self._store, self._may = store, may

    async def replicate(self, bucket: Bucket, version: Version, rule: ReplicationRule) -> None:
        """See ``Destination``."""
        held = await self._store.find_bucket(rule.destination)
        if held is None:
            raise Refused("the destination does not exist")
        destination = held.record
        if destination.versioning != "Enabled":
            raise Refused("the destination does not keep versions")
        if not self._may(bucket, destination, version, self._store.clock.service_now()):
            raise Refused("the owner of the bucket may not replicate into the destination")
        if version.attributes.lock and "object-lock" not in destination.documents:
            raise Refused("the version is locked, and the destination has no object lock")
        attributes = version.attributes
        if rule.storage_class:
            attributes = replace(attributes, storage_class=rule.storage_class)
        if rule.owned:
            attributes = replace(attributes, acl=())
        owner = destination.owner if rule.owned else version.owner
        try:
            await replicate_here(self._store, version, destination.name, owner, attributes)
        except Replaced:
            return  # there is nothing to replicate any more
        except NoSuchBucket as error:
            raise Refused("the destination was removed") from error
        except (SlowDown, InternalError) as error:
            raise Unreachable(error.message) from error
        except S3Error as error:
            if error.status < 500:
                raise Refused(f"{error.code}: {error.message}") from error
            raise Unreachable(error.message) from error
