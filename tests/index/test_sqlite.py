"""What only the SQLite index has: a file, several users of it, and damage."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading

import apsw
import pytest

from s3ish.index import sqlite, sqlite_file
from s3ish.index.protocol import Conflict, Damaged, Delete, IndexFailure, Layout, NewerFormat, Put, RowIs, Unavailable
from s3ish.index.sqlite import Patience, SQLiteIndex
from s3ish.index.sqlite_file import FORMAT
from s3ish.index.write_lock import WriteLock
from s3ish.tables import records
from tests.index.conftest import LAYOUTS, TABLES

END = b"\xff" * 9


async def fill(index, count=300):
    key = [b"key %d" % number for number in range(count)]
    await index.commit([Put("versions", k, records.encode_bytes("versions", k, k * 20)) for k in key])
    return key


async def read(index, keys):
    """Return what of the rows comes back whole; damage is allowed, wrong data is not."""
    whole = 0
    for key in keys:
        try:
            value = await index.get("versions", key)
            if value is None:
                continue
            assert records.decode_bytes("versions", key, value) == key * 20
        except (IndexFailure, NewerFormat):
            continue
        whole += 1
    return whole


async def test_rows_are_there_after_reopening(open_index, path):
    index = open_index()
    keys = await fill(index)
    await index.close()
    assert await read(open_index(), keys) == len(keys)


async def test_an_unclean_copy_has_every_acknowledged_commit(open_index, path, tmp_path):
    """What a power cut leaves: the file and its log, with nobody who closed them."""
    index = open_index()
    keys = await fill(index)
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{tmp_path}/copy.db{suffix}")
    assert (tmp_path / "copy.db-wal").stat().st_size > 0, "the log was merged before the copy"
    assert await read(open_index(tmp_path / "copy.db"), keys) == len(keys)


async def test_a_torn_log_has_a_prefix_of_the_commits(open_index, path, tmp_path):
    index = open_index()
    for number in range(20):
        await index.commit([Put("state", b"%02d" % number, b"x" * 3000)])
    log = (tmp_path / "index.db-wal").read_bytes()
    for length in range(0, len(log), len(log) // 15):
        shutil.copy(path, tmp_path / "torn.db")
        (tmp_path / "torn.db-wal").write_bytes(log[:length])
        torn = SQLiteIndex(tmp_path / "torn.db", LAYOUTS, durable=False)
        try:
            rows = await torn.scan("state", b"", END, 100)
        finally:
            await torn.close()
        assert [key for key, _ in rows] == [b"%02d" % number for number in range(len(rows))]


async def test_two_indexes_on_one_file_see_each_others_commits(open_index):
    first, second = open_index(), open_index()
    for number in range(50):
        value = b"%d" % number
        await first.commit([Put("state", b"a", value)])
        assert await second.get("state", b"a") == value
        await second.commit([Put("state", b"b", value)], [RowIs("state", b"a", value)])
        assert await first.scan("state", b"", END, 9) == [(b"a", value), (b"b", value)]


async def test_reads_in_one_turn_of_the_event_loop_see_one_state(open_index):
    mine, other = open_index(), open_index()
    assert await mine.get("versions", b"a") is None
    change = other.commit([Put("versions", key, b"x") for key in (b"a", b"b")])
    writer = threading.Thread(target=asyncio.run, args=(change,))
    writer.start()
    writer.join()
    assert await mine.scan("versions", b"", END, 9) == []
    assert await mine.get("versions", b"b") is None
    await asyncio.sleep(0)
    assert await mine.scan("versions", b"", END, 9) == [(b"a", b"x"), (b"b", b"x")]


async def test_what_was_read_before_is_read_again_when_anybody_has_written(open_index):
    mine, other = open_index(), open_index()
    question = ("versions", b"a", b"b", 1)
    for number, writer in enumerate((mine, other, mine, other)):
        value = None if number % 2 else b"%d" % number
        for _ in range(3):
            await writer.commit([Put("versions", b"a", value) if value else Delete("versions", b"a")])
            await asyncio.sleep(0)  # a later turn of the event loop: another snapshot
            for reader in (mine, other):
                for _ in range(2):
                    assert await reader.get("versions", b"a") == value
                    assert await reader.scan(*question) == ([(b"a", value)] if value else [])
                    assert await reader.get("buckets", b"a") is None


async def test_a_snapshot_that_cannot_begin_leaves_nothing_behind(open_index, monkeypatch):
    mine, other = open_index(), open_index()
    await other.commit([Put("state", b"a", b"1")])
    assert await mine.get("state", b"a") == b"1"
    await asyncio.sleep(0)
    await other.commit([Put("state", b"a", b"2")])
    reader = mine._reader

    class Failing:
        def execute(self, text, *bindings):
            if "data_version" in text:
                reader.execute("BEGIN")
                raise apsw.IOError("the drive fails")
            return reader.execute(text, *bindings)

    monkeypatch.setattr(mine, "_reader", Failing())
    with pytest.raises(Unavailable):
        await mine.get("state", b"a")
    assert await mine.get("state", b"a") == b"2"  # in the same turn: nothing that was read before is believed
    await asyncio.sleep(0)
    monkeypatch.undo()
    await other.commit([Put("state", b"a", b"3")])
    assert await mine.get("state", b"a") == b"3"


@pytest.mark.parametrize("value", [5, 1.5, "text"])
async def test_a_value_of_another_kind_is_damage(open_index, path, value):  # case 22
    index = open_index()
    (key,) = await fill(index, 1)
    with contextlib.closing(apsw.Connection(str(path))) as other:
        other.execute("UPDATE versions SET value=?", (value,))
    found = await index.get("versions", key)
    ((_, listed),) = await index.scan("versions", b"", END, 1)
    for each in (found, listed):
        with pytest.raises(Damaged):
            records.decode_bytes("versions", key, each)
    with pytest.raises(Damaged):
        records.decode_rows("versions", [(key, found)], dict)


async def test_what_was_read_takes_bounded_memory(open_index):
    index = open_index()
    rows = {b"%05d" % number: bytes(20_000) for number in range(1000)}
    await index.commit([Put("inline", key, value) for key, value in rows.items()])
    for _ in range(2):
        for key, value in rows.items():  # all in one snapshot
            assert await index.get("inline", key) == value
    held = index._seen._answers
    assert 300 < len(held) < sqlite._SEEN_BYTES / 20_000
    assert await index.get("inline", b"00999") is await index.get("inline", b"00999")


async def count_up(index, times):
    for _ in range(times):
        while True:
            old = await index.get("state", b"counter")
            try:
                await index.commit(
                    [Put("state", b"counter", b"%d" % (int(old or 0) + 1))], [RowIs("state", b"counter", old)]
                )
            except Conflict:
                continue
            break


async def test_no_increment_of_several_indexes_is_lost(open_index):
    indexes = [open_index() for _ in range(3)]
    await asyncio.gather(*(count_up(index, 10) for index in indexes for _ in range(4)))
    for index in indexes:
        assert await index.get("state", b"counter") == b"120"


PROCESS = """
import asyncio, sys
from pathlib import Path
from s3ish.index.protocol import Conflict, Layout, Put, RowIs
from s3ish.index.sqlite import SQLiteIndex

