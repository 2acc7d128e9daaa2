"""Events in a queue of RabbitMQ: confirmed, persistent, in order for each key, over TLS too."""

import asyncio
import ssl

import aio_pika
import pytest

from s3ish.targets.amqp import Amqp
from s3ish.targets.broker import read_broker
from s3ish.targets.protocol import Undelivered
from tests.targets.servers import RabbitMQ, messages, to_be_taken

pytestmark = pytest.mark.slow


async def connect(broker, files=None):
    context = ssl.create_default_context(cafile=files.authority) if files else None
    end = asyncio.get_running_loop().time() + 120
    while True:
        try:
            return await aio_pika.connect(
                host="localhost", port=broker.port, ssl=files is not None, ssl_context=context, timeout=5
            )
        except (aio_pika.exceptions.AMQPError, OSError):
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.1)


async def taken(queue):
    """Return the messages of a queue, and remove them."""
    found = []
    while (message := await queue.get(fail=False)) is not None:
        await message.ack()
        found.append(message)
    return found


async def test_a_queue_keeps_what_was_confirmed_over_a_kill_of_the_broker(tmp_path):
    broker = RabbitMQ(tmp_path)
    target = Amqp(read_broker(f"amqp://guest:guest@127.0.0.1:{broker.port}"), "events")
    try:
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(0))
        broker.begin()
        async with await connect(broker) as reader:
            with pytest.raises(Undelivered, match="NO_ROUTE"):
                await target.send(messages(0))  # no queue has the name
            channel = await reader.channel()
            await channel.declare_queue("events", durable=True)
            for number in range(1, 9):
                await target.send(messages(number))
            keys = [f"b/{number}" for number in range(8)]
            chains = [[message for n in range(3) for message in messages(n, order=key)] for key in keys]

            async def follow(chain):
                for message in chain:
                    await target.send([message])

            await asyncio.gather(*map(follow, chains))
        broker.stop()
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(9))
        broker.begin()
        await to_be_taken(target, *messages(10))
        async with await connect(broker) as reader:
            found = await taken(await (await reader.channel()).get_queue("events"))
        assert [message.body for message in found[:8]] == [message.body for message in messages(*range(1, 9))]
        assert found[0].message_id == messages(1)[0].id
        assert found[0].content_type == "application/json"
        assert len(found) == 8 + 24 + 1
        assert found[-1].body == messages(10)[0].body
        wrong = Amqp(read_broker(f"amqp://guest@127.0.0.1:{broker.port}", password="wrong"), "events")
        with pytest.raises(Undelivered, match=r"(?i)refused|login"):
            await wrong.send(messages(11))
    finally:
        await target.close()
        broker.stop()


async def test_an_exchange_routes_by_key_and_certificates_are_verified(tmp_path, certificates):
    files, others = certificates("localhost"), certificates("elsewhere.test")
    broker = RabbitMQ(tmp_path, tls=files)
    url, authority = f"amqps://guest:guest@localhost:{broker.port}/%2F", str(files.authority)
    target = Amqp(read_broker(url, ca_file=authority), "s3/orders.new")
    try:
        broker.begin()
        async with await connect(broker, files) as reader:
            with pytest.raises(Undelivered, match=r"(?i)no exchange"):
                await target.send(messages(0))
            channel = await reader.channel()
            exchange = await channel.declare_exchange("s3", "topic", durable=True)
            queue = await channel.declare_queue("orders", durable=True)
            await queue.bind(exchange, "orders.*")
            await to_be_taken(target, *messages(1))
            assert [message.body for message in await taken(queue)] == [messages(1)[0].body]
            for host, trusted in (("localhost", str(others.authority)), ("localhost", ""), ("127.0.0.1", authority)):
                bad = Amqp(read_broker(f"amqps://{host}:{broker.port}", ca_file=trusted), "orders")
                with pytest.raises(Undelivered, match=r"(?i)certificate"):
                    await bad.send(messages(2))
    finally:
        await target.close()
        broker.stop()
