"""What a rebuild could not read is told of and not removed; a rebuild that can read it brings it back."""

import os
import shutil
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from s3ish.blob.protocol import Corrupt, VolumeError
from s3ish.blob.volumes.folders import Folders
from s3ish.blob.volumes.volume import Volume
from s3ish.errors import NoSuchBucket, NoSuchKey
from s3ish.index.protocol import Delete
from s3ish.integrity import blind_spots as module
from s3ish.integrity.blind_spots import read_blind_spots
from s3ish.integrity.check import Check
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.rebuild import rebuild
from s3ish.objects import multipart
from s3ish.tables.state import SWEEP
from tests.objects.support import (
    World,
    add_part,
    begin,
    complete,
    get,
    keys_of,
    make_bucket,
    outcome,
    put,
    remove,
    sample,
    sealed,
    strays,
)

FUTURE = 2**62
NUMBERS = count()


@contextmanager
def unreadable(*paths):
    """Let the drive fail where these files are read."""
    real = Volume.read_file

    def read_file(self, blob, name, limit):
        if f"{self.root}/{blob}/{name}" in paths:
            raise VolumeError(f"{self}: {blob}/{name}: Input/output error")
        return real(self, blob, name, limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Volume, "read_file", read_file)
        yield


@contextmanager
def unlistable(folder):
    """Let the drive fail where this folder is listed."""
    real = Folders._directories

    def directories(self, path, start, *, inclusive):
        if f"{self._calls.volume}/{path}".endswith(f" {folder}"):
            raise OSError(5, os.strerror(5))
        return real(self, path, start, inclusive=inclusive)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folders, "_directories", directories)
        yield


def sidecars_of(world, ref):
    return [path for path in world.files_of(ref) if path.endswith("metadata.json")]


async def rebuilt(world, **options):
    """Return a store whose index was made from the sidecars, and what was found."""
    await world.close()
    store = world.open(world.index_path.with_name(f"again{next(NUMBERS)}.db"), **options)
    return store, await rebuild(store)


async def clean_up(store):
    """Have everything done that removes what no row names. Returns how much was removed."""
    await store.index.commit([SWEEP.put()])
    job = SweepJob(store, FUTURE)
    while (await job.step()).more:
        pass
    findings = await check(store)
    return job.removed + sum(finding.state == "repaired" for finding in findings)


async def check(store):
    checking = Check(store, repair=True, before_ns=FUTURE)
    findings = [finding async for row in checking.rows() for finding in row]
    return findings + [finding async for finding in checking.orphans()]


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("size", [0, 10, 1500])
async def test_an_object_whose_sidecar_could_not_be_read_is_not_removed(tmp_path, size, volumes, logged):  # case 23
    world = World(tmp_path, volumes=volumes)
    store = world.open()
    await make_bucket(store)
    lost = await put(store, "lost", sample(size))
    await put(store, "seen", sample(size))
    with unreadable(*sidecars_of(world, lost.blob)):
        store, found = await rebuilt(world)
    assert found["unreadable"] == 1
    assert await keys_of(store) == ["seen"]
    assert await outcome(get(store, "lost")) is NoSuchKey
    assert await clean_up(store) == 0
    assert lost.blob.id in await sealed(store)
    assert [entry["blob"] for entry in logged if "cannot be read" in entry["event"]] == [lost.blob.id]
    assert any("the index has gaps" in entry["event"] for entry in logged)
    store, found = await rebuilt(world)
    assert not found["unreadable"]
    assert await get(store, "lost") == await get(store, "seen") == sample(size)
    assert not await read_blind_spots(store.index)
    await world.close()


async def test_a_check_tells_of_gaps_and_of_what_they_keep(store, world):
    lost = await put(store, "lost", sample(1500))
    with unreadable(*sidecars_of(world, lost.blob)):
        store, _ = await rebuilt(world)
    gap, kept = await check(store)
    assert (gap.name, gap.state, "index rebuild" in gap.problems[0]) == ("b/lost@", "damaged", True)
    assert (kept.name, kept.state) == (lost.blob.id, "orphan")


async def test_what_is_not_in_a_gap_is_removed_as_ever(store, world):
    lost = await put(store, "lost", sample(1500))
    other = await put(store, "lost2", sample(1500))
    with unreadable(*sidecars_of(world, lost.blob)):
        store, _ = await rebuilt(world)
    for path in sidecars_of(world, other.blob):
        os.unlink(path)
    (row,) = await store.newest("b", "lost2")
    await store.index.commit([Delete("versions", row.key)])
    assert await clean_up(store) == 1
    assert await strays(store) == []
    assert lost.blob.id in await sealed(store)