async def one(index):
    for _ in range(10):
        while True:
            old = await index.get("state", b"counter")
            try:
                new = Put("state", b"counter", b"%d" % (int(old or 0) + 1))
                await index.commit([new], [RowIs("state", b"counter", old)])
            except Conflict:
                continue
            break

async def main():
    index = SQLiteIndex(Path(sys.argv[1]), [Layout("state")], durable=False, contended=sys.argv[2] == "True")
    await asyncio.gather(*(one(index) for _ in range(5)))
    await index.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("contended", [False, True])
async def test_no_increment_of_several_processes_is_lost(open_index, path, contended):
    """They also make the file and its tables at the same time."""
    command = [sys.executable, "-W", "error", "-c", PROCESS, str(path), str(contended)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert await open_index().get("state", b"counter") == b"150"


async def test_a_process_that_hangs_while_it_writes_does_not_hang_the_others(path, monkeypatch):
    """Their writers are told so, reads go on, and so do writes when it is gone."""
    monkeypatch.setattr(sqlite_file, "BUSY_MILLISECONDS", 500)
    index = SQLiteIndex(path, LAYOUTS, durable=False, contended=True)
    await index.commit([Put("state", b"a", b"1")])
    hanging = WriteLock(path.with_name("index.db-queue"))
    with hanging:
        with pytest.raises(Unavailable):
            await index.commit([Put("state", b"a", b"2")])
        assert await index.get("state", b"a") == b"1"
    hanging.close()
    await index.commit([Put("state", b"a", b"3")])
    assert await index.get("state", b"a") == b"3"
    await index.close()


async def test_a_commit_that_hangs_is_told_and_reads_go_on(open_index, monkeypatch):  # case 29
    monkeypatch.setattr(sqlite_file, "BUSY_MILLISECONDS", 500)
    index, answers = open_index(), threading.Event()
    await index.commit([Put("state", b"a", b"1")])
    apply = index._apply
    monkeypatch.setattr(index, "_apply", lambda batch: answers.wait() and apply(batch))
    for _ in range(2):
        with pytest.raises(Unavailable, match="does not answer"):
            await index.commit([Put("state", b"a", b"2")])
        assert await index.get("state", b"a") == b"1"
    answers.set()
    await index.commit([Put("state", b"b", b"3")])
    assert await index.get("state", b"a") == b"2"  # it was done all the same


async def test_who_waits_too_long_is_told_in_time_and_nobody_else():
    patience, loop = Patience(0.1), asyncio.get_running_loop()
    first, quick, second, given_up = (loop.create_future() for _ in range(4))
    begun, ended = {}, {}

    def wait_for(future):
        begun[future] = loop.time()
        future.add_done_callback(lambda it: ended.update({it: loop.time()}))
        patience.wait_for(future)

    for future in (first, quick, given_up):
        wait_for(future)
    quick.set_result(None)
    given_up.cancel()
    await asyncio.sleep(0.05)
    wait_for(second)
    for future in (first, second):
        with pytest.raises(Unavailable):
            await future
        assert ended[future] - begun[future] >= 0.09
    assert quick.result() is None
    patience.wait_for(third := loop.create_future())
    patience.close()
    await asyncio.sleep(0.15)
    assert not third.done()


async def test_what_is_done_is_not_remembered():
    patience, loop = Patience(60), asyncio.get_running_loop()
    done = [loop.create_future() for _ in range(1000)]
    for future in done:
        patience.wait_for(future)
        future.set_result(None)
    assert len(patience._waiting) == 1
    patience.close()


async def test_a_queue_that_fails_is_told_and_ends_nothing(path, monkeypatch):
    """As the locks of a network file system can: nobody may wait for an answer that never comes."""
    index = SQLiteIndex(path, LAYOUTS, durable=False, contended=True)
    with monkeypatch.context() as patch:
        patch.setattr(WriteLock, "__enter__", lambda self: os.open("/nowhere/at/all", os.O_RDONLY))
        with pytest.raises(Unavailable):
            await index.commit([Put("state", b"a", b"1")])
    await index.commit([Put("state", b"a", b"2")])
    assert await index.get("state", b"a") == b"2"
    await index.close()


async def test_a_bit_that_flips_in_the_file_never_becomes_wrong_data(open_index, path, tmp_path):  # case 22
    index = open_index()
    keys = await fill(index)
    await index.close()
    whole = path.read_bytes()
    noticed = 0
    for position in range(17, len(whole), len(whole) // 150):
        broken = bytearray(whole)
        broken[position] ^= 0x04
        (tmp_path / "broken.db").write_bytes(broken)
        try:
            index = SQLiteIndex(tmp_path / "broken.db", LAYOUTS, durable=False)
        except IndexFailure:
            noticed += 1
            continue
        try:
            noticed += await read(index, keys) < len(keys)
            with contextlib.suppress(IndexFailure):
                await index.scan("versions", b"", END, 1000)
            await asyncio.sleep(0)  # the shared snapshot ends here, without a complaint
        finally:
            await index.close()
    assert noticed > 30


async def test_a_flipped_bit_in_a_row_is_damage(open_index, path):  # case 22
    index = open_index()
    (key,) = await fill(index, 1)
    value = bytearray(await index.get("versions", key))
    value[-1] ^= 1
    await index.commit([Put("versions", key, bytes(value))])
    with pytest.raises(Damaged):
        records.decode_bytes("versions", key, await index.get("versions", key))


@pytest.mark.parametrize("content", [b"not a database at all, but longer than a header " * 100, b"\0" * 8192])
def test_a_file_that_is_no_database_is_damage(path, content):  # case 22
    path.write_bytes(content)
    with pytest.raises(Damaged, match="rebuild"):
        SQLiteIndex(path, LAYOUTS)


async def test_a_truncated_file_is_damage_and_not_wrong_data(open_index, path):  # case 22
    index = open_index()
    keys = await fill(index, 2000)
    await index.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2)
    try:
        index = SQLiteIndex(path, LAYOUTS, durable=False)
    except IndexFailure:
        return
    try:
        assert await read(index, keys) < len(keys)
        with pytest.raises(IndexFailure):
            await index.scan("versions", b"", END, 5000)
    finally:
        await index.close()


async def test_after_damage_was_met_the_index_still_answers(open_index, path):  # case 22
    """A page that is broken must not make the rest unreadable, nor the reader unusable."""
    index = open_index()
    await fill(index, 2000)
    await index.commit([Put("buckets", b"b", b"here")])
    await index.close()
    connection = apsw.Connection(str(path))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name='versions'").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xee" * 4096)
    index = open_index()
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
    for _ in range(3):
        with pytest.raises(Damaged):
            await index.scan("versions", b"", END, 5000)
        await asyncio.sleep(0)
        with pytest.raises(Damaged):
            await index.scan("versions", b"", END, 5000)
        assert await index.get("buckets", b"b") == b"here"
        await asyncio.sleep(0)
    await index.commit([Put("buckets", b"c", b"too")])
    assert await index.get("buckets", b"c") == b"too"
    with pytest.raises(Damaged):
        await index.scan("versions", b"", END, 5000)
    await index.close()
    assert unheard == []


