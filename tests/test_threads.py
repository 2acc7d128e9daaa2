"""The door to threads: results, errors, limits, cancellation, and the end."""

import asyncio
import threading

import pytest

from s3ish.threads import GivenUp, InlinePool, OwnThread, Serial, ThreadPool, each_within, is_given_up, stop_if_given_up
from tests.waiting import WAIT_SECONDS, until


@pytest.fixture
def offload():
    offload = ThreadPool(4)
    yield offload
    offload.close()


async def test_results_and_errors_come_back_to_their_callers(offload):
    async def one(number):
        if number % 3:
            return await offload.run(divmod, number, 7)
        with pytest.raises(ZeroDivisionError):
            await offload.run(divmod, number, 0)
        return divmod(number, 7)

    assert await asyncio.gather(*map(one, range(1000))) == [divmod(number, 7) for number in range(1000)]


async def test_work_is_done_on_other_threads_and_at_most_so_many_at_once(offload):
    gate, inside, most = threading.Semaphore(0), set(), []

    def work():
        inside.add(threading.get_ident())
        most.append(len(inside))
        gate.acquire()
        inside.discard(threading.get_ident())

    running = [asyncio.ensure_future(offload.run(work)) for _ in range(10)]
    while len(inside) < 4:
        await asyncio.sleep(0)
    assert threading.get_ident() not in inside
    for _ in running:
        gate.release()
    await asyncio.gather(*running)
    assert max(most) == 4


async def test_a_cancelled_caller_goes_on_while_the_function_runs_to_its_end(offload):
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        gate.wait()
        ended.set()

    task = asyncio.ensure_future(offload.run(work))
    while not begun.is_set():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    assert await offload.run(ended.wait, 5)
    assert await offload.run(sum, [1, 2]) == 3


async def test_calls_of_a_strand_are_done_one_after_the_other(offload):
    strand, gate, seen, inside = Serial(), threading.Event(), [], []

    def work(number):
        inside.append(number)
        gate.wait(5)
        seen.append((number, len(inside), threading.get_ident()))
        inside.remove(number)
        return 1 // (number - 3)

    calls = [asyncio.ensure_future(offload.run_after(strand, work, number)) for number in range(50)]
    assert await offload.run(sum, [1, 2]) == 3, "others need not wait"
    calls[7].cancel()
    gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [(number, together) for number, together, _ in seen] == [(number, 1) for number in range(50)]
    assert len({thread for _, _, thread in seen}) == 1, "none waits for the event loop"
    assert isinstance(outcomes[3], ZeroDivisionError)
    assert isinstance(outcomes[7], asyncio.CancelledError)
    assert outcomes[4:7] + outcomes[8:] == [1, 0, 0] + [0] * 42


async def test_a_strand_goes_on_after_a_pause(offload):
    strand, seen = Serial(), []
    for number in range(200):
        await offload.run_after(strand, seen.append, number)
    assert seen == list(range(200))


async def test_strands_do_not_wait_for_each_other(offload):
    first, second, gate = Serial(), Serial(), threading.Event()
    waiting = asyncio.ensure_future(offload.run_after(first, gate.wait, 5))
    await offload.run_after(second, gate.set)
    assert await waiting


async def test_an_error_that_no_future_can_carry_is_still_an_error(offload):
    with pytest.raises(RuntimeError, match="StopIteration"):
        await offload.run(next, iter(()))
    assert await offload.run(sum, [1, 2]) == 3


