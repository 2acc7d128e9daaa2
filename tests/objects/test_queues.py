"""Messages of queues: one consumer gets each, in any process; what is too old or too much goes."""

import asyncio

import pytest
from msgspec.structs import replace

from s3ish.index.protocol import Put
from s3ish.model import Event
from s3ish.objects import queues
from s3ish.objects.outbox import Targets, rows_for
from s3ish.objects.queues import QueueError, Queues
from s3ish.tables import keys
from s3ish.tables.catalogue import MESSAGES
from tests.objects.support import World

SECOND = 10**9
EVENT = Event("ObjectCreated:Put", 0, "b", "owner", "us-east-1", key="k", sequencer=1)


@pytest.fixture
async def two(tmp_path):
    """The queues of two processes on the same files, and a queue ``q``."""
    world = World(tmp_path, inline_offload=False)
    both = [Queues(world.open(), 1000) for _ in range(2)]
    await both[0].create("q", {})
    yield both
    await world.close()
    world.offload.close()


@pytest.fixture
async def one(store):
    made = Queues(store, 20)
    await made.create("q", {"MessageRetentionPeriod": "60"})
    return made


async def send(queues, *bodies, delay=0):
    return await queues.send(await queues.get("q"), [(body, delay) for body in bodies], "sender")


async def receive(queues, limit=10, visibility=30, wait=0):
    return await queues.receive(await queues.get("q"), limit, visibility, wait)


def texts(received):
    return [it.message.body for it in received]


async def left(store):
    rows = await MESSAGES.rows(store.index, b"", keys.END, 10_000)
    return [MESSAGES.decode(*row).body for row in rows]


async def test_of_many_consumers_in_two_processes_one_gets_each_message(two):
    await send(two[0], *map(str, range(60)))
    got = await asyncio.gather(*(receive(two[number % 2], 3) for number in range(40)))
    found = [body for received in got for body in texts(received)]
    assert sorted(found, key=int) == [str(number) for number in range(60)]


async def test_messages_of_one_sender_are_received_in_their_order(one):
    for number in range(10):
        await send(one, str(number))
    assert texts(await receive(one)) == [str(number) for number in range(10)]


async def test_one_who_waits_is_woken_by_a_message_of_its_process_and_finds_that_of_another(two):
    for sender in two:
        waiting = asyncio.ensure_future(receive(two[0], wait=60))
        await asyncio.sleep(0)
        await send(sender, "here")
        assert texts(await waiting) == ["here"]
        await two[0].purge("q")


async def test_who_waits_gives_up_in_time_and_when_the_queue_goes(two):
    assert await receive(two[0], wait=0.05) == []
    waiting = asyncio.ensure_future(receive(two[0], wait=60))
    await asyncio.sleep(0)
    await two[1].delete("q")
    with pytest.raises(QueueError) as refused:
        await waiting
    assert refused.value.name == "QueueDoesNotExist"


async def test_a_message_comes_after_its_delay_and_again_after_its_time(one, store):
    await send(one, "later", delay=10)
    assert await receive(one) == []
    store.clock.ns += 11 * SECOND
    assert texts(await receive(one)) == ["later"]
    store.clock.ns += 29 * SECOND
    assert await receive(one) == []
    store.clock.ns += 2 * SECOND
    assert texts(await receive(one)) == ["later"]


async def test_a_handle_is_of_one_receipt(one, store):
    await send(one, "m")
    (first,) = await receive(one)
    store.clock.ns += 31 * SECOND
    (second,) = await receive(one)
    await one.remove("q", first.handle)
    assert await left(store) == ["m"]
    await one.remove("q", second.handle)
    assert await left(store) == []
    for handle in ("", "x", second.handle[:-1], second.handle.upper(), "00" * 13 + "-" + "a" * 15):
        with pytest.raises(QueueError):
            await one.remove("q", handle)


async def test_what_is_too_old_is_not_received_and_goes(one, store):
    await send(one, "old")
    store.clock.ns += 61 * SECOND
    await send(one, "young")
    assert texts(await receive(one, visibility=0)) == ["young"]
    await one.tend()
    assert await left(store) == ["young"]


async def test_a_full_queue_takes_no_message_and_of_events_the_oldest_go(one, store):
    await send(one, *map(str, range(20)))
    with pytest.raises(QueueError) as refused:
        await send(one, "more")
    assert refused.value.name == "OverLimit"
    arn, event = one.arn("q"), replace(EVENT, at_ns=store.clock.service_ns())
    rows = [row for _ in range(5) for row in rows_for(store.clock, Targets(), arn, event)]
    for row in rows:
        later = keys.outbox_key("q", store.clock.sequence(), row.key[-5:])
        await store.index.commit([MESSAGES.store(later, MESSAGES.decode(row.key, row.value))])
    await one.tend()
    assert await left(store) == [*map(str, range(5, 20)), *[""] * 5]


async def test_a_damaged_message_is_passed_over_and_goes(one, store):
    await send(one, "a", "b", "c")
    (_, (key, value), _) = await MESSAGES.rows(store.index, b"", keys.END, 10)
    await store.index.commit([Put(MESSAGES.name, key, value[:-1] + b"?")])
    assert texts(await receive(one, visibility=0)) == ["a", "c"]
    assert sum(await one.counts("q")) == 2
    await one.tend()
    assert await left(store) == ["a", "c"]


async def test_messages_of_a_queue_that_is_gone_go(one, store):
    await store.index.commit(rows_for(store.clock, Targets(), one.arn("never"), EVENT))
    await send(one, "stays")
    assert len(await left(store)) == 2
    await one.tend()
    assert await left(store) == ["stays"]


async def test_too_many_in_flight_are_an_error(one, monkeypatch):
    monkeypatch.setattr(queues, "MOST_IN_FLIGHT", 3)
    await send(one, *"abc")
    await receive(one)
    with pytest.raises(QueueError) as refused:
        await receive(one)
    assert refused.value.name == "OverLimit"


async def test_a_queue_survives_a_rebuild_and_its_messages_do_not(tmp_path):
    from s3ish.integrity.rebuild import rebuild

    world = World(tmp_path)
    made = Queues(world.open(), 10)
    await made.create("q", {"DelaySeconds": "3"})
    await send(made, "m")
    fresh = world.open(tmp_path / "fresh.db")
    await rebuild(fresh)
    again = Queues(fresh, 10)
    assert (await again.get("q")).number("DelaySeconds") == 3
    assert await left(fresh) == []
    await world.close()


async def test_of_two_that_make_a_queue_at_once_both_have_it(two):
    await asyncio.gather(*(each.create("new", {}) for each in two * 4))
    assert [queue.name for queue in await two[0].list()] == ["new", "q"]


async def test_there_is_a_most_of_queues(one, monkeypatch):
    monkeypatch.setattr(queues, "MOST_QUEUES", 2)
    await one.create("r", {})
    with pytest.raises(QueueError) as refused:
        await one.create("s", {})
    assert refused.value.name == "OverLimit"


def test_only_arns_of_this_server_mean_its_queues():
    targets = Targets(["arn:aws:sqs:us-east-1:000000000000:mapped"])
    assert targets.queue("arn:aws:sqs:us-east-1:000000000000:q") == "q"
    for arn in (
        "arn:aws:sqs:us-east-1:000000000000:mapped",
        "arn:aws:sqs:us-east-1:123456789012:q",
        "arn:aws:sns:us-east-1:000000000000:q",
        "arn:aws:sqs:us-east-1:000000000000:q.fifo",
    ):
        assert targets.queue(arn) == ""
