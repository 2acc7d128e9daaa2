"""Whether a new object is encrypted, and how it says so.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from msgspec.structs import replace

from s3ish.model import Attributes, Link
from s3ish.objects.encodings import cipher
from s3ish.objects.encodings.chain import Links
from s3ish.objects.store import Store


def encrypted(store: Store, attributes: Attributes) -> tuple[Attributes, Links | None]:
    """Return the attributes of a new object with the encryption that it gets, and the links under which it is stored.

    Without a master key nothing is encrypted; what a client asks for is kept and shown.
    """
    if not store.encodings.knows(cipher.NAME):
        return attributes, None
    if not attributes.encryption:
        if not store.encodings.default:
            return attributes, None
        attributes = replace(attributes, encryption={"type": "AES256"})
    return attributes, (Link(cipher.NAME, {}),)
