"""Changing records in place: the row decides, the sidecar follows, and a crash leaves nothing but intents."""

import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from s3ish.blob.protocol import Unwritable
from s3ish.errors import MethodNotAllowed, NoSuchBucket, NoSuchKey, NoSuchVersion, S3Error
from s3ish.index.protocol import Unavailable
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.startup import recover
from s3ish.integrity.unresolved import UnresolvedJob
from s3ish.model import SystemRecord, Tag
from s3ish.objects import buckets, multipart, versions
from s3ish.objects.amend import Gone, amend, is_under_way
from s3ish.objects.settling import settle_all
from s3ish.tables import part_list
from s3ish.tables.catalogue import BUCKETS, INTENTS, SYSTEM, TABLES, UPLOADS, VERSIONS
from tests.objects.support import (
    OWNER,
    World,
    add_part,
    begin,
    complete,
    get,
    head,
    make_bucket,
    outcome,
    put,
    referenced,
    remove,
    sample,
    sealed,
)


def tagged(*names):
    """A change that gives a version these tags, and no others."""
    tags = tuple(Tag(name, "") for name in names)
    return lambda version: replace(version, attributes=replace(version.attributes, tags=tags))


def and_tag(name):
    """A change that adds a tag."""
    return lambda version: replace(
        version, attributes=replace(version.attributes, tags=(*version.attributes.tags, Tag(name, "")))
    )


def names(version):
    return [tag.key for tag in version.attributes.tags]


async def tag(store, key, *tags, version_id=None):
    return await versions.amend_version(store, "b", key, version_id, tagged(*tags))


async def held(store, key):
    return (await store.newest("b", key))[0]


async def told(store, ref):
    return TABLES.read_sidecar(await store.blobs.read_sidecar(ref))


async def intents(store):
    await store.settle()
    return await INTENTS.rows(store.index, b"", b"\xff", 100)


async def agrees(store, key):
    """The newest version's sidecar says what its row says, on every volume."""
    found = (await held(store, key)).record
    assert (await told(store, found.blob)).same(VERSIONS.sidecar(found))
    assert (await store.blobs.check(found.blob, repair=False)).whole
    return names(found)


@pytest.fixture(params=[1, 3])
async def store(tmp_path, request):
    world = World(tmp_path, volumes=request.param)
    store = world.open()
    store.world = world
    await make_bucket(store)
    yield store
    await world.close()


@pytest.mark.parametrize("size", [0, 10, 1500])
async def test_an_amended_version_is_another_in_nothing_but_what_was_changed(store, size):
    before = await put(store, "k", sample(size))
    after = await tag(store, "k", "a", "b")
    assert names(after) == ["a", "b"]
    assert replace(after, attributes=before.attributes, revision=0) == before
    assert after.revision > 0
    assert await head(store, "k") == after
    assert await get(store, "k") == sample(size)
    assert await agrees(store, "k") == ["a", "b"]
    assert await intents(store) == []


async def test_each_amendment_raises_the_revision_and_one_that_changes_nothing_is_none(store):
    await put(store, "k")
    first, second, same, third = [(await tag(store, "k", name)).revision for name in ("a", "b", "b", "a")]
    assert 0 < first < second == same < third


async def test_a_bucket_an_upload_and_a_system_record_are_amended_in_the_same_way(store):
    upload = await begin(store, "m")
    async with store.blobs.create(SYSTEM.home("users/alice"), 0) as writer:
        user = SystemRecord(name="users/alice", created_ns=store.clock.now_ns(), blob=await writer.finish())
        await writer.seal(SYSTEM.seal(user))
        await store.commit([SYSTEM.put(user)], [SYSTEM.absent(user.name)])
    for table, key, change in (
        (BUCKETS, ("b",), lambda bucket: replace(bucket, documents={"a": "b"})),
        (UPLOADS, ("b", "m", upload.id), lambda it: replace(it, attributes=replace(it.attributes, storage_class="X"))),
        (SYSTEM, ("users/alice",), lambda it: replace(it, document='{"keys":[]}')),
    ):
        now = await amend(store, table, await table.get(store.index, *key), change)
        assert now.record == (await table.get(store.index, *key)).record
        assert now.record.revision > 0
        assert (await told(store, now.record.blob)).same(table.sidecar(now.record))
    await store.settle()
    fresh = store.world.open(store.world.index_path.with_name("fresh.db"))
    await rebuild(fresh)
    for name in ("buckets", "uploads", "system"):
        assert await TABLES[name].rows(fresh.index, b"", b"\xff", 9) == await TABLES[name].rows(
            store.index, b"", b"\xff", 9
        )


