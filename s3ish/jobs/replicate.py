"""Replication to buckets of this server: versions that wait for their replicas, oldest first.

A version's row goes when every destination has it, or has refused it for good; its status then says which. A
destination that cannot be reached is left alone for a while, twice as long each time, and what waits for it goes on
waiting; other destinations are served meanwhile. A replica is made once however often that is tried, so that a kill
between a replica and the removal of the row costs one more look.

When a bucket gets new rules, and after a rebuild of the index, its versions are looked through: those with the status
PENDING wait again, and those that were there before the rules wait now where a rule wants them.
"""

import asyncio
import zlib
from collections.abc import Sequence
from contextlib import suppress

import structlog
from msgspec.structs import replace

from s3ish.errors import NoSuchBucket, NoSuchVersion, S3Error
from s3ish.index.protocol import Conflict, Damaged
from s3ish.jobs.destination import Destination, Refused, Unreachable
from s3ish.jobs.pace import Pace
from s3ish.jobs.rest import Rest
from s3ish.jobs.runner import Step
from s3ish.jobs.settle import settle, waits_since
from s3ish.model import Bucket, Version
from s3ish.objects import versions
from s3ish.objects.consequences import Cause
from s3ish.objects.replication import ReplicationRule, RulesOf, chosen, rules_for, waiting
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, REPLICATIONS, VERSIONS
from s3ish.tables.state import REPLICATION, ReplicationProgress

log = structlog.get_logger()

_ROWS_A_STEP = 64
_AT_ONCE = 8
_LOOKED_AT_ONCE = 500
_PAUSE_SECONDS = 0.25
_BUCKETS_SECONDS = 5.0
"""How often buckets are asked whether their rules are new."""
_BUCKETS_AT_ONCE = 200


