"""Signing a request in the Authorization header, as a client does.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from s3ish.auth import sigv4
from s3ish.auth.sigv4 import ALGORITHM, Scope


def sign_request(
    keys: tuple[str, str],
    method: str,
    host: str,
    path: str,
    body: bytes | str,
    *,
    now: datetime,
    region: str,
    query: Mapping[str, str] | None = None,
    also: Mapping[str, str] | None = None,
    token: str = "",
) -> dict[str, str]:
    """Return the headers that sign a request, the Host header among them.

    Args:
        keys: access key and secret key.
        path: as it is sent.
        body: it, or its SHA-256 in hexadecimal.
        now: the time, UTC.
        query: its parameters, decoded.
        also: headers to sign beside those that every request has, by lower-case name.
        token: that of a session.
    """
    timestamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = Scope(timestamp[:8], region)
    digest = body if isinstance(body, str) else hashlib.sha256(body).hexdigest()
    headers = {**(also or {}), "host": host, "x-amz-content-sha256": digest, "x-amz-date": timestamp}
    if token:
        headers["x-amz-security-token"] = token
    names = sorted(headers)
    encoded = sigv4.canonical_query((query or {}).items())
    canonical = sigv4.canonical_request(method, sigv4.canonical_path(path), encoded, headers, names, digest)
    signature = sigv4.sign(sigv4.derive(keys[1], scope), sigv4.string_to_sign(timestamp, scope, canonical))
    credential = f"Credential={keys[0]}/{scope}"
    headers["authorization"] = f"{ALGORITHM} {credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return headers
