"""PostObject: an upload by a browser's form.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from urllib.parse import urlencode, urlsplit, urlunsplit

from s3ish.api.acl import owner_and_acl
from s3ish.api.context import Context
from s3ish.api.encrypting import encodings_with, encrypted
from s3ish.api.lifecycle import shown_expiry
from s3ish.api.lock import lock_of
from s3ish.api.object_headers import attributes_of
from s3ish.api.operation import operation
from s3ish.api.put import shown_version, write_extras
from s3ish.api.shapes import AttributeHeaders, ObjectEncryptionEcho, quoted
from s3ish.objects import put
from s3ish.wire.fields import body, element, group, header, label, status
from s3ish.wire.scalars import write_url
from s3ish.wire.shape import shape


@shape
class PostObjectRequest(AttributeHeaders):
    """POST /{Bucket}; its key and headers are the fields of the form."""

    bucket: str = label("Bucket")
    key: str = label("Key")

    redirect: str | None = header("success_action_redirect")
    older_redirect: str | None = header("redirect")
    wanted_status: str | None = header("success_action_status")


@shape(root="PostResponse")
class PostResponse:
    """What was stored."""

    location: str = element("Location", default=...)
    bucket: str = element("Bucket", default=...)
    key: str = element("Key", default=...)
    etag: str = element("ETag", default=...)


@shape
class PostObjectResponse:
    """The answer that the form asks for."""

    code: int = status(204)
    location: str | None = header("Location")
    etag: str | None = header("ETag")
    version_id: str | None = header("x-amz-version-id")
    expiration: str | None = header("x-amz-expiration")
    result: PostResponse | None = body("PostResponse", required=False)
    encryption: ObjectEncryptionEcho | None = group()


@operation("POST /{Bucket}", action="s3:PutObject", permits=write_extras, reads_form=True)
async def post_object(context: Context, request: PostObjectRequest) -> PostObjectResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html"""
    owner, acl = owner_and_acl(context, request)
    attributes = attributes_of(request, acl, lock_of(context, request))
    encryption = await encrypted(context, request, attributes, request.key)
    version = await put.put_object(
        context.store,
        request.bucket,
        request.key,
        context.body,
        owner=owner,
        cause=context.cause,
        attributes=encryption.attributes,
        encoding=encryption.links,
        encodings=encodings_with(context.store, encryption.keys),
    )
    etag = quoted(version.etag)
    place = context.url.rstrip("/") + "/" + write_url(request.key)
    redirect = _with_result(request.redirect or request.older_redirect or "", request.bucket, request.key, etag)
    wanted = {"200": 200, "201": 201}.get(request.wanted_status or "", 204)
    result = PostResponse(location=place, bucket=request.bucket, key=request.key, etag=etag)
    return PostObjectResponse(
        code=303 if redirect else wanted,
        location=redirect or place,
        etag=etag,
        version_id=shown_version(version),
        expiration=shown_expiry(context, version),
        result=result if wanted == 201 and not redirect else None,
        encryption=ObjectEncryptionEcho.of(version.attributes.encryption, encryption.key_md5),
    )


def _with_result(url: str, bucket: str, key: str, etag: str) -> str:
    """Return the address to which a browser is sent, with what was stored in its query; empty if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc or not url.isascii() or not url.isprintable():
        return ""
    told = urlencode({"bucket": bucket, "key": key, "etag": etag})
    query = f"{parts.query}&{told}" if parts.query else told
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))
