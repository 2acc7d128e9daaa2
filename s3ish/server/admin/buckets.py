"""Whose buckets are, in the admin API."""

from typing import Any

from msgspec import Struct

from s3ish.errors import NoSuchEntity
from s3ish.model import Bucket, Owner
from s3ish.objects.handing_over import give_bucket
from s3ish.server.admin.call import AdminCall


class NewOwner(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to own a bucket: the id of a user of the settings that owns buckets, or that of the root user."""

    owner: str


async def get_owner(call: AdminCall) -> Any:
    """Return whose a bucket is."""
    name = _check(call, "GetBucketOwner")
    return _shown((await call.registry.store.bucket(name)).record)


async def put_owner(call: AdminCall) -> Any:
    """Give a bucket to another owner."""
    name, wanted = _check(call, "PutBucketOwner"), call.read(NewOwner)
    return _shown(await give_bucket(call.registry.store, name, _owner(call, wanted.owner)))


def _check(call: AdminCall, action: str) -> str:
    """Return the name of the bucket, if the caller may do that with it. Raises AccessDenied."""
    name = call.names["bucket"]
    call.require(f"s3ish:{action}", f"arn:aws:s3:::{name}")
    return name


def _owner(call: AdminCall, owner_id: str) -> Owner:
    """Return the owner with an id. Raises NoSuchEntity: no owner of buckets has it."""
    for owner in call.directory.owners():
        if owner.id == owner_id:
            return owner
    raise NoSuchEntity(f"No user of the settings owns buckets as {owner_id[:128]}; one with policies owns none.")


def _shown(bucket: Bucket) -> dict[str, Any]:
    return {"bucket": bucket.name, "owner": bucket.owner.id, "display_name": bucket.owner.display_name}
