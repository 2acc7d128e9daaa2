"""Snapshots on volumes: a restore brings rows, bytes and sidecars back, and nothing is left of what it undoes."""

import asyncio
import contextlib
import os

import pytest
from msgspec.structs import replace

from s3ish.blob.protocol import Unwritable
from s3ish.clock import Clock
from s3ish.errors import NoSuchKey, ServiceUnavailable, SlowDown
from s3ish.index.protocol import Put
from s3ish.integrity.check import Check
from s3ish.integrity.garbage import RemovalJob
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.startup import join, recover
from s3ish.model import Attributes, Tag
from s3ish.objects import annotations, appending, buckets, moments, multipart, rename, snapshots, system, versions
from s3ish.objects.conditions import UNCONDITIONAL, ReadConditions
from s3ish.objects.kept_rows import KeptRows
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import LATE
from tests.objects.support import (
    Bytes,
    add_part,
    begin,
    complete,
    copy_to,
    counted,
    get,
    head,
    keys_of,
    make_bucket,
    outcome,
    put,
    referenced,
    remove,
    run_jobs,
    sample,
    sealed,
    strays,
)

BESIDE = {"state", "garbage", "intents", "snapshots", "kept", "worlds"}


async def rows(store):
    """Return all rows that say what the store holds, without the bytes that snapshots alone name."""
    names, named = [table.name for table in TABLES if table.name not in BESIDE], set(await referenced(store))
    found = {(name, *row) for name in names for row in await store.index.scan(name, b"", b"\xff", 1 << 30)}
    return {(name, key, value) for name, key, value in found if name != "inline" or key.decode() in named}


async def idle_bytes(store):
    """Return the rows of bytes that belong to nothing."""
    return {key.decode() for key, _ in await store.index.scan("inline", b"", b"\xff", 999)} - set(
        await referenced(store)
    )


async def findings(store):
    check = Check(store, repair=False, before_ns=2**63)
    found = [finding async for some in check.rows() for finding in some]
    return found + [finding async for finding in check.orphans()]


async def built_anew(world, name):
    anew = world.open(index_path=world.root_path / name)
    await rebuild(anew)
    return await rows(anew)


@pytest.fixture
def world(world, tmp_path):
    world.root_path = tmp_path
    return world


async def require_whole(store, world, name="anew.db"):
    """Rows, sidecars and shards agree, a rebuild says the same as the index, and counters are right."""
    await store.settle()
    assert await findings(store) == []
    assert await sealed(store) == await referenced(store)
    assert await built_anew(world, name) == await rows(store)
    kept, walked = await counted(store)
    assert kept == walked


async def tag(store, key, value):
    def change(version):
        return replace(version, attributes=replace(version.attributes, tags=(Tag(value, ""),)))

    await versions.amend_version(store, "b", key, None, change)


async def move(store, source, key):
    await rename.rename_object(store, "b", source, key, of_source=ReadConditions(), of_destination=ReadConditions())


async def append(store, key, data):
    base = await appending.find_base(store, "b", key, (await head(store, key)).size)
    await appending.append(store, base, Bytes(data), conditions=UNCONDITIONAL)


async def annotate(store, key, text):
    await annotations.put_annotation(store, await head(store, key), None, "n", Bytes(text))


async def parts_of(store, key):
    upload = await begin(store, key)
    return upload, [await add_part(store, upload, number, sample(300 * number, number)) for number in (1, 2)]


async def fill(store):
    """Make one of each kind."""
    await put(store, "small", b"small")
    await put(store, "large", sample(2500))
    await put(store, "empty", b"")
    await put(store, "grown", sample(400, 2))
    await append(store, "grown", sample(150, 3))
    await annotate(store, "large", b"a note")
    upload, parts = await parts_of(store, "many")
    await complete(store, upload, parts)
    await begin(store, "begun")
    upload, parts = await parts_of(store, "open")
    await system.create(store, "users/one", "{}", await system.seen(store))
    return upload, parts


async def overwrite_all(store, upload, parts):
    for key in ("small", "large", "empty", "grown", "many", "new"):
        await put(store, key, sample(700, len(key)))


async def remove_all(store, upload, parts):
    for row in await store.index.scan("uploads", b"", b"\xff", 9):
        begun = TABLES["uploads"].decode(*row)
        await multipart.abort_upload(store, "b", begun.key, begun.id)
    for key in await keys_of(store):
        await remove(store, key)
    await buckets.delete_bucket(store, "b")
    await system.forget(store, "users/one")


