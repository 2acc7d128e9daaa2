"""Buckets of this server as destinations of replication."""

import functools
from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec.structs import replace

from s3ish.errors import InternalError, NoSuchBucket, S3Error, SlowDown
from s3ish.jobs.destination import REASONS, Refused, Unreachable
from s3ish.model import Attributes, Bucket, Version
from s3ish.objects.get import Replaced
from s3ish.objects.replica import Given, replicate_here
from s3ish.objects.replication import ReplicationRule
from s3ish.objects.store import Store

MayReplicate = Callable[[Bucket, Bucket, Version, datetime], bool]
Give = Callable[[Store, Bucket, str, Attributes, ReplicationRule], Awaitable[Given]]


class ReplicasHere:
    """Makes replicas in the buckets of a store.

    Args:
        store: the engines.
        may: whether the owner of a bucket may replicate a version into another one.
        give: returns what a replica gets that is made in a bucket.
    """

    def __init__(self, store: Store, may: MayReplicate, give: Give) -> None:
        self._store, self._may, self._give = store, may, give

    async def replicate(self, bucket: Bucket, version: Version, rule: ReplicationRule) -> None:
        """See ``Destination``."""
        held = await self._store.find_bucket(rule.destination)
        if held is None:
            raise Refused("the destination does not exist", "DstBucketNotFound")
        destination = held.record
        if destination.versioning != "Enabled":
            raise Refused("the destination does not keep versions", "DstBucketUnversioned")
        if not self._may(bucket, destination, version, self._store.clock.service_now()):
            raise Refused("the owner of the bucket may not replicate into the destination")
        if version.attributes.lock and "object-lock" not in destination.documents:
            text = "the version is locked, and the destination has no object lock"
            raise Refused(text, "DstBucketObjectLockConfigMissing")
        attributes = version.attributes
        if rule.storage_class:
            attributes = replace(attributes, storage_class=rule.storage_class)
        if rule.owned:
            attributes = replace(attributes, acl=())
        owner = destination.owner if rule.owned else version.owner
        try:
            give = functools.partial(self._give, self._store, destination, version.key, attributes, rule)
            await replicate_here(self._store, version, destination.name, owner, attributes, give)
        except Replaced:
            return  # there is nothing to replicate any more
        except NoSuchBucket as error:
            raise Refused("the destination was removed", "DstBucketNotFound") from error
        except (SlowDown, InternalError) as error:
            raise Unreachable(error.message) from error
        except S3Error as error:
            if error.status < 500:
                raise Refused(f"{error.code}: {error.message}", REASONS.get(error.code, "")) from error
            raise Unreachable(error.message) from error
