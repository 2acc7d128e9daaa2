"""A list in Redis: messages are appended to it, so that consumers take them from its head (``BLPOP``)."""

from collections.abc import Sequence
from typing import Any

import redis.asyncio as client
from redis.exceptions import RedisError

from s3ish.targets.broker import Broker
from s3ish.targets.protocol import Message, Undelivered


class Redis:
    """A list that messages are appended to.

    Args:
        broker: where it is; its path is the number of the database.
        key: of the list.
    """

    batch = 100
    in_flight = 1

    def __init__(self, broker: Broker, key: str) -> None:
        self._broker, self._key = broker, key
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
        broker = self._broker
        pool = client.ConnectionPool(
            connection_class=_Connection,
            tls=broker.tls(),
            host=await broker.address(),
            port=broker.place.port,
            db=int(broker.path.strip("/") or 0),
            username=broker.user or None,
            password=broker.password or None,
            socket_timeout=broker.timeout_seconds,
            socket_connect_timeout=broker.timeout_seconds,
        )
        return client.Redis.from_pool(pool)

    async def close(self) -> None:
        """See ``Target.close``."""
        if self._client is not None:
            opened, self._client = self._client, None
            await opened.aclose()


class _Connection(client.Connection):
    """A connection with a context for TLS of ours: the library's own verifies the address for a name."""

    def __init__(self, *, tls: Any, **others: Any) -> None:
        super().__init__(**others)
        self._tls = tls

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls}
