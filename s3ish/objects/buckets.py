"""Buckets: create, find, list, change, delete.

A bucket's record, its configuration documents included, stands in the index and in a sidecar of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from s3ish.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidRequest,
    NoSuchBucket,
    NoSuchUpload,
    OperationAborted,
    TooManyConfigurations,
)
from s3ish.index.protocol import Change
from s3ish.model import Bucket, Garbage, Owner, Versioning
from s3ish.objects import multipart
from s3ish.objects.amend import Gone, amend
from s3ish.objects.store import Store, attempts, translated
from s3ish.objects.unreachable import drop_blobs
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, OF_BUCKET, UPLOADS, USAGE, VERSIONS

MAX_DOCUMENTS_CHARACTERS = 4 * 1024 * 1024
"""How long all configuration documents of a bucket may be: every change of the bucket writes them all."""
_LISTED_AT_ONCE = 1000
_VERSIONS_LEFT = f"{BucketNotEmpty.text} You must delete all versions in the bucket."
"""The message for a bucket with versioning, whose listing may show nothing."""


async def create_bucket(
    store: Store,
    name: str,
    owner: Owner,
    region: str,
    documents: dict[str, str] | None = None,
    versioning: Versioning = "",
) -> Bucket:
    """Create a bucket, with configuration documents by name.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html

    Raises:
        BucketAlreadyOwnedByYou, BucketAlreadyExists: there is one of that name.
        OperationAborted: one of that name was there for a moment meanwhile.
    """
    await _refuse_existing(store, name, owner)
    with translated():
        async with store.blobs.create(BUCKETS.home(name), 0) as writer:
            ref = await writer.finish()
            bucket = Bucket(
                name=name,
                created_ns=store.clock.service_ns(),
                owner=owner,
                blob=ref,
                region=region,
                documents=documents or {},
                versioning=versioning,
            )
            async with store.provisional(ref):
                await writer.seal(BUCKETS.seal(bucket))
                if await store.commit([BUCKETS.put(bucket)], [BUCKETS.absent(name)]):
                    return bucket
                await _refuse_existing(store, name, owner)
                raise OperationAborted(BucketName=name)


async def _refuse_existing(store: Store, name: str, owner: Owner) -> None:
    held = await store.find_bucket(name)
    if held and held.record.owner.id == owner.id:
        raise BucketAlreadyOwnedByYou(BucketName=name)
    if held:
        raise BucketAlreadyExists(BucketName=name)


async def delete_bucket(store: Store, name: str) -> None:
    """Delete an empty bucket; uploads in progress do not keep it, they are aborted.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html

    Raises:
        NoSuchBucket, BucketNotEmpty.
    """
    with translated():
        for _ in attempts():
            held = await store.bucket(name)
            rows = keys.bucket_range(name)
            if await VERSIONS.rows(store.index, *rows, 1):
                raise BucketNotEmpty(_VERSIONS_LEFT if held.record.versioning else "", BucketName=name)
            await _abort_uploads(store, name)
            garbage = [Garbage(held.record.blob)]
            changes = [BUCKETS.drop(held.key), USAGE.delete(OF_BUCKET, name), *drop_blobs(garbage)]
            if await store.commit(changes, [held.row, VERSIONS.empty(*rows), UPLOADS.empty(*rows)]):
                await store.discard(garbage)
                return


async def _abort_uploads(store: Store, name: str) -> None:
    for row in await UPLOADS.rows(store.index, *keys.bucket_range(name), 1000):
        upload = store.hold(UPLOADS, *row).record
        with suppress(NoSuchUpload):
            await multipart.abort_upload(store, name, upload.key, upload.id)


async def change_bucket(
    store: Store, name: str, change: Callable[[Bucket], Bucket], rows: Sequence[Change] = ()
) -> Bucket:
    """Replace a bucket's record by what ``change`` makes of it. Raises NoSuchBucket, and what ``change`` raises.

    Args:
        rows: what is to be written in the same commit.
    """
    with translated():
        async with store.turn(name, ""):
            held = await store.bucket(name)
            try:
                return (await amend(store, BUCKETS, held, change, rows)).record
            except Gone:
                raise NoSuchBucket(BucketName=name) from None


async def set_versioning(store: Store, name: str, enabled: bool) -> Bucket:
    """Enable or suspend versioning."""
    state = "Enabled" if enabled else "Suspended"
    return await change_bucket(store, name, lambda bucket: replace(bucket, versioning=state))


async def set_documents(
    store: Store,
    name: str,
    changes: Mapping[str, str | None] | Callable[[Bucket], Mapping[str, str | None]],
    limits: Mapping[str, int] | None = None,
    rows: Sequence[Change] = (),
) -> Bucket:
    """Put configuration documents of a bucket in place of those that it has, or remove them, in one commit.

    Args:
        changes: the documents by their names in the bucket's record, None to remove one; or what returns them for the
            bucket as it is at the commit, and raises what forbids the change.
        limits: how many documents there may be whose names begin with a text.
        rows: what is to be written in the same commit.

    Raises:
        NoSuchBucket: there is no such bucket.
        TooManyConfigurations: there would be more than a limit allows.
        InvalidRequest: all documents of the bucket would be longer than ``MAX_DOCUMENTS_CHARACTERS``.
    """

    def change(bucket: Bucket) -> Bucket:
        given = changes(bucket) if callable(changes) else changes
        documents = {key: text for key, text in {**bucket.documents, **given}.items() if text is not None}
        for prefix, count in (limits or {}).items():
            if sum(key.startswith(prefix) for key in documents) > count:
                raise TooManyConfigurations
        if sum(map(len, documents.values())) > MAX_DOCUMENTS_CHARACTERS:
            raise InvalidRequest(
                "The configuration documents of a bucket must not have more than "
                f"{MAX_DOCUMENTS_CHARACTERS} characters together"
            )
        return replace(bucket, documents=documents)

    return await change_bucket(store, name, change, rows)


async def list_buckets(store: Store, owner: Owner, prefix: str, after: str, limit: int) -> tuple[list[Bucket], bool]:
    """Return up to ``limit`` buckets of an owner with a prefix, by name, after a name; and whether there are more."""
    start, stop = keys.prefix_range(prefix.encode())
    if after:
        start = max(start, keys.after(after.encode()))
    found: list[Bucket] = []
    while True:
        wanted = min(limit - len(found) + 1, _LISTED_AT_ONCE)
        rows = await BUCKETS.rows(store.index, start, stop, wanted)
        found += [bucket for bucket in store.decode_rows(BUCKETS, rows) if bucket.owner.id == owner.id]
        if len(found) > limit:
            return found[:limit], True
        if len(rows) < wanted:
            return found, False
        start = keys.after(rows[-1][0])
