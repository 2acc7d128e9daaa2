"""Keys that clients bring with a request, to encrypt and decrypt by (SSE-C): what is asked of them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-s3-c-encryption.html
"""

import base64
import binascii
import hashlib
import hmac

from s3ish.api.context import Context
from s3ish.api.shapes import CopySourceHeaders, CustomerKeyHeaders
from s3ish.errors import AccessDenied, InvalidArgument, InvalidEncryptionAlgorithmError, InvalidRequest
from s3ish.model import Upload, Version
from s3ish.objects.encodings import customer
from s3ish.objects.encodings.sealing import KEY_BYTES

ALGORITHM = "AES256"
_KEYS = "Requests specifying Server Side Encryption with Customer provided keys must"
_SHOWN = "x-amz-server-side-encryption"


class CustomerKey:
    """A key, which is not shown by accident: not in a log, not in a traceback. ``md5`` is its digest in base64."""

    __slots__ = ("_key", "md5")

    def __init__(self, key: bytes, md5: str) -> None:
        self._key, self.md5 = key, md5

    def reveal(self) -> bytes:
        """Return the key."""
        return self._key

    def __repr__(self) -> str:
        return "CustomerKey(…)"


def customer_key_of(context: Context, request: CustomerKeyHeaders) -> CustomerKey | None:
    """Return the key for what a request reads or writes; None if it brings none.

    Raises:
        InvalidEncryptionAlgorithmError, InvalidArgument: it is not whole, or not right.
        InvalidRequest: the request did not come over TLS, and the settings want that.
    """
    return _read(context, request.customer_algorithm, request.customer_key, request.customer_key_md5)


def source_key_of(context: Context, request: CopySourceHeaders) -> CustomerKey | None:
    """Return the key for what a copy reads; see ``customer_key_of``."""
    return _read(
        context, request.source_customer_algorithm, request.source_customer_key, request.source_customer_key_md5
    )


def _read(context: Context, algorithm: str | None, text: str | None, md5: str | None) -> CustomerKey | None:
    if algorithm is None and text is None and md5 is None:
        return None
    if context.store.keys_need_tls and context.scheme != "https":
        raise InvalidRequest(f"{_KEYS} be made over a secure connection.")
    if algorithm is None:
        raise InvalidArgument(f"{_KEYS} provide a valid encryption algorithm.", ArgumentName=_SHOWN)
    if algorithm != ALGORITHM:
        raise InvalidEncryptionAlgorithmError(ArgumentName=_SHOWN, ArgumentValue=algorithm[:64])
    if text is None:
        raise InvalidArgument(f"{_KEYS} provide an appropriate secret key.", ArgumentName=_SHOWN)
    if md5 is None:
        raise InvalidArgument(f"{_KEYS} provide the client calculated MD5 of the secret key.", ArgumentName=_SHOWN)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    digest = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
    if key and not hmac.compare_digest(digest, md5.encode("ascii", "replace").decode()):
        raise InvalidArgument(
            "The calculated MD5 hash of the key did not match the hash that was provided.", ArgumentName=_SHOWN
        )
    if len(key) != KEY_BYTES:
        raise InvalidArgument("The secret key was invalid for the specified algorithm.", ArgumentName=_SHOWN)
    return CustomerKey(key, digest)


def check_key(version: Version, key: CustomerKey | None) -> None:
    """Hold the key of a request against the version that it reads.

    Raises:
        InvalidRequest: the version needs a key, or has none.
        AccessDenied: it is another one.
    """
    link = customer.link_in(version.encoding)
    if link is None:
        if key:
            raise InvalidRequest("The encryption parameters are not applicable to this object.")
    elif key is None:
        raise InvalidRequest(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
            "retrieve the object."
        )
    elif not customer.opens(key.reveal(), link):
        raise AccessDenied(f"{_KEYS} provide the correct secret key.")


def check_part_key(upload: Upload, key: CustomerKey | None, *, needed: bool = True) -> None:
    """Hold the key of a request against the upload that it is about. Raises InvalidRequest.

    Args:
        needed: whether an upload that was begun with a key needs it again.
    """
    link = customer.link_in(upload.encoding)
    if (link is None) == (key is None) or (key is None and not needed):
        if link and key and not customer.opens(key.reveal(), link):
            raise InvalidRequest("The provided encryption parameters did not match the ones used originally.")
        return
    raise InvalidRequest(
        "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
        "encryption parameters."
    )