async def test_a_file_of_a_newer_release_is_refused_and_left_alone(open_index, path):  # case 146
    await open_index().close()
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA user_version={FORMAT + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}; this release reads {FORMAT}"):
        SQLiteIndex(path, LAYOUTS)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_made_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="cannot be opened"):
        SQLiteIndex(tmp_path / "no such folder" / "index.db", LAYOUTS)


def test_a_missing_right_names_the_user_that_needs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, _: place != tmp_path)
    (tmp_path / "index.db").mkdir()  # nothing that can be opened, for root either
    with pytest.raises(Unavailable, match=f"cannot be opened: .*; the user with id {os.geteuid()} needs the right"):
        SQLiteIndex(tmp_path / "index.db", LAYOUTS)


async def test_a_closed_index_takes_no_commit(open_index):
    index = open_index()
    await index.close()
    with pytest.raises(Unavailable, match="closed"):
        await index.commit([Put("state", b"a", b"b")])


async def test_closing_finishes_what_waits(open_index):
    index = open_index()
    waiting = [asyncio.create_task(index.commit([Put("state", b"%d" % number, b"v")])) for number in range(500)]
    await asyncio.sleep(0)
    await index.close()
    await asyncio.gather(*waiting)
    assert len(await open_index().scan("state", b"", END, 1000)) == 500