async def test_what_is_not_there_or_is_a_marker_is_not_amended(store):
    assert await outcome(tag(store, "none", "a")) is NoSuchKey
    await buckets.set_versioning(store, "b", enabled=True)
    version = await put(store, "k")
    marker = await remove(store, "k")
    assert await outcome(tag(store, "k", "a")) is NoSuchKey
    assert await outcome(tag(store, "k", "a", version_id=marker.version_id)) is MethodNotAllowed
    assert names(await tag(store, "k", "a", version_id=version.id)) == ["a"]
    await remove(store, "k", version.id)
    assert await outcome(tag(store, "k", "a", version_id=version.id)) is NoSuchVersion
    assert await outcome(buckets.set_versioning(store, "none", enabled=True)) is NoSuchBucket
    stale = await store.bucket("b")
    await remove(store, "k", marker.version_id)
    await buckets.delete_bucket(store, "b")
    with pytest.raises(Gone):
        await amend(store, BUCKETS, stale, lambda bucket: replace(bucket, region="x"))
    assert await sealed(store) == await referenced(store) == []


async def test_the_versions_below_the_newest_are_amended_alone(store):
    await put(store, "k", b"old")
    await buckets.set_versioning(store, "b", enabled=True)
    newest = await put(store, "k", b"new")
    assert names(await tag(store, "k", "a", version_id="null")) == ["a"]
    assert await head(store, "k") == newest
    assert await get(store, "k", "null") == b"old"


# --- many at once


@pytest.fixture
async def workers(tmp_path):
    world = World(tmp_path, inline_offload=False)
    first, second = world.open(mark="a" * 8), world.open(mark="b" * 8)
    await make_bucket(first)
    yield first, second
    await world.close()
    world.offload.close()


@pytest.mark.parametrize("size", [10, 1500])
async def test_of_many_amendments_none_is_lost_and_the_sidecar_says_what_the_row_says(workers, size):
    await put(workers[0], "k", sample(size))
    wanted = [f"t{number}" for number in range(20)]
    await asyncio.gather(
        *(
            versions.amend_version(workers[number % 2], "b", "k", None, and_tag(name))
            for number, name in enumerate(wanted)
        )
    )
    found = await held(workers[0], "k")
    assert sorted(names(found.record)) == sorted(wanted)
    assert sorted(await agrees(workers[1], "k")) == sorted(wanted)
    assert await get(workers[1], "k") == sample(size)
    for worker in workers:
        await worker.settle()
    assert await intents(workers[0]) == []


async def test_a_late_write_of_a_sidecar_does_not_bring_an_older_record_back(workers, monkeypatch):
    """A worker is slow between its commit and its sidecar; another one amends meanwhile, and has ended before."""
    first, second = workers
    await put(first, "k")
    reached, go_on, real = asyncio.Event(), asyncio.Event(), first.blobs.amend

    async def slow(ref, text, **options):
        reached.set()
        await go_on.wait()
        monkeypatch.setattr(first.blobs, "amend", real)
        await real(ref, text, **options)

    monkeypatch.setattr(first.blobs, "amend", slow)
    late = asyncio.create_task(versions.amend_version(first, "b", "k", None, and_tag("first")))
    await reached.wait()
    assert names(await versions.amend_version(second, "b", "k", None, and_tag("second"))) == ["first", "second"]
    go_on.set()
    assert names(await late) == ["first"]
    assert await agrees(second, "k") == ["first", "second"]


