"""Events whose write was acknowledged arrive in order at brokers, whenever the server or the broker was killed."""

import asyncio
import json
import signal
from collections import defaultdict

import aio_pika
import asyncpg
import boto3
import pytest
from botocore.config import Config

from tests.targets.servers import PostgreSQL, RabbitMQ
from tests.waiting import WAIT_SECONDS

ARN = "arn:s3ish:sqs:us-east-1:1:orders:broker"
KEYS, TURNS = 5, 4
SETTINGS = """
[[notifications.targets]]
arn = "{arn}"
kind = "{kind}"
url = "{url}"
password_file = "{folder}/password"
topic = "events"
timeout_seconds = 5
"""


class Queue(RabbitMQ):
    """A queue, with what tells the bodies of its messages."""

    kind, password = "amqp", "guest"

    @property
    def url(self):
        return f"amqp://guest@127.0.0.1:{self.port}"

    async def _connect(self):
        end = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            try:
                return await aio_pika.connect(host="127.0.0.1", port=self.port)
            except (aio_pika.exceptions.AMQPError, OSError):
                assert asyncio.get_running_loop().time() < end
                await asyncio.sleep(0.2)

    async def prepare(self):
        async with await self._connect() as connection:
            await (await connection.channel()).declare_queue("events", durable=True)

    async def bodies(self):
        """Return all messages, which stay in the queue."""
        found = []
        async with await self._connect() as connection:
            queue = await (await connection.channel()).get_queue("events")
            while (message := await queue.get(fail=False)) is not None:
                found.append(message.body.decode())
        return found


class Table(PostgreSQL):
    """A table, with what tells its events."""

    kind, password = "postgresql", "p:w"

    @property
    def url(self):
        return f"postgresql://s3@127.0.0.1:{self.port}/postgres"

    async def _fetch(self, text):
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="s3", password="p:w", database="postgres"
        )
        try:
            return await connection.fetch(text)
        finally:
            await connection.close()

    async def prepare(self):
        await self._fetch("CREATE TABLE events (number bigint GENERATED ALWAYS AS IDENTITY, id text, event json)")

    async def bodies(self):
        return [row["event"] for row in await self._fetch("SELECT event FROM events ORDER BY number")]


def client(endpoint):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


async def arrived(broker):
    """Wait for all events; return the sequencers of each key, repetitions left out."""
    end = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        found = defaultdict(list)
        for body in await broker.bodies():
            for record in json.loads(body).get("Records", ()):
                told = record["s3"]["object"]
                if told["sequencer"] not in found[told["key"]]:
                    found[told["key"]].append(told["sequencer"])
        if sum(map(len, found.values())) >= KEYS * TURNS:
            return found
        assert asyncio.get_running_loop().time() < end, found
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("kind", [Queue, Table])
def test_events_reach_a_broker_over_kills_of_both_sides(start_server, tmp_path, open_folder, kind):
    broker = kind(open_folder)
    (tmp_path / "password").write_text(f"{broker.password}\n")
    settings = tmp_path / "s3ish.toml"
    settings.write_text(SETTINGS.format(arn=ARN, kind=broker.kind, url=broker.url, folder=tmp_path))
    try:
        broker.begin()
        asyncio.run(broker.prepare())
        server = start_server(tmp_path / "data", "--config", settings)
        s3 = client(server.endpoint)
        s3.create_bucket(Bucket="orders")
        queue = {"QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]}
        s3.put_bucket_notification_configuration(
            Bucket="orders", NotificationConfiguration={"QueueConfigurations": [queue]}
        )
        for turn in range(TURNS):
            if turn == 1:
                broker.stop()
            if turn == 2:
                server.stop(signal.SIGKILL)
                server = start_server(tmp_path / "data", "--config", settings)
                s3 = client(server.endpoint)
            if turn == 3:
                broker.begin()
            for key in range(KEYS):
                s3.put_object(Bucket="orders", Key=str(key), Body=b"x")
        found = asyncio.run(arrived(broker))
        assert {key: sorted(each) for key, each in found.items()} == found
        assert {len(each) for each in found.values()} == {TURNS}
    finally:
        broker.stop()
