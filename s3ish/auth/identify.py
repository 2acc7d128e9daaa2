"""Who a request is from: the one authenticator that every route passes.

A request is signed in the Authorization header, or in the query (presigned), or it is anonymous. Everything else that
looks like authentication is refused; nothing falls through to a weaker form.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hmac
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

from msgspec import Struct

from s3ish.auth import sigv4
from s3ish.auth.credentials import Credentials, User
from s3ish.auth.request import HttpRequest
from s3ish.auth.sigv4 import ALGORITHM, Payload, PayloadMode, Scope, SigningKeys
from s3ish.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidToken,
    RequestTimeTooSkewed,
    S3Error,
    SignatureDoesNotMatch,
)

MAX_SKEW = timedelta(minutes=15)
MAX_EXPIRES_SECONDS = 604_800

_DUMMY_SECRET = "no user has this secret"  # noqa: S105  an unknown key costs the same time as a wrong signature
_PRESIGN_MARKS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders")
_NO_QUERY = sigv4.Query((), frozenset(), "")
_V2_MARKS = ("AWSAccessKeyId", "Signature")
_SINGLE_HEADERS = frozenset(("authorization", "x-amz-date", "date", "host", "x-amz-content-sha256", "content-length"))
_SHA256 = re.compile("[0-9a-f]{64}")
_MODES = {mode.value: mode for mode in PayloadMode if mode is not PayloadMode.SIGNED}


class Authentication(Struct, frozen=True):
    """Who signed (None if nobody did), and how the signature covers the body."""

    user: User | None
    payload: Payload
    presigned: bool = False


class _Claim(Struct, frozen=True):
    """A signature as the request presents it."""

    access_key: str
    scope: Scope
    signed: "_Signed"
    signature: str
    timestamp: str
    payload: str
    query: str


_TEXTS_KEPT = 128
"""How many texts that clients repeat from request to request stay parsed."""


class Authenticator:
    """Verifies signatures.

    Args:
        credentials: the users.
        region: the region that a scope must name.
    """

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region
        self._keys = SigningKeys()

    def identify(self, request: HttpRequest, now: datetime) -> Authentication:
        """Return who a request is from.

        Args:
            request: the request.
            now: the time, UTC.

        Raises:
            S3Error: it claims to be from somebody, and that is not so, or cannot be checked.
        """
        header = request.headers.get("authorization")
        query = sigv4.read_query(request.raw_query) if request.raw_query else _NO_QUERY
        names = query.names
        presigned = not names.isdisjoint(_PRESIGN_MARKS)
        if header is None and not presigned:
            return self._anonymous(request, names)
        if not request.repeated.isdisjoint(_SINGLE_HEADERS):
            raise InvalidRequest("A header that must be unique is repeated.")
        if (header is not None and presigned) or not names.isdisjoint(_V2_MARKS):
            raise InvalidArgument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified",
                ArgumentName="Authorization",
            )
        claim = (
            self._from_query(request, query, now) if header is None else self._from_header(request, header, query, now)
        )
        return self._verify(request, claim, presigned=header is None)

    @staticmethod
    def _anonymous(request: HttpRequest, names: AbstractSet[str]) -> Authentication:
        if not names.isdisjoint(_V2_MARKS):
            raise InvalidRequest(
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            )
        if "x-amz-security-token" in request.headers:
            raise InvalidToken
        return Authentication(None, Payload(PayloadMode.UNSIGNED))

    # --- the two forms -----------------------------------------------------------------------------------------------

    def _from_header(self, request: HttpRequest, header: str, query: sigv4.Query, now: datetime) -> _Claim:
        algorithm, _, rest = header.partition(" ")
        if algorithm != ALGORITHM:
            raise _wrong_mechanism(algorithm)
        before, mark, after = rest.partition("Signature=")  # alone differs from one request of a client to the next
        signature, comma, behind = after.partition(",")
        access_key, scope, signed = _signer(before + mark + comma + behind)
        signature = signature.strip(" \t")
        if not signature:
            raise AuthorizationHeaderMalformed("The authorization header is malformed; missing Signature.")
        timestamp, at = _header_time(request.headers)
        self._check_scope(scope, timestamp, AuthorizationHeaderMalformed)
        if abs(now - at) > MAX_SKEW:
            raise RequestTimeTooSkewed(
                RequestTime=timestamp,
                ServerTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                MaxAllowedSkewMilliseconds=900_000,
            )
        if "x-amz-security-token" in request.headers:
            raise InvalidToken
        payload = request.headers.get("x-amz-content-sha256")
        if payload is None:
            raise InvalidRequest("Missing required header for this request: x-amz-content-sha256")
        return _Claim(
            access_key,
            scope,
            _signed_headers(signed, request.headers, AuthorizationHeaderMalformed),
            signature,
            timestamp,
            payload,
            query.canonical,
        )

    def _from_query(self, request: HttpRequest, read: sigv4.Query, now: datetime) -> _Claim:
        query = dict(read.pairs)
        if len(query) != len(read.pairs):
            raise AuthorizationQueryParametersError("A query parameter must not be repeated.")
        missing = [name for name in (*_PRESIGN_MARKS, "X-Amz-Expires") if not query.get(name)]
        if query.get("X-Amz-Algorithm") not in (None, "", ALGORITHM):
            raise AuthorizationQueryParametersError('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        if missing:
            raise AuthorizationQueryParametersError(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
        access_key, scope = _credential(query["X-Amz-Credential"], AuthorizationQueryParametersError)
        at = _timestamp(query["X-Amz-Date"])
        if at is None:
            raise AuthorizationQueryParametersError(
                "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
            )
        self._check_scope(scope, query["X-Amz-Date"], AuthorizationQueryParametersError)
        _check_period(query["X-Amz-Expires"], at, now)
        if "X-Amz-Security-Token" in query or "x-amz-security-token" in request.headers:
            raise InvalidToken
        payload = query.get("X-Amz-Content-Sha256") or request.headers.get("x-amz-content-sha256") or sigv4.UNSIGNED
        return _Claim(
            access_key,
            scope,
            _signed_headers(query["X-Amz-SignedHeaders"], request.headers, AuthorizationQueryParametersError),
            query["X-Amz-Signature"],
            query["X-Amz-Date"],
            payload,
            read.canonical,
        )

    def _check_scope(self, scope: Scope, timestamp: str, error: type[S3Error]) -> None:
        if scope.region != self._region:
            raise error(
                f"The authorization header is malformed; the region '{scope.region[:64]}' is wrong; expecting "
                f"'{self._region}'",
                Region=self._region,
            )
        if scope.service != "s3":
            raise error(
                f'The authorization header is malformed; incorrect service "{scope.service[:64]}". This endpoint '
                'belongs to "s3".'
            )
        if not timestamp.startswith(scope.date):
            raise error(
                "The authorization header is malformed; the date in the credential scope is not that of the request."
            )

    # --- the signature -----------------------------------------------------------------------------------------------

    def _verify(self, request: HttpRequest, claim: _Claim, *, presigned: bool) -> Authentication:
        mode, sha256 = _payload(claim.payload)
        _check_all_signed(request.headers, claim.signed.all)
        user = self._credentials.find(claim.access_key)
        key = self._keys.key(user.secret_key if user else _DUMMY_SECRET, claim.scope)
        path = sigv4.canonical_path(request.raw_path)
        canonical = sigv4.canonical_request(
            request.method, path, claim.query, request.headers, claim.signed.names, claim.payload
        )
        text = sigv4.string_to_sign(claim.timestamp, claim.scope, canonical)
        right = hmac.compare_digest(sigv4.sign(key, text).encode(), claim.signature.encode("utf-8", "replace"))
        if user is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=claim.access_key[:128])
        if not right:
            raise _mismatch(claim, text, canonical)
        if presigned and mode not in (PayloadMode.SIGNED, PayloadMode.UNSIGNED):
            raise InvalidRequest("A presigned request cannot have a streaming payload.")
        signer = None
        if mode in (PayloadMode.STREAMING_SIGNED, PayloadMode.STREAMING_SIGNED_TRAILER):
            signer = sigv4.ChunkSigner(key, claim.timestamp, claim.scope, claim.signature)
        return Authentication(user, Payload(mode, sha256, signer), presigned)


def _wrong_mechanism(scheme: str) -> S3Error:
    if scheme == "AWS" or scheme.startswith("AWS4-"):
        return InvalidRequest(
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        )
    return InvalidArgument("Unsupported Authorization Type", ArgumentName="Authorization")


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
            raise AuthorizationHeaderMalformed
        fields[name] = value
    for name in ("Credential", "SignedHeaders"):
        if not fields.get(name):
            raise AuthorizationHeaderMalformed(f"The authorization header is malformed; missing {name}.")
    return *_credential(fields["Credential"], AuthorizationHeaderMalformed), fields["SignedHeaders"]


@lru_cache(_TEXTS_KEPT)
def _credential(text: str, error: type[S3Error]) -> tuple[str, Scope]:
    parts = text.split("/")
    if len(parts) < 5:
        raise error('The credential is malformed; expecting "<access key>/YYYYMMDD/REGION/SERVICE/aws4_request".')
    access_key, (date, region, service, terminator) = "/".join(parts[:-4]), parts[-4:]
    if terminator != "aws4_request":
        raise error('The credential is malformed; it must end with "aws4_request".')
    if len(date) != 8 or not (date.isascii() and date.isdigit()):
        raise error("The credential is malformed; the date is not of the form YYYYMMDD.")
    if not access_key:
        raise error("The credential is malformed; the access key is missing.")
    return access_key, Scope(date, region, service)


@lru_cache(_TEXTS_KEPT)
def _timestamp(text: str) -> datetime | None:
    if len(text) != 16 or text[8] != "T" or text[15] != "Z" or not (text[:8] + text[9:15]).isdecimal():
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _header_time(headers: Mapping[str, str]) -> tuple[str, datetime]:
    """Return the timestamp that was signed and its moment. Raises AccessDenied."""
    text = headers.get("x-amz-date")
    if text is not None:
        at = _timestamp(text)
        if at is None:
            raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
        return text, at
    try:
        at = parsedate_to_datetime(headers["date"])
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header") from error
    return at.strftime("%Y%m%dT%H%M%SZ"), at


def _check_period(expires: str, at: datetime, now: datetime) -> None:
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 10):
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number")
    seconds = int(expires)
    if not 1 <= seconds <= MAX_EXPIRES_SECONDS:
        raise AuthorizationQueryParametersError("X-Amz-Expires must be between 1 and 604800 seconds (one week)")
    if at - now > MAX_SKEW:
        raise AccessDenied("Request is not valid yet", ServerTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    if now > at + timedelta(seconds=seconds):
        raise AccessDenied(
            "Request has expired",
            Expires=(at + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            ServerTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )


class _Signed(Struct, frozen=True):
    """The names of the signed headers, in their order and as a set."""

    names: tuple[str, ...]
    all: frozenset[str]


def _signed_headers(text: str, headers: Mapping[str, str], error: type[S3Error]) -> _Signed:
    """Return the names of the signed headers. Raises ``error``, SignatureDoesNotMatch."""
    signed = _split_names(text)
    if not signed.names:
        raise error("The list of signed headers must be lower-case, sorted, and without repetition.")
    if not headers.keys() >= signed.all:
        missing = next(name for name in signed.names if name not in headers)
        raise SignatureDoesNotMatch(f"The signed header {missing[:64]} is not in the request.")
    return signed


@lru_cache(_TEXTS_KEPT)
def _split_names(text: str) -> _Signed:
    """Return the names in a list of signed headers, none if it is not of the right form."""
    names = tuple(text.split(";"))
    ordered = list(names) == sorted(set(names)) and all(name and name == name.lower() for name in names)
    return _Signed(names, frozenset(names)) if ordered else _Signed((), frozenset())


def _check_all_signed(headers: Mapping[str, str], signed: frozenset[str]) -> None:
    unsigned = [
        name
        for name in headers
        if name not in signed and (name == "host" or (name.startswith("x-amz-") and name != "x-amz-content-sha256"))
    ]
    if unsigned:
        raise AccessDenied(
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned)[:1024],
        )


def _payload(text: str) -> tuple[PayloadMode, str | None]:
    """Return what ``x-amz-content-sha256`` says of the body. Raises InvalidArgument."""
    if _SHA256.fullmatch(text):
        return PayloadMode.SIGNED, text
    mode = _MODES.get(text)
    if mode is None:
        raise InvalidArgument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=text[:128],
        )
    return mode, None


def _mismatch(claim: _Claim, text: str, canonical: str) -> SignatureDoesNotMatch:
    return SignatureDoesNotMatch(
        AWSAccessKeyId=claim.access_key,
        StringToSign=text,
        SignatureProvided=claim.signature[:128],
        StringToSignBytes=text.encode().hex(" "),
        CanonicalRequest=canonical,
        CanonicalRequestBytes=canonical.encode("utf-8", "replace").hex(" "),
    )
