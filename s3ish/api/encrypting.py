"""Whether a new object is encrypted, and how it says so.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from typing import NamedTuple

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.customer_keys import CustomerKey, customer_key_of, encodings_with
from s3ish.api.encryption import ENCRYPTION
from s3ish.api.shapes import CustomerKeyHeaders
from s3ish.errors import AccessDenied
from s3ish.model import Attributes, Bucket, Link
from s3ish.objects.encodings import cipher, customer
from s3ish.objects.encodings.chain import Encodings, Links


class Encryption(NamedTuple):
    """What a new object gets: its attributes, and the links under which it is stored; the default ones if None.

    ``key`` is the client's, if the request brings one, and ``encodings`` those that have it.
    """

    attributes: Attributes
    links: Links | None
    key: CustomerKey | None = None
    encodings: Encodings | None = None

    @property
    def key_md5(self) -> str:
        """The digest of the client's key, empty if there is none."""
        return self.key.md5 if self.key else ""


def encrypted(context: Context, request: CustomerKeyHeaders, attributes: Attributes) -> Encryption:
    """Return how a new object is encrypted.

    A key of the request comes before what it asks for otherwise, that before what the bucket has by default, and that
    before what the settings say. Without a master key nothing but what comes with a key is encrypted; what a client
    asks for is kept and shown.

    Raises:
        InvalidEncryptionAlgorithmError, InvalidArgument, InvalidRequest: the request's key is not right.
        AccessDenied: the bucket does not take objects under clients' keys.
    """
    key = writing_key_of(context, request)
    if key is None:
        return Encryption(*encrypted_in(context.store.encodings, context.target, attributes))
    link = customer.new_link(key.reveal(), context.store.clock.random_bytes)
    return Encryption(replace(attributes, encryption={}), (link,), key, encodings_with(context.store, key))


def writing_key_of(context: Context, request: CustomerKeyHeaders) -> CustomerKey | None:
    """Return the key that a request writes under; see ``customer_key_of``. Raises AccessDenied if the bucket blocks."""
    key = customer_key_of(context, request)
    configuration = ENCRYPTION.of(context.target) if key else None
    rule = configuration.rules[0] if configuration else None
    if rule and rule.blocked and "SSE-C" in rule.blocked.types:
        raise AccessDenied(
            "This bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys "
            "(SSE-C). Please specify a different server-side encryption type"
        )
    return key


def encrypted_in(encodings: Encodings, bucket: Bucket, attributes: Attributes) -> tuple[Attributes, Links | None]:
    """Return attributes and links of an object of a bucket, whoever makes it, that comes without a key."""
    if not encodings.knows(cipher.NAME):
        return attributes, None
    wanted = attributes.encryption or _default(bucket)
    if not wanted:
        if not encodings.default:
            return attributes, None
        wanted = {"type": "AES256"}
    return replace(attributes, encryption=wanted), (Link(cipher.NAME, {}),)


def _default(bucket: Bucket) -> dict[str, str]:
    """Return the encryption that a bucket gives to new objects; empty if it gives none."""
    configuration = ENCRYPTION.of(bucket)
    rule = configuration.rules[0] if configuration else None
    if rule is None or rule.default is None:
        return {}
    wanted = {"type": rule.default.algorithm}
    if rule.default.key_id:
        wanted["key"] = rule.default.key_id
    if rule.bucket_key and rule.default.algorithm != "AES256":
        wanted["bucket-key"] = "true"
    return wanted
