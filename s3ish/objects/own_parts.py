"""Parts of a version that is being made: each has a blob of its own, sealed before the commit that names it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import TypeVar

from s3ish.blob.protocol import BlobWriter
from s3ish.index.protocol import Change
from s3ish.model import Part
from s3ish.objects.store import Store
from s3ish.tables.catalogue import INLINE, PARTS

_AT_ONCE = 16

Item = TypeVar("Item")
Made = TypeVar("Made")


async def seal_part(
    store: Store, part: Part, writer: BlobWriter, bucket: str, key: str, stack: AsyncExitStack, rows: list[Change]
) -> None:
    """Seal the blob of a part, which is provisional until ``stack`` is left.

    Args:
        writer: of the blob, finished.
        stack: is left when the part is committed, or will not be.
        rows: collects the bytes of a small one, which the commit must make durable.
    """
    await stack.enter_async_context(store.provisional(part.blob))
    rows += INLINE.keep(part.blob, await writer.seal(PARTS.seal(part, bucket, key, "")))


async def make_each(make: Callable[[Item], Awaitable[Made]], items: Iterable[Item]) -> tuple[Made, ...]:
    """Make something of each item, several at once, so that they share flushes; return it in the order of the items.

    All have ended when this ends, also when one fails; it raises what the first failure was.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(item: Item) -> Made:
        async with turns:
            return await make(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(in_turn(item)) for item in items]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return tuple(task.result() for task in tasks)
