"""Checking a whole store: every kind of damage is named, repaired where anything is left, and lost where not."""

import os

import pytest

from s3ish.errors import InternalError
from s3ish.index.protocol import Damaged, Delete, IndexFull, NewerFormat, Put
from s3ish.integrity.check import Check
from s3ish.integrity.named_blobs import count_rows
from s3ish.objects import buckets
from s3ish.tables import keys, records
from tests.objects.support import add_part, begin, flip, get, make_bucket, put, sample

SMALL, LARGE = sample(50), sample(2500, 2)


@pytest.fixture
async def store(world):
    """A store with a small and a large object, and an upload with a part."""
    store = world.open()
    await make_bucket(store)
    await put(store, "small", SMALL)
    await put(store, "large", LARGE)
    await add_part(store, await begin(store, "many"), 1, LARGE)
    return store


async def check(store, *, repair=False):
    checking = Check(store, repair=repair, before_ns=store.clock.now_ns())
    findings = [finding async for row in checking.rows() for finding in row]
    findings += await checking.counters()
    findings += [finding async for finding in checking.orphans()]
    return {(finding.name.split(" version")[0], finding.state): finding.problems for finding in findings}


async def ref_of(store, key):
    return (await store.newest("b", key))[0].record.blob


async def test_a_whole_store_has_no_findings(store):
    assert await count_rows(store) == 9, (
        "a bucket, two versions, an upload, its part, what listings show of the two, what bucket and owner hold"
    )
    assert await check(store) == {}


async def test_damage_is_named_then_repaired_then_gone(world, store):
    ref = await ref_of(store, "large")
    shard, sidecar = world.files_of(ref)[0], world.files_of(ref)[-1]
    flip(shard, 20)
    os.unlink(sidecar)
    problems = ("data.0", f"metadata.json@{ref.volumes[-1]}")
    assert await check(store) == {("b/large", "damaged"): problems}
    assert await check(store, repair=True) == {("b/large", "repaired"): problems}
    assert await check(store) == {}
    assert await get(store, "large") == LARGE


async def test_all_sidecars_of_an_object_come_back_from_the_index(world, store):
    for key in ("small", "large"):
        for path in world.files_of(await ref_of(store, key)):
            if path.endswith("metadata.json"):
                os.unlink(path)
    found = await check(store)
    assert {name for name, _ in found} == {"b/small", "b/large"}, "they are not taken for orphans"
    assert {state for _, state in (await check(store, repair=True))} == {"repaired"}
    assert await check(store) == {}


async def test_a_sidecar_that_tells_another_story_is_written_anew(store):
    ref = await ref_of(store, "small")
    told = await store.blobs.read_sidecar(ref)
    await store.blobs.amend(ref, told.replace(b'"etag":"', b'"etag":"0'))
    assert await check(store) == {("b/small", "damaged"): ("the sidecar differs from the index",)}
    await check(store, repair=True)
    assert await store.blobs.read_sidecar(ref) == told


async def test_the_row_of_a_small_object_comes_back_from_its_sidecar(store):
    key = keys.inline_key((await ref_of(store, "small")).id)
    await store.index.commit([Delete("inline", key)])
    assert await check(store) == {("b/small", "damaged"): ("no valid row of its bytes",)}
    await check(store, repair=True)
    assert records.decode_bytes("inline", key, await store.index.get("inline", key)) == SMALL


async def test_a_row_of_a_small_object_for_which_there_is_no_room_is_not_called_repaired(
    store, monkeypatch
):  # case 133
    await store.index.commit([Delete("inline", keys.inline_key((await ref_of(store, "small")).id))])
    real = store.index.commit

    async def commit(changes, expect=()):
        if any(change.table == "inline" for change in changes):
            raise IndexFull("the rest is kept for removals")
        await real(changes, expect)

    with monkeypatch.context() as patched:
        patched.setattr(store.index, "commit", commit)
        ((found, problems),) = (await check(store, repair=True)).items()
    assert found == ("b/small", "damaged")
    assert problems == ("no valid row of its bytes, and none can be written: the rest is kept for removals",)
    assert {state for _, state in await check(store, repair=True)} == {"repaired"}
    assert await check(store) == {}


async def test_a_damaged_row_is_told_of(store):
    key = keys.bucket_key("b")
    await store.index.commit([Put("buckets", key, b"\1" + bytes(8) + b"nonsense")])
    problems = (await check(store))[("bucket b", "damaged")]
    assert "s3ish index rebuild" in problems[0]


async def test_more_damage_than_parity_is_lost_and_said_so(world, store):
    ref = await ref_of(store, "large")
    for path in world.files_of(ref)[:2]:
        os.unlink(path)
    assert ("b/large", "lost") in await check(store, repair=True)
    with pytest.raises(InternalError):
        await get(store, "large")


@pytest.mark.parametrize("table", ["current", "nulls"])
async def test_the_rows_that_name_no_blob_are_checked_as_well(store, table):  # case 22
    await buckets.set_versioning(store, "b", enabled=True)
    await put(store, "small", b"covers the null version")
    key, value = (await store.index.scan(table, b"b\0small", b"\xff", 1))[0]
    await store.index.commit([Put(table, key, value[:-1] + bytes([value[-1] ^ 1]))])
    (((name, state), problems),) = (await check(store)).items()
    assert (name, state) == ("b/small", "damaged")
    assert f"a row of table {table} has the wrong checksum" in problems[0]


async def test_a_damaged_row_of_a_null_version_is_an_error(store):  # case 22
    await buckets.set_versioning(store, "b", enabled=True)
    await put(store, "small", b"covers the null version")
    ((key, value),) = await store.index.scan("nulls", b"", b"\xff", 9)
    for bit in range(8 * len(value)):
        flipped = (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")
        await store.index.commit([Put("nulls", key, flipped)])
        with pytest.raises((Damaged, NewerFormat)):
            await get(store, "small", "null")
    await store.index.commit([Put("nulls", key, value)])
    assert await get(store, "small", "null") == SMALL


async def test_while_a_row_is_damaged_nothing_is_removed(store):  # case 22
    """Here key and value are, so that nothing tells which row it was."""
    key, value = (await store.index.scan("versions", b"", b"\xff", 1))[0]
    flipped = key[:2] + bytes([key[2] ^ 1]) + key[3:]
    await store.index.commit([Delete("versions", key), Put("versions", flipped, value[:-1] + b"?")])
    found = await check(store, repair=True)
    assert sorted(state for _, state in found) == ["damaged", "orphan"]
    await store.index.commit([Delete("versions", flipped), Put("versions", key, value)])
    assert await check(store) == {}
    assert await get(store, "large") == LARGE


async def test_what_nothing_names_is_an_orphan_and_removed(world, store):
    async with store.blobs.create("b/orphan", None) as writer:
        await writer.write(LARGE)
        await writer.finish()
        await writer.seal(await store.blobs.read_sidecar(await ref_of(store, "large")))
    stray = f"{world.volume_roots[0]}/b/stray@token"
    os.makedirs(stray)
    os.close(os.open(f"{stray}/data.0", os.O_CREAT))
    os.utime(stray, (1, 1))
    os.utime(f"{stray}/data.0", (1, 1))
    found = await check(store)
    assert {state for _, state in found} == {"orphan"}
    assert len(found) == 2
    await check(store, repair=True)
    assert await check(store) == {}
    assert not [path for path in world.files() if "orphan" in path or "stray" in path]