class ReplicationJob:
    """Makes the replicas that wait.

    Args:
        store: the engines.
        rules_of: returns the enabled rules of a bucket.
        here: the buckets of this server, as destinations.
        observer: counts what is done.
        pace: when replicas are made; None for that of a process that is asked nothing.
    """

    name = "replication"

    def __init__(
        self,
        store: Store,
        rules_of: RulesOf,
        here: Destination,
        observer: Observer,
        pace: Pace | None = None,
    ) -> None:
        self._store, self._rules_of, self._here = store, rules_of, here
        self._pace = pace or Pace(store.index, store.clock)
        self._observer = observer
        self._cursor = b""
        self._rests: dict[str, Rest] = {}
        self._asked_at = float("-inf")
        self._next_bucket = b""

    async def step(self) -> Step:
        """Make the next replicas, or look through a part of a bucket that has new rules."""
        rows = await REPLICATIONS.rows(self._store.index, self._cursor, keys.END, _ROWS_A_STEP)
        if rows:
            if not self._cursor:
                self._show_age(rows[0][0])
            await self._serve(rows)
            self._cursor = keys.after(rows[-1][0])
            return Step(more=True)
        if not self._cursor:
            self._observer.replication_age(0)
        self._cursor = b""
        return Step(more=await self._look(), pause_seconds=_PAUSE_SECONDS)

    def _show_age(self, row: bytes) -> None:
        sequence, _, _ = keys.split_replication_key(row)
        self._observer.replication_age(max(0.0, (self._store.clock.now_ns() - sequence) / 1e9))

    async def _serve(self, rows: Sequence[tuple[bytes, bytes]]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(row: bytes, value: bytes) -> None:
            since_ns = waits_since(REPLICATIONS, keys.split_replication_key(row)[0], row, value)
            async with gate, self._pace.turn(since_ns):
                await self._one(row, value)

        async with asyncio.TaskGroup() as group:
            for row, value in rows:
                group.create_task(one(row, value))

    # --- one version

    async def _one(self, row: bytes, value: bytes) -> None:
        """Replicate a version to its destinations here, and take its row away if that is decided."""
        sequence, bucket, key = keys.split_replication_key(row)
        try:
            held = await self._store.find_bucket(bucket)
            found = await self._store.get(VERSIONS, bucket, key, sequence)
        except Damaged:  # the repair of its row is under way
            return
        if held is None or found is None:
            await self._store.commit([REPLICATIONS.drop(row)], [REPLICATIONS.expect(row, value)])
            return
        rules = rules_for(self._rules_of(held.record), found.record)
        here = [rule for rule in rules if not rule.is_elsewhere]
        outcomes = {rule.destination: await self._to(rule, held.record, found.record) for rule in here}
        if None not in outcomes.values():
            failures = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, str)}
            waits = REPLICATIONS.expect(row, value)
            try:
                await settle(self._store, found.record, rules, waits, failures)
            except S3Error as error:  # of this version alone, as where its sidecar cannot be written: others go on
                log.warning("replicated, but not noted", bucket=bucket, key=key, error=error.message)

    async def _to(self, rule: ReplicationRule, bucket: Bucket, version: Version) -> str | bool | None:
        """Replicate to one destination; return True if it took the version, the reason for events if it refused it, and
        None if that is not known yet."""
        name = rule.destination
        if name in self._rests and self._rests[name].seconds:
            return None
        try:
            await self._here.replicate(bucket, version, rule)
        except Unreachable as error:
            rest = self._rests.setdefault(name, Rest(self._store.clock))
            self._observer.replication_failed(name)
            if not rest.failures:
                log.warning("replication waits for its destination", destination=name, error=str(error))
            rest.begin()
            return None
        except Refused as error:
            self._observer.replication_failed(name)
            log.error(
                "not replicated", bucket=bucket.name, key=version.key, version=version.id, to=name, error=str(error)
            )
            return error.reason
        if self._rests.pop(name, None):
            log.info("replication goes on", destination=name)
        self._observer.replicated(name, version.size)
        return True

    # --- buckets with new rules

    async def _look(self) -> bool:
        """Look through a part of the next bucket whose rules are new; tell whether there is more of it."""
        now = self._store.clock.monotonic()
        if not self._next_bucket and now - self._asked_at < _BUCKETS_SECONDS:
            return False
        if not self._next_bucket:
            self._asked_at = now
        rows = await BUCKETS.rows(self._store.index, self._next_bucket, keys.END, _BUCKETS_AT_ONCE)
        for row, value in rows:
            with suppress(Damaged):
                bucket = self._store.hold(BUCKETS, row, value).record
                if "replication" in bucket.documents and await self._look_through(bucket):
                    self._next_bucket = row
                    return True
        self._next_bucket = keys.after(rows[-1][0]) if len(rows) == _BUCKETS_AT_ONCE else b""
        return bool(self._next_bucket)

    async def _look_through(self, bucket: Bucket) -> bool:
        """Look at the next versions of a bucket; False if its rules are not new, or it has been looked through."""
        rules = zlib.crc32(bucket.documents["replication"].encode())
        state = REPLICATION.of(bucket.name.encode())
        value = await state.value(self._store.index)
        progress = state.read(value)
        if progress is None or (progress.rules, progress.created_ns) != (rules, bucket.created_ns):
            progress = ReplicationProgress(rules=rules, created_ns=bucket.created_ns)
        if progress.ended:
            return False
        start, stop = keys.bucket_range(bucket.name)
        rows = await VERSIONS.rows(self._store.index, max(start, progress.row), stop, _LOOKED_AT_ONCE)
        looked, waiting_now = 0, 0
        for row, value_of in rows:
            if waiting_now == _ROWS_A_STEP:
                break
            looked += 1
            with suppress(Damaged, NoSuchVersion, NoSuchBucket):
                waiting_now += await self._wait_again(bucket, *self._store.decode_rows(VERSIONS, [(row, value_of)]))
        ended = looked == len(rows) < _LOOKED_AT_ONCE
        progress = replace(progress, row=b"" if ended else keys.after(rows[looked - 1][0]), ended=ended)
        with suppress(Conflict):
            await self._store.index.commit([state.put(progress)], [state.expect(value)])
        return True

    async def _wait_again(self, bucket: Bucket, version: Version) -> bool:
        """Have a version wait for its replicas if it is to; tell whether it does."""
        if version.replication == "PENDING":
            async with self._pace.turn():
                await self._store.index.commit(waiting(version, rules_for(self._rules_of(bucket), version)))
            return True
        rules = [rule for rule in self._rules_of(bucket) if rule.existing]
        if version.replication not in ("", "FAILED") or version.id == "null" or not chosen(rules, version):
            return False
        cause = Cause(job="existing objects")
        async with self._pace.turn():
            await versions.amend_record(self._store, version, lambda now: replace(now, replication="PENDING"), cause)
        return True
