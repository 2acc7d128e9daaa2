"""What every blob store must do, run against each of them."""

import pytest

from s3ish.blob.paths import Past
from s3ish.blob.protocol import Amendment, Missing
from tests.blob.support import SIDECAR, get, put, sample, scanned

pytestmark = pytest.mark.slow

SIZES = [0, 1, 2, 99, 100, 101, 333, 334, 499, 500, 501, 999, 1000, 1001, 1999, 2000, 2001, 2500, 3000, 10_007]


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_written_is_read(store, size):  # case 120
    data = sample(size)
    ref = await put(store, data)
    assert ref.size == size
    assert ref.inline == (size <= 100)
    assert await get(store, ref) == data
    assert await store.read_sidecar(ref) == SIDECAR
    assert (await store.check(ref, repair=False)).whole


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_written_in_one_is_read_and_digested_once(store, size):  # case 120
    data, digested = sample(size), []
    ref = await put(store, data, digest=lambda piece: digested.append(bytes(piece)))
    assert (ref.size, ref.inline) == (size, size <= 100)
    assert digested == [data]
    assert await get(store, ref) == data
    assert (await store.check(ref, repair=False)).whole


@pytest.mark.parametrize("size", [50, 2500])
async def test_a_digest_that_fails_is_the_writers_error(store, size):
    def digest(piece):
        raise KeyError

    with pytest.raises(KeyError):
        await put(store, sample(size), digest=digest)
    assert await scanned(store) == []


@pytest.mark.parametrize("piece", [1, 7, 250, 999, 1000, 1001, 2500, 3000])
async def test_pieces_of_any_size_can_be_written(store, piece):
    data = sample(3001)
    assert await get(store, await put(store, data, piece=piece)) == data


async def test_buffers_may_be_changed_after_they_were_written(store):
    buffer = bytearray(sample(1500))
    expected = bytes(buffer) * 2
    async with store.create("b/k", None) as writer:
        for _ in range(2):
            await writer.write(memoryview(buffer))
            kept, buffer[:] = bytes(buffer), bytes(1500)
            buffer[:] = kept if _ == 0 else bytes(1500)
        ref = await writer.finish()
        await writer.seal(SIDECAR)
    assert await get(store, ref) == expected


async def test_every_range_over_stripe_edges(store):  # case 121
    data = sample(2345)
    ref = await put(store, data)
    edges = [
        0,
        1,
        249,
        250,
        251,
        333,
        334,
        499,
        500,
        501,
        999,
        1000,
        1001,
        1500,
        1999,
        2000,
        2001,
        2172,
        2173,
        2344,
        2345,
    ]
    for start in edges:
        for stop in edges:
            if start <= stop:
                assert await get(store, ref, start, stop) == data[start:stop], (start, stop)


async def test_ranges_of_inline_blobs(store):
    data = sample(60)
    ref = await put(store, data)
    assert await get(store, ref, 10, 20) == data[10:20]
    assert await get(store, ref, 60, 60) == b""
    assert await get(store, ref, 0, 60) == data


@pytest.mark.parametrize("bounds", [(-1, 5), (3, 2), (0, 2001), (2001, 2001)])
async def test_impossible_ranges_are_refused(store, bounds):
    ref = await put(store, sample(2000))
    with pytest.raises(ValueError, match="range"):
        await store.open(ref, *bounds)


async def test_sealing_gives_the_inline_data(store):
    for size in (0, 1, 100, 101):
        async with store.create("b/k", None) as writer:
            await writer.write(sample(size))
            ref = await writer.finish()
            assert ref.inline == (size <= 100)
            for _ in range(2):
                assert await writer.seal(SIDECAR) == (sample(size) if size <= 100 else None)


@pytest.mark.parametrize("size", [50, 2500])
async def test_without_seal_nothing_is_left(store, files, size):
    async with store.create("b/k", None) as writer:
        await writer.write(sample(size))
        ref = await writer.finish()
    assert await scanned(store) == []
    with pytest.raises(Missing):
        await get(store, ref)
    assert files() == []


@pytest.mark.parametrize("size", [50, 2500])
async def test_an_error_in_the_context_leaves_nothing(store, files, size):
    with pytest.raises(KeyError):
        async with store.create("b/k", None) as writer:
            await writer.write(sample(size))
            raise KeyError
    assert await scanned(store) == []
    assert files() == []


@pytest.mark.parametrize("size", [50, 2500])
async def test_sealing_again_replaces_the_sidecar(store, size):
    async with store.create("b/k", None) as writer:
        await writer.write(sample(size))
        ref = await writer.finish()
        await writer.seal(b'{"n":1}')
        await writer.seal(b'{"n":2}')
    assert await store.read_sidecar(ref) == b'{"n":2}'
    assert await get(store, ref) == sample(size)
    assert await scanned(store) == [(ref.id, b'{"n":2}')]


@pytest.mark.parametrize("size", [50, 2500])
async def test_a_sidecar_that_is_no_json_is_refused(store, files, size):
    for text in (b"", b"{", b"nonsense", b'{"a":1}}'):
        with pytest.raises(ValueError, match="JSON"):
            await put(store, sample(size), sidecar=text)
    assert await scanned(store) == []
    assert files() == []


@pytest.mark.parametrize("size", [50, 2500])
async def test_amend_replaces_the_sidecar_and_keeps_the_data(store, size):
    ref = await put(store, sample(size))
    await store.amend(ref, b'{"tags":["\xc3\xa9"]}')
    assert await store.read_sidecar(ref) == b'{"tags":["\xc3\xa9"]}'
    assert await get(store, ref) == sample(size)
    assert (await store.check(ref, repair=False)).whole