@pytest.mark.parametrize("kind", ["run_brief", "run_short"])
async def test_brief_and_short_calls_take_turns_on_one_thread(offload, kind):
    order, threads = [], set()

    def work(number):
        threads.add(threading.get_ident())
        order.append(number)
        return 100 // number

    outcomes = await asyncio.gather(
        *(getattr(offload, kind)(work, number - 20) for number in range(200)), return_exceptions=True
    )
    assert order == [number - 20 for number in range(200)]
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert isinstance(outcomes.pop(20), ZeroDivisionError)
    assert outcomes == [100 // number for number in order if number]


async def test_brief_calls_do_not_wait_for_long_or_short_ones(offload):
    gate, many = threading.Event(), range(10)
    others = [asyncio.ensure_future(offload.run(gate.wait, 10)) for _ in many]
    assert await offload.run_short(sum, [1, 2]) == 3
    others += [asyncio.ensure_future(offload.run_short(gate.wait, 10)) for _ in many]
    assert await offload.run_brief(sum, [1, 2]) == 3
    gate.set()
    assert all(await asyncio.gather(*others))


def test_one_pool_serves_one_loop_after_another():
    offload = ThreadPool(2)
    for number in range(3):
        assert asyncio.run(offload.run(sum, [number, 1])) == number + 1
    offload.close()


def test_close_waits_for_what_is_running():
    offload, ended = ThreadPool(2), threading.Event()

    async def leave():
        task = asyncio.ensure_future(offload.run(ended.set))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    offload.close()
    assert ended.is_set()


async def test_inline_runs_at_once_on_the_callers_thread():
    assert await InlinePool().run(threading.get_ident) == threading.get_ident()


def test_a_lane_runs_its_function_to_the_end():
    ran = threading.Event()
    OwnThread("test", ran.set).join()
    assert ran.is_set()


async def test_a_job_that_hangs_is_given_up_and_its_thread_replaced(offload):
    begun, gate, ends = [], threading.Event(), []

    def hang():
        begun.append(threading.get_ident())
        gate.wait()
        try:
            stop_if_given_up()
        except GivenUp:
            ends.append("given up")
            raise

    hanging = [asyncio.ensure_future(offload.run(hang)) for _ in range(4)]
    await until(lambda: len(begun) == 4)
    waiting = [asyncio.ensure_future(offload.run(divmod, number, 7)) for number in range(10)]
    await until(lambda: offload._jobs.qsize() == 10)
    lost = {thread.ident for thread in offload._threads}
    for thread in lost:
        assert not is_given_up(thread)
        offload.give_up(thread)
    assert await asyncio.gather(*waiting) == [divmod(number, 7) for number in range(10)]
    for job in hanging:
        with pytest.raises(GivenUp):
            await job
    assert all(map(is_given_up, lost))
    gate.set()
    while any(map(is_given_up, lost)):
        await asyncio.sleep(0.001)
    assert ends == ["given up"] * 4
    assert await asyncio.gather(*(offload.run(sum, [number]) for number in range(20))) == list(range(20))


async def test_who_has_no_job_cannot_be_given_up(offload):
    await offload.run(sum, [1])
    threads = list(offload._threads)
    for thread in [*threads, threading.current_thread()]:
        offload.give_up(thread.ident)
        assert not is_given_up(thread.ident)
    stop_if_given_up()
    assert await offload.run(sum, [1, 2]) == 3
    assert offload._threads == threads


async def test_where_there_is_room_for_few_threads_these_do_the_work(offload, monkeypatch):
    class Scarce(threading.Thread):
        left = 4

        def start(self):
            Scarce.left -= 1
            if Scarce.left < 0:
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr("s3ish.threads.Thread", Scarce)
    assert await asyncio.gather(*(offload.run(sum, [number]) for number in range(20))) == list(range(20))
    assert len(offload._threads) == 2  # and those for brief and for short calls
    nowhere = ThreadPool(4)
    with pytest.raises(MemoryError):
        await nowhere.run(sum, [1])
    Scarce.left = 9
    assert await nowhere.run(sum, [1]) == 1
    nowhere.close()


async def test_the_end_waits_for_no_job_that_was_given_up():
    offload, begun, gate = ThreadPool(1), threading.Event(), threading.Event()

    def hang():
        begun.set()
        gate.wait()

    hanging = asyncio.ensure_future(offload.run(hang))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    offload.give_up(offload._threads[0].ident)
    with pytest.raises(GivenUp):
        await hanging
    offload.close()
    gate.set()


def test_each_is_called_at_once_and_waited_for_no_longer_than_that():
    gate, both = threading.Event(), threading.Barrier(2, timeout=WAIT_SECONDS)

    def late():
        gate.wait()
        return "late"

    outcomes = each_within(WAIT_SECONDS, [both.wait, both.wait, lambda: 1 // 0])
    assert sorted(outcomes[:2]) == [0, 1]
    assert isinstance(outcomes[2], ZeroDivisionError)
    assert [type(outcome) for outcome in each_within(0.05, [late, late])] == [TimeoutError, TimeoutError]
    gate.set()
    assert each_within(None, [threading.get_ident, late]) == [threading.get_ident(), "late"]
    assert each_within(5, []) == []
