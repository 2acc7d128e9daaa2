"""What a handler gets beside its typed request: who calls, on which bucket, and the store behind it."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from s3ish.api.authorize import check_payer, check_permit, decision_on
from s3ish.auth.condition_keys import Circumstances
from s3ish.auth.evaluator import Denied, Permit
from s3ish.auth.lasting import NO_NAMES, Names
from s3ish.auth.principals import Principal
from s3ish.errors import AccessDenied, NoSuchBucket
from s3ish.model import Bucket, Owner
from s3ish.objects.consequences import Cause
from s3ish.objects.ingest import Source
from s3ish.objects.outbox import NO_TARGETS, Targets
from s3ish.objects.store import Store


class Body(Source, Protocol):
    """The request's body."""

    @property
    def is_signed(self) -> bool:
        """Whether a signature covers the bytes."""


class KeyOutcome(Struct, frozen=True):
    """What became of one key of a batch: the version that was asked for or made, and the error if there was one."""

    key: str
    version_id: str = ""
    status: int = 204
    error: str = ""


class SourceRead(Struct, frozen=True):
    """What a copy has read: the bucket, the key, the version where there are some, and the size in bytes."""

    bucket: Bucket
    key: str
    version_id: str
    size: int


class Context(Struct):
    """One call.

    ``bucket`` is the bucket of the request's target, checked to exist where the operation needs it; ``scheme`` that of
    the URL that the client asked for, ``operation`` the name of what it asked for; ``host_id``
    names the server, ``targets`` are those of notifications and of replication, and ``names`` tells who
    policies mean. ``each`` says what became of each key of a batch, or what a copy has read.
    """

    store: Store
    principal: Principal
    bucket: Bucket | None
    circumstances: Circumstances
    body: Body
    request_id: str
    path: str
    scheme: str
    operation: str
    host_id: str = ""
    targets: Targets = NO_TARGETS
    names: Names = NO_NAMES
    each: list[KeyOutcome | SourceRead] = []

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request, by lower-case name."""
        return self.circumstances.headers

    @property
    def owner(self) -> Owner:
        """Whom what the request makes belongs to."""
        return self.principal.owner

    @property
    def cause(self) -> Cause:
        """Why versions change in this call."""
        caller = self.principal
        who = caller.owner.id if caller.is_root else caller.user_id
        return Cause(self.operation, who, self.circumstances.source, self.request_id, self.host_id)

    @property
    def url(self) -> str:
        """The address of the request, as its client wrote it."""
        return f"{self.scheme}://{self.headers['host']}{self.path}"

    @property
    def target(self) -> Bucket:
        """The bucket of the target, which exists."""
        if self.bucket is None:
            raise NoSuchBucket
        return self.bucket

    def require_signature(self, what: str) -> None:
        """Refuse anonymous callers what S3 gives them by no policy or list; ``what`` says it. Raises AccessDenied."""
        if self.principal.is_anonymous:
            raise AccessDenied(f"Anonymous users cannot {what}.  Please authenticate.")

    async def require(self, permit: Permit) -> None:
        """Check that the caller has one more right than the operation's own. Raises AccessDenied, NoSuchBucket."""
        bucket = await self._bucket_of(permit.bucket)
        await check_permit(self.store, self.principal, permit, bucket, self.circumstances)
        if bucket is not self.bucket and permit.action.startswith("s3:GetObject"):  # the source of a copy
            check_payer(bucket, self.principal, self.headers)

    async def may(self, permit: Permit) -> bool:
        """Tell whether the caller has a right. Raises NoSuchBucket."""
        bucket = await self._bucket_of(permit.bucket)
        decision = await decision_on(self.store, self.principal, permit, bucket, self.circumstances)
        return not isinstance(decision, Denied)

    async def hide_missing(self, bucket: str) -> None:
        """Check that the caller may learn that an object is not there: only those who may list a bucket do.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

        Raises AccessDenied, NoSuchBucket.
        """
        permit = Permit("s3:ListBucket", bucket)
        record = await self._bucket_of(bucket)
        decision = await decision_on(self.store, self.principal, permit, record, self.circumstances)
        if isinstance(decision, Denied):
            raise AccessDenied.because(decision.by)

    async def _bucket_of(self, name: str) -> Bucket:
        if self.bucket is not None and self.bucket.name == name:
            return self.bucket
        return (await self.store.bucket(name)).record
