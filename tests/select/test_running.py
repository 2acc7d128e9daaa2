"""Queries as processes: their limits, how they end, and that they hold up nobody."""

import asyncio
import bz2
import gzip
import os
import sys
import time
import zlib
from itertools import repeat

import pytest

from s3ish.clock import Clock
from s3ish.errors import Busy
from s3ish.select import running
from s3ish.select.request import Csv, Json, Task
from s3ish.select.running import Counts, Failure, Records, Selects
from tests.waiting import WAIT_SECONDS

LEAST_MIB = 64


class Flow:
    """Pieces of an object; it notes whether it was closed."""

    def __init__(self, pieces):
        self._pieces, self.closed = iter(pieces), False

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        piece = next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def aclose(self):
        self.closed = True


def task_of(expression, size=1 << 40, *, seconds=float(WAIT_SECONDS), memory_mib=256, csv=None, json=None, **more):
    csv = csv or (None if json else Csv())
    return Task(expression, csv, json, Csv(), None, size, "2026-01-01T00:00:00", seconds, memory_mib, "filler", **more)


class Query:
    """A query on pieces, from its begin to its end."""

    def __init__(self, selects, task, pieces):
        self._selects, self._task, self.flow = selects, task, Flow(pieces)

    async def __aenter__(self):
        async def opened(start, stop):
            return self.flow

        self.running = await self._selects.begin(self._task, 0, opened)
        self.pid = self.running._process.pid
        return self

    async def __aexit__(self, *failure):
        await self.running.aclose()

    async def next(self):
        """Return what comes next: a machine that has much to do takes long to start a process."""
        while (outcome := await self.running.next()) is None:
            pass
        return outcome

    async def outcomes(self):
        found = []
        while True:
            outcome = await self.next()
            found.append(outcome)
            if isinstance(outcome, Failure) or (isinstance(outcome, Counts) and outcome.ended):
                return found


