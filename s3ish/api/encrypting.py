"""Whether a new object is encrypted, and how it says so.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from msgspec.structs import replace

from s3ish.api.context import Context
from s3ish.api.encryption import ENCRYPTION
from s3ish.model import Attributes, Bucket, Link
from s3ish.objects.encodings import cipher
from s3ish.objects.encodings.chain import Encodings, Links


def encrypted(context: Context, attributes: Attributes) -> tuple[Attributes, Links | None]:
    """Return the attributes of a new object with the encryption that it gets, and the links under which it is stored.

    What the request asks for comes before what the bucket has by default, and that before what the settings say.
    Without a master key nothing is encrypted; what a client asks for is kept and shown.
    """
    return encrypted_in(context.store.encodings, context.target, attributes)


def encrypted_in(encodings: Encodings, bucket: Bucket, attributes: Attributes) -> tuple[Attributes, Links | None]:
    """Return the same for an object of a bucket, whoever makes it."""
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
