"""What a store must hold, as plain dictionaries; and what one does hold, read through the operations of ``objects``."""

import hashlib
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

from s3ish.blob.protocol import Corrupt, Missing
from s3ish.errors import InternalError, ServiceUnavailable
from s3ish.model import Owner
from s3ish.objects import annotations, buckets, get, listing, multipart, versions

OWNER = Owner("owner-id", "owner")
LOST = b"(lost)"


class Violation(AssertionError):
    """The store does not hold what it must."""


class HeldVersion(NamedTuple):
    """A version: ``note`` is its user metadata, ``tag`` the name of its tag, ``annotation`` that text of it."""

    id: str
    data: bytes = b""
    note: str = ""
    marker: bool = False
    tag: str = ""
    annotation: bytes = b""


@dataclass
class HeldUpload:
    """An upload in progress."""

    key: str
    note: str
    parts: dict = field(default_factory=dict)


@dataclass
class HeldBucket:
    """A bucket: when it was made, versions by key, the newest first, and uploads by id."""

    born: int = 0
    versioning: str = ""
    keys: dict = field(default_factory=dict)
    uploads: dict = field(default_factory=dict)

    def add(self, key, version):
        """Put a version on top; with versioning off or suspended it takes the null version's place."""
        assert (version.id == "null") == (self.versioning != "Enabled"), version.id
        kept = [other for other in self.keys.get(key, []) if other.id != version.id]
        self.keys[key] = [version, *kept]

    def drop(self, key, version_id):
        """Remove a version."""
        self.keys[key] = [version for version in self.keys[key] if version.id != version_id]
        if not self.keys[key]:
            del self.keys[key]

    def change(self, key, number, **fields):
        """Replace fields of a version in its place."""
        self.keys[key][number] = self.keys[key][number]._replace(**fields)

    def newest(self, key):
        """Return the object that a GET finds."""
        found = self.keys.get(key)
        return found[0] if found and not found[0].marker else None


def copied(state):
    """Return a state (buckets by name) that later changes do not touch."""
    return deepcopy(state)


def items_of(state):
    """Return all that a state holds as a set, without the order of versions."""
    items = set()
    for name, bucket in state.items():
        items.add(("bucket", name, bucket.born, bucket.versioning))
        items.update(("version", name, key, *version) for key, held in bucket.keys.items() for version in held)
        for upload_id, upload in bucket.uploads.items():
            items.add(("upload", name, upload.key, upload_id, upload.note))
            items.update(("part", upload_id, number, data) for number, data in upload.parts.items())
    return items


async def observe(store, *, tolerant=False):
    """Return the state of a store. Raises Violation where it contradicts itself.

    Args:
        tolerant: whether a version may be without its data; it then appears as ``LOST``.
    """
    found, _ = await buckets.list_buckets(store, OWNER, "", "", 1000)
    return {bucket.name: await _bucket(store, bucket, tolerant) for bucket in found}


async def _bucket(store, record, tolerant):
    query = listing.Query(record.name, "", "", 1000)
    held = HeldBucket(record.created_ns, record.versioning)
    for key, item in (await listing.list_versions(store, query, "", "")).items:
        group = held.keys.setdefault(key, [])
        _expect(item.latest == (not group), f"{key}: the latest is not the first")
        try:
            group.append(await _version(store, item.version))
        except (InternalError, ServiceUnavailable, Missing, Corrupt):  # the latter two in the middle of a body
            if not tolerant:
                raise
            group.append(HeldVersion(item.version.id, LOST))
    current = [(key, entry.etag) for key, entry in (await listing.list_objects(store, query, "")).items]
    expected = [key for key in held.keys if held.newest(key)]
    _expect([key for key, _ in current] == expected, f"listed are {current}, but there are {expected}")
    for key, etag in current:
        version = await versions.get(store, record.name, key, None)
        _expect(version.etag == etag, f"{key}: the listing shows another ETag")
        _expect(version.id == held.newest(key).id, f"{key}: a plain GET finds another version than the newest")
    for key, upload in (await listing.list_uploads(store, query, "", "")).items:
        parts, _ = await multipart.list_parts(store, upload.id, 0, 1000)
        data = {part.number: await _part(store, part, tolerant) for part in parts}
        held.uploads[upload.id] = HeldUpload(key, upload.attributes.metadata.get("n", ""), data)
    return held


async def _version(store, version):
    if version.marker:
        return HeldVersion(version.id, marker=True)
    by_id = await versions.get(store, version.bucket, version.key, version.id)
    _expect(by_id == version, f"{version.key}: the version found by its id is another one")
    flow = await get.open_span(store, version, 0, version.size)
    data = b"".join([bytes(piece) async for piece in get.as_flow(flow)])
    _expect(len(data) == version.size, f"{version.key}: {len(data)} bytes, not {version.size}")
    if not version.parts:
        _expect(hashlib.md5(data).hexdigest() == version.etag, f"{version.key}: the ETag does not fit the bytes")
    tags = "".join(tag.key for tag in version.attributes.tags)
    texts = [await annotations.text_of(store, version, one, None) for one in version.annotations]
    return HeldVersion(version.id, data, version.attributes.metadata.get("n", ""), tag=tags, annotation=b"".join(texts))


async def _part(store, part, tolerant):
    try:
        opened = await get.open_piece(store, store.encodings, part, 0, part.size)
    except (Missing, Corrupt):
        if not tolerant:
            raise
        return LOST
    data = b"".join([bytes(piece) async for piece in get.Flow(opened)])
    _expect(hashlib.md5(data).hexdigest() == part.etag, f"part {part.number}: the ETag does not fit the bytes")
    return data


def _expect(holds, message):
    if not holds:
        raise Violation(message)
