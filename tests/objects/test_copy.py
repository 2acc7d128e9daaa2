"""Copies: the same bytes under another name, that live on when their source is gone."""

import os

import pytest
from msgspec.structs import replace

from s3ish.errors import InternalError, NoSuchBucket, NoSuchUpload, PreconditionFailed
from s3ish.model import Attributes, Tag
from s3ish.objects import buckets, copy
from s3ish.objects import get as read
from s3ish.objects.conditions import WriteConditions
from tests.objects.support import (
    OWNER,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    head,
    make_bucket,
    md5,
    multipart_etag,
    outcome,
    put,
    read_all,
    referenced,
    remove,
    sample,
    sealed,
    versions_of,
)

pytestmark = pytest.mark.usefixtures("small_parts")
SIZES = [0, 1, 100, 101, 1000, 2500]


async def no_leftovers(store):
    return await sealed(store) == await referenced(store)


@pytest.mark.parametrize("size", SIZES)
async def test_a_copy_has_the_bytes_the_etag_and_the_checksum(store, size):
    data = sample(size)
    source = await put(store, "source", data, algorithm="SHA256")
    made = await copy_to(store, source, "copy")
    assert (made.etag, made.size, made.checksum) == (md5(data), size, source.checksum)
    assert await get(store, "copy") == data
    await remove(store, "source")
    assert await get(store, "copy") == data
    assert await no_leftovers(store)


async def test_a_large_copy_moves_no_byte(store, world):
    source = await put(store, "source", sample(2500))
    made = await copy_to(store, source, "copy")
    for path in world.files_of(made.blob)[:3]:
        assert os.stat(path).st_nlink == 2


async def test_attributes_are_those_that_were_chosen(store):
    source = await put(store, "source", attributes=Attributes(metadata={"a": "1"}, tags=(Tag("t", "1"),)))
    assert (await copy_to(store, source, "same")).attributes == source.attributes
    other = Attributes(headers={"content-type": "x/y"})
    assert (await copy_to(store, source, "other", attributes=other)).attributes == other


@pytest.mark.parametrize("size", SIZES)
async def test_onto_itself(store, size):
    data = sample(size)
    first = await put(store, "k", data)
    changed = await copy_to(store, first, "k", attributes=Attributes(metadata={"new": "yes"}))
    assert await get(store, "k") == data
    assert (await head(store, "k")).attributes.metadata == {"new": "yes"}
    assert changed.sequence > first.sequence
    assert await versions_of(store) == [("k", "null", True, False)]
    assert await no_leftovers(store)


async def test_an_older_version_comes_back_by_a_copy_onto_its_key(store):
    await buckets.set_versioning(store, "b", enabled=True)
    old = await put(store, "k", b"old")
    await put(store, "k", b"new")
    made = await copy_to(store, old, "k")
    assert await get(store, "k") == b"old"
    newest = (await versions_of(store))[0]
    assert newest[1] == made.id != old.id


async def test_nothing_is_flushed_for_the_sake_of_what_stays(store, monkeypatch):
    flushed = []

    async def flush(blobs):
        flushed.extend(blobs)

    monkeypatch.setattr(store.upkeep, "flush", flush)
    first = await put(store, "k", sample(2500))
    made = await copy_to(store, first, "k")
    assert flushed == [made.blob.id]
    await buckets.set_versioning(store, "b", enabled=True)
    await copy_to(store, made, "k")
    assert flushed == [made.blob.id]


async def test_another_checksum_is_computed(store):
    source = await put(store, "source", sample(2500), algorithm="CRC32")
    made = await copy_to(store, source, "copy", algorithm="SHA256")
    assert (made.checksum.algorithm, made.etag) == ("SHA256", source.etag)
    assert await get(store, "copy") == sample(2500)


@pytest.mark.parametrize("last", [b"", b"tiny", sample(1500, 9)], ids=["empty", "inline", "large"])
async def test_a_multipart_object_keeps_its_parts_and_its_etag(store, last):
    datas = [sample(250, 1), sample(1200, 2), last]
    upload = await begin(store, "source")
    source = await complete(store, upload, [await add_part(store, upload, n, d) for n, d in enumerate(datas, 1)])
    made = await copy_to(store, source, "copy")
    assert made.etag == multipart_etag(datas)
    assert [(part.number, part.size) for part in made.parts] == [(n, len(d)) for n, d in enumerate(datas, 1)]
    assert await get(store, "copy") == b"".join(datas)
    assert {part.blob.id for part in made.parts}.isdisjoint(part.blob.id for part in source.parts)
    await remove(store, "source")
    assert await get(store, "copy") == b"".join(datas)
    assert await no_leftovers(store)
    await remove(store, "copy")
    assert await no_leftovers(store)


async def test_a_multipart_object_with_another_checksum_becomes_one_piece(store):
    datas = [sample(250, 1), sample(1200, 2)]
    upload = await begin(store, "source")
    source = await complete(store, upload, [await add_part(store, upload, n, d) for n, d in enumerate(datas, 1)])
    made = await copy_to(store, source, "copy", algorithm="SHA256")
    assert (made.etag, made.parts) == (md5(b"".join(datas)), ())
    assert await get(store, "copy") == b"".join(datas)


async def test_a_refused_copy_leaves_nothing(store, world):
    upload = await begin(store, "source")
    source = await complete(store, upload, [await add_part(store, upload, n, sample(1200, n)) for n in (1, 2)])
    plain = await put(store, "plain", sample(1200))
    await put(store, "there", b"old")
    before = world.files()
    for original in (source, plain):
        refused = copy_to(store, original, "there", conditions=WriteConditions(if_none_match="*"))
        assert await outcome(refused) is PreconditionFailed
        assert await outcome(copy_to(store, original, "k", bucket="nowhere")) is NoSuchBucket
    assert await get(store, "there") == b"old"
    assert world.files() == before


async def test_a_source_that_is_replaced_meanwhile_is_not_called_damaged(store):
    """The caller has found the version; before it is opened somebody overwrites it."""
    for size in SIZES[1:]:
        found = await put(store, "source", sample(size))
        await put(store, "source", b"newer")
        await store.settle()  # the row of its bytes goes with another commit
        with pytest.raises(read.Replaced):
            await copy_to(store, found, "copy")
        with pytest.raises(read.Replaced):
            await read_all(store, found)
    assert await no_leftovers(store)


async def test_a_source_that_is_damaged_is(store, world):
    found = await put(store, "source", sample(1200))
    for path in world.files_of(found.blob)[:2]:
        os.unlink(path)
    assert await outcome(read_all(store, found)) is InternalError


@pytest.mark.parametrize(("start", "stop"), [(0, 2500), (0, 0), (999, 1001), (2499, 2500)])
async def test_a_part_may_be_a_range_of_an_object(store, start, stop):
    source = await put(store, "source", sample(2500))
    upload = await begin(store, "k")
    _, part = await copy.copy_part(store, source, start, stop, "b", "k", upload.id, 1)
    assert (part.size, part.etag) == (stop - start, md5(sample(2500)[start:stop]))
    await complete(store, upload, [part])
    assert await get(store, "k") == sample(2500)[start:stop]
    refused = copy.copy_part(store, source, start, stop, "b", "k", upload.id, 1)
    assert await outcome(refused) is NoSuchUpload


async def test_the_copy_belongs_to_who_made_it(store):
    await make_bucket(store, "other")
    source = await put(store, "source")
    other = replace(OWNER, id="somebody")
    made = await copy.copy_object(store, source, "other", "k", owner=other, attributes=source.attributes)
    assert (made.owner, made.bucket, made.key) == (other, "other", "k")
