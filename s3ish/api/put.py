"""PutObject.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from s3ish.api.acl import owner_and_acl, write_list
from s3ish.api.appending import append_to
from s3ish.api.comparing import read_compared
from s3ish.api.context import Context
from s3ish.api.encrypting import encodings_with, encrypted
from s3ish.api.lifecycle import shown_expiry
from s3ish.api.lock import check_digest, lock_of, write_lock
from s3ish.api.object_headers import attributes_of
from s3ish.api.operation import operation
from s3ish.api.replica import ReplicaHeaders, identity_of, make_replica
from s3ish.api.shapes import (
    AttributeHeaders,
    DataDigest,
    NewEncryptionEcho,
    ObjectChecksumHeaders,
    ObjectRequest,
    quoted,
)
from s3ish.auth.evaluator import Permit
from s3ish.model import Version
from s3ish.objects import put
from s3ish.objects.appending import Appended, Unchanged, find_base
from s3ish.objects.arrival import take_object
from s3ish.objects.conditions import WriteConditions
from s3ish.wire.fields import group, header, stream
from s3ish.wire.shape import shape


@shape
class PutObjectRequest(ObjectRequest, AttributeHeaders, DataDigest, ReplicaHeaders):
    """PUT /{Bucket}/{Key+}"""

    if_match: str | None = header("If-Match")
    if_none_match: str | None = header("If-None-Match")
    write_offset_bytes: int | None = header("x-amz-write-offset-bytes")
    body: Any = stream()


@shape
class PutObjectResponse:
    """What was stored."""

    etag: str | None = header("ETag")
    version_id: str | None = header("x-amz-version-id")
    expiration: str | None = header("x-amz-expiration")
    size: int | None = header("x-amz-object-size")
    checksum: ObjectChecksumHeaders | None = group()
    encryption: NewEncryptionEcho | None = group()


def write_extras(request: Any, *, tagged: bool = True) -> Iterable[Permit]:
    """Return the rights that a request to make an object needs beside its own: for a list, a lock, and for tags.

    Args:
        tagged: whether its header gives the object its tags.
    """
    tags = (Permit("s3:PutObjectTagging", request.bucket, request.key),) if tagged and request.tagging else ()
    return (*write_list(request), *write_lock(request), *tags)


def _extras(request: Any) -> Iterable[Permit]:
    compared = read_compared(request.if_match, request.bucket, request.key)
    return (*write_extras(request), *make_replica(request), *compared)


@operation("PUT /{Bucket}/{Key+}", action="s3:PutObject", permits=_extras)
async def put_object(context: Context, request: PutObjectRequest) -> PutObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html"""
    conditions = WriteConditions(if_match=request.if_match, if_none_match=request.if_none_match)
    identity = identity_of(context, request)
    if request.write_offset_bytes is not None and identity is None:
        base = await find_base(context.store, request.bucket, request.key, request.write_offset_bytes)
        if base:
            return _answer(context, *await append_to(context, request, base, conditions))
        conditions = Unchanged(if_match=request.if_match, if_none_match=request.if_none_match)
    owner, acl = owner_and_acl(context, request)
    lock = lock_of(context, request)
    check_digest(context, lock, "Put Object")
    attributes = attributes_of(request, acl, lock)
    encryption = await encrypted(context, request, attributes, request.key)
    store = (
        partial(take_object, identity=identity)
        if identity
        else partial(put.put_object, conditions=conditions, cause=context.cause)
    )
    version = await store(
        context.store,
        request.bucket,
        request.key,
        context.body,
        owner=owner,
        attributes=encryption.attributes,
        encoding=encryption.links,
        encodings=encodings_with(context.store, encryption.keys),
    )
    return _answer(context, Appended(version, version.checksum), encryption.key_md5)


def _answer(context: Context, stored: Appended, key_md5: str) -> PutObjectResponse:
    version = stored.version
    return PutObjectResponse(
        etag=quoted(version.etag),
        version_id=shown_version(version),
        expiration=shown_expiry(context, version),
        size=version.size if version.appends else None,
        checksum=ObjectChecksumHeaders.of(stored.checksum),
        encryption=NewEncryptionEcho.of(version.attributes.encryption, key_md5),
    )


def shown_version(version: Version) -> str | None:
    """Return the version id that a write's answer names: none where versioning is off or suspended."""
    return None if version.id == "null" else version.id
