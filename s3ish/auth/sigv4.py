"""Signature Version 4: canonical request, string to sign, keys and signatures. Arithmetic only; no decisions.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_KEYS_KEPT = 1024
_BLOCK_BYTES = 64
_REPEATED_LENGTH, _REPEATED_QUERY_LENGTH, _REPEATED_KEPT = 256, 1024, 256
_BLANKS = re.compile(r"[ \t]+")


class Scope(NamedTuple):
    """The credential scope of a signature."""

    date: str
    region: str
    service: str = "s3"

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


class SigningKeys:
    """Derived signing keys, kept because deriving one takes four hashes."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, Scope], bytes] = {}

    def key(self, secret_key: str, scope: Scope) -> bytes:
        """Return the signing key of a secret for a scope."""
        found = self._keys.get((secret_key, scope))
        if found is None:
            found = derive(secret_key, scope)
            if len(self._keys) >= _KEYS_KEPT:
                self._keys.clear()
            self._keys[secret_key, scope] = found
        return found


def derive(secret_key: str, scope: Scope) -> bytes:
    """Derive a signing key."""
    key = f"AWS4{secret_key}".encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_path(raw_path: str) -> str:
    """Return a path encoded once, as S3 signs it: never normalised, whatever way the client encoded it."""
    if raw_path.isascii() and raw_path.replace("/", "").replace("-", "").replace(".", "").replace("_", "").isalnum():
        return raw_path
    return quote(unquote_to_bytes(raw_path), safe="/-_.~")


class Query(NamedTuple):
    """A query string as signatures see it.

    ``pairs`` are decoded and in order, a plus being a space; ``canonical`` is all but the signature, encoded and
    sorted.
    """

    pairs: tuple[tuple[str, str], ...]
    names: frozenset[str]
    canonical: str


def read_query(raw: str) -> Query:
    """Return what a query string says."""
    return _repeated_query(raw) if len(raw) <= _REPEATED_QUERY_LENGTH else _read_query(raw)


def _read_query(raw: str) -> Query:
    pairs = []
    for pair in raw.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((decode(name), decode(value)))
    canonical = canonical_query(pair for pair in pairs if pair[0] != "X-Amz-Signature")
    return Query(tuple(pairs), frozenset(name for name, _ in pairs), canonical)


_repeated_query = lru_cache(_REPEATED_KEPT)(_read_query)
"""What is presigned is often asked for piece by piece."""


def decode(text: str) -> str:
    """Return a name or value of a query without its escapes."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return query pairs encoded and sorted."""
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encode(name), _encode(value)) for name, value in pairs)
    )


def _encode(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return _repeated(text) if len(text) <= _REPEATED_LENGTH else _quote(text)


def _quote(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="-_.~")


_repeated = lru_cache(_REPEATED_KEPT)(_quote)
"""Names of parameters, credentials and lists of headers come again with every request."""


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], signed: Iterable[str], payload: str
) -> str:
    """Return the canonical request.

    Args:
        path, query: already canonical.
        signed: names of the signed headers, lower-case and sorted; one that is not in ``headers`` has no value.
        payload: what stands for the body.
    """
    names = list(signed)
    lines = "".join([f"{name}:{_collapse(headers.get(name, ''))}\n" for name in names])
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{payload}"


def _collapse(value: str) -> str:
    """Trim blanks and make runs of them one space; other white space is content, which is stored as it is signed."""
    return (_BLANKS.sub(" ", value) if "  " in value or "\t" in value else value).strip(" ")


def string_to_sign(timestamp: str, scope: Scope, canonical: str) -> str:
    """Return the string to sign."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"


def sign(key: bytes, text: str) -> str:
    """Return the signature in hex."""
    inner, outer = _prepared(key)
    digest = inner.copy()
    digest.update(text.encode())
    signature = outer.copy()
    signature.update(digest.digest())
    return signature.hexdigest()


@lru_cache(_KEYS_KEPT)
def _prepared(key: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """Return the two hashes of HMAC (RFC 2104) with the key's blocks taken in: half of the work of a signature."""
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