async def test_a_caller_that_goes_away_harms_no_other(open_index):
    index = open_index()
    tasks = [asyncio.create_task(index.commit([Put("state", b"%d" % number, b"v")])) for number in range(100)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[1::2] == [None] * 50
    await index.commit([])
    assert len(await index.scan("state", b"", END, 1000)) == 100, "a commit that was handed over happens"


async def test_a_full_disk_changes_nothing_and_passes(open_index, path):  # case 133
    index = open_index()
    await index.commit([Put("state", b"a", b"old")])
    pages = index._writer.execute("PRAGMA page_count").fetchone()[0]
    index._writer.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(Unavailable):
        await index.commit([Put("state", b"a", b"new"), Put("inline", b"big", b"x" * 100_000)])
    assert await index.get("state", b"a") == b"old"
    assert await index.get("inline", b"big") is None
    index._writer.execute("PRAGMA max_page_count=1000000")
    await index.commit([Put("state", b"a", b"new"), Put("inline", b"big", b"x" * 100_000)])
    assert await index.get("state", b"a") == b"new"


async def test_every_table_is_in_the_file(open_index, path):
    await open_index().close()
    connection = apsw.Connection(str(path))
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
    assert found == {*TABLES, "commits"}
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


async def test_an_existing_index_gets_the_tables_that_it_lacks(open_index, path):
    old = open_index()
    await old.commit([Put("state", b"a", b"b")])
    await old.close()
    index = open_index(tables=[*LAYOUTS, Layout("later", long_values=True)])
    await index.commit([Put("later", b"k", b"v")])
    assert (await index.get("state", b"a"), await index.get("later", b"k")) == (b"b", b"v")
    await index.close()
    assert await open_index().get("state", b"a") == b"b"


async def test_a_durable_index_flushes_every_commit(path):
    index = SQLiteIndex(path, LAYOUTS)
    try:
        assert index._writer.execute("PRAGMA synchronous").fetchone()[0] == 2
        await index.commit([Put("state", b"a", b"b")])
        assert await index.get("state", b"a") == b"b"
    finally:
        await index.close()


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    for ask in (sqlite_file.is_older, sqlite_file.find_damage):
        with pytest.raises(Unavailable, match=rf"^{tmp_path} cannot be opened: unable to open database file$"):
            ask(tmp_path)
