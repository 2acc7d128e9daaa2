"""A queue or an exchange of AMQP 0-9-1, as RabbitMQ has them: a message is taken when the broker has confirmed it.

Messages are persistent, and must reach a queue: the broker gives back one that none is bound for.
"""

import asyncio
import logging
from collections.abc import Sequence

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPError, DeliveryError
from aiormq.exceptions import ChannelInvalidStateError

from s3ish.targets.broker import Broker
from s3ish.targets.protocol import Message, Undelivered


class Amqp:
    """A queue, or an exchange and a routing key, that messages are published to.

    Args:
        broker: where it is; its path is the virtual host, ``/`` if it is empty.
        topic: the name of the queue; or that of the exchange, a slash and the routing key.
    """

    batch = 1
    in_flight = 8

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._timeout = broker, broker.timeout_seconds
        self._exchange_name, _, self._key = topic.rpartition("/")
        logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # a failure is logged once, by the job
        self._opening = asyncio.Lock()
        self._open: tuple[AbstractConnection, AbstractExchange] | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        used = self._open
        try:
            async with asyncio.timeout(self._timeout):
                used = await self._opened()
                for message in messages:
                    await used[1].publish(_persistent(message), self._key)
        except DeliveryError as error:
            reason = getattr(error.frame, "reply_text", "") or type(error.frame).__name__
            raise Undelivered(f"the broker has not taken it: {reason}") from error
        except (AMQPError, ChannelInvalidStateError, OSError) as error:
            if used is not None and used is self._open:
                await self.close()
            raise Undelivered(str(error) or type(error).__name__) from error

    async def _opened(self) -> tuple[AbstractConnection, AbstractExchange]:
        async with self._opening:
            if self._open is None:
                self._open = await self._connect()
            return self._open

    async def _connect(self) -> tuple[AbstractConnection, AbstractExchange]:
        broker, tls = self._broker, self._broker.tls()
        connection = await aio_pika.connect(
            host=await broker.address(),
            port=broker.place.port,
            login=broker.user or "guest",
            password=broker.password or "guest",
            virtualhost=broker.path or "/",
            ssl=tls is not None,
            ssl_context=tls,
            timeout=self._timeout,
        )
        try:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            if self._exchange_name:
                return connection, await channel.get_exchange(self._exchange_name, ensure=False)
            return connection, channel.default_exchange
        except BaseException:
            await self._end(connection)
            raise

    async def close(self) -> None:
        """See ``Target.close``."""
        if self._open is not None:
            (connection, _), self._open = self._open, None
            await self._end(connection)

    async def _end(self, connection: AbstractConnection) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await connection.close()
        except (AMQPError, ChannelInvalidStateError, OSError):  # it was lost
            return


def _persistent(message: Message) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        message_id=message.id,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
