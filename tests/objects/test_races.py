"""Many writers, two workers: what the index decides is what happens, and nothing is left of the losers.

The two stores share files and index as two processes do, so that no lock of one process hides a race.
"""

import asyncio
from contextlib import suppress

import pytest

from s3ish.errors import (
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    OperationAborted,
    PreconditionFailed,
)
from s3ish.index.protocol import Conflict
from s3ish.objects import buckets, multipart
from s3ish.objects.conditions import WriteConditions
from s3ish.objects.get import Replaced
from s3ish.tables.catalogue import PARTS, TABLES
from tests.objects.support import (
    OWNER,
    World,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    head,
    keys_of,
    make_bucket,
    outcome,
    put,
    read_all,
    referenced,
    remove,
    sample,
    sealed,
    versions_of,
)

CREATE = WriteConditions(if_none_match="*")


class Meddling:
    """An index before each commit of which something else may happen."""

    def __init__(self, index):
        self._index = index
        self.before = None
        self.conflicts = 0

    async def commit(self, changes, expect=()):
        if self.before:
            meddle, self.before = self.before, None
            await meddle()
        try:
            await self._index.commit(changes, expect)
        except Conflict:
            self.conflicts += 1
            raise

    def __getattr__(self, name):
        return getattr(self._index, name)


@pytest.fixture
async def workers(tmp_path):
    """Two stores on the same files, with threads as in a server."""
    world = World(tmp_path, inline_offload=False)
    first, second = world.open(wrap=Meddling), world.open(wrap=Meddling)
    await make_bucket(first)
    yield first, second
    await world.close()
    world.offload.close()


async def settled(store):
    """Nothing is sealed that the index does not name, and every sidecar says what its row says."""
    assert await sealed(store) == await referenced(store)
    async for ref, sidecar, *_ in store.blobs.scan():
        told = TABLES.read_sidecar(sidecar)
        if told.table is not PARTS:
            value = await store.index.get(told.table.name, told.key)
            assert told.table.decode(told.key, value) == told.record
            assert ref == told.record.blob


async def each(workers, count, make):
    """Run ``make(store, number)`` many times at once, in turn on either worker."""
    return await asyncio.gather(*(outcome(make(workers[number % 2], number)) for number in range(count)))


async def test_of_many_creators_exactly_one_wins(workers):  # cases 6, 45
    for size in (10, 1500):
        key = f"k{size}"
        made = await each(workers, 24, lambda s, n: put(s, key, sample(size, n), conditions=CREATE))  # noqa: B023
        winners = [n for n, done in enumerate(made) if done is not PreconditionFailed]
        assert len(winners) == 1
        assert await get(workers[0], key) == sample(size, winners[0])
    await settled(workers[1])


async def test_no_compare_and_set_is_lost(workers):  # case 46
    await put(workers[0], "counter", b"0")

    async def add(store, _):
        while True:
            current = await head(store, "counter")
            try:
                value = int(await read_all(store, current))
            except Replaced:
                continue
            guarded = WriteConditions(if_match=f'"{current.etag}"')
            with suppress(PreconditionFailed):
                return await put(store, "counter", b"%d" % (value + 1), conditions=guarded)

    await each(workers, 20, add)
    assert await get(workers[0], "counter") == b"20"
    await settled(workers[0])


async def test_plain_writers_all_succeed_and_the_last_stays(workers):  # case 44
    await buckets.set_versioning(workers[0], "b", enabled=True)
    made = await each(workers, 24, lambda s, n: put(s, "k", b"%d" % n))
    assert len({version.id for version in made}) == 24
    newest = max(made, key=lambda version: version.sequence)
    assert (await head(workers[1], "k")).id == newest.id
    assert [version_id for _, version_id, _, _ in await versions_of(workers[0])] == [
        version.id for version in sorted(made, key=lambda version: -version.sequence)
    ]
    await settled(workers[0])


async def test_writers_and_removers_leave_one_truth(workers):  # case 47
    async def one(store, number):
        if number % 3 == 2:
            return await remove(store, "k")
        return await put(store, "k", sample(10 if number % 2 else 1500, number))

    for versioning in ("", "Enabled", "Suspended"):
        if versioning:
            await buckets.set_versioning(workers[0], "b", enabled=versioning == "Enabled")
        await each(workers, 24, one)
        there = await versions_of(workers[0])
        listed = bool(there) and not there[0][3]
        assert await keys_of(workers[1]) == (["k"] if listed else [])
        assert len([version for version in there if version[1] == "null"]) <= 1
        await settled(workers[0])


