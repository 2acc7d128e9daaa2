"""A worker whose event loop stands still, or which is told that it cannot go on, leaves."""

import asyncio
import threading

from s3ish.process.heartbeat import Heartbeat
from tests.waiting import WAIT_SECONDS

PATIENCE = 0.15
LONGER_PATIENCE = 1.5
"""Longer than a loop that turns is held up, however busy the machine is."""


async def test_a_loop_that_turns_may_stay():
    left = threading.Event()
    pulse = Heartbeat(LONGER_PATIENCE, left.set)
    await asyncio.sleep(1.5 * LONGER_PATIENCE)
    pulse.close()
    assert not left.is_set()


async def test_a_loop_that_stands_still_leaves_again_and_again():
    left = threading.Semaphore(0)
    pulse = Heartbeat(PATIENCE, left.release)
    for _ in range(2):  # the loop waits here, and does not turn
        assert left.acquire(timeout=WAIT_SECONDS)
    await asyncio.sleep(0)
    pulse.close()


async def test_a_transaction_that_does_not_end_is_a_reason_to_leave():
    left = threading.Event()
    pulse = Heartbeat(PATIENCE, left.set)
    pulse.begin(1)
    await asyncio.to_thread(left.wait, WAIT_SECONDS)
    assert left.is_set()
    pulse.end(0, 0)
    pulse.close()


async def test_transactions_that_end_are_none():
    left = threading.Event()
    pulse = Heartbeat(LONGER_PATIENCE, left.set)
    for _ in range(15):
        pulse.begin(1)
        await asyncio.sleep(LONGER_PATIENCE / 10)
        pulse.end(0, 0)
    pulse.close()
    assert not left.is_set()


async def test_a_failure_is_told_at_once():
    left = threading.Event()
    pulse = Heartbeat(3600, left.set)
    await asyncio.to_thread(lambda: pulse.fail(damaged=False))
    assert left.wait(WAIT_SECONDS)
    pulse.close()
