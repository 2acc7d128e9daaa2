"""Renaming an object: both names change in one commit, and an index that is built anew shows one of them."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from s3ish.blob.protocol import Unwritable
from s3ish.errors import (
    IdempotencyParameterMismatch,
    InvalidArgument,
    InvalidBucketState,
    InvalidRequest,
    NoSuchKey,
    PreconditionFailed,
)
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Attributes, Tag
from s3ish.objects import rename, versions
from s3ish.objects.client_tokens import ClientToken
from s3ish.objects.conditions import ReadConditions
from s3ish.objects.removal import Removal
from s3ish.tables.state import TOKENS
from tests.objects.encodings.toy import toy
from tests.objects.support import (
    World,
    add_part,
    begin,
    complete,
    copy_to,
    get,
    head,
    keys_of,
    make_bucket,
    outcome,
    put,
    referenced,
    run_jobs,
    sample,
    sealed,
    strays,
)

NONE = ReadConditions()
DAY = 86_400 * 10**9


async def move(store, source, key, *, of_source=NONE, of_destination=NONE, token=None):
    found = ClientToken("me", token, (source, key)) if token else None
    await rename.rename_object(store, "b", source, key, of_source=of_source, of_destination=of_destination, token=found)


async def big(store, key):
    upload = await begin(store, key, attributes=Attributes(metadata={"n": "1"}))
    parts = [await add_part(store, upload, number, sample(size, number)) for number, size in ((1, 2500), (2, 50))]
    return await complete(store, upload, parts)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr("s3ish.objects.multipart.MIN_PART_BYTES", 0)


def but_for_the_name(version):
    return replace(version, key="", sequence=0, blob=None, parts=(), upload="", origin=None, revision=0)


@pytest.mark.parametrize("size", [0, 50, 2500])
async def test_a_renamed_object_is_the_same_but_for_its_name(store, world, size):
    await put(store, "a/b", sample(size), attributes=Attributes(tags=(Tag("t", "1"),), storage_class="GLACIER"))
    before = await head(store, "a/b")
    await move(store, "a/b", "c")
    assert await outcome(head(store, "a/b")) is NoSuchKey
    after = await head(store, "c")
    assert but_for_the_name(after) == but_for_the_name(before)
    assert await get(store, "c") == sample(size)
    assert await keys_of(store) == ["c"]
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)
    assert await strays(store) == []


async def test_a_multipart_object_keeps_its_parts(store, world):
    before = await big(store, "k")
    await move(store, "k", "renamed")
    after = await head(store, "renamed")
    assert [(part.number, part.etag, part.size) for part in after.parts] == [
        (part.number, part.etag, part.size) for part in before.parts
    ]
    assert (after.etag, after.modified_ns) == (before.etag, before.modified_ns)
    assert await get(store, "renamed") == sample(2500, 1) + sample(50, 2)
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)


async def test_what_is_encoded_is_taken_as_it_is(tmp_path):
    """Also by a server that could not encode it in the same way."""
    world = World(tmp_path, encoding=(toy(),))
    store = world.open()
    await make_bucket(store)
    for key, size in (("small", 50), ("large", 2500)):
        await put(store, key, sample(size))
    await big(store, "parts")
    before = {key: await head(store, key) for key in ("small", "large", "parts")}
    store.encodings = store.encodings.asked_for(())
    for key in ("small", "large", "parts"):
        await move(store, key, f"{key}-2")
        after = await head(store, f"{key}-2")
        assert after.encoding == before[key].encoding
        assert [part.encoding for part in after.parts] == [part.encoding for part in before[key].parts]
        assert after.blob.size == before[key].blob.size
    assert await get(store, "large-2") == sample(2500)
    assert await get(store, "small-2") == sample(50)
    await world.close()


async def test_what_stands_under_the_new_name_is_replaced(store, world):
    await put(store, "a", b"new")
    await put(store, "z", b"old")
    await move(store, "a", "z")
    assert await get(store, "z") == b"new"
    assert await keys_of(store) == ["z"]
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)


@pytest.mark.parametrize("versioning", ["Enabled", "Suspended"])
async def test_in_a_bucket_with_versions_nothing_is_renamed(world, versioning):
    store = world.open()
    await make_bucket(store, versioning=versioning)
    await put(store, "k")
    assert await outcome(move(store, "k", "new")) is InvalidBucketState
    assert await keys_of(store) == ["k"]


@pytest.mark.parametrize(("source", "key"), [("k", "k"), ("k", "new/"), ("folder/", "new")])
async def test_names_that_cannot_be(store, source, key):
    for name in ("k", "folder/"):
        await put(store, name)
    assert await outcome(move(store, source, key)) is InvalidRequest
    assert await keys_of(store) == ["folder/", "k"]


async def test_what_is_not_there(store):
    assert await outcome(move(store, "absent", "new")) is NoSuchKey


async def test_conditions_of_both_names(store):
    await put(store, "k", b"one")
    await put(store, "there", b"two")
    one, two = (await head(store, "k")).etag, (await head(store, "there")).etag
    modified = (await head(store, "k")).modified_ns
    failing = [
        {"of_source": ReadConditions(if_match=two)},
        {"of_source": ReadConditions(if_none_match=one)},
        {"of_source": ReadConditions(if_none_match="*")},
        {"of_source": ReadConditions(if_modified_since=modified)},
        {"of_source": ReadConditions(if_unmodified_since=modified - DAY)},
        {"of_destination": ReadConditions(if_match=one)},
        {"of_destination": ReadConditions(if_none_match="*")},
        {"of_destination": ReadConditions(if_none_match=two)},
        {"of_destination": ReadConditions(if_modified_since=modified)},
        {"of_destination": ReadConditions(if_unmodified_since=modified - DAY)},
    ]
    for conditions in failing:
        assert await outcome(move(store, "k", "there", **conditions)) is PreconditionFailed, conditions
    for condition in (ReadConditions(if_match=one), ReadConditions(if_match="*"), ReadConditions(if_modified_since=0)):
        assert await outcome(move(store, "k", "absent", of_destination=condition)) is PreconditionFailed
    assert await keys_of(store) == ["k", "there"]
    holding = [
        ("absent", ReadConditions(if_match=one, if_modified_since=0), ReadConditions(if_none_match="*")),
        ("k", ReadConditions(if_none_match=two), ReadConditions(if_unmodified_since=0)),
        ("there", ReadConditions(if_unmodified_since=modified), ReadConditions(if_match=two, if_none_match=one)),
    ]
    source = "k"
    for key, of_source, of_destination in holding:
        await move(store, source, key, of_source=of_source, of_destination=of_destination)
        source = key
    assert await get(store, "there") == b"one"


# --- once and no more


async def test_a_token_makes_a_request_safe_to_repeat(store):
    await put(store, "a", b"one")
    await move(store, "a", "b", token="t")
    await put(store, "a", b"two")
    await move(store, "a", "b", token="t")
    assert (await get(store, "a"), await get(store, "b")) == (b"two", b"one")
    assert await outcome(move(store, "a", "c", token="t")) is IdempotencyParameterMismatch
    await move(store, "a", "b", token="another")
    assert await get(store, "b") == b"two"


async def test_a_token_of_a_request_that_failed_is_not_used(store):
    assert await outcome(move(store, "a", "b", token="t")) is NoSuchKey
    await put(store, "c")
    await move(store, "c", "d", token="t")


@pytest.mark.parametrize("token", ["x" * 65, "a b", "é", "\x7f", ""])
def test_tokens_that_cannot_be(token):
    with pytest.raises(InvalidArgument):
        ClientToken("me", token, ())


async def test_tokens_are_forgotten_after_two_days_and_not_before_one(store, world):
    await put(store, "a")
    await move(store, "a", "b", token="t")
    world.clock.ns += DAY
    await move(store, "a", "b", token="t")
    world.clock.ns += DAY
    assert await outcome(move(store, "a", "b", token="t")) is NoSuchKey
    await put(store, "c")
    await move(store, "c", "d", token="u")
    assert len(await TOKENS.family(store.index, 10)) == 1


async def test_of_two_with_one_token_one_is_done(world, store):
    other = world.open()
    await put(store, "a", b"one")
    await asyncio.gather(*(move(one, "a", "b", token="t") for one in (store, other, store, other)))
    assert await keys_of(store) == ["b"]


# --- races


async def test_of_two_that_rename_one_object_one_finds_it(world, store):
    stores = [store, world.open()]
    for number in range(10):
        await put(store, "k", b"%d" % number)
        done = await asyncio.gather(*(outcome(move(stores[at % 2], "k", f"to-{at}")) for at in range(4)))
        assert sorted(map(str, done)).count(str(NoSuchKey)) == 3
        (key,) = await keys_of(store)
        assert await get(store, key) == b"%d" % number
        await move(store, key, "k")


async def test_a_refusal_is_of_a_moment_at_which_the_object_was_there(store, monkeypatch):
    """Another rename comes between the looks at both names: then the object is gone, and the other one in its place."""
    await put(store, "a", b"one")
    original, others = rename._rename, [("a", "b")]

    async def late(*arguments):
        if others:
            await move(store, *others.pop())
        return await original(*arguments)

    monkeypatch.setattr(rename, "_rename", late)
    only_new = ReadConditions(if_none_match="*")
    assert await outcome(move(store, "a", "b", of_destination=only_new)) is NoSuchKey
    assert await keys_of(store) == ["b"]


async def test_two_that_exchange_names_do_not_wait_for_each_other(store):
    await put(store, "a", b"a")
    await put(store, "b", b"b")
    async with asyncio.timeout(20):
        await asyncio.gather(outcome(move(store, "a", "b")), outcome(move(store, "b", "a")))
    assert len(await keys_of(store)) == 1


async def test_an_overwrite_at_that_moment_is_not_lost(world, store):
    other = world.open()
    for number in range(10):
        await put(store, "k", b"old")
        await asyncio.gather(move(store, "k", "new"), put(other, "k", b"%d" % number))
        found = {key: await get(store, key) for key in await keys_of(store) if key != "spare"}
        assert found in ({"k": b"%d" % number, "new": b"old"}, {"new": b"%d" % number})
        if "k" in found:
            await move(store, "k", "spare")


# --- crashes, and the loss of the index


async def built_anew(world, name="anew.db"):
    store = world.open(Path(world.root) / name)
    return store, await rebuild(store)


async def test_an_index_that_is_built_anew_has_it_under_the_new_name(store, world):
    await put(store, "a", sample(2500))
    await move(store, "a", "b")
    await move(store, "b", "c")
    await put(store, "a", b"another")
    anew, found = await built_anew(world)
    assert found["orphans"] == 0
    assert await keys_of(anew) == ["a", "c"]
    assert await head(anew, "c") == await head(store, "c")
    assert (await get(anew, "a"), await get(anew, "c")) == (b"another", sample(2500))


@pytest.fixture
def no_removal(monkeypatch):
    """Nothing is removed from the volumes, as if each answer were the last thing before a crash."""

    async def refuse(self, ref):
        return False

    monkeypatch.setattr(Removal, "_delete", refuse)


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a"), ("a", "c", "b")])
async def test_after_a_crash_an_index_that_is_built_anew_has_it_once(store, world, no_removal, names):
    """However the names are ordered, and though all that it was is still there."""
    first, second, third = names
    await big(store, first)
    await move(store, first, second)
    await put(store, first, b"another")
    await move(store, second, third)
    anew, found = await built_anew(world)
    assert found["orphans"] == 2
    assert sorted(await keys_of(anew)) == sorted([first, third])
    assert await head(anew, third) == await head(store, third)
    assert await get(anew, third) == sample(2500, 1) + sample(50, 2)


async def test_a_rename_that_was_cut_off_before_its_commit_has_happened_or_not(store, world, monkeypatch, no_removal):
    await put(store, "a", sample(2500))

    async def fail(changes, expect):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(store.index, "commit", fail)
        with pytest.raises(OSError):  # noqa: PT011 - any will do
            await move(store, "a", "b")
    assert await keys_of(store) == ["a"]
    anew, _ = await built_anew(world)
    assert await keys_of(anew) == ["b"]
    assert await get(anew, "b") == sample(2500)
    await versions.amend_version(
        store, "b", "a", None, lambda it: replace(it, attributes=Attributes(tags=(Tag("x", ""),)))
    )
    later, _ = await built_anew(world, "later.db")
    assert await keys_of(later) == ["a"]
    assert await head(later, "a") == await head(store, "a")


async def test_a_new_name_that_cannot_be_read_takes_nothing_away(store, world, no_removal):
    await put(store, "a", sample(2500))
    await move(store, "a", "b")
    row = (await store.newest("b", "b"))[0]
    for path in world.files_of(row.record.blob):
        if "metadata" not in path:
            Path(path).unlink()
    anew, _ = await built_anew(world)
    assert await keys_of(anew) == ["a"]
    assert await get(anew, "a") == sample(2500)


async def test_what_is_renamed_and_copied_forgets_what_it_was(store):
    await put(store, "a")
    await move(store, "a", "b")
    assert (await head(store, "b")).origin is not None
    copied = await copy_to(store, await head(store, "b"), "c")
    assert copied.origin is None


async def test_what_it_was_stays_until_the_new_name_is_durable(store, world, monkeypatch):
    async def flush(_):
        raise Unwritable("the drive has failed")

    await put(store, "a", sample(300))
    with monkeypatch.context() as failing:
        failing.setattr(store.upkeep, "flush", flush)
        await move(store, "a", "b")
    assert await keys_of(store) == ["b"]
    left = set(await sealed(store)) - set(await referenced(store))
    assert [name.rpartition("@")[0] for name in left] == ["b/a"]
    assert await run_jobs(store, world.clock) == 0
    assert await sealed(store) == await referenced(store)
    assert await get(store, "b") == sample(300)
