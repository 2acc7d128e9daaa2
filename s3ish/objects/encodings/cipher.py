"""Encryption of what is stored: AES-256-GCM in packages, under a data key of the blob's own.

The data key encrypts one stream and no other, so that the number of a package can be its nonce. The number of a
package, and whether it is the last, are authenticated with it: none can be moved, left out, repeated or cut off. A
range decrypts the packages that it touches. The data key stands in the link's parameters, encrypted by the keyring.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from s3ish.blob.protocol import Buffer, Corrupt
from s3ish.objects.encodings.codec import Codec, Decoder, Encoder, StoredRange

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME = "aes-256-gcm"
"""The name of the link."""
DATA_KEY = "data-key"
"""The parameter of a link that holds the data key, sealed by one key or another."""
PACKAGE_BYTES = 64 * 1024
TAG_BYTES = 16
_STORED_PACKAGE = PACKAGE_BYTES + TAG_BYTES


class DataKeys(Protocol):
    """Makes data keys and opens them again."""

    def make(self) -> tuple[bytes, Mapping[str, str]]:
        """Return a new data key, and the parameters with which it can be opened."""

    def wrap(self, key: bytes, /) -> Mapping[str, str]:
        """Return the parameters with which a data key can be opened."""

    def open(self, parameters: Mapping[str, str]) -> bytes:
        """Return the data key. Raises ValueError if it cannot be opened."""


def packages(size: int) -> int:
    """Return in how many packages so many bytes are stored."""
    return -(-size // PACKAGE_BYTES)


class Cipher:
    """The codec; see ``Codec``.

    Args:
        keys: where data keys come from.
        parameters: of the link; of one that is only asked for, without a data key.
        hides_digest: whether the entity tag must not be the digest of the data, as under keys that S3 does not own.
    """

    def __init__(self, keys: DataKeys, parameters: Mapping[str, str], *, hides_digest: bool = False) -> None:
        self._keys, self._parameters, self._hides_digest = keys, parameters, hides_digest

    def stored_size(self, size: int) -> int | None:
        return size + packages(size) * TAG_BYTES

    def stored_range(self, start: int, stop: int, size: int) -> StoredRange:
        first, last = start // PACKAGE_BYTES, (stop - 1) // PACKAGE_BYTES
        end = min((last + 1) * _STORED_PACKAGE, size + packages(size) * TAG_BYTES)
        return StoredRange(first * _STORED_PACKAGE, end, start - first * PACKAGE_BYTES)

    def encoder(self) -> Encoder:
        data_key, parameters = self._keys.make()
        return _Encoder(data_key, parameters, hides_digest=self._hides_digest)

    def decoder(self, stored_start: int, size: int) -> Decoder:
        return _Decoder(self._keys.open(self._parameters), stored_start // _STORED_PACKAGE, packages(size))


class _Encoder:
    def __init__(self, data_key: bytes, parameters: Mapping[str, str], *, hides_digest: bool) -> None:
        self._seal = _cipher(data_key).encrypt
        self._hiding_key = data_key if hides_digest else b""
        self._number = 0
        self._held = bytearray()
        self.parameters = parameters

    def encode(self, data: Buffer) -> Sequence[Buffer]:
        self._held += data
        ready: list[Buffer] = []
        while len(self._held) > PACKAGE_BYTES:  # one that is full may be the last, and is sealed as such
            ready.append(self._package(bytes(self._held[:PACKAGE_BYTES]), last=False))
            del self._held[:PACKAGE_BYTES]
        return ready

    def finish(self) -> Sequence[Buffer]:
        if not self._held:
            return []
        package = self._package(bytes(self._held), last=True)
        self._held.clear()
        return [package]

    def etag(self, digest: str) -> str:
        if not self._hiding_key:
            return digest
        return hmac.digest(self._hiding_key, b"s3ish entity tag 1 " + digest.encode(), sha256).hex()[: len(digest)]

    def _package(self, data: bytes, *, last: bool) -> bytes:
        number, self._number = self._number, self._number + 1
        return self._seal(_nonce(number), data, _bound(number, last=last))


class _Decoder:
    def __init__(self, data_key: bytes, first: int, count: int) -> None:
        self._open = _cipher(data_key).decrypt
        self._number, self._count = first, count
        self._held = bytearray()

    def decode(self, data: Buffer) -> Sequence[Buffer]:
        self._held += data
        ready: list[Buffer] = []
        while len(self._held) >= _STORED_PACKAGE:
            ready.append(self._package(bytes(self._held[:_STORED_PACKAGE])))
            del self._held[:_STORED_PACKAGE]
        return ready

    def finish(self) -> Sequence[Buffer]:
        if not self._held:
            return []
        package = self._package(bytes(self._held))
        self._held.clear()
        return [package]

    def _package(self, stored: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        number, self._number = self._number, self._number + 1
        try:
            return self._open(_nonce(number), stored, _bound(number, last=number == self._count - 1))
        except (InvalidTag, ValueError) as error:
            raise Corrupt(f"package {number} is not what was encrypted") from error


def _cipher(data_key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # deferred: a start has no need of it

    return AESGCM(data_key)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _bound(number: int, *, last: bool) -> bytes:
    return b"s3ish package 1" + number.to_bytes(8, "big") + bytes((last,))


def codec_of(keys: DataKeys) -> Callable[[Mapping[str, str]], Codec]:
    """Return what makes the codec of a link."""
    return lambda parameters: Cipher(keys, parameters)
