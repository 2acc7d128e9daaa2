"""Quotas hold at the commit, in each race, and refuse nothing that makes less."""

import asyncio

import pytest

from s3ish.errors import QuotaExceeded
from s3ish.index.protocol import Put
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Usage
from s3ish.objects import annotations, buckets, multipart, versions
from s3ish.objects import put as write
from s3ish.objects.arrival import Identity, take_object
from s3ish.objects.quota_settings import OwnerQuotas, described, of_owners, set_of_bucket, set_of_owner
from s3ish.objects.quotas import DOCUMENT, NONE, Limits, Quotas
from s3ish.tables.catalogue import OF_BUCKET, USAGE
from tests.objects.support import (
    OTHER,
    OWNER,
    PLAIN,
    Bytes,
    World,
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
    remove,
    sample,
)


async def held(store, name="b"):
    found = await USAGE.get(store.index, OF_BUCKET, name)
    return found.record if found else Usage()


async def test_bytes_are_refused_beyond_the_quota_and_not_before(store):
    await set_of_bucket(store, "b", Limits(bytes=1000))
    await put(store, "a", sample(600))
    assert await outcome(put(store, "b", sample(401))) is QuotaExceeded
    await put(store, "b", sample(400))
    assert await outcome(put(store, "c", b"1")) is QuotaExceeded
    assert await outcome(copy_to(store, await head(store, "a"), "c")) is QuotaExceeded
    assert await keys_of(store) == ["a", "b"]
    await put(store, "a", sample(600, 2))
    assert await outcome(put(store, "a", sample(601))) is QuotaExceeded
    await put(store, "empty", b"")
    await remove(store, "b")
    await put(store, "c", sample(400))
    assert (await held(store)).bytes == 1000


async def test_objects_count_with_their_versions_and_markers_do_not(store):
    await buckets.set_versioning(store, "b", enabled=True)
    await set_of_bucket(store, "b", Limits(objects=2))
    first = await put(store, "a", b"1")
    await put(store, "a", b"2")
    assert await outcome(put(store, "a", b"3")) is QuotaExceeded
    await remove(store, "a")
    await remove(store, "a", first.id)
    await put(store, "b", b"3")
    assert (await held(store)) == Usage(objects=1, versions=2, markers=1, bytes=2)


async def test_parts_count_as_they_come_and_a_completion_needs_no_room(store, small_parts):
    await set_of_bucket(store, "b", Limits(bytes=1000, objects=1))
    upload = await begin(store, "k")
    first = await add_part(store, upload, 1, sample(600))
    assert await outcome(add_part(store, upload, 2, sample(401))) is QuotaExceeded
    assert await outcome(put(store, "other", sample(401))) is QuotaExceeded
    await add_part(store, upload, 2, sample(300))
    last = await add_part(store, upload, 2, sample(400))
    await complete(store, upload, [first, last])
    assert await held(store) == Usage(objects=1, versions=1, bytes=1000)
    assert await outcome(begin(store, "more")) is QuotaExceeded


@pytest.mark.parametrize("versioning", [None, "Enabled", "Suspended"])
async def test_an_upload_may_begin_where_its_object_takes_the_place_of_another(store, small_parts, versioning):
    """As a put does; what versioning keeps beside it counts."""
    await put(store, "k", b"1")
    if versioning:
        await buckets.set_versioning(store, "b", enabled=True)
        await buckets.set_versioning(store, "b", enabled=versioning == "Enabled")
    await set_of_bucket(store, "b", Limits(objects=1))
    assert (await outcome(put(store, "k", b"2")) is QuotaExceeded) == (versioning == "Enabled")
    if versioning == "Enabled":
        assert await outcome(begin(store, "k")) is QuotaExceeded
    else:
        upload = await begin(store, "k")
        await complete(store, upload, [await add_part(store, upload, 1, sample(600))])
        assert (await held(store)).versions == 1
    upload = await outcome(begin(store, "other"))
    if upload is not QuotaExceeded:
        assert await outcome(complete(store, upload, [await add_part(store, upload, 1, sample(6))])) is QuotaExceeded


