"""What a handler gets beside its typed request: who calls, on which bucket, and the store behind it."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from s3ish.auth.credentials import User
from s3ish.errors import NoSuchBucket
from s3ish.model import Bucket
from s3ish.objects.ingest import Source
from s3ish.objects.store import Store


class Body(Source, Protocol):
    """The request's body."""


class Context(Struct):
    """One call. ``bucket`` is the bucket of the request's target, checked to exist where the operation needs it."""

    store: Store
    user: User
    bucket: Bucket | None
    headers: Mapping[str, str]
    body: Body
    request_id: str
    path: str

    @property
    def url(self) -> str:
        """The address of the request, as its client wrote it."""
        return f"http://{self.headers['host']}{self.path}"

    @property
    def target(self) -> Bucket:
        """The bucket of the target, which exists."""
        if self.bucket is None:
            raise NoSuchBucket
        return self.bucket
