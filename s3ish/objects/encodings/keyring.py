"""The keys that encrypt data keys: the master key of the settings, and those before it.

A data key is random, belongs to one blob, and is kept beside it encrypted by a key that follows from the master key. So
a new master key means to encrypt data keys again, not data; until then those before it stay in the settings.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from s3ish.objects.encodings.cipher import DATA_KEY
from s3ish.objects.encodings.sealing import KEY_BYTES, RandomBytes, cipher_of, seal, unseal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MASTER = "master"
_BOUND = b"s3ish data key 1"
_KEPT = 1024
"""So many keys that were opened are remembered: what is read again and again is opened once."""


class MasterKeyError(ValueError):
    """A text is no master key."""


def read_master_key(text: str) -> bytes:
    """Return a master key: 32 bytes in base64. Raises MasterKeyError."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:
        raise MasterKeyError("it is not base64") from error
    if len(key) != KEY_BYTES:
        raise MasterKeyError(f"it has {len(key)} bytes in place of {KEY_BYTES}")
    return key


class Keyring:
    """Makes data keys, and opens those that it made; see ``cipher.DataKeys``.

    Args:
        masters: the master keys; the first encrypts new data keys.
        random_bytes: returns so many unpredictable bytes.
    """

    def __init__(self, masters: Sequence[bytes], random_bytes: RandomBytes) -> None:
        derived = [hashlib.sha256(b"s3ish key-encrypting key 1" + master).digest() for master in masters]
        self._keys = {_name(key): key for key in derived}
        self._first = _name(derived[0])
        self._random_bytes = random_bytes
        self._opened: dict[tuple[str, str, bytes], bytes] = {}
        self._cipher_of = lru_cache(_KEPT)(cipher_of)  # to make one takes longer than to decrypt what is short

    @property
    def first(self) -> str:
        """The name of the key that encrypts what is new."""
        return self._first

    def make(self) -> tuple[bytes, Mapping[str, str]]:
        """Return a new data key, and the parameters with which it can be opened."""
        data_key = self._random_bytes(KEY_BYTES)
        return data_key, self.wrap(data_key)

    def wrap(self, key: bytes, bound: bytes = _BOUND) -> Mapping[str, str]:
        """Return the parameters with which a key can be opened, given what is authenticated with it."""
        return {_MASTER: self.first, DATA_KEY: self.seal(key, bound)}

    def open(self, parameters: Mapping[str, str], bound: bytes = _BOUND) -> bytes:
        """Return the key that was wrapped. Raises ValueError if its master key is not here, or it was changed."""
        return self.unseal(parameters.get(_MASTER, ""), parameters.get(DATA_KEY, ""), bound)

    def cipher(self, parameters: Mapping[str, str]) -> "AESGCM":
        """Return the cipher of a data key; see ``open``."""
        return self._cipher_of(self.open(parameters))

    def is_newest(self, parameters: Mapping[str, str]) -> bool:
        """Tell whether a key is wrapped under the newest master key."""
        return parameters.get(_MASTER) == self.first

    @property
    def names(self) -> tuple[str, ...]:
        """What the master keys are called in parameters: it tells nothing of them."""
        return tuple(self._keys)

    def seal(self, plain: bytes, bound: bytes) -> str:
        """Encrypt a few bytes with the key ``first``; see ``sealing.seal``."""
        return seal(self._keys[self.first], plain, bound, self._random_bytes)

    def unseal(self, name: str, sealed: str, bound: bytes) -> bytes:
        """Return what was sealed with the key of a name. Raises ValueError if it is not here, or was changed."""
        opened = self._opened.get((name, sealed, bound))
        if opened is None:
            key = self._keys.get(name)
            if key is None:
                raise ValueError(f"the master key {name[:16]!r} is not among the settings")
            if len(self._opened) >= _KEPT:
                self._opened.clear()
            opened = self._opened[name, sealed, bound] = unseal(key, sealed, bound)
        return opened


def _name(key: bytes) -> str:
    """Return what a key is called in links: it tells nothing of the key."""
    return hashlib.sha256(b"name of " + key).hexdigest()[:16]
