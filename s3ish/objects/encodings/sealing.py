"""Keys under keys: how a key stands in a record without being readable there."""

import base64
import binascii
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12

RandomBytes = Callable[[int], bytes]
"""Returns so many unpredictable bytes."""


class Library(NamedTuple):
    """What is needed of the library: the cipher, and what it raises."""

    cipher: "type[AESGCM]"
    invalid: type[Exception]


@cache
def library() -> Library:
    """Return it. It is imported when it is first needed, which a start does not."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return Library(AESGCM, InvalidTag)


def cipher_of(key: bytes) -> "AESGCM":
    """Return the cipher of a key."""
    return library().cipher(key)


def seal(outer: bytes, key: bytes, bound: bytes, random_bytes: RandomBytes) -> str:
    """Return a key encrypted under another one, as a text.

    Args:
        bound: what is authenticated with it, and must be said again to open it.
    """
    nonce = random_bytes(_NONCE_BYTES)
    return base64.b64encode(nonce + cipher_of(outer).encrypt(nonce, key, bound)).decode()


def unseal(outer: bytes, text: str, bound: bytes) -> bytes:
    """Return the key in a text. Raises ValueError if it is not what was sealed under this key and with this bound."""
    try:
        sealed = base64.b64decode(text, validate=True)
        return cipher_of(outer).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (library().invalid, binascii.Error) as error:
        raise ValueError("the data key is not what was encrypted") from error
