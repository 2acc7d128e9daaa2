"""What a read began with it ends with, though the object has several parts and goes meanwhile, in any process.

The two stores share files and index as two processes do.
"""

import asyncio
import os

import pytest
from msgspec.structs import replace

from s3ish.blob.wrappers.faults import FaultPlan, FaultyStore
from s3ish.index.protocol import Delete, Unavailable
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.named_blobs import inventory
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.unresolved import UnresolvedJob
from s3ish.objects import copy, multipart
from s3ish.objects import get as read
from s3ish.tables.catalogue import CURRENT, VERSIONS
from s3ish.tables.state import SWEEP
from tests.objects.support import (
    World,
    add_part,
    begin,
    complete,
    copy_to,
    drain,
    get,
    head,
    keys_of,
    make_bucket,
    open_all,
    outcome,
    put,
    referenced,
    remove,
    sample,
    sealed,
    strays,
)

SIZES = (2500, 1200, 3100, 60)
"""Of the parts: some stripes each, the last one small enough to be in the index."""
CONTENTS = [sample(size, seed) for seed, size in enumerate(SIZES)]
WHOLE = b"".join(CONTENTS)


@pytest.fixture
def reports():
    """What was reported as damaged."""
    return []


@pytest.fixture
async def workers(tmp_path, small_parts, reports):
    """Two stores on the same files, with threads as in a server."""
    world = World(tmp_path, inline_offload=False)

    def on_damage(ref, names):
        reports.append((ref.id, names))

    first, second = (world.open(on_damage=on_damage) for _ in range(2))
    await make_bucket(first)
    first.world = world
    yield first, second
    await world.close()
    world.offload.close()


async def store_parts(store, key="k", contents=CONTENTS):
    upload = await begin(store, key)
    parts = [await add_part(store, upload, number, data) for number, data in enumerate(contents, 1)]
    return await complete(store, upload, parts)


async def garbage(store):
    """Return the ids of the blobs that are to be removed."""
    await store.settle()
    return [key.decode() for key, _ in await store.index.scan("garbage", b"", b"\xff", 10)]


async def empty_of_garbage(store):
    """Nothing is left but what the index names."""
    await GarbageJob(store).step()
    assert await garbage(store) == []
    assert await strays(store) == []
    assert await sealed(store) == await referenced(store)


ENDS = {
    "overwritten": lambda store: put(store, "k", b"newer"),
    "overwritten by parts": lambda store: store_parts(store, contents=CONTENTS[:2]),
    "overwritten by a copy": lambda store: copy_over(store),
    "deleted": lambda store: remove(store, "k"),
    "deleted as a version": lambda store: remove(store, "k", "null"),
}


async def copy_over(store):
    return await copy_to(store, await put(store, "other", sample(1500, 9)), "k")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("by", ["this process", "another process"])
async def test_a_read_goes_on_when_its_object_goes(workers, reports, end, by):  # cases 50, 161
    first, second = workers
    version = await store_parts(first)
    flow = await open_all(first, version)
    begun = bytes(await anext(flow))
    await ENDS[end](second if by == "another process" else first)
    await GarbageJob(second).step()
    assert begun + await drain(flow) == WHOLE
    await empty_of_garbage(second)
    assert reports == []


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, len(WHOLE)), (2499, 2501), (2000, 4000), (3700, 6801), (6799, 6801), (6800, len(WHOLE)), (2500, 3700)],
)
async def test_a_range_of_several_parts_goes_on(workers, reports, start, stop):  # cases 50, 161
    first, second = workers
    flow = await open_all(first, await store_parts(first), start, stop)
    await remove(second, "k")
    await GarbageJob(second).step()
    assert await drain(flow) == WHOLE[start:stop]
    await empty_of_garbage(second)
    assert reports == []


@pytest.mark.parametrize("count", [1, 2, 3, 40])
async def test_any_number_of_parts_goes_on(workers, reports, count):  # cases 50, 161
    first, second = workers
    contents = [sample(1500, seed) for seed in range(count)]
    flow = await open_all(first, await store_parts(first, contents=contents))
    await remove(second, "k")
    await GarbageJob(second).step()
    assert await drain(flow) == b"".join(contents)
    await empty_of_garbage(second)
    assert reports == []


async def test_all_readers_end_before_the_parts_go(workers, reports):
    first, second = workers
    version = await store_parts(first)
    flows = [await open_all(workers[number % 2], version) for number in range(6)]
    await put(first, "k", b"newer")
    for number, flow in enumerate(flows):
        await GarbageJob(workers[number % 2]).step()
        assert await drain(flow) == WHOLE
    await empty_of_garbage(second)
    assert reports == []


