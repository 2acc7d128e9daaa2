"""Reporting versions that are not replicated in time, where a rule of theirs has one: each once for each destination.

They are looked at in their order, and where that look is stands in the index. What waits because it was amended, or is
older than the rule, is none of them.
"""

from collections.abc import AsyncIterator

from s3ish.index.protocol import Change, Damaged
from s3ish.jobs.runner import Step
from s3ish.jobs.settle import THRESHOLD_NS
from s3ish.objects.consequences import Occasion
from s3ish.objects.replication import RulesOf, rules_for
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import REPLICATIONS, SENDINGS, VERSIONS
from s3ish.tables.state import LATE

_ROWS_A_STEP = 64
_PAUSE_SECONDS = 15.0


class LateJob:
    """Has events sent of versions that miss the time of their rules.

    Args:
        store: the engines.
        rules_of: returns the enabled rules of a bucket.
    """

    name = "replication-late"

    def __init__(self, store: Store, rules_of: RulesOf) -> None:
        self._store, self._rules_of = store, rules_of

    async def step(self) -> Step:
        """Look at some versions that wait for this server, and for each other one."""
        until = max(0, self._store.clock.now_ns() - THRESHOLD_NS)
        more = await self._look("", keys.replication_key(0, "", ""), keys.replication_key(until, "", ""))
        start = b""
        while rows := await SENDINGS.rows(self._store.index, start, keys.END, 1):
            arn = keys.split_sending_key(rows[0][0])[0]
            first, start = keys.outbox_range(arn)
            more = await self._look(arn, first, keys.sending_key(arn, until, "", "")) or more
        return Step(more=more, pause_seconds=_PAUSE_SECONDS)

    async def _look(self, arn: str, first: bytes, stop: bytes) -> bool:
        """Report the next late versions of a destination, "" for those here; return whether there are more."""
        state, table = LATE.of(arn.encode()), SENDINGS if arn else REPLICATIONS
        value = await state.value(self._store.index)
        start = max(first, state.read(value) or b"")
        rows = await table.rows(self._store.index, start, stop, _ROWS_A_STEP)
        if not rows:
            return False
        changes: list[Change] = [state.put(keys.after(rows[-1][0]))]
        for row, revision in rows:
            async for occasion in self._occasions(arn, row, revision):
                changes += self._store.consequences.tell(occasion)
        return await self._store.commit(changes, [state.expect(value)]) and len(rows) == _ROWS_A_STEP

    async def _occasions(self, arn: str, row: bytes, value: bytes) -> AsyncIterator[Occasion]:
        table = SENDINGS if arn else REPLICATIONS
        sequence, bucket, key = keys.split_sending_key(row)[1:] if arn else keys.split_replication_key(row)
        try:
            held = await self._store.find_bucket(bucket)
            found = await self._store.get(VERSIONS, bucket, key, sequence)
            since_ns = table.decode(row, value)
        except Damaged:
            return
        if held is None or found is None or self._store.clock.now_ns() - since_ns < THRESHOLD_NS:
            return
        for rule in rules_for(self._rules_of(held.record), found.record):
            is_own = rule.destination == arn if arn else not rule.is_elsewhere
            if is_own and rule.timed and not await self._is_there(rule.destination, key, sequence):
                yield rule.occasion("OperationMissedThreshold", held.record, found.record)

    async def _is_there(self, destination: str, key: str, sequence: int) -> bool:
        """Whether a bucket of this server has a version already, while another one has not."""
        return await self._store.get(VERSIONS, destination, key, sequence) is not None
