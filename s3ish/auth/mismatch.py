"""What a client is told whose signature is not right: all that it needs to find its mistake, and no secret."""

import re
from typing import Any

from s3ish.errors import SignatureDoesNotMatch

_CUSTOMER_KEY = re.compile(r"(?i)(server-side-encryption-customer-key[:=])[^&\n]*")
"""A key to encrypt by, in a header or in a query."""


def without_keys(text: str) -> str:
    """Return a text that quotes a request, without clients' keys to encrypt by."""
    return _CUSTOMER_KEY.sub(r"\1REDACTED", text)


def mismatch(access_key: str, signature: str, text: str, canonical: str = "") -> SignatureDoesNotMatch:
    """Return the error.

    Args:
        signature: the one that was sent.
        text: the string to sign.
        canonical: the canonical request, where there is one.

    Clients' keys to encrypt by are left out of both, since errors find their way into logs.
    """
    text, canonical = without_keys(text), without_keys(canonical)
    details: dict[str, Any] = {
        "AWSAccessKeyId": access_key[:128],
        "StringToSign": text,
        "SignatureProvided": signature[:128],
        "StringToSignBytes": text.encode("utf-8", "replace").hex(" "),
    }
    if canonical:
        details["CanonicalRequest"] = canonical
        details["CanonicalRequestBytes"] = canonical.encode("utf-8", "replace").hex(" ")
    return SignatureDoesNotMatch(**details)