async def test_a_read_that_is_given_up_keeps_nothing(workers):
    first, second = workers
    version = await store_parts(first)
    begun, untouched = await open_all(first, version), await open_all(first, version)
    await anext(begun)
    await remove(second, "k")
    await begun.aclose()
    await untouched.aclose()
    await untouched.aclose()
    await empty_of_garbage(second)
    assert await anext(untouched, None) is None


async def test_a_reader_that_was_killed_keeps_nothing(workers):
    """Its marks end with its process; here its index, which is all that the others see of it."""
    first, second = workers
    await open_all(first, await store_parts(first))
    await remove(second, "k")
    await GarbageJob(second).step()
    assert len(await strays(second)) + len(await sealed(second)) > 1
    await first.index.close()
    await empty_of_garbage(second)


async def test_what_is_removed_before_it_is_opened_is_looked_for_again(workers, reports):
    first, second = workers
    stale = await store_parts(first)
    held = await open_all(second, stale)
    await put(second, "k", b"newer")
    for start, stop in ((0, len(WHOLE)), (2000, 4000)):
        with pytest.raises(read.Replaced):
            await open_all(first, stale, start, stop)
    assert await drain(held) == WHOLE
    await empty_of_garbage(second)
    for start, stop in ((0, len(WHOLE)), (2000, 4000), (0, 1), (6800, 6810)):
        with pytest.raises(read.Replaced):
            await open_all(first, stale, start, stop)
    assert await get(first, "k") == b"newer"
    await empty_of_garbage(second)


async def test_the_sidecar_goes_at_once_so_that_no_rebuild_brings_the_object_back(workers):
    first, second = workers
    version = await store_parts(first)
    flow = await open_all(first, version)
    await remove(second, "k")
    assert version.blob.id not in await sealed(second)
    fresh = first.world.open(first.world.index_path.with_name("fresh.db"))
    await rebuild(fresh)
    assert await keys_of(fresh) == []
    await flow.aclose()


@pytest.mark.parametrize("parts", [CONTENTS, CONTENTS[:1]], ids=["parts", "one part"])
async def test_a_copy_goes_on_when_its_source_goes(workers, reports, monkeypatch, parts):  # case 161
    """It goes in the middle of the copy: with links, with bytes, and as a part of an upload."""
    first, second = workers
    whole = b"".join(parts)

    async def gone_in_the_middle(copy_it):
        source = await store_parts(first, "source", parts)
        opened = 0

        async def open_some(ref, start=0, stop=None, real=first.blobs.open):
            nonlocal opened
            reader = await real(ref, start, stop)
            opened += 1
            if opened == 1:
                await remove(second, "source")
                await GarbageJob(second).step()
            return reader

        with monkeypatch.context() as patch:
            patch.setattr(first.blobs, "open", open_some)
            await copy_it(source)
        assert opened
        await empty_of_garbage(second)

    async def as_part(source):
        upload = await begin(first, "upload")
        await copy.copy_part(first, source, 100, len(whole), "b", "upload", upload.id, 1)
        await complete(first, upload, (await multipart.list_parts(first, upload.id, 0, 10))[0])

    await gone_in_the_middle(lambda source: copy_to(first, source, "bytes", algorithm="SHA256"))
    assert await get(first, "bytes") == whole
    await gone_in_the_middle(as_part)
    assert await get(first, "upload") == whole[100:]
    assert reports == []


async def test_a_copy_that_links_goes_on_when_its_source_goes(workers, reports, monkeypatch):  # case 161
    first, second = workers
    source = await store_parts(first, "source")
    began, waiting = asyncio.Event(), asyncio.Event()

    class Plan(FaultPlan):
        async def before(self, call):
            if call.method == "adopt":
                began.set()
                await waiting.wait()

    monkeypatch.setattr(first, "blobs", FaultyStore(first.blobs, Plan()))
    copying = asyncio.create_task(copy_to(first, source, "linked"))
    await began.wait()
    await remove(second, "source")
    await GarbageJob(second).step()
    waiting.set()
    await copying
    assert await get(first, "linked") == WHOLE
    await empty_of_garbage(second)
    assert reports == []


