"""A worker whose event loop stands still, or which is told that it cannot go on, leaves."""

import asyncio
import threading
import time

from s3ish.process.heartbeat import Heartbeat

PATIENCE = 0.15


async def test_a_loop_that_turns_may_stay():
    left = threading.Event()
    pulse = Heartbeat(PATIENCE, left.set)
    await asyncio.sleep(4 * PATIENCE)
    pulse.close()
    assert not left.is_set()


async def test_a_loop_that_stands_still_leaves_again_and_again():
    left = threading.Semaphore(0)
    pulse = Heartbeat(PATIENCE, left.release)
    for _ in range(2):  # the loop waits here, and does not turn
        assert left.acquire(timeout=10)
    await asyncio.sleep(0)
    pulse.close()


async def test_a_transaction_that_does_not_end_is_a_reason_to_leave():
    left = threading.Event()
    pulse = Heartbeat(PATIENCE, left.set)
    pulse.begin()
    await asyncio.to_thread(left.wait, 10)
    assert left.is_set()
    pulse.end()
    left.clear()
    for _ in range(20):
        pulse.begin()
        await asyncio.sleep(PATIENCE / 5)
        pulse.end()
    pulse.close()
    assert not left.is_set()


async def test_a_failure_is_told_at_once():
    left = threading.Event()
    pulse = Heartbeat(3600, left.set)
    begun = time.monotonic()
    await asyncio.to_thread(lambda: pulse.fail(damaged=False))
    assert left.wait(10)
    pulse.close()
    assert time.monotonic() - begun < 10
