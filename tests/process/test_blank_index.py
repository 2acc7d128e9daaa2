"""An index that is gone, empty or of another store: rebuilt or refused, and never taken for the truth.

What the index does not name is removed by sweeps and by ``check --repair``, so a blank one would cost everything.
"""

import asyncio
import os
import shutil

import pytest

from s3ish import config_sources, engines
from s3ish.cli import store as commands
from s3ish.clock import Clock
from s3ish.index.protocol import IndexFailure
from s3ish.integrity.orphans import SweepJob
from s3ish.model import Owner
from s3ish.objects import buckets
from s3ish.process import index_place, start
from s3ish.tables.state import SWEEP
from tests.objects.support import get, put, sample

DATA = {"small": sample(1000), "large": sample(100_000)}


@pytest.fixture(autouse=True)
def plain_logs(monkeypatch):
    """Leave the logs of this process as other tests expect them."""
    for module in (start, commands):
        monkeypatch.setattr(module, "set_up_logs", lambda *_: None)


@pytest.fixture
def settings(tmp_path):
    return settings_of(tmp_path / "volume")


def settings_of(volume):
    return config_sources.load({"storage.volumes": [str(volume)], "storage.fsync": False}, {})


def index_of(settings):
    return index_place.place_on(settings.storage.volumes[0]).path


def serve(settings, work, *, doubted=False):
    """Do what ``work`` does with a store, between the start and the end of a server.

    Args:
        doubted: whether the index is made ready once more before, as after damage that was met.
    """
    with start.prepare(settings, Clock()) as preparation:
        if doubted:
            preparation.make_ready_again(elsewhere=True)

        async def run():
            volumes = engines.open_volumes(settings, Clock(), create=False)
            store = engines.make_store(settings, volumes, preparation.index, Clock())
            try:
                return await work(store)
            finally:
                await engines.close(store)

        return asyncio.run(run())


async def fill(store):
    await buckets.create_bucket(store, "b", Owner("id", "name"), "us-east-1")
    for key, data in DATA.items():
        await put(store, key, data)


async def look(store):
    return {key: await get(store, key) for key in DATA}


def check(settings, *, repair):
    """Do what ``s3ish check`` does; return the counts."""
    ignore = {"report": lambda _: None, "begin": lambda _: None, "advance": lambda: None}
    return commands.StoreCheck(settings, Clock(), repair=repair, **ignore).run()


def lose(path):
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def empty(path):
    lose(path)
    path.touch()


@pytest.mark.parametrize("happens", [lose, empty])
def test_what_is_gone_or_empty_is_rebuilt_at_start(settings, happens):  # cases 22, 23
    serve(settings, fill)
    happens(index_of(settings))
    assert serve(settings, look) == DATA


@pytest.mark.parametrize("happens", [lose, empty])
def test_a_check_does_not_take_a_blank_index_for_the_truth(settings, happens):  # case 22
    serve(settings, fill)
    happens(index_of(settings))
    with pytest.raises(IndexFailure, match="s3ish index rebuild"):
        check(settings, repair=False)
    with pytest.raises(IndexFailure, match="s3ish index rebuild"):
        commands.run_job(settings, Clock(), "orphans")
    assert serve(settings, look) == DATA


@pytest.mark.parametrize("happens", [lose, empty])
def test_a_repair_begins_with_the_index(settings, happens):  # cases 22, 23
    serve(settings, fill)
    happens(index_of(settings))
    counts = check(settings, repair=True).counts
    assert (counts["blobs"], counts["orphan"], counts["repaired"]) == (3, 0, 0)
    assert serve(settings, look) == DATA


def test_healing_an_empty_drive_that_held_the_index_keeps_everything(tmp_path):  # cases 23, 27
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill)
    shutil.rmtree(roots[0])
    roots[0].mkdir()
    counts = check(settings, repair=True).counts
    assert counts["lost"] == counts["damaged"] == 0
    assert serve(settings, look) == DATA
    shutil.rmtree(roots[1])
    roots[1].mkdir()
    check(settings, repair=True)
    assert serve(settings, look) == DATA


def test_the_index_of_another_store_is_refused(settings, tmp_path):  # case 22
    serve(settings, fill)
    other = settings_of(tmp_path / "other")
    serve(other, fill)
    shutil.copy(index_of(other), index_of(settings))
    with pytest.raises(IndexFailure, match="another set of volumes"):
        serve(settings, look)
    with pytest.raises(IndexFailure, match="another set of volumes"):
        check(settings, repair=True)
    os.unlink(index_of(settings))
    assert serve(settings, look) == DATA


LATER = {"later": b"stored when the old index was away", "small": b"another one of the same key"}


async def store_more(store):
    for key, data in LATER.items():
        await put(store, key, data)


async def look_at_all(store):
    job = SweepJob(store, store.clock.now_ns())
    await store.index.commit([SWEEP.put()])
    while (await job.step()).more:
        pass
    return {key: await get(store, key) for key in DATA | LATER}


def test_an_index_from_the_past_is_rebuilt_at_start(settings, tmp_path):  # case 22
    """As a drive brings it that was replaced and comes back: what it does not name must not be taken for garbage."""
    serve(settings, fill)
    old = tmp_path / "old.db"
    shutil.copy(index_of(settings), old)
    serve(settings, store_more)
    shutil.copy(old, index_of(settings))
    with pytest.raises(IndexFailure, match="older than what is on the volumes"):
        check(settings, repair=True)
    assert serve(settings, look_at_all) == DATA | LATER
    assert serve(settings, look_at_all) == DATA | LATER, "and it stays the index"


def test_a_volume_from_the_past_does_not_make_the_index_old(tmp_path):  # case 22
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill)
    past = (roots[2] / ".s3ish" / "generation").read_text()
    serve(settings, store_more)
    inode = index_of(settings).stat().st_ino
    (roots[2] / ".s3ish" / "generation").write_text(past)
    (roots[1] / ".s3ish" / "generation").write_text("what is this")
    assert serve(settings, look_at_all) == DATA | LATER
    assert index_of(settings).stat().st_ino == inode, "it was not rebuilt"
    assert len({(root / ".s3ish" / "generation").read_text() for root in roots}) == 1