async def test_what_heals_and_sweeps_meanwhile_leaves_the_parts_to_their_readers(workers, reports):  # case 161
    """A heal that has found the rows before they went, a sweep, and the job of what a failed commit left."""
    first, second = workers
    version = await store_parts(first)
    flow = await open_all(first, version)
    found = [item async for row in inventory(second) for item in row.items]
    await remove(second, "k")
    inspector = Inspector(second, repair=True)
    assert [await inspector.look(item) for item in found] == [None] * len(found)
    assert version.blob.id not in await sealed(second), "it does not come back"
    os.unlink(first.world.files_of(version.parts[1].blob)[-1])  # one without all its sidecars
    for path in first.world.files_of(version.parts[2].blob)[-3:]:
        os.unlink(path)
    second.leftovers.add(*(part.blob for part in version.parts))
    await UnresolvedJob(second).step()
    assert not second.leftovers
    await second.index.commit([SWEEP.put()])
    sweep = SweepJob(second, 1 << 62)
    while (await sweep.step()).more:
        pass
    assert await drain(flow) == WHOLE
    await empty_of_garbage(second)
    assert reports == []


async def test_of_many_parts_one_is_open_at_a_time(workers, reports):  # case 161
    """10,000 parts, of which many share their bytes, so that the test need not store as many."""
    first, second = workers
    version = await store_parts(first, contents=[sample(250, seed) for seed in range(4)])
    many = replace(
        version,
        parts=tuple(replace(version.parts[number % 4], number=number + 1) for number in range(10_000)),
        size=250 * 10_000,
    )
    await first.index.commit([VERSIONS.put(many), CURRENT.show(many)])
    flow = await open_all(first, await head(first, "k"))
    await remove(second, "k")
    await GarbageJob(second).step()
    before, most, received = None, 0, 0
    async for piece in flow:
        assert bytes(piece) == sample(250, received // 250 % 4)
        received += len(piece)
        if received % 25_000 == 0:
            descriptors = len(os.listdir("/proc/self/fd"))
            before = before or descriptors
            most = max(most, descriptors)
    assert received == many.size
    assert most <= before + 3
    await empty_of_garbage(second)
    assert reports == []


async def test_a_kernel_that_tells_nothing_of_marks_keeps_the_parts(workers, monkeypatch):
    first, second = workers
    version = await store_parts(first)
    await first.settle()

    def fail(_name):
        raise Unavailable("no locks")

    with monkeypatch.context() as patch:
        patch.setattr(second.index, "is_marked", fail)
        await remove(second, "k")
        await GarbageJob(second).step()
        assert await garbage(second) == [version.blob.id]
    await empty_of_garbage(second)


async def test_reads_copies_and_writers_in_a_crowd(workers, reports):  # cases 44, 50, 161
    """Whatever comes when: every read and every copy is of one version."""
    first, second = workers
    contents = {}
    for number in range(4):
        parts = [sample(size, 10 * number + at) for at, size in enumerate((700, 1300, 60))]
        contents[number] = parts

    async def write(store, number):
        if number % 5 == 4:
            await put(store, "k", b"".join(contents[number % 4]))
        else:
            await store_parts(store, contents=contents[number % 4])

    whole = {b"".join(parts) for parts in contents.values()}

    async def copy_it(store, key):
        async def attempt():
            return await copy_to(store, await head(store, "k"), key)

        await read.decided(attempt)
        assert await get(store, key) in whole

    async def one(store, number):
        for turn in range(4):
            if number % 3 == 0:
                await write(store, number + turn)
            elif number % 3 == 1:
                assert await get(store, "k") in whole
            else:
                await copy_it(store, f"copy {number}")

    await write(first, 0)
    await asyncio.gather(*(one(workers[number % 2], number) for number in range(24)))
    await empty_of_garbage(second)


async def test_a_blob_that_is_garbage_already_keeps_its_parts_when_it_is_condemned_again(workers):
    first, second = workers
    version = await store_parts(first)
    flow = await open_all(first, version)
    await remove(second, "k")
    await first.settle()
    await second.condemn(version.blob)
    await second.condemn(version.parts[0].blob)
    assert await garbage(second) == [version.blob.id]
    assert await drain(flow) == WHOLE
    await empty_of_garbage(second)


async def test_an_index_row_that_is_gone_early_is_no_error(workers):
    """The row of garbage goes last; a reader that comes then finds nothing to open."""
    first, second = workers
    version = await store_parts(first)
    await remove(second, "k")
    await empty_of_garbage(second)
    await second.index.commit([Delete("garbage", version.blob.id.encode())])
    with pytest.raises(read.Replaced):
        await open_all(first, version)
    assert await outcome(get(first, "k")) is not None
