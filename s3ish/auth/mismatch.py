"""What a client is told whose signature is not right: all that it needs to find its mistake, and no secret."""

import re
from typing import Any
from urllib.parse import unquote

from s3ish.errors import SignatureDoesNotMatch

_CUSTOMER_KEY = "server-side-encryption-customer-key"
"""How the names of headers, parameters and fields end that hold a key to encrypt by."""
_BETWEEN = re.compile(r"([&\n?])")
"""What stands between headers, and between parameters of a query."""
_NAME = re.compile(r"[^:=]*[:=]")


def is_customer_key(name: str) -> bool:
    """Whether a header, a parameter or a field of this name holds a client's key to encrypt by."""
    return unquote(name).lower().endswith(_CUSTOMER_KEY)


def without_keys(text: str) -> str:
    """Return a text that quotes a request, without clients' keys to encrypt by."""
    if _CUSTOMER_KEY not in unquote(text).lower():
        return text
    return "".join(_without_value(part) for part in _BETWEEN.split(text))


def _without_value(part: str) -> str:
    """Return a header or parameter, without its value if that is a key; its name may be encoded in part."""
    found = _NAME.match(part)
    return f"{found[0]}REDACTED" if found and is_customer_key(found[0][:-1]) else part


def mismatch(
    access_key: str, signature: str, text: str, canonical: str = "", reason: str = ""
) -> SignatureDoesNotMatch:
    """Return the error.

    Args:
        signature: the one that was sent.
        text: the string to sign.
        canonical: the canonical request, where there is one.
        reason: what is wrong, for the operator, where that was found.

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
    error = SignatureDoesNotMatch(**details)
    error.reason = reason
    return error
