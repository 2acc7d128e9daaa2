"""Replicas that another server sends: headers that only those may use who have the rights of replication.

The version id that a replica gets, its time and its status REPLICA are what the sender says, so that it can try again
without making a second version. https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.rules import ENFORCED, ownership_of
from s3ish.auth.evaluator import Permit
from s3ish.auth.sigv4 import ALGORITHM
from s3ish.errors import AccessDenied
from s3ish.model import Owner
from s3ish.objects.arrival import Identity, read_identity
from s3ish.objects.consequences import Cause
from s3ish.objects.replication import JOB
from s3ish.wire.fields import header
from s3ish.wire.shape import shape


@shape
class ReplicaMark:
    """That a request comes from the server that has the source: the version id."""

    replica: str | None = header("x-s3ish-replica")


@shape
class ReplicaHeaders(ReplicaMark):
    """What a replica has in common with its source."""

    replica_modified: int | None = header("x-s3ish-replica-modified")
    replica_etag: str = header("x-s3ish-replica-etag", default="")
    replica_appends: int = header("x-s3ish-replica-appends", default=0)
    replica_owner: str | None = header("x-s3ish-replica-owner")


def make_replica(request: Any) -> Iterable[Permit]:
    """Return the right that a request needs beside its own if what it makes is to be a replica."""
    return _permit(request, "s3:ReplicateObject")


def make_marker(request: Any) -> Iterable[Permit]:
    """Return the right that a request needs beside its own if the delete marker is to be a replica."""
    return _permit(request, "s3:ReplicateDelete")


def tag_replica(request: Any) -> Iterable[Permit]:
    """Return the right that a request needs beside its own if it repeats tags of the source."""
    return _permit(request, "s3:ReplicateTags")


def _permit(request: Any, action: str) -> Iterable[Permit]:
    if request.replica is not None:
        yield Permit(action, request.bucket, request.key)


def identity_of(context: Context, request: ReplicaHeaders) -> Identity | None:
    """Return the identity of a replica; None where the request makes none. Raises InvalidArgument, AccessDenied."""
    if request.replica is None:
        return None
    _check_signed(context)
    clock = context.store.clock
    return read_identity(
        clock,
        request.replica,
        request.replica_modified,
        request.replica_etag,
        request.replica_appends,
        _owner_of(context, request.replica_owner),
    )


def _owner_of(context: Context, owner_id: str | None) -> Owner | None:
    """Return the owner of a source if the replica is to have the same one: a user of both servers.

    Of a bucket whose owner owns all that is in it a replica is his as well.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-change-owner.html
    """
    if owner_id is None or ownership_of(context.target) == ENFORCED:
        return None
    return next((owner for owner in context.names.owners() if owner.id == owner_id), None)


def cause_of(context: Context, request: ReplicaMark) -> Cause:
    """Return why a version changes: what repeats a change of the source goes nowhere else. Raises AccessDenied."""
    if request.replica is None:
        return context.cause
    _check_signed(context)
    return replace(context.cause, job=JOB)


def _check_signed(context: Context) -> None:
    """Refuse headers that may have been added on the way: Signature Version 2 does not cover them."""
    if context.circumstances.signature != ALGORITHM:
        raise AccessDenied(
            "There were headers present in the request which were not signed", HeadersNotSigned="x-s3ish-replica"
        )
