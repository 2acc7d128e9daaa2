"""What a volume says about itself, in ``.s3ish/volume.json`` below its root.

A set of volumes is known by a random id; each volume knows its set, its position in it and how many there are, so
that drives that were swapped are recognised and a drive of another set is refused.
"""

import json
import os
from contextlib import suppress

import msgspec
import xxhash

from s3ish.blob.protocol import NewerFormat, VolumeError

PRIVATE = ".s3ish"
"""The directory below a root that holds what is no blob; no blob's folder begins with a dot."""

FILE = f"{PRIVATE}/volume.json"
FORMAT = 1
LIMIT_BYTES = 4096


class Identity(msgspec.Struct, frozen=True):
    """Which volume of which set this is."""

    set: str
    position: int
    count: int
    id: str


class _File(msgspec.Struct, frozen=True):
    format: int
    checksum: str
    volume: Identity


def encode(identity: Identity) -> bytes:
    """Return the text of the identity file."""
    fields = msgspec.to_builtins(identity)
    return json.dumps({"format": FORMAT, "checksum": _checksum(identity), "volume": fields}, indent=2).encode() + b"\n"


def decode(text: bytes, where: str) -> Identity:
    """Return the identity that a file's text gives; ``where`` is for messages. Raises VolumeError, NewerFormat."""
    try:
        found = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise VolumeError(f"{where} is damaged: {error}") from error
    if found.format > FORMAT:
        raise NewerFormat(f"{where} has format {found.format}; this version of s3ish knows up to {FORMAT}")
    if found.checksum != _checksum(found.volume) or not 0 <= found.volume.position < found.volume.count:
        raise VolumeError(f"{where} is damaged: its checksum does not fit")
    return found.volume


def read(root: int, where: str) -> Identity | None:
    """Return the identity of an open root directory, None if it has none. Raises VolumeError, NewerFormat, OSError."""
    try:
        descriptor = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        return decode(os.read(descriptor, LIMIT_BYTES), f"{where}/{FILE}")
    finally:
        os.close(descriptor)


def write(root: int, identity: Identity) -> None:
    """Write the identity of an open root directory durably. Raises OSError, FileExistsError if it has one."""
    with suppress(FileExistsError):
        os.mkdir(PRIVATE, 0o750, dir_fd=root)
    temporary = f"{FILE}.{identity.id}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640, dir_fd=root)
    try:
        os.write(descriptor, encode(identity))
        os.fsync(descriptor)
        os.link(temporary, FILE, src_dir_fd=root, dst_dir_fd=root)  # unlike a rename, refuses if another was faster
    finally:
        os.close(descriptor)
        os.unlink(temporary, dir_fd=root)
    for folder in (PRIVATE, "."):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _checksum(identity: Identity) -> str:
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(identity))
