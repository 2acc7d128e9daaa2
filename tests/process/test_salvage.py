"""A damaged index and lost sidecars at once: what one of them still says is there, and what was deleted stays so."""

import os
import shutil

import pytest

from s3ish.errors import NoSuchKey
from s3ish.index.protocol import Damaged
from s3ish.process import start
from s3ish.tables.catalogue import CURRENT
from tests.integrity.test_salvage import leaves, spoil
from tests.objects.support import get, make_bucket, put, remove, sample
from tests.process.test_blank_index import index_of, serve, settings_of

SIZES = {f"key-{number:03}": 100_000 if number % 40 == 0 else 100 + number for number in range(240)}
DELETED = {key for number, key in enumerate(SIZES) if number % 3 == 0}
SUFFIXES = ("", "-wal", "-shm")


@pytest.fixture(autouse=True)
def plain_logs(monkeypatch):
    """Leave the logs of this process as other tests expect them."""
    monkeypatch.setattr(start, "set_up_logs", lambda *_: None)


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def settings(volume):
    return settings_of(volume)


async def fill(store):
    await make_bucket(store)
    for key, size in SIZES.items():
        await put(store, key, sample(size))


async def delete(store):
    for key in DELETED:
        await remove(store, key)


async def fill_and_delete(store):
    await fill(store)
    await delete(store)


async def look(store):
    """Return which objects are there; each is whole."""
    found = set()
    for key, size in SIZES.items():
        try:
            assert await get(store, key) == sample(size)
        except NoSuchKey:
            continue
        found.add(key)
    return found


def lose_sidecars(volume, keys):
    for key in keys:
        (path,) = volume.glob(f"b/{key}@*/metadata.json")
        os.unlink(path)


LEFT = set(SIZES) - DELETED
LOST = {key for key in LEFT if int(key[-3:]) % 4 == 0}


def test_a_damaged_index_still_says_what_lost_sidecars_said(settings, volume):  # case 157
    serve(settings, fill_and_delete)
    lose_sidecars(volume, LOST)
    pages = leaves(index_of(settings), CURRENT)
    spoil(index_of(settings), pages[1:2])
    with pytest.raises(Damaged):  # that a key is in no listing cannot be read
        serve(settings, look)
    assert serve(settings, look, doubted=True) == LEFT


def test_an_index_from_the_past_brings_nothing_back_that_was_deleted(settings, volume, tmp_path):  # case 158
    """It names small objects that were deleted, with their bytes."""
    copy = tmp_path / "copy"
    copy.mkdir()

    async def work(store):
        await fill(store)
        for suffix in SUFFIXES:
            shutil.copy(f"{index_of(settings)}{suffix}", copy / f"index.db{suffix}")
        await delete(store)

    serve(settings, work)
    lose_sidecars(volume, LOST)
    for suffix in SUFFIXES:
        shutil.copy(copy / f"index.db{suffix}", f"{index_of(settings)}{suffix}")
    found = serve(settings, look)
    assert not found & DELETED
    assert found >= LEFT - LOST


@pytest.mark.parametrize("counted", [True, False])
def test_an_index_from_the_past_that_is_damaged_brings_nothing_back(settings, volume, tmp_path, counted):  # case 158
    serve(settings, fill)
    copy = tmp_path / "copy"
    shutil.copy(index_of(settings), copy)
    serve(settings, delete)
    lose_sidecars(volume, LOST)
    shutil.copy(copy, index_of(settings))
    spoil(index_of(settings), leaves(index_of(settings), CURRENT)[1:2])
    if not counted:
        (volume / ".s3ish" / "commits").unlink()
    found = serve(settings, look)
    assert not found & DELETED
    assert found >= LEFT - LOST
