"""The chain of signatures of an aws-chunked body.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

import hmac

from s3ish.auth.mismatch import mismatch
from s3ish.auth.sigv4 import EMPTY_SHA256, Scope, sign


class ChunkSigner:
    """Checks the signatures one after the other; each is made of the one before.

    Args:
        access_key: whose request it is.
        key: the signing key.
        seed: the signature of the request.
    """

    def __init__(self, access_key: str, key: bytes, timestamp: str, scope: Scope, seed: str) -> None:
        self._access_key = access_key
        self._key = key
        self._prefix = f"{timestamp}\n{scope}\n"
        self._previous = seed

    def check_chunk(self, sha256: str, signature: str) -> None:
        """Check the signature of the next chunk, whose data has this SHA-256 in hex. Raises SignatureDoesNotMatch."""
        self._check(f"AWS4-HMAC-SHA256-PAYLOAD\n{self._prefix}{self._previous}\n{EMPTY_SHA256}\n{sha256}", signature)

    def check_trailer(self, sha256: str, signature: str) -> None:
        """Check the signature of the trailer, whose text has this SHA-256 in hex. Raises SignatureDoesNotMatch."""
        self._check(f"AWS4-HMAC-SHA256-TRAILER\n{self._prefix}{self._previous}\n{sha256}", signature)

    def _check(self, text: str, signature: str) -> None:
        self._previous = sign(self._key, text)
        if not hmac.compare_digest(self._previous.encode(), signature.encode("utf-8", "replace")):
            raise mismatch(self._access_key, signature, text)
