"""Tokens of identity providers: who a token says its holder is, if it is signed, and meant for this server, and valid.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from s3ish.errors import ExpiredTokenException, InvalidIdentityToken

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only who has the private key can make."""
MOST_CHARACTERS = 20_000
_LEEWAY_SECONDS = 60
_TAGS = "https://aws.amazon.com/tags"
_FLAT = f"{_TAGS}/principal_tags/"
_IDENTITY = "https://aws.amazon.com/source_identity"
_LEAST_RSA_BITS = 2048
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class Provider(Struct, frozen=True):
    """An identity provider: tokens name it by ``issuer``, and must be for one of ``audiences``.

    ``jwks_url`` is where its keys are, empty if it says so itself. ``algorithms`` are the signatures that it may make.
    """

    issuer: str
    audiences: tuple[str, ...]
    jwks_url: str = ""
    algorithms: tuple[str, ...] = ("RS256", "ES256")

    @property
    def name(self) -> str:
        """The issuer without its scheme: so do policies name it."""
        return self.issuer.partition("://")[2]


class Claims(Struct, frozen=True):
    """What a token says: who its holder is, and for whom it was made.

    ``tags`` are those of the session that it is to open, ``transitive`` the keys of those that go on, ``identity`` is
    who is behind it; empty if it does not say so.
    """

    subject: str
    audience: str
    methods: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive: tuple[str, ...] = ()
    identity: str = ""


class Unverified(Struct, frozen=True):
    """What a token claims before its signature is checked: who made it, and with which key."""

    issuer: str
    key_id: str
    algorithm: str


def peek(token: str) -> Unverified:
    """Return what a token claims, to find the key to check it with. Raises InvalidIdentityToken."""
    import jwt  # deferred: most servers are never given such a token

    if len(token) > MOST_CHARACTERS:
        raise InvalidIdentityToken("The token is too long.")
    try:
        whole = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidIdentityToken("The ID Token provided is not a valid JWT.") from error
    header, claims = whole["header"], whole["payload"]
    issuer, key_id = claims.get("iss"), header.get("kid", "")
    if not isinstance(issuer, str) or not isinstance(key_id, str) or "crit" in header:
        raise InvalidIdentityToken("The ID Token provided is not a valid JWT.")
    return Unverified(issuer, key_id, str(header.get("alg")))


def keys_for(jwks: Iterable[Mapping[str, Any]], claimed: Unverified) -> list[Any]:
    """Return the keys of a provider that a token may be signed with."""
    import jwt

    found = []
    for jwk in jwks:
        fits = jwk.get("kty") == _KINDS.get(claimed.algorithm[:2]) and jwk.get("use", "sig") == "sig"
        if not fits or jwk.get("kid", "") != claimed.key_id or jwk.get("alg", claimed.algorithm) != claimed.algorithm:
            continue
        try:
            key = jwt.PyJWK(dict(jwk), algorithm=claimed.algorithm).key
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if jwk["kty"] != "RSA" or key.key_size >= _LEAST_RSA_BITS:
            found.append(key)
    return found


def verify(token: str, claimed: Unverified, keys: Iterable[Any], provider: Provider, now: datetime) -> Claims:
    """Return what a token says.

    Args:
        keys: those that it may be signed with.
        now: the time, UTC.

    Raises:
        InvalidIdentityToken: it is not of this provider, or for another audience.
        ExpiredTokenException: its time is over.
    """
    if claimed.algorithm not in provider.algorithms or claimed.issuer != provider.issuer:
        raise InvalidIdentityToken
    said = _signed(token, claimed.algorithm, keys)
    audiences = said.get("aud")
    given = [audiences] if isinstance(audiences, str) else audiences if isinstance(audiences, list) else []
    audience = next((it for it in given if it in provider.audiences), None)
    subject = said.get("sub")
    if audience is None:
        raise InvalidIdentityToken("Incorrect token audience")
    if said.get("iss") != provider.issuer or not isinstance(subject, str) or not 1 <= len(subject) <= 255:
        raise InvalidIdentityToken
    at, ends = now.timestamp(), _moment(said, "exp")
    if ends is None:
        raise InvalidIdentityToken("The token has no end.")
    if at >= ends + _LEEWAY_SECONDS:
        raise ExpiredTokenException
    for begins in (_moment(said, "nbf"), _moment(said, "iat")):
        if begins is not None and begins > at + _LEEWAY_SECONDS:
            raise InvalidIdentityToken("The token is not valid yet.")
    methods = said.get("amr", [])
    tags, transitive = _tags(said)
    identity = said.get(_IDENTITY, "")
    if not isinstance(identity, str):
        raise InvalidIdentityToken(f"The claim {_IDENTITY} is not a text.")
    ways = tuple(map(str, methods)) if isinstance(methods, list) else ()
    return Claims(subject, audience, ways, tags, transitive, identity)


def _tags(said: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return the tags of a token's session and the keys of those that go on: in one claim, or in a claim each.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp

    Raises:
        InvalidIdentityToken: they are of another form.
    """
    nested = said.get(_TAGS, {})
    if not isinstance(nested, Mapping) or not isinstance(given := nested.get("principal_tags", {}), Mapping):
        raise InvalidIdentityToken(f"The claim {_TAGS} is of another form.")
    flat = {name.removeprefix(_FLAT): value for name, value in said.items() if name.startswith(_FLAT)}
    going = [*_texts(nested.get("transitive_tag_keys", [])), *_texts(said.get(f"{_TAGS}/transitive_tag_keys", []))]
    tags = []
    for key, value in (*given.items(), *flat.items()):
        texts = _texts(value)
        if len(texts) != 1:
            raise InvalidIdentityToken(f"A session tag of the claim {_TAGS} must have one value.")
        tags.append((key, texts[0]))
    return tuple(tags), tuple(going)


def _texts(value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InvalidIdentityToken(f"The claim {_TAGS} is of another form.")
    return found


def _signed(token: str, algorithm: str, keys: Iterable[Any]) -> Mapping[str, Any]:
    """Return the claims of a token that one of the keys has signed. Raises InvalidIdentityToken."""
    import jwt

    signature_alone: Any = {f"verify_{name}": False for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
    for key in keys:
        try:
            return jwt.decode(token, key, algorithms=[algorithm], options=signature_alone)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    raise InvalidIdentityToken("Couldn't retrieve verification key from your identity provider")


def _moment(said: Mapping[str, Any], name: str) -> float | None:
    """Return a time that a token says, in seconds since the epoch; None for none. Raises InvalidIdentityToken."""
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise InvalidIdentityToken
    return float(value)
