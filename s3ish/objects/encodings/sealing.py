"""Keys under keys: how a key stands in a record without being readable there."""

import base64
import binascii
from collections.abc import Callable

KEY_BYTES = 32
_NONCE_BYTES = 12

RandomBytes = Callable[[int], bytes]
"""Returns so many unpredictable bytes."""


def seal(outer: bytes, key: bytes, bound: bytes, random_bytes: RandomBytes) -> str:
    """Return a key encrypted under another one, as a text.

    Args:
        bound: what is authenticated with it, and must be said again to open it.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # deferred: a start has no need of it

    nonce = random_bytes(_NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(outer).encrypt(nonce, key, bound)).decode()


def unseal(outer: bytes, text: str, bound: bytes) -> bytes:
    """Return the key in a text. Raises ValueError if it is not what was sealed under this key and with this bound."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        sealed = base64.b64decode(text, validate=True)
        return AESGCM(outer).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, binascii.Error) as error:
        raise ValueError("the data key is not what was encrypted") from error
