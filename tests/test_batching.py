"""What comes in one turn of the event loop is handed on together."""

import asyncio

import pytest

from s3ish.batching import TurnBatch


@pytest.fixture
def handed():
    return []


@pytest.fixture
def gathered(handed):
    return TurnBatch(handed.append, 3)


async def test_it_is_handed_on_when_the_turn_ends_before_what_is_begun_then(gathered, handed):
    gathered.add(1)
    asyncio.get_running_loop().call_soon(handed.append, "later")
    gathered.add(2)
    assert handed == []
    await asyncio.sleep(0)
    assert handed == [[1, 2], "later"]


async def test_every_turn_has_its_own(gathered, handed):
    for number in range(3):
        gathered.add(number)
        await asyncio.sleep(0)
    assert handed == [[0], [1], [2]]


async def test_enough_is_handed_on_at_once(gathered, handed):
    for number in range(8):
        gathered.add(number)
    assert handed == [[0, 1, 2], [3, 4, 5]]
    await asyncio.sleep(0)
    assert handed[2:] == [[6, 7]]
    await asyncio.sleep(0)
    assert len(handed) == 3


async def test_it_may_be_handed_on_before(gathered, handed):
    gathered.add(1)
    gathered.flush()
    gathered.flush()
    assert handed == [[1]]
    await asyncio.sleep(0)
    assert handed == [[1]]


def test_without_an_event_loop_it_is_handed_on_at_once(gathered, handed):
    gathered.add(1)
    assert handed == [[1]]


def test_what_an_event_loop_left_that_ended_in_its_turn_goes_with_the_next(gathered, handed):
    async def end_in_the_turn():
        gathered.add(1)

    loop = asyncio.new_event_loop()
    task = loop.create_task(end_in_the_turn())
    task.add_done_callback(lambda _: loop.stop())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert task.done()
    assert handed == []

    async def go_on():
        gathered.add(2)
        await asyncio.sleep(0)

    asyncio.run(go_on())
    assert handed == [[1, 2]]
