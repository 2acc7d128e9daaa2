"""A topic of Kafka: a message is taken when all replicas in sync have it, and its order is the key of its record.

So what must arrive in order is in one partition. The producer is idempotent: what it sends again by itself is kept
once. A batch of a partition is taken whole or not at all, so that none overtakes one before it.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from s3ish.outbound.guard import Place, numeric
from s3ish.outbound.tls import verifying
from s3ish.targets.broker import Broker
from s3ish.targets.protocol import Message, Undelivered


class Kafka:
    """A topic that records are produced to.

    Args:
        broker: where one of the cluster is, or a name of them all; its query may say how the user logs in:
            ``sasl=scram-sha-512``, ``sasl=scram-sha-256``, or ``sasl=plain``, which is meant without it.
        topic: of the records.
    """

    batch = 100
    in_flight = 1

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._topic, self._timeout = broker, topic, broker.timeout_seconds
        self._producer: AIOKafkaProducer | None = None
        self._partitioner = DefaultPartitioner()
        self._reasons = _Reasons()

    async def send(self, messages: Sequence[Message]) -> None:
        """See ``Target.send``."""
        self._reasons.last = ""
        try:
            async with asyncio.timeout(self._timeout):
                if self._producer is None:
                    self._producer = await self._open()
                await self._produce(self._producer, messages)
        except (KafkaError, OSError) as error:
            await self.close()
            reasons = (str(error) or type(error).__name__, self._reasons.last)
            raise Undelivered("; ".join(filter(None, reasons))) from error

    async def _produce(self, producer: AIOKafkaProducer, messages: Sequence[Message]) -> None:
        """Send records, partition beside partition. Raises KafkaError."""
        partitions = sorted(await producer.partitions_for(self._topic))
        if not partitions:
            raise KafkaError(f"there is no topic {self._topic}")
        of: dict[int, list[Message]] = {}
        for message in messages:
            of.setdefault(self._partitioner(message.order.encode(), partitions, partitions), []).append(message)
        try:
            async with asyncio.TaskGroup() as group:
                for partition, some in of.items():
                    group.create_task(self._fill(producer, partition, some))
        except* (KafkaError, OSError) as errors:
            raise errors.exceptions[0] from None

    async def _fill(self, producer: AIOKafkaProducer, partition: int, messages: Sequence[Message]) -> None:
        """Send the records of a partition in its order, as many at once as fit into a batch. Raises KafkaError."""
        left = list(messages)
        while left:
            batch, count = producer.create_batch(), 0
            for message in left:
                key, headers = message.order.encode(), [("id", message.id.encode())]
                if batch.append(key=key, value=message.body, timestamp=None, headers=headers) is None:
                    break
                count += 1
            if not count:
                raise KafkaError("an event is longer than a batch")
            taken = await producer.send_batch(batch, self._topic, partition=partition)
            await taken
            del left[:count]

    async def _open(self) -> AIOKafkaProducer:
        place, secure = self._broker.place, self._broker.place.secure
        await numeric(place)
        more: dict[str, Any] = {}
        if self._broker.user:
            more = {"sasl_plain_username": self._broker.user, "sasl_plain_password": self._broker.password}
            more["sasl_mechanism"] = self._broker.query.removeprefix("sasl=").upper() or "PLAIN"
        producer = AIOKafkaProducer(
            bootstrap_servers=f"{f'[{place.host}]' if ':' in place.host else place.host}:{place.port}",
            client_id="s3ish",
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=int(self._timeout * 900),  # so that the library says why, before the time is over
            security_protocol=("SASL_" if more else "") + ("SSL" if secure else "PLAINTEXT"),
            ssl_context=verifying(ca_file=place.ca_file) if secure else None,
            **more,
        )
        _guard(producer, place)
        try:
            await producer.start()
        except BaseException:
            await _stop(producer)
            raise
        return producer

    async def close(self) -> None:
        """See ``Target.close``."""
        if self._producer is not None:
            opened, self._producer = self._producer, None
            await _stop(opened)


def _guard(producer: AIOKafkaProducer, place: Place) -> None:
    """Have the addresses checked that a cluster gives for its brokers, before they are connected to."""
    client = producer.client
    connect = client._get_conn  # noqa: SLF001 - the one place where it learns where to connect to

    async def checked(node: Any, **others: Any) -> Any:
        found = client.cluster.broker_metadata(node)
        if found is not None:
            await numeric(Place(found.host, found.port, place.secure, place.link_local))
        return await connect(node, **others)

    client._get_conn = checked  # noqa: SLF001 - as above


async def _stop(producer: AIOKafkaProducer) -> None:
    """End a producer, and what it would still send: another sends that again, and must not be overtaken by it."""
    with suppress(KafkaError, OSError):
        await producer._sender.close()  # noqa: SLF001 - its own end waits until all is sent
        await producer.client.close()
    producer._closed = True  # noqa: SLF001 - so that it does not warn


class _Reasons(logging.Handler):
    """Keeps what the library logged last, which its errors do not say; it logs ten times a second while it retries."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        logger = logging.getLogger("aiokafka")
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.last = record.getMessage()
