"""The door to threads: results, errors, limits, cancellation, and the end."""

import asyncio
import threading

import pytest

from s3ish.offload import InlineOffload, Lane, Offload


@pytest.fixture
def offload():
    offload = Offload(4)
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


async def test_an_error_that_no_future_can_carry_is_still_an_error(offload):
    with pytest.raises(RuntimeError, match="StopIteration"):
        await offload.run(next, iter(()))
    assert await offload.run(sum, [1, 2]) == 3


async def test_brief_calls_take_turns_on_one_thread(offload):
    order, threads = [], set()

    def work(number):
        threads.add(threading.get_ident())
        order.append(number)
        return 100 // number

    outcomes = await asyncio.gather(
        *(offload.run_brief(work, number - 20) for number in range(200)), return_exceptions=True
    )
    assert order == [number - 20 for number in range(200)]
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert isinstance(outcomes.pop(20), ZeroDivisionError)
    assert outcomes == [100 // number for number in order if number]


async def test_brief_calls_do_not_wait_for_long_ones(offload):
    gate = threading.Event()
    long = [asyncio.ensure_future(offload.run(gate.wait, 10)) for _ in range(10)]
    assert await offload.run_brief(sum, [1, 2]) == 3
    gate.set()
    assert all(await asyncio.gather(*long))


def test_one_pool_serves_one_loop_after_another():
    offload = Offload(2)
    for number in range(3):
        assert asyncio.run(offload.run(sum, [number, 1])) == number + 1
    offload.close()


def test_close_waits_for_what_is_running():
    offload, ended = Offload(2), threading.Event()

    async def leave():
        task = asyncio.ensure_future(offload.run(ended.set))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    offload.close()
    assert ended.is_set()


async def test_inline_runs_at_once_on_the_callers_thread():
    assert await InlineOffload().run(threading.get_ident) == threading.get_ident()


def test_a_lane_runs_its_function_to_the_end():
    ran = threading.Event()
    Lane("test", ran.set).join()
    assert ran.is_set()
