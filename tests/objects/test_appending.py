"""Appending: an object grows, in few segments, and readers that began before end with what they began with."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from s3ish.checksum import Hasher
from s3ish.errors import (
    BadDigest,
    ConditionalRequestConflict,
    InvalidBucketState,
    InvalidWriteOffset,
    NoSuchKey,
    PreconditionFailed,
    TooManyParts,
)
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Attributes, Tag
from s3ish.objects import annotations, appending, versions
from s3ish.objects.conditions import UNCONDITIONAL, WriteConditions
from s3ish.objects.digests import Claims
from s3ish.objects.kept_parts import keep_parts
from s3ish.tables.catalogue import GARBAGE, VERSIONS
from tests.objects.encodings.toy import toy
from tests.objects.support import (
    Bytes,
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
    read_all,
    referenced,
    remove,
    run_jobs,
    sample,
    sealed,
    strays,
)


@pytest.fixture(params=[(), (toy(),)], ids=["plain", "encoded"])
async def world(tmp_path, request, monkeypatch):
    monkeypatch.setattr("s3ish.objects.multipart.MIN_PART_BYTES", 0)
    world = World(tmp_path, encoding=request.param)
    yield world
    await world.close()


async def append(store, key, data, *, offset=None, conditions=UNCONDITIONAL, **source):
    end = (await head(store, key)).size if offset is None else offset
    base = await appending.find_base(store, "b", key, end)
    return await appending.append(store, base, Bytes(data, **source), conditions=conditions)


async def grown(store, key, *sizes):
    """Make an object of pieces of these sizes; return its bytes."""
    data = [sample(size, number) for number, size in enumerate(sizes)]
    await put(store, key, data[0])
    for piece in data[1:]:
        await append(store, key, piece)
    return b"".join(data)


def crc(data, algorithm="CRC64NVME"):
    hasher = Hasher(algorithm)
    hasher.update(data)
    return hasher.value()


@pytest.mark.parametrize(
    "sizes",
    [(0, 5), (5, 5), (50, 10, 10), (3000, 10), (10, 3000), (150, 120, 110, 1), (2500, 2000, 1500, 40, 1, 1, 1)],
)
async def test_an_object_grows(store, world, sizes):
    data = await grown(store, "k", *sizes)
    found = await head(store, "k")
    assert (found.size, found.appends) == (len(data), len(sizes) - 1)
    assert await get(store, "k") == data
    assert found.checksum.value == crc(data)
    for start, stop in ((0, 1), (len(data) - 1, len(data)), (len(data) // 3, len(data) * 2 // 3)):
        assert await read_all(store, found, start, stop) == data[start:stop]
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)
    assert await strays(store) == []
    assert await keys_of(store) == ["k"]


async def test_segments_are_few_and_each_is_twice_as_long_as_the_next(store, world):
    await put(store, "k", b"")
    data = b""
    for number in range(300):
        piece = sample(1 + number % 37, number)
        data += piece
        await append(store, "k", piece)
        sizes = [part.size for part in (await head(store, "k")).parts]
        assert all(size >= 2 * after for size, after in pairwise(sizes))
        assert len(sizes) <= len(data).bit_length()
    assert await get(store, "k") == data
    await run_jobs(store, world.clock)
    assert len(await sealed(store)) <= 2 + len(data).bit_length()


async def test_what_is_stored_again_is_bounded_too(store, monkeypatch):
    """From some size on a segment stays as it is, however much is appended."""
    monkeypatch.setattr(appending, "CLOSED_BYTES", 1000)
    await grown(store, "k", 600, 600, 600, 600, 5000, 5, 6, 10)
    assert [part.size for part in (await head(store, "k")).parts] == [1200, 1200, 5000, 21]
    monkeypatch.setattr(appending, "MAX_SEGMENTS", 4)
    await append(store, "k", sample(990))
    assert await outcome(append(store, "k", b"x")) is TooManyParts
    copied = await copy_to(store, await head(store, "k"), "c", algorithm="SHA256")
    assert (copied.appends, copied.parts) == (0, ())
    await append(store, "c", b"x")


async def test_an_append_is_one_only_where_the_object_ends(store):
    await put(store, "k", b"12345")
    for offset in (0, 4, 6, -1, 10**18):
        assert await outcome(append(store, "k", b"x", offset=offset)) is InvalidWriteOffset
    assert await outcome(append(store, "absent", b"x", offset=1)) is InvalidWriteOffset
    assert await appending.find_base(store, "b", "absent", 0) is None
    assert await get(store, "k") == b"12345"


@pytest.mark.parametrize("sizes", [(5,), (500,), (500, 500)])
async def test_nothing_appended_changes_nothing_and_leaves_nothing(store, sizes):
    await grown(store, "k", *sizes)
    before = await head(store, "k")
    done = await append(store, "k", b"")
    assert done.version == before
    await append(store, "k", b"", sized=False)
    assert await head(store, "k") == before
    assert await sealed(store) == await referenced(store)


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
async def test_in_a_bucket_with_versions_nothing_is_appended(world, versioning):
    store = world.open()
    await make_bucket(store, versioning=versioning)
    await put(store, "k")
    assert await outcome(append(store, "k", b"x")) is InvalidBucketState


async def test_entity_tags_differ_and_are_no_digests(store):
    tags = {(await put(store, "k", b"a")).etag}
    for number in range(5):
        done = await append(store, "k", b"a")
        tags.add(done.version.etag)
        assert done.version.etag.endswith(f"-{number + 2}")
    assert len(tags) == 6


async def test_attributes_stay_those_of_the_first_write(store):
    attributes = Attributes(metadata={"a": "1"}, tags=(Tag("t", "1"),), headers={"content-type": "x/y"})
    await put(store, "k", b"a", attributes=attributes)
    await append(store, "k", b"b")
    assert (await head(store, "k")).attributes == attributes


async def test_a_multipart_object_grows_and_has_no_part_numbers_then(store, world):
    upload = await begin(store, "k")
    parts = [await add_part(store, upload, number, sample(size, number)) for number, size in ((2, 2500), (7, 60))]
    done = await complete(store, upload, parts)
    assert len(done.sent_parts) == 2
    data = sample(2500, 2) + sample(60, 7)
    for number, size in enumerate((10, 100, 5), 10):
        await append(store, "k", sample(size, number))
        data += sample(size, number)
    found = await head(store, "k")
    assert (await get(store, "k"), found.sent_parts) == (data, ())
    assert found.etag.endswith("-5")
    anew = world.open(world.index_path.with_name("anew.db"))
    assert (await rebuild(anew))["orphans"] == 0
    assert await head(anew, "k") == found
    assert await get(anew, "k") == data
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)


# --- checksums


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
@pytest.mark.parametrize("sent", [None, "CRC32", "SHA256"])
async def test_the_checksum_of_the_whole_follows(store, algorithm, sent):
    await put(store, "k", b"first", algorithm=algorithm)
    done = await append(store, "k", b"second", algorithm=sent)
    whole = (await head(store, "k")).checksum
    assert (whole.algorithm, whole.value, whole.kind) == (algorithm, crc(b"firstsecond", algorithm), "FULL_OBJECT")
    if sent:
        assert (done.checksum.algorithm, done.checksum.value) == (sent, crc(b"second", sent))


async def test_a_checksum_that_cannot_be_joined_is_given_up(store):
    await put(store, "k", b"first", algorithm="SHA256")
    await append(store, "k", b"second", algorithm="SHA256")
    assert (await head(store, "k")).checksum is None
    await append(store, "k", b"third", algorithm="CRC32")
    assert (await head(store, "k")).checksum is None
    assert await get(store, "k") == b"firstsecondthird"
    copied = await copy_to(store, await head(store, "k"), "c")
    assert copied.checksum.value == crc(b"firstsecondthird")


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32"])
async def test_a_body_that_is_not_what_was_meant_appends_nothing(store, world, algorithm):
    before = await put(store, "k", b"first")
    wrong = Claims(checksum=crc(b"another", algorithm))
    assert await outcome(append(store, "k", b"second", algorithm=algorithm, claims=wrong)) is BadDigest
    assert await head(store, "k") == before
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)


# --- conditions and races


async def test_conditions(store):
    etag = (await put(store, "k", b"a")).etag
    for conditions in (WriteConditions(if_none_match="*"), WriteConditions(if_match='"other"')):
        assert await outcome(append(store, "k", b"b", conditions=conditions)) is PreconditionFailed
    await append(store, "k", b"b", conditions=WriteConditions(if_match=f'"{etag}"'))
    assert await get(store, "k") == b"ab"


async def test_of_several_that_append_at_one_place_one_wins(world, store):
    stores = [store, world.open()]
    await put(store, "k", b"")
    for _ in range(10):
        before = await get(store, "k")
        tries = (append(stores[at % 2], "k", b"%d" % at * 3, offset=len(before)) for at in range(4))
        done = await asyncio.gather(*map(outcome, tries))
        won = [at for at, one in enumerate(done) if isinstance(one, appending.Appended)]
        assert len(won) == 1
        assert {one for one in done if not isinstance(one, appending.Appended)} == {InvalidWriteOffset}
        assert await get(store, "k") == before + b"%d" % won[0] * 3
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)


class Late(Bytes):
    """A body whose end comes after something else has been done."""

    def __init__(self, data, do):
        super().__init__(data)
        self._do = do

    async def read(self, limit):
        do, self._do = self._do, None
        if do:
            await do()
        return await super().read(limit)


async def late(store, data, do):
    base = await appending.find_base(store, "b", "k", 5)
    return await outcome(appending.append(store, base, Late(data, do), conditions=UNCONDITIONAL))


async def test_tags_that_are_set_meanwhile_stay(store):
    await put(store, "k", b"12345")

    async def tag():
        attributes = Attributes(tags=(Tag("t", "1"),))
        await versions.amend_version(store, "b", "k", None, lambda it: replace(it, attributes=attributes))

    await late(store, b"more", tag)
    found = await head(store, "k")
    assert (found.size, [tag.key for tag in found.attributes.tags]) == (9, ["t"])


async def test_annotations_that_come_and_go_meanwhile_do(store, world):
    await put(store, "k", b"12345")

    async def annotate(name):
        await annotations.put_annotation(store, await head(store, "k"), None, name, Bytes(b"text" * 100))

    async def change():
        await annotate("new")
        await annotations.delete_annotation(store, "b", "k", None, "old")

    await annotate("old")
    await late(store, b"more", change)
    found = await head(store, "k")
    assert (found.size, [one.name for one in found.annotations]) == (9, ["new"])
    assert await annotations.text_of(store, found, found.annotations[0], None) == b"text" * 100
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)


async def test_what_was_written_over_or_removed_meanwhile_is_not_built_upon(store):
    for do, error in (
        (lambda: put(store, "k", b"54321"), ConditionalRequestConflict),
        (lambda: put(store, "k", b"1"), InvalidWriteOffset),
        (lambda: remove(store, "k"), InvalidWriteOffset),
    ):
        await put(store, "k", b"12345")
        assert await late(store, b"more", do) is error
    assert await outcome(get(store, "k")) is NoSuchKey


# --- readers


async def test_a_reader_ends_with_what_it_began_with(world, store):
    """Whatever is appended, merged or removed meanwhile, by another process too."""
    other = world.open()
    data = await grown(store, "k", 2500, 1200, 600, 150, 120, 7)
    found = await head(store, "k")
    assert len(found.parts) > 3
    flow = await open_all(store, found)
    begun = await anext(flow)
    for number in range(5):
        await append(other, "k", sample(500 + number, number))
        await run_jobs(other, world.clock)
    await append(other, "k", sample(9000))
    await remove(other, "k")
    await run_jobs(other, world.clock)
    assert bytes(begun) + await drain(flow) == data
    await run_jobs(other, world.clock)
    assert await sealed(store) == await referenced(store) == [(await store.bucket("b")).record.blob.id]
    assert not await GARBAGE.rows(other.index, b"", b"\xff", 10)


async def test_a_reader_that_comes_too_late_finds_what_is_there_now(store):
    await grown(store, "k", 2500, 1200, 600)
    before = await head(store, "k")
    await append(store, "k", sample(9000))
    assert await keep_parts(store, before) is None
    assert len(await get(store, "k")) == 13300


# --- crashes, and the loss of the index


async def test_an_index_that_is_built_anew_has_it_all(store, world):
    data = await grown(store, "k", 50, 2500, 1200, 30, 7)
    anew = world.open(world.index_path.with_name("anew.db"))
    assert (await rebuild(anew))["orphans"] == 0
    assert await head(anew, "k") == await head(store, "k")
    assert await get(anew, "k") == data


async def test_an_append_that_was_cut_off_leaves_the_object_whole(store, world, monkeypatch):
    data = await grown(store, "k", 2500, 600, 100)

    async def fail(changes, expect):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(store.index, "commit", fail)
        with pytest.raises(OSError):  # noqa: PT011 - any will do
            await append(store, "k", sample(650, 9))
    assert await get(store, "k") == data
    anew = world.open(world.index_path.with_name("anew.db"))
    await rebuild(anew)
    assert await get(anew, "k") in (data, data + sample(650, 9))
    await append(store, "k", sample(650, 10))
    await run_jobs(store, world.clock)
    assert await get(store, "k") == data + sample(650, 10)
    assert await sealed(store) == await referenced(store)


async def test_a_check_finds_nothing_wrong_and_repairs_what_is(store, world):
    data = await grown(store, "k", 2500, 900, 100)
    row = (await store.newest("b", "k"))[0]
    named = await VERSIONS.named(store.index, row)
    assert len(named) == 4
    inspector = Inspector(store, repair=True)
    assert [await inspector.look(item) for item in named] == [None] * 4
    for item in named[1:]:
        Path(world.files_of(item.ref)[0]).unlink()
    found = [await inspector.look(item) for item in named]
    assert [finding is None for finding in found] == [True, False, False, False]
    assert [await inspector.look(item) for item in named] == [None] * 4
    assert await get(store, "k") == data
