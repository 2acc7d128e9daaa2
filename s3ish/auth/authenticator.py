"""Who a request is from: the one authenticator that every route passes.

A request is signed in the Authorization header, or in the query (presigned), by Version 4 or by Version 2, or it is
anonymous. Everything else that looks like authentication is refused; nothing falls through to a weaker form.
"""

import hmac
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from s3ish.auth import claims, sigv2, sigv4
from s3ish.auth.chunk_signer import ChunkSigner
from s3ish.auth.credentials import Holders, User
from s3ish.auth.diagnosis import diagnose
from s3ish.auth.mismatch import mismatch
from s3ish.auth.payload import SIGNED_CHUNKS, Payload, PayloadMode, read_payload, read_presigned_payload
from s3ish.auth.request import HttpRequest
from s3ish.auth.sessions import Sessions
from s3ish.auth.sigv4 import ALGORITHM, SigningKeys
from s3ish.errors import (
    AccessDenied,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidToken,
)

_DUMMY_SECRET = "no user has this secret"  # noqa: S105  an unknown key costs the same time as a wrong signature
_DIAGNOSES_A_SECOND = 20
"""A diagnosis costs some twenty signatures, which no client is to cause as often as it likes."""
_TOKENS = ("X-Amz-Security-Token", "x-amz-security-token")
_UNSUPPORTED = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
_ASYMMETRIC = "AWS4-ECDSA-P256-SHA256"
_WITHOUT_REGION = frozenset(("iam", "sts"))
"""Services of the whole account, which clients sign for a region of their own choice."""
_NO_QUERY = sigv4.Query((), frozenset(), "")
HEADER, QUERY, FORM = "REST-HEADER", "REST-QUERY-STRING", "POST"
"""Where a signature stands, as policies can ask (``s3:authType``)."""
_FORM_V4 = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_FORM_V2 = ("awsaccesskeyid", "signature")
"""The fields of a form that carry a signature."""
_SINGLE_HEADERS = frozenset(("authorization", "x-amz-date", "date", "host", "x-amz-content-sha256", "content-length"))


def is_presigned(names: AbstractSet[str]) -> bool:
    """Whether a query with these keys claims to carry a signature."""
    return not (names.isdisjoint(claims.MARKS) and names.isdisjoint(sigv2.MARKS))


class Authentication(Struct, frozen=True):
    """Who signed (None if the request is not signed), and what the signature covers.

    ``payload`` is how it covers the body, ``uncovered`` are query keys that it leaves out. ``signature`` is its
    version (``AWS4-HMAC-SHA256`` or ``AWS``, empty if there is none), ``signed_at`` when it was made, if it says so,
    and ``way`` where it stands. ``presigned_payload`` is the digest of the body that Version 4 has signed in a query,
    or what stands for none; empty elsewhere.
    https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
    """

    user: User | None
    payload: Payload
    way: str = HEADER
    uncovered: frozenset[str] = frozenset()
    signature: str = ""
    signed_at: datetime | None = None
    presigned_payload: str = ""


UNSIGNED = Authentication(None, Payload(PayloadMode.UNSIGNED))
"""Of a request that carries no signature."""


