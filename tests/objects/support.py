"""What the tests of the objects do again and again: a whole store on a directory, and the plain moves on it."""

import hashlib
import os
from contextlib import aclosing

from s3ish.blob.erasure.core import BlobSettings
from s3ish.blob.erasure.layout import shard_name
from s3ish.blob.erasure.store import ErasureStore
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.clock import Clock
from s3ish.errors import S3Error
from s3ish.index.sqlite import SQLiteIndex
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.usage_count import count_usage
from s3ish.model import Attributes, BlobRef, Owner, Upload
from s3ish.objects import buckets, copy, delete, listing, multipart, versions
from s3ish.objects import get as read
from s3ish.objects import put as write
from s3ish.objects.conditions import UNCONDITIONAL
from s3ish.objects.digests import Claims
from s3ish.objects.encodings import cipher
from s3ish.objects.store import Store
from s3ish.tables.catalogue import TABLES, USAGE
from s3ish.tables.state import SWEEP
from s3ish.threads import InlinePool, ThreadPool
from tests.blob import support as blob_support
from tests.objects.encodings.toy import encodings

OWNER = Owner("owner-id", "owner")
OTHER = Owner("other-id", "other")
STRIPE, INLINE = 1000, 100
PLAIN = Attributes()
NO_CLAIMS = Claims()
NO_BLOB = BlobRef("", 0, 0, "", 1, 0, 1, ())


class SteadyClock(Clock):
    """Time and ids that are the same in every run: each look at the clock takes a millisecond."""

    def __init__(self):
        super().__init__()
        self.ns = 1_700_000_000_000_000_000
        self._drawn = 0

    def now_ns(self):
        self.ns += 1_000_000
        return self.ns

    def random_bytes(self, count):
        self._drawn += 1
        return hashlib.shake_128(self._drawn.to_bytes(8, "big")).digest(count)


class Bytes:
    """Bytes on their way in; ``size`` and claims as a client would give them."""

    expects_sha256 = False

    def __init__(self, data, *, algorithm=None, claims=NO_CLAIMS, sized=True):
        self.size = len(data) if sized else None
        self.algorithm = algorithm
        self.expects_sha256 = claims.sha256 is not None
        self._rest, self._claims = data, claims

    async def gather(self, count):
        pass

    async def read(self, limit):
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        return piece

    def claims(self):
        return self._claims


class World:
    """A directory with the volumes and the index of one server, and its stores: one for each worker.

    Args:
        root: the directory.
        volumes: how many.
        code: data and parity shards.
        encoding: the links under which objects are stored by default.
        keyring: what encrypts keys, if objects can be encrypted.
    """

    def __init__(self, root, *, volumes=3, clock=None, inline_offload=True, code=(2, 1), encoding=(), keyring=None):
        self.encoding, self.keyring = encoding, keyring
        self.root, self.count, self.code = str(root), volumes, code
        self.clock = clock or SteadyClock()
        self.offload = InlinePool() if inline_offload else ThreadPool(8)
        self.index_path = root / "index.db"
        self._stores = []

    @property
    def volume_roots(self):
        return [f"{self.root}/volume{number}" for number in range(self.count)]

    def open(
        self,
        index_path=None,
        wrap=lambda index: index,
        on_damage=lambda ref, names: None,
        on_broken_row=None,
        *,
        missing=0,
        mark="",
        tables=TABLES,
    ):
        volumes = open_volumes(self.volume_roots, clock=self.clock, fsync=False, create=not missing, missing=missing)
        if mark:
            volumes.lock_worker(mark)
        settings = BlobSettings(k=self.code[0], m=self.code[1], stripe_bytes=STRIPE, inline_bytes=INLINE)
        blobs = ErasureStore(volumes, settings, clock=self.clock, offload=self.offload, on_damage=on_damage)
        index = wrap(SQLiteIndex(index_path or self.index_path, tables.layouts, durable=False))
        ciphers = {cipher.NAME: cipher.codec_of(self.keyring)} if self.keyring else {}
        store = Store(
            index,
            blobs,
            self.clock,
            self.offload,
            "us-east-1",
            on_damage,
            on_broken_row,
            encodings=encodings(self.encoding).having(ciphers),
            keyring=self.keyring,
            upkeep=blobs.upkeep,
            tables=tables,
            piece_bytes=STRIPE,
        )
        self._stores.append(store)
        return store

    async def close(self):
        for store in self._stores:
            await store.blobs.close()
            await store.index.close()
        self._stores.clear()

    def files(self):
        """Return all files and folders of the volumes but the private ones."""
        found = []
        for root in self.volume_roots:
            for folder, folders, names in os.walk(root):
                folders[:] = [name for name in folders if name != ".s3ish"]
                found += [os.path.relpath(os.path.join(folder, name), self.root) for name in [*folders, *names]]
        return sorted(found)

    def files_of(self, ref):
        """Return the paths of the shards of a blob and of its sidecar's copies."""
        shards = [] if ref.inline else [(number, position) for number, position in enumerate(ref.volumes)]
        folders = self.volume_roots
        paths = [f"{folders[position]}/{ref.id}/{shard_name(number, ref.k)}" for number, position in shards]
        return paths + [f"{folders[position]}/{ref.id}/metadata.json" for position in dict.fromkeys(ref.volumes)]


