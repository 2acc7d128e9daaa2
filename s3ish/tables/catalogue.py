"""The tables of a store. A new kind of record is one more of them: see ``table.py`` for what it must say of itself."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec.structs import astuple, replace

from s3ish.index.protocol import Add, Change, Damaged, Expect, Layout, Put, RowIs, Rows
from s3ish.model import (
    BlobRef,
    Bucket,
    Entry,
    Event,
    Garbage,
    Intent,
    Part,
    QueuedMessage,
    Snapshot,
    SystemRecord,
    Upload,
    Usage,
    Version,
)
from s3ish.tables import formats, keys, records, sidecars
from s3ish.tables.part_list import Packed, PackedParts, is_long
from s3ish.tables.state import STATE
from s3ish.tables.table import Held, KeyedTable, Named, SealedTable, Sidecar, Tables

SYSTEM_HOME = "_s3ish"
"""Where the sidecars lie of what belongs to no bucket; no bucket can have such a name."""

OF_BUCKET, OF_OWNER = "bucket", "owner"
"""What a row of the table of usage is of."""

_PARTS_AT_ONCE = 1000
_COUNTERS_KEPT = 1024
"""Of so many buckets the keys of the rows are remembered that count what they hold."""


class Versions(SealedTable[Version, [str, str, int]]):
    """The versions of objects. The parts of a long row stay encoded until they are asked for."""

    def decode(self, key: bytes, value: bytes) -> Version:
        if _stays_encoded(value):
            return records.decode(self.name, key, value, Packed).unpacked()
        return super().decode(key, value)

    def decode_rows(self, rows: Sequence[tuple[bytes, bytes]]) -> list[Version]:
        if any(_stays_encoded(value) for _, value in rows):
            return [self.decode(key, value) for key, value in rows]
        return super().decode_rows(rows)

    def reseal(self, record: Version, before: bytes) -> bytes:
        """As ``SealedTable.reseal``; parts that are still encoded are taken over as they stand in the sidecar."""
        parts = sidecars.member(before, self.kind, Version, "parts") if isinstance(record.parts, PackedParts) else None
        return self.seal(replace(record, parts=parts) if parts else record)

    def newest(self, bucket: str, key: str, held: Held[Version] | None) -> list[Expect]:
        """The expectations that a version, or none, is still the newest of a key."""
        start, stop = keys.versions_range(bucket, key)
        if held is None:
            return [self.empty(start, stop)]
        return [self.empty(start, held.key), held.row]

    def name_of(self, held: Held[Version]) -> str:
        version = held.record
        return f"{version.bucket}/{version.key} version {version.id}"

    async def named(self, index: Rows, held: Held[Version]) -> Sequence[Named | RowIs]:
        version, name = held.record, self.name_of(held)
        beside = version.bucket, version.key, version.upload
        return [
            *await super().named(index, held),
            *(
                Named(f"{name} part {part.number}", part.blob, PARTS.sidecar(part, *beside), held.row)
                for part in version.parts
            ),
            *(
                Named(
                    f"{name} annotation {one.name}", one.part.blob, PARTS.sidecar(one.part, *beside[:2], ""), held.row
                )
                for one in version.annotations
            ),
        ]


class Uploads(SealedTable[Upload, [str, str, str]]):
    """Multipart uploads in progress; each names the blobs of its parts, which stand in a table of their own."""

    whole = False

    async def named(self, index: Rows, held: Held[Upload]) -> Sequence[Named | RowIs]:
        upload, name = held.record, self.name_of(held)
        found = [*await super().named(index, held)]
        start, stop = keys.parts_range(upload.id)
        while rows := await PARTS.rows(index, start, stop, _PARTS_AT_ONCE):
            for key, value in rows:
                try:
                    part = PARTS.decode(key, value)
                except Damaged:
                    found.append(PARTS.expect(key, value))
                    continue
                sidecar = PARTS.sidecar(part, upload.bucket, upload.key, upload.id)
                found.append(Named(f"{name} part {part.number}", part.blob, sidecar, PARTS.expect(key, value)))
            start = keys.after(rows[-1][0])
        return found


class Parts(SealedTable[Part, [str, int]]):
    """The parts of uploads in progress. What they name is found with their uploads, which know bucket and key."""

    async def named(self, index: Rows, held: Held[Part]) -> Sequence[Named | RowIs]:  # noqa: ARG002
        return []

    async def home_of(self, index: Rows, key: bytes) -> str | None:
        upload = await self._upload_of(index, key)
        return upload and f"{upload[0]}/{upload[1]}"

    async def beside_of(self, index: Rows, key: bytes) -> tuple[str, ...]:
        if upload := await self._upload_of(index, key):
            return upload
        raise Damaged(f"there is no upload of {self.title(key)}")

    async def _upload_of(self, index: Rows, key: bytes) -> tuple[str, str, str] | None:
        """Return bucket, key and id of the upload that a part is of."""
        wanted, start = self.split(key)[0], b""
        while page := await UPLOADS.rows(index, start, keys.END, _PARTS_AT_ONCE):
            for row, _ in page:
                upload = keys.split_upload_key(row)
                if upload[2] == wanted:
                    return upload
            start = keys.after(page[-1][0])
        return None

    def alike(self, one: Sidecar, other: Sidecar) -> bool:
        """A part may have been sealed for an upload that has become an object."""
        return (one.record, one.beside[:2]) == (other.record, other.beside[:2])


class Current(KeyedTable[Entry, [str, str]]):
    """What listings show of the newest version of each key."""

    def show(self, version: Version) -> Change:
        """The change that makes a version the one that listings show; none is shown for a delete marker."""
        key = self.key(version.bucket, version.key)
        if version.marker:
            return self.drop(key)
        checksum = version.checksum
        entry = Entry(
            size=version.size,
            etag=version.etag,
            modified_ns=version.modified_ns,
            storage_class=version.attributes.storage_class,
            owner_id=version.owner.id,
            owner_name=version.owner.display_name,
            checksum_algorithm=checksum.algorithm if checksum else "",
            checksum_kind=checksum.kind if checksum else "",
        )
        return self.store(key, entry)


class Nulls(KeyedTable[int, [str, str]]):
    """The sequences of null versions that are not the newest of their key."""

    def encode(self, key: bytes, record: int) -> bytes:
        return records.encode_bytes(self.name, key, record.to_bytes(8, "big"))

    def decode(self, key: bytes, value: bytes) -> int:
        return int.from_bytes(records.decode_bytes(self.name, key, value), "big")

    def cover(self, version: Version) -> Put:
        """The change that remembers where a null version is, now that it is no longer the newest."""
        return self.put(version.sequence, version.bucket, version.key)

    def covered(self, version: Version) -> RowIs:
        """The expectation that this is still so."""
        put = self.cover(version)
        return RowIs(self.name, put.key, put.value)


class Inline(KeyedTable[bytes, [str]]):
    """The bytes of small blobs, beside those in their sidecars."""

    def encode(self, key: bytes, record: bytes) -> bytes:
        return records.encode_bytes(self.name, key, record)

    def decode(self, key: bytes, value: bytes) -> bytes:
        return records.decode_bytes(self.name, key, value)

    def keep(self, ref: BlobRef, data: bytes | None) -> list[Change]:
        """The change that keeps a small blob's bytes."""
        return [self.put(data, ref.id)] if data else []

    def forget(self, ref: BlobRef) -> list[Change]:
        """The change that forgets them."""
        return [self.delete(ref.id)] if ref.inline and ref.size else []


