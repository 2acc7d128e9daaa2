"""Targets that a library delivers to, against their servers."""

import asyncio
import ssl

import pytest

from s3ish.targets.broker import read_broker
from s3ish.targets.protocol import Undelivered
from tests.targets.servers import Broker, free_port, messages, needs, to_be_taken


async def test_redis_has_messages_in_a_list_and_takes_them_again_after_it_was_away(tmp_path):
    needs("redis-server")
    import redis

    from s3ish.targets.redis import Redis

    port = free_port()
    broker = Broker(
        "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", tmp_path, "--requirepass", "a:b", "--save", ""
    )
    target = Redis(read_broker(f"redis://:a%3Ab@127.0.0.1:{port}/2"), "events")
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
        wrong = Redis(read_broker(f"redis://:wrong@127.0.0.1:{port}/2"), "events")
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
    target = Nats(read_broker(f"nats://u:p@127.0.0.1:{port}"), "s3.events")
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
    target = Mqtt(read_broker(f"mqtt://127.0.0.1:{port}"), "s3/events")
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


def over_tls(kind, folder, port, files):
    """Return the program of a broker that speaks TLS alone, its scheme, and its arguments."""
    conf = folder / "broker.conf"
    if kind == "redis":
        told = ["--port", 0, "--tls-port", port, "--tls-cert-file", files.certificate, "--tls-key-file", files.key]
        told += ["--tls-ca-cert-file", files.authority, "--tls-auth-clients", "no", "--dir", folder, "--save", ""]
        return "redis-server", "rediss", told
    if kind == "nats":
        told = ["-a", "127.0.0.1", "-p", port, "-js", "-sd", folder]
        return "nats-server", "tls", [*told, "--tls", "--tlscert", files.certificate, "--tlskey", files.key]
    conf.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
        f"certfile {files.certificate}\nkeyfile {files.key}\n"
    )
    return "mosquitto", "mqtts", ["-c", conf]


async def keep_all(kind, port, files):
    """Let a stream keep what is published, where a broker needs that."""
    if kind == "nats":
        import nats

        context = ssl.create_default_context(cafile=files.authority)
        reader = await nats.connect(f"tls://localhost:{port}", tls=context)
        await reader.jetstream().add_stream(name="S3", subjects=["events"])
        await reader.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho closes no socket that fails
@pytest.mark.parametrize("kind", ["redis", "nats", "mqtt"])
async def test_brokers_are_spoken_to_over_tls_if_their_certificate_is_valid(kind, tmp_path, certificates):
    from s3ish.notifications import _broker

    port, files, others = free_port(), certificates("localhost"), certificates("elsewhere.test")
    program, scheme, arguments = over_tls(kind, tmp_path, port, files)
    needs(program)
    broker, make = Broker(program, *arguments), _broker(kind)
    broker.start(port)
    good = make(read_broker(f"{scheme}://localhost:{port}", ca_file=str(files.authority)), "events")
    try:
        await keep_all(kind, port, files)
        await to_be_taken(good, *messages(1, 2))
        for host, authority in (("localhost", others.authority), ("localhost", ""), ("127.0.0.1", files.authority)):
            bad = make(read_broker(f"{scheme}://{host}:{port}", ca_file=str(authority)), "events")
            with pytest.raises(Undelivered, match=r"(?i)certificate"):
                await bad.send(messages(3))
        in_the_clear = make(read_broker(f"{kind}://localhost:{port}", timeout_seconds=2), "events")
        with pytest.raises(Undelivered, match=r"\w"):
            await in_the_clear.send(messages(4))
    finally:
        await good.close()
        broker.stop()


async def test_a_broker_of_amqp_that_opens_no_channel_keeps_no_connection(monkeypatch):
    import aio_pika

    from s3ish.targets.amqp import Amqp

    class Hanging:
        open = 0

        async def channel(self, **_):
            await asyncio.Event().wait()

        async def close(self):
            Hanging.open -= 1

    async def connect(**_):
        Hanging.open += 1
        return Hanging()

    monkeypatch.setattr(aio_pika, "connect", connect)
    target = Amqp(read_broker("amqp://127.0.0.1", timeout_seconds=0.05), "t")
    for _ in range(2):
        with pytest.raises(Undelivered):
            await target.send(messages(1))
    assert Hanging.open == 0


def test_a_password_of_its_own_goes_before_that_of_the_address():
    assert read_broker("redis://u:a%2Fb@h").password == "a/b"
    assert read_broker("redis://u:a@h", password="c d").password == "c d"
    told = read_broker("mqtts://[::1]/x%2Fy", link_local=True)
    assert (told.place.host, told.place.port, told.place.secure, told.path) == ("::1", 8883, True, "x/y")


@pytest.mark.parametrize("kind", ["redis", "nats", "mqtt", "kafka", "amqp", "postgresql"])
async def test_brokers_are_never_looked_for_at_metadata_services(kind):  # case 139
    from s3ish.notifications import _broker

    target = _broker(kind)(read_broker(f"{kind}://169.254.169.254"), "t")
    with pytest.raises(Undelivered, match="link-local"):
        await target.send(messages(1))