def sample(size, seed=1):
    """Return bytes in which no two places look alike."""
    return hashlib.shake_128(b"%d" % seed).digest(size)


def md5(data):
    return hashlib.md5(data).hexdigest()


def multipart_etag(parts):
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f"{md5(digests)}-{len(parts)}"


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


async def make_bucket(store, name="b", versioning=""):
    bucket = await buckets.create_bucket(store, name, OWNER, "us-east-1")
    if versioning:
        bucket = await buckets.set_versioning(store, name, enabled=True)
    if versioning == "Suspended":
        bucket = await buckets.set_versioning(store, name, enabled=False)
    return bucket


async def put(
    store,
    key,
    data=b"data",
    *,
    bucket="b",
    conditions=UNCONDITIONAL,
    attributes=PLAIN,
    encoding=None,
    encodings=None,
    **source,
):
    options = {"attributes": attributes, "conditions": conditions, "encoding": encoding, "encodings": encodings}
    return await write.put_object(store, bucket, key, Bytes(data, **source), owner=OWNER, **options)


async def head(store, key, version_id=None, *, bucket="b"):
    return await versions.get(store, bucket, key, version_id)


async def get(store, key, version_id=None, *, bucket="b"):
    async def attempt():
        return await open_all(store, await versions.get(store, bucket, key, version_id))

    return await drain(await read.decided(attempt))


async def read_all(store, version, start=0, stop=None, encodings=None):
    """Return bytes of a version."""
    return await drain(await open_all(store, version, start, stop, encodings))


async def open_all(store, version, start=0, stop=None, encodings=None):
    """Open bytes of a version."""
    end = version.size if stop is None else stop
    return read.as_flow(await read.open_span(store, version, start, end, encodings))


async def drain(flow):
    """Return what is left of a flow."""
    async with aclosing(flow):
        return b"".join([bytes(piece) async for piece in flow])


async def remove(store, key, version_id=None, *, bucket="b", conditions=UNCONDITIONAL):
    return await delete.delete_object(store, bucket, key, version_id, owner=OWNER, conditions=conditions)


async def copy_to(store, source, key, *, bucket="b", attributes=None, **options):
    return await copy.copy_object(
        store, source, bucket, key, owner=OWNER, attributes=attributes or source.attributes, **options
    )


async def begin(store, key, *, bucket="b", encoding=None, encodings=None, **fields):
    draft = Upload(bucket=bucket, key=key, id="", created_ns=0, owner=OWNER, initiator=OWNER, blob=NO_BLOB, **fields)
    return await multipart.create_upload(store, draft, encoding, encodings)


async def add_part(store, upload, number, data, *, encodings=None, **source):
    of = upload.bucket, upload.key, upload.id
    return (await multipart.put_part(store, *of, number, Bytes(data, **source), encodings))[1]


async def complete(store, upload, parts, **options):
    chosen = [multipart.Chosen(part.number, f'"{part.etag}"', {}) for part in parts]
    return await multipart.complete_upload(store, upload.bucket, upload.key, upload.id, chosen, **options)


async def keys_of(store, *, bucket="b"):
    page = await listing.list_objects(store, listing.Query(bucket, "", "", 1000), "")
    return [key for key, _ in page.items]


async def versions_of(store, key=None, *, bucket="b"):
    """Return key, id, latest and marker of all versions of a bucket or key."""
    page = await listing.list_versions(store, listing.Query(bucket, key or "", "", 1000), "", "")
    return [
        (name, item.version.id, item.latest, item.version.marker)
        for name, item in page.items
        if key is None or name == key
    ]


async def sealed(store):
    """Return the ids of all blobs that have a sidecar."""
    return sorted([ref.id async for ref, _, *_ in store.blobs.scan()])


async def strays(store):
    return await blob_support.strays(store.blobs)


async def counted(store):
    """Return the counters of usage, and what a walk over all rows finds them to be; equal if all is well."""

    async def rows():
        found = await USAGE.rows(store.index, b"", b"\xff", 1000)
        return {USAGE.split(key): USAGE.decode(key, value) for key, value in found}

    kept = await rows()
    assert await count_usage(store)
    return kept, await rows()


async def referenced(store):
    """Return the ids of all blobs that the index names."""
    found = []
    for table in TABLES.sealed:
        for key, value in await table.rows(store.index, b"", b"\xff", 100_000):
            record = table.decode(key, value)
            found += [record.blob.id, *(part.blob.id for part in getattr(record, "parts", ()))]
            found += [one.part.blob.id for one in getattr(record, "annotations", ())]
    return sorted(found)


async def run_jobs(store, clock):
    """Run garbage and a sweep of orphans to their end."""

    garbage = GarbageJob(store)
    await garbage.step()
    clock.ns += 120 * 10**9
    while (await garbage.step()).more:
        pass
    await store.index.commit([SWEEP.put()])
    orphans = SweepJob(store, clock.now_ns())
    while (await orphans.step()).more:
        pass
    return orphans.removed


async def outcome(awaitable):
    """Return what it gives, or the class of the S3 error that it raises."""
    try:
        return await awaitable
    except S3Error as error:
        return type(error)
