"""Encryption of what is stored: AES-256-GCM in packages, under a data key of the blob's own.

The data key encrypts one stream and no other, so that the number of a package can be its nonce. The number of a
package, and whether it is the last, are authenticated with it: none can be moved, left out, repeated or cut off. A
range decrypts the packages that it touches. The data key stands in the link's parameters, encrypted by the keyring.
"""

import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Protocol

from s3ish.blob.protocol import Buffer, Corrupt
from s3ish.objects.encodings.codec import Codec, Decoder, Encoder, StoredRange
from s3ish.objects.encodings.sealing import library

NAME = "aes-256-gcm"
"""The name of the link."""
DATA_KEY = "data-key"
"""The parameter of a link that holds the data key, sealed by one key or another."""
PACKAGE_BYTES = 64 * 1024
TAG_BYTES = 16
_STORED_PACKAGE = PACKAGE_BYTES + TAG_BYTES
_TOGETHER = 4
"""So many packages are one buffer: what passes it on does so less often, and the allocator need not ask the kernel."""


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


class _Packages(ABC):
    """Takes bytes of any number, and turns whole packages of them into others, without copying what is whole.

    Args:
        size: of a package that is taken.
        made: of what it becomes.
    """

    def __init__(self, size: int, made: int) -> None:
        self._size, self._made = size, made
        self._number = 0
        self._held = bytearray()

    @abstractmethod
    def _turn(self, package: Buffer, room: memoryview) -> None:
        """Write into the room what the next package becomes."""

    def _take(self, data: Buffer, *, keep: int) -> Sequence[Buffer]:
        """Return what whole packages become, all but the last ``keep`` bytes, some in one buffer."""
        view = memoryview(data)
        count = max(0, len(self._held) + len(view) - keep) // self._size
        if not count:
            self._held += view
            return []
        ready: list[Buffer] = []
        for number in range(count):
            place = number % _TOGETHER * self._made
            if not place:
                room = memoryview(bytearray(min(_TOGETHER, count - number) * self._made))
                ready.append(room)
            if self._held:  # the rest of what came before, and what completes it
                missing = self._size - len(self._held)
                self._held += view[:missing]
                view = view[missing:]
                self._turn(self._held, room[place : place + self._made])
                self._held = bytearray()
            else:
                self._turn(view[: self._size], room[place : place + self._made])
                view = view[self._size :]
        self._held += view
        return ready


class _Encoder(_Packages):
    def __init__(self, data_key: bytes, parameters: Mapping[str, str], *, hides_digest: bool) -> None:
        super().__init__(PACKAGE_BYTES, _STORED_PACKAGE)
        self._cipher = library().cipher(data_key)
        self._hiding_key = data_key if hides_digest else b""
        self.parameters = parameters

    def encode(self, data: Buffer) -> Sequence[Buffer]:
        return self._take(data, keep=1)  # a package that is full may be the last, and is sealed as such

    def finish(self) -> Sequence[Buffer]:
        if not self._held:
            return []
        number, held, self._held = self._number, self._held, bytearray()
        return [self._cipher.encrypt(_nonce(number), held, _bound(number, last=True))]

    def etag(self, digest: str) -> str:
        if not self._hiding_key:
            return digest
        return hmac.digest(self._hiding_key, b"s3ish entity tag 1 " + digest.encode(), sha256).hex()[: len(digest)]

    def _turn(self, package: Buffer, room: memoryview) -> None:
        number, self._number = self._number, self._number + 1
        self._cipher.encrypt_into(_nonce(number), package, _bound(number, last=False), room)


class _Decoder(_Packages):
    def __init__(self, data_key: bytes, first: int, count: int) -> None:
        super().__init__(_STORED_PACKAGE, PACKAGE_BYTES)
        self._cipher = library().cipher(data_key)
        self._number, self._count = first, count

    def decode(self, data: Buffer) -> Sequence[Buffer]:
        return self._take(data, keep=0)

    def finish(self) -> Sequence[Buffer]:
        if not self._held:
            return []
        room = memoryview(bytearray(max(0, len(self._held) - TAG_BYTES)))
        self._turn(self._held, room)
        self._held = bytearray()
        return [room]

    def _turn(self, package: Buffer, room: memoryview) -> None:
        number, self._number = self._number, self._number + 1
        try:
            self._cipher.decrypt_into(_nonce(number), package, _bound(number, last=number == self._count - 1), room)
        except (library().invalid, ValueError) as error:
            raise Corrupt(f"package {number} is not what was encrypted") from error


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _bound(number: int, *, last: bool) -> bytes:
    return b"s3ish package 1" + number.to_bytes(8, "big") + bytes((last,))


def codec_of(keys: DataKeys) -> Callable[[Mapping[str, str]], Codec]:
    """Return what makes the codec of a link."""
    return lambda parameters: Cipher(keys, parameters)
