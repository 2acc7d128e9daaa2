"""Tokens of identity providers: only what a provider has signed, for this server, now."""

import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from s3ish.auth.web_identity import Claims, Provider, keys_for, peek, verify
from s3ish.errors import ExpiredTokenException, InvalidIdentityToken

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AT = int(NOW.timestamp())
PROVIDER = Provider("https://login.example.com/realm", ("s3ish", "second"))
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"iss": PROVIDER.issuer, "aud": "s3ish", "sub": "alice", "iat": AT, "exp": AT + 300}


def jwk_of(key, algorithm, **more):
    maker = jwt.get_algorithm_by_name(algorithm)
    return {**json.loads(maker.to_jwk(key.public_key())), "kid": "one", "use": "sig", **more}


JWKS = [jwk_of(RSA_KEY, "RS256"), jwk_of(EC_KEY, "ES256")]


def token_of(claims=CLAIMS, key=RSA_KEY, algorithm="RS256", **headers):
    return jwt.encode(claims, key, algorithm, headers={"kid": "one", **headers})


def opened(token, jwks=JWKS, provider=PROVIDER, now=NOW):
    claimed = peek(token)
    return verify(token, claimed, keys_for(jwks, claimed), provider, now)


def test_a_token_says_who_its_holder_is():
    assert opened(token_of()) == Claims("alice", "s3ish")
    assert opened(token_of(key=EC_KEY, algorithm="ES256")) == Claims("alice", "s3ish")
    assert opened(token_of({**CLAIMS, "aud": ["x", "second"], "amr": ["mfa"]})) == Claims("alice", "second", ("mfa",))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://login.example.com/other"},
        {"iss": "https://login.example.com/realm/"},
        {"iss": None},
        {"aud": "else"},
        {"aud": ["else"]},
        {"aud": []},
        {"aud": None},
        {"aud": {"s3ish": 1}},
        {"sub": None},
        {"sub": ""},
        {"sub": 1},
        {"sub": "x" * 256},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"nbf": AT + 61},
        {"iat": AT + 61},
    ],
)
def test_a_token_that_says_something_else_is_refused(change):
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    with pytest.raises(InvalidIdentityToken):
        opened(jwt.PyJWS().encode(json.dumps(claims).encode(), RSA_KEY, "RS256", headers={"kid": "one"}))


def test_a_token_ends():
    opened(token_of({**CLAIMS, "exp": AT - 59}))
    with pytest.raises(ExpiredTokenException):
        opened(token_of({**CLAIMS, "exp": AT - 60}))


def test_only_the_signature_of_the_provider_counts():
    for token in (
        token_of(key=OTHER_KEY),
        token_of(kid="two"),
        token_of(key=None, algorithm="none"),
        token_of(key=str(RSA_KEY.public_key().public_numbers().n), algorithm="HS256"),
        token_of(algorithm="RS512"),
        token_of(crit=["x"], x=1),
        token_of(key=OTHER_KEY, jwk=jwk_of(OTHER_KEY, "RS256"), jku="http://127.0.0.1:1/"),
        token_of()[:-8] + "AAAAAAAA",
        ".".join([*token_of().split(".")[:2], ""]),
        token_of() + "." + token_of(),
        "",
        "x",
        "..",
        "a" * 20_001,
    ):
        with pytest.raises(InvalidIdentityToken):
            opened(token)


@pytest.mark.parametrize(
    "more", [{"use": "enc"}, {"alg": "RS512"}, {"kid": "else"}, {"kty": "EC"}, {"n": "AQAB"}, {"n": 1}, {"e": None}]
)
def test_keys_that_do_not_fit_are_not_used(more):
    with pytest.raises(InvalidIdentityToken):
        opened(token_of(), [jwk_of(RSA_KEY, "RS256", **more)])


def test_short_keys_are_not_used():
    short = rsa.generate_private_key(65537, 1024)
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning), pytest.raises(InvalidIdentityToken):
        opened(token_of(key=short), [jwk_of(short, "RS256")])
