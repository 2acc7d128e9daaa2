"""The nouns of the store: what an index row and a sidecar say.

They are immutable msgspec structures, so that one definition gives the type, the check on reading and the encoding
(compact in the index, JSON in sidecars). They know nothing of HTTP, XML, SQL or files. A field that is added later
needs a default, so that older records stay readable. Those of which a record may hold thousands can be in no cycle, and
are kept from the garbage collector (``gc=False``), which would go through them again and again while they are read.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import astuple

ETag = str
"""An entity tag without its quotes."""

NULL_VERSION = "null"
ACCOUNT = "000000000000"
"""The account that all users of a server belong to, as twelve digits: ARNs have a place for it."""


class Owner(Struct, frozen=True, gc=False):
    """Who owns a bucket, an object or an upload."""

    id: str
    display_name: str = ""


class Tag(Struct, frozen=True, gc=False):
    """One tag of an object or bucket."""

    key: str
    value: str


class Grant(Struct, frozen=True, gc=False):
    """One permission of an access control list."""

    grantee: str
    permission: str


class Checksum(Struct, frozen=True, gc=False):
    """A checksum that a client gave or asked for.

    ``value`` is base64, with ``-N`` behind it when it is a composite of N parts.
    """

    algorithm: str
    value: str
    kind: Literal["FULL_OBJECT", "COMPOSITE"] = "FULL_OBJECT"


class BlobRef(Struct, frozen=True, gc=False, array_like=True):
    """Where the stored bytes of a version or a part are, and all that is needed to read them.

    Minted by a blob store; opaque to everybody else except for ``size``, the number of bytes that are stored, and
    ``inline``. How an object's bytes became these is said elsewhere (``Link``): repair needs no key. A
    field that is added goes to the end, and has a default.

    ``id`` names the blob, ``salt`` seeds its block hashes (hard links of the same shards share it), ``code`` names the
    erasure code with its ``k`` data and ``m`` parity shards, ``stripe_bytes`` is the data that one stripe holds, and
    ``volumes`` gives the position of the volume of each shard. An ``inline`` blob has no shards: its bytes stand in
    its sidecar.
    """

    id: str
    size: int
    salt: int
    code: str
    k: int
    m: int
    stripe_bytes: int
    volumes: tuple[int, ...]
    inline: bool = False


class Garbage(Struct, frozen=True, gc=False, array_like=True):
    """A blob to remove, and after it the ``parts`` that its sidecar speaks of."""

    ref: BlobRef
    parts: tuple[BlobRef, ...] = ()


class Link(Struct, frozen=True, gc=False):
    """One link of the chain between an object's bytes and what is stored of them: its name and its parameters.

    The first link of a chain is the one that sees the object's bytes, the last one writes the blob.
    """

    name: str
    parameters: dict[str, str] = {}


Versioning = Literal["", "Enabled", "Suspended"]


class Bucket(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bucket, with its configuration documents by name. ``revision`` is raised by each amendment."""

    name: str
    created_ns: int
    owner: Owner
    blob: BlobRef
    region: str
    versioning: Versioning = ""
    documents: dict[str, str] = {}
    revision: int = 0


