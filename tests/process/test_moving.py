"""The index moves to another drive when it cannot be used where it is, while a server runs and when one starts."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing, contextmanager, suppress

import pytest
import structlog
from structlog.testing import capture_logs

from s3ish import config_sources, engines
from s3ish.blob.protocol import VolumeError
from s3ish.blob.volumes.volume import Volume
from s3ish.clock import Clock
from s3ish.index.protocol import IndexFailure, IndexFull, Unavailable
from s3ish.process import index_place, start
from tests.process.test_blank_index import DATA, fill, look, look_at_all, serve, store_more
from tests.torture.client import CUT, Client
from tests.torture.linear import workers_of
from tests.waiting import WAIT_SECONDS

BODIES = {f"key {number}": bytes([number]) * (100 if number % 2 else 100_000) for number in range(20)}


@pytest.fixture(autouse=True)
def plain_logs(monkeypatch):
    """Leave the logs of this process as other tests expect them."""
    monkeypatch.setattr(start, "set_up_logs", lambda *_: None)


@pytest.fixture
def roots(tmp_path):
    return [tmp_path / str(number) for number in range(3)]


@pytest.fixture
def settings(roots):
    return settings_of(roots)


def settings_of(roots):
    return config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})


def index_on(root):
    return index_place.place_on(str(root)).path


def spoil(root):
    """Overwrite the files of an index in place, as a failing drive does.

    A server that has seen the first one spoilt may move the index, and remove the second one, before that is open.
    """
    spoil_file(index_on(root))
    with suppress(FileNotFoundError):
        spoil_file(index_on(root).with_name("index.db-wal"))


def spoil_file(path):
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        file.write(b"spoilt" * (size // 6))
        file.truncate()


def ask(endpoint, method, path, body=b""):
    """Send a request until it is answered by other than an error of the server; return the answer."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with suppress(*CUT), closing(Client(endpoint)) as client:
            answer = client.request(method, path, body)
            if answer.status < 500:
                return answer
        assert time.monotonic() < deadline, "the index has not moved"
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_goes_on_with_the_index_elsewhere(start_server, roots, workers):  # cases 22, 26
    server = start_server(*roots, "--workers", workers)
    assert ask(server.endpoint, "PUT", "/things").ok
    for key, body in BODIES.items():
        assert ask(server.endpoint, "PUT", f"/things/{key}", body).ok
    spoil(roots[0])
    for key, body in BODIES.items():
        answer = ask(server.endpoint, "GET", f"/things/{key}")
        assert (answer.status, answer.body) == (200, body)
    assert ask(server.endpoint, "PUT", "/things/later", b"later").ok
    assert not index_on(roots[0]).exists()
    code, log = server.stop()
    assert code == 0
    assert "the index cannot be used where it is; it moves" in log
    assert "Traceback" not in log
    inode = index_on(roots[1]).stat().st_ino
    again = start_server(*roots)
    listing = ask(again.endpoint, "GET", "/things?list-type=2").body
    assert listing.count(b"<Contents>") == len(BODIES) + 1
    assert index_on(roots[1]).stat().st_ino == inode
    assert again.stop()[0] == 0


def test_it_can_move_more_than_once(start_server, roots):
    server = start_server(*roots)
    assert ask(server.endpoint, "PUT", "/things").ok
    for turn in range(3):
        assert index_on(roots[turn]).exists()
        assert ask(server.endpoint, "PUT", f"/things/{turn}", b"data").ok
        spoil(roots[turn])
        assert ask(server.endpoint, "GET", f"/things/{turn}").body == b"data"
    assert server.stop()[0] == 0


def test_workers_that_cannot_begin_begin_anew_where_the_index_was(start_server, roots):
    server = start_server(*roots)
    assert ask(server.endpoint, "PUT", "/things").ok
    assert ask(server.endpoint, "PUT", "/things/key", b"data").ok
    for path in (roots[0] / ".s3ish").glob("index.db*"):
        path.unlink()
    for worker in workers_of(server.process.pid):
        os.kill(worker, signal.SIGKILL)
    assert ask(server.endpoint, "GET", "/things/key").body == b"data"
    assert index_on(roots[0]).exists()
    code, log = server.stop()
    assert code == 0
    assert "workers cannot begin; once more" in log


def test_a_server_ends_when_there_is_no_place_for_the_index(start_server, roots):
    server = start_server(*roots)
    assert ask(server.endpoint, "PUT", "/things").ok
    for root in roots[1:]:  # a directory is where a file would be
        index_on(root).with_name("index.db.new").mkdir()
    spoil(roots[0])
    with suppress(*CUT), closing(Client(server.endpoint)) as client:
        client.request("GET", "/things")
    server.process.wait(WAIT_SECONDS)
    code, log = server.stop()
    assert code == 1
    assert "s3ish: " in log.splitlines()[-1]


def test_a_start_finds_the_index_where_it_is(settings, roots):
    serve(settings, fill)
    index_on(roots[0]).rename(index_on(roots[2]))
    assert serve(settings, look) == DATA
    assert [index_on(root).exists() for root in roots] == [False, False, True]
    backwards = settings_of(roots[::-1])
    assert serve(backwards, look) == DATA


