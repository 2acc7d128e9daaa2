"""Who signed a call of a service beside S3, and refusals in the words of those services.

https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from msgspec.structs import replace

from s3ish.auth.authenticator import Authenticator
from s3ish.auth.credentials import User
from s3ish.auth.moments import MAX_SKEW, write_iso
from s3ish.auth.request import HttpRequest
from s3ish.errors import (
    AuthorizationHeaderMalformed,
    ExpiredClientToken,
    ExpiredToken,
    IncompleteSignature,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidClientTokenId,
    InvalidToken,
    MissingAuthenticationToken,
    RequestTimeTooSkewed,
    S3Error,
    SignatureDoesNotMatch,
)

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def refuse_stranger(authenticator: Authenticator, request: HttpRequest, service: str, now: datetime) -> None:
    """Refuse a call that cannot be a user's before its body is taken: it could be long.

    Args:
        service: what the call is for.
        now: the time, UTC.

    Raises:
        MissingAuthenticationToken: there is no signature.
        InvalidClientTokenId, ExpiredClientToken, SignatureDoesNotMatch, IncompleteSignature: it cannot be right.
    """
    if not request.headers.get("authorization") and not request.raw_query:
        raise MissingAuthenticationToken
    with _in_other_words(now):
        authenticator.refuse_stranger(_signed(request, b"", service), now)


def signer_of(authenticator: Authenticator, request: HttpRequest, data: bytes, service: str, now: datetime) -> User:
    """Return who signed a call, its body included.

    Args:
        data: the body.
        service: what the call is for.
        now: the time, UTC.

    Raises:
        MissingAuthenticationToken: there is no signature.
        InvalidClientTokenId, ExpiredClientToken, SignatureDoesNotMatch, IncompleteSignature: it is not right.
        S3Error: it cannot be looked at.
    """
    with _in_other_words(now):
        user = authenticator.identify(_signed(request, data, service), now).user
    if user is None:
        raise MissingAuthenticationToken
    return user


def _signed(request: HttpRequest, data: bytes, service: str) -> HttpRequest:
    """Return a request as its signature must cover it: the body is covered, though no header says so."""
    headers = {**request.headers, "x-amz-content-sha256": hashlib.sha256(data).hexdigest()}
    return replace(request, headers=headers, service=service)


@contextmanager
def _in_other_words(now: datetime) -> Iterator[None]:
    """Tell errors of a signature as services other than S3 do."""
    try:
        yield
    except S3Error as error:
        told = _told(error, now)
        told.reason = error.reason
        raise told from error


def _told(error: S3Error, now: datetime) -> S3Error:
    """Return an error of a signature as services other than S3 tell it."""
    match error:
        case InvalidAccessKeyId() | InvalidToken():
            return InvalidClientTokenId()
        case ExpiredToken():
            return ExpiredClientToken()
        case SignatureDoesNotMatch():
            return SignatureDoesNotMatch(_MISMATCH)
        case RequestTimeTooSkewed():
            return SignatureDoesNotMatch(_skewed(str(error.details["RequestTime"]), now))
        case AuthorizationHeaderMalformed() | InvalidArgument():
            return IncompleteSignature(error.message)
    return error


def _skewed(signed: str, now: datetime) -> str:
    minutes, moment = int(MAX_SKEW.total_seconds()) // 60, write_iso(now)
    if signed > moment:
        limit = write_iso(now + MAX_SKEW)
        return f"Signature not yet current: {signed} is still later than {limit} ({moment} + {minutes} min.)"
    limit = write_iso(now - MAX_SKEW)
    return f"Signature expired: {signed} is now earlier than {limit} ({moment} - {minutes} min.)"