async def test_removing_every_version_at_once_leaves_no_ghost(workers):
    await buckets.set_versioning(workers[0], "b", enabled=True)
    for round_ in range(3):
        made = [await put(workers[0], "k", b"%d" % n) for n in range(12)]
        await each(workers, 12, lambda s, n: remove(s, "k", made[(n * 5 + round_) % 12].id))  # noqa: B023
        assert await versions_of(workers[0]) == []
        assert await keys_of(workers[0]) == []
    await settled(workers[0])


async def test_a_version_that_surfaces_while_it_is_removed_leaves_no_ghost(workers):
    """One worker removes the older version; before it commits, the other removes the newer one, so the older shows."""
    first, second = workers
    await buckets.set_versioning(first, "b", enabled=True)
    older, newer = await put(first, "k", b"older"), await put(first, "k", b"newer")

    async def meddle():
        await remove(second, "k", newer.id)
        assert await keys_of(second) == ["k"]

    first.index.before = meddle
    await remove(first, "k", older.id)
    assert await versions_of(first) == []
    assert await keys_of(first) == []
    await buckets.delete_bucket(first, "b")


async def test_a_creator_that_loses_at_the_last_moment_leaves_nothing(workers):  # case 151
    first, second = workers

    async def meddle():
        await put(second, "k", b"faster", conditions=CREATE)

    for size in (10, 1500):
        first.index.before = meddle
        assert await outcome(put(first, "k", sample(size), conditions=CREATE)) is PreconditionFailed
        assert await get(first, "k") == b"faster"
        await settled(first)
        await remove(first, "k")


async def test_a_copy_that_loses_at_the_last_moment_leaves_nothing(workers, monkeypatch):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 200)
    first, second = workers
    upload = await begin(first, "source")
    source = await complete(first, upload, [await add_part(first, upload, n, sample(1200, n)) for n in (1, 2)])

    async def meddle():
        await put(second, "k", b"faster")

    first.index.before = meddle
    assert await outcome(copy_to(first, source, "k", conditions=CREATE)) is PreconditionFailed
    await settled(first)
    assert await get(first, "source") == sample(1200, 1) + sample(1200, 2)


async def test_one_of_many_makes_the_bucket(workers):
    made = await each(workers, 12, lambda s, _: buckets.create_bucket(s, "new", OWNER, "r"))
    assert len([bucket for bucket in made if bucket is not BucketAlreadyOwnedByYou]) == 1
    await settled(workers[0])


async def test_a_bucket_that_comes_and_goes_meanwhile(workers):
    first, second = workers

    async def meddle():
        await make_bucket(second, "new")

    first.index.before = meddle
    assert await outcome(buckets.create_bucket(first, "new", OWNER, "r")) in (BucketAlreadyOwnedByYou, OperationAborted)
    await settled(first)


async def test_a_bucket_is_deleted_or_written_into_never_both(workers):  # cases 14, 49
    for number in range(6):
        name = f"b{number}"
        await make_bucket(workers[0], name)
        written, deleted = await asyncio.gather(
            outcome(put(workers[number % 2], "k", sample(10 if number % 3 else 1500), bucket=name)),
            outcome(buckets.delete_bucket(workers[1 - number % 2], name)),
        )
        assert (written is NoSuchBucket) == (deleted is None)
        assert (deleted is BucketNotEmpty) == (written is not NoSuchBucket)
    await settled(workers[0])


async def test_a_bucket_that_vanishes_at_the_last_moment(workers):
    first, second = workers
    for write in (lambda: put(first, "k", sample(1500)), lambda: begin(first, "k"), lambda: remove(first, "k")):
        first.index.before = lambda: buckets.delete_bucket(second, "b")
        if write.__code__.co_names[0] == "remove":
            await buckets.set_versioning(second, "b", enabled=True)
        assert await outcome(write()) is NoSuchBucket
        assert await sealed(first) == []
        await make_bucket(first)


