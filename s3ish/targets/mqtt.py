"""A topic of an MQTT broker: messages are published with QoS 1, and taken when the broker has acknowledged them."""

from collections.abc import Sequence

from aiomqtt import Client, MqttError

from s3ish.targets.broker import Broker
from s3ish.targets.protocol import Message, Undelivered


class Mqtt:
    """A topic that messages are published to.

    Args:
        broker: where it is.
        topic: of the messages.
    """

    batch = 1
    in_flight = 1

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._topic, self._timeout = broker, topic, broker.timeout_seconds
        self._client: Client | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        try:
            if self._client is None:
                self._client = await self._open()
            for message in messages:
                await self._client.publish(self._topic, message.body, qos=1, timeout=self._timeout)
        except (MqttError, OSError) as error:
            await self.close()
            raise Undelivered(str(error)) from error

    async def _open(self) -> Client:
        broker = self._broker
        client = Client(
            await broker.address(),
            broker.place.port,
            username=broker.user or None,
            password=broker.password or None,
            tls_context=broker.tls(),
            timeout=self._timeout,
        )
        return await client.__aenter__()

    async def close(self) -> None:
        """See ``Target.close``."""
        if self._client is not None:
            opened, self._client = self._client, None
            try:
                await opened.__aexit__(None, None, None)
            except MqttError:  # it was lost
                return
