"""Versions that wait for another server which is not in the settings any more: they have failed after some time.

Until then they wait, so that a target which was taken out by mistake may come back.
"""

from collections.abc import Collection
from contextlib import suppress

import structlog

from s3ish.errors import S3Error
from s3ish.index.protocol import Conflict, Damaged
from s3ish.jobs.runner import Step
from s3ish.jobs.settle import settle
from s3ish.objects.replication import RulesOf, rules_for
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import SENDINGS, VERSIONS
from s3ish.tables.state import MISSING_TARGETS

log = structlog.get_logger()

_ROWS_A_STEP = 64
_PAUSE_SECONDS = 60.0
_MOST_TARGETS = 10_000


class MissingTargetsJob:
    """Says which targets are missing, and gives up what waits for them.

    Args:
        store: the engines.
        rules_of: returns the enabled rules of a bucket.
        targets: the ARNs of those that are there.
        patience_seconds: how long versions wait for one that is missing.
        observer: shows how many wait, and counts those that have failed.
    """

    name = "replication-targets"

    def __init__(
        self, store: Store, rules_of: RulesOf, targets: Collection[str], patience_seconds: float, observer: Observer
    ) -> None:
        self._store, self._rules_of, self._targets = store, rules_of, targets
        self._patience_ns, self._observer = int(patience_seconds * 1e9), observer
        self._noticed: set[str] = set()

    async def step(self) -> Step:
        """Look which targets are missing, and give up some of what has waited long enough for one of them."""
        await self._forget_those_that_are_back()
        start = b""
        while rows := await SENDINGS.rows(self._store.index, start, keys.END, 1):
            arn = keys.split_sending_key(rows[0][0])[0]
            start = keys.outbox_range(arn)[1]
            if arn not in self._targets and await self._look_at(arn):
                return Step(more=True)
        return Step(more=False, pause_seconds=_PAUSE_SECONDS)

    async def _forget_those_that_are_back(self) -> None:
        for name, value in await MISSING_TARGETS.family(self._store.index, _MOST_TARGETS):
            arn = name.decode(errors="replace")
            if arn in self._targets or not await SENDINGS.rows(self._store.index, *keys.outbox_range(arn), 1):
                row = MISSING_TARGETS.of(name)
                with suppress(Conflict):
                    await self._store.index.commit([row.drop()], [row.expect(value)])
                self._noticed.discard(arn)
                if arn not in self._targets:
                    self._observer.sendings_waiting(arn, 0)

    async def _look_at(self, arn: str) -> bool:
        """Note since when a target is missing; return whether some of what waits for it was given up."""
        row, now = MISSING_TARGETS.of(arn.encode()), self._store.clock.now_ns()
        value = await row.value(self._store.index)
        since = row.read(value)
        if since is None or since > now:
            since = now
            with suppress(Conflict):
                await self._store.index.commit([row.put(now)], [row.expect(value)])
        left = since + self._patience_ns - now
        if left <= 0:
            return await self._give_up(arn)
        waiting = await SENDINGS.count(self._store.index, *keys.outbox_range(arn))
        self._observer.sendings_waiting(arn, waiting)
        if arn not in self._noticed:
            self._noticed.add(arn)
            log.warning(
                "versions wait for a target of replication that is not in the settings",
                destination=arn,
                versions=waiting,
                fail_in_seconds=round(left / 1e9),
            )
        return False

    async def _give_up(self, arn: str) -> bool:
        done = 0
        for row, value in await SENDINGS.rows(self._store.index, *keys.outbox_range(arn), _ROWS_A_STEP):
            _, sequence, bucket, key = keys.split_sending_key(row)
            with suppress(Damaged, S3Error):
                held = await self._store.find_bucket(bucket)
                found = await self._store.get(VERSIONS, bucket, key, sequence)
                waits = SENDINGS.expect(row, value)
                if held is None or found is None:
                    done += await self._store.commit([SENDINGS.drop(row)], [waits])
                    continue
                rules = rules_for(self._rules_of(held.record), found.record)
                is_wanted = any(rule.destination == arn for rule in rules)
                await settle(self._store, found.record, rules, waits, {arn: "DstBucketNotFound"} if is_wanted else {})
                done += 1
                if is_wanted:
                    self._observer.replication_failed(arn)
                    log.error(
                        "not replicated",
                        bucket=bucket,
                        key=key,
                        version=found.record.id,
                        to=arn,
                        error="the target is not in the settings",
                    )
        return bool(done)
