"""The text of ``metadata.json``: what the caller says about a blob, and what reading it needs, under one checksum.

The file is JSON, a member a line: ``format``, ``checksum``, then ``revision`` (the greatest is the newest copy),
``blob`` (the reference), ``content`` (the caller's JSON, as it is) and, for an inline blob, ``data`` in base 64. The
checksum is the XXH3-128 of the format's digits, a line feed and everything behind the checksum's own line; this much
holds for every later format too. It is compared before anything is parsed, so that no damaged text is ever believed.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping

import msgspec
import xxhash
from msgspec import Raw
from msgspec.structs import asdict

from s3ish.blob.protocol import Buffer, Corrupt, NewerFormat
from s3ish.model import BlobRef

NAME = "metadata.json"
UNSEALED = "unsealed.json"
"""What it is called while the blob is unsealed: it is no sidecar then, but need not be written again."""
FORMAT = 2
"""Of the file. In 2 the content may be of a format that the releases before cannot read."""

LIMIT_BYTES = 32 << 20
"""The longest sidecar that is read: 10,000 parts take a tenth of it."""

MENDED_BYTES = 4096
"""In a longer one no flipped bit is looked for: it takes 30 ms in one of this length."""

_HEAD = re.compile(rb'\{"format":([1-9][0-9]{0,8}),"checksum":"([0-9a-f]{32})",\n')


class _Blob(msgspec.Struct, frozen=True):
    """``BlobRef`` with its names spelled out."""

    id: str
    size: int
    salt: int
    code: str
    k: int
    m: int
    stripe_bytes: int
    volumes: tuple[int, ...]
    inline: bool = False


class Sidecar(msgspec.Struct, frozen=True):
    """What a sidecar says.

    ``others`` holds the members that this version does not know, to be kept when the sidecar is written again.
    """

    ref: BlobRef
    revision: int
    content: bytes
    data: bytes | None = None
    others: Mapping[str, Raw] = {}


class Unwritten(Corrupt):
    """The file was made, but what it should say was never flushed."""


def encode(sidecar: Sidecar) -> bytes:
    """Return the file's text. Raises ValueError if the content is no JSON or the whole is too long."""
    try:
        msgspec.json.decode(sidecar.content, type=Raw)
        sidecar.content.decode()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"a sidecar's content must be JSON: {error}") from error
    members = [b'"revision":%d' % sidecar.revision, b'"blob":' + msgspec.json.encode(asdict(sidecar.ref))]
    members += [msgspec.json.encode(name) + b":" + bytes(value) for name, value in sidecar.others.items()]
    members.append(b'"content":' + sidecar.content)
    if sidecar.data is not None:
        members.append(b'"data":"' + b2a_base64(sidecar.data, newline=False) + b'"')
    rest = b",\n".join(members) + b"}\n"
    if len(rest) > LIMIT_BYTES - 100:
        raise ValueError(f"a sidecar of {len(rest)} bytes is longer than the limit of {LIMIT_BYTES}")
    return b'{"format":%d,"checksum":"%s",\n' % (FORMAT, checksum(b"%d" % FORMAT, rest)) + rest


def decode(text: bytes, blob: str) -> Sidecar:
    """Return what a file says, which must be about the blob of that id. Raises Corrupt, NewerFormat."""
    if not text:
        raise Unwritten(f"the sidecar of {blob} is empty")
    head = _HEAD.match(text)
    if not head:
        raise Corrupt(f"the sidecar of {blob} is damaged: it does not begin as one")
    rest = memoryview(text)[head.end() :]
    if not _fits(head, rest):
        raise Corrupt(f"the sidecar of {blob} is damaged: its checksum does not fit")
    if int(head[1]) > FORMAT:
        raise NewerFormat(f"the sidecar of {blob} has format {int(head[1])}; this version knows up to {FORMAT}")
    try:
        members = msgspec.json.decode(b"{" + rest, type=dict[str, Raw])
        ref = _ref(msgspec.json.decode(members.pop("blob"), type=_Blob))
        revision = msgspec.json.decode(members.pop("revision"), type=int)
        content = bytes(members.pop("content"))
        content.decode()
        encoded = msgspec.json.decode(members.pop("data"), type=str) if "data" in members else None
        data = None if encoded is None else a2b_base64(encoded, strict_mode=True)
    except (KeyError, ValueError, RecursionError, Base64Error) as error:
        raise Corrupt(f"the sidecar of {blob} makes no sense: {error}") from error
    if ref.id != blob or (ref.inline and (data is None or len(data) != ref.size)):
        raise Corrupt(f"the sidecar of {blob} is about {ref.id} or lacks its data")
    return Sidecar(ref, revision, content, data, members)


def _fits(head: re.Match[bytes], rest: Buffer) -> bool:
    return checksum(head[1], rest) == head[2]


def mend(text: bytes, blob: str) -> Sidecar | None:
    """Return what a damaged file said, if a single bit of it has flipped: the checksum tells which one."""
    if len(text) > MENDED_BYTES:
        return None
    tried = bytearray(text)
    for at in range(len(text)):
        for bit in range(8):
            tried[at] ^= 1 << bit
            head = _HEAD.match(tried)
            if head and _fits(head, tried[head.end() :]):
                return decode(bytes(tried), blob)
            tried[at] ^= 1 << bit
    return None


def _ref(blob: _Blob) -> BlobRef:
    """Return the reference, whose numbers must be possible. Raises ValueError."""
    shards = len(blob.volumes)
    fits = shards == blob.k + blob.m or (blob.inline and shards >= 1)
    least = min((blob.size, blob.m, blob.salt, blob.k - 1, blob.stripe_bytes - 1, *blob.volumes))
    if not fits or least < 0 or blob.salt >> 64:
        raise ValueError("impossible geometry")
    return BlobRef(**asdict(blob))


def checksum(digits: bytes, rest: Buffer) -> bytes:
    """Return the checksum of a format's digits and what stands behind the checksum's line."""
    state = xxhash.xxh3_128(digits + b"\n")
    state.update(rest)
    return state.hexdigest().encode()
