"""Waiting for what must come: by condition, with one limit that is far longer than anything takes on a busy machine."""

import asyncio
import time

WAIT_SECONDS = 120


def wait_until(condition):
    """Wait until a condition holds; fail if it never does."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


async def until(condition):
    """Wait until a condition holds, while the event loop goes on; fail if it never does."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)
