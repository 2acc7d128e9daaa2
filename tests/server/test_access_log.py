"""The lines of access logs: gathered in bounded memory, delivered once they are old or many, all of them at the end."""

import asyncio
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from s3ish.index.protocol import Put
from s3ish.objects import buckets, get
from s3ish.server import access_log
from s3ish.server.access_log import AccessLog
from s3ish.server.request_record import RequestRecord
from s3ish.server.target import Target
from s3ish.tables.catalogue import BUCKETS
from tests.auth.support import ALICE
from tests.objects.support import World

STATUS = (
    '<BucketLoggingStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LoggingEnabled><TargetBucket>log</TargetBucket>'
    "<TargetPrefix>p/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"
)


@pytest.fixture
async def store(tmp_path):
    world = World(tmp_path)
    store = world.open()
    await buckets.create_bucket(store, "log", ALICE.owner, "us-east-1")
    await buckets.create_bucket(store, "bucket", ALICE.owner, "us-east-1", {"logging": STATUS})
    yield store
    await world.close()


async def note(store, lines, path="/bucket/k", of="bucket"):
    """Gather the line of a request."""
    scope = {"method": "GET", "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"s3.test")]}
    origin = SimpleNamespace(client="::1", host="", prefix="")
    call = RequestRecord.of(scope, "0123456789ABCDEF", SimpleNamespace(origin=lambda *_: origin))
    call.target, call.status = Target("bucket", "k"), 200
    lines.note(call, (await store.bucket(of)).record, None, 0.01, "host-id")


async def delivered(store):
    """Return the texts of all log objects."""
    found = await store.index.scan("current", b"log\0", b"log\1", 100)
    texts = []
    for key, _ in found:
        version = (await store.newest("log", key.partition(b"\0")[2].decode()))[0].record
        body = await get.open_span(store, version, 0, version.size)
        texts.append(body if isinstance(body, bytes) else b"".join([bytes(piece) async for piece in body]))
    return texts


async def test_lines_are_delivered_when_they_are_old(store):
    lines = AccessLog(store, 3600)
    await note(store, lines)
    await lines.deliver()
    assert await delivered(store) == []
    await note(store, lines)
    old = AccessLog(store, 0)
    await note(store, old)
    await old.deliver()
    assert len(await delivered(store)) == 1
    await lines.deliver(all_of_it=True)
    assert sorted(text.count(b"\n") for text in await delivered(store)) == [1, 2]
    await lines.deliver(all_of_it=True)
    assert len(await delivered(store)) == 2


async def test_who_asks_for_all_lines_waits_for_those_under_way(store):
    lines = AccessLog(store, 3600)
    await note(store, lines)
    await buckets.create_bucket(store, "other", ALICE.owner, "us-east-1", {"logging": STATUS})
    await note(store, lines, of="other")
    await asyncio.gather(*(lines.deliver(all_of_it=True) for _ in range(3)))
    assert [text.count(b"\n") for text in await delivered(store)] == [1, 1]


async def test_many_lines_do_not_wait(store, monkeypatch):
    monkeypatch.setattr(access_log, "OBJECT_BYTES", 500)
    lines = AccessLog(store, 3600)
    for _ in range(5):
        await note(store, lines)
    await lines.deliver()
    assert [text.count(b"\n") for text in await delivered(store)] == [5]


async def test_memory_is_bounded_and_what_is_lost_is_said(store, monkeypatch):
    monkeypatch.setattr(access_log, "MAX_PENDING_BYTES", 500)
    lines = AccessLog(store, 3600)
    for _ in range(10):
        await note(store, lines)
    kept = 500 // len(access_log_line(lines))
    with capture_logs() as logged:
        await lines.deliver(all_of_it=True)
    assert [(entry["event"], entry["lines"]) for entry in logged] == [("lines of access logs are lost", 10 - kept)]
    assert [text.count(b"\n") for text in await delivered(store)] == [kept]
    for _ in range(kept):
        await note(store, lines)
    await lines.deliver(all_of_it=True)
    assert [text.count(b"\n") for text in await delivered(store)] == [kept, kept]


def access_log_line(lines):
    return next(iter(lines._pending.values())).lines[0]


async def test_a_target_of_another_owner_gets_nothing(store):
    lines = AccessLog(store, 0)
    await note(store, lines)
    await buckets.delete_bucket(store, "log")
    await buckets.create_bucket(store, "log", ALICE.owner.__class__("somebody-else"), "us-east-1")
    await lines.deliver()
    assert await delivered(store) == []


async def test_a_damaged_row_of_a_target_loses_its_lines_and_no_others(store):
    lines = AccessLog(store, 0)
    elsewhere = STATUS.replace(">log<", ">broken<")
    await buckets.create_bucket(store, "broken", ALICE.owner, "us-east-1")
    await buckets.create_bucket(store, "second", ALICE.owner, "us-east-1", {"logging": elsewhere})
    for name in ("second", "bucket"):
        await note(store, lines, of=name)
    (row,) = await BUCKETS.rows(store.index, b"broken", b"broken\0", 1)
    await store.index.commit([Put(BUCKETS.name, row[0], row[1][:-1] + bytes([row[1][-1] ^ 1]))])
    await lines.deliver(all_of_it=True)
    assert len(await delivered(store)) == 1


async def test_nothing_in_a_request_ends_its_line_or_field(store):
    lines = AccessLog(store, 0)
    await note(store, lines, '/bucket/"\\ x\r\n\x00é')
    assert access_log_line(lines).count(b"\n") == 1
    assert access_log_line(lines).count(b'"') == 6
