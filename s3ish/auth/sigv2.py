"""Signature Version 2: HMAC-SHA1 over the method, three headers, the ``x-amz-`` headers, the path and some query keys.

It does not cover the body, the host, other headers and other query keys; what is made of those must therefore never
give more than what was signed (see ``Claim.uncovered``). boto3 and version 1 of the AWS CLI presign so by default.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from s3ish.auth import sigv4
from s3ish.auth.moments import check_skew, expired, header_time
from s3ish.auth.request import HttpRequest
from s3ish.auth.stand_ins import is_stand_in, with_stand_ins
from s3ish.errors import AccessDenied, InvalidArgument

SCHEME = "AWS"
MARKS = ("AWSAccessKeyId", "Signature")
"""A request whose query has one of these is presigned by Version 2, or not valid."""

_PARAMETERS = frozenset((*MARKS, "Expires"))
_STANDARD = ("content-md5", "content-type")
SIGNED_KEYS = frozenset(
    (
        *("accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location"),
        *("logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication"),
        *("requestPayment", "restore", "select", "select-type", "storageClass", "tagging", "torrent", "uploadId"),
        *("uploads", "versionId", "versioning", "versions", "website"),
        *(f"response-{name}" for name in ("cache-control", "content-disposition", "content-encoding")),
        *(f"response-{name}" for name in ("content-language", "content-type", "expires")),
    )
)
"""Query keys that are signed: those that S3's page names, and the further ones that AWS's own programs sign."""


class Claim(Struct, frozen=True):
    """A signature as the request presents it: who signed, with what result, and one of which texts.

    ``headers`` are those that count, ``uncovered`` the query keys that the texts leave out. ``at`` is when it was made;
    a URL does not say that.
    """

    access_key: str
    signature: str
    texts: tuple[str, ...]
    headers: Mapping[str, str]
    uncovered: frozenset[str]
    at: datetime | None = None


def from_header(request: HttpRequest, text: str, now: datetime) -> Claim:
    """Read a signature in the Authorization header.

    Args:
        text: the header behind ``AWS``.
        now: the time, UTC.

    Raises:
        InvalidArgument: it is malformed.
        AccessDenied, RequestTimeTooSkewed: the date is missing, or too far away.
    """
    access_key, colon, signature = text.rpartition(":")
    if not (colon and access_key and signature) or " " in text:
        raise InvalidArgument(
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            ArgumentName="Authorization",
            ArgumentValue=f"{SCHEME} {text}"[:256],
        )
    at = header_time(request.headers, iso_only=False)
    check_skew(at, now)
    date = "" if "x-amz-date" in request.headers else request.headers["date"]
    pairs = _pairs(request.raw_query)
    uncovered = frozenset(name for name, _, _ in pairs) - SIGNED_KEYS
    return Claim(access_key, signature, _texts(request, request.headers, date, pairs), request.headers, uncovered, at)


def from_query(request: HttpRequest, now: datetime) -> Claim:
    """Read a signature in the query.

    Args:
        now: the time, UTC.

    Raises:
        InvalidArgument: a parameter is there twice.
        InvalidRequest: header and query contradict each other.
        AccessDenied: it is not complete, or has expired.
    """
    pairs = _pairs(request.raw_query)
    query = {name: value for name, _, value in pairs}
    if len(query) != len(pairs):
        raise InvalidArgument("A query parameter must not be repeated.", ArgumentName="Signature")
    access_key, signature, expires = (query.get(name, "") for name in (*MARKS, "Expires"))
    if not (access_key and signature and expires):
        raise AccessDenied("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 19):
        raise AccessDenied(f"Invalid date (should be seconds since epoch): {expires[:64]}")
    if now.timestamp() > int(expires):
        raise expired(datetime.fromtimestamp(int(expires), UTC), now)
    headers = with_stand_ins(request.headers, query.items())
    uncovered = frozenset(name for name in query if not is_stand_in(name)) - SIGNED_KEYS - _PARAMETERS
    return Claim(access_key, signature, _texts(request, headers, expires, pairs), headers, uncovered)


def sign(secret_key: str, text: str) -> str:
    """Return the signature of a text in base64; the text is a string to sign, or the policy of a form in base64."""
    digest = hmac.digest(secret_key.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    return base64.b64encode(digest).decode()


def matches(secret_key: str, texts: tuple[str, ...], signature: str) -> bool:
    """Whether a signature is right for one of the texts, in time that does not tell where it differs."""
    given = signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(sign(secret_key, text).encode(), given) for text in texts)


def _pairs(raw_query: str) -> list[tuple[str, str, str]]:
    """Return name, ``=`` if there is one, and value of each parameter."""
    split = [pair.partition("=") for pair in raw_query.split("&") if pair]
    return [(sigv4.decode(name), equals, sigv4.decode(value)) for name, equals, value in split]


def _unfolded(value: str) -> str:
    """Return a value with one space for each end of a line and the blanks around it."""
    first, *rest = value.split("\n")
    lines = (line.lstrip(" \t") for line in rest)
    return " ".join(line.removesuffix("\r").rstrip(" \t") for line in (first, *lines)) if rest else value


def _texts(
    request: HttpRequest, headers: Mapping[str, str], date: str, pairs: list[tuple[str, str, str]]
) -> tuple[str, ...]:
    """Return the strings to sign; keys and values of the query stand in them decoded, the path as it was sent.

    There are two for a path that names a bucket alone: programs send it without a slash at the end, and some sign it
    with one.
    """
    standard = "".join(f"{headers.get(name, '')}\n" for name in _STANDARD)
    amazon = "".join(f"{name}:{_unfolded(headers[name])}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    keys = "&".join(f"{name}{equals}{value}" for name, equals, value in sorted(pairs) if name in SIGNED_KEYS)
    path = f"/{request.host_bucket}{request.raw_path}" if request.host_bucket else request.raw_path
    paths = (path, f"{path}/") if len(path) > 1 and "/" not in path[1:] else (path,)
    return tuple(f"{request.method}\n{standard}{date}\n{amazon}{one}{'?' if keys else ''}{keys}" for one in paths)
