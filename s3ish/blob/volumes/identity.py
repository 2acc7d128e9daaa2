"""What a volume says about itself, in ``.s3ish/volume.json`` below its root, and once more beside it.

A set of volumes is known by a random id; each volume knows its set, its position in it and how many there are, so
that drives that were swapped are recognised and a drive of another set is refused.
"""

import errno
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec
import xxhash

from s3ish.blob.protocol import NewerFormat, VolumeError

PRIVATE = ".s3ish"
"""The directory below a root that holds what is no blob; no blob's folder begins with a dot."""

FILE, COPY = f"{PRIVATE}/volume.json", f"{PRIVATE}/volume.json.copy"
"""Two files say the same: one may be damaged, lost or replaced."""

FORMAT = 1
LIMIT_BYTES = 4096
_NO_FILE = (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR)


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


class Found(NamedTuple):
    """What the two files of a volume say.

    Without ``identity`` the volume has none, or ``problem`` says why it is unknown. ``rival`` is what the second file
    says if the two disagree. ``whole`` says that both files are there and agree.
    """

    identity: Identity | None
    rival: Identity | None = None
    problem: str = ""
    whole: bool = False


def read(root: int, where: str) -> Found:
    """Return what an open root directory says it is; ``where`` is for messages. Raises NewerFormat, OSError."""
    texts = [_read(root, path, where) for path in (FILE, COPY)]
    valid = [text for text in texts if isinstance(text, Identity)]
    if valid:
        rival = valid[1] if len(valid) == 2 and valid[0] != valid[1] else None
        return Found(valid[0], rival, whole=len(valid) == 2 and rival is None)
    for error in texts:
        if isinstance(error, OSError | NewerFormat):
            raise error
    return Found(None, problem=next((str(text) for text in texts if text), ""))


def _read(root: int, path: str, where: str) -> Identity | VolumeError | NewerFormat | OSError | None:
    """Return what one of the files says, why it cannot be read, or None if it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
        try:
            return decode(os.read(descriptor, LIMIT_BYTES), f"{where}/{path}")
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except (VolumeError, NewerFormat) as error:  # the other file may be whole
        return error
    except OSError as error:
        if error.errno in _NO_FILE:
            return VolumeError(f"{where}/{path} is damaged: it is no file")
        return error


def write(root: int, identity: Identity) -> None:
    """Write the identity of an open root directory durably. Raises OSError, FileExistsError if it has one."""
    with suppress(FileExistsError):
        os.mkdir(PRIVATE, 0o700, dir_fd=root)
    # unlike a rename, a link refuses if another process was faster
    _put(root, identity, FILE, lambda temporary: os.link(temporary, FILE, src_dir_fd=root, dst_dir_fd=root))
    renew(root, identity, (COPY,))


def renew(root: int, identity: Identity, paths: Sequence[str] = (FILE, COPY)) -> None:
    """Write the files of an open root directory durably, in place of what is there. Raises OSError."""
    with suppress(FileExistsError):
        os.mkdir(PRIVATE, 0o700, dir_fd=root)
    for path in paths:
        with suppress(OSError):  # a directory has taken its place; if it holds something, the rename says so
            os.rmdir(path, dir_fd=root)
        _put(root, identity, path, partial(_rename, root, path))


def _rename(root: int, path: str, temporary: str) -> None:
    os.rename(temporary, path, src_dir_fd=root, dst_dir_fd=root)


def _put(root: int, identity: Identity, path: str, place: Callable[[str], None]) -> None:
    temporary = f"{PRIVATE}/{os.path.basename(path)}.{identity.id}"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=root
    )
    try:
        os.write(descriptor, encode(identity))
        os.fsync(descriptor)
        place(temporary)
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=root)
    for folder in (PRIVATE, "."):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _checksum(identity: Identity) -> str:
    return xxhash.xxh3_128_hexdigest(msgspec.json.encode(identity))
