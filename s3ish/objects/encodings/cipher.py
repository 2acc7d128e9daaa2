"""Encryption of what is stored: AES-256-GCM in packages, under a data key of the blob's own.

The data key encrypts one stream and no other, so that the number of a package can be its nonce. The number of a
package, and whether it is the last, are authenticated with it: none can be moved, left out, repeated or cut off. A
range decrypts the packages that it touches. The data key stands in the link's parameters, encrypted by the keyring.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Protocol

from s3ish.blob.protocol import Buffer, Corrupt
from s3ish.buffers import Buffers
from s3ish.objects.encodings.codec import Codec, Decoder, Encoder, StoredRange
from s3ish.objects.encodings.sealing import cipher_of, library

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME = "aes-256-gcm"
"""The name of the link."""
DATA_KEY = "data-key"
"""The parameter of a link that holds the data key, sealed by one key or another."""
PACKAGE_BYTES = 64 * 1024
TAG_BYTES = 16
_STORED_PACKAGE = PACKAGE_BYTES + TAG_BYTES
_TOGETHER = 16
"""So many packages are one buffer: as many as a piece of an upload has, whose stripe it then is as it is."""
_FEW = 4
"""Up to so many have room of their own length."""

_rooms = Buffers(kept=4)

_NONCE = Struct(">4xQ").pack
_SAID = b"s3ish package 1"
_BOUND = Struct(">15sQ?").pack
"""Of what is said, the number of a package, and whether it is the last."""

_Turn = Callable[[bytes, Buffer, bytes, memoryview], object]
"""Takes a nonce, a package, what is authenticated with it, and room for what it becomes."""


class DataKeys(Protocol):
    """Makes data keys and opens them again."""

    def make(self) -> tuple[bytes, Mapping[str, str]]:
        """Return a new data key, and the parameters with which it can be opened."""

    def wrap(self, key: bytes, /) -> Mapping[str, str]:
        """Return the parameters with which a data key can be opened."""

    def open(self, parameters: Mapping[str, str]) -> bytes:
        """Return the data key. Raises ValueError if it cannot be opened."""

    def cipher(self, parameters: Mapping[str, str]) -> "AESGCM":
        """Return the cipher of the data key; see ``open``."""


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

    def encoder(self, size: int | None) -> Encoder:
        data_key, parameters = self._keys.make()
        return _Encoder(data_key, parameters, size, hides_digest=self._hides_digest)

    def decoder(self, stored_start: int, size: int) -> Decoder:
        return _Decoder(self._keys.cipher(self._parameters), stored_start // _STORED_PACKAGE, size)

    def decode(self, stored: bytes, size: int) -> bytes:
        decrypt, count = self._keys.cipher(self._parameters).decrypt, packages(size)
        pieces = []
        for number in range(count):
            start = number * _STORED_PACKAGE
            nonce, bound = _says(number, last=number == count - 1)
            try:
                pieces.append(decrypt(nonce, stored[start : start + _STORED_PACKAGE], bound))
            except library().invalid as error:
                raise _corrupt(number) from error
        return pieces[0] if count == 1 else b"".join(pieces)


class _Packages:
    """Takes bytes of any number, and turns whole packages of them into others, without copying what is whole.

    Args:
        turn: makes one package of another.
        size: of a package that is taken.
        made: of what it becomes.
        left: how many bytes will be taken, if that is known.
        number: of the first package.
        count: of all packages of the stream, if that is known.
    """

    def __init__(self, turn: _Turn, size: int, made: int, left: int | None, number: int, count: int | None) -> None:
        self._turn = turn
        self._size, self._made, self._left = size, made, left
        self._number, self._count = number, count
        self._held = bytearray()

    def _take(self, data: Buffer) -> Sequence[Buffer]:
        """Return what whole packages become, some in one buffer."""
        view = memoryview(data)
        if self._left is not None:
            self._left -= len(view)
        whole = self._whole(len(self._held) + len(view))
        ready: list[Buffer] = []
        for start in range(0, whole, _TOGETHER * self._size):
            room, view = self._turn_some(view, min(whole - start, _TOGETHER * self._size))
            ready.append(room)
        self._held += view
        return ready

    def _turn_some(self, view: memoryview, count: int) -> tuple[memoryview, memoryview]:
        """Return what so many bytes become, and the rest of the view. What is held comes before it."""
        size, made, turn, count_of_all = self._size, self._made, self._turn, self._count
        begin, stop = -len(self._held), count - len(self._held)
        room, place = self._room(count + -(-count // size) * (made - size)), 0
        taken, number = view[:stop], self._number
        for start in range(begin, stop, size):
            package: Buffer = taken[start : start + size] if start >= 0 else self._complete(taken[: start + size])
            nonce = _NONCE(number)
            self._number = following = number + 1
            turn(nonce, package, _BOUND(_SAID, number, following == count_of_all), room[place : place + made])
            number, place = following, place + made
        return room, view[stop:]

    def _complete(self, rest: memoryview) -> bytearray:
        package, self._held = self._held, bytearray()
        package += rest
        return package

    def _whole(self, there: int) -> int:
        """Return how many of the bytes that are there make whole packages; the last one may be short."""
        if self._left == 0:
            return there
        if self._left is None:  # what is full may be the last, and is sealed as such
            there = max(0, there - 1)
        return there - there % self._size

    def _room(self, size: int) -> memoryview:
        """Return room for packages. That for a few, of any length, would displace what is worth being kept."""
        if size <= _FEW * self._made:
            return memoryview(bytearray(size))
        return _rooms.take(_TOGETHER * self._made)[:size]


class _Encoder(_Packages):
    def __init__(self, data_key: bytes, parameters: Mapping[str, str], size: int | None, *, hides_digest: bool) -> None:
        count = None if size is None else packages(size)
        turn = cipher_of(data_key).encrypt_into
        super().__init__(turn, PACKAGE_BYTES, _STORED_PACKAGE, size, 0, count)
        self._hiding_key = data_key if hides_digest else b""
        self.parameters = parameters

    def encode(self, data: Buffer) -> Sequence[Buffer]:
        if self._left is not None and len(data) > self._left:
            raise ValueError("more bytes came than were announced")
        return self._take(data)

    def finish(self) -> Sequence[Buffer]:
        if self._left:
            raise ValueError("fewer bytes came than were announced")
        self._left, self._count = 0, self._number + 1
        return self._take(b"")

    def etag(self, digest: str) -> str:
        if not self._hiding_key:
            return digest
        return hmac.digest(self._hiding_key, b"s3ish entity tag 1 " + digest.encode(), sha256).hex()[: len(digest)]


class _Decoder(_Packages):
    def __init__(self, cipher: "AESGCM", first: int, size: int) -> None:
        count = packages(size)
        left = size + count * TAG_BYTES - first * _STORED_PACKAGE
        super().__init__(cipher.decrypt_into, _STORED_PACKAGE, PACKAGE_BYTES, left, first, count)

    def decode(self, data: Buffer) -> Sequence[Buffer]:
        try:
            return self._take(data)
        except library().invalid as error:
            raise _corrupt(self._number - 1) from error

    def finish(self) -> Sequence[Buffer]:
        if self._held:
            raise Corrupt(f"package {self._number} is not whole")
        return []


def _says(number: int, *, last: bool) -> tuple[bytes, bytes]:
    """Return the nonce of a package, and what is authenticated with it."""
    return _NONCE(number), _BOUND(_SAID, number, last)


def _corrupt(number: int) -> Corrupt:
    return Corrupt(f"package {number} is not what was encrypted")


def codec_of(keys: DataKeys) -> Callable[[Mapping[str, str]], Codec]:
    """Return what makes the codec of a link."""
    return lambda parameters: Cipher(keys, parameters)
