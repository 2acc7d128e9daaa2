"""Who signed a call of a service beside S3, and refusals in the words of those services.

https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

import hashlib
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
    signed = {**request.headers, "x-amz-content-sha256": hashlib.sha256(data).hexdigest()}
    try:
        user = authenticator.identify(replace(request, headers=signed, service=service), now).user
    except S3Error as error:
        told = _told(error, now)
        told.reason = error.reason
        raise told from error
    if user is None:
        raise MissingAuthenticationToken
    return user


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
