"""RenameObject.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
"""

from collections.abc import Iterable

from s3ish.api.comparing import read_compared
from s3ish.api.context import Context
from s3ish.api.operation import operation
from s3ish.api.shapes import BucketRequest
from s3ish.auth.evaluator import Permit
from s3ish.errors import InvalidArgument, InvalidURI
from s3ish.objects import rename
from s3ish.objects.client_tokens import ClientToken
from s3ish.objects.conditions import ReadConditions
from s3ish.wire.fields import header, label
from s3ish.wire.names import check_key, decode_segment
from s3ish.wire.scalars import Instant
from s3ish.wire.shape import shape


@shape
class RenameObjectRequest(BucketRequest):
    """PUT /{Bucket}/{Key+}?renameObject"""

    key: str = label("Key")
    source: str = header("x-amz-rename-source", default="")
    if_match: str | None = header("If-Match")
    if_none_match: str | None = header("If-None-Match")
    if_modified_since: Instant | None = header("If-Modified-Since")
    if_unmodified_since: Instant | None = header("If-Unmodified-Since")
    source_if_match: str | None = header("x-amz-rename-source-if-match")
    source_if_none_match: str | None = header("x-amz-rename-source-if-none-match")
    source_if_modified_since: Instant | None = header("x-amz-rename-source-if-modified-since")
    source_if_unmodified_since: Instant | None = header("x-amz-rename-source-if-unmodified-since")
    token: str | None = header("x-amz-client-token")


@shape
class RenameObjectResponse:
    """Nothing: it was done."""


def _source(request: RenameObjectRequest) -> str:
    """Return the key of the object that gets another name.

    It is percent-encoded; a slash may stand before it, and behind that the bucket and another one.

    Raises:
        InvalidArgument, KeyTooLongError: that is no key.
    """
    text = request.source
    if text.startswith("/"):
        text = text.removeprefix(f"/{request.bucket}/").removeprefix("/")
    try:
        return check_key(decode_segment(text))
    except (InvalidArgument, InvalidURI) as error:
        raise InvalidArgument(
            "The source of a rename must be a key of the bucket, percent-encoded.",
            ArgumentName="x-amz-rename-source",
            ArgumentValue=request.source[:1024],
        ) from error


def _rights(request: RenameObjectRequest) -> Iterable[Permit]:
    """Return the rights that a rename needs beside that to write the new name: to read the object, and to delete it."""
    source = _source(request)
    own = Permit("s3:GetObject", request.bucket, source), Permit("s3:DeleteObject", request.bucket, source)
    conditions = request.if_match, request.if_none_match
    return (*own, *(right for it in conditions for right in read_compared(it, request.bucket, request.key)))


@operation("PUT /{Bucket}/{Key+}?renameObject", action="s3:PutObject", permits=_rights)
async def rename_object(context: Context, request: RenameObjectRequest) -> RenameObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html"""
    of_source = ReadConditions(
        if_match=request.source_if_match,
        if_none_match=request.source_if_none_match,
        if_modified_since=request.source_if_modified_since,
        if_unmodified_since=request.source_if_unmodified_since,
    )
    of_destination = ReadConditions(
        if_match=request.if_match,
        if_none_match=request.if_none_match,
        if_modified_since=request.if_modified_since,
        if_unmodified_since=request.if_unmodified_since,
    )
    source, token = _source(request), None
    if request.token is not None:
        parameters = (request.bucket, request.key, source, of_source, of_destination)
        token = ClientToken(context.owner.id, request.token, parameters)
    await rename.rename_object(
        context.store,
        request.bucket,
        source,
        request.key,
        of_source=of_source,
        of_destination=of_destination,
        token=token,
        cause=context.cause,
    )
    return RenameObjectResponse()