@pytest.mark.parametrize("size", [10, 1500])
async def test_a_version_that_is_removed_in_the_middle_of_an_amendment_stays_removed(workers, monkeypatch, size):
    first, second = workers
    version = await put(first, "k", sample(size))
    real = first.blobs.amend

    async def late(ref, text, **options):
        await remove(second, "k")
        await real(ref, text, inline=sample(size) if size == 10 else None)

    monkeypatch.setattr(first.blobs, "amend", late)
    with suppress(S3Error):
        await versions.amend_version(first, "b", "k", None, and_tag("a"))
    monkeypatch.setattr(first.blobs, "amend", real)
    await UnresolvedJob(first).step()
    assert await outcome(head(second, "k")) is NoSuchKey
    assert version.blob.id not in await sealed(second)
    assert not first.leftovers
    assert await intents(first) == []


async def test_whoever_looks_in_the_middle_of_an_amendment_finds_no_damage(workers, monkeypatch):
    first, second = workers
    await put(first, "k")
    real, findings = first.blobs.amend, []

    async def look(ref, text, **options):
        item = (await VERSIONS.named(second.index, await held(second, "k")))[0]
        assert await is_under_way(second, ref.id)
        findings.append(await Inspector(second, repair=True).look(item))
        await real(ref, text, **options)

    monkeypatch.setattr(first.blobs, "amend", look)
    await versions.amend_version(first, "b", "k", None, and_tag("a"))
    assert findings == [None]
    assert await agrees(first, "k") == ["a"]


async def test_a_caller_who_leaves_does_not_cut_an_amendment_off(workers, monkeypatch):
    first, _ = workers
    await put(first, "k")
    reached, go_on, real = asyncio.Event(), asyncio.Event(), first.blobs.amend

    async def slow(ref, text, **options):
        reached.set()
        await go_on.wait()
        await real(ref, text, **options)

    monkeypatch.setattr(first.blobs, "amend", slow)
    task = asyncio.create_task(versions.amend_version(first, "b", "k", None, and_tag("a")))
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    go_on.set()
    while await is_under_way(first, (await held(first, "k")).record.blob.id):
        await asyncio.sleep(0.001)
        await first.settle()
    assert await agrees(first, "k") == ["a"]


# --- failures and crashes


class Cut(Exception):
    """The process ends here."""


@pytest.mark.parametrize("size", [10, 1500])
async def test_recovery_reads_what_was_under_way_and_nothing_else(store, monkeypatch, size):
    for key in ("k", "other"):
        await put(store, key, sample(size))

    async def cut(*_, **__):
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", cut)
        with pytest.raises(Cut):
            await tag(store, "k", "a")
    assert names((await told(store, (await held(store, "k")).record.blob)).record) == []
    again, read = store.world.open(), []
    monkeypatch.setattr(again.blobs, "scan", None)
    real = again.blobs.read_sidecar
    monkeypatch.setattr(again.blobs, "read_sidecar", lambda ref: read.append(ref.id) or real(ref))
    await recover(again)
    assert read == [(await held(store, "k")).record.blob.id]
    assert await agrees(again, "k") == ["a"]
    assert await intents(again) == []


async def test_an_intent_of_what_was_removed_is_forgotten(store, monkeypatch):
    await put(store, "k")

    async def cut(*_, **__):
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", cut)
        with pytest.raises(Cut):
            await tag(store, "k", "a")
    await remove(store, "k")
    again = store.world.open()
    await recover(again)
    assert await intents(again) == []
    assert await sealed(again) == await referenced(again)


