"""Damage of every kind, up to what parity can make good and beyond it."""

import os
import shutil
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3ish.blob.protocol import Corrupt, Missing, NewerFormat, OutOfReach
from tests.blob.support import SIDECAR, flip, get, put, read, sample, scanned, shard_file, sidecar_files, strays, write

pytestmark = pytest.mark.slow

DAMAGE = {
    "deleted": os.unlink,
    "emptied": lambda path: os.truncate(path, 0),
    "halved": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "one byte short": lambda path: os.truncate(path, os.path.getsize(path) - 1),
    "hash flipped": lambda path: flip(path, 3),
    "first block flipped": lambda path: flip(path, 16),
    "last byte flipped": lambda path: flip(path, os.path.getsize(path) - 1),
    "zeroed": lambda path: write(path, bytes(os.path.getsize(path))),
    "symlink": lambda path: (os.rename(path, path + ".moved"), os.symlink(path + ".moved", path)),
    "directory": lambda path: (os.unlink(path), os.mkdir(path), os.mkdir(path + "/x")),
    "fifo": lambda path: (os.unlink(path), os.mkfifo(path)),
}


def shards_of(ref):
    return range(ref.k + ref.m)


@pytest.mark.parametrize("kind", DAMAGE)
async def test_damage_within_parity_is_read_around_and_repaired(disk_store, kind):  # cases 17, 19, 148
    ref = await put(disk_store, sample(2345))
    for count in range(1, ref.m + 1):
        for numbers in combinations(shards_of(ref), count):
            for number in numbers:
                DAMAGE[kind](shard_file(disk_store, ref, number))
            assert await get(disk_store, ref) == sample(2345)
            health = await disk_store.check(ref, repair=True)
            expected = {f"data.{n}" if n < ref.k else f"parity.{n - ref.k}" for n in numbers}
            assert set(health.damaged) == expected
            assert health.readable
            assert health.repaired
            assert (await disk_store.check(ref, repair=False)).whole
    assert await disk_store.read_sidecar(ref) == SIDECAR


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "deleted"])
async def test_damage_beyond_parity_is_an_error_before_any_byte(disk_store, kind):  # case 18
    ref = await put(disk_store, sample(900))
    for number in range(ref.m + 1):
        DAMAGE[kind](shard_file(disk_store, ref, number))
    with pytest.raises(Corrupt):
        await disk_store.open(ref)
    health = await disk_store.check(ref, repair=True)
    assert not health.readable
    assert not health.repaired


async def test_all_files_gone_is_missing_and_some_gone_is_corrupt(disk_store):  # case 153
    ref = await put(disk_store, sample(900))
    assert ref.m < 1 or not (await disk_store.check(ref, repair=False)).damaged
    for number in range(ref.m + 1):
        flip(shard_file(disk_store, ref, number), 20)
    with pytest.raises(Corrupt):
        await disk_store.open(ref)
    for number in shards_of(ref):
        os.unlink(shard_file(disk_store, ref, number))
    with pytest.raises(Missing):
        await disk_store.open(ref)


async def test_damage_is_reported_once_a_reader(redundant_store):
    ref = await put(redundant_store, sample(4000))
    flip(shard_file(redundant_store, ref, 0), 16)
    flip(shard_file(redundant_store, ref, 0), os.path.getsize(shard_file(redundant_store, ref, 0)) - 1)
    await get(redundant_store, ref)
    assert redundant_store.damage == [(ref.id, ("data.0",))]


async def test_damage_met_in_the_middle_ends_the_stream_with_an_error(disk_store):  # case 18
    data = sample(5500)
    ref = await put(disk_store, data)
    for number in range(ref.m + 1):
        path = shard_file(disk_store, ref, number)
        flip(path, os.path.getsize(path) - 1)
    reader = await disk_store.open(ref)
    found = b""
    with pytest.raises(Corrupt):
        async for piece in reader:
            found += piece
    await reader.close()
    assert found == data[:5000]


async def test_different_blocks_damaged_in_every_shard_are_all_made_good(redundant_store):
    ref = await put(redundant_store, sample(10_000))
    step = os.path.getsize(shard_file(redundant_store, ref, 0)) // 10
    for number in shards_of(ref):
        flip(shard_file(redundant_store, ref, number), number * step + 20)
    assert await get(redundant_store, ref) == sample(10_000)
    assert (await redundant_store.check(ref, repair=True)).repaired
    assert (await redundant_store.check(ref, repair=False)).whole


async def test_an_extended_shard_is_found_and_repaired(disk_store):  # case 19
    ref = await put(disk_store, sample(2345))
    with open(shard_file(disk_store, ref, 0), "ab") as file:
        file.write(b"x")
    assert await get(disk_store, ref) == sample(2345)
    health = await disk_store.check(ref, repair=True)
    assert health.damaged == ("data.0",)
    assert health.repaired
    assert (await disk_store.check(ref, repair=False)).whole


def swap(a, b):
    shutil.move(a, a + ".x")
    shutil.move(b, a)
    shutil.move(a + ".x", b)