class Authenticator:
    """Verifies signatures.

    Args:
        credentials: the users.
        region: the region that a scope must name; empty for any.
        signature_v2: whether Version 2 is accepted.
        sessions: who is behind temporary credentials; None if there are none.
    """

    def __init__(
        self, credentials: Holders, region: str, *, signature_v2: bool = True, sessions: Sessions | None = None
    ) -> None:
        self._credentials = credentials
        self._sessions = sessions
        self._region = region
        self._signature_v2 = signature_v2
        self._keys = SigningKeys()
        self._diagnosed = (0, 0)

    def identify(self, request: HttpRequest, now: datetime, others: Iterable[HttpRequest] = ()) -> Authentication:
        """Return who a request is from.

        Args:
            request: the request.
            now: the time, UTC.
            others: the request as it would be at other addresses of the server; looked at where it was not signed for
                the one that it came to.

        Raises:
            S3Error: it claims to be from a user, and that is not so, or cannot be checked.
        """
        region = "" if request.service in _WITHOUT_REGION else self._region
        header = request.headers.get("authorization") or None  # an empty one signs nothing
        query, in_query_v4, in_query_v2 = _NO_QUERY, False, False
        if request.raw_query:
            query = sigv4.read_query(request.raw_query)
            in_query_v4 = not query.names.isdisjoint(claims.MARKS)
            in_query_v2 = not query.names.isdisjoint(sigv2.MARKS)
        ways = (header is not None) + in_query_v4 + in_query_v2
        if not ways:
            return self._anonymous(request)
        if not request.repeated.isdisjoint(_SINGLE_HEADERS):
            raise InvalidRequest("A header that must be unique is repeated.")
        if ways > 1:
            raise InvalidArgument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified",
                **_argument(header),
            )
        token = _token(request, query)
        if in_query_v4:
            claim = claims.from_query(request, query, region, now)
            user = self._find(claim.access_key, token, now)
            return self._verify_v4(request, claim, user, now, others, presigned=True)
        if token and self._sessions is None:
            raise InvalidToken
        if in_query_v2:
            self._check_v2_allowed()
            asked = sigv2.from_query(request, now)
            elsewhere = (sigv2.from_query(other, now) for other in others)
            return self._verify_v2(request, asked, self._find(asked.access_key, token, now), elsewhere, presigned=True)
        scheme, space, text = (header or "").partition(" ")
        if not space:
            raise InvalidArgument(
                "Authorization header is invalid -- one and only one ' ' (space) required", **_argument(header)
            )
        if scheme == ALGORITHM:
            claim = claims.from_header(request, text, query, region, now)
            user = self._find(claim.access_key, token, now)
            return self._verify_v4(request, claim, user, now, others, presigned=False)
        if scheme == sigv2.SCHEME:
            self._check_v2_allowed()
            asked = sigv2.from_header(request, text, now)
            elsewhere = (sigv2.from_header(other, text, now) for other in others)
            return self._verify_v2(request, asked, self._find(asked.access_key, token, now), elsewhere, presigned=False)
        if scheme == _ASYMMETRIC:
            raise InvalidRequest(_UNSUPPORTED)
        raise InvalidArgument("Unsupported Authorization Type", **_argument(header))

    def refuse_stranger(self, request: HttpRequest, now: datetime) -> None:
        """Refuse a request that cannot be a user's with any body: by the scope, time and key of its signature.

        Its signature is of Version 4. Whether it is right is seen by ``identify``, when the body is there.

        Raises:
            InvalidAccessKeyId, InvalidToken, ExpiredToken: no user has its key.
            InvalidArgument: it is not signed so.
            S3Error: its signature is not for this place and time.
        """
        region = "" if request.service in _WITHOUT_REGION else self._region
        header, query = request.headers.get("authorization", ""), sigv4.read_query(request.raw_query)
        scheme, _, text = header.partition(" ")
        if scheme == ALGORITHM:
            claim = claims.from_header(request, text, query, region, now)
        elif not query.names.isdisjoint(claims.MARKS):
            claim = claims.from_query(request, query, region, now)
        else:
            raise InvalidArgument("Unsupported Authorization Type", **_argument(header))
        if self._find(claim.access_key, _token(request, query), now) is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=claim.access_key[:128])

    def identify_form(self, fields: Mapping[str, str], now: datetime) -> Authentication | None:
        """Return who signed the policy of a browser's form; None if it carries neither.

        Args:
            fields: those of the form, by lower-case name.
            now: the time, UTC.

        Raises:
            S3Error: it claims to be from a user, and that is not so, or cannot be checked.
        """
        in_v4, in_v2 = not fields.keys().isdisjoint(_FORM_V4), not fields.keys().isdisjoint(_FORM_V2)
        if not in_v4 and not in_v2 and "policy" not in fields:
            return None
        signed_at = None
        token = fields.get("x-amz-security-token", "")
        wanted = (*_FORM_V2, "policy") if in_v2 and not in_v4 else (*_FORM_V4, "policy")
        if in_v4 and in_v2:
            raise InvalidArgument("Only one auth mechanism allowed", ArgumentName="x-amz-signature")
        for name in wanted:
            if not fields.get(name):
                raise InvalidArgument(
                    f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of "
                    "the fields.",
                    ArgumentName=name,
                    ArgumentValue="",
                )
        if in_v2:
            self._check_v2_allowed()
            access_key, signature = fields["awsaccesskeyid"], fields["signature"]
            user = self._find(access_key, token, now)
            secret = user.secret_key if user else _DUMMY_SECRET
            right = sigv2.matches(secret, (fields["policy"],), signature)
        else:
            access_key, scope, signed_at = claims.read_form_scope(fields, self._region, now)
            signature = fields["x-amz-signature"]
            user = self._find(access_key, token, now)
            key = self._keys.key(user.secret_key if user else _DUMMY_SECRET, scope)
            given = signature.encode("utf-8", "replace")
            right = hmac.compare_digest(sigv4.sign(key, fields["policy"]).encode(), given)
        if user is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=access_key[:128])
        if not right:
            raise mismatch(access_key, signature, fields["policy"])
        scheme = sigv2.SCHEME if in_v2 else ALGORITHM
        return Authentication(user, UNSIGNED.payload, FORM, signature=scheme, signed_at=signed_at)

    def _check_v2_allowed(self) -> None:
        if not self._signature_v2:
            raise InvalidRequest(_UNSUPPORTED)

    @staticmethod
    def _anonymous(request: HttpRequest) -> Authentication:
        if "x-amz-security-token" in request.headers:
            raise InvalidToken
        return UNSIGNED

    def _find(self, access_key: str, token: str, now: datetime) -> User | None:
        """Return the user with a key, or who is behind a session. Raises InvalidToken, ExpiredToken."""
        if not token:
            return self._credentials.find(access_key)
        if self._sessions is None:
            raise InvalidToken
        return self._sessions.open(token, access_key, now)

    def _verify_v4(
        self,
        request: HttpRequest,
        claim: claims.Claim,
        user: User | None,
        now: datetime,
        others: Iterable[HttpRequest],
        *,
        presigned: bool,
    ) -> Authentication:
        payload = Payload(PayloadMode.UNSIGNED) if presigned else read_payload(claim.payload)
        _check_all_signed(request.headers, claim.signed.all)
        key = self._keys.key(user.secret_key if user else _DUMMY_SECRET, claim.scope)
        signed = _signed_payload(request, claim, key, presigned=presigned)
        if user is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=claim.access_key[:128])
        if not signed:
            signed = next(filter(None, (_signed_payload(it, claim, key, presigned=presigned) for it in others)), "")
        if not signed:
            texts = _texts(request, claim, claim.payload)
            raise mismatch(claim.access_key, claim.signature, *texts, self._diagnose(request, claim, user, now))
        told = ""
        if presigned:
            payload = read_presigned_payload(claim.payload, request.method)
            told = (signed != sigv4.UNSIGNED and payload.sha256) or sigv4.UNSIGNED
        elif payload.mode in SIGNED_CHUNKS:
            signer = ChunkSigner(user.access_key, key, claim.timestamp, claim.scope, claim.signature)
            payload = replace(payload, signer=signer)
        return Authentication(
            user, payload, _way(presigned), signature=ALGORITHM, signed_at=claim.at, presigned_payload=told
        )

    def _diagnose(self, request: HttpRequest, claim: claims.Claim, user: User, now: datetime) -> str:
        """Return why a signature is not right, as far as that can be found; not for all of many wrong ones."""
        second = int(now.timestamp())
        count = self._diagnosed[1] + 1 if self._diagnosed[0] == second else 1
        self._diagnosed = second, count
        return diagnose(request, claim, user.secret_key) if count <= _DIAGNOSES_A_SECOND else ""

    def _verify_v2(
        self,
        request: HttpRequest,
        claim: sigv2.Claim,
        user: User | None,
        elsewhere: Iterable[sigv2.Claim],
        *,
        presigned: bool,
    ) -> Authentication:
        secret_key = user.secret_key if user else _DUMMY_SECRET
        right = sigv2.matches(secret_key, claim.texts, claim.signature)
        if user is None:
            raise InvalidAccessKeyId(AWSAccessKeyId=claim.access_key[:128])
        if not right and not any(sigv2.matches(secret_key, other.texts, other.signature) for other in elsewhere):
            raise mismatch(claim.access_key, claim.signature, claim.texts[0])
        text = claim.headers.get("x-amz-content-sha256", sigv4.UNSIGNED)
        payload = read_presigned_payload(text, request.method) if presigned else read_payload(text)
        if payload.mode in SIGNED_CHUNKS:
            raise InvalidRequest("Chunks can be signed by AWS4-HMAC-SHA256 only.")
        return Authentication(user, payload, _way(presigned), claim.uncovered, sigv2.SCHEME, claim.at)


