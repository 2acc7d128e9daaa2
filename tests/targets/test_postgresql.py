"""Events as rows of a table: committed, once for each id, over TLS too."""

import json
import ssl

import asyncpg
import pytest

from s3ish.targets.broker import read_broker
from s3ish.targets.postgresql import PostgreSQL as Table
from s3ish.targets.protocol import Message, Undelivered
from tests.targets.servers import PostgreSQL, messages, to_be_taken

pytestmark = pytest.mark.slow
CREATE = """CREATE TABLE {} (number bigint GENERATED ALWAYS AS IDENTITY, id text PRIMARY KEY, event json NOT NULL)"""


async def ask(server, text, files=None):
    """Return the rows of a statement."""
    context = ssl.create_default_context(cafile=files.authority) if files else False
    connection = await asyncpg.connect(
        host="localhost", port=server.port, user="s3", password="p:w", database="postgres", ssl=context
    )
    try:
        return await connection.fetch(text)
    finally:
        await connection.close()


async def test_rows_are_committed_in_order_and_once_for_each_id(open_folder):
    server = PostgreSQL(open_folder)
    target = Table(read_broker(f"postgresql://s3:p%3Aw@127.0.0.1:{server.port}/postgres"), "s3.events")
    try:
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(0))
        server.begin()
        with pytest.raises(Undelivered, match="does not exist"):
            await target.send(messages(0))
        await ask(server, "CREATE SCHEMA s3")
        await ask(server, CREATE.format("s3.events"))
        await target.send(messages(*range(100)))
        await target.send(messages(99, 100))
        server.stop()  # killed: what was answered was flushed
        with pytest.raises(Undelivered, match=r"\w"):
            await target.send(messages(101))
        server.begin()
        await to_be_taken(target, *messages(101))
        rows = await ask(server, "SELECT id, event FROM s3.events ORDER BY number")
        assert [row["id"] for row in rows] == [message.id for message in messages(*range(102))]
        assert json.loads(rows[5]["event"]) == {"number": 5}
        wrong = Table(read_broker(f"postgresql://s3@127.0.0.1:{server.port}/postgres", password="no"), "s3.events")
        with pytest.raises(Undelivered, match="password"):
            await wrong.send(messages(102))
    finally:
        await target.close()
        server.stop()


async def test_a_batch_is_taken_whole_or_not_at_all(open_folder):
    server = PostgreSQL(open_folder)
    target = Table(read_broker(f"postgresql://s3:p%3Aw@127.0.0.1:{server.port}/postgres"), "events")
    try:
        server.begin()
        await ask(server, CREATE.format("events"))
        with pytest.raises(Undelivered, match="json"):
            await target.send([*messages(1, 2), Message("x", "b/k", b"no json"), *messages(3)])
        assert await ask(server, "SELECT * FROM events") == []
        odd = Message("odd", "b/k", rb'{"key":"\u0000 \ud800 \""}')
        await target.send([*messages(1), odd])
        assert [row["event"] for row in await ask(server, "SELECT event FROM events ORDER BY number")][1] == (
            odd.body.decode()
        )
    finally:
        await target.close()
        server.stop()


async def test_certificates_are_verified(open_folder, certificates):
    files, others = certificates("localhost"), certificates("elsewhere.test")
    server = PostgreSQL(open_folder, tls=files)
    place, authority = f"localhost:{server.port}/postgres", str(files.authority)
    target = Table(read_broker(f"postgresql+tls://s3:p%3Aw@{place}", ca_file=authority), "events")
    try:
        server.begin()
        await ask(server, CREATE.format("events"), files)
        await to_be_taken(target, *messages(1))
        assert len(await ask(server, "SELECT * FROM events", files)) == 1
        for url, trusted in (
            (f"postgresql+tls://s3:p%3Aw@{place}", str(others.authority)),
            (f"postgresql+tls://s3:p%3Aw@{place}", ""),
            (f"postgresql+tls://s3:p%3Aw@127.0.0.1:{server.port}/postgres", authority),
        ):
            with pytest.raises(Undelivered, match=r"(?i)certificate"):
                await Table(read_broker(url, ca_file=trusted), "events").send(messages(2))
        with pytest.raises(Undelivered, match="no encryption"):
            await Table(read_broker(f"postgresql://s3:p%3Aw@{place}"), "events").send(messages(2))
    finally:
        await target.close()
        server.stop()