async def test_swapped_shards_of_two_blobs_are_detected(disk_store):  # case 25
    refs = [await put(disk_store, sample(2345, seed)) for seed in (1, 2)]
    swap(*(shard_file(disk_store, ref, 0) for ref in refs))
    for seed, ref in enumerate(refs, 1):
        assert (await disk_store.check(ref, repair=False)).damaged == ("data.0",)
        if ref.m:
            assert await get(disk_store, ref) == sample(2345, seed)
            assert (await disk_store.check(ref, repair=True)).repaired
        else:
            with pytest.raises(Corrupt):
                await disk_store.open(ref)


async def test_swapped_shards_of_one_blob_are_detected(redundant_store):  # case 25
    ref = await put(redundant_store, sample(2345))
    swap(shard_file(redundant_store, ref, 0), shard_file(redundant_store, ref, 1))
    assert (await redundant_store.check(ref, repair=False)).damaged == ("data.0", "data.1" if ref.k > 1 else "parity.0")
    if ref.m > 1:
        assert await get(redundant_store, ref) == sample(2345)
        assert (await redundant_store.check(ref, repair=True)).repaired
    else:
        with pytest.raises(Corrupt):
            await redundant_store.open(ref)


async def test_blocks_of_one_shard_in_the_wrong_place_are_detected(disk_store):  # case 25
    ref = await put(disk_store, sample(3000))
    path = shard_file(disk_store, ref, 0)
    with open(path, "r+b") as file:
        text = file.read()
        third = len(text) // 3
        file.seek(0)
        file.write(text[third : 2 * third] + text[:third] + text[2 * third :])
    assert (await disk_store.check(ref, repair=False)).damaged == ("data.0",)


@pytest.mark.parametrize("size", [50, 2345])
@pytest.mark.parametrize("kind", DAMAGE)
async def test_lost_sidecars_are_mended_from_the_others(make_store, size, kind):  # case 20
    store = make_store("three")
    ref = await put(store, sample(size))
    paths = sidecar_files(store, ref)
    assert len(paths) == (2 if size == 50 else 3)
    DAMAGE[kind](paths[0])
    assert await store.read_sidecar(ref) == SIDECAR
    assert await get(store, ref) == sample(size)
    assert await scanned(store) == [(ref.id, SIDECAR)]
    health = await store.check(ref, repair=True)
    assert health.damaged == (f"metadata.json@{ref.volumes[0]}",)
    assert health.repaired
    assert (await store.check(ref, repair=False)).whole


@pytest.mark.parametrize("size", [50, 2345])
@pytest.mark.parametrize("kind", DAMAGE)
async def test_sidecars_lost_everywhere_come_back_through_amend(disk_store, size, kind):  # case 20
    async with disk_store.create("b/k", size) as writer:
        await writer.write(sample(size))
        ref = await writer.finish()
        inline = await writer.seal(SIDECAR)
    for path in sidecar_files(disk_store, ref):
        DAMAGE[kind](path)
    with pytest.raises((Corrupt, Missing)):
        await disk_store.read_sidecar(ref)
    assert (await disk_store.check(ref, repair=True)).readable == (not ref.inline)
    says_it_still = kind.endswith("flipped")
    assert await strays(disk_store) == ([] if says_it_still else [ref.id])
    assert await scanned(disk_store) == ([(ref.id, SIDECAR)] if says_it_still else [])
    if ref.inline:
        with pytest.raises((Corrupt, Missing)):
            await get(disk_store, ref)
    await disk_store.amend(ref, SIDECAR, inline=inline)
    assert await get(disk_store, ref) == sample(size)
    assert await scanned(disk_store) == [(ref.id, SIDECAR)]
    assert (await disk_store.check(ref, repair=False)).whole


async def test_the_newest_sidecar_wins_after_a_volume_was_away(make_store):  # case 7
    store = make_store("three")
    ref = await put(store, sample(2345))
    old = read(sidecar_files(store, ref)[1])
    await store.amend(ref, b'{"n":2}')
    write(sidecar_files(store, ref)[1], old)
    assert await store.read_sidecar(ref) == b'{"n":2}'
    assert await scanned(store) == [(ref.id, b'{"n":2}')]
    assert (await store.check(ref, repair=True)).damaged == (f"metadata.json@{ref.volumes[1]}",)
    await store.amend(ref, b'{"n":3}')
    assert await store.read_sidecar(ref) == b'{"n":3}'
    assert (await store.check(ref, repair=False)).whole


@pytest.mark.parametrize("size", [50, 2345])
async def test_what_is_out_of_reach_is_told_from_what_is_lost(make_store, tmp_path, size):  # case 26
    store = make_store("three")
    ref = await put(store, sample(size))
    await store.close()
    for number in ref.volumes[:2]:
        os.rename(tmp_path / "three" / f"volume{number}", tmp_path / "three" / f"away{number}")
        write(tmp_path / "three" / f"volume{number}", b"a file where a directory was")
    store = make_store("three", missing=2)
    with pytest.raises(OutOfReach, match="out of reach"):
        await get(store, ref)
    if ref.inline:
        return
    flip(shard_file(store, ref, 2), 20)  # within parity, once the others are back
    with pytest.raises(OutOfReach):
        await get(store, ref)
    await store.close()
    back = ref.volumes[1]
    os.unlink(tmp_path / "three" / f"volume{back}")
    os.rename(tmp_path / "three" / f"away{back}", tmp_path / "three" / f"volume{back}")
    store = make_store("three", missing=1)
    flip(shard_file(store, ref, 1), 20)
    with pytest.raises(Corrupt) as caught:
        await get(store, ref)
    assert not isinstance(caught.value, OutOfReach)


