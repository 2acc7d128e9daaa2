"""The keys of the index's tables, in the order in which S3 lists.

Bucket names and object keys never contain NUL, so it separates the parts of a key and sorts before everything that a
key may contain: the order of rows is the order of the keys' UTF-8 bytes.
"""

_TOP = 2**64 - 1
_SEQUENCE_BYTES = 8
_MOMENT_BYTES = 9

END = b"\xff"
"""Behind every key: they begin with text in UTF-8, or with a sequence, whose first byte is less until the year 2552."""

NOTHING = (b"", b"")
"""A range without a key."""


def world_key(name: str) -> bytes:
    """The row of a world."""
    return name.encode()


def world_prefix(name: str) -> bytes:
    """What the keys of all rows of a world begin with: they stand behind the end of the main one."""
    return END + name.encode() + b"\0"


def without_world(row: bytes) -> bytes:
    """Return the key of a row as it is within its world."""
    return row.partition(b"\0")[2] if row.startswith(END) else row


def bucket_key(name: str) -> bytes:
    """The row of a bucket."""
    return name.encode()


def object_key(bucket: str, key: str) -> bytes:
    """The row of a key in the tables that have one row a key; with an empty key, where a bucket's rows begin."""
    return bucket.encode() + b"\0" + key.encode()


def split_object_key(row: bytes) -> tuple[str, str]:
    """Return bucket and key of such a row."""
    bucket, _, key = row.partition(b"\0")
    return bucket.decode(), key.decode()


def versions_prefix(bucket: str, key: str) -> bytes:
    """What the rows of all versions of a key begin with."""
    return object_key(bucket, key) + b"\0"


def versions_range(bucket: str, key: str) -> tuple[bytes, bytes]:
    """All rows of a key in the tables whose rows begin with bucket, NUL, key and NUL."""
    begin = object_key(bucket, key)
    return begin + b"\0", begin + b"\1"


def version_key(bucket: str, key: str, sequence: int) -> bytes:
    """The row of a version; the newest of a key comes first."""
    return versions_prefix(bucket, key) + (_TOP - sequence).to_bytes(_SEQUENCE_BYTES, "big")


def split_version_key(row: bytes) -> tuple[str, str, int]:
    """Return bucket, key and sequence of such a row."""
    bucket, key = split_object_key(row[: -_SEQUENCE_BYTES - 1])
    return bucket, key, _TOP - int.from_bytes(row[-_SEQUENCE_BYTES:], "big")


def upload_key(bucket: str, key: str, upload_id: str) -> bytes:
    """The row of an upload in progress."""
    return versions_prefix(bucket, key) + upload_id.encode()


def split_upload_key(row: bytes) -> tuple[str, str, str]:
    """Return bucket, key and upload id of such a row."""
    rest, _, upload_id = row.rpartition(b"\0")
    return *split_object_key(rest), upload_id.decode()


def part_key(upload_id: str, number: int) -> bytes:
    """The row of a part of an upload."""
    return upload_id.encode() + b"\0" + number.to_bytes(2, "big")


def split_part_key(row: bytes) -> tuple[str, int]:
    """Return upload id and part number of such a row."""
    upload_id, _, number = row.partition(b"\0")
    return upload_id.decode(), int.from_bytes(number, "big")


def parts_range(upload_id: str) -> tuple[bytes, bytes]:
    """The rows of all parts of an upload."""
    return prefix_range(upload_id.encode() + b"\0")


def inline_key(blob_id: str) -> bytes:
    """The row of a small blob's bytes."""
    return blob_id.encode()


def garbage_key(blob_id: str) -> bytes:
    """The row of a blob that is to be removed."""
    return blob_id.encode()


def intent_key(blob_id: str, token: str) -> bytes:
    """The row of an amendment under way: those of one blob stand together."""
    return blob_id.encode() + b"\0" + token.encode()


def split_intent_key(row: bytes) -> tuple[str, str]:
    """Return blob id and token of such a row."""
    blob_id, _, token = row.partition(b"\0")
    return blob_id.decode(), token.decode()


def intents_range(blob_id: str) -> tuple[bytes, bytes]:
    """The rows of all amendments of a blob that are under way."""
    return prefix_range(blob_id.encode() + b"\0")


def outbox_key(target: str, sequence: int, token: bytes) -> bytes:
    """The row of an event on its way to a target, or of a message in a queue; those of one stand together, in order.

    ``token`` tells events apart that have the same sequence.
    """
    return target.encode() + b"\0" + sequence.to_bytes(_SEQUENCE_BYTES, "big") + token


