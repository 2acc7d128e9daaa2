"""Damaged rows of the index are written anew from sidecars, by a check and after the read that met them."""

import pytest

from s3ish.errors import InternalError
from s3ish.index.protocol import Delete, IndexFull, Put, RowIs
from s3ish.integrity.check import Check
from s3ish.integrity.repair_queue import RepairJob, RepairQueue
from s3ish.integrity.restore_rows import restore
from s3ish.integrity.scrub import ScrubJob
from s3ish.objects import buckets, listing, multipart
from s3ish.observe.observer import Observer
from s3ish.tables.catalogue import VERSIONS
from tests.objects.support import (
    add_part,
    begin,
    complete,
    copy_to,
    get,
    keys_of,
    make_bucket,
    outcome,
    put,
    remove,
    sample,
)

pytestmark = pytest.mark.slow

TABLES = ("buckets", "versions", "uploads", "parts", "current")


@pytest.fixture
def observer():
    return Observer()


@pytest.fixture
def queue(world, observer):
    return RepairQueue(world.clock, observer)


@pytest.fixture
async def store(world, queue, monkeypatch):
    """A store with something of each kind, whose reads report to the queue."""
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    store = world.open(on_damage=lambda ref, names: queue.add(ref), on_broken_row=queue.add)
    await make_bucket(store)
    await make_bucket(store, "b2", "Enabled")
    for size in (0, 10, 1500):
        for bucket in ("b", "b2"):
            await put(store, f"folder/k{size}", sample(size, 1), bucket=bucket)
            await put(store, f"folder/k{size}", sample(size, 2), bucket=bucket)
    await remove(store, "folder/k10", bucket="b2")
    upload = await begin(store, "many")
    many = await complete(store, upload, [await add_part(store, upload, n, sample(1500, n)) for n in (1, 2)])
    await copy_to(store, many, "copy")
    going_on = await begin(store, "folder/k10")
    await add_part(store, going_on, 1, sample(10, 3))
    await add_part(store, going_on, 1, sample(10, 4))
    await add_part(store, going_on, 2, sample(1500, 5))
    return store


async def rows(store, *tables):
    return [RowIs(table, *row) for table in tables for row in await store.index.scan(table, b"", b"\xff", 1000)]


def broken(row):
    return RowIs(row.table, row.key, row.value[:-1] + bytes([row.value[-1] ^ 1]))


async def damage(store, row):
    bad = broken(row)
    await store.index.commit([Put(bad.table, bad.key, bad.value)])
    return bad


async def check(store, *, repair):
    checking = Check(store, repair=repair, before_ns=store.clock.now_ns())
    findings = [finding async for row in checking.rows() for finding in row]
    return [(finding.name, finding.state) for finding in findings + [found async for found in checking.orphans()]]


async def test_every_row_that_is_damaged_comes_back_as_it_was(store):  # case 22
    before = await rows(store, *TABLES)
    assert {row.table for row in before} == set(TABLES)
    for row in before:
        await damage(store, row)
        assert [state for _, state in await check(store, repair=False)] == ["damaged"], row
        assert [state for _, state in await check(store, repair=True)] == ["repaired"], row
        assert await rows(store, *TABLES) == before
        assert await check(store, repair=False) == []


async def test_all_rows_at_once(store):
    before = await rows(store, *TABLES)
    for row in before:
        await damage(store, row)
    assert {state for _, state in await check(store, repair=True)} == {"repaired"}
    await check(store, repair=True)  # whose uploads were damaged, parts are looked at when those are there again
    assert await rows(store, *TABLES) == before
    assert await check(store, repair=False) == []


async def test_a_read_that_meets_a_damaged_row_is_an_error_and_has_it_repaired(store, queue, observer):  # case 22
    job = RepairJob(store, queue, observer)
    upload = next(iter((await listing.list_uploads(store, listing.Query("b", "", "", 9), "", "")).items))[1]
    readers = {
        "buckets": lambda: buckets.set_versioning(store, "b", enabled=True),
        "versions": lambda: get(store, "folder/k0"),
        "uploads": lambda: multipart.find_upload(store, "b", upload.key, upload.id),
        "parts": lambda: multipart.list_parts(store, upload.id, 0, 9),
        "current": lambda: keys_of(store),
    }
    for table, read in readers.items():
        row = next(row for row in await rows(store, table) if row.key.startswith((b"b\0", b"b", upload.id.encode())))
        if table == "versions":
            row = next(row for row in await rows(store, table) if row.key.startswith(b"b\0folder/k0\0"))
        await damage(store, row)
        with pytest.raises(Exception):  # noqa: B017, PT011 - the index's own, or translated
            await read()
        assert len(queue) == 1
        await job.step()
        assert not queue
        assert row in await rows(store, table)
        await read()


async def test_a_get_of_a_damaged_row_answers_500(store, queue):
    from s3ish.objects.store import translated

    async def reading():
        with translated():
            return await get(store, "folder/k1500")

    row = next(row for row in await rows(store, "versions") if row.key.startswith(b"b\0folder/k1500\0"))
    await damage(store, row)
    assert await outcome(reading()) is InternalError
    assert len(queue) == 1


