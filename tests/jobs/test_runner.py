"""One of many processes does a job, and another one takes over when it is gone."""

import asyncio

import pytest

from s3ish.index.protocol import Damaged, Put, Unavailable
from s3ish.jobs.runner import LEASE_SECONDS, Runner, Step, run_once
from s3ish.objects.store import translated
from s3ish.tables.state import JOBS

SECOND = 10**9


class Counting:
    """A job of so many steps."""

    def __init__(self, name="job", steps=3):
        self.name = name
        self.done = 0
        self._steps = steps
        self.finished = asyncio.Event()

    async def step(self):
        self.done += 1
        if self.done >= self._steps:
            self.finished.set()
            return Step(more=False, pause_seconds=3600)
        return Step(more=True)


class Failing(Counting):
    """A job that always fails."""

    async def step(self):
        self.finished.set()
        raise RuntimeError("broken")


class Never(Counting):
    """A job whose step does not end by itself."""

    ended = False

    async def step(self):
        self.finished.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.fixture
def runners(store, world):
    """Runners of two processes on one index."""
    return Runner(store, []), Runner(world.open(), [])


async def test_one_of_two_has_a_job(runners):
    first, second = runners
    assert await first.acquire(Counting())
    assert not await second.acquire(Counting())
    assert await first.acquire(Counting()), "who has it may renew it"
    assert await second.acquire(Counting("other")), "each job has its own lease"


async def test_a_lease_runs_out_and_renewal_keeps_it(runners, world):
    first, second = runners
    await first.acquire(Counting())
    world.clock.ns += (LEASE_SECONDS - 5) * SECOND
    assert not await second.acquire(Counting())
    assert await first.acquire(Counting())
    world.clock.ns += (LEASE_SECONDS - 5) * SECOND
    assert not await second.acquire(Counting())
    world.clock.ns += 6 * SECOND
    assert await second.acquire(Counting())
    assert not await first.acquire(Counting()), "who was too slow has lost it"


async def test_of_many_that_want_it_at_once_one_gets_it(store, world):
    runners = [Runner(world.open() if number % 3 == 0 else store, []) for number in range(9)]
    for _ in range(3):
        got = await asyncio.gather(*(runner.acquire(Counting()) for runner in runners))
        assert got.count(True) == 1
        world.clock.ns += (LEASE_SECONDS + 1) * SECOND


@pytest.mark.parametrize("jump_days", [-400, -1, 1, 400])
async def test_a_clock_that_jumps_stops_no_job(runners, world, jump_days):  # case 143
    first, second = runners
    await first.acquire(Counting())
    world.clock.ns += jump_days * 86_400 * SECOND
    assert await second.acquire(Counting())


async def test_a_damaged_lease_stops_no_job(runners, store):  # case 22
    await store.index.commit([Put("state", b"lease/job", b"rubbish")])
    assert await runners[0].acquire(Counting())
    assert not await runners[1].acquire(Counting())


async def test_jobs_run_until_they_have_nothing_more_to_do(store):
    jobs = [Counting("a", 5), Counting("b", 2)]
    runner = Runner(store, jobs)
    runner.start()
    await asyncio.wait_for(asyncio.gather(*(job.finished.wait() for job in jobs)), 10)
    await runner.stop()
    assert [job.done for job in jobs] == [5, 2]


async def test_a_failing_job_is_logged_and_harms_no_other(store, logged):
    jobs = [Failing("bad"), Counting("good")]
    runner = Runner(store, jobs)
    runner.start()
    await asyncio.wait_for(asyncio.gather(*(job.finished.wait() for job in jobs)), 10)
    await asyncio.sleep(0)
    await runner.stop()
    assert [(entry["event"], entry["job"]) for entry in logged] == [("job failed", "bad")]
    assert jobs[1].done == 3


async def test_what_fails_within_a_step_of_many_tasks_is_named_itself(store, logged):
    class Many(Counting):
        async def step(self):
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(self.one())

        async def one(self):
            raise Unavailable("the index is away")

    job = Many()
    runner = Runner(store, [job])
    assert await runner.acquire(job)
    await runner._step(job)
    state = JOBS.of(b"job")
    assert state.read(await state.value(store.index)).error == "Unavailable: the index is away"
    assert [(entry["event"], entry.get("error")) for entry in logged] == [("job failed", "the index is away")]


