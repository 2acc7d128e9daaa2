"""On a file system that is nearly full an index leaves room for what removes rows."""

import asyncio
import os
from types import SimpleNamespace

import pytest

from s3ish.index.protocol import Delete, IndexFull, Layout, Put, RowIs
from s3ish.index.reserve import RESERVE_BYTES
from s3ish.index.sqlite import SQLiteIndex

LAYOUTS = [Layout("messages"), Layout("state", spared=True), Layout("bytes", long_values=True)]
END = b"\xff"


@pytest.fixture
def disk(monkeypatch):
    """The file system: how many bytes are free beside the reserve, as far as anybody asks."""
    disk = SimpleNamespace(spare=1 << 40)
    size = 1 << 40
    monkeypatch.setattr(
        os, "statvfs", lambda _: SimpleNamespace(f_bavail=RESERVE_BYTES + disk.spare, f_frsize=1, f_blocks=size)
    )
    return disk


@pytest.fixture
async def index(tmp_path, disk):
    index = SQLiteIndex(tmp_path / "index.db", LAYOUTS, durable=False, reserved=True)
    await index.commit([Put("messages", b"old", b"x" * 5000)])
    yield index
    await index.close()


async def count(index):
    return len(await index.scan("messages", b"", END, 100_000))


async def test_what_adds_rows_is_refused_where_the_reserve_begins(index, disk):
    disk.spare = 1 << 20
    await index.commit([Put("messages", b"k", b"x" * 1000)])
    disk.spare = -1
    for changes in (
        [Put("messages", b"new", b"x")],
        [Put("messages", b"old", b"x" * 9000)],
        [Put("state", b"s", b"x"), Put("messages", b"new", b"x")],
    ):
        with pytest.raises(IndexFull):
            await index.commit(changes)
    assert await count(index) == 2
    disk.spare = 1 << 20
    await index.commit([Put("messages", b"new", b"x")])
    assert await count(index) == 3


async def test_what_removes_rows_or_leads_there_is_not_refused(index, disk):
    disk.spare = -RESERVE_BYTES + (1 << 20)
    await index.commit([])
    await index.commit([Put("messages", b"old", b"y" * 5100)])
    await index.commit([Put("state", b"lease", b"x")])
    await index.commit([Put("messages", b"event", b"x" * 300), Delete("messages", b"old")])
    await index.commit([Delete("messages", b"event")])
    assert await count(index) == 0


async def test_a_removal_brings_no_more_than_it_removes(index, disk):
    """An object that takes the place of another removes rows too: such would fill the drive to its last byte."""
    await index.commit([Put("bytes", b"there", b"x" * 5000)])
    disk.spare = -1
    for brought in ([Put("bytes", b"new", b"y" * 5500)], [Put("messages", b"new", b"y" * 5500)]):
        with pytest.raises(IndexFull):
            await index.commit([Delete("messages", b"old"), *brought])
    with pytest.raises(IndexFull):
        await index.commit([Put("bytes", b"short", b"x"), Delete("messages", b"none")])
    await index.commit([Delete("messages", b"old"), Put("messages", b"new", b"y" * 4990)])
    await index.commit([Delete("messages", b"new"), Put("bytes", b"there", b"y" * 5000)])
    await index.commit([Delete("bytes", b"there")])
    assert await count(index) == 0


async def test_one_that_is_refused_takes_no_other_with_it(index, disk):
    disk.spare = -1
    commits = [
        index.commit([Put("messages", b"new", b"x")]),
        index.commit([Put("state", b"s", b"x")], [RowIs("messages", b"new", None)]),
        index.commit([Delete("messages", b"old")]),
    ]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [IndexFull, type(None), type(None)]
    assert await count(index) == 0


async def test_those_of_one_transaction_share_the_room(index, disk):
    disk.spare = 1 << 20
    commits = [index.commit([Put("messages", b"%d" % number, b"x" * 100_000)]) for number in range(100)]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    done = outcomes.count(None)
    assert 0 < done < 11
    assert all(isinstance(outcome, IndexFull) for outcome in outcomes if outcome)
    assert await count(index) == 1 + done


async def test_what_stands_in_the_log_alone_will_need_room_in_the_file(index, disk):
    await index.commit([Put("messages", b"%d" % number, b"x" * 3000) for number in range(1000)])
    disk.spare = 1 << 20
    with pytest.raises(IndexFull):
        await index.commit([Put("messages", b"new", b"x")])


async def test_pages_that_are_free_in_the_file_are_room(index, disk, tmp_path):
    await index.commit([Put("messages", b"%d" % number, b"x" * 3000) for number in range(8000)])
    assert (tmp_path / "index.db").stat().st_size > 20 << 20, "nothing went from the log to the file"
    await index.commit([Delete("messages", b"%d" % number) for number in range(8000)])
    disk.spare = -(1 << 20)
    await index.commit([Put("messages", b"new", b"x" * 10_000)])


async def test_one_that_is_being_built_takes_what_there_is(tmp_path, disk):
    disk.spare = -1
    index = SQLiteIndex(tmp_path / "built.db", LAYOUTS, durable=False)
    await index.commit([Put("messages", b"new", b"x")])
    await index.close()