def failure(found):
    assert isinstance(found[-1], Failure)
    return found[-1].error


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def memory_of(pid):
    """Return the most memory that a process has had, in MiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


@pytest.fixture
def selects():
    return Selects(Clock())


async def test_a_query_ends_at_its_time_limit_and_its_process_with_it(selects):
    async with Query(
        selects, task_of("SELECT COUNT(*) FROM S3Object", seconds=1.5), repeat(b"a,b\n" * 10_000)
    ) as query:
        found = await query.outcomes()
    error = failure(found)
    assert error.code == "ExternalEvalException"
    assert "1.5 seconds" in error.message
    assert is_gone(query.pid)
    assert query.flow.closed


async def test_a_query_that_gives_nothing_gives_signs_of_life(selects, monkeypatch):
    monkeypatch.setattr(running, "PATIENCE_SECONDS", 0.05)
    waiting = asyncio.Event()

    async def opened(start, stop):
        class Slow(Flow):
            async def __anext__(self):
                await waiting.wait()
                return await super().__anext__()

        return Slow([b"a\n"])

    query = await selects.begin(task_of("SELECT * FROM S3Object"), 0, opened)
    try:
        assert await query.next() is None
        waiting.set()
        while (outcome := await query.next()) is None:
            pass
        assert outcome == Records(b"a\n")
    finally:
        await query.aclose()


@pytest.mark.parametrize("name", ["GZIP", "BZIP2"])
async def test_a_bomb_takes_time_and_no_memory(selects, name):
    packer = zlib.compressobj(9, wbits=31) if name == "GZIP" else bz2.BZ2Compressor()
    lines = b"0,0\n" * 262_144
    bomb = b"".join([*(packer.compress(lines) for _ in range(64 if name == "GZIP" else 24)), packer.flush()])
    task = task_of("SELECT COUNT(*) FROM S3Object", packed=name, seconds=3.0, memory_mib=64)
    async with Query(selects, task, repeat(bomb)) as query:
        found = await query.outcomes()
        peak = [it.processed for it in found if isinstance(it, Counts)]
    assert failure(found).code == "ExternalEvalException"
    assert max(peak, default=64 << 20) >= 32 << 20


async def test_one_line_without_end_is_refused_before_it_fills_the_memory(selects):
    packed = gzip.compress(b"x" * (64 << 20))
    for more in ({"csv": Csv()}, {"csv": Csv(header="USE")}, {"csv": Csv(comment="")}, {"json": Json()}):
        task = task_of("SELECT * FROM S3Object", packed="GZIP", memory_mib=64, **more)
        async with Query(selects, task, repeat(packed)) as query:
            found = await query.outcomes()
        assert failure(found).code in ("OverMaxRecordSize", "ExternalEvalException"), more


async def test_a_query_that_needs_more_memory_than_it_may_use_fails_alone(selects):
    long = repeat(b'"' + b"x" * 900_000 + b'",1\n', 500)
    expression = "SELECT CHAR_LENGTH(" + " || ".join(["UPPER(s._1)"] * 60) + ") FROM S3Object s"
    async with Query(selects, task_of(expression, memory_mib=32), long) as query:
        found = await query.outcomes()
    error = failure(found)
    assert error.code == "ExternalEvalException"
    assert "memory" in error.message
    async with Query(selects, task_of("SELECT * FROM S3Object"), [b"a\n"]) as query:
        assert Records(b"a\n") in await query.outcomes()


async def test_a_process_that_dies_ends_its_query_alone(selects):
    async with Query(selects, task_of("SELECT COUNT(*) FROM S3Object"), repeat(b"a,b\n" * 10_000)) as query:
        os.kill(query.pid, 11)
        found = await query.outcomes()
        assert failure(found).code == "ExternalEvalException"
    async with Query(selects, task_of("SELECT COUNT(*) FROM S3Object"), [b"a\n"]) as query:
        assert Records(b"1\n") in await query.outcomes()


async def test_an_object_that_cannot_be_read_to_its_end_gives_no_records_of_a_part(selects):
    pieces = [b"a,b\n" * 10, RuntimeError("a drive broke")]
    async with Query(selects, task_of("SELECT COUNT(*) FROM S3Object"), pieces) as query:
        found = await query.outcomes()
    assert failure(found).code == "InternalError"
    assert not any(isinstance(it, Records) for it in found)


async def test_a_client_that_leaves_takes_the_process_with_it(selects):
    async with Query(selects, task_of("SELECT * FROM S3Object"), repeat(b"a,b\n" * 10_000)) as query:
        assert isinstance(await query.next(), Records | Counts)
    assert is_gone(query.pid)
    assert query.flow.closed
    await query.running.aclose()


async def test_a_client_that_does_not_read_fills_no_memory_and_its_time_does_not_count(selects):
    task = task_of("SELECT * FROM S3Object", seconds=30.0)
    async with Query(selects, task, repeat(b"a,b\n" * 10_000, 100)) as query:
        await query.next()
        before = memory_of(query.pid)
        query.running._left = 20.0
        await asyncio.sleep(1)
        assert query.running._left == 20.0
        assert memory_of(query.pid) <= before + 100
        found = await query.outcomes()
    assert found[-1].ended
    assert found[-1].returned == 100 * 40_000


@pytest.mark.parametrize("form", [{"csv": Csv(header="USE")}, {"json": Json()}, {"json": Json(lines=False)}])
async def test_the_least_memory_that_can_be_set_is_enough_for_a_common_query(selects, form):
    pieces = repeat(b'{"a": 1}\n' * 10_000, 200)
    async with Query(selects, task_of("SELECT COUNT(*) FROM S3Object", memory_mib=LEAST_MIB, **form), pieces) as query:
        found = await query.outcomes()
    rows = 2_000_000 - (1 if "csv" in form else 0)
    assert Records(b"%d\n" % rows) in found


async def test_a_query_ends_whose_records_nobody_takes(selects):
    async with asyncio.timeout(WAIT_SECONDS):
        async with Query(selects, task_of("SELECT * FROM S3Object"), repeat(b"a,b\n" * 10_000)) as query:
            await query.next()
            while not query.running._output._paused:
                await asyncio.sleep(0.01)
        assert is_gone(query.pid)


async def test_few_queries_run_at_once_and_others_wait():
    selects = Selects(Clock(), seconds=0.5, at_once=1)
    endless = task_of("SELECT * FROM S3Object")
    async with Query(selects, endless, repeat(b"a,b\n" * 10_000)):
        with pytest.raises(Busy):
            await Query(selects, endless, []).__aenter__()
    async with Query(selects, endless, [b"a\n"]) as query:
        assert Records(b"a\n") in await query.outcomes()


async def test_a_query_that_cannot_begin_gives_its_place_back(selects, monkeypatch):
    selects = Selects(Clock(), seconds=5, at_once=1)

    async def refused(start, stop):
        raise PermissionError

    for _ in range(3):
        with pytest.raises(PermissionError):
            await selects.begin(task_of("SELECT * FROM S3Object"), 0, refused)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    for _ in range(2):
        with pytest.raises(Busy):
            await Query(selects, task_of("SELECT * FROM S3Object"), []).__aenter__()


async def test_the_event_loop_goes_on_while_a_query_works(selects):
    longest = 0.0

    async def watch():
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - began)

    watching = asyncio.ensure_future(watch())
    pieces = repeat(b"some text,12345,more\n" * 3000, 400)
    async with Query(selects, task_of("SELECT COUNT(*) FROM S3Object s WHERE s._2 = 12345"), pieces) as query:
        found = await query.outcomes()
    watching.cancel()
    assert Records(b"1200000\n") in found
    assert longest < WAIT_SECONDS / 20


async def test_the_process_knows_nothing_of_the_server(selects, monkeypatch):
    monkeypatch.setenv("S3ISH_SECRET_KEY", "the secret of the server")
    async with Query(selects, task_of("SELECT * FROM S3Object"), repeat(b"a,b\n" * 10_000)) as query:
        await query.next()
        with open(f"/proc/{query.pid}/environ", "rb") as environment:
            assert b"secret" not in environment.read()
        targets = {os.readlink(f"/proc/{query.pid}/fd/{name}") for name in os.listdir(f"/proc/{query.pid}/fd")}
        assert all(target.startswith(("pipe:", "socket:", "/dev/", "anon_inode")) for target in targets), targets
        with open(f"/proc/{query.pid}/limits") as limits:
            text = limits.read()
        assert "Max file size             0" in text