@pytest.mark.parametrize("count", [3, 40])
async def test_many_are_amended_at_once(store, count):
    """Whether they have a sidecar, or none any more; what one of them meets does not keep the others from it."""
    refs = [await put(store, sample(50 if number % 2 else 2500, number)) for number in range(count)]
    for ref in refs[:2]:
        await store.unseal(ref)
    gone = await put(store, sample(2500))
    await store.delete(gone)
    data = [sample(50, number) if number % 2 else None for number in range(count)]
    wanted = [Amendment(ref, b'{"n":%d}' % number, data[number]) for number, ref in enumerate(refs)]
    *outcomes, missing = await store.amend_all([*wanted, Amendment(gone, b"{}")])
    assert outcomes == [None] * count
    assert isinstance(missing, Missing)
    for number, ref in enumerate(refs):
        assert await store.read_sidecar(ref) == b'{"n":%d}' % number
        assert await get(store, ref) == sample(50 if number % 2 else 2500, number)
        assert (await store.check(ref, repair=False)).whole
    assert len(await scanned(store)) == count
    assert await store.amend_all([]) == []


@pytest.mark.parametrize("size", [50, 2500])
async def test_delete_is_idempotent(store, files, size):
    ref = await put(store, sample(size))
    await store.delete(ref)
    await store.delete(ref)
    assert await scanned(store) == []
    assert files() == []
    for action in (store.open, store.read_sidecar, lambda ref: store.amend(ref, b"{}")):
        with pytest.raises(Missing):
            await action(ref)
    assert not (await store.check(ref, repair=True)).readable
    assert await scanned(store) == []


@pytest.mark.parametrize("size", [0, 50, 2500])
async def test_what_is_unsealed_is_not_shown_and_can_be_sealed_again(store, size):
    data = sample(size)
    ref = await put(store, data)
    for _ in range(2):
        await store.unseal(ref)
        assert await scanned(store) == []
        with pytest.raises(Missing):
            await store.read_sidecar(ref)
    if not ref.inline:
        assert await get(store, ref) == data
    await store.amend(ref, b'{"a":1}', inline=data if ref.inline else None)
    assert await store.read_sidecar(ref) == b'{"a":1}'
    assert await get(store, ref) == data
    assert (await store.check(ref, repair=False)).whole
    await store.unseal(ref)
    await store.delete(ref)
    with pytest.raises(Missing):
        await store.open(ref)


async def test_an_open_reader_outlives_the_deletion(store):  # case 50
    data = sample(5000)
    ref = await put(store, data)
    reader = await store.open(ref)
    await store.delete(ref)
    assert b"".join([bytes(piece) async for piece in reader]) == data
    await reader.close()
    await reader.close()


async def test_adopt_takes_the_bytes_of_another_blob(store):
    source = await put(store, sample(2500))
    async with store.create("other/key", None) as writer:
        assert await writer.adopt(source)
        ref = await writer.finish()
        assert await writer.seal(b'{"copy":true}') is None
    assert ref.id != source.id
    assert ref.size == 2500
    await store.delete(source)
    assert await get(store, ref) == sample(2500)
    assert (await store.check(ref, repair=False)).whole


async def test_adopt_says_no_to_inline_blobs_and_can_be_followed_by_a_copy(store):
    source = await put(store, sample(50))
    async with store.create("other/key", None) as writer:
        assert not await writer.adopt(source)
        await writer.write(sample(50))
        ref = await writer.finish()
        await writer.seal(SIDECAR)
    assert await get(store, ref) == sample(50)


@pytest.mark.parametrize("dry", [False, True])
async def test_a_sweep_leaves_what_is_sealed_and_what_is_being_written(store, dry):
    async def is_named(_):
        return False

    refs = [await put(store, sample(size), home=f"b/{size}") for size in (50, 2500)]
    async with store.create("b/slow", 2500) as writer:
        await writer.write(sample(2000))
        swept = [item async for item in store.sweep(Past(0), is_named, dry=dry)]
        assert not any(item.stray or item.removed for item in swept)
        await writer.write(sample(500))
        late = await writer.finish()
        await writer.seal(SIDECAR)
    assert {ref.id for ref in refs} <= {item.name for item in swept}
    assert {blob for blob, _ in await scanned(store)} == {ref.id for ref in [*refs, late]}
    for ref, size in zip(refs, (50, 2500), strict=True):
        assert await get(store, ref) == sample(size)


async def test_scan_yields_each_blob_once_and_resumes(store):
    homes = [
        "b",
        "b/a",
        "b/a/",
        "b/a//b",
        "b/a/b",
        "b/a.b",
        "b/a-b/c",
        "c/x",
        "b/..",
        "b/\u00e9",
        "b/" + "x" * 300 + "/y",
    ]
    for home in homes:
        await put(store, sample(len(home) * 7), home=home, sidecar=b'"%s"' % home.encode())
    await put(store, b"again", home="b/a", sidecar=b'"b/a"')
    everything = await scanned(store)
    assert sorted(sidecar.decode().strip('"') for _, sidecar in everything) == sorted([*homes, "b/a"])
    ids = [blob for blob, _ in everything]
    assert len(set(ids)) == len(ids)
    for number, blob in enumerate(ids):
        assert await scanned(store, blob) == everything[number + 1 :]


async def test_scan_resumes_behind_a_blob_that_is_gone(store):
    refs = [await put(store, b"x", home=f"b/{name}") for name in "abc"]
    await store.delete(refs[1])
    assert [blob for blob, _ in await scanned(store, refs[1].id)] == [refs[2].id]
    await store.close()
