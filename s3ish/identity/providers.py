"""The keys of identity providers: fetched when the first token comes, kept, and fetched again for a key that is new."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from s3ish.auth.web_identity import Claims, Provider, keys_for, peek, verify
from s3ish.clock import Clock
from s3ish.errors import IDPCommunicationError, InvalidIdentityToken
from s3ish.outbound.http import Connection, read_url

log = structlog.get_logger()

_KEPT_SECONDS = 3600.0
"""How long keys are used before they are fetched again."""
_USED_SECONDS = 86_400.0
"""How long they are used where they cannot be fetched again."""
PAUSE_SECONDS = 30.0
"""How often they are fetched at most: anybody can send tokens that name unknown keys."""
_TIMEOUT_SECONDS = 10.0
_DISCOVERY = "/.well-known/openid-configuration"


class _Keys:
    """The keys of one provider."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider = provider
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._jwks: Sequence[Mapping[str, Any]] = ()
        self._fetched = self._tried = float("-inf")

    async def current(self, *, is_unknown: bool) -> Sequence[Mapping[str, Any]]:
        """Return the keys.

        Args:
            is_unknown: whether the one that is wanted is not among those that are kept.

        Raises:
            IDPCommunicationError: there are none, and they cannot be fetched.
        """
        async with self._fetching:
            now = self._clock.monotonic()
            wanted = is_unknown or now - self._fetched > _KEPT_SECONDS
            if wanted and now - self._tried >= PAUSE_SECONDS:
                self._tried = now
                try:
                    self._jwks = await self._fetch()
                    self._fetched = now
                except (OSError, ValueError, TimeoutError) as error:
                    log.error("keys of an identity provider", issuer=self.provider.issuer, cause=str(error)[:500])
            if now - self._fetched > _USED_SECONDS:
                raise IDPCommunicationError
            return self._jwks

    async def _fetch(self) -> Sequence[Mapping[str, Any]]:
        """Ask the provider. Raises OSError, ValueError, TimeoutError."""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            url: object = self.provider.jwks_url
            if not url:
                found = await _json(self.provider.issuer.rstrip("/") + _DISCOVERY)
                url = found.get("jwks_uri")
                if found.get("issuer") != self.provider.issuer or not isinstance(url, str):
                    raise ValueError("what it says of itself is of another issuer, or names no keys")
                if self.provider.issuer.startswith("https:") and not url.startswith("https:"):
                    raise ValueError("its keys are not at an https address")
            keys = (await _json(str(url))).get("keys")
            if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
                raise ValueError("what it answers is no set of keys")
            return keys


class Providers:
    """Who is behind a token of one of the identity providers.

    Args:
        providers: those that are trusted.
    """

    def __init__(self, providers: Sequence[Provider], clock: Clock) -> None:
        self._clock = clock
        self._keys = {provider.issuer: _Keys(provider, clock) for provider in providers}

    @property
    def all(self) -> list[Provider]:
        """Those that are trusted."""
        return [keys.provider for keys in self._keys.values()]

    async def open(self, token: str) -> tuple[Provider, Claims]:
        """Return the provider that made a token, and what it says.

        Raises:
            InvalidIdentityToken, ExpiredTokenException: it is not valid.
            IDPCommunicationError: that cannot be known.
        """
        claimed = peek(token)
        known = self._keys.get(claimed.issuer)
        if known is None or claimed.algorithm not in known.provider.algorithms:
            raise InvalidIdentityToken("No OpenIDConnect provider found in your account for this token")
        keys = keys_for(await known.current(is_unknown=False), claimed)
        if not keys:
            keys = keys_for(await known.current(is_unknown=True), claimed)
        claims = verify(token, claimed, keys, known.provider, self._clock.service_now())
        return known.provider, claims


async def _json(address: str) -> dict[str, Any]:
    """Return the object that an address answers with. Raises OSError, ValueError."""
    connection = Connection(read_url(address))
    try:
        status, body = await connection.get({"accept": "application/json", "connection": "close"})
    finally:
        connection.close()
    if status != 200:
        raise ValueError(f"{address} answers with status {status}")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError(f"{address} answers with no object")
    return found
