"""Continuation tokens: where a listing goes on, opaque to the client and checked when it comes back."""

import base64
import binascii

import xxhash

from s3ish.errors import InvalidArgument


def write_token(scope: str, position: str) -> str:
    """Return a token for a position within a scope (the bucket, or the kind of list)."""
    text = position.encode()
    return base64.urlsafe_b64encode(_seal(scope, text) + text).decode().rstrip("=")


def read_token(scope: str, token: str) -> str:
    """Return the position in a token.

    Raises:
        InvalidArgument: not a token that was given out for this scope.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        if raw[:8] == _seal(scope, raw[8:]):
            return raw[8:].decode()
    except (binascii.Error, ValueError):
        pass
    raise InvalidArgument("The continuation token provided is incorrect", ArgumentName="continuation-token")


def _seal(scope: str, text: bytes) -> bytes:
    return xxhash.xxh3_64_digest(scope.encode() + b"\0" + text, seed=0x5331)