async def test_a_sidecar_that_is_readable_on_one_volume_is_enough(store, world):  # case 23
    for size in (10, 1500):
        version = await put(store, f"k{size}", sample(size))
        with unreadable(*sidecars_of(world, version.blob)[:-1]):
            store, found = await rebuilt(world)
        assert not found["unreadable"]
        assert await get(store, f"k{size}") == sample(size)


async def test_parts_of_what_could_not_be_read_are_not_removed(store, world, monkeypatch):
    """An object's sidecar names its parts, an upload's says that there are such."""
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    upload = await begin(store, "done")
    done = await complete(store, upload, [await add_part(store, upload, n, sample(1500, n)) for n in (1, 2)])
    going_on = await begin(store, "going on")
    part = await add_part(store, going_on, 1, sample(1500, 3))
    paths = [*sidecars_of(world, done.blob), *sidecars_of(world, going_on.blob)]
    with unreadable(*paths):
        store, found = await rebuilt(world)
    assert found["unreadable"] == 2
    assert await clean_up(store) == 0
    store, _ = await rebuilt(world)
    assert await get(store, "done") == sample(1500, 1) + sample(1500, 2)
    await complete(store, going_on, [part])
    assert await get(store, "going on") == sample(1500, 3)


@pytest.mark.parametrize("how", ["unreadable", "gone"])
async def test_objects_of_a_bucket_that_was_lost_outlive_a_new_bucket_of_that_name(store, world, how):
    """It may be made at the next start: ``storage.default_buckets``."""
    await put(store, "k", b"small")
    paths = sidecars_of(world, (await store.bucket("b")).record.blob)
    if how == "gone":
        for path in paths:
            os.unlink(path)
    with unreadable(*paths):
        store, _ = await rebuilt(world)
    assert await outcome(store.bucket("b")) is NoSuchBucket
    await make_bucket(store)
    await clean_up(store)
    store, _ = await rebuilt(world)
    assert await get(store, "k") == b"small"


@pytest.mark.parametrize("folder", ["", "b", "b/deep"])
async def test_a_volume_that_cannot_be_listed_leaves_nothing_out(store, world, folder):
    """One of several: the others have it as well. But what they have not may be on it."""
    hidden, named = await put(store, "deep/hidden", sample(10)), await put(store, "deep/named", sample(1500))
    root = world.volume_roots[hidden.blob.volumes[0]]
    for other in set(world.volume_roots) - {root}:
        shutil.rmtree(f"{other}/{hidden.blob.id}", ignore_errors=True)
        os.unlink(f"{other}/{named.blob.id}/metadata.json")
    for number in range(3):
        await put(store, f"deep/{number}", sample(1500, number))
    with unlistable(f"{root}/{folder}"):
        store, found = await rebuilt(world)
    assert found["unreadable"] == 1
    assert [await get(store, f"deep/{number}") for number in range(3)] == [sample(1500, n) for n in range(3)]
    assert await outcome(get(store, "deep/hidden")) is NoSuchKey
    await clean_up(store)
    store, _ = await rebuilt(world)
    assert await get(store, "deep/hidden") == sample(10)
    assert await get(store, "deep/named") == sample(1500)


async def test_without_a_list_of_the_only_volume_there_is_no_index(tmp_path):
    world = World(tmp_path, volumes=1)
    store = world.open()
    await make_bucket(store)
    await put(store, "k", sample(10))
    with unlistable(f"{world.volume_roots[0]}/b"), pytest.raises(Corrupt, match="see all blobs"):
        await rebuilt(world)
    await world.close()


async def test_a_volume_that_is_away_is_no_gap(store, world):
    """Its copies are elsewhere; what was deleted meanwhile is removed from it when it is back."""
    versions = [await put(store, f"k{number}", sample(10, number)) for number in range(5)]
    away = world.volume_roots[versions[0].blob.volumes[0]]
    await world.close()
    os.rename(away, f"{away}.away")
    store, found = await rebuilt(world, missing=1)
    assert not found["unreadable"]
    assert [await get(store, f"k{number}") for number in range(5)] == [sample(10, number) for number in range(5)]