async def test_stopping_does_not_wait_for_a_step(store):
    job = Never()
    runner = Runner(store, [job])
    runner.start()
    await asyncio.wait_for(job.finished.wait(), 10)
    await asyncio.wait_for(runner.stop(), 10)
    assert job.ended


async def test_a_job_can_be_run_to_its_end_from_the_shell():
    job = Counting(steps=7)
    await run_once(job)
    assert job.done == 7


async def test_what_became_of_a_job_is_noted_and_goes_on_in_another_process(store):
    class Failing:
        name = "failing"
        steps = 0
        failed = asyncio.Event()

        async def step(self):
            self.steps += 1
            if self.steps % 2 == 0:
                self.failed.set()
                raise ValueError("the reason")
            return Step(more=True)

    for times in (1, 2):
        job = Failing()
        job.failed.clear()
        runner = Runner(store, [job])
        runner.start()
        await asyncio.wait_for(job.failed.wait(), 10)
        row = JOBS.of(b"failing")
        while (state := row.read(await row.value(store.index))) is None or state.failures < times:
            await asyncio.sleep(0.01)
        await runner.stop()
        assert (state.steps, state.failures, state.error) == (2 * times, times, "ValueError: the reason")
        assert state.next_ns > state.ended_ns


class Translated(Counting):
    """A job that meets a damaged index where errors are those of S3."""

    async def step(self):
        self.finished.set()
        with translated():
            raise Damaged("the file is damaged")


async def test_a_failure_of_the_index_is_logged_in_a_line_though_it_was_translated(store, logged):
    job = Translated("translated")
    runner = Runner(store, [], own=[job])
    runner.start()
    await asyncio.wait_for(job.finished.wait(), 10)
    await asyncio.sleep(0)
    await runner.stop()
    assert [(entry["job"], entry["error"]) for entry in logged] == [("translated", "the file is damaged")]
    assert "exc_info" not in logged[0]


class Slow(Counting):
    """A job whose steps take a while; it remembers how many ran at once."""

    running = most = 0

    async def step(self):
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return await super().step()


async def test_jobs_that_are_asked_for_take_turns_with_whoever_runs_them(store):
    first, second = Slow("first", steps=5), Slow("second")
    runner = Runner(store, [second, first])
    await asyncio.gather(runner.finish("first", "second"), runner.finish("first"), runner.finish("first"))
    assert first.done >= 5
    assert second.done == 3
    assert (first.most, second.most) == (1, 1)


class Long(Never):
    """A job whose first step ends when the test says."""

    def __init__(self):
        super().__init__("long")
        self.may_end = asyncio.Event()

    async def step(self):
        self.finished.set()
        try:
            await self.may_end.wait()
            return Step(more=False, pause_seconds=3600)
        finally:
            self.ended = True


async def test_a_step_that_takes_long_keeps_its_lease(store, world, monkeypatch):
    monkeypatch.setattr("s3ish.jobs.runner.KEEP_SECONDS", 0.01)
    job = Long()
    first, second = Runner(store, [job]), Runner(world.open(), [job])
    assert await first.acquire(job)
    step = asyncio.create_task(first._step(job))
    for _ in range(5):
        await job.finished.wait()
        world.clock.ns += (LEASE_SECONDS - 5) * SECOND
        await asyncio.sleep(0.1)
        assert not await second.acquire(job)
    job.may_end.set()
    assert await step == 3600


async def test_a_step_whose_lease_is_lost_is_cut_off(store, world, monkeypatch, logged):
    monkeypatch.setattr("s3ish.jobs.runner.KEEP_SECONDS", 0.1)
    job = Long()
    first, second = Runner(store, [job]), Runner(world.open(), [job])
    assert await first.acquire(job)
    step = asyncio.create_task(first._step(job))
    await job.finished.wait()
    world.clock.ns += (LEASE_SECONDS + 1) * SECOND  # as after a pause of the machine
    assert await second.acquire(job)
    noted = await JOBS.of(b"long").value(store.index)
    await step
    assert job.ended
    assert await JOBS.of(b"long").value(store.index) == noted, "what becomes of the job is noted by who has it"
    assert [entry["event"] for entry in logged] == ["job failed"]
