"""The keys of identity providers: how long they are kept, when they are fetched again, and what a failure does."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from s3ish.auth.web_identity import Provider
from s3ish.errors import IDPCommunicationError, InvalidIdentityToken
from s3ish.identity import providers
from tests.objects.support import SteadyClock

KEYS = {kid: rsa.generate_private_key(65537, 2048) for kid in ("one", "two")}
PROVIDER = Provider("https://login.example.com", ("s3ish",))


class Clock(SteadyClock):
    seconds = 0.0

    def monotonic(self):
        return self.seconds


class World:
    """What the provider answers, in place of the network."""

    def __init__(self, monkeypatch):
        self.clock, self.asked, self.fails = Clock(), [], False
        self.shown = ["one"]
        self.discovery = {"issuer": PROVIDER.issuer, "jwks_uri": "https://keys.example.com/"}
        monkeypatch.setattr(providers, "_json", self.answer)
        self.providers = providers.Providers([PROVIDER], self.clock)

    async def answer(self, address):
        self.asked.append(address)
        if self.fails:
            raise OSError("no route")
        if address.endswith("openid-configuration"):
            return self.discovery
        maker = jwt.get_algorithm_by_name("RS256")
        return {"keys": [{**json.loads(maker.to_jwk(KEYS[kid].public_key())), "kid": kid} for kid in self.shown]}

    async def open(self, kid="one"):
        at = self.clock.service_ns() // 10**9
        claims = {"iss": PROVIDER.issuer, "aud": "s3ish", "sub": "alice", "exp": at + 300}
        return (await self.providers.open(jwt.encode(claims, KEYS[kid], "RS256", headers={"kid": kid})))[1].subject


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


async def test_keys_are_fetched_with_the_first_token_and_again_after_an_hour(world):
    assert world.asked == []
    for _ in range(3):
        assert await world.open() == "alice"
    assert world.asked == ["https://login.example.com/.well-known/openid-configuration", "https://keys.example.com/"]
    world.clock.seconds = 3601
    await world.open()
    assert len(world.asked) == 4


async def test_a_new_key_of_the_provider_is_found(world):
    await world.open()
    world.shown = ["one", "two"]
    with pytest.raises(InvalidIdentityToken):  # a moment after the last look
        await world.open("two")
    world.clock.seconds = providers.PAUSE_SECONDS
    assert await world.open("two") == "alice"
    world.shown = ["two"]
    world.clock.seconds = 4000
    with pytest.raises(InvalidIdentityToken):
        await world.open("one")


async def test_a_provider_that_does_not_answer_is_done_without_for_a_day(world):
    world.fails = True
    with pytest.raises(IDPCommunicationError):
        await world.open()
    world.fails = False
    with pytest.raises(IDPCommunicationError):
        await world.open()
    world.clock.seconds = providers.PAUSE_SECONDS
    await world.open()
    world.fails = True
    world.clock.seconds = 80_000
    assert await world.open() == "alice"
    world.clock.seconds = 90_000
    with pytest.raises(IDPCommunicationError):
        await world.open()


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://else.example.com", "jwks_uri": "https://keys.example.com/"},
        {"issuer": PROVIDER.issuer, "jwks_uri": "http://keys.example.com/"},
        {"issuer": PROVIDER.issuer},
        {"issuer": PROVIDER.issuer, "jwks_uri": ["https://keys.example.com/"]},
    ],
)
async def test_what_a_provider_says_of_itself_must_fit(world, discovery):
    world.discovery = discovery
    with pytest.raises(IDPCommunicationError):
        await world.open()