async def test_a_sidecar_that_cannot_be_written_is_written_later(store, monkeypatch):
    await put(store, "k")

    async def refuse(*_, **__):
        raise Unwritable("read-only")

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", refuse)
        assert issubclass(await outcome(tag(store, "k", "a")), S3Error)
        await UnresolvedJob(store).step()
        assert store.leftovers
        assert await settle_all(store, lambda *_: True) == 1
    await UnresolvedJob(store).step()
    assert not store.leftovers
    assert await agrees(store, "k") == ["a"]
    assert await intents(store) == []


@pytest.mark.parametrize("happened", [True, False])
async def test_an_amendment_whose_commit_has_an_open_end_is_settled(store, monkeypatch, happened):
    await put(store, "k")
    real = store.index.commit

    async def commit(changes, expect=()):
        if happened:
            await real(changes, expect)
        raise Unavailable("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(store.index, "commit", commit)
        assert issubclass(await outcome(tag(store, "k", "a")), S3Error)
        await UnresolvedJob(store).step()
        assert store.leftovers, "the index still fails"
    await UnresolvedJob(store).step()
    assert not store.leftovers
    assert await agrees(store, "k") == (["a"] if happened else [])
    assert await intents(store) == []


async def test_the_amendments_of_a_dead_worker_alone_are_settled_by_others(workers, monkeypatch):
    first, second = workers
    await put(first, "k")

    async def cut(*_, **__):
        raise Cut

    monkeypatch.setattr(first.blobs, "amend", cut)
    with pytest.raises(Cut):
        await versions.amend_version(first, "b", "k", None, and_tag("a"))
    assert await settle_all(second, lambda token, _: token.startswith(second.upkeep.mark)) == 0
    assert len(await intents(second)) == 1
    assert await settle_all(second, lambda token, _: token.startswith(first.upkeep.mark)) == 0
    assert await agrees(second, "k") == ["a"]
    assert await intents(second) == []


async def test_a_lost_sidecar_of_a_small_object_is_written_whole(store):
    version = await put(store, "k", b"small")
    await store.blobs.delete(version.blob)
    assert names(await tag(store, "k", "a")) == ["a"]
    assert await agrees(store, "k") == ["a"]
    reader = await store.blobs.open(version.blob)
    assert b"".join([bytes(piece) async for piece in reader]) == b"small"


# --- many parts


async def test_amending_an_object_of_many_parts_decodes_none(store, monkeypatch):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    upload = await begin(store, "m")
    parts = [await add_part(store, upload, number, sample(10, number)) for number in range(1, 60)]
    await complete(store, upload, parts)
    before = (await held(store, "m")).record
    assert isinstance(before.parts, part_list.PackedParts)
    with monkeypatch.context() as patched:
        patched.setattr(part_list, "_parts", None)
        patched.setattr(part_list, "_stubs", None)
        after = await tag(store, "m", "a")
    assert list(after.parts) == list(before.parts) == parts
    assert await agrees(store, "m") == ["a"]
    assert (await told(store, after.blob)).text == VERSIONS.seal(replace(after, parts=tuple(parts)))
    assert await get(store, "m") == b"".join(sample(10, number) for number in range(1, 60))
    fresh = store.world.open(store.world.index_path.with_name("fresh.db"))
    await rebuild(fresh)
    assert (await held(fresh, "m")).value == (await held(store, "m")).value


async def test_the_parts_of_a_sidecar_that_says_nothing_are_taken_from_the_row(store, monkeypatch):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    upload = await begin(store, "m")
    version = await complete(
        store, upload, [await add_part(store, upload, number, sample(10, number)) for number in range(1, 60)]
    )
    for text in (b'{"kind":"hologram"}', b'{"kind":"version","version":{}}'):
        await store.blobs.amend(version.blob, text)
        await versions.amend_version(store, "b", "m", None, and_tag("a"))
        await agrees(store, "m")
    await store.blobs.delete(version.blob)
    await versions.amend_version(store, "b", "m", None, and_tag("a"))
    assert await agrees(store, "m") == ["a", "a", "a"]
    assert version.owner == OWNER