async def test_an_upload_is_completed_once(workers):  # case 48
    upload = await begin(workers[0], "k")
    part = await add_part(workers[0], upload, 1, sample(1500))
    await buckets.set_versioning(workers[0], "b", enabled=True)
    made = await each(workers, 10, lambda s, _: complete(s, upload, [part]))
    assert len({version.id for version in made}) == 1
    assert len(await versions_of(workers[0])) == 1
    await settled(workers[0])


async def test_an_upload_is_completed_or_aborted(workers):  # case 48
    for number in range(6):
        upload = await begin(workers[0], f"k{number}")
        part = await add_part(workers[0], upload, 1, sample(10 if number % 2 else 1500))
        completed, aborted = await asyncio.gather(
            outcome(complete(workers[number % 2], upload, [part])),
            outcome(multipart.abort_upload(workers[1 - number % 2], "b", upload.key, upload.id)),
        )
        assert (completed is NoSuchUpload) == (aborted is None)
        assert await outcome(get(workers[0], upload.key)) == (
            NoSuchKey if aborted is None else sample(10 if number % 2 else 1500)
        )
    await settled(workers[0])


async def test_parts_that_arrive_while_the_upload_ends_leave_nothing(workers):  # case 48
    first, second = workers
    for end in (
        lambda upload, part: complete(second, upload, [part]),
        lambda upload, part: multipart.abort_upload(second, "b", "k", upload.id),
    ):
        upload = await begin(first, "k")
        part = await add_part(first, upload, 1, sample(1500))
        first.index.before = lambda: end(upload, part)  # noqa: B023
        assert await outcome(add_part(first, upload, 2, sample(1500))) is NoSuchUpload
        await settled(first)


async def test_a_part_that_is_replaced_while_the_upload_is_completed(workers):  # case 48
    """Completion looks again: what it was told of is no longer there, or it is."""
    first, second = workers
    upload = await begin(first, "k")
    part = await add_part(first, upload, 1, sample(1500, 1))
    first.index.before = lambda: add_part(second, upload, 1, sample(1500, 1))
    version = await complete(first, upload, [part])
    assert await get(first, "k") == sample(1500, 1)
    assert version.size == 1500
    await settled(first)


async def test_readers_get_a_whole_object_however_fast_it_is_replaced(workers):  # cases 44, 50
    contents = {sample(size, number) for number in range(5) for size in (50, 1500)}
    await put(workers[0], "k", sample(50, 0))

    async def one(store, number):
        for turn in range(5):
            if number % 3 == 0:
                await put(store, "k", sample(50 if (number + turn) % 2 else 1500, turn))
            else:
                assert await get(store, "k") in contents

    await asyncio.gather(*(one(workers[number % 2], number) for number in range(36)))
    await settled(workers[0])


async def test_writers_of_one_process_wait_for_their_turn(workers):
    """They queue by key, and so never seal in vain; a newcomer does not slip in between."""
    store, _ = workers

    async def one(number):
        for _ in range(number % 3):
            await asyncio.sleep(0)
        await put(store, "k", b"%d" % number)
        await put(store, "k", b"%d again" % number)

    await asyncio.gather(*(one(number) for number in range(30)))
    assert store.index.conflicts == 0
    assert len(store.turns) == 0


async def test_changes_of_a_bucket_are_not_lost_and_its_sidecar_agrees(workers):
    from msgspec.structs import replace

    def add(number):
        return lambda bucket: replace(bucket, documents={**bucket.documents, f"d{number}": "x"})

    await asyncio.gather(*(buckets.change_bucket(workers[0], "b", add(number)) for number in range(15)))
    bucket = (await workers[1].bucket("b")).record
    assert set(bucket.documents) == {f"d{number}" for number in range(15)}
    await settled(workers[0])


async def test_a_change_of_a_bucket_that_loses_gives_its_sidecar_back(workers):
    from msgspec.structs import replace

    first, second = workers
    first.index.before = lambda: buckets.change_bucket(second, "b", lambda b: replace(b, documents={"other": "1"}))
    await buckets.change_bucket(first, "b", lambda b: replace(b, documents={**b.documents, "mine": "2"}))
    assert (await first.bucket("b")).record.documents == {"other": "1", "mine": "2"}
    await settled(first)
