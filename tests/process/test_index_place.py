"""Where an index is need not be a file: a server is made ready with one that is in memory."""

import asyncio
import pickle
from pathlib import Path

import pytest

from s3ish import config_sources, engines
from s3ish.clock import Clock
from s3ish.index.memory import MemoryIndex
from s3ish.index.protocol import IndexFull
from s3ish.index.sqlite_place import SQLitePlace
from s3ish.model import Owner
from s3ish.objects import buckets
from s3ish.process import index_place, start
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import SET, STATE, UNCLEAN

OWNER = Owner("id", "name")


class MemoryPlace:
    """A place that knows no path."""

    volume = ""

    def __init__(self):
        self.index, self._draft = None, None

    def is_blank(self):
        return self.index is None

    def open(self, tables, *, first=0, **_):
        if self.index is None:
            self.index = MemoryIndex(tables)
        self.index.commits = max(self.index.commits, first)
        return self.index

    def peek(self, table, key):
        return self.index._rows[table].values.get(key)

    def find_damage(self):
        return ""

    def renew(self):
        pass

    def draft(self):
        self._draft = MemoryPlace()
        return self._draft

    def take_draft(self):
        self.index = self._draft.index

    def set_aside(self):
        pass

    def remove(self):
        self.index = None


@pytest.fixture
def settings(tmp_path):
    return config_sources.load({"storage.volumes": [str(tmp_path / "volume")], "storage.fsync": False}, {})


async def make_bucket(store):
    await buckets.create_bucket(store, "b", OWNER, "us-east-1")


async def names(store):
    found, _ = await buckets.list_buckets(store, OWNER, "", "", 10)
    return [bucket.name for bucket in found]


def test_a_server_begins_with_an_index_in_memory_and_builds_it_when_it_is_lost(settings, monkeypatch):
    place = MemoryPlace()
    monkeypatch.setattr(start, "set_up_logs", lambda *_: None)
    monkeypatch.setattr(start, "places", lambda *_: [place])

    def look(action):
        async def within():
            volumes = engines.open_volumes(settings, Clock(), create=False)
            async with index_place.opened(settings, volumes, place, Clock()) as store:
                return await action(store)

        return asyncio.run(within())

    with start.prepare(settings, Clock()) as preparation:
        assert preparation.index is place
        assert place.peek(STATE.name, UNCLEAN.key)
        look(make_bucket)
    assert place.peek(STATE.name, UNCLEAN.key) is None
    place.remove()
    with start.prepare(settings, Clock()):
        assert place.peek(STATE.name, SET.key)
        assert look(names) == ["b"]


def test_commits_of_a_server_do_not_make_the_index_old_that_a_command_opens(settings, monkeypatch):
    """It tells the volumes of its commits all the time, so also between the moments at which a command reads both."""
    make_store = index_place.make_store

    def make(settings, volumes, place, clock):
        store = make_store(settings, volumes, place, clock)
        volumes.write_commits(store.index.commits + 10, 0)
        return store

    async def look():
        async with index_place.beside(settings, Clock()) as store:
            return await names(store)

    monkeypatch.setattr(start, "set_up_logs", lambda *_: None)
    with start.prepare(settings, Clock()):
        monkeypatch.setattr(index_place, "make_store", make)
        assert asyncio.run(look()) == []


def test_a_file_is_a_place_that_can_be_compared_and_sent():
    place = SQLitePlace(Path("/there/.s3ish/index.db"), "/there")
    assert pickle.loads(pickle.dumps(place)) == place
    assert len({place, SQLitePlace(place.path), SQLitePlace(place.path)}) == 2
    assert str(place) == "/there/.s3ish/index.db"


async def test_a_draft_takes_the_place_of_what_was_there(tmp_path):
    place = SQLitePlace(tmp_path / "folder" / "index.db")
    for content in (b"first", b"second"):
        index = place.draft().open(TABLES.layouts, durable=False)
        await index.commit([SET.put(content)])
        await index.close()
        place.take_draft()
        assert place.peek(STATE.name, SET.key) == content
    assert [path.name for path in place.path.parent.iterdir()] == ["index.db"]


async def test_only_what_is_on_no_volume_is_set_aside(tmp_path):
    for name, volume in (("chosen", ""), ("other", str(tmp_path))):
        (tmp_path / name).write_bytes(b"letters")
        SQLitePlace(tmp_path / name, volume).set_aside()
    assert {path.name for path in tmp_path.iterdir()} == {"chosen.damaged", "other"}


async def test_a_draft_that_finds_no_room_leaves_nothing(tmp_path, monkeypatch):
    place = SQLitePlace(tmp_path / "index.db")
    await place.open(TABLES.layouts, durable=False).close()

    def fail(_, target):
        target.write_bytes(b"half")
        raise IndexFull

    monkeypatch.setattr("s3ish.index.sqlite_file.is_older", lambda _: True)
    monkeypatch.setattr("s3ish.index.sqlite_file.renew", fail)
    with pytest.raises(IndexFull):
        place.renew()
    assert not (tmp_path / "index.db.new").exists()
    assert not place.is_blank()
    place.remove()
    assert [*tmp_path.iterdir()] == []
