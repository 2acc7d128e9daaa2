"""A topic of an MQTT broker: messages are published with QoS 1, and taken when the broker has acknowledged them."""

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from aiomqtt import Client, MqttError

from s3ish.outbound.guard import Place, numeric
from s3ish.targets.protocol import Message, Undelivered


class Mqtt:
    """A topic that messages are published to.

    Args:
        url: ``mqtt://[USER:PASSWORD@]HOST[:PORT]``.
        topic: of the messages.
        timeout_seconds: how long a delivery may take.
        link_local: whether it may be at a link-local address.
    """

    batch = 1
    in_flight = 1

    def __init__(self, url: str, topic: str, *, timeout_seconds: float, link_local: bool) -> None:
        self._parts, self._topic, self._timeout, self._link_local = urlsplit(url), topic, timeout_seconds, link_local
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
        parts = self._parts
        port = parts.port or 1883
        client = Client(
            await numeric(Place(parts.hostname or "", port, secure=False, link_local=self._link_local)),
            port,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
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