async def test_the_scrub_restores_rows(store, observer):
    before = await rows(store, *TABLES)
    for row in before[::3]:
        await damage(store, row)
    job = ScrubJob(store, observer, 0.001)
    for _ in range(4):
        store.clock.ns += 10**10
        await job.step()
    assert await rows(store, *TABLES) == before


async def test_what_is_named_as_garbage_is_not_what_a_row_meant(world, store, monkeypatch):
    """A part was replaced, and its files could not be removed yet."""
    upload = next(iter((await listing.list_uploads(store, listing.Query("b", "", "", 9), "", "")).items))[1]

    async def keep(ref):
        raise OSError("a volume is gone")

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "delete", keep)
        for number in (6, 7):
            world.clock.ns -= 10**12  # the clock jumps: the newer part looks older
            await add_part(store, upload, 9, sample(10, number))
    before = await rows(store, "parts")
    bad = await damage(store, before[-1])
    assert await restore(store, bad)
    assert await rows(store, "parts") == before


async def test_a_row_that_changed_meanwhile_is_left_alone(store):
    (row, *_) = await rows(store, "versions")
    assert await restore(store, broken(row))
    assert row in await rows(store, "versions")


async def test_a_row_whose_sidecars_are_lost_is_told_of(world, store):
    row = next(row for row in await rows(store, "versions") if row.key.startswith(b"b\0folder/k1500\0"))
    ref = store.hold(VERSIONS, row.key, row.value).record.blob
    await store.blobs.delete(ref)
    bad = await damage(store, row)
    assert [state for _, state in await check(store, repair=True)] == ["damaged"]
    assert bad in await rows(store, "versions")


def moved(row, at):
    """The row with one bit of its key flipped."""
    return RowIs(row.table, row.key[:at] + bytes([row.key[at] ^ 1]) + row.key[at + 1 :], row.value)


@pytest.mark.parametrize("at", [0, -1])
async def test_every_row_whose_key_is_damaged_is_put_back(store, at):  # case 22
    before = await rows(store, *TABLES)
    for row in before:
        at %= len(row.key)
        bad = moved(row, at)
        if bad.key in {other.key for other in before}:
            continue
        await store.index.commit([Delete(row.table, row.key), Put(bad.table, bad.key, bad.value)])
        found = {state for _, state in await check(store, repair=False)}
        assert "damaged" in found, row
        await check(store, repair=True)
        await check(store, repair=True)
        assert await rows(store, *TABLES) == before, row
        assert await check(store, repair=False) == []


async def test_a_row_for_which_there_is_no_room_holds_up_no_other(store, monkeypatch):  # case 133
    before = await rows(store, *TABLES)
    (row,) = [found.row for found in await store.newest("b", "folder/k10")]
    bad = moved(row, 0)
    await store.index.commit([Delete(row.table, row.key), Put(bad.table, bad.key, bad.value)])
    real = store.index.commit

    async def commit(changes, expect=()):
        if any(isinstance(change, Put) and change.key == row.key for change in changes):
            raise IndexFull("the rest is kept for removals")
        await real(changes, expect)

    with monkeypatch.context() as patched:
        patched.setattr(store.index, "commit", commit)
        assert "damaged" in {state for _, state in await check(store, repair=True)}
    assert {state for _, state in await check(store, repair=True)} == {"repaired"}
    assert await rows(store, *TABLES) == before


async def test_a_row_is_not_put_back_where_something_newer_is(store):
    """Its bytes are replaced; a sweep removes them when the index is whole again."""
    (row,) = [found.row for found in await store.newest("b", "folder/k10")]
    bad = moved(row, 0)
    await store.index.commit([Delete(row.table, row.key), Put(bad.table, bad.key, bad.value)])
    await put(store, "folder/k10", b"newer")
    await check(store, repair=True)
    assert await get(store, "folder/k10") == b"newer"
    assert len([found for found in await store.newest("b", "folder/k10", 9) if found.key != bad.key]) == 1


@pytest.mark.parametrize("bucket", ["b", "b2"])
@pytest.mark.parametrize("at", [-1, -8])
@pytest.mark.parametrize("bit", [1, 128])
async def test_a_version_comes_back_whose_key_is_damaged_within_its_sequence(store, bucket, at, bit):
    """Then it stands among the rows of its own key, above what was the newest or below it."""
    before = await rows(store, *TABLES)
    row = next(it for it in await rows(store, "versions") if it.key.startswith(f"{bucket}\0folder/k1500\0".encode()))
    key = bytearray(row.key)
    key[at] ^= bit
    await store.index.commit([Delete(row.table, row.key), Put(row.table, bytes(key), row.value)])
    assert await restore(store, RowIs(row.table, bytes(key), row.value))
    assert await rows(store, *TABLES) == before
    assert await get(store, "folder/k1500", bucket=bucket) == sample(1500, 2)
