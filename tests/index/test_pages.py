"""Damaged pages: whatever is damaged in the file, a row is read as it was or not at all, and never seems absent."""

import contextlib
import errno
import random
from collections import Counter

import apsw
import pytest

from s3ish.index import pages, sqlite_file
from s3ish.index.protocol import Damaged, IndexFailure, IndexFull, NewerFormat, Put, Unavailable
from s3ish.index.sqlite import SQLiteIndex
from s3ish.index.sqlite_file import FORMAT
from tests.index.conftest import LAYOUTS

pytestmark = pytest.mark.slow

END = b"\xff" * 9
PAGE = 4096
ROWS = {b"key %04d" % number: random.Random(number).randbytes(number % 700) for number in range(2000)}


class Told:
    """A monitor that remembers failures."""

    def __init__(self):
        self.failures = []

    def begin(self, commits):
        pass

    def end(self, conflicts, failures):
        pass

    def fail(self, *, damaged):
        self.failures.append(damaged)


async def fill(path):
    index = SQLiteIndex(path, LAYOUTS, durable=False)
    for table in ("versions", "inline"):
        await index.commit([Put(table, key, value) for key, value in ROWS.items()])
    await index.close()


async def count_whole(path):
    """Return how many rows come back; any that seems to be absent or is another one is a failure."""
    whole = 0
    try:
        index = SQLiteIndex(path, LAYOUTS, durable=False)
    except IndexFailure:
        return 0
    try:
        for table in ("versions", "inline"):
            for key, value in ROWS.items():
                with contextlib.suppress(IndexFailure):
                    assert await index.get(table, key) == value, f"{key} seems to be absent or is another one"
                    whole += 1
        for start in (b"", *list(ROWS)[::200]):
            with contextlib.suppress(IndexFailure):
                found = await index.scan("versions", start, END, 3000)
                assert found == [row for row in ROWS.items() if row[0] >= start]
    finally:
        await index.close()
    return whole


def zero(data, at):
    data[at : at + PAGE] = bytes(len(data[at : at + PAGE]))


def flip(data, at):
    data[at] ^= 0x10


def fill_with_noise(data, at):
    data[at : at + 512] = random.Random(at).randbytes(len(data[at : at + 512]))