def split_outbox_key(row: bytes) -> tuple[str, int, bytes]:
    """Return target, sequence and token of such a row."""
    target, _, rest = row.partition(b"\0")
    return target.decode(), int.from_bytes(rest[:_SEQUENCE_BYTES], "big"), rest[_SEQUENCE_BYTES:]


def outbox_range(target: str) -> tuple[bytes, bytes]:
    """The rows of all events on their way to a target."""
    return prefix_range(target.encode() + b"\0")


def replication_key(sequence: int, bucket: str, key: str) -> bytes:
    """The row of a version that is to be replicated: the oldest come first."""
    return sequence.to_bytes(_SEQUENCE_BYTES, "big") + object_key(bucket, key)


def split_replication_key(row: bytes) -> tuple[int, str, str]:
    """Return sequence, bucket and key of such a row."""
    return int.from_bytes(row[:_SEQUENCE_BYTES], "big"), *split_object_key(row[_SEQUENCE_BYTES:])


def sending_key(target: str, sequence: int, bucket: str, key: str) -> bytes:
    """The row of a version that is to be sent to a target; those of one stand together, the oldest first."""
    return outbox_key(target, sequence, object_key(bucket, key))


def split_sending_key(row: bytes) -> tuple[str, int, str, str]:
    """Return target, sequence, bucket and key of such a row."""
    target, sequence, place = split_outbox_key(row)
    return target, sequence, *split_object_key(place)


def restore_key(at_ns: int, sequence: int, bucket: str, key: str) -> bytes:
    """The row of a moment of a restore: the next one comes first. It may be some thousand years away."""
    return at_ns.to_bytes(_MOMENT_BYTES, "big") + replication_key(sequence, bucket, key)


def split_restore_key(row: bytes) -> tuple[int, int, str, str]:
    """Return moment, sequence, bucket and key of such a row."""
    return int.from_bytes(row[:_MOMENT_BYTES], "big"), *split_replication_key(row[_MOMENT_BYTES:])


def restores_until(at_ns: int) -> bytes:
    """Where the rows end of moments that are not after another one."""
    return (at_ns + 1).to_bytes(_MOMENT_BYTES, "big")


def snapshot_key(name: str) -> bytes:
    """The row of a snapshot."""
    return name.encode()


def kept_key(snapshot: str, table: str, last: bytes) -> bytes:
    """The row that keeps rows of a table for a snapshot, up to the one whose key is ``last``."""
    return f"{snapshot}\0{table}\0".encode() + last


def split_kept_key(row: bytes) -> tuple[str, str, bytes]:
    """Return id of the snapshot, table and last key of such a row."""
    snapshot, table, last = row.split(b"\0", 2)
    return snapshot.decode(), table.decode(), last


def kept_range(snapshot: str, table: str = "") -> tuple[bytes, bytes]:
    """All rows that are kept for a snapshot, or those of them that are of a table."""
    return prefix_range(f"{snapshot}\0{table}\0".encode() if table else f"{snapshot}\0".encode())


def system_key(name: str) -> bytes:
    """The row of what belongs to no bucket."""
    return name.encode()


def usage_key(kind: str, name: str) -> bytes:
    """The row of what a bucket, or all buckets of an owner, hold."""
    return kind.encode() + b"\0" + name.encode()


def split_usage_key(row: bytes) -> tuple[str, str]:
    """Return kind and name of such a row."""
    kind, _, name = row.partition(b"\0")
    return kind.decode(), name.decode()


def of_home(home: str) -> tuple[bytes, bytes]:
    """All rows of the key whose blobs lie at a home, in the tables whose rows begin with bucket, NUL, key and NUL."""
    bucket, _, key = home.partition("/")
    return versions_range(bucket, key)


def only(key: bytes) -> tuple[bytes, bytes]:
    """The range of one key."""
    return key, after(key)


def bucket_range(bucket: str) -> tuple[bytes, bytes]:
    """All rows of a bucket in the tables whose rows begin with bucket and NUL."""
    return prefix_range(object_key(bucket, ""))


def prefix_range(prefix: bytes) -> tuple[bytes, bytes]:
    """The range ``[start, stop)`` of all keys that begin with ``prefix``."""
    shortened = prefix.rstrip(b"\xff")
    if not shortened:
        return prefix, b"\xff" * (len(prefix) + 1)
    return prefix, shortened[:-1] + bytes((shortened[-1] + 1,))


def after(key: bytes) -> bytes:
    """The least key greater than ``key``."""
    return key + b"\0"
