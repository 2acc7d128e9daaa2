"""Samples of everything that release 0.1.0 writes, made by running that release.

They were made once, by the code of commit 88951ac, and are never made again: what a later release writes is another
format with a folder of its own. In a checkout of that commit with its own environment::

    .venv/bin/python PATH/tests/formats/make_samples.py PATH/tests/formats/1

writes ``rows.json`` (a value of every kind of record of every table, and what it says), ``sidecars.json`` with
``sidecars/`` (a file of every kind of sidecar), ``stores.json`` with one archive a store, and what clients read there.
Structures are spelled as objects whose members are the fields' names, bytes as hexadecimal.
"""

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import boto3
import msgspec
from botocore.config import Config

from s3ish import app, engines
from s3ish.blob import identity, sidecar
from s3ish.blob.identity import Identity
from s3ish.clock import Clock
from s3ish.config import load
from s3ish.index import keys, records
from s3ish.index.sqlite import SQLiteIndex
from s3ish.jobs.gaps import Gaps
from s3ish.jobs.recovery import adopt, recover
from s3ish.jobs.runner import Lease
from s3ish.jobs.scrub import Progress
from s3ish.model import (
    Attributes,
    BlobRef,
    Bucket,
    Checksum,
    Entry,
    Garbage,
    Grant,
    Owner,
    Part,
    Tag,
    Upload,
    Version,
)
from s3ish.objects import buckets, delete, multipart, seal, write
from s3ish.objects.digests import Claims

ROOT = ("s3ishadmin", "s3ishadmin")
OTHER = ("OTHERACCESSKEY", "the-other-secret")
USERS = f"""
[[auth.users]]
access_key = "{OTHER[0]}"
secret_key = "{OTHER[1]}"
id = "other"
display_name = "Another User"
"""
MIB = 1 << 20


# --- what is sampled


def blob(name, size=0, *, inline=False, **fields):
    """Return a reference to a blob that was never written."""
    volumes = (0,) if inline else (2, 0, 1)
    values = {"salt": 0xFEDC_BA98_7654_3210, "code": "rs-cauchy-11d", "k": 2, "m": 1, "stripe_bytes": MIB}
    return BlobRef(f"{name}@abcdefgh234567ab", size, **values | {"volumes": volumes, "inline": inline} | fields)


OWNER = Owner("owner-id", "The Owner \u00fc")
NS = 1_793_000_000_123_456_789
FULL = Checksum("CRC64NVME", "SOQ2n7Yb7xE=")
COMPOSITE = Checksum("SHA256", "dBFT2hRzC5g1RLOLjmsoTYmPIp0PTEFZBvjQ2wWvnhA=-3", "COMPOSITE")
ALL_ATTRIBUTES = Attributes(
    headers={"content-type": "text/plain; charset=utf-8", "cache-control": "no-store", "content-encoding": "gzip"},
    metadata={"colour": "blue", "name": "J\u00fcrgen", "empty": ""},
    tags=(Tag("project", "a b"), Tag("empty", "")),
    storage_class="GLACIER",
    encryption={"x-amz-server-side-encryption": "AES256"},
    website_redirect="/elsewhere",
    acl=(Grant("owner-id", "FULL_CONTROL"), Grant("http://acs.amazonaws.com/groups/global/AllUsers", "READ")),
)
PARTS = tuple(
    Part(
        number=number,
        size=size,
        etag=hashlib.md5(b"%d" % number).hexdigest(),
        modified_ns=NS + number,
        blob=blob(f"bucket/many/{number}", size, inline=number == 3),
        checksum=Checksum("SHA256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=") if number != 2 else None,
    )
    for number, size in ((1, 5 * MIB), (2, 6_000_000), (3, 17))
)
BUCKETS = {
    "plain": Bucket(name="plain", created_ns=NS, owner=Owner("owner-id"), blob=blob("plain/", inline=True), region=""),
    "every field": Bucket(
        name="every.field",
        created_ns=NS,
        owner=OWNER,
        blob=blob("every.field/", inline=True, volumes=(0, 1)),
        region="eu-central-1",
        versioning="Suspended",
        object_lock=True,
        tags=(Tag("cost", "centre"),),
        documents={"cors": "<CORSConfiguration/>", "policy": '{"Statement":[]}'},
    ),
    "versioned": Bucket(
        name="versioned",
        created_ns=NS,
        owner=OWNER,
        blob=blob("v/", inline=True),
        region="us-east-1",
        versioning="Enabled",
    ),
}


