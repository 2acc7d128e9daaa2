"""What a request could not remove itself is removed later, and nothing else."""

import pytest

from s3ish.blob.protocol import Unwritable
from s3ish.index.protocol import Put
from s3ish.integrity import garbage as garbage_job
from s3ish.integrity.garbage import GarbageJob, RemovalJob
from s3ish.model import Garbage
from s3ish.objects import multipart
from s3ish.objects.unreachable import drop_blobs
from s3ish.tables.state import SWEEP
from tests.objects.support import add_part, begin, complete, get, put, referenced, remove, sample, sealed


async def garbage(store):
    return [key.decode() for key, _ in await store.index.scan("garbage", b"", b"\xff", 1000)]


@pytest.fixture
def broken(store, monkeypatch):
    """Blobs cannot be deleted; a function that says which."""
    real, refused = store.blobs.delete, {"any": True, "ids": set()}

    async def delete(ref):
        if refused["any"] or ref.id in refused["ids"]:
            raise Unwritable("a volume is gone")
        await real(ref)

    monkeypatch.setattr(store.blobs, "delete", delete)
    return refused


async def test_what_could_not_be_removed_is_removed_later(store, broken):
    for size in (10, 1500):
        await put(store, "k", sample(size))
        await put(store, "k", b"new")
        await remove(store, "k")
    left = await garbage(store)
    assert len(left) == 4
    await GarbageJob(store).step()
    assert await garbage(store) == left, "the volume is still gone"
    broken["any"] = False
    step = await GarbageJob(store).step()
    assert not step.more
    assert await garbage(store) == []
    assert await sealed(store) == await referenced(store)


async def test_what_may_have_the_same_bytes_is_flushed_once_before_anything_goes(store, broken, monkeypatch):
    """It may be of a process that was killed. What stays, as snapshots name it, costs no further flush."""
    done = []

    async def flush(blobs=None):
        assert blobs is None
        done.append("flushed")
        return "failing" not in done

    monkeypatch.setattr(store, "flush", flush)
    monkeypatch.setattr(store.removal, "remove", noting(store.removal.remove, done))
    await put(store, "k", sample(1500))
    await remove(store, "k")
    job = GarbageJob(store)
    done[:] = ["failing"]
    await job.step()
    assert done == ["failing", "flushed"], "nothing goes before what may have the same bytes is durable"
    done.clear()
    await job.step()
    await job.step()
    assert done == ["flushed", "removed", "removed"]
    await put(store, "other", b"x")
    await remove(store, "other")
    done.clear()
    await job.step()
    assert done == ["flushed", "removed"]


async def test_of_much_that_stays_little_is_remembered(store, broken, monkeypatch):
    monkeypatch.setattr(garbage_job, "_MOST_SEEN", 150)
    for number in range(330):
        await put(store, f"{number:03}", b"x")
        await remove(store, f"{number:03}")
    job, flushes = GarbageJob(store), []

    async def flush():
        flushes.append(job._start)
        return True

    monkeypatch.setattr(store, "flush", flush)
    for expected in (4, 2):
        flushes.clear()
        while (await job.step()).more:
            pass
        assert (len(flushes), len(job._flushed)) == (expected, 200)


def noting(remove, done):
    async def noted(garbage, **options):
        done.append("removed")
        return await remove(garbage, **options)

    return noted


async def test_what_lives_is_not_touched(store):
    await put(store, "small", b"small")
    await put(store, "large", sample(1500))
    await GarbageJob(store).flush()
    assert (await get(store, "small"), await get(store, "large")) == (b"small", sample(1500))


async def test_a_blob_that_is_gone_already_is_forgotten(store):
    written = await put(store, "k", sample(1500))
    await remove(store, "k")
    await store.index.commit(drop_blobs([Garbage(written.blob)]))
    await GarbageJob(store).flush()
    assert await garbage(store) == []


