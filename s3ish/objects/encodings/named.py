"""Encryption under a named key, which can be disabled, deleted and rotated (SSE-KMS).

A key has one material after the other; the newest seals new data keys, the others open what they sealed. The context of
an object, and the id of the key, are authenticated with each data key, so that none opens under another key or with
another context.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from s3ish.model import Link
from s3ish.objects.encodings.cipher import DATA_KEY, Cipher
from s3ish.objects.encodings.codec import Codec, MakeCodec
from s3ish.objects.encodings.sealing import KEY_BYTES, RandomBytes, cipher_of, seal, unseal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME = "aes-256-gcm-named-key"
"""The name of the link."""
_KEY, _CONTEXT, _MATERIAL = "key", "context", "material"


class NamedKey(Struct, frozen=True):
    """A key that may be used now: its id, and its materials by number."""

    id: str
    materials: Mapping[int, bytes]

    def __repr__(self) -> str:
        return f"NamedKey({self.id!r}, …)"


def link_to(key_id: str, context: str) -> Link:
    """Return the link of what is encrypted under a key, with a context: any text, which is not secret."""
    return Link(NAME, {_KEY: key_id, _CONTEXT: context})


def key_ids(links: Sequence[Link]) -> list[str]:
    """Return the ids of the keys that links need."""
    return [link.parameters.get(_KEY, "") for link in links if link.name == NAME]


def key_of(link: Link) -> str:
    """Return the id of the key of a link of this kind."""
    return link.parameters.get(_KEY, "")


def common(link: Link) -> Link:
    """Return what all blobs of an object have in common of its link of this kind."""
    return Link(NAME, {name: link.parameters.get(name, "") for name in (_KEY, _CONTEXT)})


def is_newest(link: Link, key: NamedKey) -> bool:
    """Tell whether the data key of a link is sealed under the newest material of its key, if it has one."""
    return DATA_KEY not in link.parameters or link.parameters.get(_MATERIAL) == str(max(key.materials))


def codec_of(keys: Sequence[NamedKey], random_bytes: RandomBytes) -> MakeCodec:
    """Return what makes the codec of a link, given all keys that a request needs."""

    def make(parameters: Mapping[str, str]) -> Codec:
        return Cipher(data_keys(keys, parameters, random_bytes), parameters, hides_digest=True)

    return make


def data_keys(keys: Sequence[NamedKey], parameters: Mapping[str, str], random_bytes: RandomBytes) -> "_DataKeys":
    """Return what makes and opens the data keys of a link. Raises ValueError if its key is not at hand."""
    key = next((key for key in keys if key.id == parameters.get(_KEY)), None)
    if key is None:
        raise ValueError(f"the key {parameters.get(_KEY, '')[:64]!r} is not at hand")
    return _DataKeys(key, parameters.get(_CONTEXT, ""), random_bytes)


class _DataKeys:
    """Makes and opens data keys under a key, with a context; see ``cipher.DataKeys``."""

    def __init__(self, key: NamedKey, context: str, random_bytes: RandomBytes) -> None:
        self._materials, self._random_bytes = key.materials, random_bytes
        self._bound = b"\0".join((b"s3ish data key under a named key 1", key.id.encode(), context.encode()))

    def make(self) -> tuple[bytes, Mapping[str, str]]:
        data_key = self._random_bytes(KEY_BYTES)
        return data_key, self.wrap(data_key)

    def wrap(self, key: bytes) -> Mapping[str, str]:
        newest = max(self._materials)
        sealed = seal(self._materials[newest], key, self._bound, self._random_bytes)
        return {_MATERIAL: str(newest), DATA_KEY: sealed}

    def open(self, parameters: Mapping[str, str]) -> bytes:
        number = parameters.get(_MATERIAL, "")
        material = self._materials.get(int(number)) if number.isascii() and number.isdigit() else None
        if material is None:
            raise ValueError(f"the key has no material {number[:16]!r} any more")
        return unseal(material, parameters.get(DATA_KEY, ""), self._bound)

    def cipher(self, parameters: Mapping[str, str]) -> "AESGCM":
        return cipher_of(self.open(parameters))
