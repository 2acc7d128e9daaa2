"""Drives that take no writes for a while beside a server that goes on: they say later what they have missed."""

import errno
import os
from contextlib import suppress

import pytest

from s3ish.blob.protocol import Amendment, Unwritable
from s3ish.blob.volumes.index_marks import FOR_EVER
from s3ish.clock import Clock
from tests.blob.support import HangingDrives, get, put, sample
from tests.waiting import until

LARGE, SMALL = 3500, 50
BAD = 1
CHANGES = {"mkdir", "link", "rename", "unlink", "rmdir", "write", "pwrite", "pwritev", "fsync"}


class RefusingDrives(HangingDrives):
    """Drives that answer an error wherever something is to be changed; ``hang`` begins it, ``release`` ends it."""

    number = errno.EROFS

    def _wait(self, name, arguments):
        if self._hangs(name, arguments):
            raise OSError(self.number, os.strerror(self.number))


@pytest.fixture(params=[errno.EROFS, errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def drives(request, monkeypatch):
    drives = RefusingDrives(monkeypatch)
    drives.number = request.param
    return drives


@pytest.fixture
def store(make_store):
    store = make_store("three", missing=1)
    store.volumes.patience_seconds = 0.1
    return store


def refuse(store, drives):
    drives.hang(store.volumes.at(BAD).root, names=CHANGES)


async def recovers(store, drives):
    drives.release()
    volume = store.volumes.at(BAD)
    await until(lambda: not volume.missed and 0 < volume.marks.behind() < FOR_EVER)


async def outdated(store):
    """Return of which blobs a rebuild would believe that they were removed."""
    store.volumes.look_behind()
    return {blob.ref.id async for blob in store.scan() if blob.outdated}


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("action", ["delete", "unseal"])
async def test_what_was_removed_meanwhile_is_removed_though_the_index_is_lost(store, drives, size, action):  # case 160
    refs = [await put(store, sample(size), home=f"b/{number}") for number in range(20)]
    refuse(store, drives)
    for ref in refs:
        with suppress(Unwritable):
            await getattr(store, action)(ref)
    await recovers(store, drives)
    later = await put(store, sample(size), home="b/later")
    assert await outdated(store) == {ref.id for ref in refs if BAD in ref.volumes}
    assert await get(store, later) == sample(size)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_what_it_was_not_given_was_not_removed(store, drives, size):  # case 160
    refuse(store, drives)
    refs = [await put(store, sample(size), home=f"b/{number}") for number in range(20)]
    assert any(BAD in ref.volumes for ref in refs)
    await recovers(store, drives)
    for volume in store.volumes.present:
        if volume.position != BAD:
            volume.marks.fall_behind(Clock().sequence())
    assert await outdated(store) == set()


@pytest.mark.parametrize("count", [1, 40])
async def test_a_sidecar_that_it_was_not_given_anew_was_not_removed(store, drives, count):
    refs = [await put(store, sample(LARGE), home=f"b/{number}", sidecar=b"{}") for number in range(count)]
    for ref in refs:
        await store.unseal(ref)
    refuse(store, drives)
    await store.amend_all([Amendment(ref, b"{}") for ref in refs])
    await recovers(store, drives)
    for volume in store.volumes.present:
        if volume.position != BAD:
            volume.marks.fall_behind(Clock().sequence())
    assert await outdated(store) == set()


async def test_it_says_that_it_misses_something_before_it_says_until_when(store, drives):
    """A process that is killed meanwhile leaves no drive that claims to have missed nothing."""
    store.volumes.patience_seconds = 1000
    ref = await put(store, sample(LARGE))
    drives.hang(store.volumes.at(BAD).root, names={"unlink"})
    with pytest.raises(Unwritable):
        await store.delete(ref)
    assert store.volumes.at(BAD).marks.behind() == FOR_EVER
