"""Reporting restores that are complete, and of those that have ended, when the time has come."""

import asyncio

from s3ish.index.protocol import Change, Damaged
from s3ish.jobs.runner import Step
from s3ish.objects.consequences import Occasion
from s3ish.objects.restores import is_due
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import RESTORES, VERSIONS

_ROWS_A_STEP = 64
_PAUSE_SECONDS = 0.5


class RestoresJob:
    """Has events sent of the moments of restores.

    Args:
        store: the engines.
    """

    name = "restores"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def step(self) -> Step:
        """Report the next moments that have come."""
        stop = keys.restores_until(self._store.clock.service_ns())
        rows = await RESTORES.rows(self._store.index, b"", stop, _ROWS_A_STEP)
        done = await asyncio.gather(*(self._tell(*row) for row in rows))
        return Step(more=len(rows) == _ROWS_A_STEP and any(done), pause_seconds=_PAUSE_SECONDS)

    async def _tell(self, row: bytes, value: bytes) -> bool:
        """Report one moment, if it is still one, and take its row away; False where that has to be tried again."""
        at_ns, sequence, bucket, key = keys.split_restore_key(row)
        changes: list[Change] = [RESTORES.drop(row)]
        expect = [RESTORES.expect(row, value)]
        try:
            held = await self._store.find_bucket(bucket)
            name = RESTORES.decode(row, value)
            found = await self._store.get(VERSIONS, bucket, key, sequence)
        except Damaged:  # the repair of its row is under way
            return False
        if held and found and is_due(found.record, name, at_ns):
            changes += self._store.consequences.tell(Occasion(name, held.record, found.record))
            expect.append(found.row)
        return await self._store.commit(changes, expect)
