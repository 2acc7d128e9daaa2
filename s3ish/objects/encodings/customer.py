"""Encryption under a key that a client brings with each request, and that is not kept (SSE-C).

The link of an object, or of an upload, has a random salt, and a value by which the right key is known: a code over the
salt, made with the key. From neither does the key follow. What seals the data keys of its blobs follows from key and
salt.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from s3ish.model import Link
from s3ish.objects.encodings.cipher import DATA_KEY, Cipher
from s3ish.objects.encodings.codec import Codec, MakeCodec
from s3ish.objects.encodings.sealing import KEY_BYTES, RandomBytes, cipher_of, seal, unseal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME = "aes-256-gcm-customer"
"""The name of the link."""
_SALT, _CHECK = "salt", "check"
_SALT_BYTES = 16
_BOUND = b"s3ish data key under a customer's key 1"


def new_link(key: bytes, random_bytes: RandomBytes) -> Link:
    """Return the link of a new object or upload that is encrypted under a key."""
    salt = base64.b64encode(random_bytes(_SALT_BYTES)).decode()
    return Link(NAME, {_SALT: salt, _CHECK: _check(key, salt)})


def link_in(links: Sequence[Link]) -> Link | None:
    """Return what all blobs of an object have in common of its link of this kind; None if it has none."""
    for link in links:
        if link.name == NAME:
            return Link(NAME, {name: link.parameters.get(name, "") for name in (_SALT, _CHECK)})
    return None


def opens(key: bytes, link: Link) -> bool:
    """Tell whether a link was made with this key."""
    return _is_of(key, link.parameters)


def codec_of(keys: Sequence[bytes], random_bytes: RandomBytes) -> MakeCodec:
    """Return what makes the codec of a link, given all keys that a request brings."""

    def make(parameters: Mapping[str, str]) -> Codec:
        key = next((key for key in keys if _is_of(key, parameters)), None)
        if key is None:
            raise ValueError("its key did not come with the request")
        return Cipher(_DataKeys(key, parameters, random_bytes), parameters, hides_digest=True)

    return make


class _DataKeys:
    """Makes the data keys of one link, and opens them again; see ``cipher.DataKeys``."""

    def __init__(self, key: bytes, parameters: Mapping[str, str], random_bytes: RandomBytes) -> None:
        self._outer = _derived(key, parameters[_SALT], b"sealing")
        self._random_bytes = random_bytes

    def make(self) -> tuple[bytes, Mapping[str, str]]:
        data_key = self._random_bytes(KEY_BYTES)
        return data_key, self.wrap(data_key)

    def wrap(self, key: bytes) -> Mapping[str, str]:
        return {DATA_KEY: seal(self._outer, key, _BOUND, self._random_bytes)}

    def open(self, parameters: Mapping[str, str]) -> bytes:
        return unseal(self._outer, parameters.get(DATA_KEY, ""), _BOUND)

    def cipher(self, parameters: Mapping[str, str]) -> "AESGCM":
        return cipher_of(self.open(parameters))


def _is_of(key: bytes, parameters: Mapping[str, str]) -> bool:
    return hmac.compare_digest(_check(key, parameters.get(_SALT, "")), parameters.get(_CHECK, ""))


def _check(key: bytes, salt: str) -> str:
    return base64.b64encode(_derived(key, salt, b"check")).decode()


def _derived(key: bytes, salt: str, purpose: bytes) -> bytes:
    return hmac.digest(key, b"s3ish customer key 1 " + purpose + b" " + salt.encode(), sha256)