class GarbageTable(KeyedTable[Garbage, [str]]):
    """Blobs that a commit has made unreachable and that are to be removed."""

    def name_it(self, garbage: Garbage) -> Put:
        """The change that names a blob as garbage."""
        return self.put(garbage, garbage.ref.id)


class KeptTable(KeyedTable[Sequence[tuple[bytes, bytes]], [str, str, bytes]]):
    """Rows of other tables as they were when a snapshot was taken, many in one row."""

    def encode(self, key: bytes, record: Sequence[tuple[bytes, bytes]]) -> bytes:
        return records.encode_bytes(self.name, key, msgspec.msgpack.encode(record))

    def decode(self, key: bytes, value: bytes) -> Sequence[tuple[bytes, bytes]]:
        payload = records.decode_bytes(self.name, key, value)
        try:
            return msgspec.msgpack.decode(payload, type=list[tuple[bytes, bytes]])
        except msgspec.MsgspecError as error:
            raise Damaged(f"a row of table {self.name} keeps no rows: {error}") from error


class UsageTable(KeyedTable[Usage, [str, str]]):
    """How much each bucket holds, and all buckets of each owner; see ``Sums``."""

    @property
    def layout(self) -> Layout:
        return Layout(self.name, sums=self, spared=True)

    def numbers(self, key: bytes, value: bytes | None) -> Sequence[int]:
        """See ``Sums.numbers``."""
        return astuple(Usage() if value is None else self.decode(keys.without_world(key), value))

    def value(self, key: bytes, numbers: Sequence[int]) -> bytes:
        """See ``Sums.value``."""
        return self.encode(keys.without_world(key), Usage(*numbers))

    def add(self, bucket: Bucket, change: Usage) -> list[Change]:
        """The changes that count what a bucket has more, or less, than before."""
        numbers = astuple(change)
        if not any(numbers):
            return []
        of_bucket, of_owner = _counters_of(bucket.name, bucket.owner.id)
        return [Add(self.name, of_bucket, numbers), Add(self.name, of_owner, numbers)]


