"""Restores stand in the sidecars of versions, so that they outlive the index, and end with what was restored."""

import pytest

from s3ish.errors import InvalidObjectState, NoSuchKey
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Attributes, Entry
from s3ish.objects import archive
from tests.objects.support import World, copy_to, head, make_bucket, outcome, put

AWAY = Attributes(storage_class="DEEP_ARCHIVE")
DAY = 86_400 * 10**9


@pytest.fixture
async def store(tmp_path):
    world = World(tmp_path)
    store = world.open()
    store.world = world
    await make_bucket(store)
    yield store
    await world.close()


def listed(storage_class):
    return Entry(0, "", 0, storage_class, "", "")


async def restore(store, key="k", days=1):
    return await archive.restore_object(store, "b", key, None, days, expedited=False)


async def test_a_restore_outlives_the_index(store, tmp_path):
    await put(store, "k", b"data" * 500, attributes=AWAY)
    await restore(store)
    before = await head(store, "k")
    anew = store.world.open(tmp_path / "anew.db")
    await rebuild(anew)
    after = await head(anew, "k")
    assert after == before
    archive.check_readable(after, store.clock.service_ns())


async def test_a_restore_ends_at_the_midnight_after_its_days(store):
    await put(store, "k", attributes=AWAY)
    await restore(store, days=3)
    version = await head(store, "k")
    end = version.restore.until_ns
    now = store.clock.service_ns()
    assert end % DAY == 0
    assert 3 * DAY < end - now <= 4 * DAY
    archive.check_readable(version, end - 1)
    with pytest.raises(InvalidObjectState):
        archive.check_readable(version, end)


async def test_a_copy_takes_no_restore_with_it(store):
    source = await put(store, "k", attributes=AWAY)
    await restore(store)
    copied = await copy_to(store, await head(store, "k"), "c")
    assert copied.restore is None
    assert source.restore is None


async def test_the_objects_of_a_listing_that_are_in_another_class_are_not_looked_for(store):
    await put(store, "here")
    await put(store, "k", attributes=AWAY)
    await restore(store)
    entries = [("gone", listed("DEEP_ARCHIVE")), ("here", listed("STANDARD")), ("k", listed("GLACIER"))]
    assert list(await archive.restores(store, "b", entries, store.clock.service_ns())) == ["k"]
    assert await archive.restores(store, "b", entries, store.clock.service_ns() + 9 * DAY) == {}


async def test_what_is_not_there_is_not_restored(store):
    assert await outcome(restore(store, "absent")) is NoSuchKey
