"""Appending: PutObject with x-amz-write-offset-bytes.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-append.html
"""

from collections.abc import Mapping

from s3ish.api.acl import write_list
from s3ish.api.context import Context
from s3ish.api.customer_keys import check_key
from s3ish.api.encrypting import encodings_with, keys_of, writing_key_of
from s3ish.api.object_headers import attributes_of
from s3ish.api.shapes import AttributeHeaders
from s3ish.errors import EncryptionTypeMismatch, InvalidObjectState, InvalidRequest
from s3ish.model import Attributes, Version
from s3ish.objects import appending, archive, named_keys
from s3ish.objects.conditions import WriteConditions
from s3ish.objects.encodings import cipher, customer


async def append_to(
    context: Context, request: AttributeHeaders, base: Version, conditions: WriteConditions
) -> tuple[appending.Appended, str]:
    """Append the body of a request to an object.

    Returns:
        What was appended, and the digest of the client's key, empty if it brought none.

    Raises:
        InvalidRequest: the request says something of the object, which was said when it was made.
        InvalidObjectState: the object is in an archive class.
        EncryptionTypeMismatch: the object is encrypted in another way than the request asks for.
        S3Error: as ``append``.
    """
    given = _refuse_attributes(request, base)
    await _check_encryption(context, given.encryption, base.attributes.encryption)
    if archive.is_archived(base):
        raise InvalidObjectState(
            "The operation is not valid for the object's storage class", StorageClass=base.attributes.storage_class
        )
    key = writing_key_of(context, request)
    if (key is None) != (customer.link_in(base.encoding) is None):
        raise EncryptionTypeMismatch
    check_key(base, key)
    keys = await keys_of(context, base.attributes.encryption, base.encoding, key)
    appended = await appending.append(
        context.store,
        base,
        context.body,
        conditions=conditions,
        encodings=encodings_with(context.store, keys),
        cause=context.cause,
    )
    return appended, key.md5 if key else ""


def _refuse_attributes(request: AttributeHeaders, version: Version) -> Attributes:
    """Refuse what only the first write of an object can say. A Content-Type is ignored: many clients always send one.

    Returns:
        The attributes that the request gives.

    Raises:
        InvalidRequest: there is something of the kind.
        S3Error: as ``attributes_of``.
    """
    given, has = attributes_of(request), version.attributes
    kept = {name for name in given.headers if name != "content-type"}
    locks = (request.lock_mode, request.lock_until, request.legal_hold, request.event_hold)
    said = kept or given.metadata or given.tags or given.website_redirect or any(locks) or any(write_list(request))
    if said or (request.storage_class and request.storage_class != has.storage_class):
        raise InvalidRequest("Metadata, tags, access, locks and storage class are those that the object was made with.")
    return given


async def _check_encryption(context: Context, given: Mapping[str, str], has: Mapping[str, str]) -> None:
    """Compare how a request wants to be encrypted, if it says so, with what the object has.

    Raises:
        EncryptionTypeMismatch: it is another type, key or context.
        KMSNotFoundException, KMSDisabledException, KMSInvalidStateException: the key may not be used.
    """
    if not given:
        return
    key = given.get("key", has.get("key"))
    if key != has.get("key") and context.store.encodings.knows(cipher.NAME):
        key = named_keys.arn_of(context.store, (await named_keys.usable(context.store, key or "")).id)
    if (given["type"], key, given.get("context", has.get("context"))) != (
        has.get("type"),
        has.get("key"),
        has.get("context"),
    ):
        raise EncryptionTypeMismatch
