"""UpdateObjectEncryption: another key for an object that is there, without moving its data.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/update-sse-encryption.html
"""

import re

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.encrypting import require_version_4, under_named_key
from s3ish.api.operation import operation
from s3ish.api.shapes import DocumentDigest, ObjectRequest
from s3ish.auth.condition_keys import Tags, encryption_said
from s3ish.errors import AccessDenied, InternalError, InvalidRequest
from s3ish.model import Link, Version
from s3ish.objects import named_keys, rewrapping, versions
from s3ish.objects.encodings import cipher, named
from s3ish.objects.lock import check_removal
from s3ish.wire.fields import body, element, query
from s3ish.wire.shape import shape

KEY_ARN = re.compile(r"arn:aws[a-zA-Z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+")
_CHANGES = "Requests that modify an object's encryption type to SSE-KMS require"


@shape
class NamedKeyEncryption:
    """The key that is wanted, by its ARN."""

    arn: str | None = element("KMSKeyArn")
    bucket_key: bool = element("BucketKeyEnabled", default=False)


@shape
class ObjectEncryption:
    """The encryption that is wanted: under a named key, for there is no other."""

    named: NamedKeyEncryption | None = element("SSE-KMS")


@shape
class UpdateObjectEncryptionRequest(ObjectRequest, DocumentDigest):
    """PUT /{Bucket}/{Key+}?encryption"""

    version_id: str | None = query("versionId")
    encryption: ObjectEncryption = body("ObjectEncryption")


@shape
class UpdateObjectEncryptionResponse:
    """Nothing: it is done."""


def _said(request: UpdateObjectEncryptionRequest) -> Tags:
    asked = request.encryption.named
    arn = asked.arn if asked else None
    return encryption_said("aws:kms" if arn else None, arn)


@operation("PUT /{Bucket}/{Key+}?encryption", action="s3:UpdateObjectEncryption", needs_digest=True, says=_said)
async def update_object_encryption(
    context: Context, request: UpdateObjectEncryptionRequest
) -> UpdateObjectEncryptionResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html"""
    require_version_4(context, {"type": "aws:kms"})
    asked = request.encryption.named
    if asked is None:
        raise InvalidRequest(
            "Requests that modify an object encryption configuration require a valid new encryption type. Valid values "
            "are SSEKMS. Modify the request to specify SSE-KMS for the updated encryption type, and then try again."
        )
    if not asked.arn:
        raise InvalidRequest(f"{_CHANGES} an Amazon Web Services KMS key Amazon Resource Name (ARN).")
    if not KEY_ARN.fullmatch(asked.arn):
        raise InvalidRequest(f"{_CHANGES} a valid Amazon Web Services KMS key Amazon Resource Name (ARN).")
    store = context.store
    version = await versions.get(store, request.bucket, request.key, request.version_id, "PUT")
    _check_source(version)
    chosen = await named_keys.usable(store, asked.arn)
    needed = {name for links in rewrapping.links_of(version) for name in named.key_ids(links)}
    held = [await named_keys.usable(store, name) for name in sorted(needed)]
    wrapping = rewrapping.Rewrapping(store, (chosen, *held))
    wanted = {"type": "aws:kms", "key": named_keys.arn_of(store, chosen.id)}
    wanted |= {"bucket-key": "true"} if asked.bucket_key else {}

    def change(version: Version) -> Version:
        _check_source(version)
        _check_lock(version, store.clock.service_ns())
        kept = {name: text for name, text in version.attributes.encryption.items() if name == "context"}
        encryption = wanted | kept
        (link,) = under_named_key(chosen, version.bucket, version.key, encryption)

        def again(_: Link) -> Link:
            return link

        attributes = replace(version.attributes, encryption=encryption)
        return wrapping.of(replace(version, attributes=attributes), again)

    try:
        await rewrapping.rewrap(store, request.bucket, request.key, request.version_id, change, context.cause)
    except ValueError as error:
        raise InternalError(f"The key of the object cannot be opened: {error}.") from error
    return UpdateObjectEncryptionResponse()


def _check_source(version: Version) -> None:
    """Raise InvalidRequest unless an object is encrypted under one key that the server has."""
    if not version.encoding:
        raise InvalidRequest(
            "The UpdateObjectEncryption operation doesn't supported unencrypted source objects. Only source objects "
            "encrypted with SSE-S3 or SSE-KMS are supported."
        )
    if len(version.encoding) > 1 or version.encoding[0].name not in (cipher.NAME, named.NAME):
        raise InvalidRequest(
            "The UpdateObjectEncryption operation doesn't support source objects with the encryption type DSSE-KMS or "
            "SSE-C. Only source objects encrypted with SSE-S3 or SSE-KMS are supported."
        )


def _check_lock(version: Version, now_ns: int) -> None:
    try:
        check_removal(version, now_ns, bypass=False)
    except AccessDenied as error:
        raise AccessDenied(
            "The encryption type for the specified object can't be updated because that object is protected by S3 "
            "Object Lock."
        ) from error
