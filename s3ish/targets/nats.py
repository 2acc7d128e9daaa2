"""A subject of NATS that a stream of JetStream keeps: a message is taken when the stream has stored it.

The stream drops what comes twice within its window, because a repeated message has the same id.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import nats
from nats.aio.client import Client
from nats.errors import Error

from s3ish.outbound.guard import Place, numeric
from s3ish.targets.protocol import Message, Undelivered


class Nats:
    """A subject that messages are published to.

    Args:
        url: ``nats://[USER:PASSWORD@]HOST[:PORT]``.
        subject: which a stream of the server must cover.
        timeout_seconds: how long a delivery may take.
        link_local: whether it may be at a link-local address.
    """

    batch = 1
    in_flight = 1

    def __init__(self, url: str, subject: str, *, timeout_seconds: float, link_local: bool) -> None:
        self._parts, self._subject, self._timeout = urlsplit(url), subject, timeout_seconds
        self._link_local = link_local
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
        parts = self._parts
        port = parts.port or 4222
        host = await numeric(Place(parts.hostname or "", port, secure=False, link_local=self._link_local))
        return await nats.connect(
            f"nats://{f'[{host}]' if ':' in host else host}:{port}",
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
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
