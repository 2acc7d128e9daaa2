"""Giving a bucket to another owner, with what it counts for the quotas of both."""

from msgspec.structs import astuple, replace

from s3ish.index.protocol import Add
from s3ish.model import Bucket, Owner, Usage
from s3ish.objects.amend import amend_once
from s3ish.objects.store import Store, attempts, translated
from s3ish.tables.catalogue import BUCKETS, OF_BUCKET, OF_OWNER, USAGE

_ACL = "acl"
"""The document of a bucket that grants its owner everything by id."""


async def give_bucket(store: Store, name: str, owner: Owner) -> Bucket:
    """Give a bucket to another owner; its policy and other documents stay, its access list is that of a new bucket.

    One commit changes the owner and moves what the bucket holds from the counters of the one to those of the other. It
    requires the bucket and its counters as they were read, and every commit that counts for a bucket requires the
    bucket as it was: none counts for the wrong owner. A quota of the new owner refuses later writes alone.

    Raises:
        NoSuchBucket: there is no such bucket.
        S3Error: the engines failed.
    """
    with translated():
        async with store.turn(name, ""):
            for _ in attempts():
                held = await store.bucket(name)
                before = held.record
                if before.owner == owner:
                    return before
                counted = await store.get(USAGE, OF_BUCKET, name)
                usage = counted.record if counted else Usage()
                moved = [
                    Add(USAGE.name, USAGE.key(OF_OWNER, whose), astuple(change))
                    for whose, change in ((before.owner.id, -usage), (owner.id, usage))
                    if counted and before.owner.id != owner.id
                ]
                documents = {key: text for key, text in before.documents.items() if key != _ACL}
                revision = store.clock.sequence(before.revision)
                wanted = replace(before, owner=owner, documents=documents, revision=revision)
                as_read = counted.row if counted else USAGE.absent(OF_BUCKET, name)
                amended = await amend_once(store, BUCKETS, held, wanted, moved, [as_read])
                if amended:
                    return amended.record
    raise AssertionError  # attempts() raises before