def test_the_newest_of_several_is_the_index_and_the_others_go(settings, roots, tmp_path):  # case 22
    serve(settings, fill)
    shutil.copy(index_on(roots[0]), tmp_path / "old")
    serve(settings, store_more)
    index_on(roots[0]).rename(index_on(roots[1]))
    shutil.copy(tmp_path / "old", index_on(roots[0]))
    inode = index_on(roots[1]).stat().st_ino
    assert serve(settings, look_at_all)["later"]
    assert [index_on(root).exists() for root in roots] == [False, True, False]
    assert index_on(roots[1]).stat().st_ino == inode


def test_a_start_without_the_drive_of_the_index(settings, roots, tmp_path):  # cases 23, 26
    serve(settings, fill)
    roots[0].rename(tmp_path / "away")
    roots[0].write_text("no directory")
    assert serve(settings, look) == DATA
    serve(settings, store_more)
    roots[0].unlink()
    (tmp_path / "away").rename(roots[0])
    inode = index_on(roots[1]).stat().st_ino
    assert serve(settings, look_at_all)["later"]
    assert not index_on(roots[0]).exists()
    assert index_on(roots[1]).stat().st_ino == inode


@pytest.mark.parametrize("how", ["unreadable", "blank", "no rows"])
def test_a_start_with_an_index_that_cannot_be_used(settings, roots, how):  # case 22
    serve(settings, fill)
    if how == "no rows":
        with closing(sqlite3.connect(index_on(roots[0]))) as found:
            found.execute("DROP TABLE state")
            found.commit()
    else:
        index_on(roots[0]).write_bytes(b"x" * 5000 if how == "unreadable" else b"")
    assert serve(settings, look) == DATA


def test_the_index_of_another_set_is_refused(settings, roots, tmp_path):  # case 22
    other = settings_of([tmp_path / "o" / str(number) for number in range(3)])
    serve(other, fill)
    serve(settings, fill)
    shutil.copy(index_place.place_on(other.storage.volumes[0]).path, index_on(roots[0]))
    with pytest.raises(IndexFailure, match="another set of volumes"):
        serve(settings, look)


def test_an_index_that_settings_place_stays_there(roots, tmp_path):
    elsewhere = {"storage.index": str(tmp_path / "apart" / "index.db")}
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False} | elsewhere, {})
    serve(settings, fill)
    (tmp_path / "apart" / "index.db").write_bytes(b"x" * 5000)
    assert serve(settings, look) == DATA
    assert not any(index_on(root).exists() for root in roots)
    assert (tmp_path / "apart" / "index.db.damaged").read_bytes() == b"x" * 5000, "it may have been no index at all"


def test_a_place_without_room_is_passed_over(settings, roots, monkeypatch):
    serve(settings, fill)
    build = start.build

    def crowded(settings, clock, volumes, place, **options):
        if place.path == index_on(roots[0]):
            raise IndexFull("no room")
        return build(settings, clock, volumes, place, **options)

    monkeypatch.setattr(start, "build", crowded)
    index_on(roots[0]).unlink()
    assert serve(settings, look) == DATA
    assert index_on(roots[1]).exists()


def test_where_it_failed_before_it_may_go_when_it_failed_everywhere(settings, roots):
    serve(settings, fill)
    with start.prepare(settings, Clock()) as preparation:
        assert preparation.index.path == index_on(roots[0])
        for turn in (1, 2, 0, 1):
            preparation.make_ready_again(True)
            assert [index_on(root).exists() for root in roots] == [number == turn for number in range(3)]
    assert serve(settings, look) == DATA


@contextmanager
def failing(*lost):
    """Let drives fail where the sidecars of objects are read."""
    real = Volume.read_file

    def read_file(self, blob, name, limit):
        if self.position in lost and blob.startswith("b/"):
            raise VolumeError(f"{self}: Input/output error")
        return real(self, blob, name, limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Volume, "read_file", read_file)
        yield


def test_an_index_that_would_lack_something_takes_no_place(settings, roots):
    """The one that is lost may come back, and what it names must not be answered as not there."""
    serve(settings, fill)
    index_on(roots[0]).unlink()
    with failing(0):
        assert serve(settings, look) == DATA
    index_on(roots[0]).unlink()
    with failing(0, 1, 2), pytest.raises(IndexFailure, match="too many volumes are out of reach"):
        serve(settings, look)
    left = {path.name for root in roots for path in root.glob(".s3ish/index.db*")}
    assert left <= {"index.db-marks"}, "which is empty"
    assert serve(settings, look) == DATA


def test_no_drive_is_left(settings, roots):
    serve(settings, fill)
    with closing(engines.open_volumes(settings, Clock(), create=False)) as volumes:
        preparation = start.Preparation(settings, Clock(), volumes)
        preparation._failed = {index_place.place_on(str(root)) for root in roots}
        with pytest.raises(Unavailable, match="no drive is left"):
            preparation.make_ready(volumes)


def test_the_log_tells_of_a_rebuild_that_takes_long(monkeypatch):
    with capture_logs() as logged:
        monkeypatch.setattr(start, "log", structlog.get_logger())
        for blobs in range(1000, 250_000, 1000):
            start._tell(blobs)
    assert [entry["blobs_read"] for entry in logged] == [1000, 100_000, 200_000]