def _argument(header: str | None) -> dict[str, Any]:
    """Return what an error says of the Authorization header: its beginning, if there is one."""
    return {"ArgumentName": "Authorization"} | ({"ArgumentValue": header[:256]} if header else {})


def _way(presigned: bool) -> str:
    return QUERY if presigned else HEADER


def _token(request: HttpRequest, query: sigv4.Query) -> str:
    """Return the token of a session that a request carries; empty if it carries none. Raises InvalidToken for two."""
    found = [value for name, value in query.pairs if name in _TOKENS] if query.pairs else []
    if "x-amz-security-token" in request.headers:
        found.append(request.headers["x-amz-security-token"])
    elif not found:
        return ""
    if len(found) > 1 or "" in found:
        raise InvalidToken
    return found[0]


def _signed_payload(request: HttpRequest, claim: claims.Claim, key: bytes, *, presigned: bool) -> str:
    """Return what a signature has in place of the body; empty if it is not right for a request with all it covers.

    What is said of the body need not be signed with a URL: the holder of one may add it.
    """
    given = claim.signature.encode("utf-8", "replace")
    if not request.headers.keys() >= claim.signed.all:
        return ""
    for payload in dict.fromkeys((claim.payload, sigv4.UNSIGNED)) if presigned else (claim.payload,):
        if hmac.compare_digest(sigv4.sign(key, _texts(request, claim, payload)[0]).encode(), given):
            return payload
    return ""


def _texts(request: HttpRequest, claim: claims.Claim, payload: str) -> tuple[str, str]:
    """Return the string to sign and the canonical request, with what stands for the body."""
    canonical = sigv4.canonical_request(
        request.method,
        sigv4.canonical_path(request.raw_path),
        claim.query,
        request.headers,
        claim.signed.names,
        payload,
    )
    return sigv4.string_to_sign(claim.timestamp, claim.scope, canonical), canonical


def _check_all_signed(headers: Mapping[str, str], signed: frozenset[str]) -> None:
    unsigned = [
        name
        for name in headers
        if name not in signed
        and (name == "host" or (name.startswith(("x-amz-", "x-s3ish-")) and name != "x-amz-content-sha256"))
    ]
    if unsigned:
        raise AccessDenied(
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned)[:1024],
        )
