"""A list in Redis: messages are appended to it, so that consumers take them from its head (``BLPOP``)."""

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import redis.asyncio as client
from redis.exceptions import RedisError

from s3ish.outbound.guard import Place, numeric
from s3ish.targets.protocol import Message, Undelivered


class Redis:
    """A list that messages are appended to.

    Args:
        url: ``redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]``.
        key: of the list.
        timeout_seconds: how long a delivery may take.
        link_local: whether it may be at a link-local address.
    """

    batch = 100
    in_flight = 1

    def __init__(self, url: str, key: str, *, timeout_seconds: float, link_local: bool) -> None:
        self._parts, self._key, self._timeout, self._link_local = urlsplit(url), key, timeout_seconds, link_local
        self._client: client.Redis | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        try:
            if self._client is None:
                self._client = await self._open()
            await self._client.rpush(self._key, *(message.body for message in messages))
        except (RedisError, OSError) as error:
            await self.close()
            raise Undelivered(str(error)) from error

    async def _open(self) -> client.Redis:
        parts = self._parts
        port = parts.port or 6379
        return client.Redis(
            host=await numeric(Place(parts.hostname or "", port, secure=False, link_local=self._link_local)),
            port=port,
            db=int(parts.path.strip("/") or 0),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
        )

    async def close(self) -> None:
        """See ``Target.close``."""
        if self._client is not None:
            opened, self._client = self._client, None
            await opened.aclose()
