"""Commits that depend on all rows of an index: they require that it has seen no other since these were read."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from s3ish.index.protocol import Change, Conflict, Untouched
from s3ish.objects.store import Store

_ATTEMPTS, _PAUSE_SECONDS = 200, 0.01


async def moments(store: Store) -> AsyncIterator[int]:
    """Yield how many commits the index has seen, again and again. What is read until the next turn is not older."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_PAUSE_SECONDS)
            await store.index.commit([])  # learns of the commits of others
        seen = store.index.commits
        await asyncio.sleep(0)
        yield seen


async def commit_untouched(store: Store, changes: Sequence[Change], seen: int) -> bool:
    """Commit if the index has seen no other commit since; tell whether it did. Raises IndexFailure."""
    try:
        await store.index.commit(changes, [Untouched(seen)])
    except Conflict:
        return False
    return True
