"""What the checks ask of an S3 client: one short method for each thing that people do with it.

A script in ``compat/clients`` fills in what its client can do. What it leaves out is reported as not offered by the
client, never passed over. Paths are local files, keys are names in a bucket. This module knows neither the checks nor
any client.
"""
# ruff: noqa: ARG002 - what a client does not offer uses none of its arguments

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from compat.documents import Document

PROGRAM_SECONDS = 900
"""How long one run of a command-line client may take."""


class NotOffered(Exception):
    """The client has no such feature; the text says what is missing or what it does instead."""


@dataclass(frozen=True)
class Account:
    """Where the server is and who asks: all that a client is told."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str

    @classmethod
    def from_environment(cls) -> "Account":
        """Read the variables that AWS's own tools read."""
        names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        return cls(*(os.environ[name] for name in names))

    @property
    def host(self) -> str:
        """Host and port of the endpoint."""
        return urlsplit(self.endpoint).netloc

    @property
    def is_tls(self) -> bool:
        """Whether the endpoint is reached by HTTPS."""
        return urlsplit(self.endpoint).scheme == "https"


@dataclass(frozen=True)
class Described:
    """What a client tells of an object."""

    content_type: str
    metadata: Mapping[str, str]


class Client(ABC):
    """An S3 client with its stock settings: endpoint, keys and region, and nothing else.

    Methods raise whatever the client raises; the harness turns it into a failed check.
    """

    name: ClassVar[str]
    parallel_puts: ClassVar[int] = 8

    def __init__(self, account: Account, home: Path) -> None:
        """Make the client; ``home`` is an empty folder for files that it needs."""
        self.account = account
        self.home = home

    @abstractmethod
    def version(self) -> str:
        """Return the version of the client."""

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket."""
        raise NotOffered("no call that makes a bucket")

    def buckets(self) -> list[str]:
        """Return the names of all buckets."""
        raise NotOffered("no call that lists buckets")

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket."""
        raise NotOffered("no call that removes a bucket")

    @abstractmethod
    def put(self, bucket: str, key: str, path: Path) -> None:
        """Store a file."""

    def put_large(self, bucket: str, key: str, path: Path) -> None:
        """Store a file in the way that makes the client upload it in parts."""
        self.put(bucket, key, path)

    def put_tree(self, folder: Path, bucket: str, prefix: str) -> None:
        """Store all files of a folder under a prefix that ends with a slash."""
        files = [path for path in folder.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(self.parallel_puts) as pool:
            list(pool.map(lambda path: self.put(bucket, f"{prefix}{path.relative_to(folder).as_posix()}", path), files))

    @abstractmethod
    def get(self, bucket: str, key: str, path: Path) -> None:
        """Fetch an object into a file."""

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of an object from ``start`` on."""
        raise NotOffered("no call that reads a part of an object")

    def put_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        """Store a file as an object that is encrypted under a key, the content of a file."""
        raise NotOffered("no keys of the client's own")

    def get_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        """Store such an object as a file."""
        raise NotOffered("no keys of the client's own")

    @abstractmethod
    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return all keys that begin with the prefix."""

    def level(self, bucket: str, prefix: str) -> list[str]:
        """Return keys and common prefixes (ending with a slash) right below a prefix that ends with a slash."""
        raise NotOffered("no call that lists one level")

    def sync_up(self, folder: Path, bucket: str, prefix: str) -> None:
        """Make what is under the prefix equal to the folder."""
        raise NotOffered("no synchronisation of folders")

    def sync_down(self, bucket: str, prefix: str, folder: Path) -> None:
        """Make the folder equal to what is under the prefix."""
        raise NotOffered("no synchronisation of folders")

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        """Copy an object within the server."""
        raise NotOffered("no copy within the server")

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        """Store a file with a content type and metadata."""
        raise NotOffered("no metadata")

    def describe(self, bucket: str, key: str) -> Described:
        """Return the content type and the metadata of an object."""
        raise NotOffered("no metadata")

    def append(self, bucket: str, key: str, path: Path, offset: int) -> None:
        """Append a file to an object that ends at an offset; at 0 there may be none."""
        raise NotOffered("no appends")

    def rename(self, bucket: str, key: str, to_key: str) -> None:
        """Give an object another name, where there is none."""
        raise NotOffered("no renames")

    def put_archived(self, bucket: str, key: str, path: Path) -> None:
        """Store a file in the class GLACIER."""
        raise NotOffered("no archive classes")

    def select(self, bucket: str, key: str, expression: str) -> bytes:
        """Return the records that a query finds in an object of CSV with a header, as CSV."""
        raise NotOffered("no queries on objects")

    def restore(self, bucket: str, key: str, days: int) -> str:
        """Restore an archived object; return what is said of the restore then."""
        raise NotOffered("no restores")

    def annotate(self, bucket: str, key: str, name: str, path: Path) -> None:
        """Give an object an annotation."""
        raise NotOffered("no annotations")

    def annotations(self, bucket: str, key: str) -> dict[str, bytes]:
        """Return the annotations of an object by their names."""
        raise NotOffered("no annotations")

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Give an object these tags and no others."""
        raise NotOffered("no tags")

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        """Return the tags of an object."""
        raise NotOffered("no tags")

    def checksums(self) -> Sequence[str]:
        """Return the algorithms for which the client computes a checksum when asked, as AWS names them."""
        raise NotOffered("no choice of checksums")

    def put_checked(self, bucket: str, key: str, path: Path, algorithm: str) -> None:
        """Store a file with a checksum."""
        raise NotOffered("no choice of checksums")

    def checksum(self, bucket: str, key: str, algorithm: str) -> str:
        """Return the checksum that an object was stored with, in base64."""
        raise NotOffered("no choice of checksums")

    def versions(self, bucket: str, key: str) -> list[str]:
        """Return the ids of all versions of an object that are no delete markers, the newest first."""
        raise NotOffered("no old versions")

    def get_version(self, bucket: str, key: str, version_id: str, path: Path) -> None:
        """Fetch a version into a file."""
        raise NotOffered("no old versions")

    def delete_version(self, bucket: str, key: str, version_id: str) -> None:
        """Remove a version for good."""
        raise NotOffered("no old versions")

    def enable_versioning(self, bucket: str) -> None:
        """Make a bucket keep all versions."""
        raise NotOffered("no configuration documents")

    def put_document(self, bucket: str, document: Document, value: Any) -> None:
        """Put a configuration document with a value."""
        raise NotOffered("no configuration documents")

    def document(self, bucket: str, document: Document) -> Any:
        """Return what the client reads where a document is put."""
        raise NotOffered("no configuration documents")

    def listed_documents(self, bucket: str, document: Document) -> Any:
        """Return all documents of a kind that a bucket may have many of."""
        raise NotOffered("no configuration documents")

    def remove_document(self, bucket: str, document: Document) -> None:
        """Remove a document that has a call for that."""
        raise NotOffered("no configuration documents")

    def presign(self, bucket: str, key: str, method: str) -> str:
        """Return a URL that allows one GET or PUT without keys."""
        raise NotOffered("no presigned URLs")

    def put_notified(self, bucket: str, key: str, path: Path) -> list[str]:
        """Have a queue told of new objects, store a file, and return the keys that the queue tells of."""
        raise NotOffered("no queues")

    @abstractmethod
    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""

    @abstractmethod
    def delete_all(self, bucket: str, prefix: str) -> None:
        """Delete everything under a prefix."""


class Program(Client):
    """A client that is a command."""

    command: ClassVar[tuple[str, ...]]

    def environment(self) -> dict[str, str]:
        """Return what the command finds in its environment beyond the harness's own."""
        return {}

    def run(self, *arguments: object, stdin: Path | None = None) -> bytes:
        """Run the command and return what it printed.

        Raises:
            RuntimeError: it ended with another code than 0; the text has the end of what it complained about.
        """
        with open(stdin or os.devnull, "rb") as source:
            done = subprocess.run(
                [*self.command, *map(str, arguments)],
                env=os.environ | {"HOME": str(self.home)} | self.environment(),
                stdin=source,
                capture_output=True,
                timeout=PROGRAM_SECONDS,
                check=False,
            )
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise RuntimeError(f"{self.command[0]} {arguments[0]} ended with {done.returncode}: {said[-600:]}")
        return done.stdout

    def lines(self, *arguments: object) -> list[str]:
        """Run the command and return the lines that it printed."""
        return self.run(*arguments).decode().splitlines()