async def test_what_cannot_be_removed_does_not_hold_up_the_rest(store, broken):
    made = [await put(store, f"{number:03}", b"x") for number in range(230)]
    for number in range(230):
        await remove(store, f"{number:03}")
    broken["any"] = False
    stuck = {version.blob.id for version in made[:120]}
    broken["ids"] = stuck
    job, steps = GarbageJob(store), 0
    while (await job.step()).more:
        steps += 1
        assert steps < 10, "each step goes on behind the one before"
    assert set(await garbage(store)) == stuck
    broken["ids"] = set()
    while (await job.step()).more:
        pass
    assert await garbage(store) == []


@pytest.mark.parametrize(("taken", "pause"), [(0, 30), (1, 200), (9, 600)])
async def test_a_pass_over_what_stays_is_made_the_more_seldom_the_longer_it_takes(
    store, broken, monkeypatch, taken, pause
):
    for number in range(101):
        await put(store, f"k{number}", b"x")
        await remove(store, f"k{number}")
    seconds, settle = [0.0], store.settle

    async def slowly():
        seconds[0] += taken / 2  # a step settles twice
        await settle()

    monkeypatch.setattr(store, "settle", slowly)
    monkeypatch.setattr(store.clock, "monotonic", lambda: seconds[0])
    job = GarbageJob(store)
    for _ in range(2):
        assert (await job.step()).more
        step = await job.step()
        assert (step.more, step.pause_seconds) == (False, pause)


async def test_a_damaged_row_is_dropped_and_its_blob_looked_for(store, logged):  # case 22
    await store.index.commit([Put("garbage", b"b/x@token", b"rubbish")])
    await GarbageJob(store).flush()
    assert await garbage(store) == []
    assert await SWEEP.value(store.index) is not None
    assert logged[0]["blob"] == "b/x@token"


@pytest.fixture
def multipart_of(store, monkeypatch):
    """Makes an object ``k`` of so many parts of a byte each."""
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 1)

    async def make(count):
        upload = await begin(store, "k")
        return await complete(store, upload, [await add_part(store, upload, n, b"x") for n in range(1, count + 1)])

    return make


async def there(store, version):
    """How many of its own blob and of its parts are there."""
    found = {ref.id async for ref, _, *_ in store.blobs.scan()}
    return version.blob.id in found, len(found & {part.blob.id for part in version.parts})


async def test_nobody_waits_for_the_removal_of_many_parts(store, multipart_of):
    version = await multipart_of(40)
    await remove(store, "k")
    assert await there(store, version) == (False, 40), "what speaks of them is gone, they follow"
    assert await garbage(store) == [version.blob.id], "one row for all"
    await RemovalJob(store).step()
    assert await there(store, version) == (False, 0)
    assert await garbage(store) == []


async def test_few_parts_go_at_once(store, multipart_of):
    version = await multipart_of(16)
    await remove(store, "k")
    await store.settle()
    assert (await there(store, version), await garbage(store)) == ((False, 0), [])


async def test_many_parts_do_not_delay_a_start_and_survive_it(store, multipart_of):
    version = await multipart_of(40)
    await remove(store, "k")
    await GarbageJob(store).flush()
    assert await there(store, version) == (False, 40)
    await GarbageJob(store).step()
    assert (await there(store, version), await garbage(store)) == ((False, 0), [])


async def test_parts_that_cannot_be_removed_stay_named(store, multipart_of, broken):
    version = await multipart_of(40)
    broken["any"], broken["ids"] = False, {part.blob.id for part in version.parts[:3]}
    await remove(store, "k")
    await GarbageJob(store).step()
    assert await there(store, version) == (False, 3)
    broken["ids"] = set()
    await GarbageJob(store).step()
    assert (await there(store, version), await garbage(store)) == ((False, 0), [])


async def test_parts_stay_while_the_sidecar_that_speaks_of_them_does(store, multipart_of, broken):
    version = await multipart_of(40)
    broken["any"], broken["ids"] = False, {version.blob.id}
    await remove(store, "k")
    await GarbageJob(store).step()
    assert await there(store, version) == (True, 40)
    broken["ids"] = set()
    await GarbageJob(store).step()
    assert (await there(store, version), await garbage(store)) == ((False, 0), [])
