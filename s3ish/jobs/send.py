"""Replication to one other server: the versions that wait for it, oldest first, those of one key one after the other.

A row goes after the server has the version, so that a kill in between costs one more look. A version that is not taken
is tried again in the next pass, and those of its key behind it wait for that. If nothing is taken at all the server is
left alone for a while, twice as long each time. What waits is bounded by what is stored: a version waits once.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from s3ish.errors import S3Error
from s3ish.index.protocol import Damaged
from s3ish.jobs.destination import Forbidden, Peer, Refused, Unreachable
from s3ish.jobs.pace import Pace
from s3ish.jobs.rest import Rest
from s3ish.jobs.runner import Step
from s3ish.jobs.settle import settle, waits_since
from s3ish.objects.replication import ReplicationRule, RulesOf, rules_for
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import SENDINGS, VERSIONS

log = structlog.get_logger()

_ROWS_A_STEP = 64
_AT_ONCE = 8
_LOOK_SECONDS = 0.25
_COUNT_SECONDS = 15.0
"""How often what waits is counted at most while there is more than one look shows."""
_COUNT_SHARE = 0.02
"""What share of the time that takes at most: requests of the process wait meanwhile."""
_TIDY_SECONDS = 600.0
_TRIES = 6
"""How often a version is tried where keys or the bucket are refused, before it has failed."""
_MOST_TRIED = 10_000

_Row = tuple[bytes, bytes]


class SendingJob:
    """Sends the versions that wait for one other server.

    Args:
        store: the engines.
        rules_of: returns the enabled rules of a bucket.
        arn: what rules call the server.
        peer: takes the versions.
        observer: counts them.
        pace: when it is noted what was sent; None for that of a process that is asked nothing.
    """

    def __init__(
        self, store: Store, rules_of: RulesOf, arn: str, peer: Peer, observer: Observer, pace: Pace | None = None
    ) -> None:
        self.name = f"replicate {arn}"
        self._store, self._rules_of, self._arn, self._peer, self._observer = store, rules_of, arn, peer, observer
        self._pace = pace or Pace(store.index, store.clock)
        self._start, self._stop = keys.outbox_range(arn)
        self._cursor = self._start
        self._held: set[tuple[str, str]] = set()
        self._tries: dict[bytes, int] = {}
        self._rest = Rest(store.clock)
        self._counts_at = self._tidies_at = float("-inf")

    async def step(self) -> Step:
        """Send the next versions, or say when to try again."""
        rest = self._rest.seconds
        if self._cursor == self._start or rest:
            await self._show()
        if rest:
            return Step(more=False, pause_seconds=min(rest, _COUNT_SECONDS))
        rows = await SENDINGS.rows(self._store.index, self._cursor, self._stop, _ROWS_A_STEP)
        sent, failed, left = await self._send(rows)
        if sent and self._rest.failures:
            log.info("replication goes on", destination=self._arn)
            self._rest.end()
        self._cursor = min(left) if left else keys.after(rows[-1][0]) if rows else self._start
        if len(rows) < _ROWS_A_STEP and not left:
            await self._tidy()
            return self._end_pass()
        return self._leave_alone() if failed and not sent else Step(more=True)

    def _end_pass(self) -> Step:
        """Begin with the oldest again, after a rest if one was not taken."""
        self._cursor = self._start
        if not self._held:
            return Step(more=False, pause_seconds=_LOOK_SECONDS)
        self._held.clear()
        return self._leave_alone()

    async def _tidy(self) -> None:
        """Have the peer end what is of no use any more, now and then, and not while it takes nothing."""
        now = self._store.clock.monotonic()
        if now >= self._tidies_at and not self._held:
            self._tidies_at = now + _TIDY_SECONDS
            with suppress(Refused, Unreachable, S3Error, OSError):
                await self._peer.tidy()

    def _leave_alone(self) -> Step:
        return Step(more=False, pause_seconds=min(self._rest.begin(), _COUNT_SECONDS))

    # --- sending

    async def _send(self, rows: Sequence[_Row]) -> tuple[int, int, list[bytes]]:
        """Send versions; return how many are decided, how many are not, and the rows that were left out."""
        chains: dict[tuple[str, str], list[_Row]] = {}
        for row in rows:
            _, _, bucket, key = keys.split_sending_key(row[0])
            if (bucket, key) not in self._held:
                chains.setdefault((bucket, key), []).append(row)
        gate, sent, failed, left = asyncio.Semaphore(_AT_ONCE), list[bytes](), list[bytes](), list[bytes]()

        async def follow(place: tuple[str, str], chain: Sequence[_Row]) -> None:
            async with gate:
                for at, (row, value) in enumerate(chain):
                    if failed and not sent:
                        left.extend(key for key, _ in chain[at:])
                        return
                    if not await self._one(row, value):
                        failed.append(row)
                        self._held.add(place)
                        return
                    sent.append(row)

        async with asyncio.TaskGroup() as group:
            for place, chain in chains.items():
                group.create_task(follow(place, chain))
        return len(sent), len(failed), left

    async def _one(self, row: bytes, value: bytes) -> bool:
        """Replicate a version and take its row away; False if it has to wait."""
        _, sequence, bucket, key = keys.split_sending_key(row)
        try:
            held = await self._store.find_bucket(bucket)
            found = await self._store.get(VERSIONS, bucket, key, sequence)
        except Damaged:  # the repair of its row is under way
            return False
        if held is None or found is None:
            await self._store.commit([SENDINGS.drop(row)], [SENDINGS.expect(row, value)])
            return True
        version, rules = found.record, rules_for(self._rules_of(held.record), found.record)
        rule = next((rule for rule in rules if rule.destination == self._arn), None)
        failures: dict[str, str] = {}
        try:
            if rule:
                await self._peer.replicate(held.record, version, rule)
                self._observer.replicated(self._arn, version.size)
        except (Unreachable, S3Error, OSError) as error:
            if not self._gives_up(row, error):
                return self._wait(error)
            failures = self._refused(rule, bucket, key, version.id, error)
        except Refused as error:
            failures = self._refused(rule, bucket, key, version.id, error)
        self._tries.pop(row, None)
        try:
            async with self._pace.turn(waits_since(SENDINGS, sequence, row, value)):
                await settle(self._store, version, rules, SENDINGS.expect(row, value), failures)
        except S3Error as error:  # of this version alone, as where its sidecar cannot be written: others go on
            return self._wait(error)
        return True

    def _gives_up(self, row: bytes, error: Exception) -> bool:
        """Whether a version has been tried often enough; what cannot be reached is tried for ever."""
        if not isinstance(error, Forbidden):
            return False
        if len(self._tries) >= _MOST_TRIED:
            self._tries.clear()
        self._tries[row] = self._tries.get(row, 0) + 1
        return self._tries[row] >= _TRIES

    def _wait(self, error: Exception) -> bool:
        self._observer.replication_failed(self._arn)
        if not self._rest.failures and not self._held:
            log.warning("replication waits for its destination", destination=self._arn, error=str(error))
        return False

    def _refused(
        self, rule: ReplicationRule | None, bucket: str, key: str, version: str, error: Exception
    ) -> dict[str, str]:
        """Note that a version has failed; return which destination has refused it, and the reason, for events."""
        assert rule
        self._observer.replication_failed(self._arn)
        log.error("not replicated", bucket=bucket, key=key, version=version, to=rule.destination, error=str(error))
        return {self._arn: getattr(error, "reason", "")}

    # --- what waits

    async def _show(self) -> None:
        """Show since when the oldest version waits, and how many do: at once where that is one look."""
        rows = await SENDINGS.rows(self._store.index, self._start, self._stop, _ROWS_A_STEP)
        self._observer.oldest_sending(self._arn, self._age(rows))
        now = self._store.clock.monotonic()
        if len(rows) < _ROWS_A_STEP:
            self._observer.sendings_waiting(self._arn, len(rows))
        elif now >= self._counts_at:
            self._observer.sendings_waiting(self._arn, await SENDINGS.count(self._store.index, self._start, self._stop))
            took = self._store.clock.monotonic() - now
            self._counts_at = now + max(_COUNT_SECONDS, took / _COUNT_SHARE)

    def _age(self, rows: Sequence[_Row]) -> float:
        oldest = self._store.clock.now_ns()
        for row, value in rows:
            with suppress(Damaged):  # a version of long ago waits since it was amended
                oldest = min(oldest, max(keys.split_sending_key(row)[1], SENDINGS.decode(row, value)))
        return (self._store.clock.now_ns() - oldest) / 1e9
