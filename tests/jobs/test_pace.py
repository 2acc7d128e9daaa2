"""What jobs leave to requests: turns while some come, and rests after them."""

import asyncio

import pytest

from s3ish.jobs.pace import Pace

SECOND = 10**9


class Watch:
    """A clock and a count of requests that the test moves."""

    def __init__(self, store, monkeypatch):
        self.now, self.requests = 1000.0, 0
        monkeypatch.setattr(store.clock, "monotonic", lambda: self.now)
        self.pace = Pace(store.index, store.clock, lambda: self.requests)

    async def most_at_once(self, count=5, since_ns=None):
        """Return how many of some turns were under way at once; each takes no time."""
        under_way = most = 0

        async def work():
            nonlocal under_way, most
            async with self.pace.turn(since_ns):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0)
                under_way -= 1

        await asyncio.gather(*(work() for _ in range(count)))
        return most


@pytest.fixture
def watch(store, monkeypatch):
    return Watch(store, monkeypatch)


async def test_jobs_have_the_machine_while_no_requests_come(watch):
    assert await watch.most_at_once() == 5
    assert watch.pace.rest_seconds == 0


async def test_turns_are_one_after_the_other_while_requests_come_and_some_time_after(watch):
    for seconds, most in ((0, 1), (2.9, 1), (0.2, 5)):
        if not seconds:
            watch.requests += 1
        watch.now += seconds
        assert await watch.most_at_once() == most


async def test_requests_have_the_machine_after_a_turn_as_long_as_it_took_and_not_for_ever(watch):
    for took, rest in ((0.1, 0.1), (30, 0.25)):
        watch.requests += 1
        async with watch.pace.turn():
            watch.now += took
        assert watch.pace.rest_seconds == pytest.approx(rest)
        watch.now += rest
        assert watch.pace.rest_seconds == 0


async def test_a_turn_that_fails_is_over_and_has_its_rest(watch):
    watch.requests += 1
    with pytest.raises(ZeroDivisionError):
        async with watch.pace.turn():
            watch.now += 0.1
            raise ZeroDivisionError
    assert watch.pace.rest_seconds == pytest.approx(0.1)
    watch.now += 0.1
    assert await watch.most_at_once() == 1


async def test_what_has_waited_for_a_minute_is_not_held_up(watch, store):
    for waited, most in ((59, 1), (61, 5)):
        watch.requests += 1
        assert await watch.most_at_once(since_ns=store.clock.now_ns() - waited * SECOND) == most


async def test_jobs_of_one_process_leave_the_machine_to_requests_to_another_one(watch, world):
    other = world.open()
    jobs = Pace(other.index, other.clock)
    for requests, after, asked in ((1, 0, True), (1, 2.9, True), (1, 0.2, False), (2, 0, True)):
        watch.requests = requests
        watch.now += after
        await watch.pace.look()
        assert jobs.is_asked is asked
