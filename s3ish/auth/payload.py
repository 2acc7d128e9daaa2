"""How a signature covers a body: the values of ``x-amz-content-sha256``.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import enum
import re

from msgspec import Struct

from s3ish.auth.sigv4 import UNSIGNED, ChunkSigner
from s3ish.errors import InvalidArgument

_SHA256 = re.compile("[0-9a-f]{64}")


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
        return Payload(PayloadMode.SIGNED, text)
    mode = _MODES.get(text)
    if mode is None:
        raise InvalidArgument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=text[:128],
        )
    return Payload(mode)