async def test_long_bodies_are_refused_before_they_are_read(store):
    await set_of_bucket(store, "b", Limits(bytes=1_000_000))
    upload = await begin(store, "k")

    class Unread(Bytes):
        async def read(self, limit):
            raise AssertionError("it is read")

    body = Unread(bytes(1_000_001))
    with pytest.raises(QuotaExceeded):
        await write.put_object(store, "b", "k", body, owner=OWNER, attributes=PLAIN)
    with pytest.raises(QuotaExceeded):
        await multipart.put_part(store, "b", "k", upload.id, 1, body)
    await buckets.set_versioning(store, "b", enabled=True)
    replica = Identity(versions.mint(1, store.clock), 1, 1)
    with pytest.raises(QuotaExceeded):
        await take_object(store, "b", "k", body, identity=replica, owner=OWNER, attributes=PLAIN)


async def test_a_long_body_may_take_the_place_of_an_object_with_its_annotations(store):
    await set_of_bucket(store, "b", Limits(bytes=1_000_000))
    version = await put(store, "k", bytes(500_000))
    await annotations.put_annotation(store, version, None, "n", Bytes(b"x" * 400_000))
    await put(store, "k", bytes(1_000_000))
    assert await outcome(put(store, "k", bytes(1_000_001))) is QuotaExceeded


async def test_a_quota_of_an_owner_is_over_all_its_buckets(store):
    await make_bucket(store, "c")
    await buckets.create_bucket(store, "d", OTHER, "us-east-1")
    owners = OwnerQuotas(store)
    await set_of_owner(store, OWNER.id, Limits(bytes=10))
    await owners.reload()
    await put(store, "k", sample(6))
    assert await outcome(put(store, "k", sample(5), bucket="c")) is QuotaExceeded
    await put(store, "k", sample(500), bucket="d")
    assert await described(store) == [("owner", OWNER.id, Limits(bytes=10), Usage(objects=1, versions=1, bytes=6))]
    await set_of_owner(store, OWNER.id, Limits(bytes=11))
    await owners.reload()
    await put(store, "k", sample(5), bucket="c")
    await set_of_owner(store, OWNER.id, NONE)
    await owners.reload()
    await put(store, "k", sample(500), bucket="c")
    assert await of_owners(store) == {}


async def test_settings_hold_where_no_quota_is_set(store):
    store.quotas = Quotas(bucket=Limits(objects=1))
    await make_bucket(store, "c")
    await set_of_bucket(store, "c", Limits(objects=2))
    for bucket, count in (("b", 1), ("c", 2)):
        for number in range(count):
            await put(store, f"{number}", b"1", bucket=bucket)
        assert await outcome(put(store, "more", b"1", bucket=bucket)) is QuotaExceeded


async def test_no_race_of_two_workers_exceeds_a_quota(tmp_path):
    world = World(tmp_path, inline_offload=False)
    stores = [world.open(), world.open()]
    await make_bucket(stores[0])
    await set_of_bucket(stores[0], "b", Limits(bytes=1000, objects=7))
    done = await asyncio.gather(*(outcome(put(stores[number % 2], f"{number}", sample(120))) for number in range(40)))
    assert len([it for it in done if it is not QuotaExceeded]) == 7
    assert await held(stores[0]) == Usage(objects=7, versions=7, bytes=840)
    kept, found = await counted(stores[0])
    assert kept == found
    await world.close()
    world.offload.close()


async def test_quotas_survive_the_loss_of_the_index(store, world, tmp_path):
    await set_of_bucket(store, "b", Limits(bytes=5))
    await set_of_owner(store, OTHER.id, Limits(objects=3))
    await put(store, "k", b"12345")
    again = world.open(tmp_path / "other.db")
    await rebuild(again)
    assert (await again.bucket("b")).record.documents[DOCUMENT]
    assert await outcome(put(again, "more", b"1")) is QuotaExceeded
    assert await of_owners(again) == {OTHER.id: Limits(objects=3)}


async def test_a_damaged_quota_or_counter_refuses_nothing(store):
    await put(store, "k", b"12345")
    await buckets.set_documents(store, "b", {DOCUMENT: "{"})
    await put(store, "more", b"12345")
    await set_of_bucket(store, "b", Limits(bytes=1))
    key = USAGE.key(OF_BUCKET, "b")
    row = await store.index.get(USAGE.name, key)
    await store.index.commit([Put(USAGE.name, key, row[:-1] + b"?")])
    await put(store, "k", b"1")
    assert await get(store, "k") == b"1"
