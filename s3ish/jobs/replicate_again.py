"""Replication of what is there already, as it was asked for: versions that failed, or that no rule was about.

The versions of a bucket are looked through, some at a time. Those in the states that were asked for are given the
status PENDING where a rule is about them now; the jobs that replicate do the rest.
"""

from contextlib import suppress

import structlog
from msgspec.structs import replace

from s3ish.errors import NoSuchBucket, NoSuchVersion, S3Error
from s3ish.index.protocol import Change, Conflict, Damaged
from s3ish.jobs.runner import Step
from s3ish.model import Bucket, Version
from s3ish.objects import versions
from s3ish.objects.consequences import Cause
from s3ish.objects.replication import RulesOf, chosen
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import VERSIONS
from s3ish.tables.state import AGAIN, AgainProgress

log = structlog.get_logger()

NAME = "replicate-again"
_ROWS_A_STEP = 100
_RESTS = 2
"""So many times as long as a step took, requests have the machine before the next one."""
_PAUSE_SECONDS = 5.0
_MOST_BUCKETS = 10_000


class ReplicateAgainJob:
    """Has versions wait for their replicas again.

    Args:
        store: the engines.
        rules_of: returns the enabled rules of a bucket.
    """

    name = NAME

    def __init__(self, store: Store, rules_of: RulesOf) -> None:
        self._store, self._rules_of = store, rules_of

    async def step(self) -> Step:
        """Look at the next versions of a bucket for which this was asked for."""
        began = self._store.clock.monotonic()
        for name, value in await AGAIN.family(self._store.index, _MOST_BUCKETS):
            progress = AGAIN.one(name).read(value)
            if progress is None or not progress.ended:
                await self._go_on(name, value, progress)
                return Step(more=True, rest_seconds=_RESTS * (self._store.clock.monotonic() - began))
        return Step(more=False, pause_seconds=_PAUSE_SECONDS)

    async def _go_on(self, name: bytes, value: bytes, progress: AgainProgress | None) -> None:
        row = AGAIN.of(name)
        held = await self._store.find_bucket(name.decode(errors="replace"))
        change: Change = row.drop()
        if progress is None or held is None or held.record.created_ns != progress.created_ns:
            log.info("nothing to replicate again", bucket=name.decode(errors="replace"))
        else:
            change = row.put(after := await self._look_through(held.record, progress))
            if after.ended:
                log.info("replicated again", bucket=held.record.name, looked_at=after.looked, waiting=after.found)
        with suppress(Conflict):  # it was asked for once more
            await self._store.index.commit([change], [row.expect(value)])

    async def _look_through(self, bucket: Bucket, at: AgainProgress) -> AgainProgress:
        """Look at the next versions; return where that ended."""
        start, stop = keys.bucket_range(bucket.name)
        rows = await VERSIONS.rows(self._store.index, max(start, at.row), stop, _ROWS_A_STEP)
        found = 0
        for row, value in rows:
            with suppress(Damaged, NoSuchVersion, NoSuchBucket):
                (version,) = self._store.decode_rows(VERSIONS, [(row, value)])
                found += await self._wait(bucket, version, at)
        ended = len(rows) < _ROWS_A_STEP
        row = at.row if ended else keys.after(rows[-1][0])
        return replace(at, row=row, looked=at.looked + len(rows), found=at.found + found, ended=ended)

    async def _wait(self, bucket: Bucket, version: Version, asked: AgainProgress) -> bool:
        """Have a version wait for its replicas if it is one of those that were asked for; tell whether it is."""
        if version.id == "null" or not chosen(self._rules_of(bucket), version):
            return False

        def change(now: Version) -> Version:
            return replace(now, replication="PENDING", replicated=False) if now.replication in asked.states else now

        if version.replication not in asked.states:
            return False
        try:
            await versions.amend_record(self._store, version, change, Cause(job=NAME))
        except (NoSuchVersion, NoSuchBucket):
            raise
        except S3Error as error:  # of this version alone, as where its sidecar cannot be written: others go on
            log.warning("not replicated again", bucket=version.bucket, key=version.key, error=error.message)
            return False
        return True
