"""What buckets and owners hold is counted by the commits that change it."""

import asyncio
import random

import pytest

from s3ish.errors import S3Error
from s3ish.model import Usage
from s3ish.objects import buckets, multipart
from s3ish.objects.conditions import ReadConditions
from s3ish.objects.get import Replaced
from s3ish.objects.rename import rename_object
from s3ish.objects.rewind import rewind_bucket
from s3ish.tables.catalogue import OF_BUCKET, OF_OWNER, USAGE
from tests.objects.support import (
    OTHER,
    OWNER,
    World,
    add_part,
    begin,
    complete,
    copy_to,
    counted,
    head,
    make_bucket,
    put,
    remove,
    sample,
)


async def of(store, name="b", kind=OF_BUCKET):
    held = await USAGE.get(store.index, kind, name)
    return held.record if held else None


async def test_an_object_counts_once_and_a_replaced_one_no_more(store):
    await put(store, "k", b"123")
    await put(store, "other", b"")
    assert await of(store) == Usage(objects=2, versions=2, bytes=3)
    await put(store, "k", b"12345")
    assert await of(store) == Usage(objects=2, versions=2, bytes=5)
    await copy_to(store, await head(store, "k"), "copy")
    await remove(store, "k")
    await remove(store, "k")
    assert await of(store) == Usage(objects=2, versions=2, bytes=5)
    assert await of(store, OWNER.id, OF_OWNER) == await of(store)
    await rename_object(store, "b", "other", "copy", of_source=ReadConditions(), of_destination=ReadConditions())
    assert await of(store) == Usage(objects=1, versions=1)
    await remove(store, "copy")
    assert await of(store) is None, "an empty bucket has no row"


async def test_covered_versions_and_markers_count_until_they_are_removed(world):
    store = world.open()
    await make_bucket(store, versioning="Enabled")
    first = await put(store, "k", b"123")
    second = await put(store, "k", b"12345")
    marker = await remove(store, "k")
    assert await of(store) == Usage(versions=2, markers=1, bytes=8)
    await remove(store, "k", marker.version_id)
    assert await of(store) == Usage(objects=1, versions=2, bytes=8)
    await remove(store, "k", second.id)
    assert await of(store) == Usage(objects=1, versions=1, bytes=3)
    await remove(store, "k", first.id)
    assert await of(store) is None


async def test_parts_count_as_they_come_and_become_the_object(store, small_parts):
    upload, other = await begin(store, "k"), await begin(store, "k")
    await add_part(store, upload, 1, sample(500))
    await add_part(store, upload, 1, sample(300))
    unused = await add_part(store, upload, 3, sample(7))
    assert unused.size == 7
    await add_part(store, other, 1, sample(11))
    assert await of(store) == Usage(uploads=2, upload_bytes=318)
    parts = [await add_part(store, upload, number, sample(250)) for number in (1, 2)]
    await complete(store, upload, parts)
    assert await of(store) == Usage(objects=1, versions=1, bytes=500, uploads=1, upload_bytes=11)
    await multipart.abort_upload(store, "b", "k", other.id)
    assert await of(store) == Usage(objects=1, versions=1, bytes=500)


async def test_an_owner_holds_what_all_its_buckets_hold(store, tmp_path):
    await make_bucket(store, "c")
    await buckets.create_bucket(store, "d", OTHER, "us-east-1")
    for bucket in "bcd":
        await put(store, "k", b"123", bucket=bucket)
    await begin(store, "k", bucket="c")
    assert await of(store, OWNER.id, OF_OWNER) == Usage(objects=2, versions=2, bytes=6, uploads=1)
    assert await of(store, OTHER.id, OF_OWNER) == Usage(objects=1, versions=1, bytes=3)
    await remove(store, "k", bucket="c")
    await buckets.delete_bucket(store, "c")
    assert await of(store, "c") is None
    (tmp_path / "earlier").mkdir()
    before = World(tmp_path / "earlier")
    earlier = before.open()
    await rewind_bucket(store, "b", earlier)
    assert await of(store, OWNER.id, OF_OWNER) is None
    await make_bucket(earlier, "b")
    await put(earlier, "k", b"12345")
    await rewind_bucket(store, "b", earlier)
    assert await of(store, OWNER.id, OF_OWNER) == Usage(objects=1, versions=1, bytes=5)
    kept, found = await counted(store)
    assert kept == found
    await before.close()


@pytest.mark.parametrize("seed", range(5))
async def test_two_workers_count_right_whatever_they_do_at_once(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 0)
    world, choose = World(tmp_path, inline_offload=False), random.Random(seed)
    stores = [world.open(), world.open()]
    await make_bucket(stores[0])
    made = []

    async def act(number):
        store, key = stores[number % 2], choose.choice("abc")
        kind = choose.choice(("put", "put", "remove", "erase", "copy", "upload", "state"))
        if kind == "put":
            made.append((key, (await put(store, key, sample(choose.randrange(400)))).id))
        elif kind == "remove":
            await remove(store, key)
        elif kind == "erase" and made:
            await remove(store, *choose.choice(made))
        elif kind == "copy":
            await copy_to(store, await head(store, choose.choice("abc")), key)
        elif kind == "upload":
            upload = await begin(store, key)
            part = await add_part(store, upload, 1, sample(choose.randrange(200)))
            await (complete(store, upload, [part]) if choose.random() < 0.7 else asyncio.sleep(0))
        elif kind == "state":
            await buckets.set_versioning(store, "b", enabled=choose.random() < 0.6)

    for _ in range(6):
        done = await asyncio.gather(*(act(number) for number in range(12)), return_exceptions=True)
        assert not [error for error in done if error and not isinstance(error, S3Error | Replaced)]
        kept, found = await counted(stores[0])
        assert kept == found
    await world.close()
    world.offload.close()
