"""Whether a new object is encrypted, and how it says so; and with which keys an object is read.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from s3ish.api.bucket_encryption import ENCRYPTION, EncryptionRule
from s3ish.api.context import Context
from s3ish.api.customer_keys import CustomerKey, customer_key_of
from s3ish.api.object_headers import read_context, without_type
from s3ish.api.shapes import AttributeHeaders, CustomerKeyHeaders
from s3ish.auth.sigv4 import ALGORITHM
from s3ish.errors import AccessDenied, InvalidArgument
from s3ish.model import Attributes, Bucket, Link
from s3ish.objects import named_keys
from s3ish.objects.encodings import cipher, customer, named
from s3ish.objects.encodings.chain import Encodings, Links
from s3ish.objects.encodings.named import NamedKey
from s3ish.objects.store import Store

_NO_RULE = EncryptionRule()


class Keys(NamedTuple):
    """Keys that the server does not know by its settings: a request brings them, or they are in the store."""

    customer: CustomerKey | None = None
    named: tuple[NamedKey, ...] = ()


class Encryption(NamedTuple):
    """What a new object gets: its attributes, the links under which it is stored, and the keys of these.

    ``links`` is None for the default ones.
    """

    attributes: Attributes
    links: Links | None
    keys: Keys = Keys()

    @property
    def key_md5(self) -> str:
        """The digest of the client's key, empty if there is none."""
        return self.keys.customer.md5 if self.keys.customer else ""


def needs_keys(encryption: Mapping[str, str]) -> bool:
    """Tell whether what is encrypted this way, and came without a key, may need others than those of the settings."""
    return encryption.get("type", "AES256") != "AES256"


async def keys_of(
    context: Context, encryption: Mapping[str, str], links: Sequence[Link], key: CustomerKey | None = None
) -> Keys:
    """Return the keys of what is stored under links.

    Args:
        encryption: what answers say of it.
        key: the client's.

    Raises:
        InvalidArgument: the request must be signed by Version 4.
        KMSNotFoundException, KMSDisabledException, KMSInvalidStateException: a key may not be used.
    """
    require_version_4(context, encryption)
    return Keys(key, tuple([await named_keys.usable(context.store, key_id) for key_id in named.key_ids(links)]))


def encodings_with(store: Store, *keys: Keys) -> Encodings | None:
    """Return the encodings of a request that needs keys; None if those of the store will do."""
    customers = [it.customer.reveal() for it in keys if it.customer]
    named_ones = [key for it in keys for key in it.named]
    if not customers and not named_ones:
        return None
    random_bytes = store.clock.random_bytes
    codecs = {customer.NAME: customer.codec_of(customers, random_bytes)} if customers else {}
    if named_ones:
        codecs[named.NAME] = named.codec_of(named_ones, random_bytes)
    return store.encodings.having(codecs)


def require_version_4(context: Context, encryption: Mapping[str, str]) -> None:
    """Refuse data under a named key to requests that are not signed by Version 4, whether or not there is a master key.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html

    Args:
        encryption: how the data is encrypted.

    Raises:
        InvalidArgument: the signature is of Version 2, or there is none.
    """
    if encryption.get("type", "").startswith("aws:kms") and context.circumstances.signature != ALGORITHM:
        raise InvalidArgument(
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
            ArgumentName="Authorization",
        )


