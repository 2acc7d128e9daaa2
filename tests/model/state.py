"""What a store must hold, as plain dictionaries, and what it must answer: the model."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
ARCHIVE = "GLACIER"
KEYS_OF_CLIENTS = {"c1": b"1" * 32, "c2": b"2" * 32}
NAMED = {"kms": "alias/red", "kms2": "alias/blue"}


def digest(data):
    """Return an MD5 as headers have it."""
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def iso(ns):
    """Return a moment as documents about locks have it."""
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_iso(text):
    """Return the nanoseconds since the epoch of a moment that an answer tells."""
    return int(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000


def client_key(name, prefix="x-amz-server-side-encryption-customer-"):
    """Return the headers that bring a client's key; none for what is not encrypted under one."""
    if name not in KEYS_OF_CLIENTS:
        return {}
    key = KEYS_OF_CLIENTS[name]
    text = base64.b64encode(key).decode()
    return {f"{prefix}algorithm": "AES256", f"{prefix}key": text, f"{prefix}key-md5": digest(key)}


def source_key(name):
    """Return the headers that bring the key of a copy's source."""
    return client_key(name, "x-amz-copy-source-server-side-encryption-customer-")


def encryption(name):
    """Return the headers that ask for an encryption."""
    start = "x-amz-server-side-encryption"
    if name in NAMED:
        return {start: "aws:kms", f"{start}-aws-kms-key-id": NAMED[name]}
    return {start: "AES256"} if name == "s3" else client_key(name)


@dataclass
class Lock:
    """The lock of a version: ``mode`` empty if nothing is retained, ``until`` in nanoseconds, ``hold`` None if there
    never was one."""

    mode: str = ""
    until: int = 0
    hold: bool | None = None

    def retains(self, now):
        """Tell whether the retention lasts."""
        return bool(self.mode) and now < self.until

    def keeps(self, now, *, bypass):
        """Tell whether a removal is refused."""
        return bool(self.hold) or (self.retains(now) and not (bypass and self.mode == "GOVERNANCE"))

    def headers(self):
        """Return what asks for it when an object is made."""
        asked = {"x-amz-object-lock-legal-hold": "ON"} if self.hold else {}
        if self.mode:
            asked |= {"x-amz-object-lock-mode": self.mode, "x-amz-object-lock-retain-until-date": iso(self.until)}
        return asked


@dataclass
class Said:
    """What a request says of a new object."""

    meta: dict = field(default_factory=dict)
    kind: str = "binary/octet-stream"
    tags: dict = field(default_factory=dict)
    lock: Lock | None = None
    storage: str = "STANDARD"
    enc: str = ""

    def headers(self):
        """Return the headers that say it."""
        asked = {f"x-amz-meta-{name}": value for name, value in self.meta.items()}
        asked |= {"content-type": self.kind, "x-amz-tagging": urlencode(self.tags) or None}
        asked |= {"x-amz-storage-class": None if self.storage == "STANDARD" else self.storage}
        return asked | (self.lock.headers() if self.lock else {}) | encryption(self.enc)


@dataclass
class Held:
    """A version. ``id`` is its version id, ``said`` what it has of its attributes, ``restored`` until when it can be
    read, ``notes`` its annotations, ``modified`` what Last-Modified says."""

    id: str
    data: bytes = b""
    etag: str = ""
    said: Said = field(default_factory=Said)
    modified: str = ""
    marker: bool = False
    restored: int = 0
    notes: dict = field(default_factory=dict)

    def away(self, now):
        """Tell whether its bytes cannot be read."""
        return self.said.storage == ARCHIVE and now >= self.restored

    def kept(self, now, *, bypass=False):
        """Tell whether a lock forbids its removal."""
        return self.said.lock is not None and self.said.lock.keeps(now, bypass=bypass)


@dataclass
class Upload:
    """An upload in progress: ``parts`` are bytes and entity tags by number."""

    id: str
    bucket: str
    key: str
    said: Said
    parts: dict = field(default_factory=dict)


@dataclass
class Bucket:
    """A bucket: versions by key, the newest first. ``default`` is the retention of new objects, as mode and days."""

    versioning: str = ""
    locks: bool = False
    default: tuple | None = None
    keys: dict = field(default_factory=dict)
    uploads: dict = field(default_factory=dict)

    def newest(self, key):
        """Return the newest version of a key, whether or not it is a marker."""
        return next(iter(self.keys.get(key, ())), None)

    def current(self, key):
        """Return the object of a key."""
        newest = self.newest(key)
        return None if newest is None or newest.marker else newest

    def find(self, key, version_id):
        """Return a version of a key: by its id, or the newest."""
        if version_id is None:
            return self.newest(key)
        return next((held for held in self.keys.get(key, ()) if held.id == version_id), None)

    def add(self, key, held):
        """Put a version on top; with versioning off or suspended it takes the null version's place."""
        kept = self.keys.get(key, [])
        if self.versioning == "Enabled":
            assert held.id not in {other.id for other in kept} | {"null"}
        else:
            assert held.id == "null"
            kept = [other for other in kept if other.id != "null"]
        self.keys[key] = [held, *kept]

    def drop(self, key, held):
        """Take a version away."""
        self.keys[key] = [other for other in self.keys[key] if other is not held]
        if not self.keys[key]:
            del self.keys[key]

    def by_default(self, now):
        """Return the lock of a new object that asks for none."""
        if self.default is None:
            return None
        mode, days = self.default
        return Lock(mode, now + days * DAY_NS)