async def test_a_sidecar_of_another_blob_is_not_believed(make_store):  # case 20
    store = make_store("one")
    first, second = await put(store, b"first"), await put(store, b"second")
    shutil.copy(sidecar_files(store, second)[0], sidecar_files(store, first)[0])
    with pytest.raises(Corrupt):
        await store.read_sidecar(first)
    with pytest.raises(Corrupt):
        await get(store, first)
    assert await scanned(store) == [(second.id, SIDECAR)]


async def test_a_newer_sidecar_is_refused_and_left_alone(make_store):  # cases 146, 147
    from s3ish.blob.erasure.sidecar import checksum

    store = make_store("three")
    ref = await put(store, b"data")
    path = sidecar_files(store, ref)[0]
    rest = read(path).partition(b"\n")[2]
    text = b'{"format":3,"checksum":"%s",\n' % checksum(b"3", rest) + rest
    write(path, text)
    for action in (
        store.read_sidecar(ref),
        store.amend(ref, b"{}"),
        store.check(ref, repair=True),
        scanned(store),
    ):
        with pytest.raises(NewerFormat, match="format 3"):
            await action
    assert read(path) == text


async def test_unknown_members_survive_an_amendment(make_store):  # case 147
    from s3ish.blob.erasure.sidecar import checksum

    store = make_store("one")
    ref = await put(store, b"data")
    path = sidecar_files(store, ref)[0]
    rest = read(path).partition(b"\n")[2].replace(b'"content"', b'"later":{"a":[1, 2]},\n"content"')
    write(path, b'{"format":1,"checksum":"%s",\n' % checksum(b"1", rest) + rest)
    assert await store.read_sidecar(ref) == SIDECAR
    await store.amend(ref, b"{}")
    assert b'"later":{"a":[1, 2]}' in read(path)
    assert await get(store, ref) == b"data"


@pytest.mark.parametrize("size", [50, 2345])
async def test_any_m_volumes_may_vanish(make_store, tmp_path, size):  # cases 7, 26
    store = make_store("six")
    refs = [await put(store, sample(size, n), home=f"b/{n}") for n in range(6)]
    await store.close()
    for gone in combinations(range(6), 2):
        for number in gone:
            os.rename(tmp_path / "six" / f"volume{number}", tmp_path / "six" / f"away{number}")
            write(tmp_path / "six" / f"volume{number}", b"a file where a directory was")
        store = make_store("six", missing=2)
        for n, ref in enumerate(refs):
            assert await get(store, ref) == sample(size, n)
            assert await store.read_sidecar(ref) == SIDECAR
        assert len(await scanned(store)) == 6
        new = await put(store, sample(size), home="b/new")
        assert await get(store, new) == sample(size)
        await store.delete(new)
        await store.close()
        for number in gone:
            os.unlink(tmp_path / "six" / f"volume{number}")
            os.rename(tmp_path / "six" / f"away{number}", tmp_path / "six" / f"volume{number}")


@pytest.mark.parametrize("size", [50, 2345])
async def test_a_volume_that_comes_back_empty_is_healed(make_store, tmp_path, size):  # cases 4, 27
    store = make_store("three")
    refs = [await put(store, sample(size, n), home=f"b/folder/{n}") for n in range(6)]
    await store.close()
    shutil.rmtree(tmp_path / "three" / "volume1")
    (tmp_path / "three" / "volume1").mkdir()
    store = make_store("three", missing=1)
    for n, ref in enumerate(refs):
        assert await get(store, ref) == sample(size, n)
        health = await store.check(ref, repair=True)
        assert health.repaired == (1 in ref.volumes)
        assert (await store.check(ref, repair=False)).whole


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_wrong_byte_is_ever_returned(make_store, data):
    store = make_store(data.draw(st.sampled_from(["one", "six"])))
    size = data.draw(st.integers(0, 4100))
    ref = await put(store, sample(size))
    if not ref.inline:
        hits = data.draw(st.lists(st.tuples(st.sampled_from(shards_of(ref)), st.integers(0, 10**6)), max_size=8))
        for number, place in hits:
            path = shard_file(store, ref, number)
            flip(path, place % os.path.getsize(path))
    else:
        hits = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**6)), max_size=3))
        for number, place in hits:
            paths = sidecar_files(store, ref)
            flip(paths[number % len(paths)], place % os.path.getsize(paths[0]))
    start, stop = sorted([data.draw(st.integers(0, size)), data.draw(st.integers(0, size))])
    try:
        assert await get(store, ref, start, stop) == sample(size)[start:stop]
    except Corrupt:
        assert len({number for number, _ in hits}) > (ref.m if not ref.inline else 0)
    await store.delete(ref)
    await store.close()
