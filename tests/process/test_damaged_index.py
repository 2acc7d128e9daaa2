"""Damage of an index that can go to no other drive: it is rebuilt where it is, and nothing that exists seems absent.

Each place is damaged so that the headers of pages stay and their rows go: SQLite itself takes such a page for an empty
one.
"""

import os
import signal
import time
from contextlib import closing, suppress

import pytest

from s3ish.index import pages, sqlite, sqlite_file
from s3ish.index.protocol import Damaged, Delete, IndexFull
from s3ish.integrity.orphans import SweepJob
from s3ish.process import index_place, start
from s3ish.tables.state import SWEEP
from tests.process.test_blank_index import DATA, check, fill, look, lose, serve, settings_of
from tests.torture.client import CUT, Client

PAGE = 4096
SECONDS = 60
BODIES = {f"key-{number:03}": bytes([number % 256]) * (number * 11) for number in range(400)}


@pytest.fixture(autouse=True)
def plain_logs(monkeypatch):
    """Leave the logs of this process as other tests expect them."""
    monkeypatch.setattr(start, "set_up_logs", lambda *_: None)


def damage(path, within=512):
    """Zero the rows of every page behind the first ones, in place."""
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for at in range(4 * PAGE + within, size - PAGE, 2 * PAGE):
            file.seek(at)
            file.write(bytes(PAGE))


def store_all(server):
    with closing(Client(server.endpoint)) as client:
        assert client.request("PUT", "/things").ok
        for key, body in BODIES.items():
            assert client.request("PUT", f"/things/{key}", body).ok


def read_all(server):
    """Read everything; see ``read_some``."""
    read_some(server, BODIES)


def read_some(server, bodies):
    """Read objects; the server may be busy now and then, but never say that something is not there."""
    deadline = time.monotonic() + SECONDS
    for key, body in bodies.items():
        while True:
            with suppress(*CUT), closing(Client(server.endpoint)) as client:
                answer = client.request("GET", f"/things/{key}")
                if answer.status < 500:
                    break
            assert time.monotonic() < deadline, "the index is not rebuilt"
            time.sleep(0.05)
        assert (answer.status, answer.body) == (200, body), key


def index_files(root):
    return root / ".s3ish" / "index.db"


@pytest.mark.parametrize("within", [0, 512, 2048])
def test_a_start_rebuilds_a_damaged_index(start_server, tmp_path, within):  # case 157
    server = start_server(tmp_path / "volume")
    store_all(server)
    assert server.stop()[0] == 0
    damage(index_files(tmp_path / "volume"), within)
    again = start_server(tmp_path / "volume")
    read_all(again)
    code, log = again.stop()
    assert code == 0
    assert "rebuilt" in log


@pytest.mark.parametrize("workers", [1, 2])
def test_a_running_server_rebuilds_a_damaged_index(start_server, tmp_path, workers):  # case 157
    server = start_server(tmp_path / "volume", "--workers", workers)
    store_all(server)
    server.stop()
    server = start_server(tmp_path / "volume", "--workers", workers)
    damage(index_files(tmp_path / "volume"))
    read_all(server)
    with closing(Client(server.endpoint)) as client:
        assert client.request("PUT", "/things/later", b"later").ok
        assert client.request("GET", "/things?list-type=2&max-keys=1000").body.count(b"<Contents>") == len(BODIES) + 1
    code, log = server.stop()
    assert code == 0
    assert "rebuilt" in log
    assert "Traceback" not in log


def test_an_index_apart_is_rebuilt_where_it_is(start_server, tmp_path):
    place = {"S3ISH_STORAGE_INDEX": str(tmp_path / "fast" / "index.db")}
    roots = [tmp_path / str(number) for number in range(3)]
    server = start_server(*roots, **place)
    store_all(server)
    server.stop()
    server = start_server(*roots, **place)
    damage(tmp_path / "fast" / "index.db")
    read_all(server)
    assert server.stop()[0] == 0
    assert not any((root / ".s3ish" / "index.db").exists() for root in roots)


def test_a_lone_server_ends_when_told_while_it_rebuilds(start_server, tmp_path):
    server = start_server(tmp_path / "volume")
    store_all(server)
    damage(index_files(tmp_path / "volume"))
    with suppress(*CUT), closing(Client(server.endpoint)) as client:
        for key in BODIES:
            client.request("GET", f"/things/{key}")
    server.stop(signal.SIGTERM)
    again = start_server(tmp_path / "volume")
    read_all(again)
    assert again.stop()[0] == 0


def test_healing_begins_with_a_damaged_index(tmp_path, run_s3ish):
    settings = settings_of(tmp_path / "volume")
    serve(settings, fill)
    path = index_place.place_on(settings.storage.volumes[0]).path
    data = bytearray(path.read_bytes())
    for at in range(512, len(data) - PAGE, PAGE):
        data[at : at + PAGE - 512] = bytes(PAGE - 512)
    path.write_bytes(data)
    told = run_s3ish("check", tmp_path / "volume")
    assert told.returncode == 1
    assert "s3ish index rebuild" in told.stderr
    assert "malformed" not in told.stderr.partition("is damaged")[0]
    counts = check(settings, repair=True).counts
    assert (counts["blobs"], counts["orphan"], counts["lost"]) == (3, 0, 0)
    assert serve(settings, look) == DATA


def first_format(monkeypatch):
    monkeypatch.setattr(pages, "reserve", lambda _: None)
    monkeypatch.setattr(pages, "are_verified", lambda _: True)
    monkeypatch.setattr(sqlite_file, "FORMAT", 1)


@pytest.mark.parametrize("room", [True, False])
def test_a_start_brings_an_index_into_the_current_format(tmp_path, monkeypatch, room):
    settings = settings_of(tmp_path / "volume")
    with monkeypatch.context() as patch:
        first_format(patch)
        serve(settings, fill)
    path = index_place.place_on(settings.storage.volumes[0]).path
    inode = path.stat().st_ino

    def full(*_):
        raise IndexFull("no room")

    if not room:
        monkeypatch.setattr(sqlite_file, "renew", full)
    assert serve(settings, look) == DATA
    assert sqlite_file.is_older(path) != room
    assert (path.stat().st_ino != inode) == room
    assert sorted(name.name for name in path.parent.glob("index.db*")) == ["index.db", "index.db-marks"]


async def lose_rows_and_sweep(store):
    rows = await store.index.scan("versions", b"", b"\xff", 100)
    await store.index.commit([*(Delete("versions", key) for key, _ in rows), SWEEP.put()])
    job = SweepJob(store, store.clock.now_ns())
    while (await job.step()).more:
        pass


def test_a_sweep_believes_no_index_that_is_damaged(tmp_path, monkeypatch):
    """It takes for garbage what no row names."""
    settings = settings_of(tmp_path / "volume")
    serve(settings, fill)

    async def damaged(_):
        raise Damaged("a page")

    with monkeypatch.context() as patch, pytest.raises(Damaged):
        patch.setattr(sqlite.SQLiteIndex, "verify", damaged)
        serve(settings, lose_rows_and_sweep)
    lose(index_place.place_on(settings.storage.volumes[0]).path)
    assert serve(settings, look) == DATA