def version(key, blob_ref, **fields):
    """Return a version of a key."""
    values = {"bucket": "bucket", "id": "abcdefghijklmnopqrstuvwx", "sequence": NS, "modified_ns": NS, "owner": OWNER}
    return Version(key=key, blob=blob_ref, **values | fields)


VERSIONS = {
    "inline": version("a/b", blob("bucket/a/b", 13, inline=True), size=13, etag="0" * 32, checksum=FULL),
    "sharded": version("large", blob("bucket/large", 150_000), size=150_000, etag="f" * 32, checksum=FULL),
    "every field": version(
        "\u00fc/%2F/ key",
        blob("bucket/all", 0, inline=True),
        size=11_242_897,
        etag="e" * 32 + "-3",
        checksum=COMPOSITE,
        attributes=ALL_ATTRIBUTES,
        parts=PARTS,
        upload="upload-id",
    ),
    "multipart": version(
        "many",
        blob("bucket/many", 0, inline=True),
        size=11_242_897,
        etag="d" * 32 + "-3",
        parts=PARTS,
        upload="u",
    ),
    "multipart of many parts": version(
        "very many",
        blob("bucket/very many", 0, inline=True),
        size=60 * 17,
        etag="c" * 32 + "-60",
        upload="u",
        parts=tuple(
            Part(
                number=2 * n, size=17, etag="b" * 32, modified_ns=NS, blob=blob(f"bucket/very many{n}", 17, inline=True)
            )
            for n in range(1, 61)
        ),
    ),
    "marker": version("gone", blob("bucket/gone", 0, inline=True), marker=True),
    "null": version("null", blob("bucket/null", 13, inline=True), id="null", size=13, etag="a" * 32),
    "null marker": version("null gone", blob("bucket/null gone", 0, inline=True), id="null", marker=True),
}
UPLOADS = {
    "plain": Upload(
        bucket="bucket",
        key="many",
        id="upload-id",
        created_ns=NS,
        owner=OWNER,
        initiator=OWNER,
        blob=blob("bucket/many", inline=True),
    ),
    "every field": Upload(
        bucket="bucket",
        key="every/field",
        id="another-upload",
        created_ns=NS,
        owner=OWNER,
        initiator=Owner("other", "Another User"),
        blob=blob("bucket/every/field", inline=True, volumes=(0, 1)),
        attributes=ALL_ATTRIBUTES,
        checksum_algorithm="SHA256",
        checksum_kind="COMPOSITE",
    ),
}
ENTRIES = {
    "with a checksum": Entry(13, "0" * 32, NS, "STANDARD", "owner-id", "The Owner", "CRC64NVME", "FULL_OBJECT"),
    "without": Entry(2**40, "f" * 32 + "-10000", NS, "GLACIER", "owner-id", ""),
}
GARBAGE = {
    "one blob": blob("bucket/one", 150_000),
    "with parts": Garbage(
        **msgspec.structs.asdict(blob("bucket/many", 0, inline=True)) | {"parts": tuple(part.blob for part in PARTS)}
    ),
}
PROGRESS = Progress(1000, NS, 400, "uploads", b"bucket\0key\xff", 3, NS + 1, 50, {0: 2}, {1: 3, 2: 1}, NS - 1)


