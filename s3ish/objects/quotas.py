"""Quotas: how much a bucket, and all buckets of an owner together, may hold at most.

A write that makes either larger looks at the counters before its commit, and the commit expects that they still leave
room: no race of writers exceeds a quota. Parts of uploads in progress count as they come, so that a completion needs
no further room. What makes less is never refused, nor is a delete marker. Where there is no quota, nothing is read.

S3 has no quotas. The error is that of Ceph and other servers: 403 QuotaExceeded.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

import msgspec
from msgspec import Struct

from s3ish.errors import QuotaExceeded
from s3ish.index.protocol import AtMost, Damaged, Index
from s3ish.model import Bucket, Usage
from s3ish.tables.catalogue import OF_BUCKET, OF_OWNER, USAGE

DOCUMENT = "s3ish-quota"
"""The name of a bucket's quota among its documents."""
LONG_BYTES = 256 * 1024
"""What is announced with more is not read if a quota leaves no room for it."""


class Limits(Struct, frozen=True, omit_defaults=True):
    """A quota: the most bytes, and the most objects with all their versions; 0 for any number."""

    bytes: int = 0
    objects: int = 0

    def __bool__(self) -> bool:
        return bool(self.bytes or self.objects)


NONE = Limits()


@lru_cache(maxsize=1024)
def read_limits(text: str) -> Limits:
    """Return what a document says; one that cannot be read limits nothing."""
    try:
        return msgspec.json.decode(text, type=Limits)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return NONE


def write_limits(limits: Limits) -> str:
    """Return the document of a quota."""
    return msgspec.json.encode(limits).decode()


class Quotas:
    """The quotas of one process.

    Args:
        bucket, owner: of those that have none of their own.

    ``owners`` are those of owners, by their ids; what keeps them fresh puts another mapping in its place.
    """

    def __init__(self, bucket: Limits = NONE, owner: Limits = NONE) -> None:
        self._bucket, self._owner = bucket, owner
        self._by_settings = bool(bucket or owner)
        self.owners: dict[str, Limits] = {}

    def of_bucket(self, bucket: Bucket) -> Limits:
        """Return the quota of a bucket."""
        text = bucket.documents.get(DOCUMENT)
        return read_limits(text) if text else self._bucket

    def of_owner(self, owner: str) -> Limits:
        """Return the quota of an owner, given its id."""
        return self.owners.get(owner, self._owner)

    def limit(self, bucket: Bucket) -> bool:
        """Whether a write to a bucket may exceed a quota."""
        return bool(self.of_bucket(bucket) or self.of_owner(bucket.owner.id))

    async def check(self, index: Index, bucket: Bucket, more: Usage) -> list[AtMost]:
        """Return what the commit must expect that makes a bucket hold more.

        Raises:
            QuotaExceeded: there is no room for it.
            Unavailable: the index cannot be read.
        """
        size = more.bytes + more.upload_bytes
        if (size <= 0 and more.versions <= 0) or not self._are_any(bucket):
            return []
        expect: list[AtMost] = []
        for kind, name, limits in self._limits(bucket):
            key = USAGE.key(kind, name)
            held = Usage()
            with suppress(Damaged):  # it is reported where it is shown, and counted by the next start
                found = await USAGE.get(index, kind, name)
                held = found.record if found else held
            for what, adds, has, most, columns in (
                ("bytes", size, held.bytes + held.upload_bytes, limits.bytes, _BYTES),
                ("objects", more.versions, held.versions, limits.objects, _VERSIONS),
            ):
                if most and adds > 0:
                    if has + adds > most:
                        raise QuotaExceeded(f"The {kind} may not hold more than {most} {what}.", BucketName=bucket.name)
                    expect.append(AtMost(USAGE.name, key, columns, most - adds))
        return expect

    def _are_any(self, bucket: Bucket) -> bool:
        """Whether there is a quota at all that a bucket could be under."""
        return self._by_settings or bool(self.owners) or DOCUMENT in bucket.documents

    def _limits(self, bucket: Bucket) -> Iterator[tuple[str, str, Limits]]:
        """Yield the quotas that a bucket is under: the kind of what has it, its name, and the quota."""
        if limits := self.of_bucket(bucket):
            yield OF_BUCKET, bucket.name, limits
        if limits := self.of_owner(bucket.owner.id):
            yield OF_OWNER, bucket.owner.id, limits


_FIELDS = Usage.__struct_fields__
_BYTES = _FIELDS.index("bytes"), _FIELDS.index("upload_bytes")
_VERSIONS = (_FIELDS.index("versions"),)
