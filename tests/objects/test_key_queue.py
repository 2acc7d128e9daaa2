"""Writers of one key go one after the other, also where some of them give up while they wait."""

import asyncio

import pytest

from s3ish.objects.key_queue import KeyQueue


async def wait_for_turn(turns, went):
    async with turns.of(b"k"):
        went.append(asyncio.current_task())


@pytest.mark.parametrize("others", [0, 2])
async def test_one_that_gives_up_when_the_turn_before_ends_is_cancelled_and_nothing_else(others):
    turns, went = KeyQueue(), []
    async with turns.of(b"k"):
        leaver, *rest = [asyncio.create_task(wait_for_turn(turns, went)) for _ in range(1 + others)]
        await asyncio.sleep(0)
        leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    await asyncio.gather(*rest)
    assert went == rest
    assert len(turns) == 0


async def test_one_that_gives_up_when_its_turn_has_come_passes_it_on():
    turns, went = KeyQueue(), []
    async with turns.of(b"k"):
        leaver, other = [asyncio.create_task(wait_for_turn(turns, went)) for _ in range(2)]
        await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    await other
    assert went == [other]
    assert len(turns) == 0


async def test_one_that_gives_up_while_it_waits_leaves_the_queue():
    turns, went = KeyQueue(), []
    async with turns.of(b"k"):
        leaver, other = [asyncio.create_task(wait_for_turn(turns, went)) for _ in range(2)]
        await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        assert not went
    await other
    assert went == [other]
    assert len(turns) == 0
