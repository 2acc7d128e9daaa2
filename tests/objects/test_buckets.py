"""Buckets: made, listed, deleted."""

import pytest
from msgspec.structs import replace

from s3ish.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    InvalidRequest,
    NoSuchBucket,
    TooManyConfigurations,
)
from s3ish.index.protocol import Damaged, Put
from s3ish.objects import buckets
from s3ish.tables import keys
from tests.objects.support import OTHER, OWNER, make_bucket, outcome, put, remove, sealed


async def test_a_bucket_is_what_it_was_made_as(store):
    bucket = await buckets.create_bucket(store, "new", OWNER, "eu-west-1")
    assert (bucket.name, bucket.owner, bucket.region, bucket.versioning) == ("new", OWNER, "eu-west-1", "")
    assert (await store.bucket("new")).record == bucket


async def test_a_name_is_taken_once(store):
    before = await sealed(store)
    assert await outcome(buckets.create_bucket(store, "b", OWNER, "r")) is BucketAlreadyOwnedByYou
    assert await outcome(buckets.create_bucket(store, "b", OTHER, "r")) is BucketAlreadyExists
    assert await sealed(store) == before


async def test_only_an_empty_bucket_can_be_deleted(store, world):
    await put(store, "k")
    assert await outcome(buckets.delete_bucket(store, "b")) is BucketNotEmpty
    await buckets.set_versioning(store, "b", enabled=True)
    marker = await remove(store, "k")
    await remove(store, "k", "null")
    assert await outcome(buckets.delete_bucket(store, "b")) is BucketNotEmpty, "a delete marker is a version"
    await remove(store, "k", marker.version_id)
    await buckets.delete_bucket(store, "b")
    assert await outcome(buckets.delete_bucket(store, "b")) is NoSuchBucket
    assert world.files() == []


async def test_a_bucket_made_anew_knows_nothing_of_the_old_one(store):
    await buckets.change_bucket(store, "b", lambda bucket: replace(bucket, documents={"policy": "{}"}))
    await buckets.set_versioning(store, "b", enabled=True)
    await buckets.delete_bucket(store, "b")
    made = await buckets.create_bucket(store, "b", OTHER, "r")
    assert (made.owner, made.versioning, made.documents) == (OTHER, "", {})


async def list_all(store, owner=OWNER, prefix="", limit=1000):
    found, after = [], ""
    while True:
        page, more = await buckets.list_buckets(store, owner, prefix, after, limit)
        assert len(page) <= limit
        found += [bucket.name for bucket in page]
        if not more:
            return found
        assert len(page) == limit
        after = page[-1].name


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_buckets_are_listed_by_owner_prefix_and_page(store, limit):
    for name in ("abc", "abd", "b-1", "b.1", "zz"):
        await make_bucket(store, name)
    await buckets.create_bucket(store, "abx", OTHER, "r")
    assert await list_all(store, limit=limit) == ["abc", "abd", "b", "b-1", "b.1", "zz"]
    assert await list_all(store, prefix="ab", limit=limit) == ["abc", "abd"]
    assert await list_all(store, OTHER, limit=limit) == ["abx"]
    assert await list_all(store, prefix="nothing", limit=limit) == []


async def test_an_unknown_bucket(store):
    assert await outcome(store.bucket("nowhere")) is NoSuchBucket
    assert await outcome(buckets.delete_bucket(store, "nowhere")) is NoSuchBucket
    assert await outcome(buckets.set_versioning(store, "nowhere", enabled=True)) is NoSuchBucket


async def test_rows_that_change_places_are_damage_though_they_were_read_before(store):
    for name in ("first", "second"):
        await buckets.create_bucket(store, name, OWNER, "")
        await store.bucket(name)
    row = (await store.bucket("second")).row
    await store.index.commit([Put("buckets", keys.bucket_key("first"), row.value)])
    with pytest.raises(Damaged):
        await store.bucket("first")
    assert (await store.bucket("second")).record.name == "second"


async def test_documents_of_a_kind_are_counted_and_all_of_them_are_bounded(store, monkeypatch):
    for number in range(3):
        await buckets.set_documents(store, "b", {f"metrics/{number}": "x"}, {"metrics/": 3})
    more = buckets.set_documents(store, "b", {"metrics/3": "x"}, {"metrics/": 3})
    assert await outcome(more) is TooManyConfigurations
    await buckets.set_documents(store, "b", {"metrics/2": "y", "policy": "{}"}, {"metrics/": 3})
    monkeypatch.setattr(buckets, "MAX_DOCUMENTS_CHARACTERS", 10)
    assert await outcome(buckets.set_documents(store, "b", {"cors": "x" * 6})) is InvalidRequest
    await buckets.set_documents(store, "b", {"policy": None, "cors": "x" * 6})
    assert (await store.bucket("b")).record.documents == {"metrics/0": "x", "metrics/1": "x", "metrics/2": "y"} | {
        "cors": "x" * 6
    }
