"""Targets that a library delivers to, against their servers."""

import asyncio
import shutil
import socket
import subprocess
import time

import pytest

from s3ish.targets.protocol import Message, Undelivered


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


class Broker:
    """A server on a port, which can be stopped and started again."""

    def __init__(self, *command):
        self.command, self.process = [str(word) for word in command], None

    def start(self, port):
        log = subprocess.DEVNULL
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert time.monotonic() < end, self.command
            assert self.process.poll() is None, self.command
            time.sleep(0.02)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def needs(program):
    """Skip a test, with the reason, where the server is not installed."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")


def messages(*numbers):
    return [Message(f"{number:026x}", "b/k", b'{"number":%d}' % number) for number in numbers]


async def to_be_taken(target, *sent):
    """Send until the target, which begins, takes it."""
    for _ in range(200):
        try:
            return await target.send(sent)
        except Undelivered:
            await asyncio.sleep(0.05)
    raise AssertionError("it never was")


OPTIONS = {"timeout_seconds": 10.0, "link_local": False}


async def test_redis_has_messages_in_a_list_and_takes_them_again_after_it_was_away(tmp_path):
    needs("redis-server")
    import redis

    from s3ish.targets.redis import Redis

    port = free_port()
    broker = Broker(
        "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", tmp_path, "--requirepass", "a:b", "--save", ""
    )
    target = Redis(f"redis://:a%3Ab@127.0.0.1:{port}/2", "events", **OPTIONS)
    try:
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(0))
        broker.start(port)
        await to_be_taken(target, *messages(1, 2))
        await target.send(messages(3))
        with redis.Redis(port=port, db=2, password="a:b") as reader:
            assert reader.lrange("events", 0, -1) == [message.body for message in messages(1, 2, 3)]
        broker.stop()
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(4))
        broker.start(port)
        await to_be_taken(target, *messages(5))
        wrong = Redis(f"redis://:wrong@127.0.0.1:{port}/2", "events", **OPTIONS)
        with pytest.raises(Undelivered, match=r"(?i)password"):
            await wrong.send(messages(6))
    finally:
        await target.close()
        broker.stop()


async def test_nats_keeps_messages_in_a_stream_and_drops_repetitions(tmp_path):
    needs("nats-server")
    import nats

    from s3ish.targets.nats import Nats

    port = free_port()
    broker = Broker("nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", tmp_path, "--user", "u", "--pass", "p")
    target = Nats(f"nats://u:p@127.0.0.1:{port}", "s3.events", **OPTIONS)
    try:
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(0))
        broker.start(port)
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(0))  # no stream has the subject
        reader = await nats.connect(f"nats://u:p@127.0.0.1:{port}")
        stream = reader.jetstream()
        await stream.add_stream(name="S3", subjects=["s3.>"])
        await to_be_taken(target, *messages(1))
        await target.send(messages(1))
        await target.send(messages(2))
        consumer = await stream.pull_subscribe("s3.events", durable="test")
        found = await consumer.fetch(10, timeout=1)
        assert [message.data for message in found] == [message.body for message in messages(1, 2)]
        await reader.close()
        broker.stop()
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(3))
        broker.start(port)
        await to_be_taken(target, *messages(4))
    finally:
        await target.close()
        broker.stop()


async def test_mqtt_acknowledges_messages_of_a_topic(tmp_path):
    needs("mosquitto")
    from aiomqtt import Client

    from s3ish.targets.mqtt import Mqtt

    port = free_port()
    (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    broker = Broker("mosquitto", "-c", tmp_path / "mosquitto.conf")
    target = Mqtt(f"mqtt://127.0.0.1:{port}", "s3/events", **OPTIONS)
    try:
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(0))
        broker.start(port)
        async with Client("127.0.0.1", port) as reader:
            await reader.subscribe("s3/#", qos=1)
            await to_be_taken(target, *messages(1))
            await target.send(messages(2))
            found = []
            async with asyncio.timeout(60):
                async for message in reader.messages:
                    found.append((str(message.topic), message.payload))
                    if len(found) == 2:
                        break
        assert found == [("s3/events", message.body) for message in messages(1, 2)]
        broker.stop()
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(3))
        broker.start(port)
        await to_be_taken(target, *messages(4))
    finally:
        await target.close()
        broker.stop()


@pytest.mark.parametrize("kind", ["redis", "nats", "mqtt"])
async def test_brokers_are_never_looked_for_at_metadata_services(kind):  # case 139
    from s3ish.notifications import _broker

    target = _broker(kind)(f"{kind}://169.254.169.254", "t", **OPTIONS)
    with pytest.raises(Undelivered, match="link-local"):
        await target.send(messages(1))
