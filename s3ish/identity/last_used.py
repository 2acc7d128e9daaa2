"""When access keys were used last: noted in memory at each request, and kept in the index now and then.

It is no reason to write a sidecar, so a rebuild of the index forgets it.
"""

from collections.abc import Callable

from s3ish.index.protocol import Change
from s3ish.objects.store import Store, translated
from s3ish.tables.state import ACCESS_KEYS_USED

FLUSH_SECONDS = 20.0
"""How long other processes, and the next start, may not know of a use."""

_MOST = 100_000
"""How many keys are read at once: more than there can be."""


class LastUsed:
    """When keys were used.

    Args:
        store: where it is kept.
        exists: tells whether there still is an access key.
    """

    def __init__(self, store: Store, exists: Callable[[str], bool]) -> None:
        self._store, self._exists = store, exists
        self._used: dict[str, int] = {}

    def note(self, access_key: str) -> None:
        """Note that a key is used now."""
        self._used[access_key] = self._store.clock.service_ns()

    async def of(self, access_key: str) -> int:
        """Return when a key was used last, in nanoseconds since the epoch; 0 for never, or not known. Raises S3Error"""
        with translated():
            kept = await ACCESS_KEYS_USED.of(access_key.encode()).value(self._store.index)
        return max(self._used.get(access_key, 0), int(kept or 0))

    async def all(self) -> dict[str, int]:
        """Return when each key was used last that ever was, in nanoseconds since the epoch. Raises S3Error."""
        with translated():
            rows = await ACCESS_KEYS_USED.family(self._store.index, _MOST)
        found = {row.decode(): int(value) for row, value in rows}
        return found | {key: max(at_ns, found.get(key, 0)) for key, at_ns in self._used.items()}

    async def flush(self) -> None:
        """Keep what was noted, and forget keys that are gone. Raises IndexFailure, S3Error."""
        used, self._used = self._used, {}
        if not used:
            return
        changes: list[Change] = []
        for row, value in await ACCESS_KEYS_USED.family(self._store.index, _MOST):
            access_key = row.decode()
            if not self._exists(access_key):
                changes.append(ACCESS_KEYS_USED.of(row).drop())
            elif access_key in used:
                used[access_key] = max(used[access_key], int(value))
        for access_key, at_ns in used.items():
            if self._exists(access_key):
                changes.append(ACCESS_KEYS_USED.of(access_key.encode()).put(str(at_ns).encode()))
        await self._store.commit(changes, [])
