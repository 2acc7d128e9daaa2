"""How a signature covers a body: the values of ``x-amz-content-sha256``.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import enum
import re

from msgspec import Struct

from s3ish.auth.chunk_signer import ChunkSigner
from s3ish.auth.sigv4 import UNSIGNED
from s3ish.errors import InvalidArgument, XAmzContentSHA256Mismatch

_SHA256 = re.compile("[0-9a-fA-F]{64}")


class PayloadMode(enum.Enum):
    """How a signature covers the body."""

    SIGNED = "signed"
    UNSIGNED = UNSIGNED
    STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


SIGNED_CHUNKS = (PayloadMode.STREAMING_SIGNED, PayloadMode.STREAMING_SIGNED_TRAILER)
"""Where each chunk carries a signature of Version 4."""

_MODES = {mode.value: mode for mode in PayloadMode if mode is not PayloadMode.SIGNED}


class Payload(Struct, frozen=True):
    """How a body is covered: ``sha256`` (hex) when signed as a whole, ``signer`` when signed chunk by chunk."""

    mode: PayloadMode
    sha256: str | None = None
    signer: ChunkSigner | None = None


def read_payload(text: str) -> Payload:
    """Return what ``x-amz-content-sha256`` says of the body, without a signer. Raises InvalidArgument."""
    if _SHA256.fullmatch(text):
        return Payload(PayloadMode.SIGNED, text.lower())
    mode = _MODES.get(text)
    if mode is None:
        raise InvalidArgument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=text[:128],
        )
    return Payload(mode)


def read_presigned_payload(text: str, method: str) -> Payload:
    """Return what ``x-amz-content-sha256`` says of the body of a presigned request.

    Such a request cannot have chunks: what announces them, and what says nothing, is the hash of no body. It does not
    matter to a request without one.

    Raises:
        XAmzContentSHA256Mismatch: no body that could be sent has this hash.
    """
    if text == UNSIGNED or _SHA256.fullmatch(text):
        return read_payload(text)
    if method in ("PUT", "POST"):
        raise XAmzContentSHA256Mismatch(ClientComputedContentSHA256=text[:128])
    return Payload(PayloadMode.UNSIGNED)