async def amend_all(store, upload, parts):
    for key in ("small", "large", "many", "grown"):
        await tag(store, key, "now")
    await append(store, "grown", sample(90, 9))
    await annotate(store, "large", sample(300, 5).hex().encode())
    await annotate(store, "small", b"another")
    await buckets.set_versioning(store, "b", enabled=True)


async def rename_and_copy(store, upload, parts):
    await move(store, "large", "a-large")
    await move(store, "small", "z")
    await copy_to(store, await head(store, "many"), "copy")
    await move(store, "many", "grown")
    await put(store, "large", b"another")


async def go_on_with_the_upload(store, upload, parts):
    await add_part(store, upload, 2, sample(999, 8))
    await add_part(store, upload, 3, sample(20, 8))


async def begin_with_parts(store, upload, parts):
    """The first part of an upload that was begun before."""
    found = await store.index.scan("uploads", b"", b"\xff", 9)
    empty = next(it for it in (TABLES["uploads"].decode(*row) for row in found) if it.key == "begun")
    await add_part(store, empty, 1, sample(700, 8))


async def end_the_upload(store, upload, parts):
    await complete(store, upload, parts)
    await remove(store, "open")


async def bury_under_versions(store, upload, parts):
    await buckets.set_versioning(store, "b", enabled=True)
    await put(store, "small", b"newer")
    await remove(store, "large")
    await remove(store, "empty", "null")


