"""What a client is told whose signature is not right: all that it needs to find its mistake, and no secret."""

from typing import Any

from s3ish.errors import SignatureDoesNotMatch


def mismatch(access_key: str, signature: str, text: str, canonical: str = "") -> SignatureDoesNotMatch:
    """Return the error.

    Args:
        signature: the one that was sent.
        text: the string to sign.
        canonical: the canonical request, where there is one.
    """
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