@lru_cache(_COUNTERS_KEPT)
def _counters_of(bucket: str, owner: str) -> tuple[bytes, bytes]:
    """Return the rows that count what a bucket holds, and what its owner does."""
    return keys.usage_key(OF_BUCKET, bucket), keys.usage_key(OF_OWNER, owner)


def _stays_encoded(value: bytes) -> bool:
    """Whether the parts in a row are left encoded: it is long, and they are what they would be in a row of now."""
    return is_long(value) and not formats.steps(Version, value[0])


BUCKETS: SealedTable[Bucket, [str]] = SealedTable(
    "buckets",
    Bucket,
    keys.bucket_key,
    lambda key: (key.decode(),),
    title="bucket {}",
    kind="bucket",
    key_of=lambda bucket: keys.bucket_key(bucket.name),
    made_ns=lambda bucket: bucket.created_ns,
    home=lambda name: name,
    at_home=lambda home: keys.only(keys.bucket_key(home)),
)
VERSIONS = Versions(
    "versions",
    Version,
    keys.version_key,
    keys.split_version_key,
    title="{}/{} version {}",
    kind="version",
    key_of=lambda version: keys.version_key(version.bucket, version.key, version.sequence),
    made_ns=lambda version: max(version.modified_ns, version.sequence),  # a rename leaves the former as it was
    home=lambda bucket, key, _: f"{bucket}/{key}",
    at_home=keys.of_home,
)
UPLOADS = Uploads(
    "uploads",
    Upload,
    keys.upload_key,
    keys.split_upload_key,
    title="{}/{} upload {}",
    kind="upload",
    key_of=lambda upload: keys.upload_key(upload.bucket, upload.key, upload.id),
    made_ns=lambda upload: upload.created_ns,
    home=lambda bucket, key, _: f"{bucket}/{key}",
    at_home=keys.of_home,
)
PARTS = Parts(
    "parts",
    Part,
    keys.part_key,
    keys.split_part_key,
    title="upload {} part {}",
    kind="part",
    beside=("bucket", "key", "upload"),
    key_of=lambda part, _bucket, _key, upload: keys.part_key(upload, part.number) if upload else None,
    made_ns=lambda part: part.modified_ns,
    home=lambda *_: "",
    at_home=lambda _: keys.NOTHING,
)
SYSTEM: SealedTable[SystemRecord, [str]] = SealedTable(
    "system",
    SystemRecord,
    keys.system_key,
    lambda key: (key.decode(),),
    title="{}",
    kind="system",
    key_of=lambda record: keys.system_key(record.name),
    made_ns=lambda record: record.created_ns,
    home=lambda name: f"{SYSTEM_HOME}/{name}",
    at_home=lambda home: keys.only(keys.system_key(home.removeprefix(f"{SYSTEM_HOME}/"))),
)
CURRENT = Current("current", Entry, keys.object_key, keys.split_object_key, title="{}/{}", walked=True, spared=True)
NULLS = Nulls("nulls", int, keys.object_key, keys.split_object_key, title="{}/{}", walked=True)
INLINE = Inline("inline", bytes, keys.inline_key, lambda key: (key.decode(),), title="{}", long_values=True)
GARBAGE = GarbageTable("garbage", Garbage, keys.garbage_key, lambda key: (key.decode(),), title="{}", spared=True)
INTENTS: KeyedTable[Intent, [str, str]] = KeyedTable(
    "intents", Intent, keys.intent_key, keys.split_intent_key, title="{} {}"
)
OUTBOX: KeyedTable[Event, [str, int, bytes]] = KeyedTable(
    "outbox", Event, keys.outbox_key, keys.split_outbox_key, title="event for {}, number {}"
)
MESSAGES: KeyedTable[QueuedMessage, [str, int, bytes]] = KeyedTable(
    "messages", QueuedMessage, keys.outbox_key, keys.split_outbox_key, title="message in {}, number {}"
)