class Part(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A part of an upload or of a completed multipart object.

    ``size`` is the number of the object's bytes in it; ``encoding`` says how they became those of the blob, whose size
    may be another.
    """

    number: int
    size: int
    etag: ETag
    modified_ns: int
    blob: BlobRef
    checksum: Checksum | None = None
    encoding: tuple[Link, ...] = ()


class Annotation(Struct, frozen=True, gc=False):
    """A text that belongs to a version; its bytes are those of the ``part``, whose number is 0."""

    name: str
    part: Part


if TYPE_CHECKING:
    Parts = Sequence[Part]
else:
    Parts = tuple[Part, ...]
"""Parts of an object: what is decoded is a tuple, but any sequence will do."""


class Lock(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What keeps a version from being removed.

    ``until_ns`` is when its retention ends, in nanoseconds since the epoch. While ``event_hold`` is on, that is not
    known: it lasts ``event_days`` or ``event_years`` from when the hold is released. ``legal_hold`` is None as long as
    none was put on or taken off.
    """

    mode: Literal["", "GOVERNANCE", "COMPLIANCE"] = ""
    until_ns: int = 0
    legal_hold: bool | None = None
    event_hold: bool = False
    event_days: int = 0
    event_years: int = 0


class Attributes(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client says about an object when it creates it, and gets back when it reads it.

    ``headers`` holds the system headers to return (Content-Type, Cache-Control ...) by lower-case name, ``metadata``
    the user metadata without its ``x-amz-meta-`` prefix.
    """

    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    tags: tuple[Tag, ...] = ()
    storage_class: str = "STANDARD"
    encryption: dict[str, str] = {}
    website_redirect: str = ""
    acl: tuple[Grant, ...] = ()
    lock: Lock | None = None


class Restore(Struct, frozen=True, kw_only=True, gc=False):
    """The restore of a version from an archive class: it can be read from ``ready_ns`` until ``until_ns``.

    Both are service time in nanoseconds since the epoch.
    """

    ready_ns: int
    until_ns: int


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """The version of the same bucket that a rename has made another one of: its key and its sequence."""

    key: str
    sequence: int


class Version(Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One version of an object, or a delete marker.

    Versions of a key are ordered by ``sequence``, the newest being the greatest. ``id`` is ``null`` for a version that
    was written while versioning was off or suspended. A multipart object lists its ``parts``; its own blob then holds
    no data. ``size`` is the object's; ``encoding`` says how its bytes became those of the blob, whose size may be
    another; of a multipart object it is what the parts have in common. ``revision`` is raised by each amendment.
    ``appends`` counts the appends to it: then its ``parts`` are where its bytes lie, and none that a client knows of.
    ``replication`` says whether it is on its way to other buckets, or came from another, and ``replicated`` that all of
    them have had it.
    """

    bucket: str
    key: str
    id: str
    sequence: int
    modified_ns: int
    owner: Owner
    blob: BlobRef
    marker: bool = False
    size: int = 0
    etag: ETag = ""
    checksum: Checksum | None = None
    attributes: Attributes = Attributes()
    parts: Parts = ()
    upload: str = ""
    encoding: tuple[Link, ...] = ()
    revision: int = 0
    restore: Restore | None = None
    origin: Origin | None = None
    appends: int = 0
    replication: Literal["", "PENDING", "COMPLETED", "FAILED", "REPLICA"] = ""
    annotations: tuple[Annotation, ...] = ()
    replicated: bool = False

    @cached_property
    def derived(self) -> dict[str, Any]:
        """What is made of this record alone, by name: it goes with it, and is neither stored, compared nor copied."""
        return {}

    @property
    def sent_parts(self) -> Parts:
        """The parts that a client has sent and may ask for by their numbers."""
        return () if self.appends else self.parts


class Upload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A multipart upload in progress.

    ``encoding`` is what its parts have in common; ``revision`` is raised by each amendment.
    """

    bucket: str
    key: str
    id: str
    created_ns: int
    owner: Owner
    initiator: Owner
    blob: BlobRef
    attributes: Attributes = Attributes()
    checksum_algorithm: str = ""
    checksum_kind: Literal["", "FULL_OBJECT", "COMPOSITE"] = ""
    encoding: tuple[Link, ...] = ()
    revision: int = 0


class SystemRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What belongs to no bucket: a user, a key, a setting made at run time.

    ``name`` begins with what it is (``users/AIDA…``), so that all of a kind are one range of rows; ``document`` is a
    text of its feature, JSON as a rule. ``revision`` is raised by each amendment.
    """

    name: str
    created_ns: int
    blob: BlobRef
    document: str = ""
    revision: int = 0


class Intent(Struct, frozen=True, array_like=True):
    """An amendment under way: the row that was changed, and the blob whose sidecar is to say the same.

    ``table`` and ``row`` are the row's; ``made_ns`` is when it began, in nanoseconds since the epoch.
    """

    table: str
    row: bytes
    ref: BlobRef
    made_ns: int


class Replicating(Struct, frozen=True, gc=False, array_like=True):
    """What an event says of the replication of a version: the id of the rule, the ARN of the destination, when the
    version was asked for, in nanoseconds since the epoch, and why it failed, empty if it did not."""

    rule: str
    destination: str
    requested_ns: int
    reason: str = ""


class Event(Struct, frozen=True, gc=False, array_like=True):
    """Something that happened in a bucket, on its way to one target: what the messages of all forms are made of.

    ``name`` is that of the event (``ObjectCreated:Put``), ``at_ns`` when it happened, in nanoseconds since the epoch.
    ``owner`` owns the bucket, ``configuration`` is the id of what asked for the event. ``size`` is None where the
    message has none. ``sequencer`` orders the events of a key. ``principal`` is who caused it, ``source`` from which
    address, in the request ``request_id`` to the server ``host_id``; ``operation`` is its name. ``storage_class`` is
    the one that the object has gone to, or the archive that it is restored from; ``until_ns`` is when its restore ends,
    in service time. ``replication`` is what has become of a replica. A field that is added goes to the end, and has a
    default.
    """

    name: str
    at_ns: int
    bucket: str
    owner: str
    region: str
    configuration: str = ""
    key: str = ""
    version_id: str = ""
    size: int | None = None
    etag: str = ""
    sequencer: int = 0
    operation: str = ""
    principal: str = ""
    source: str = ""
    request_id: str = ""
    host_id: str = ""
    storage_class: str = ""
    until_ns: int = 0
    replication: Replicating | None = None


class Usage(Struct, frozen=True, gc=False, array_like=True):
    """How much is stored, or by how much that changes.

    ``objects`` are the keys that have a current object, ``versions`` all versions with bytes, those included,
    ``markers`` the delete markers. ``bytes`` is the size of all versions as clients sent them, ``upload_bytes`` that of
    the parts of ``uploads`` in progress.
    """

    objects: int = 0
    versions: int = 0
    markers: int = 0
    bytes: int = 0
    uploads: int = 0
    upload_bytes: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*map(int.__add__, astuple(self), astuple(other)))

    def __neg__(self) -> "Usage":
        return Usage(*map(int.__neg__, astuple(self)))


class QueuedMessage(Struct, frozen=True, gc=False, array_like=True):
    """A message in a queue: a text, or an event of which the text is made when it is received.

    Times are in nanoseconds since the epoch. It can be received from ``visible_ns`` on; ``receipt`` is of the last
    time that it was, ``count`` how often, ``first_ns`` when first. ``sender`` is the id of who sent it. A field that is
    added goes to the end, and has a default.
    """

    id: str
    sent_ns: int
    visible_ns: int
    body: str = ""
    event: Event | None = None
    sender: str = ""
    receipt: str = ""
    count: int = 0
    first_ns: int = 0


class Snapshot(Struct, frozen=True, array_like=True):
    """What the rows of a store were at one moment: ``id`` is what the rows that keep them begin with.

    ``taken_ns`` is service time in nanoseconds since the epoch, ``objects`` how many keys had an object, ``rows`` how
    many rows are kept. A field that is added goes to the end, and has a default.
    """

    id: str
    taken_ns: int
    objects: int
    rows: int


class Entry(Struct, frozen=True, gc=False, array_like=True):
    """What a listing shows of a current version; small, because a page reads a thousand of them."""

    size: int
    etag: ETag
    modified_ns: int
    storage_class: str
    owner_id: str
    owner_name: str
    checksum_algorithm: str = ""
    checksum_kind: str = ""


def dashed(number: str) -> str:
    """Return a number of up to 32 hexadecimal digits in the form that ids of messages and events have."""
    text = f"{number:0>32}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
