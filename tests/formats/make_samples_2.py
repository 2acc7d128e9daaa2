"""Samples of format 2: ``python -m tests.formats.make_samples_2`` writes ``2/rows.json`` and ``2/sidecars.json``.

A value of every table and a text of every kind of sidecar, and what they say. After a release has written the format
they are not made again: what changes later is another format.
"""

import json
from pathlib import Path

from msgspec.structs import asdict

from s3ish.model import (
    Annotation,
    Attributes,
    BlobRef,
    Bucket,
    Checksum,
    Entry,
    Event,
    Garbage,
    Grant,
    Intent,
    Link,
    Lock,
    Origin,
    Owner,
    Part,
    QueuedMessage,
    Restore,
    Snapshot,
    SystemRecord,
    Tag,
    Upload,
    Usage,
    Version,
)
from s3ish.tables.catalogue import (
    BUCKETS,
    CURRENT,
    GARBAGE,
    INLINE,
    INTENTS,
    KEPT,
    MESSAGES,
    NULLS,
    OUTBOX,
    PARTS,
    REPLICATIONS,
    RESTORES,
    SENDINGS,
    SNAPSHOTS,
    SYSTEM,
    TABLES,
    UPLOADS,
    USAGE,
    VERSIONS,
    WORLDS,
)
from s3ish.tables.state import AWAY, STATE

TARGET = Path(__file__).parent / "2"
NS = 1_796_000_000_123_456_789
OWNER = Owner("owner-id", "The Owner \u00fc")
CHAIN = (Link("zstd", {"level": "3"}), Link("aes-256-gcm", {"key": "wrapped", "nonce": "AAAAAAAAAAAAAAAA"}))


def blob(name, size=0, *, inline=False):
    """Return a reference to a blob that was never written."""
    place = (0,) if inline else (2, 0, 1)
    return BlobRef(
        f"{name}@abcdefgh234567ab", size, 0xFEDC_BA98_7654_3210, "rs-cauchy-11d", 2, 1, 1 << 20, place, inline
    )


PART = Part(
    number=1,
    size=5 << 20,
    etag="a" * 32,
    modified_ns=NS + 1,
    blob=blob("bucket/many/1", 2_000_000),
    checksum=Checksum("CRC32", "AAAAAA=="),
    encoding=CHAIN,
)
LAST = Part(number=2, size=17, etag="b" * 32, modified_ns=NS + 2, blob=blob("bucket/many/2", 17, inline=True))
ATTRIBUTES = Attributes(
    headers={"content-type": "text/plain"},
    metadata={"colour": "blue"},
    tags=(Tag("project", "a b"),),
    encryption={"x-amz-server-side-encryption": "AES256"},
    acl=(Grant("owner-id", "FULL_CONTROL"),),
    lock=Lock(mode="GOVERNANCE", until_ns=NS + 3, legal_hold=True, event_hold=True, event_days=4, event_years=5),
)
BUCKET = Bucket(
    name="every.field",
    created_ns=NS,
    owner=OWNER,
    blob=blob("every.field/", inline=True),
    region="eu-central-1",
    versioning="Suspended",
    documents={"policy": "{}"},
    revision=7,
)
VERSION = Version(
    bucket="bucket",
    key="a/\u00fc",
    id="abcdefghijklmnopqrstuvwx",
    sequence=NS,
    modified_ns=NS,
    owner=OWNER,
    blob=blob("bucket/a/\u00fc", 100, inline=True),
    size=300,
    etag="c" * 32,
    attributes=ATTRIBUTES,
    encoding=CHAIN,
    revision=3,
)
MULTIPART = Version(
    bucket="bucket",
    key="many",
    id="null",
    sequence=NS,
    modified_ns=NS,
    owner=OWNER,
    blob=blob("bucket/many", inline=True),
    size=(5 << 20) + 17,
    etag="d" * 32 + "-2",
    parts=(PART, LAST),
    upload="upload-id",
)
GROWN = Version(
    bucket="bucket",
    key="new/name",
    id="null",
    sequence=NS + 4,
    modified_ns=NS,
    owner=OWNER,
    blob=blob("bucket/new/name", inline=True),
    size=(5 << 20) + 17,
    etag="e" * 32 + "-9",
    attributes=Attributes(storage_class="GLACIER"),
    parts=(PART, LAST),
    restore=Restore(ready_ns=NS + 5, until_ns=NS + 6),
    origin=Origin(key="old/name", sequence=NS + 3),
    appends=8,
    annotations=(Annotation("labels/\u00fc", LAST),),
)
UPLOAD = Upload(
    bucket="bucket",
    key="many",
    id="upload-id",
    created_ns=NS,
    owner=OWNER,
    initiator=Owner("other"),
    blob=blob("bucket/many", inline=True),
    attributes=ATTRIBUTES,
    checksum_algorithm="CRC32",
    checksum_kind="COMPOSITE",
    encoding=CHAIN[1:],
    revision=1,
)
USER = SystemRecord(
    name="users/alice", created_ns=NS, blob=blob("_s3ish/users/alice", inline=True), document='{"keys":[]}', revision=2
)
ENTRY = Entry(300, "c" * 32, NS, "STANDARD", "owner-id", "The Owner", "CRC32", "COMPOSITE")

