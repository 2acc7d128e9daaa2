"""Events in a topic of Kafka: over TLS with a password, in order for each key, none lost when the broker is killed.

``python -m compat.programs.kafka FOLDER`` runs it with the packages in ``FOLDER/dependency``.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from compat.programs.kafka.broker import Broker
from compat.server import serve
from s3ish.cli import cert
from s3ish.targets.broker import read_broker
from s3ish.targets.kafka import Kafka
from s3ish.targets.protocol import Message, Undelivered

TOPIC, ARN, BUCKET = "events", "arn:s3ish:sqs:us-east-1:1:events:kafka", "kafka"
KEYS, ROUNDS = 10, 30
PATIENCE_SECONDS = 120
_SETTINGS = """
[[notifications.targets]]
arn = "{arn}"
kind = "kafka"
url = "kafka+tls://s3@localhost:{port}"
password_file = "{folder}/password"
ca_file = "{authority}"
topic = "{topic}"
timeout_seconds = 5
"""


async def make_topic(broker: Broker) -> None:
    """Make the topic, with three partitions."""
    client = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{broker.port}")
    await client.start()
    try:
        await client.create_topics([NewTopic(TOPIC, 3, 1)])
    finally:
        await client.close()


async def refusals(broker: Broker, authority: Path) -> None:
    """Nothing is sent where topic, password or certificate are wrong, or the cluster names a metadata service."""
    url, trusted = f"kafka+tls://s3:p%3Aw@localhost:{broker.secure}", str(authority)
    for said, address, ca_file, topic in (
        ("UnknownTopic", f"kafka://127.0.0.1:{broker.port}", "", "none"),
        ("SaslAuthenticationFailed", url.replace("p%3Aw", "wrong"), trusted, TOPIC),
        ("SaslAuthenticationFailed", f"{url}?sasl=scram-sha-512", trusted, TOPIC),
        ("CERTIFICATE_VERIFY_FAILED", url, "", TOPIC),
        ("CERTIFICATE_VERIFY_FAILED", url.replace("localhost", "127.0.0.1"), trusted, TOPIC),
        ("closed", url.replace("kafka+tls", "kafka"), "", TOPIC),
        ("link-local", f"kafka://127.0.0.1:{broker.misleading}", "", TOPIC),
    ):
        target = Kafka(read_broker(address, ca_file=ca_file, timeout_seconds=5), topic)
        try:
            await target.send([Message("1", "bucket/key", b"{}")])
        except Undelivered as error:
            found = str(error)
        else:
            found = "it was taken"
        await target.close()
        assert said in found, f"{address}: {found}, not {said}"


async def logins(broker: Broker, authority: Path) -> None:
    """A user logs in by SCRAM as well."""
    for kind in ("256", "512"):
        url = f"kafka+tls://s3:{kind}@localhost:{broker.secure}?sasl=scram-sha-{kind}"
        target = Kafka(read_broker(url, ca_file=str(authority)), TOPIC)
        await target.send([Message("1", "bucket/key", b"{}")])
        await target.close()


async def consume(broker: Broker, count: int) -> dict[str, list[str]]:
    """Wait for so many different events; return their sequencers by key, repetitions left out."""
    found: dict[str, list[str]] = defaultdict(list)
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=f"127.0.0.1:{broker.port}", auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(map(len, found.values())) < count:
                record = json.loads((await consumer.getone()).value).get("Records", [{}])[0]
                if record:
                    told = record["s3"]["object"]
                    if told["sequencer"] not in found[told["key"]]:
                        found[told["key"]].append(told["sequencer"])
    finally:
        await consumer.stop()
    return found


def cause(s3: Any, broker: Broker) -> None:
    """Make changes, while the broker goes and comes back."""
    for turn in range(ROUNDS):
        if turn == ROUNDS // 3:
            broker.kill()
        if turn == 2 * ROUNDS // 3:
            broker.start()
        for key in range(KEYS):
            s3.put_object(Bucket=BUCKET, Key=f"{key}", Body=b"x")
        time.sleep(0.05)  # so that some are under way when it goes


def deliver(folder: Path, broker: Broker, authority: Path) -> None:
    """Let a server send events; each arrives, in the order of its key."""
    (folder / "password").write_text("p:w\n")
    settings = folder / "s3ish.toml"
    settings.write_text(_SETTINGS.format(arn=ARN, port=broker.secure, folder=folder, authority=authority, topic=TOPIC))
    with serve(folder / "s3ish.log", S3ISH_CONFIG=str(settings), S3ISH_WORKERS="2") as account:
        s3 = boto3.client(
            "s3",
            endpoint_url=account.endpoint,
            aws_access_key_id=account.access_key,
            aws_secret_access_key=account.secret_key,
            region_name=account.region,
        )
        s3.create_bucket(Bucket=BUCKET)
        wanted = {"QueueConfigurations": [{"QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]}]}
        s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=wanted)
        cause(s3, broker)
        found = asyncio.run(consume(broker, KEYS * ROUNDS))
    assert all(each == sorted(each) for each in found.values()), "events of a key are out of order"
    said = (folder / "s3ish.log").read_text()
    assert said.count("events are not delivered") == 1, said[-2000:]
    assert "p:w" not in said
    assert "aiokafka" not in said


def main() -> None:
    """Start a broker, and send to it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = cert.write(folder / "tls", ["localhost"], datetime.now(UTC), days=1)
        (folder / "kafka").mkdir()
        broker = Broker(Path(sys.argv[1]) / "dependency", folder / "kafka", files.certificate, files.key)
        try:
            broker.start()
            asyncio.run(make_topic(broker))
            asyncio.run(refusals(broker, files.authority))
            asyncio.run(logins(broker, files.authority))
            deliver(folder, broker, files.authority)
        finally:
            broker.kill()
    print(f"{KEYS * ROUNDS} events of {KEYS} keys in order, with the broker killed in between")


if __name__ == "__main__":
    main()
