"""Marks: what one process holds, every process on the index sees, until it lets go or dies."""

import asyncio
import fcntl
import subprocess
import sys
import textwrap
import threading

import pytest

from s3ish.index.marks import Marks
from s3ish.index.protocol import Put, Unavailable
from s3ish.index.sqlite import SQLiteIndex
from tests.index.conftest import LAYOUTS

HOLDER = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from s3ish.index.sqlite import SQLiteIndex

    async def hold():
        index = SQLiteIndex(Path(sys.argv[1]), [], durable=False)
        mark = index.mark(b"name")
        print("marked", flush=True)
        sys.stdin.readline()
        mark.release()
        print("released", flush=True)
        sys.stdin.readline()

    asyncio.run(hold())
""")


def test_a_name_is_marked_until_the_last_lets_go(index):
    assert not index.is_marked(b"name")
    with index.mark(b"name") as first:
        second = index.mark(b"name")
        assert index.is_marked(b"name")
        assert not index.is_marked(b"other")
        first.release()
        first.release()
        assert index.is_marked(b"name"), "each mark counts once"
        second.release()
        assert not index.is_marked(b"name")
    assert not index.is_marked(b"name")


async def test_what_is_released_after_the_end_does_no_harm(index):
    mark = index.mark(b"name")
    await index.close()
    mark.release()
    assert not index.is_marked(b"name")


@pytest.fixture
async def two(path):
    """Two indexes on one file, as two workers have them."""
    indexes = [SQLiteIndex(path, LAYOUTS, durable=False) for _ in range(2)]
    yield indexes
    for index in indexes:
        await index.close()


def test_others_see_a_mark(two):
    first, second = two
    marks = [first.mark(b"name"), first.mark(b"name"), second.mark(b"name")]
    for mark in marks:
        assert first.is_marked(b"name")
        assert second.is_marked(b"name")
        mark.release()
    assert not first.is_marked(b"name")
    assert not second.is_marked(b"name")


async def test_the_end_of_an_index_takes_its_own_marks_back_and_no_others(path, two):
    first, second = two
    third = SQLiteIndex(path, LAYOUTS, durable=False)
    third.mark(b"third")
    second.mark(b"second")
    await third.close()
    assert not first.is_marked(b"third")
    assert first.is_marked(b"second")


@pytest.fixture
def holder(path):
    """Another process that has marked ``name``."""
    command = [sys.executable, "-W", "error", "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "marked\n"
        yield process
        process.kill()


def test_a_mark_of_another_process_is_seen_until_it_lets_go(two, holder):
    assert two[0].is_marked(b"name")
    assert not two[0].is_marked(b"other")
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"
    assert not two[0].is_marked(b"name")


def test_the_mark_of_a_process_that_was_killed_is_gone(two, holder):
    assert two[0].is_marked(b"name")
    holder.kill()
    holder.wait()
    assert not two[0].is_marked(b"name")


async def test_who_commits_and_looks_or_who_marks_and_reads_sees_the_other(two):
    """Each does both as fast as it can, while others read in every turn: never do both see nothing."""
    remover, reader = two

    async def remove(name, looked):
        await remover.commit([Put("garbage", name, b"")])
        saw = remover.is_marked(name)
        looked.set()
        return saw

    async def read(name, turns, looked):
        for _ in range(turns):
            await asyncio.sleep(0)
        with reader.mark(name):
            await asyncio.sleep(0)
            if await reader.get("garbage", name) is not None:
                return True
            await looked.wait()
            return False

    async def others_read(name, looked):
        while not looked.is_set():
            await reader.get("garbage", name)
            await asyncio.sleep(0)

    for number in range(150):
        name, looked = b"%d" % number, asyncio.Event()
        saw_mark, saw_commit, _ = await asyncio.gather(
            remove(name, looked), read(name, number % 50, looked), others_read(name, looked)
        )
        assert saw_mark or saw_commit


async def test_a_read_in_the_turn_after_the_mark_sees_what_was_committed_before_the_mark(two, path):
    """In the same turn it may see an older snapshot, which somebody else's read has begun."""
    reader, other = two
    assert await reader.get("garbage", b"name") is None

    async def commit():
        committer = SQLiteIndex(path, LAYOUTS, durable=False)
        await committer.commit([Put("garbage", b"name", b"row")])
        await committer.close()

    process = threading.Thread(target=asyncio.run, args=[commit()])
    process.start()
    process.join()  # all of it in one turn of the reader's event loop
    assert not other.is_marked(b"name")
    with reader.mark(b"name"):
        await asyncio.sleep(0)
        assert await reader.get("garbage", b"name") == b"row"


def test_a_kernel_without_locks_is_an_error(tmp_path, monkeypatch):
    marks = Marks(tmp_path / "marks")

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(Unavailable, match="No locks available"):
        marks.add(b"name")
    with pytest.raises(Unavailable, match="No locks available"):
        assert b"name" in marks
    monkeypatch.undo()
    assert b"name" not in marks, "what was refused is not remembered"
    marks.close()