async def test_what_only_a_volume_that_is_away_may_know_is_a_gap(store, world):
    lost = await put(store, "lost", sample(10))
    first, other = sidecars_of(world, lost.blob)
    root = first.removesuffix(f"/{lost.blob.id}/metadata.json")
    await world.close()
    os.rename(root, f"{root}.away")
    with unreadable(other):
        store, found = await rebuilt(world, missing=1)
    assert found["unreadable"] == 1
    await world.close()
    os.rename(f"{root}.away", root)
    store = world.open(world.index_path.with_name(f"again{next(NUMBERS) - 1}.db"))
    assert await clean_up(store) == 0
    store, _ = await rebuilt(world)
    assert await get(store, "lost") == sample(10)


async def test_a_sidecar_that_is_damaged_beyond_use_is_a_gap(store, world):
    """Its shards may be whole: they are not ours to remove."""
    lost = await put(store, "lost", sample(1500))
    for path in sidecars_of(world, lost.blob):
        os.truncate(path, 50)
    store, found = await rebuilt(world)
    assert found["unreadable"] == 1
    assert await clean_up(store) == 0
    assert await strays(store) == [lost.blob.id]


async def test_an_empty_sidecar_of_what_was_never_sealed_is_no_gap(store, world):
    """A cut of the power, or a drive that did not answer, may leave it so. It would be a gap for ever."""
    left = await put(store, "left", sample(1500))
    first, *others = sidecars_of(world, left.blob)
    os.truncate(first, 0)
    for path in others:
        shutil.rmtree(os.path.dirname(path))
    store, found = await rebuilt(world)
    assert not found["unreadable"]
    assert await clean_up(store) == 1
    assert await strays(store) == []
    assert not os.path.exists(first)


async def test_an_empty_sidecar_on_one_volume_is_a_gap(tmp_path):
    """There an object is acknowledged before its sidecar is flushed."""
    world = World(tmp_path, volumes=1)
    store = world.open()
    await make_bucket(store)
    lost = await put(store, "lost", sample(1500))
    os.truncate(*sidecars_of(world, lost.blob), 0)
    store, found = await rebuilt(world)
    assert found["unreadable"] == 1
    assert await clean_up(store) == 0
    assert await strays(store) == [lost.blob.id]
    await world.close()


@contextmanager
def left_on_the_drives(world, ref):
    """Have what is removed meanwhile be there as before."""
    files = {path: Path(path).read_bytes() for path in world.files_of(ref)}
    yield
    for path, data in files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(data)


@pytest.mark.parametrize("size", [10, 1500])
@pytest.mark.parametrize("away", [False, True])
async def test_what_was_replaced_does_not_come_back_when_a_gap_kept_it_and_its_successor_is_deleted(
    store, world, size, away
):
    """The remedy for a gap is another rebuild."""
    old = await put(store, "k", sample(size))
    with left_on_the_drives(world, old.blob):
        damaged = await put(store, "k", sample(size, 2))
        with left_on_the_drives(world, damaged.blob):
            await put(store, "k", sample(size, 3))
    for path in sidecars_of(world, damaged.blob):
        os.truncate(path, 50)
    root = world.volume_roots[old.blob.volumes[0]]
    if away:
        await end_of_start(store, world)
        os.rename(root, f"{root}.away")
    store, found = await rebuilt(world, missing=int(away))
    assert found["unreadable"] == 1
    assert await get(store, "k") == sample(size, 3)
    await remove(store, "k")
    assert await clean_up(store) == 0
    assert old.blob.id in await strays(store), "what could not be read may name it"
    if away:
        await end_of_start(store, world)
        os.rename(f"{root}.away", root)
    store, _ = await rebuilt(world)
    assert await keys_of(store) == []
    for path in sidecars_of(world, damaged.blob):
        os.unlink(path)
    store, _ = await rebuilt(world)
    await clean_up(store)
    assert await strays(store) == []


async def end_of_start(store, world):
    """Have the volumes within reach see a start."""
    store.blobs.volumes.write_generation(store.blobs.volumes.generation + 1, world.clock.now_ns())


async def test_very_many_gaps_are_one(store, world, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    versions = [await put(store, f"k{number}", sample(1500)) for number in range(4)]
    paths = [path for version in versions for path in sidecars_of(world, version.blob)]
    with unreadable(*paths):
        store, found = await rebuilt(world)
    assert found["unreadable"] == 4
    assert [prefix for prefix, _ in await read_blind_spots(store.index)] == [""]
    assert await clean_up(store) == 0