def spelled(value):
    """Return a record as JSON can say it, with the names of all its fields."""
    if isinstance(value, msgspec.Struct):
        return {name: spelled(member) for name, member in msgspec.structs.asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): spelled(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [spelled(member) for member in value]
    return value.hex() if isinstance(value, bytes) else value


# --- rows and sidecars


def row(name, table, key, key_says, record, value=None):
    """Return the sample of a row."""
    value = records.encode(table, key, record) if value is None else value
    kind = type(record).__name__
    says = spelled(record)
    return {
        "name": name,
        "table": table,
        "kind": kind,
        "key": key.hex(),
        "key_says": key_says,
        "value": value.hex(),
        "says": says,
    }


def rows():
    """Yield a sample of every kind of row."""
    for name, it in BUCKETS.items():
        yield row(name, "buckets", keys.bucket_key(it.name), [it.name], it)
    for name, it in VERSIONS.items():
        yield row(name, "versions", keys.version_key(it.bucket, it.key, it.sequence), [it.bucket, it.key, NS], it)
    for name, entry in ENTRIES.items():
        yield row(name, "current", keys.object_key("bucket", "a/b"), ["bucket", "a/b"], entry)
    key, sequence = keys.object_key("bucket", "null"), NS.to_bytes(8, "big")
    yield row("sequence", "nulls", key, ["bucket", "null"], sequence, records.encode_bytes("nulls", key, sequence))
    data, key = b"some bytes \x00\xff", keys.inline_key(VERSIONS["inline"].blob.id)
    yield row("bytes", "inline", key, [key.decode()], data, records.encode_bytes("inline", key, data))
    for name, it in UPLOADS.items():
        yield row(name, "uploads", keys.upload_key(it.bucket, it.key, it.id), [it.bucket, it.key, it.id], it)
    for part in PARTS:
        yield row(
            f"part {part.number}", "parts", keys.part_key("upload-id", part.number), ["upload-id", part.number], part
        )
    for name, it in GARBAGE.items():
        yield row(name, "garbage", keys.garbage_key(it.id), [it.id], it)
    yield from state_rows()


def state_rows():
    """Yield a sample of every kind of row of the state table; some of them are plain, without format and checksum."""
    for key, record in ((b"lease/scrub", Lease("holder", NS)), (b"scrub", PROGRESS), (b"away", [0, 2])):
        yield row(key.decode(), "state", key, [key.decode()], record)
    plain = {b"unclean": b"%d" % NS, b"sweep": b"1", b"barrier": b"1", b"set": b"abcdefgh", b"generation": b"17"}
    for key, value in plain.items():
        yield row(key.decode(), "state", key, [key.decode()], value, value)
    for put in Gaps({"bucket/gap@": "the sidecar is damaged", "\udcff": "no text"}).rows():
        yield row("gap", "state", put.key, [put.key.decode("utf-8", "surrogateescape")], put.value, put.value)


def sidecars():
    """Yield name, what is said about the blob, and the members that a later release may have added."""
    for name, it in BUCKETS.items():
        yield f"bucket {name}", it.blob, seal.BucketSeal(it), b""
    for name, it in VERSIONS.items():
        data = (b"some bytes \x00\xff" if it.size == 13 else b"") if it.blob.inline else None
        yield f"version {name}", it.blob, seal.VersionSeal(it), data
    for name, it in UPLOADS.items():
        yield f"upload {name}", it.blob, seal.UploadSeal(it), b""
    for part in PARTS:
        told = seal.PartSeal("bucket", "many", "" if part.number == 2 else "upload-id", part)
        yield f"part {part.number}", part.blob, told, b"seventeen bytes.." if part.blob.inline else None


def write_samples(target):
    """Write all rows and sidecars."""
    dump(target / "rows.json", list(rows()))
    (target / "sidecars").mkdir(parents=True)
    listed = []
    for name, ref, told, data in sidecars():
        others = {"later": msgspec.Raw(b'{"kept":[1,2]}')} if name == "version every field" else {}
        text = sidecar.encode(sidecar.Sidecar(ref, NS, seal.write(told), data, others))
        file = f"sidecars/{name.replace(' ', '-')}.json"
        (target / file).write_bytes(text)
        kind = told.__struct_config__.tag
        listed.append(
            {
                "name": name,
                "file": file,
                "kind": kind,
                "revision": NS,
                "blob": spelled(ref),
                "says": spelled(told),
                "data": spelled(data),
                "others": list(others),
            }
        )
    told = Identity("abcdefgh", 1, 3, "ijklmnop")
    (target / "volume.json").write_bytes(identity.encode(told))
    listed.append({"name": "volume", "file": "volume.json", "kind": "volume", "says": spelled(told)})
    dump(target / "sidecars.json", listed)


def dump(path, content):
    """Write JSON that a diff can show."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


# --- stores


def content(name, size):
    """Return bytes that compress well."""
    block = hashlib.shake_128(name.encode()).digest(509)
    return (block * (size // 509 + 1))[:size]


class Server:
    """The release as a server, on volumes in a folder."""

    def __init__(self, folder, count, **settings):
        self.volumes = [f"{folder}/volume{number}" for number in range(count)]
        (folder / "users.toml").write_text(USERS)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", "serve", *self.volumes, "--port", "0", "--config", folder / "users.toml"],
            env=kept | settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        greeting = (re.search(r"endpoint\s+(http://\S+)", line) for line in self._process.stdout)
        self._endpoint = next(found[1] for found in greeting if found)

    def client(self, keys=ROOT):
        """Return a client of a user."""
        return boto3.client(
            "s3",
            endpoint_url=self._endpoint,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def stop(self):
        """End it as an operator does."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(30) == 0


def put(s3, bucket, key, size, **more):
    """Store an object."""
    return s3.put_object(Bucket=bucket, Key=key, Body=content(f"{bucket}/{key}/{size}", size), **more)


def put_parts(s3, bucket, key, sizes, upload):
    """Store parts of an upload; return them as CompleteMultipartUpload wants them."""
    parts = []
    for number, size in sizes.items():
        made = s3.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload["UploadId"],
            PartNumber=number,
            Body=content(f"{key}{number}", size),
            ChecksumAlgorithm=upload.get("ChecksumAlgorithm", "CRC32"),
        )
        named = {
            name: value for name, value in made.items() if name == "ETag" or name in ("ChecksumSHA256", "ChecksumCRC32")
        }
        parts.append({"PartNumber": number, **named})
    return parts