CHANGES = [
    overwrite_all,
    remove_all,
    amend_all,
    rename_and_copy,
    go_on_with_the_upload,
    begin_with_parts,
    end_the_upload,
    bury_under_versions,
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_restore_brings_everything_back(store, world, change, small_parts):
    upload, parts = await fill(store)
    before, bytes_before = await rows(store), {key: await get(store, key) for key in await keys_of(store)}
    await snapshots.take(store, "s")
    await change(store, upload, parts)
    if change is not remove_all:
        await require_whole(store, world, "changed.db")
    await run_jobs(store, world.clock)
    for number in range(2):  # as often as one likes
        await snapshots.restore(store, "s")
        await run_jobs(store, world.clock)
        assert await rows(store) == before
        assert {key: await get(store, key) for key in await keys_of(store)} == bytes_before
        await require_whole(store, world, f"restored{number}.db")
        await change(store, upload, parts)
    await snapshots.restore(store, "s")
    await complete(store, upload, parts)
    assert await get(store, "open") == sample(300, 1) + sample(600, 2)
    await snapshots.remove(store, "s")
    await run_jobs(store, world.clock)
    await require_whole(store, world, "removed.db")
    assert (await strays(store), await idle_bytes(store)) == ([], set())


@pytest.mark.parametrize("change", CHANGES)
async def test_what_a_removed_snapshot_alone_named_is_removed(store, world, change, small_parts):
    upload, parts = await fill(store)
    for name in ("one", "two"):
        await snapshots.take(store, name)
    await change(store, upload, parts)
    after = await rows(store)
    pinned = world.files()
    await snapshots.remove(store, "one")
    await run_jobs(store, world.clock)
    assert world.files() == pinned
    await snapshots.remove(store, "two")
    await RemovalJob(store).step()
    assert await store.index.scan("garbage", b"", b"\xff", 9) == []
    assert await strays(store) == []
    assert await rows(store) == after
    assert await idle_bytes(store) == set()
    await require_whole(store, world)


async def test_snapshots_are_apart(store, world):
    await put(store, "k", b"one")
    await snapshots.take(store, "one")
    await put(store, "k", sample(1500, 2))
    await snapshots.take(store, "two")
    await remove(store, "k")
    await snapshots.take(store, "none")
    for name, expected in (("two", sample(1500, 2)), ("one", b"one"), ("two", sample(1500, 2))):
        await snapshots.restore(store, name)
        assert await get(store, "k") == expected
        await require_whole(store, world, f"{name}{len(world.files())}.db")
    await snapshots.restore(store, "none")
    assert await keys_of(store) == []
    assert [(name, it.objects) for name, it in await snapshots.listed(store)] == [("none", 0), ("one", 1), ("two", 1)]


async def test_a_name_that_is_taken_again_is_another_snapshot(store, world):
    await put(store, "k", sample(1500))
    await snapshots.take(store, "s")
    await put(store, "k", sample(1500, 2))
    await snapshots.take(store, "s")
    await RemovalJob(store).step()
    assert await sealed(store) == await referenced(store)
    assert len([path for path in world.files() if "/k@" in path and path.count("/") == 2]) == 3  # folders, one a volume
    await remove(store, "k")
    await snapshots.restore(store, "s")
    assert await get(store, "k") == sample(1500, 2)


async def test_a_new_snapshot_keeps_nothing_from_the_job_that_waits_for_it(store):
    await put(store, "k", sample(1500))
    await snapshots.take(store, "old")
    await remove(store, "k")
    await snapshots.remove(store, "old")
    await snapshots.take(store, "new")
    await RemovalJob(store).step()
    assert await store.index.scan("garbage", b"", b"\xff", 9) == []
    assert await strays(store) == []


async def test_what_snapshots_name_is_looked_up_once_for_all_parts_of_an_object(store, small_parts, monkeypatch):
    upload = await begin(store, "k")
    await complete(store, upload, [await add_part(store, upload, number, sample(300)) for number in (1, 2, 3, 4)])
    await snapshots.take(store, "s")
    scanned, scan = [], KeptRows.scan

    async def counting(kept, table, *of):
        scanned.append(table)
        return await scan(kept, table, *of)

    monkeypatch.setattr(KeptRows, "scan", counting)
    await remove(store, "k")
    assert len(scanned) == len(set(scanned)) > 0
    await snapshots.restore(store, "s")
    assert await get(store, "k") == sample(300) * 4


async def looked_up(store, monkeypatch):
    """Return the tables that the removal of an object reads."""
    tables = []
    for name in ("get", "scan"):
        read = getattr(store.index, name)
        monkeypatch.setattr(store.index, name, lambda table, *of, read=read: tables.append(table) or read(table, *of))
    await put(store, "k", sample(1500))
    tables.clear()
    await remove(store, "k")
    return set(tables)


async def test_a_removal_looks_for_snapshots_where_one_may_be_taken(store, monkeypatch):
    await join(store)
    assert {"garbage", "snapshots"} <= await looked_up(store, monkeypatch)


async def test_a_removal_looks_for_none_where_none_is_and_none_is_taken(store, monkeypatch):
    await join(store, takes_snapshots=False)
    assert not {"garbage", "snapshots"} & await looked_up(store, monkeypatch)
    assert await strays(store) == []


async def test_a_snapshot_from_before_pins_where_none_is_taken(store, world):
    await put(store, "k", sample(1500))
    await snapshots.take(store, "s")
    await join(store, takes_snapshots=False)
    await remove(store, "k")
    await snapshots.restore(store, "s")
    assert await get(store, "k") == sample(1500)
    await require_whole(store, world)


async def test_one_bucket_is_restored_alone(store, world):
    await put(store, "k", sample(1500))
    await make_bucket(store, "other")
    await put(store, "k", b"then", bucket="other")
    await snapshots.take(store, "s")
    await remove(store, "k")
    await put(store, "new", sample(300))
    await put(store, "k", sample(900), bucket="other")
    await make_bucket(store, "later")
    await put(store, "k", b"x", bucket="later")
    await snapshots.restore(store, "s", "b")
    assert await keys_of(store) == ["k"]
    assert await get(store, "k", bucket="other") == sample(900)
    await snapshots.restore(store, "s", "later")
    assert await store.find_bucket("later") is None
    await require_whole(store, world)
    await remove(store, "k", bucket="other")
    await buckets.delete_bucket(store, "other")
    await snapshots.restore(store, "s", "other")
    assert await get(store, "k", bucket="other") == b"then"
    await require_whole(store, world, "again.db")
    with pytest.raises(snapshots.NoSnapshot, match="no bucket"):
        await snapshots.restore(store, "s", "never")


async def test_what_is_late_again_after_a_restore_is_looked_at_again(store):
    row = LATE.of(b"")
    await store.index.commit([row.put(b"before")])
    await snapshots.take(store, "s")
    await store.index.commit([row.put(b"later")])
    await snapshots.restore(store, "s")
    assert row.read(await row.value(store.index)) == b"before"


async def test_what_is_not_there_cannot_be_restored_or_removed(store):
    for act in (snapshots.restore, snapshots.remove):
        with pytest.raises(snapshots.NoSnapshot):
            await act(store, "s")


async def test_snapshots_have_limits(store, monkeypatch):
    monkeypatch.setattr(snapshots, "MOST", 1)
    await snapshots.take(store, "s")
    await snapshots.take(store, "s")
    with pytest.raises(snapshots.TooMany, match="snapshots already"):
        await snapshots.take(store, "t")
    monkeypatch.setattr(snapshots, "MOST_ROWS", 1)
    await put(store, "k")
    with pytest.raises(snapshots.TooMany, match="rows"):
        await snapshots.take(store, "s")
    assert len(await snapshots.listed(store)) == 1


async def test_many_rows_are_kept_and_found(store, world):
    names = [f"{number:04}" for number in range(300)]
    for name in names:
        await put(store, name, name.encode())
    await snapshots.take(store, "s")
    before = await rows(store)
    for name in names[::3]:
        await remove(store, name)
    await run_jobs(store, world.clock)
    await snapshots.restore(store, "s")
    assert await rows(store) == before
    assert [await get(store, name) for name in names] == [name.encode() for name in names]
    await require_whole(store, world)


async def test_a_removal_that_began_before_a_restore_takes_nothing_away(store, world):
    """It holds garbage in its hands that is garbage no more."""
    await put(store, "k", sample(1500))
    await put(store, "small", b"small")
    await snapshots.take(store, "s")
    for key in ("k", "small"):
        await remove(store, key)
    rows_of_garbage = await store.index.scan("garbage", b"", b"\xff", 9)
    in_hand = [TABLES["garbage"].decode(*row) for row in rows_of_garbage]
    await snapshots.restore(store, "s")
    await snapshots.remove(store, "s")
    await store.discard(in_hand, all_parts=True)
    await run_jobs(store, world.clock)
    assert (await get(store, "k"), await get(store, "small")) == (sample(1500), b"small")
    await require_whole(store, world)


async def test_a_restore_waits_for_removals_that_are_under_way(store, world, monkeypatch):
    await put(store, "k", sample(1500))
    await snapshots.take(store, "s")
    may_go_on, began, original = asyncio.Event(), asyncio.Event(), store.blobs.unseal

    async def unseal(ref):
        began.set()
        await may_go_on.wait()
        await original(ref)

    monkeypatch.setattr(store.blobs, "unseal", unseal)
    removing = asyncio.create_task(remove(store, "k"))
    await began.wait()
    restoring = asyncio.create_task(snapshots.restore(store, "s"))
    await asyncio.sleep(0.02)
    assert not restoring.done()
    may_go_on.set()
    await asyncio.gather(removing, restoring)
    assert await get(store, "k") == sample(1500)
    await require_whole(store, world)


async def test_another_commit_in_the_middle_has_it_look_again(store, world, monkeypatch):
    await put(store, "k", sample(1500))
    await snapshots.take(store, "s")
    await remove(store, "k")
    original, left = store.index.commit, [3]

    async def commit(changes, expect=()):
        if any(type(it).__name__ == "Untouched" for it in expect) and left[0]:
            left[0] -= 1
            await original([Put("state", b"x", b"%d" % left[0])])
        await original(changes, expect)

    monkeypatch.setattr(store.index, "commit", commit)
    monkeypatch.setattr(moments, "_PAUSE_SECONDS", 0)
    await snapshots.restore(store, "s")
    assert await get(store, "k") == sample(1500)
    left[0] = 10_000
    for act in (snapshots.restore, snapshots.take):
        assert await outcome(act(store, "s")) is SlowDown
    left[0] = 0
    await require_whole(store, world)


async def test_writers_beside_a_restore_are_wholly_before_or_after_it(world):
    world.clock = Clock()
    store = world.open()
    await make_bucket(store)
    await put(store, "k", sample(1500))
    await snapshots.take(store, "s")

    async def write(number):
        for turn in range(8):
            with contextlib.suppress(NoSuchKey):
                await put(store, f"w{number}", sample(600 + turn))
                await remove(store, f"w{number}" if turn % 2 else "k")

    async def restore():
        for _ in range(6):
            await snapshots.restore(store, "s")
            await asyncio.sleep(0)

    await asyncio.gather(*map(write, range(3)), restore())
    await snapshots.restore(store, "s")
    assert await keys_of(store) == ["k"]
    assert await get(store, "k") == sample(1500)
    await store.index.commit([Put("state", b"sweep", b"1")])
    await require_whole(store, world)


async def test_a_start_ends_a_restore_that_was_cut_off(store, world, monkeypatch):
    await put(store, "k", sample(1500))
    await put(store, "small", b"small")
    await snapshots.take(store, "s")
    before = await rows(store)
    await remove(store, "k")
    await remove(store, "small")
    await put(store, "new", sample(1200))

    async def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(snapshots, "_follow", crash)
        patch.setattr(asyncio, "shield", lambda it: it)
        patch.setattr(asyncio, "ensure_future", lambda it: it)
        await snapshots.restore(store, "s")
    after = world.open()
    await recover(after)
    assert await rows(after) == before
    assert (await get(after, "k"), await get(after, "small")) == (sample(1500), b"small")
    await require_whole(after, world)


async def test_a_rebuild_keeps_what_is_there_now_and_no_snapshot(store, world, small_parts):
    await fill(store)
    await snapshots.take(store, "s")
    await remove(store, "small")
    await put(store, "large", b"now")
    await store.settle()
    before = await rows(store)
    anew = world.open(index_path=world.root_path / "anew.db")
    await rebuild(anew)
    assert await rows(anew) == before
    assert await snapshots.listed(anew) == []
    world.clock.ns = 2**62  # later than the files were made
    await run_jobs(anew, world.clock)
    assert await strays(anew) == []
    assert await findings(anew) == []
    assert await outcome(get(anew, "small")) is NoSuchKey


async def test_what_a_cut_off_replacement_left_is_removed_from_a_blob_that_a_snapshot_alone_names(store, world):
    version = await put(store, "k", sample(1500))
    await snapshots.take(store, "s")
    await remove(store, "k")
    left = f"{world.volume_roots[version.blob.volumes[0]]}/{version.blob.id}/.metadata.json.{'a' * 16}"
    with open(left, "wb"):
        pass
    world.clock.ns = 2**62  # later than the file was made
    await run_jobs(store, world.clock)
    assert not os.path.exists(left)
    await snapshots.restore(store, "s")
    assert await get(store, "k") == sample(1500)


@pytest.mark.parametrize("name", ["s", snapshots.START])
async def test_a_damaged_snapshot_can_be_removed_and_taken_again(store, world, name):
    await put(store, "k", sample(1500))
    await snapshots.take(store, "other")
    for again in (False, True):
        await snapshots.take(store, name)
        await store.index.commit([Put("snapshots", name.encode(), b"damaged")])
        with pytest.raises(snapshots.NoSnapshot, match="is damaged"):
            await snapshots.restore(store, name)
        await (snapshots.take(store, name) if again else snapshots.note_start(store, wanted=False, again=True))
        if name != snapshots.START:
            await snapshots.remove(store, name)
    await remove(store, "k")
    await snapshots.restore(store, "other")
    assert await get(store, "k") == sample(1500)
    for left in ("other", *([name] if name == snapshots.START else [])):
        await snapshots.remove(store, left)
    assert await store.index.scan("kept", b"", b"\xff", 9) == []
    await require_whole(store, world)


async def test_users_that_are_restored_are_noticed(store):
    await snapshots.take(store, "s")
    await system.create(store, "users/one", "{}", await system.seen(store))
    mark = await system.seen(store)
    await snapshots.restore(store, "s")
    assert await system.seen(store) != mark
    assert await system.read_all(store, "users/") == ([], True)


async def test_attributes_of_sidecars_are_those_of_then(store, world):
    await put(store, "k", sample(1500), attributes=Attributes(tags=(Tag("then", ""),)))
    await snapshots.take(store, "s")
    await tag(store, "k", "now")
    await snapshots.restore(store, "s")
    found = TABLES.read_sidecar(await store.blobs.read_sidecar((await head(store, "k")).blob))
    assert found.record.attributes.tags == (Tag("then", ""),)
    await tag(store, "k", "later")
    assert (await head(store, "k")).attributes.tags == (Tag("later", ""),)
    await require_whole(store, world)


async def test_an_upload_that_was_restored_can_be_completed_before_its_sidecars_are_written(store, world, monkeypatch):
    """Its parts are those of the object then, and nobody takes them for what was removed in the middle of a restore."""

    async def refuse(*_, **__):
        raise Unwritable("read-only")

    upload = await begin(store, "u")
    part = await add_part(store, upload, 1, sample(3000))
    await snapshots.take(store, "s")
    await multipart.abort_upload(store, "b", "u", upload.id)
    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", refuse)
        assert await outcome(snapshots.restore(store, "s")) is ServiceUnavailable
    await complete(store, upload, [part])
    await snapshots.remove(store, "s")
    await run_jobs(store, world.clock)
    assert await get(store, "u") == sample(3000)
    (part,) = (await head(store, "u")).parts
    assert b'"part"' in await store.blobs.read_sidecar(part.blob)
    await require_whole(store, world)
