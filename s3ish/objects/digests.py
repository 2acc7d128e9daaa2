"""The digests of what a client sends: its ETag, its checksum, and what it claims them to be."""

import base64
import hashlib
import hmac
from collections.abc import Callable

from msgspec import Struct

from s3ish.blob.protocol import Buffer
from s3ish.checksum import ALGORITHMS, Hasher
from s3ish.errors import BadDigest, XAmzContentSHA256Mismatch
from s3ish.model import Checksum

DEFAULT_ALGORITHM = "CRC64NVME"
"""What S3 computes where the client names no algorithm."""


class Claims(Struct, frozen=True):
    """What the sender says of the bytes: MD5 (16 bytes), SHA-256 (hex) and a checksum in base64."""

    md5: bytes | None = None
    sha256: str | None = None
    checksum: str | None = None


class Digests:
    """The digests of one stream: its MD5 (the ETag), one checksum, and SHA-256 where it is signed."""

    def __init__(self, algorithm: str | None, *, sha256: bool) -> None:
        self.size = 0
        self.algorithm = algorithm or DEFAULT_ALGORITHM
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksum = Hasher(self.algorithm)
        self._sha256 = hashlib.sha256() if sha256 else None

    def update(self, piece: Buffer) -> None:
        """Add bytes."""
        self._update_etag(piece)
        self._update_others(piece)

    @property
    def parts(self) -> tuple[Callable[[Buffer], None], ...]:
        """What ``update`` does, as functions that may run at the same time; each must see all bytes in order."""
        if self._sha256 is None and ALGORITHMS[self.algorithm].quick:
            return (self.update,)
        return self._update_etag, self._update_others

    def _update_etag(self, piece: Buffer) -> None:
        self.size += len(piece)
        self._md5.update(piece)

    def _update_others(self, piece: Buffer) -> None:
        self._checksum.update(piece)
        if self._sha256:
            self._sha256.update(piece)

    @property
    def etag(self) -> str:
        """The MD5 in hex."""
        return self._md5.hexdigest()

    @property
    def checksum(self) -> Checksum:
        """The checksum of the whole."""
        return Checksum(self.algorithm, self._checksum.value())

    def verify(self, claims: Claims, *, as_sent: bool = False) -> None:
        """Compare with what the sender says.

        Args:
            as_sent: whether an error shows the MD5 that was sent in base64 too, as S3 does for documents.

        Raises:
            XAmzContentSHA256Mismatch, BadDigest: not the bytes that the sender meant.
        """
        if self._sha256 and claims.sha256 is not None:
            computed = self._sha256.hexdigest()
            if not hmac.compare_digest(computed, claims.sha256):
                raise XAmzContentSHA256Mismatch(
                    ClientComputedContentSHA256=claims.sha256, S3ComputedContentSHA256=computed
                )
        if claims.md5 is not None and claims.md5 != self._md5.digest():
            raise BadDigest(
                "The Content-MD5 you specified did not match what we received.",
                ExpectedDigest=base64.b64encode(claims.md5).decode() if as_sent else claims.md5.hex(),
                CalculatedDigest=base64.b64encode(self._md5.digest()).decode(),
            )
        if claims.checksum is not None and claims.checksum != self._checksum.value():
            raise BadDigest(f"The {self.algorithm} you specified did not match the calculated checksum.")
