"""Fill a store in process, faster than any client could: rows of the index in large commits.

The objects are small and inline, so the index holds all that a server needs to list and serve them. Their sidecars
are not written; a store that was filled this way is for measuring, and no rebuild would find its objects.
"""

import asyncio
import hashlib
import os
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

from compat.bench.load import Request
from s3ish import engines
from s3ish.clock import Clock
from s3ish.config import Settings, StorageSettings
from s3ish.engines import ROOT_ID
from s3ish.index.protocol import Put
from s3ish.model import NULL_VERSION, Attributes, BlobRef, Checksum, Owner, Part, Upload, Version
from s3ish.objects import buckets, multipart, versions
from s3ish.process.index_place import place_on
from s3ish.tables import keys as rows
from s3ish.tables import records
from s3ish.tables.catalogue import CURRENT, INLINE, VERSIONS

OWNER = Owner(ROOT_ID, "bench")
DATA = bytes(1024)
ETAG = hashlib.md5(DATA).hexdigest()
ATTRIBUTES = Attributes(headers={"content-type": "binary/octet-stream"})
CHECKSUM = Checksum("CRC64NVME", "AAAAAAAAAAA=")
_BATCH = 5_000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@asynccontextmanager
async def opened(folder):
    """The store in a folder, as a server with the default settings would open it, but that commits are not flushed."""
    clock, settings = Clock(), Settings(storage=StorageSettings(volumes=(str(folder),)))
    volumes = engines.open_volumes(settings, clock, create=True)
    store = engines.make_store(settings, volumes, place_on(str(folder)), clock, unfinished=True)
    try:
        yield store
    finally:
        await engines.close(store)


async def fill(store, bucket, keys, *, versioned=False):
    """Put an object of 1 KiB under each key; with ``versioned`` a repeated key gets one version after another."""
    rest = iter(keys)
    while names := list(islice(rest, _BATCH)):
        changes = []
        for key in names:
            sequence = store.clock.sequence()
            token = store.clock.token()
            ref = BlobRef(f"{bucket}/{key}@{token}", len(DATA), 0, "rs-cauchy-11d", 2, 1, 1 << 20, (0,), inline=True)
            version = Version(
                bucket=bucket,
                key=key,
                id=versions.mint(sequence, store.clock) if versioned else NULL_VERSION,
                sequence=sequence,
                modified_ns=store.clock.now_ns(),
                owner=OWNER,
                blob=ref,
                size=len(DATA),
                etag=ETAG,
                attributes=ATTRIBUTES,
            )
            changes += [VERSIONS.put(version), CURRENT.show(version), *INLINE.keep(ref, DATA)]
        await store.index.commit(changes)


def make(folder, contents, *, versioned=()):
    """Make buckets in a new folder and fill them: ``contents`` gives the keys of each; some may be ``versioned``."""

    async def run():
        async with opened(folder) as store:
            for bucket, keys in contents.items():
                await buckets.create_bucket(store, bucket, OWNER, "us-east-1")
                if bucket in versioned:
                    await buckets.set_versioning(store, bucket, enabled=True)
                await fill(store, bucket, keys, versioned=bucket in versioned)

    Path(folder, ".s3ish").mkdir(parents=True)
    asyncio.run(run())
    os.sync()  # else the first flush of a server would wait for all of it


async def upload(folder, bucket, key, count, size):
    """Begin a multipart upload with parts that have rows but no bytes; return its id."""
    async with opened(folder) as store:
        none = BlobRef("", 0, 0, "", 1, 0, 1, ())
        draft = Upload(bucket=bucket, key=key, id="", created_ns=0, owner=OWNER, initiator=OWNER, blob=none)
        made = await multipart.create_upload(store, draft)
        changes = []
        for number in range(1, count + 1):
            ref = BlobRef(f"{bucket}/{key}@{store.clock.token()}", size, 0, "rs-cauchy-11d", 2, 1, 1 << 20, (0, 0, 0))
            part = Part(
                number=number, size=size, etag=ETAG, modified_ns=store.clock.now_ns(), blob=ref, checksum=CHECKSUM
            )
            row = rows.part_key(made.id, number)
            changes.append(Put("parts", row, records.encode("parts", row, part)))
        await store.index.commit(changes)
        return made.id


def completion(server, bucket, key, count, upload_id):
    """Return the request that completes such an upload."""
    part = "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>"
    parts = "".join(part.format(number, ETAG) for number in range(1, count + 1))
    document = f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{parts}</CompleteMultipartUpload>'.encode()
    return Request(server, "POST", f"/{bucket}/{key}", query=f"uploadId={upload_id}", body=document)
