"""A subject of NATS that a stream of JetStream keeps: a message is taken when the stream has stored it.

The stream drops what comes twice within its window, because a repeated message has the same id.
"""

import asyncio
from collections.abc import Sequence

import nats
from nats.aio.client import Client
from nats.errors import Error

from s3ish.targets.broker import Broker
from s3ish.targets.protocol import Message, Undelivered


class Nats:
    """A subject that messages are published to.

    Args:
        broker: where it is.
        subject: which a stream of the server must cover.
    """

    batch = 1
    in_flight = 1

    def __init__(self, broker: Broker, subject: str) -> None:
        self._broker, self._subject, self._timeout = broker, subject, broker.timeout_seconds
        self._client: Client | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        try:
            async with asyncio.timeout(self._timeout):
                if self._client is None:
                    self._client = await self._open()
                stream = self._client.jetstream(timeout=self._timeout)
                for message in messages:
                    await stream.publish(self._subject, message.body, headers={"Nats-Msg-Id": message.id})
        except (Error, OSError) as error:
            await self.close()
            raise Undelivered(str(error) or type(error).__name__) from error

    async def _open(self) -> Client:
        broker, tls = self._broker, self._broker.tls()
        host = await broker.address()
        return await nats.connect(
            f"{'tls' if tls else 'nats'}://{f'[{host}]' if ':' in host else host}:{broker.place.port}",
            user=broker.user or None,
            password=broker.password or None,
            tls=tls,
            allow_reconnect=False,
            connect_timeout=self._timeout,
            error_cb=_ignore,
        )

    async def close(self) -> None:
        """See ``Target.close``."""
        if self._client is not None:
            opened, self._client = self._client, None
            await opened.close()


async def _ignore(_: Exception) -> None:
    """What fails in the background is met by the next message."""
