"""Carrying out lifecycle rules: a pass over the buckets that have some, once a day of service time.

A pass begins when a day has begun, or the rules of any bucket have changed. Where it is stands in the index, so that it
goes on after a restart, in whichever process. All that it removes goes the way that a client's requests go: locks hold,
and what was overwritten meanwhile stays. After a jump of the machine's clock nothing is removed for an hour, so that
it may be set right.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple
from zlib import crc32

import structlog
from msgspec.structs import replace

from s3ish.errors import AccessDenied, InternalError, NoSuchBucket, NoSuchKey, NoSuchUpload, PreconditionFailed
from s3ish.index.protocol import Conflict, Damaged
from s3ish.jobs.runner import Step
from s3ish.model import Bucket, Upload, Version
from s3ish.objects import lifecycle
from s3ish.objects.conditions import UNCONDITIONAL, WriteConditions
from s3ish.objects.consequences import LIFECYCLE as NAME
from s3ish.objects.consequences import Cause
from s3ish.objects.delete import delete_object
from s3ish.objects.lifecycle import Due, Rule
from s3ish.objects.multipart import abort_upload
from s3ish.objects.store import Store
from s3ish.objects.transition import move_version
from s3ish.tables import keys
from s3ish.tables.catalogue import BUCKETS, UPLOADS, VERSIONS
from s3ish.tables.state import LIFECYCLE, LifecycleProgress

log = structlog.get_logger()

_ROWS_A_STEP = 100
_UPLOADS_A_STEP = 20
"""Each may have 10,000 parts."""
_ROWS_A_TURN = 10
"""After so many rows the event loop has its turn: to look at one takes 8 microseconds, to remove one much longer."""
_RESTS = 9
"""So many times as long as a step took, requests have the machine before the next one."""
_NOTED_SECONDS = 1.0
"""How often it is noted where a pass is: each time is a flush, and what was looked at since is looked at once more."""
_SURVEY_RESTS = 100
"""The same between two looks at the rules of all buckets."""
_CAUSE = Cause(job=NAME)
_LONGEST_PAUSE_SECONDS = 5.0
_JUMP_SECONDS = 3600.0
"""How far the clock must move at once to be doubted, and for how long it is."""
_STAYS = (AccessDenied, NoSuchBucket, NoSuchKey, NoSuchUpload, PreconditionFailed)
"""What a removal may meet: a lock, or a client that was faster."""


_UPLOADS, _NEXT = "uploads", "next"


@contextmanager
def _kept(record: Version | Upload) -> Iterator[None]:
    """Leave alone what cannot go, or beside which a row is damaged: that holds up nothing else."""
    try:
        yield
    except _STAYS:
        pass
    except (Damaged, InternalError) as error:
        damage = str(error.__cause__ or error)
        log.warning("a lifecycle rule is not carried out", bucket=record.bucket, key=record.key, error=damage)


class _Place(NamedTuple):
    """Where a pass is now, and where it was when that was noted in the index."""

    now: LifecycleProgress
    noted: bytes | None
    since: float


class _Survey:
    """A look at the rules of all buckets, some at a time.

    ``seconds`` is how long it has taken so far.
    """

    def __init__(self, store: Store, rules_of: Callable[[Bucket], Sequence[Rule]], day_ns: int) -> None:
        self._store, self._rules_of, self._day_ns = store, rules_of, day_ns
        self._start, self._rules, self._first = b"", 0, ""
        self.seconds = 0.0

    async def go_on(self) -> bool:
        """Look at the next buckets; return whether these were all."""
        began = self._store.clock.monotonic()
        rows = await BUCKETS.rows(self._store.index, self._start, keys.END, _ROWS_A_STEP)
        for row in rows:
            with suppress(Damaged):  # it is reported, and repair is another job's
                bucket = self._store.hold(BUCKETS, *row).record
                if rules := self._rules_of(bucket):
                    self._first = self._first or bucket.name
                    self._rules = crc32(repr((bucket.name, bucket.created_ns, rules)).encode(), self._rules)
            self._start = keys.after(row[0])
        self.seconds += self._store.clock.monotonic() - began
        return len(rows) < _ROWS_A_STEP

    def begin(self, last: LifecycleProgress) -> LifecycleProgress:
        """Return the beginning of a pass, or the last one if none is due."""
        day = self._store.clock.service_ns() // self._day_ns
        if (day, self._rules) == (last.day, last.rules):
            return last
        return LifecycleProgress(day, self._rules, self._first)


class LifecycleJob:
    """Removes and moves what lifecycle rules say.

    Args:
        store: the engines.
        rules_of: returns the rules of a bucket that are enabled.
    """

    name = NAME

    def __init__(self, store: Store, rules_of: Callable[[Bucket], Sequence[Rule]]) -> None:
        self._store, self._rules_of = store, rules_of
        self._day_ns = store.clock.service.day_ns
        self._ahead, self._doubted_until = self._clock_ahead(), -math.inf
        self._survey = _Survey(store, rules_of, self._day_ns)
        self._at: _Place | None = None
        self._rest = Step(more=False, pause_seconds=min(_LONGEST_PAUSE_SECONDS, self._day_ns / 1e10))

    async def step(self) -> Step:
        """Look at the next rows of a pass, or at the next buckets, to learn whether one is due."""
        if not self._is_clock_steady():
            return self._rest
        began = self._store.clock.monotonic()
        at = self._at or await self._read()
        if at.now.bucket:
            after = await self._go_on(at.now)
        else:
            if not await self._survey.go_on():
                return self._step(began)
            done, self._survey = self._survey, _Survey(self._store, self._rules_of, self._day_ns)
            after = done.begin(at.now)
            if after == at.now:
                self._at = None
                return Step(more=False, pause_seconds=max(self._rest.pause_seconds, _SURVEY_RESTS * done.seconds))
        self._at = at._replace(now=after)
        if after.bucket == at.now.bucket and began < at.since + _NOTED_SECONDS:
            return self._step(began)
        self._at = None
        try:
            await self._store.index.commit([LIFECYCLE.put(after)], [LIFECYCLE.expect(at.noted)])
        except Conflict:
            return self._rest
        return self._step(began)

    async def _read(self) -> _Place:
        value = await LIFECYCLE.value(self._store.index)
        return _Place(LIFECYCLE.read(value) or LifecycleProgress(), value, self._store.clock.monotonic())

    def _step(self, began: float) -> Step:
        """Return the outcome of a step that began at a time, and after which there is more to do."""
        return Step(more=True, rest_seconds=_RESTS * (self._store.clock.monotonic() - began))

    def _clock_ahead(self) -> float:
        """Return how far machine time is ahead of the clock that never jumps, in seconds."""
        return self._store.clock.now_ns() / 1e9 - self._store.clock.monotonic()

    def _is_clock_steady(self) -> bool:
        ahead, now = self._clock_ahead(), self._store.clock.monotonic()
        if abs(ahead - self._ahead) > _JUMP_SECONDS:
            log.warning("the clock has jumped, lifecycle rules wait for an hour", seconds=round(ahead - self._ahead))
            self._ahead, self._doubted_until = ahead, now + _JUMP_SECONDS
        return now >= self._doubted_until

    async def _go_on(self, at: LifecycleProgress) -> LifecycleProgress:
        """Look at some rows of a bucket. Returns where the pass is then."""
        if at.stage == _NEXT:
            return await self._find_next(at)
        held = None
        with suppress(Damaged):
            held = await self._store.find_bucket(at.bucket)
        rules = self._rules_of(held.record) if held else ()
        if not held or not rules:
            return replace(at, stage=_NEXT)
        first, stop = keys.prefix_range(keys.object_key(at.bucket, ""))
        start = keys.after(at.row) if at.row else first
        if at.stage == _UPLOADS:
            uploads = await UPLOADS.rows(self._store.index, start, stop, _UPLOADS_A_STEP)
            for row in uploads:
                with suppress(Damaged):
                    await self._end_upload(rules, self._store.hold(UPLOADS, *row).record)
            return replace(at, row=uploads[-1][0]) if uploads else replace(at, stage=_NEXT)
        rows = await VERSIONS.rows(self._store.index, start, stop, _ROWS_A_STEP)
        for number, row in enumerate(rows, 1):
            at = await self._look(held.record, rules, at, row)
            if number % _ROWS_A_TURN == 0:
                await asyncio.sleep(0)
        return at if rows else LifecycleProgress(at.day, at.rules, at.bucket, stage=_UPLOADS)

    async def _find_next(self, at: LifecycleProgress) -> LifecycleProgress:
        """Look for a bucket with rules among those that follow."""
        rows = await BUCKETS.rows(self._store.index, keys.after(at.bucket.encode()), keys.END, _ROWS_A_STEP)
        for row in rows:
            with suppress(Damaged):
                bucket = self._store.hold(BUCKETS, *row).record
                if self._rules_of(bucket):
                    return LifecycleProgress(at.day, at.rules, bucket.name)
        last = rows[-1][0].decode(errors="replace") if rows else ""
        return LifecycleProgress(at.day, at.rules, last, stage=_NEXT if last else "")

    async def _look(
        self, bucket: Bucket, rules: Sequence[Rule], at: LifecycleProgress, row: tuple[bytes, bytes]
    ) -> LifecycleProgress:
        """Remove a version if it is due."""
        at = replace(at, row=row[0])
        try:
            (version,) = self._store.decode_rows(VERSIONS, [row])  # none is kept: what requests read would go for it
        except Damaged:
            return at
        latest = version.key != at.key
        newer = 0 if latest else at.newer
        now_ns = self._store.clock.service_ns()
        if latest:
            storage_class = lifecycle.transition(rules, version, self._day_ns, now_ns)
            stays = bucket.versioning == "Enabled" or (bucket.versioning and version.id != "null")
            if (storage_class and stays) or not await self._expire(bucket, rules, version):
                await self._move(version, storage_class)
        else:
            covered = at.made_ns, newer - 1, self._day_ns
            due = lifecycle.noncurrent_expiry(rules, version, *covered)
            if due and due.at_ns <= now_ns:
                await self._remove(bucket, version, version.id, due)
            else:
                await self._move(version, lifecycle.noncurrent_transition(rules, version, *covered, now_ns))
        return replace(at, key=version.key, newer=newer + 1, made_ns=version.modified_ns)

    async def _move(self, version: Version, storage_class: str) -> None:
        """Move a version to a class, if one is named."""
        if storage_class:
            with _kept(version):
                if await move_version(self._store, version, storage_class, _CAUSE):
                    log.info("moved", bucket=version.bucket, key=version.key, version=version.id, to=storage_class)

    async def _expire(self, bucket: Bucket, rules: Sequence[Rule], version: Version) -> bool:
        """Remove or cover a current version if it is due, which it returns."""
        due = lifecycle.expiry(rules, version, self._day_ns)
        if due is None or due.at_ns > self._store.clock.service_ns():
            return False
        if not version.marker:
            await self._remove(bucket, version, None, due)
        else:
            with _kept(version):
                if len(await self._store.newest(version.bucket, version.key, 2)) == 1:
                    await self._remove(bucket, version, version.id, due)
        return True

    async def _remove(self, bucket: Bucket, version: Version, version_id: str | None, due: Due) -> None:
        same = WriteConditions(if_match=version.etag, if_match_size=version.size, if_match_modified=version.modified_ns)
        conditions = UNCONDITIONAL if version.marker else same
        with _kept(version):
            done = await delete_object(
                self._store,
                bucket.name,
                version.key,
                version_id,
                owner=bucket.owner,
                conditions=conditions,
                cause=_CAUSE,
                below=due.below,
            )
            log.info(
                "expired", bucket=bucket.name, key=version.key, version=version.id, rule=due.rule, marker=done.made
            )

    async def _end_upload(self, rules: Sequence[Rule], upload: Upload) -> None:
        due = lifecycle.upload_expiry(rules, upload, self._day_ns)
        if due and due.at_ns <= self._store.clock.service_ns():
            with _kept(upload):
                await abort_upload(self._store, upload.bucket, upload.key, upload.id)
                log.info("aborted", bucket=upload.bucket, key=upload.key, upload=upload.id, rule=due.rule)