def put_many(s3, bucket, key, sizes, **more):
    """Store an object in parts."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **more)
    parts = put_parts(s3, bucket, key, sizes, upload)
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key=key,
        UploadId=upload["UploadId"],
        MultipartUpload={"Parts": parts},
        ChecksumType=upload.get("ChecksumType", "FULL_OBJECT"),
    )


def fill_plain(s3):
    """A bucket that never was versioned."""
    s3.create_bucket(Bucket="plain")
    put(
        s3,
        "plain",
        "greeting.txt",
        13,
        ContentType="text/plain; charset=utf-8",
        CacheControl="no-store",
        ContentLanguage="de",
        ContentDisposition="inline",
        Metadata={"colour": "blue", "place": "=?UTF-8?B?U8OjbyBQYXVsbw==?="},
        Tagging="project=a%20b&empty=",
        StorageClass="STANDARD_IA",
        WebsiteRedirectLocation="/elsewhere",
        ServerSideEncryption="AES256",
    )
    for key, size in {
        "empty": 0,
        "folder/": 0,
        "folder//a@b%/\u00fc +?#.txt": 300,
        "metadata.json": 100,
        ".hidden": 5,
        "L" * 300: 40_000,
    }.items():
        put(s3, "plain", key, size)
    put(s3, "plain", "large", 150_000, Metadata={"size": "large"}, Tagging="kind=sharded")
    put(s3, "plain", "sha256", 45_000, ChecksumAlgorithm="SHA256")
    s3.copy_object(Bucket="plain", Key="copied", CopySource="plain/large")
    s3.copy_object(Bucket="plain", Key="copied small", CopySource="plain/greeting.txt")
    for size in (40_000, 50_000):
        put(s3, "plain", "overwritten", size)
    put(s3, "plain", "gone", 60_000)
    s3.delete_object(Bucket="plain", Key="gone")
    put_many(s3, "plain", "many", {1: 5 * MIB, 2: 70_000}, ChecksumAlgorithm="SHA256", Metadata={"in": "parts"})
    put_many(s3, "plain", "one part", {7: 60_000})
    s3.copy_object(Bucket="plain", Key="copied many", CopySource="plain/many")
    s3.create_multipart_upload(Bucket="plain", Key="unfinished")
    upload = s3.create_multipart_upload(
        Bucket="plain", Key="unfinished", ContentType="text/css", Metadata={"a": "b"}, ChecksumAlgorithm="SHA256"
    )
    put_parts(s3, "plain", "unfinished", {1: 40_000, 3: 100_000, 4: 20}, upload)


def fill_versioned(s3):
    """Buckets whose versioning was enabled, and suspended."""
    for bucket in ("history", "paused"):
        s3.create_bucket(Bucket=bucket)
        put(s3, bucket, "older than versioning", 20)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for size in (10, 40_000, 20):
            put(s3, bucket, "document", size, Metadata={"size": str(size)})
        s3.delete_object(Bucket=bucket, Key="document")
        put(s3, bucket, "older than versioning", 50_000)
        put(s3, bucket, "kept", 30)
    removed = put(s3, "history", "kept", 70_000)["VersionId"]
    s3.delete_object(Bucket="history", Key="kept", VersionId=removed)
    s3.put_bucket_versioning(Bucket="paused", VersioningConfiguration={"Status": "Suspended"})
    put(s3, "paused", "document", 45_000)
    s3.delete_object(Bucket="paused", Key="kept")
    s3.delete_object(Bucket="paused", Key="never was")


def fill_of_another(s3):
    """A bucket of a user who is not root."""
    s3.create_bucket(Bucket="of-another")
    put(s3, "of-another", "mine", 48_000, Metadata={"of": "another"})
    put(s3, "of-another", "small", 20)


HEADERS = (
    "ETag",
    "ContentLength",
    "ContentType",
    "CacheControl",
    "ContentLanguage",
    "ContentDisposition",
    "Metadata",
    "StorageClass",
    "WebsiteRedirectLocation",
    "ServerSideEncryption",
    "TagCount",
    "ChecksumType",
    "ChecksumCRC32",
    "ChecksumCRC64NVME",
    "ChecksumSHA256",
)


def read_back(server):
    """Return what clients see: buckets with their owner, versions, markers, uploads with their parts."""
    seen = {"buckets": [], "versions": [], "markers": [], "uploads": []}
    for owner, s3 in (("root", server.client()), ("other", server.client(OTHER))):
        for bucket in [it["Name"] for it in s3.list_buckets()["Buckets"]]:
            if bucket in [it["name"] for it in seen["buckets"]]:
                continue
            if owner == "root" and bucket == "of-another":
                continue
            status = s3.get_bucket_versioning(Bucket=bucket).get("Status", "")
            seen["buckets"].append({"name": bucket, "owner": owner, "versioning": status})
            page = s3.list_object_versions(Bucket=bucket)
            for it in page.get("Versions", ()):
                seen["versions"].append(read_version(s3, bucket, it))
            for it in page.get("DeleteMarkers", ()):
                named = {"key": it["Key"], "version_id": it["VersionId"], "latest": it["IsLatest"]}
                seen["markers"].append({"bucket": bucket, **named})
            for it in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
                seen["uploads"].append(read_upload(s3, bucket, it["Key"], it["UploadId"]))
    return seen


def read_version(s3, bucket, it):
    """Return what a client sees of a version."""
    place = {"Bucket": bucket, "Key": it["Key"], "VersionId": it["VersionId"]}
    answer = s3.get_object(**place, ChecksumMode="ENABLED")
    headers = {name: answer[name] for name in HEADERS if name in answer}
    return {
        "bucket": bucket,
        "key": it["Key"],
        "version_id": it["VersionId"],
        "latest": it["IsLatest"],
        "modified": answer["LastModified"].isoformat(),
        "sha256": hashlib.sha256(answer["Body"].read()).hexdigest(),
        "headers": headers,
    }


def read_upload(s3, bucket, key, upload):
    """Return what a client sees of an upload in progress."""
    answer = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload)
    parts = [
        {name: value for name, value in part.items() if name != "LastModified"} for part in answer.get("Parts", ())
    ]
    return {"bucket": bucket, "key": key, "upload_id": upload, "parts": parts}


def make_store(count, more=()):
    """Return a function that makes a store of so many volumes with everything in it; it returns what is to be read."""

    def make(folder):
        server = Server(folder, count)
        fill_plain(server.client())
        fill_versioned(server.client())
        fill_of_another(server.client(OTHER))
        server.stop()
        for settings, key in more:  # what other settings wrote stays readable
            server = Server(folder, count, **settings)
            put(server.client(), "plain", key, 150_000)
            server.stop()
        server = Server(folder, count)
        seen = read_back(server)
        server.stop()
        return seen

    return make


OTHER_SETTINGS = (
    ({"S3ISH_ERASURE_DATA": "4", "S3ISH_ERASURE_PARITY": "2", "S3ISH_STORAGE_STRIPE_BYTES": "65536"}, "four and two"),
    ({"S3ISH_ERASURE_CODER": "rs-zfec"}, "coded by zfec"),
    ({"S3ISH_STORAGE_INLINE_BYTES": "0"}, "never inline"),
)


def make_killed(folder):
    """A store whose server was killed while it had an object of many parts to remove, and one that no row names."""
    script = [sys.executable, __file__, "--kill", str(folder)]
    assert subprocess.run(script, check=False).returncode == -signal.SIGKILL
    copied = Path(tempfile.mkdtemp(dir=folder)) / "volume0"
    subprocess.run(["cp", "-a", f"{folder}/volume0", copied], check=True)
    server = Server(copied.parent, 1)  # on a copy: the store itself stays as the kill left it
    seen = read_back(server)
    server.stop()
    return seen


class Bytes:
    """Bytes on their way in."""

    expects_sha256, algorithm = False, None

    def __init__(self, data):
        self.size, self._rest = len(data), data

    async def gather(self, count):
        """Everything is there."""

    async def read(self, limit):
        """Return what comes next."""
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        return piece

    def claims(self):
        """Nothing is claimed."""
        return Claims()


async def die(folder):
    """Fill a store, and die in the middle of it."""
    multipart.MIN_PART_BYTES = 1
    settings = load({"storage.volumes": [f"{folder}/volume0"]}, {}, None)
    clock, place = Clock(), engines.place_on(f"{folder}/volume0")
    owner = app.users(settings)[0].owner
    volumes = engines.open_volumes(settings, clock, create=True)
    await SQLiteIndex(place).close()
    store = engines.make_store(settings, volumes, place, clock)
    await engines.bind(store, volumes.set, 0)
    await begin(store, volumes)
    await buckets.create_bucket(store, "killed", owner, "us-east-1")
    plain = {"owner": owner, "attributes": Attributes()}
    for key, size in (("small", 20), ("large", 90_000)):
        await write.put_object(store, "killed", key, Bytes(content(key, size)), **plain)
    draft = Upload(bucket="killed", key="many", id="", created_ns=0, owner=owner, initiator=owner, blob=blob(""))
    upload = await multipart.create_upload(store, draft)
    chosen = []
    for number in range(1, 21):
        data = content(f"part {number}", 40_000 if number in (3, 4) else 10)
        _, part = await multipart.put_part(store, "killed", "many", upload.id, number, Bytes(data))
        chosen.append(multipart.Chosen(number, f'"{part.etag}"', {}))
    await multipart.complete_upload(store, "killed", "many", upload.id, chosen)
    await delete.delete_object(store, "killed", "many", owner=owner)
    async with store.blobs.create("killed/orphan", 50_000) as writer:
        await writer.write(content("orphan", 50_000))
        ref = await writer.finish()
        fields = {"size": 50_000, "etag": "0" * 32, "modified_ns": clock.now_ns(), "sequence": clock.sequence()}
        await writer.seal(seal.write(seal.VersionSeal(version("orphan", ref, bucket="killed", **fields))))
        os.kill(os.getpid(), signal.SIGKILL)


async def begin(store, volumes):
    """Begin as a server does."""
    await adopt(store, volumes.generation + 1)
    volumes.write_generation(volumes.generation + 1)
    await recover(store)


def pack(folder, target):
    """Pack the volumes of a store."""
    with tarfile.open(target, "w:gz", compresslevel=9) as archive:
        for volume in sorted(folder.glob("volume*")):
            archive.add(volume, volume.name)


def write_stores(target):
    """Write every store, and what is to be read from it."""
    makers = {"one-volume": make_store(1, OTHER_SETTINGS), "three-volumes": make_store(3), "killed": make_killed}
    listed = {}
    for name, make in makers.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            seen = make(folder)
            pack(folder, target / f"{name}.tar.gz")
            volumes = sorted(volume.name for volume in folder.glob("volume*"))
        listed[name] = {"volumes": volumes, **seen}
    dump(target / "stores.json", listed)


if __name__ == "__main__":
    if sys.argv[1] == "--kill":
        asyncio.run(die(Path(sys.argv[2])))
    else:
        write_samples(Path(sys.argv[1]))
        write_stores(Path(sys.argv[1]))
