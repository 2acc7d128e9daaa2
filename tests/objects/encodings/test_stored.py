"""Objects that are stored in another form than they were sent: what clients see is theirs, what drives hold is not."""

import hashlib

import pytest
from msgspec.structs import replace

from s3ish.errors import BadDigest, InternalError
from s3ish.integrity.check import Check
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Link
from s3ish.objects import copy, multipart
from s3ish.objects.digests import Claims
from s3ish.objects.encodings.chain import Encodings
from s3ish.tables import part_list
from s3ish.tables.catalogue import VERSIONS
from tests.objects.encodings.toy import Toy, toy
from tests.objects.support import (
    World,
    add_part,
    begin,
    complete,
    copy_to,
    flip,
    get,
    head,
    make_bucket,
    md5,
    multipart_etag,
    put,
    read_all,
    sample,
)

SIZES = [0, 1, 60, 100, 999, 1000, 1001, 2500, 40_000, 300_000]
EDGES = (0, 1, 500, 998, 999, 1000, 1001, 1500, 1999, 2000, 2001)
STORED = (Link("toy", {"add": "7", "packages": "3"}),)


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path, encoding=(toy(),))
    yield world
    await world.close()


async def raw(store, ref):
    """Return what is stored."""
    reader = await store.blobs.open(ref)
    try:
        return b"".join([bytes(piece) async for piece in reader])
    finally:
        await reader.close()


async def assert_reads(store, version, data):
    """Whole, first byte, last byte, suffix, and over every edge."""
    assert version.size == len(data)
    assert await read_all(store, version) == data
    edges = sorted({edge for edge in (*EDGES, len(data) - 1, len(data) - 700, len(data)) if 0 <= edge <= len(data)})
    for start in edges:
        for stop in edges:
            if start < stop:
                assert await read_all(store, version, start, stop) == data[start:stop], (start, stop)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sized", [True, False])
