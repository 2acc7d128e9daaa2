"""Why a signature is not the one that was expected: what proxies, shells and clients most often change is tried.

Nothing here lets a request in. What is found goes to the log and to ``explain``, never to the client.
"""

import hmac
from collections.abc import Iterator, Mapping

from s3ish.auth import sigv4
from s3ish.auth.claims import Claim
from s3ish.auth.request import HttpRequest

_CHANGED_BY_PROXIES = ("accept-encoding", "user-agent", "content-length", "expect", "te", "connection", "via")
_NOT_SHOWN = ("x-amz-security-token", "key", "authorization", "cookie")
_HIDDEN = "(not shown)"


def diagnose(request: HttpRequest, claim: Claim, secret_key: str) -> str:
    """Return what the signature would be right for; else what is known to be changed on the way, or nothing.

    Args:
        request: as it came.
        claim: its signature, which is not the one expected.
        secret_key: that of the user whom it names.
    """
    if absent := [name for name in claim.signed.names if name not in request.headers]:
        return f"the signed header {absent[0][:64]} is not in the request: a proxy or the client took it away"
    canonical_path = sigv4.canonical_path(request.raw_path)
    key = sigv4.derive(secret_key, claim.scope)
    given = claim.signature.encode("utf-8", "replace")

    def fits(key: bytes, method: str, path: str, headers: Mapping[str, str], payload: str) -> bool:
        text = sigv4.canonical_request(method, path, claim.query, headers, claim.signed.names, payload)
        right = sigv4.sign(key, sigv4.string_to_sign(claim.timestamp, claim.scope, text))
        return hmac.compare_digest(right.encode(), given)

    for secret, what in _secrets(secret_key):
        other = sigv4.derive(secret, claim.scope)
        if fits(other, request.method, canonical_path, request.headers, claim.payload):
            return f"it is right for the secret key {what}: the client's secret key is wrong by that"
    for headers, what in _headers(request.headers, claim):
        if fits(key, request.method, canonical_path, headers, claim.payload):
            return f"it is right for {what}: a proxy or the client changed it after signing"
    for path, what in _paths(request.raw_path, canonical_path, request.headers):
        if fits(key, request.method, path, request.headers, claim.payload):
            return f"it is right for {what}"
    for payload in (sigv4.UNSIGNED, sigv4.EMPTY_SHA256):
        if fits(key, request.method, canonical_path, request.headers, payload):
            return f"it is right for the payload {payload}, not for {claim.payload[:128]}"
    for method in {"GET", "HEAD", "PUT", "POST", "DELETE"} - {request.method}:
        if fits(key, method, canonical_path, request.headers, claim.payload):
            return f"it was made for the method {method}"
    suspects = [name for name in _CHANGED_BY_PROXIES if name in claim.signed.all]
    if suspects:
        return f"the secret key is another one, or a proxy changed a signed header ({', '.join(suspects)})"
    return "the secret key is another one, or what was signed was changed on the way"


def without_secrets(canonical: str) -> str:
    """Return a canonical request as it may be kept: values of headers and parameters that hold secrets are left out."""
    lines = canonical.split("\n")
    for number, line in enumerate(lines[3:-2], 3):
        name, colon, _ = line.partition(":")
        if colon and name.endswith(_NOT_SHOWN):
            lines[number] = f"{name}:{_HIDDEN}"
    if len(lines) > 2:
        pairs = (pair.partition("=") for pair in lines[2].split("&"))
        lines[2] = "&".join(
            f"{name}={_HIDDEN}" if name.lower().endswith(_NOT_SHOWN) else name + equals + value
            for name, equals, value in pairs
        )
    return "\n".join(lines)


def _secrets(secret_key: str) -> Iterator[tuple[str, str]]:
    yield secret_key + "\n", "with a line end behind it"
    yield secret_key + " ", "with a blank behind it"
    yield secret_key + "\r", "with a carriage return behind it"
    yield f'"{secret_key}"', "in quotation marks"


def _headers(headers: Mapping[str, str], claim: Claim) -> Iterator[tuple[Mapping[str, str], str]]:
    """Yield the headers as the client may have signed them, and what is other in them."""
    host = headers.get("host", "")
    name, colon, port = host.rpartition(":")
    hosts = [headers[forwarded].split(",")[0].strip() for forwarded in ("x-forwarded-host",) if forwarded in headers]
    if colon and port.isdigit():
        hosts.append(name)
    else:
        hosts += [f"{host}:{number}" for number in (headers.get("x-forwarded-port", ""), "80", "443", "9000") if number]
    for other in hosts:
        yield {**headers, "host": other}, f"the Host {other[:256]}, and {host[:256]} came"
    if "accept-encoding" in claim.signed.all:
        for value in ("identity", "gzip", ""):
            yield {**headers, "accept-encoding": value}, f"the header Accept-Encoding: {value}"


def _paths(raw: str, canonical: str, headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the path as the client may have signed it, and what is other in it."""
    twice = sigv4.canonical_path(raw.replace("%", "%25"))
    yield twice, "a path that is encoded twice: sign for the service s3, whose paths are encoded once"
    if raw != canonical:
        yield raw, "the path as it came, not encoded as S3 demands"
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    if prefix:
        yield prefix + canonical, f"the path behind {prefix[:256]}, which a proxy took away"
    if "//" in canonical:
        while "//" in canonical:
            canonical = canonical.replace("//", "/")
        yield canonical, "a path with single slashes: the client or a proxy joined them"