USAGE = UsageTable("usage", Usage, keys.usage_key, keys.split_usage_key, title="what the {} {} holds", walked=True)

REPLICATIONS: KeyedTable[int, [int, str, str]] = KeyedTable(
    "replications", int, keys.replication_key, keys.split_replication_key, title="replication of version {} of {}/{}"
)
"""The versions that are to be replicated: the record is the version's revision. A rebuild finds them again by their
status."""

SENDINGS: KeyedTable[int, [str, int, str, str]] = KeyedTable(
    "sendings", int, keys.sending_key, keys.split_sending_key, title="replication to {} of version {} of {}/{}"
)
"""The same of versions that are to be replicated to another server, by its name."""

RESTORES: KeyedTable[str, [int, int, str, str]] = KeyedTable(
    "restores", str, keys.restore_key, keys.split_restore_key, title="restore at {} of version {} of {}/{}"
)
"""When restores are complete and when they end, for the events of that: the record is the name of the event. A
rebuild finds again those that are to come."""

SNAPSHOTS: KeyedTable[Snapshot, [str]] = KeyedTable(
    "snapshots", Snapshot, keys.snapshot_key, lambda key: (key.decode(),), title="snapshot {}"
)
KEPT = KeptTable(
    "kept",
    Sequence[tuple[bytes, bytes]],  # type: ignore[type-abstract]
    keys.kept_key,
    keys.split_kept_key,
    title="snapshot {}, rows of {} up to {}",
    long_values=True,
)
WORLDS: KeyedTable[int, [str]] = KeyedTable(
    "worlds", int, keys.world_key, lambda key: (key.decode(),), title="world of {}"
)
"""The worlds of tests beside the main one, by the access keys that they are of: the record is when it was begun, in
nanoseconds since the epoch. The rows of one stand in all tables, behind those of the main one."""

TABLES = Tables(
    BUCKETS,
    UPLOADS,
    VERSIONS,
    PARTS,
    CURRENT,
    NULLS,
    SYSTEM,
    INLINE,
    GARBAGE,
    INTENTS,
    OUTBOX,
    MESSAGES,
    REPLICATIONS,
    SENDINGS,
    RESTORES,
    USAGE,
    STATE,
    SNAPSHOTS,
    KEPT,
    WORLDS,
)
"""All of them. Uploads come before versions, because that is how a part moves: so a pass does not miss it on its way.
What an entry of a listing is restored from comes before it."""