async def test_what_is_put_is_got_and_stored_otherwise(store, size, sized):
    data = sample(size)
    version = await put(store, "k", data, sized=sized)
    assert (version.size, version.etag) == (size, md5(data))
    assert version.blob.size == size + -(-size // 1000)
    assert [link.name for link in version.encoding] == ["toy"]
    stored = await raw(store, version.blob)
    assert len(stored) == version.blob.size
    assert not size or data[:50] not in stored
    await assert_reads(store, await head(store, "k"), data)


@pytest.fixture(params=[True, False])
async def threaded(request, tmp_path):
    """A store with threads as in a server, on one volume or three."""
    world = World(tmp_path / "threaded", volumes=1 if request.param else 3, inline_offload=False, encoding=(toy(),))
    (tmp_path / "threaded").mkdir()
    store = world.open()
    await make_bucket(store)
    yield store
    await world.close()
    world.offload.close()


@pytest.mark.parametrize("size", SIZES)
async def test_threads_make_no_difference(threaded, size):
    data = sample(size)
    version = await put(threaded, "k", data)
    assert version.etag == md5(data)
    assert await get(threaded, "k") == data


async def test_a_digest_that_does_not_match_is_the_objects(store):
    data = sample(2500)
    with pytest.raises(BadDigest):
        await put(store, "k", data, claims=Claims(md5=hashlib.md5(b"other").digest()))
    await put(store, "k", data, claims=Claims(md5=hashlib.md5(data).digest()))
    assert await get(store, "k") == data


PARTS = [sample(size, seed) for seed, size in enumerate((2500, 200, 1000, 300, 90))]


async def put_parts(store):
    upload = await begin(store, "parts")
    return await complete(store, upload, [await add_part(store, upload, n, data) for n, data in enumerate(PARTS, 1)])


@pytest.mark.usefixtures("small_parts")
async def test_parts_are_encoded_each_by_itself(store):
    version = await put_parts(store)
    assert version.etag == multipart_etag(PARTS)
    assert [part.size for part in version.parts] == [len(data) for data in PARTS]
    assert [part.etag for part in version.parts] == [md5(data) for data in PARTS]
    assert [part.blob.size for part in version.parts] == [len(data) + -(-len(data) // 1000) for data in PARTS]
    await assert_reads(store, await head(store, "parts"), b"".join(PARTS))


async def test_parts_of_a_long_list_say_how_they_are_stored(store, monkeypatch):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 1)
    upload = await begin(store, "k")
    contents = [sample(30 + number, number) for number in range(60)]
    await complete(store, upload, [await add_part(store, upload, n, data) for n, data in enumerate(contents, 1)])
    version = await head(store, "k")
    assert isinstance(version.parts, part_list.PackedParts)
    whole = b"".join(contents)
    assert await read_all(store, version) == whole
    assert await read_all(store, version, 100, 1700) == whole[100:1700]


async def test_an_upload_keeps_the_links_that_it_began_with(store, monkeypatch):
    upload = await begin(store, "k")
    monkeypatch.setattr(store.encodings, "default", ())
    version = await complete(store, upload, [await add_part(store, upload, 1, sample(2500))])
    assert (upload.encoding, version.encoding, version.parts[0].encoding) == ((toy(),), (toy(),), STORED)
    assert await get(store, "k") == sample(2500)


async def test_a_copy_under_the_same_links_shares_what_is_stored(store):
    source = await put(store, "source", sample(2500))
    copied = await copy_to(store, source, "copy")
    assert (copied.blob.salt, copied.encoding) == (source.blob.salt, STORED)
    assert await get(store, "copy") == sample(2500)


OTHERS = {"plain": (), "other parameters": (toy(9),), "two": (toy(), toy(1))}


@pytest.mark.parametrize("encoding", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("size", [0, 60, 2500])
async def test_a_copy_under_other_links_is_decoded_and_encoded_again(store, encoding, size):
    source = await put(store, "source", sample(size))
    for target, links in (("there", encoding), ("back", (toy(),))):
        copied = await copy_to(store, source, target, encoding=links)
        assert store.encodings.chain(links).covers(copied.encoding)
        assert copied.blob.salt != source.blob.salt
        assert (copied.size, copied.etag, copied.checksum) == (size, source.etag, source.checksum)
        await assert_reads(store, copied, sample(size))
        source = copied


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("encoding", [(toy(),), *OTHERS.values()], ids=["same", *OTHERS])
@pytest.mark.parametrize("algorithm", [None, "SHA256"])
async def test_parts_are_copied_under_the_same_links_or_others(store, encoding, algorithm):
    source = await put_parts(store)
    copied = await copy_to(store, source, "copy", encoding=encoding, algorithm=algorithm)
    assert copied.size == source.size
    shared = {part.blob.salt for part in copied.parts} & {part.blob.salt for part in source.parts}
    assert bool(shared) == (encoding == (toy(),) and algorithm is None)
    if algorithm is None:
        assert copied.etag == source.etag
        assert all(store.encodings.chain(encoding).covers(part.encoding) for part in copied.parts)
    await assert_reads(store, await head(store, "copy"), b"".join(PARTS))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("encoding", [(toy(),), *OTHERS.values()], ids=["same", *OTHERS])
@pytest.mark.parametrize(("start", "stop"), [(0, 2500), (0, 1), (2499, 2500), (999, 2001), (500, 1000)])
async def test_a_part_is_copied_from_a_range(store, monkeypatch, encoding, start, stop):
    whole = await put(store, "source", sample(2500))
    monkeypatch.setattr(store.encodings, "default", encoding)
    upload = await begin(store, "k")
    _, part = await copy.copy_part(store, whole, start, stop, "b", "k", upload.id, 1)
    assert (part.size, part.etag) == (stop - start, md5(sample(2500)[start:stop]))
    version = await complete(store, upload, [part])
    assert await read_all(store, version) == sample(2500)[start:stop]


async def test_the_index_is_rebuilt_with_them(world, store, small_parts):
    await put(store, "k", sample(2500))
    await put(store, "small", sample(50))
    await put_parts(store)
    upload = await begin(store, "going on")
    part = await add_part(store, upload, 1, sample(1500))
    fresh = world.open(world.index_path.with_name("fresh.db"))
    await rebuild(fresh)
    assert await get(fresh, "k") == sample(2500)
    assert await get(fresh, "small") == sample(50)
    assert await get(fresh, "parts") == b"".join(PARTS)
    await complete(fresh, upload, [part])
    assert await get(fresh, "going on") == sample(1500)


async def test_check_and_heal_need_no_codec(world, store):
    versions = [await put(store, f"k{size}", sample(size)) for size in (50, 2500)]
    for version in versions:
        flip(world.files_of(version.blob)[0], 60)
    blind = world.open()
    blind.encodings = Encodings()
    check = Check(blind, repair=True, before_ns=0)
    findings = [finding async for row in check.rows() for finding in row]
    assert {finding.state for finding in findings} == {"repaired"}
    assert [finding async for row in Check(blind, repair=False, before_ns=0).rows() for finding in row] == []
    for version in versions:
        assert await read_all(store, version) == sample(version.size)


async def test_what_is_stored_under_an_unknown_link_is_refused_by_its_name(world, store):
    version = await put(store, "k", sample(2500))
    blind = world.open()
    blind.encodings = Encodings()
    with pytest.raises(InternalError, match="does not know the encoding 'toy'"):
        await read_all(blind, version)
    with pytest.raises(InternalError, match="does not know the encoding 'toy'"):
        await copy_to(blind, version, "copy", encoding=())
    with pytest.raises(InternalError, match="does not know the encoding 'toy'"):
        await copy.copy_part(blind, version, 0, 10, "b", "k", (await begin(blind, "k", encoding=())).id, 1)
    with pytest.raises(InternalError, match="does not know the encoding 'other'"):
        await put(store, "other", sample(10), encoding=(Link("other"),))
    with pytest.raises(InternalError, match="does not know the encoding 'other'"):
        await begin(store, "other", encoding=(Link("other"),))
    assert await get(store, "k") == sample(2500)


def keyed(*keys):
    """A link whose parameters tell which key it needs, and codecs of a request that brings some."""

    def make(parameters):
        if parameters["key"] not in keys:
            raise ValueError("it needs another key")
        return Toy({"add": parameters["key"]})

    return {"keyed": make}


async def test_a_key_may_come_with_the_request(store, small_parts):
    links, known = (Link("keyed", {"key": "5"}),), store.encodings.having(keyed("5"))
    options = {"encoding": links, "encodings": known}
    version = await put(store, "k", sample(2500), **options)
    assert version.encoding[0].parameters["key"] == "5"
    assert await read_all(store, version, 999, 2001, known) == sample(2500)[999:2001]
    upload = await begin(store, "parts", **options)
    made = [await add_part(store, upload, n, data, encodings=known) for n, data in enumerate(PARTS, 1)]
    parts = await complete(store, upload, made)
    assert await read_all(store, parts, encodings=known) == b"".join(PARTS)
    other, both = (Link("keyed", {"key": "6"}),), store.encodings.having(keyed("5", "6"))
    for source in (version, parts):
        copied = await copy_to(store, source, "copy", encoding=other, encodings=both)
        assert await read_all(store, copied, encodings=both) == await read_all(store, source, encodings=known)
        with pytest.raises(InternalError, match="needs another key"):
            await read_all(store, copied, encodings=known)
    _, part = await copy.copy_part(store, version, 10, 1500, "b", "plain", (await begin(store, "plain")).id, 1, known)
    assert part.etag == md5(sample(2500)[10:1500])
    for encodings, why in ((None, "does not know the encoding"), (store.encodings.having(keyed("6")), "needs another")):
        with pytest.raises(InternalError, match=why):
            await put(store, "k", sample(10), encoding=links, encodings=encodings)
        with pytest.raises(InternalError, match=why):
            await read_all(store, version, encodings=encodings)


class Locked(Toy):
    """It can encode, but its key is lost."""

    def decoder(self, stored_start, size):
        raise ValueError("its key is lost")


async def test_a_codec_that_cannot_decode_says_why(store):
    known = store.encodings.having({"toy": Locked})
    version = await put(store, "k", sample(2500), encodings=known)
    with pytest.raises(InternalError, match="its key is lost"):
        await read_all(store, version, encodings=known)
    assert await read_all(store, version) == sample(2500)


async def test_a_version_that_says_another_size_than_is_stored_is_not_read(store):
    version = await put(store, "k", sample(2500))
    for size in (2400, 1500, 3500):
        lying = replace(version, size=size)
        await store.index.commit([VERSIONS.put(lying)])
        with pytest.raises(InternalError, match="damaged"):
            await read_all(store, lying)