ROWS = {
    "bucket of every field": BUCKETS.put(BUCKET),
    "version that is encoded": VERSIONS.put(VERSION),
    "multipart version": VERSIONS.put(MULTIPART),
    "version that was renamed, restored, appended to and annotated": VERSIONS.put(GROWN),
    "upload of every field": UPLOADS.put(UPLOAD),
    "part that is encoded": PARTS.put(PART, "bucket", "many", "upload-id"),
    "plain part": PARTS.put(LAST, "bucket", "many", "upload-id"),
    "user": SYSTEM.put(USER),
    "entry": CURRENT.put(ENTRY, "bucket", "a/\u00fc"),
    "null": NULLS.cover(MULTIPART),
    "bytes": INLINE.put(b"some bytes \x00\xff", VERSION.blob.id),
    "garbage with parts": GARBAGE.name_it(Garbage(MULTIPART.blob, (PART.blob, LAST.blob))),
    "garbage": GARBAGE.name_it(Garbage(VERSION.blob)),
    "intent": INTENTS.put(
        Intent("versions", VERSIONS.key("bucket", "a/\u00fc", NS), VERSION.blob, NS),
        VERSION.blob.id,
        "abcdefgh234567ab",
    ),
    "message": MESSAGES.put(
        QueuedMessage(
            id="01234567-89ab-cdef-0123-456789abcdef",
            sent_ns=NS,
            visible_ns=NS + 30,
            body="h\u00e4llo",
            sender="owner-id",
            receipt="abcdefgh234567ab",
            count=2,
            first_ns=NS + 1,
        ),
        "queue",
        NS + 2,
        b"token",
    ),
    "message of an event": MESSAGES.put(
        QueuedMessage(
            "01234567-89ab-cdef-0123-456789abcdef",
            NS,
            NS,
            event=Event("ObjectRemoved:Delete", NS, "bucket", "owner-id", "eu-central-1"),
        ),
        "queue",
        NS + 3,
        b"token",
    ),
    "event": OUTBOX.put(
        Event(
            name="ObjectCreated:Put",
            at_ns=NS,
            bucket="bucket",
            owner="owner-id",
            region="eu-central-1",
            configuration="all",
            key="a/\u00fc",
            version_id="abcdefghijklmnopqrstuvwx",
            size=300,
            etag="c" * 32,
            sequencer=NS + 1,
            operation="PutObject",
            principal="owner-id",
            source="192.0.2.1",
            request_id="0123456789ABCDEF",
            host_id="abcdefgh",
        ),
        "arn:aws:sqs:eu-central-1:000000000000:queue",
        NS + 1,
        b"token",
    ),
    "what a bucket holds": USAGE.put(Usage(1, 2, 3, 1 << 50, 5, 6), "bucket", "bucket"),
    "version that waits for replicas": REPLICATIONS.put(3, NS, "bucket", "a/\u00fc"),
    "version that waits for another server": SENDINGS.put(3, "arn:s3ish:replication:::paris", NS, "bucket", "a/\u00fc"),
    "end of a restore": RESTORES.put("ObjectRestore:Delete", 253_402_300_799 * 10**9, NS, "bucket", "a/\u00fc"),
    "away": AWAY.put([0, 2]),
    "snapshot": SNAPSHOTS.put(Snapshot("abcdefgh234567ab", NS, 1, 2), "before"),
    "rows that a snapshot keeps": KEPT.put(
        [(b"bucket\0a", b"one\xff"), (b"bucket\0b", b"")], "abcdefgh234567ab", "current", b"bucket\0b"
    ),
    "world": WORLDS.put(NS, "test-one"),
}
SIDECARS = {
    "bucket": BUCKETS.sidecar(BUCKET),
    "version": VERSIONS.sidecar(VERSION),
    "multipart version": VERSIONS.sidecar(MULTIPART),
    "version that was renamed, restored, appended to and annotated": VERSIONS.sidecar(GROWN),
    "upload": UPLOADS.sidecar(UPLOAD),
    "part of an upload": PARTS.sidecar(PART, "bucket", "many", "upload-id"),
    "part of a copy": PARTS.sidecar(LAST, "bucket", "copy", ""),
    "system": SYSTEM.sidecar(USER),
}


def spelled(value):
    """Return a record as JSON can say it, with the names of all its fields."""
    if hasattr(value, "__struct_fields__"):
        return {name: spelled(member) for name, member in asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): spelled(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [spelled(member) for member in value]
    return value.hex() if isinstance(value, bytes) else value


def says(row):
    """Return what a row says, as it is spelled."""
    if row.table == STATE.name:
        return spelled(AWAY.read(row.value))
    return spelled(TABLES[row.table].decode(row.key, row.value))


def main():
    """Write all of them."""
    rows = [
        {"name": name, "table": row.table, "key": row.key.hex(), "value": row.value.hex(), "says": says(row)}
        for name, row in ROWS.items()
    ]
    texts = [
        {"name": name, "text": told.text.decode(), "beside": told.beside, "says": spelled(told.record)}
        for name, told in SIDECARS.items()
    ]
    TARGET.mkdir(exist_ok=True)
    for file, samples in (("rows.json", rows), ("sidecars.json", texts)):
        (TARGET / file).write_text(json.dumps(samples, indent=1) + "\n")


if __name__ == "__main__":
    main()
