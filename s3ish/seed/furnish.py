"""What a store has before the first request: keys and buckets that settings name, and objects from a folder.

What is there already stays as it is, so that a start may be repeated.
"""

import contextlib
import json
import mimetypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from s3ish.config import KeySettings, Settings, read_bucket
from s3ish.errors import BucketAlreadyOwnedByYou, S3Error
from s3ish.model import Owner
from s3ish.objects import buckets, put
from s3ish.objects.digests import Claims
from s3ish.objects.store import Store
from s3ish.wire.names import check_bucket_name, check_key

if TYPE_CHECKING:
    from s3ish.seed.notes import SeedNotes

_PIECE_BYTES = 1 << 20


class CannotFurnish(OSError):
    """A bucket or an object cannot be made; the text says which and why."""


async def furnish(store: Store, settings: Settings, owner: Owner) -> None:
    """Make the named keys, the default buckets, and the objects of the seed.

    Raises:
        CannotFurnish: one of them cannot be made.
        IndexFailure, BlobError: the store cannot be used.
    """
    for key in settings.encryption.keys:
        with _naming(f"the key {key.alias}"):
            await _make_key(store, key)
    for text in settings.storage.default_buckets:
        name, options = read_bucket(text)
        with _naming(f"the bucket {name}"):
            await _make_bucket(store, name, options, owner)
    if settings.storage.seed:
        await _seed(store, settings.storage.seed, owner)


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        raise CannotFurnish(f"cannot make {what}: {error.message}") from error
    except OSError as error:
        raise CannotFurnish(f"cannot make {what}: {error.strerror or error}") from error


async def _make_key(store: Store, key: KeySettings) -> None:
    from s3ish.objects import named_keys  # deferred: most starts make none

    made = await named_keys.ensure(store, key.alias, key.id, key.description)
    if key.id and made != key.id:
        raise OSError(f"it is there, with the id {made}")


async def _make_bucket(store: Store, name: str, options: frozenset[str], owner: Owner) -> None:
    from s3ish.api.buckets import first_documents  # deferred: many starts make no bucket
    from s3ish.api.lock import OBJECT_LOCK

    documents = first_documents(lock="lock" in options)
    with contextlib.suppress(BucketAlreadyOwnedByYou):
        await buckets.create_bucket(store, check_bucket_name(name), owner, store.region, documents)
    if options & {"versioned", "lock"}:  # a bucket with locks keeps all versions
        await buckets.set_versioning(store, name, enabled=True)
    wanted = {}
    if "public" in options:
        wanted["policy"] = everybody_reads(name)
    if "lock" in options:
        wanted[OBJECT_LOCK.name] = documents[OBJECT_LOCK.name]
    there = (await store.bucket(name)).record.documents
    missing = {document: text for document, text in wanted.items() if document not in there}
    if missing:
        await buckets.set_documents(store, name, missing)


def everybody_reads(bucket: str) -> str:
    """Return the policy of a bucket that everybody may list and read, without keys.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
    """
    whole = f"arn:aws:s3:::{bucket}"
    statements = [
        {"Sid": sid, "Effect": "Allow", "Principal": "*", "Action": actions, "Resource": resource}
        for sid, actions, resource in (
            ("EverybodyLists", ["s3:GetBucketLocation", "s3:ListBucket"], whole),
            ("EverybodyReads", ["s3:GetObject"], f"{whole}/*"),
        )
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


async def _seed(store: Store, folder: str, owner: Owner) -> None:
    """Make a bucket of each folder in a folder, and an object of each file in it that has none yet.

    A JSON file of a bucket's name tells more of it, and of its objects.
    """
    from s3ish.seed.notes import read_notes  # deferred: most starts have no seed

    with _naming(f"the objects of {folder}"):
        entries = _within(folder)
    notes = {path.stem for path in entries if _is_of_notes(path)}
    folders = {path.name for path in entries if not _is_of_notes(path)}
    for name in sorted(notes | folders):
        place = Path(folder, name)
        with _naming(f"a bucket of {place}"):
            if name in folders:
                _check_folder(place)
            said = read_notes(f"{place}.json")
            await _make_bucket(store, name, frozenset(said.options), owner)
        for path in _files(place):
            with _naming(f"an object of {path}"):
                await _put_file(store, place, path, owner, said)


def _is_of_notes(path: Path) -> bool:
    return path.suffix == ".json" and path.is_file() and not path.is_symlink()


def _check_folder(place: Path) -> None:
    if not place.is_dir():
        raise OSError("it is no folder; --seed takes one folder a bucket")


def _within(folder: str) -> list[Path]:
    return sorted(Path(folder).iterdir())


def _files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_symlink() or not path.is_dir())


async def _put_file(store: Store, place: Path, path: Path, owner: Owner, notes: "SeedNotes") -> None:
    key = check_key(path.relative_to(place).as_posix())
    if await store.newest(place.name, key):
        return
    kind = mimetypes.guess_type(path.name)[0] or "binary/octet-stream"
    attributes = notes.of(key).attributes(kind)
    with _opened(path) as file:
        await put.put_object(store, place.name, key, file, owner=owner, attributes=attributes)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator["_File"]:
    """Open a file, and nothing else: no link out of the folder, no pipe. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        yield _File(descriptor, found.st_size)
    finally:
        os.close(descriptor)


class _File:
    """The bytes of a file, as what a client sends; see ``Source``."""

    algorithm = None
    expects_sha256 = False

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self.size = descriptor, size

    async def gather(self, count: int) -> None:
        """A file is there."""

    async def read(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        while limit and (piece := os.read(self._descriptor, min(limit, _PIECE_BYTES))):
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces)

    def claims(self) -> Claims:
        return Claims()
