"""A signature of Version 4 as a request presents it: in the Authorization header, or in the query (presigned).

What is read here is believed only after ``identify`` has computed the signature.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec import Struct

from s3ish.auth.moments import MAX_SKEW, check_skew, early, expired, header_time, read_iso, write_iso
from s3ish.auth.request import HttpRequest
from s3ish.auth.sigv4 import ALGORITHM, UNSIGNED, Query, Scope
from s3ish.errors import (
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    InvalidArgument,
    InvalidRequest,
    S3Error,
)

MAX_EXPIRES_SECONDS = 604_800
MARKS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders")
"""A request whose query has one of these is presigned, or not valid."""

_COMPONENTS = "the authorization header requires three components: Credential, SignedHeaders, and Signature."
_LATEST = datetime.max.replace(tzinfo=UTC)
_TEXTS_KEPT = 128
"""How many texts that clients repeat from request to request stay parsed."""


class _Where(Struct, frozen=True):
    """Where a credential stands: the error that says what is wrong with it, and how its messages begin."""

    kind: type[S3Error]
    begin: str
    names_days: bool

    def error(self, text: str, **details: Any) -> S3Error:
        """Return the error."""
        return self.kind(f"{self.begin}{text}", **details)

    def other_day(self, day: str, timestamp: str) -> S3Error:
        """Return the error of a credential for another day than that of the request."""
        if not self.names_days:
            return self.error("Invalid credential date. Date is not the same as X-Amz-Date.")
        sent = timestamp[:8]
        return self.kind(f'Invalid credential date "{day}". This date is not the same as X-Amz-Date: "{sent}".')


_IN_HEADER = _Where(AuthorizationHeaderMalformed, "The authorization header is malformed; ", names_days=False)
_IN_FORM = _Where(InvalidArgument, "", names_days=False)
_IN_QUERY = _Where(AuthorizationQueryParametersError, "Error parsing the X-Amz-Credential parameter; ", names_days=True)


class Signed(Struct, frozen=True):
    """The names of the signed headers, in their order and as a set."""

    names: tuple[str, ...]
    all: frozenset[str]


class Claim(Struct, frozen=True):
    """A signature as the request presents it; ``payload`` is what it says of the body, ``query`` is canonical.

    ``timestamp`` says when it was made, ``at`` is that moment.
    """

    access_key: str
    scope: Scope
    signed: Signed
    signature: str
    timestamp: str
    payload: str
    query: str
    at: datetime


def from_header(request: HttpRequest, text: str, query: Query, region: str, now: datetime) -> Claim:
    """Read a signature in the Authorization header.

    Args:
        text: the header behind the name of the algorithm.
        region: the region that the scope must name; empty for any.
        now: the time, UTC.

    Raises:
        AuthorizationHeaderMalformed, AccessDenied, RequestTimeTooSkewed, InvalidRequest: it cannot be right.
    """
    before, mark, after = text.partition("Signature=")  # alone differs from one request of a client to the next
    signature, comma, behind = after.partition(",")
    access_key, scope, signed = _signer(before + mark + comma + behind)
    signature = signature.strip(" \t")
    if not signature:
        raise _IN_HEADER.error(_COMPONENTS)
    at = header_time(request.headers, iso_only=True)
    timestamp = request.headers.get("x-amz-date") or write_iso(at)
    _check_scope(scope, timestamp, region, request.service, _IN_HEADER)
    check_skew(at, now)
    payload = request.headers.get("x-amz-content-sha256")
    if payload is None:
        raise InvalidRequest("Missing required header for this request: x-amz-content-sha256")
    return Claim(
        access_key,
        scope,
        _signed_headers(signed, AuthorizationHeaderMalformed),
        signature,
        timestamp,
        payload,
        query.canonical,
        at,
    )


def from_query(request: HttpRequest, read: Query, region: str, now: datetime) -> Claim:
    """Read a signature in the query.

    Args:
        read: the query.
        region: the region that the scope must name; empty for any.
        now: the time, UTC.

    Raises:
        AuthorizationQueryParametersError, AccessDenied: it cannot be right.
    """
    query = dict(read.pairs)
    if len(query) != len(read.pairs):
        raise AuthorizationQueryParametersError("A query parameter must not be repeated.")
    missing = [name for name in (*MARKS, "X-Amz-Expires") if not query.get(name)]
    if query.get("X-Amz-Algorithm") not in (None, "", ALGORITHM):
        raise AuthorizationQueryParametersError(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    if missing:
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    access_key, scope = _credential(query["X-Amz-Credential"], _IN_QUERY)
    at = read_iso(query["X-Amz-Date"])
    if at is None:
        raise AuthorizationQueryParametersError(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    _check_scope(scope, query["X-Amz-Date"], region, request.service, _IN_QUERY)
    _check_period(query["X-Amz-Expires"], at, now)
    return Claim(
        access_key,
        scope,
        _signed_headers(query["X-Amz-SignedHeaders"], AuthorizationQueryParametersError),
        query["X-Amz-Signature"],
        query["X-Amz-Date"],
        query.get("X-Amz-Content-Sha256") or request.headers.get("x-amz-content-sha256") or UNSIGNED,
        read.canonical,
        at,
    )


def read_form_scope(fields: Mapping[str, str], region: str, now: datetime) -> tuple[str, Scope, datetime]:
    """Return access key and scope of a form that was signed by Version 4, and when that was.

    Args:
        fields: those of the form, by lower-case name.
        region: the region that the scope must name; empty for any.
        now: the time, UTC.

    Raises:
        InvalidArgument, RequestTimeTooSkewed: it is not signed so, or its date is none.
    """
    if fields["x-amz-algorithm"] != ALGORITHM:
        raise InvalidArgument(
            f'X-Amz-Algorithm only supports "{ALGORITHM}"',
            ArgumentName="x-amz-algorithm",
            ArgumentValue=fields["x-amz-algorithm"][:64],
        )
    at = read_iso(fields["x-amz-date"])
    if at is None or at - now > MAX_SKEW:
        raise InvalidArgument("X-Amz-Date is not valid.", ArgumentName="x-amz-date")
    try:
        access_key, scope = _credential(fields["x-amz-credential"], _IN_FORM)
        _check_scope(scope, fields["x-amz-date"], region, "s3", _IN_FORM)
    except InvalidArgument as error:
        named = {"ArgumentName": "X-Amz-Credential", "ArgumentValue": fields["x-amz-credential"][:256]}
        error.details = {**named, **error.details}
        raise
    return access_key, scope, at


@lru_cache(_TEXTS_KEPT)
def _signer(text: str) -> tuple[str, Scope, str]:
    """Read ``Credential=…, SignedHeaders=…, Signature=``, the signature itself left out.

    Returns:
        Access key, scope, and the list of signed headers.

    Raises:
        AuthorizationHeaderMalformed: it is not of that form.
    """
    fields: dict[str, str] = {}
    for item in text.split(","):
        name, separator, value = item.strip(" \t").partition("=")
        if not separator or name in fields or name not in ("Credential", "SignedHeaders", "Signature"):
            raise _IN_HEADER.error(_COMPONENTS)
        fields[name] = value
    if not fields.get("Credential") or not fields.get("SignedHeaders"):
        raise _IN_HEADER.error(_COMPONENTS)
    return *_credential(fields["Credential"], _IN_HEADER), fields["SignedHeaders"]


def service_of(authorization: str) -> str:
    """Return the service for which an Authorization header says to be signed, or "" if it names none.

    What is returned proves nothing: it says who is asked, before a signature is looked at.
    """
    credential = authorization.partition("Credential=")[2].partition(",")[0].strip(" \t")
    rest, _, terminal = credential.rpartition("/")
    return rest.rpartition("/")[2] if terminal == "aws4_request" else ""


@lru_cache(_TEXTS_KEPT)
def _credential(text: str, where: _Where) -> tuple[str, Scope]:
    parts = text.split("/")
    access_key, (date, region, service, terminal) = "/".join(parts[:-4]), (*parts[-4:], "", "", "", "")[:4]
    if not access_key:
        raise where.error('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
    if terminal != "aws4_request":
        raise where.error(f'incorrect terminal "{terminal[:64]}". This endpoint uses "aws4_request".')
    if len(date) != 8 or not (date.isascii() and date.isdigit()):
        raise where.error(
            f'incorrect date format "{date[:64]}". This date in the credential must be in the format "yyyyMMdd".'
        )
    return access_key, Scope(date, region, service)


def _check_scope(scope: Scope, timestamp: str, region: str, service: str, where: _Where) -> None:
    if region and not scope.region:
        raise where.error("a non-empty region must be provided in the credential.")
    if region and scope.region != region:
        raise where.error(f"the region '{scope.region[:64]}' is wrong; expecting '{region}'", Region=region)
    if scope.service != service:
        raise where.error(f'incorrect service "{scope.service[:64]}". This endpoint belongs to "{service}".')
    if not timestamp.startswith(scope.date):
        raise where.other_day(scope.date, timestamp)


def _check_period(expires: str, at: datetime, now: datetime) -> None:
    digits = expires.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number")
    if expires != digits:
        raise AuthorizationQueryParametersError("X-Amz-Expires must be non-negative")
    seconds = int(expires)
    if seconds > MAX_EXPIRES_SECONDS:
        raise AuthorizationQueryParametersError(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{MAX_EXPIRES_SECONDS} seconds"
        )
    if at - now > MAX_SKEW:
        raise early(at, at + min(timedelta(seconds=seconds), _LATEST - at), now)
    if now > at + timedelta(seconds=seconds):
        raise expired(at + timedelta(seconds=seconds), now, seconds)


def _signed_headers(text: str, error: type[S3Error]) -> Signed:
    """Return the names of the signed headers. Raises ``error``."""
    signed = _split_names(text)
    if not signed.names:
        raise error("The list of signed headers must be lower-case, sorted, and without repetition.")
    return signed


@lru_cache(_TEXTS_KEPT)
def _split_names(text: str) -> Signed:
    """Return the names in a list of signed headers, none if it is not of the right form."""
    names = tuple(text.split(";"))
    ordered = list(names) == sorted(set(names)) and all(name and name == name.lower() for name in names)
    return Signed(names, frozenset(names)) if ordered else Signed((), frozenset())