async def encrypted(context: Context, request: AttributeHeaders, attributes: Attributes, key: str) -> Encryption:
    """Return how a new object is encrypted.

    A key of the request comes before what it asks for otherwise, that before what the bucket has by default, and that
    before what the settings say. Without a master key nothing but what comes with a key is encrypted; what a client
    asks for is kept and shown.

    Args:
        attributes: what the request says of the object.
        key: the object's.

    Raises:
        InvalidEncryptionAlgorithmError, InvalidArgument, InvalidRequest: the request's key is not right.
        InvalidArgument: the request must be signed by Version 4.
        AccessDenied: the bucket does not take objects under clients' keys.
        KMSNotFoundException, KMSDisabledException, KMSInvalidStateException: a named key may not be used.
    """
    given = writing_key_of(context, request)
    bucket, asked = context.target, request.bucket_key_enabled
    wanted = {} if given else attributes.encryption or _default(bucket)
    if asked and not attributes.encryption and wanted.get("type") != "aws:kms":
        raise without_type()
    if given is None:
        require_version_4(context, wanted)
        if wanted.get("type") == "aws:kms" and (attributes.encryption or context.store.encodings.knows(cipher.NAME)):
            attributes = replace(attributes, encryption=_with_bucket_key(wanted, asked, _rule(bucket)))
        return await encrypted_in(context.store, bucket, key, attributes)
    link = customer.new_link(given.reveal(), context.store.clock.random_bytes)
    return Encryption(replace(attributes, encryption={}), (link,), Keys(given))


def _with_bucket_key(wanted: dict[str, str], asked: bool | None, rule: EncryptionRule) -> dict[str, str]:
    """Return what is wanted of SSE-KMS, with a bucket key if the request wants one, or else the bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/configuring-bucket-key-object.html
    """
    without = {name: value for name, value in wanted.items() if name != "bucket-key"}
    on = rule.bucket_key if asked is None else asked
    return without | {"bucket-key": "true"} if on else without


def writing_key_of(context: Context, request: CustomerKeyHeaders) -> CustomerKey | None:
    """Return the key that a request writes under; see ``customer_key_of``. Raises AccessDenied if the bucket blocks."""
    key = customer_key_of(context, request)
    blocked = _rule(context.target).blocked if key else None
    if blocked and "SSE-C" in blocked.types:
        raise AccessDenied(
            "This bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys "
            "(SSE-C). Please specify a different server-side encryption type"
        )
    return key


async def encrypted_in(store: Store, bucket: Bucket, key: str, attributes: Attributes) -> Encryption:
    """Return how an object of a bucket is encrypted, whoever makes it, that comes without a key; see ``encrypted``."""
    encodings = store.encodings
    if not encodings.knows(cipher.NAME):
        return Encryption(attributes, None)
    wanted = attributes.encryption or _default(bucket)
    if not wanted:
        if not encodings.default:
            return Encryption(attributes, None)
        wanted = {"type": "AES256"}
    if wanted["type"] == "AES256":
        return Encryption(replace(attributes, encryption=wanted), (Link(cipher.NAME, {}),))
    chosen = await named_keys.usable(store, wanted.get("key", ""))
    links = under_named_key(chosen, bucket.name, key, wanted)
    shown = wanted | {"key": named_keys.arn_of(store, chosen.id)}
    return Encryption(replace(attributes, encryption=shown), links, Keys(None, (chosen,)))


def under_named_key(chosen: NamedKey, bucket: str, key: str, wanted: dict[str, str]) -> Links:
    """Return the links of an object under a named key: with two layers where the client wants that (DSSE)."""
    context = read_context(wanted["context"]) if "context" in wanted else {}
    place = bucket if wanted.get("bucket-key") else f"{bucket}/{key}"
    context = {**context, "aws:s3:arn": f"arn:aws:s3:::{place}"}
    link = named.link_to(chosen.id, msgspec.json.encode(dict(sorted(context.items()))).decode())
    return (link, Link(cipher.NAME, {})) if wanted["type"] == "aws:kms:dsse" else (link,)


def _rule(bucket: Bucket) -> EncryptionRule:
    configuration = ENCRYPTION.of(bucket)
    return configuration.rules[0] if configuration else _NO_RULE


def _default(bucket: Bucket) -> dict[str, str]:
    """Return the encryption that a bucket gives to new objects; empty if it gives none."""
    rule = _rule(bucket)
    if rule.default is None:
        return {}
    wanted = {"type": rule.default.algorithm}
    if rule.default.key_id:
        wanted["key"] = rule.default.key_id
    if rule.bucket_key and rule.default.algorithm == "aws:kms":
        wanted["bucket-key"] = "true"
    return wanted
