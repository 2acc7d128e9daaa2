"""Background work: a job does one bounded step at a time, the runner decides when and where.

Every worker process has a runner, and a lease in the index lets one of them at a time do a job. Steps are short, so
that stopping never waits long.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import structlog

from s3ish.errors import S3Error
from s3ish.index.protocol import Change, Conflict, IndexFailure
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.tables.state import JOBS, LEASES, JobState, Lease

log = structlog.get_logger()

LEASE_SECONDS = 30
"""How long a job belongs to a process that has stopped renewing its lease."""
_RENEW_SECONDS = 5
"""How old a lease may be when a step begins: to renew it for each of many short steps would be a flush each."""
KEEP_SECONDS = 10.0
"""How often a lease is renewed during a step that takes long: a large object is sent to another server in one."""
_ASK_SECONDS = 5
"""How often a process asks for a job that another one has."""
_NOTED_SECONDS = 10
"""What has become of a job is noted with its lease, and at once when it rests for so long."""
_MOST_ERROR = 200
_MOST_LEASES = 10_000

_START_SECONDS = 0.5
"""How long the jobs let requests go first that came while the server was starting."""


class LeaseLost(IndexFailure):
    """A step was cut off, because another process has the job by now."""


class Step(NamedTuple):
    """The outcome of one step: whether there is more to do now, and if not, when to look again.

    Before more is done the requests have the machine for ``rest_seconds``.
    """

    more: bool
    pause_seconds: float = 60.0
    rest_seconds: float = 0.0


class Job(Protocol):
    """Background work that can be done a step at a time."""

    @property
    def name(self) -> str:
        """Its name on the command line and in the log."""

    async def step(self) -> Step:
        """Do one bounded unit of work."""


class Runner:
    """Runs the jobs of one process.

    Args:
        store: the engines; leases stand in its index.
        jobs: of which one process of many runs each.
        own: what every process runs for itself, without a lease.
        observer: notified of each step.
    """

    def __init__(
        self, store: Store, jobs: Sequence[Job], own: Sequence[Job] = (), observer: Observer | None = None
    ) -> None:
        self._store = store
        self._observer = observer
        self._states: dict[str, JobState] = {}  # of the jobs that this process has or had
        self._jobs = jobs
        self._own = own
        self._holder = store.clock.token()
        self._tasks: list[asyncio.Task[None]] = []
        self._renewed: dict[str, float] = {}  # when each lease was, in seconds of the monotonic clock
        self._turns = {job.name: asyncio.Lock() for job in (*jobs, *own)}  # one step of a job at a time

    def start(self) -> None:
        """Begin running all jobs."""
        self._tasks = [asyncio.create_task(self._run(job), name=f"job {job.name}") for job in (*self._jobs, *self._own)]

    async def stop(self) -> None:
        """Stop between steps, or in the middle of one: a step that is cut off is done again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._give_back()

    async def finish(self, *names: str) -> None:
        """Run jobs now, one after the other, each until it has nothing more to do. What else runs them takes turns."""
        for job in (job for name in names for job in self._jobs if job.name == name):
            while (await self._in_turn(job)).more:
                pass

    async def _in_turn(self, job: Job) -> Step:
        async with self._turns[job.name]:
            return await job.step()

    async def _keeping(self, job: Job) -> Step:
        """Do a step, and renew the lease meanwhile. Raises LeaseLost."""
        step = asyncio.ensure_future(self._in_turn(job))
        try:
            while not (await asyncio.wait({step}, timeout=KEEP_SECONDS))[0]:
                if job not in self._own and not await self.acquire(job):
                    raise LeaseLost("another process has the job")
            return await step
        finally:
            if not step.done():
                step.cancel()
                await asyncio.gather(step, return_exceptions=True)

    async def _give_back(self) -> None:
        """End the leases that this process has, so that another one need not wait for their end."""
        for name in self._renewed:
            row = LEASES.of(name.encode())
            with contextlib.suppress(IndexFailure):
                value = await row.value(self._store.index)
                lease = row.read(value)
                if lease and lease.holder == self._holder:
                    await self._store.index.commit([row.drop(), *self._noted(name)], [row.expect(value)])

    async def _run(self, job: Job) -> None:
        await asyncio.sleep(_START_SECONDS)
        while True:
            pause: float = _ASK_SECONDS
            try:
                if job in self._own or self._has(job) or await self.acquire(job):
                    pause = await self._step(job)
            except IndexFailure as error:
                log.error("job failed", job=job.name, error=str(error))
                pause = LEASE_SECONDS
            await asyncio.sleep(pause)

    async def _step(self, job: Job) -> float:
        """Do a step; return how long to pause after it, in seconds. Raises IndexFailure."""
        clock, error = self._store.clock, ""
        began = clock.monotonic()
        try:
            outcome = await self._keeping(job)
            pause = outcome.rest_seconds if outcome.more else outcome.pause_seconds
        except Exception as raised:
            failure = _first(raised)
            if isinstance(failure, IndexFailure | S3Error):  # of the index, as it is or as callers of S3 see it
                log.error("job failed", job=job.name, error=str(failure.__cause__ or failure))
            else:
                log.exception("job failed", job=job.name, exc_info=failure)
            pause, error = LEASE_SECONDS, f"{type(failure).__name__}: {failure}"[:_MOST_ERROR]
        took = clock.monotonic() - began
        if self._observer:
            self._observer.job_step(job.name, took, failed=bool(error))
        if before := self._states.get(job.name):  # none of one that every process runs, or that another one has by now
            now = clock.now_ns()
            self._states[job.name] = JobState(
                steps=before.steps + 1,
                failures=before.failures + bool(error),
                seconds=before.seconds + took,
                ended_ns=now,
                next_ns=now + int(pause * 1e9),
                error=error,
            )
            if pause >= _NOTED_SECONDS:
                await self._store.index.commit(self._noted(job.name))
        return pause

    def _noted(self, name: str) -> list[Change]:
        """Return the changes that note what has become of a job."""
        state = self._states.get(name)
        return [JOBS.of(name.encode()).put(state)] if state else []

    def _has(self, job: Job) -> bool:
        """Whether this process took or renewed the lease of a job a moment ago."""
        at = self._renewed.get(job.name)
        return at is not None and self._store.clock.monotonic() - at < _RENEW_SECONDS

    async def acquire(self, job: Job) -> bool:
        """Take or renew the lease of a job; tell whether this process has it now."""
        row = LEASES.of(job.name.encode())
        self._renewed.pop(job.name, None)
        now = self._store.clock.now_ns()
        value = await row.value(self._store.index)
        until = now + LEASE_SECONDS * 1_000_000_000
        if self._is_held_elsewhere(row.read(value), now, until):
            self._states.pop(job.name, None)  # it goes on there
            return False
        if job.name not in self._states:
            noted = JOBS.of(job.name.encode())
            self._states[job.name] = noted.read(await noted.value(self._store.index)) or JobState()
        with contextlib.suppress(Conflict):
            mine = row.put(Lease(self._holder, until))
            await self._store.index.commit([mine, *self._noted(job.name)], [row.expect(value)])
            self._renewed[job.name] = self._store.clock.monotonic()
            return True
        return False

    def _is_held_elsewhere(self, lease: Lease | None, now: int, longest: int) -> bool:
        """Whether another process has a lease; one longer than any that is given is from before a jump of the clock."""
        return lease is not None and lease.holder != self._holder and now < lease.until_ns <= longest


def _first(failure: Exception) -> Exception:
    """Return what failed, the first of several tasks that did."""
    return _first(failure.exceptions[0]) if isinstance(failure, ExceptionGroup) else failure


async def end_leases(store: Store) -> list[Change]:
    """Return the changes that end all leases: at the start of a server no process has a job."""
    return [LEASES.of(name).drop() for name, _ in await LEASES.family(store.index, _MOST_LEASES)]


async def run_once(job: Job) -> int:
    """Run a job from the shell until it has nothing more to do; return its steps."""
    steps = 1
    while (await job.step()).more:
        steps += 1
    return steps