@pytest.mark.parametrize("damage", [zero, flip, fill_with_noise])
@pytest.mark.parametrize("within", [0, 512, 1024, 2048, 3584, 4088])
async def test_a_damaged_page_is_an_error_and_never_an_absence(path, damage, within):  # case 157
    await fill(path)
    data = path.read_bytes()
    assert len(data) > 300 * PAGE
    noticed = 0
    for number in range(0, len(data) // PAGE - 1, 83):
        broken = bytearray(data)
        damage(broken, number * PAGE + within)
        path.write_bytes(broken)
        noticed += await count_whole(path) < 2 * len(ROWS)
    assert noticed > 3


async def test_the_byte_that_says_that_pages_have_checksums_cannot_switch_them_off(path):  # case 157
    await fill(path)
    data = bytearray(path.read_bytes())
    assert data[20] == pages.CHECKSUM_BYTES
    for value in (0, 9, 255):
        data[20] = value
        path.write_bytes(data)
        with pytest.raises(Damaged, match="s3ish index rebuild"):
            SQLiteIndex(path, LAYOUTS, durable=False)


async def test_a_file_that_was_cut_is_damage(path):  # case 157
    await fill(path)
    data = path.read_bytes()
    for size in (PAGE, 10 * PAGE + 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        assert await count_whole(path) == 0


async def test_a_log_damaged_under_its_writer_is_an_error(path):
    index = SQLiteIndex(path, LAYOUTS, durable=False)
    await index.commit([Put("versions", key, value) for key, value in ROWS.items()])
    path.with_name("index.db-wal").write_bytes(b"")
    index._reader.execute("PRAGMA shrink_memory")
    with pytest.raises(Damaged):
        await index.scan("versions", b"", END, 3000)
    await index.close()


async def test_damage_is_told_to_the_monitor(path):
    await fill(path)
    data = bytearray(path.read_bytes())
    for number in range(20, len(data) // PAGE - 1):
        zero(data, number * PAGE + 512)
    path.write_bytes(data)
    index = SQLiteIndex(path, LAYOUTS, durable=False, monitor=(told := Told()))
    with pytest.raises(Damaged, match="The next start of a server rebuilds it"):
        await index.scan("versions", b"", END, 3000)
    with pytest.raises(Damaged):
        await index.commit([Put("versions", key, b"") for key in ROWS])
    with pytest.raises(Damaged):
        await index.verify()
    assert told.failures == [True] * 3
    await index.close()


async def test_looking_through_the_whole_finds_pages_that_changed_places(path):
    await fill(path)
    index = SQLiteIndex(path, LAYOUTS, durable=False)
    await index.verify()
    await index.close()
    assert sqlite_file.find_damage(path) == ""
    data = bytearray(path.read_bytes())
    one, other = 100 * PAGE, 200 * PAGE
    data[one : one + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[one : one + PAGE]
    path.write_bytes(data)
    assert sqlite_file.find_damage(path)
    index = SQLiteIndex(path, LAYOUTS, durable=False)
    with pytest.raises(Damaged):
        await index.verify()
    await index.close()


def leaves(path):
    """Return where the pages with rows of ``versions`` are, in the order of their keys."""
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        query = "SELECT pageno - 1 FROM dbstat WHERE name='versions' AND pagetype='leaf' ORDER BY path"
        return [number * PAGE for (number,) in connection.execute(query)]


async def test_a_walk_over_pages_that_changed_places_ends_and_sees_no_row_before_its_start(path):  # case 157
    """SQLite finds the first page by the order of keys and then goes on from page to page."""
    await fill(path)
    whole, places, outcomes = path.read_bytes(), leaves(path), Counter()
    for first, second in ((1, 2), (0, 20), (5, 40)):
        data = bytearray(whole)
        one, other = places[first], places[second]
        data[one : one + PAGE], data[other : other + PAGE] = whole[other : other + PAGE], whole[one : one + PAGE]
        path.write_bytes(data)
        for limit in range(1, 60):
            index = SQLiteIndex(path, LAYOUTS, durable=False)
            start, steps = b"", 0
            try:
                while rows := await index.scan("versions", start, END, limit):
                    assert rows[0][0] >= start
                    start, steps = rows[-1][0] + b"\0", steps + 1
                    assert steps <= len(ROWS), "it goes round in circles"
                outcomes["ended"] += 1
            except Damaged:
                outcomes["damaged"] += 1
            await index.close()
    assert outcomes["damaged"] > 50


@pytest.fixture
async def old(path, monkeypatch):
    """An index of the first format."""
    with monkeypatch.context() as patch:
        patch.setattr(pages, "reserve", lambda _: None)
        patch.setattr(sqlite_file, "FORMAT", 1)
        patch.setattr(pages, "are_verified", lambda _: True)
        await fill(path)
    assert path.read_bytes()[20] == 0
    assert sqlite_file.is_older(path)
    return path


async def test_an_index_of_the_first_format_is_used_as_it_is(old):
    assert await count_whole(old) == 2 * len(ROWS)
    assert sqlite_file.is_older(old)


async def test_an_index_of_the_first_format_gets_checksums(old, tmp_path):
    sqlite_file.renew(old, tmp_path / "fresh.db")
    data = (tmp_path / "fresh.db").read_bytes()
    assert data[20] == pages.CHECKSUM_BYTES
    assert not sqlite_file.is_older(tmp_path / "fresh.db")
    assert await count_whole(tmp_path / "fresh.db") == 2 * len(ROWS)
    broken = bytearray(data)
    zero(broken, len(data) // 2 // PAGE * PAGE + 512)
    (tmp_path / "fresh.db").write_bytes(broken)
    assert await count_whole(tmp_path / "fresh.db") < 2 * len(ROWS)


async def test_a_file_that_cannot_be_made_is_a_failure_of_the_index(old, tmp_path, monkeypatch):
    with pytest.raises(Unavailable):
        sqlite_file.find_damage(tmp_path / "nowhere" / "index.db")
    with pytest.raises(Unavailable):
        sqlite_file.renew(old, tmp_path / "nowhere" / "fresh.db")

    def fill_up(_):
        raise OSError(errno.ENOSPC, "no inode is left")

    monkeypatch.setattr(sqlite_file, "keep_private", fill_up)
    with pytest.raises(IndexFull):
        sqlite_file.renew(old, tmp_path / "fresh.db")


async def test_damage_is_not_given_checksums(old, tmp_path):
    data = bytearray(old.read_bytes())
    for number in range(20, len(data) // PAGE - 1, 10):
        zero(data, number * PAGE + 512)
    old.write_bytes(data)
    with pytest.raises(Damaged):
        sqlite_file.renew(old, tmp_path / "fresh.db")


async def test_a_newer_format_is_refused(path):
    await fill(path)
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.pragma("user_version", FORMAT + 1)
    with pytest.raises(NewerFormat):
        SQLiteIndex(path, LAYOUTS)
