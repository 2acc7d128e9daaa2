"""Replicas that come from another server: once, in their place, whole, however often and at once they are sent."""

import asyncio

import pytest

from s3ish.errors import BadDigest, InvalidRequest, QuotaExceeded
from s3ish.index.protocol import Unavailable
from s3ish.model import Attributes
from s3ish.objects import buckets, versions
from s3ish.objects.arrival import Identity, take_marker, take_object
from s3ish.objects.digests import Claims
from s3ish.objects.quota_settings import set_of_bucket
from s3ish.objects.quotas import Limits
from tests.objects.support import (
    OWNER,
    Bytes,
    add_part,
    begin,
    complete,
    counted,
    get,
    head,
    keys_of,
    put,
    referenced,
    remove,
    sample,
    sealed,
    versions_of,
)

AT = 1_600_000_000_000_000_000


@pytest.fixture
async def store(store):
    await buckets.set_versioning(store, "b", enabled=True)
    yield store
    kept, found = await counted(store)
    assert kept == found
    assert set(await referenced(store)) <= set(await sealed(store))


def identity(store, sequence=AT, etag=""):
    return Identity(versions.mint(sequence, store.clock), sequence, sequence, etag)


async def take(store, of, data=b"data", **source):
    return await take_object(store, "b", "a", Bytes(data, **source), identity=of, owner=OWNER, attributes=Attributes())


async def test_a_sender_far_ahead_moves_no_other_version(store):
    ahead = identity(store, store.clock.now_ns() + 86_000 * 10**9)
    await take(store, ahead)
    later = await put(store, "a", b"later")
    assert (later.sequence, (await head(store, "a")).id) == (ahead.sequence + 1, later.id)
    await remove(store, "a", later.id)
    other = await put(store, "other", b"1")
    assert other.sequence < store.clock.now_ns()


@pytest.mark.parametrize("size", [0, 10, 5000])
async def test_a_replica_takes_the_place_of_its_sequence(store, size):
    own = await put(store, "a", b"own")
    of = identity(store)
    replica = await take(store, of, sample(size))
    assert (replica.id, replica.sequence, replica.modified_ns, replica.replication) == (of.id, AT, AT, "REPLICA")
    assert [it[1] for it in await versions_of(store, "a")] == [own.id, of.id]
    assert (await get(store, "a"), await get(store, "a", of.id)) == (b"own", sample(size))
    await remove(store, "a", own.id)
    assert (await get(store, "a"), await keys_of(store)) == (sample(size), ["a"])
    later = await put(store, "a", b"later")
    assert (await head(store, "a")).id == later.id
    assert await sealed(store) == await referenced(store)


async def test_many_that_bring_one_replica_at_once_make_one(world, store):
    of, other = identity(store), world.open()
    made = await asyncio.gather(*(take(it, of, sample(5000)) for it in (store, other) * 4))
    assert {version.blob.id for version in made} == {made[0].blob.id}
    assert len(await versions_of(store, "a")) == 1
    markers = identity(store, AT + 1)
    await asyncio.gather(*(take_marker(it, "b", "a", markers, OWNER) for it in (store, other) * 4))
    assert [it[1:] for it in await versions_of(store, "a")] == [(markers.id, True, True), (of.id, False, False)]
    assert await sealed(store) == await referenced(store)


async def test_an_upload_that_becomes_a_replica_ends_however_often_it_is_completed(store, small_parts):
    of = identity(store, etag="0" * 32 + "-2")
    uploads = [await begin(store, "a") for _ in range(3)]
    parts = [[await add_part(store, upload, number, sample(300, number)) for number in (1, 2)] for upload in uploads]
    made = [await complete(store, upload, part, identity=of) for upload, part in zip(uploads, parts, strict=True)]
    assert {(version.id, version.etag, len(version.parts)) for version in made} == {(of.id, of.etag, 2)}
    assert await get(store, "a") == sample(300, 1) + sample(300, 2)
    assert await sealed(store) == await referenced(store)


async def test_what_is_refused_leaves_nothing(store):
    with pytest.raises(BadDigest):
        await take(store, identity(store), claims=Claims(md5=bytes(16)))
    await set_of_bucket(store, "b", Limits(bytes=3))
    with pytest.raises(QuotaExceeded):
        await take(store, identity(store))
    await buckets.set_versioning(store, "b", enabled=False)
    for attempt in (take(store, identity(store)), take_marker(store, "b", "a", identity(store), OWNER)):
        with pytest.raises(InvalidRequest):
            await attempt
    assert await versions_of(store, "a") == []
    assert await sealed(store) == await referenced(store)


async def test_a_bucket_that_stops_keeping_versions_meanwhile_takes_no_replica(store):
    class Late(Bytes):
        async def read(self, limit):
            await buckets.set_versioning(store, "b", enabled=False)
            return await super().read(limit)

    with pytest.raises(InvalidRequest):
        await take_object(
            store, "b", "a", Late(b"data"), identity=identity(store), owner=OWNER, attributes=Attributes()
        )
    assert await versions_of(store, "a") == []


async def test_a_failure_at_any_commit_is_made_up_by_another_try(store):
    for number in range(1, 4):
        of = identity(store, AT + number)
        commit, left = store.index.commit, [number]

        async def dying(changes, expect=(), commit=commit, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Unavailable("killed")
            return await commit(changes, expect)

        store.index.commit = dying
        try:
            await asyncio.gather(take(store, of, sample(5000)), return_exceptions=True)
        finally:
            store.index.commit = commit
        assert (await take(store, of, sample(5000))).id == of.id
    assert len(await versions_of(store, "a")) == 3
