"""Making presigned URLs.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

from s3ish.auth import sigv4
from s3ish.auth.claims import MAX_EXPIRES_SECONDS
from s3ish.auth.credentials import User
from s3ish.auth.sigv4 import ALGORITHM, UNSIGNED, Scope

_OWN_PORTS = {"http": ":80", "https": ":443"}


def presign(
    user: User,
    method: str,
    endpoint: str,
    bucket: str,
    key: str,
    *,
    expires_seconds: int,
    now: datetime,
    region: str,
    query: Mapping[str, str] | None = None,
) -> str:
    """Return a URL that allows one request to any client that has it.

    Args:
        user: who allows it.
        method: the only method that it allows.
        endpoint: scheme, host and port of the server, for example ``http://127.0.0.1:9000``.
        expires_seconds: how long it is valid, 1 to 604,800.
        now: the time, UTC.
        query: further parameters, such as ``versionId``.

    Raises:
        ValueError: ``expires_seconds`` is out of range, or ``endpoint`` is no scheme and host.
    """
    if not 1 <= expires_seconds <= MAX_EXPIRES_SECONDS:
        raise ValueError(f"a presigned URL is valid for 1 to {MAX_EXPIRES_SECONDS} seconds")
    timestamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = Scope(timestamp[:8], region)
    path = f"/{bucket}/{quote(key, safe='/-_.~')}" if key else f"/{bucket}"
    pairs = {
        **(query or {}),
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{user.access_key}/{scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(expires_seconds),
        "X-Amz-SignedHeaders": "host",
    }
    encoded = sigv4.canonical_query(pairs.items())
    scheme, host = _address(endpoint)
    canonical = sigv4.canonical_request(method, path, encoded, {"host": host}, ("host",), UNSIGNED)
    text = sigv4.string_to_sign(timestamp, scope, canonical)
    signature = sigv4.sign(sigv4.derive(user.secret_key, scope), text)
    return f"{scheme}://{host}{path}?{encoded}&X-Amz-Signature={signature}"


def _address(endpoint: str) -> tuple[str, str]:
    """Return scheme and host as clients send them: in lower case, without the scheme's own port."""
    parts = urlsplit(endpoint)
    host = parts.netloc.lower()
    if parts.scheme not in _OWN_PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{endpoint} is not of the form http://HOST:PORT")
    return parts.scheme, host.removesuffix(_OWN_PORTS.get(parts.scheme, ""))
