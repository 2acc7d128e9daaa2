"""Versions, delete markers and the null version.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
"""

import pytest

from s3ish.errors import InvalidArgument, MethodNotAllowed, NoSuchKey, NoSuchVersion
from s3ish.objects import buckets, versions
from tests.objects.support import get, head, keys_of, make_bucket, outcome, put, remove, versions_of


async def enable(store, enabled=True):
    await buckets.set_versioning(store, "b", enabled)


async def ids(store, key="k"):
    return [version_id for _, version_id, _, _ in await versions_of(store, key)]


async def test_without_versioning_the_last_write_is_all_there_is(store):
    for number in range(3):
        written = await put(store, "k", b"%d" % number)
        assert written.id == "null"
    assert await versions_of(store) == [("k", "null", True, False)]
    deleted = await remove(store, "k")
    assert (deleted.version_id, deleted.marker) == (None, False)
    assert await versions_of(store) == []
    assert (await remove(store, "k")).version_id is None


async def test_versions_stack_and_the_newest_shows(store):
    await enable(store)
    made = [await put(store, "k", b"%d" % number) for number in range(3)]
    assert len({version.id for version in made}) == 3
    assert [version.sequence for version in made] == sorted(version.sequence for version in made)
    assert await ids(store) == [version.id for version in reversed(made)]
    assert await get(store, "k") == b"2"
    for number, version in enumerate(made):
        assert await get(store, "k", version.id) == b"%d" % number


async def test_a_marker_hides_and_its_removal_shows_again(store):
    await enable(store)
    version = await put(store, "k", b"data")
    marker = await remove(store, "k")
    assert (marker.marker, marker.made) == (True, True)
    with pytest.raises(NoSuchKey) as refused:
        await get(store, "k")
    assert refused.value.headers == {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version_id}
    with pytest.raises(MethodNotAllowed) as refused:
        await get(store, "k", marker.version_id)
    assert refused.value.headers["allow"] == "DELETE"
    assert await keys_of(store) == []
    assert await get(store, "k", version.id) == b"data"
    gone = await remove(store, "k", marker.version_id)
    assert (gone.version_id, gone.marker, gone.made) == (marker.version_id, True, False)
    assert await get(store, "k") == b"data"
    assert await keys_of(store) == ["k"]


async def test_a_marker_on_nothing_and_a_marker_on_a_marker(store):
    await enable(store)
    first, second = await remove(store, "k"), await remove(store, "k")
    assert await versions_of(store) == [("k", second.version_id, True, True), ("k", first.version_id, False, True)]


async def test_enabling_keeps_the_null_version_below(store):
    await put(store, "k", b"old")
    await enable(store)
    new = await put(store, "k", b"new")
    assert await ids(store) == [new.id, "null"]
    assert await get(store, "k", "null") == b"old"
    await remove(store, "k", "null")
    assert await ids(store) == [new.id]
    assert await outcome(get(store, "k", "null")) is NoSuchVersion


async def test_a_null_version_that_is_the_newest_again_has_no_row_of_its_place(store):
    await put(store, "k", b"old")
    await buckets.set_versioning(store, "b", enabled=True)
    new = await put(store, "k", b"new")
    assert await store.index.scan("nulls", b"", b"\xff", 9)
    await remove(store, "k", new.id)
    assert not await store.index.scan("nulls", b"", b"\xff", 9)
    assert await get(store, "k", "null") == await get(store, "k") == b"old"


async def test_suspending_replaces_the_null_version_wherever_it_is(store):
    await put(store, "k", b"oldest")
    await enable(store)
    middle = await put(store, "k", b"middle")
    await enable(store, enabled=False)
    await put(store, "k", b"null again")
    assert await ids(store) == ["null", middle.id]
    await enable(store)
    top = await put(store, "k", b"top")
    assert await ids(store) == [top.id, "null", middle.id]
    await enable(store, enabled=False)
    await put(store, "k", b"last null")
    assert await ids(store) == ["null", top.id, middle.id]
    assert await get(store, "k", "null") == b"last null"


async def test_a_marker_under_suspended_versioning_takes_the_null_versions_place(store):
    await put(store, "k", b"old")
    await enable(store)
    kept = await put(store, "k", b"kept")
    await enable(store, enabled=False)
    marker = await remove(store, "k")
    assert marker.version_id == "null"
    assert await versions_of(store) == [("k", "null", True, True), ("k", kept.id, False, False)]
    assert await outcome(get(store, "k")) is NoSuchKey
    assert (await remove(store, "k")).version_id == "null"
    assert await ids(store) == ["null", kept.id], "a null marker replaces a null marker"
    await remove(store, "k", "null")
    assert await get(store, "k") == b"kept"


async def test_the_null_version_is_found_after_everything_above_it_is_gone(store):
    await put(store, "k", b"null")
    await enable(store)
    above = [await put(store, "k", b"%d" % number) for number in range(3)]
    for version in above:
        assert await get(store, "k", "null") == b"null"
        await remove(store, "k", version.id)
    assert await get(store, "k") == b"null"
    await enable(store, enabled=False)
    await put(store, "k", b"new null")
    assert await ids(store) == ["null"]
    await enable(store)
    top = await put(store, "k", b"top")
    assert await get(store, "k", "null") == b"new null"
    await remove(store, "k", "null")
    assert await ids(store) == [top.id]
    await enable(store, enabled=False)
    await put(store, "k", b"third null")
    assert await ids(store) == ["null", top.id]


async def test_versions_belong_to_their_key(store):
    await enable(store)
    version = await put(store, "k", b"data")
    await put(store, "other", b"data")
    assert await outcome(get(store, "other", version.id)) is NoSuchVersion
    assert (await remove(store, "other", version.id)).marker is False
    assert await get(store, "k", version.id) == b"data"
    forged = version.id[:-1] + ("a" if version.id[-1] != "a" else "b")
    assert await outcome(get(store, "k", forged)) is NoSuchVersion
    await remove(store, "k", forged)
    assert await get(store, "k") == b"data"


@pytest.mark.parametrize(
    "text", ["", "x", "null ", "NULL", "é" * 24, "a" * 23, "a" * 25, "a" * 32, "=" * 24, "../../etc", "1" * 24]
)
async def test_what_is_no_version_id_is_refused(store, text):  # case 83
    await put(store, "k")
    assert await outcome(get(store, "k", text)) is InvalidArgument
    assert await outcome(remove(store, "k", text)) is InvalidArgument
    assert await get(store, "k") == b"data"


async def test_ids_in_capitals_name_nothing(store):
    """Ids are opaque: two spellings of one would be two names for one thing in policies and logs."""
    await enable(store)
    version = await put(store, "k")
    assert await outcome(get(store, "k", version.id.upper())) is NoSuchVersion


@pytest.mark.parametrize("jump_ns", [3600 * 10**9, -3600 * 10**9, -400 * 86400 * 10**9])
async def test_a_clock_that_jumps_does_not_disturb_the_order(store, world, jump_ns):  # case 143
    await enable(store)
    first = await put(store, "k", b"first")
    world.clock.ns += jump_ns
    store = world.open()  # another process, whose clock has not seen the last sequence
    store.clock._last_sequence = 0
    second = await put(store, "k", b"second")
    assert await ids(store) == [second.id, first.id]
    assert await get(store, "k") == b"second"
    assert versions.sequence_of(second.id) == second.sequence > first.sequence


async def test_the_newest_comes_from_the_history_and_the_time_from_the_clock(store, world):
    written = await put(store, "k")
    assert abs(written.modified_ns - world.clock.ns) < 10**9
    assert (await head(store, "k")) == written


async def test_the_state_can_be_changed_but_never_back_to_none(store):
    bucket = await buckets.set_versioning(store, "b", enabled=False)
    assert bucket.versioning == "Suspended"
    await make_bucket(store, "v", "Enabled")
    assert (await store.bucket("v")).record.versioning == "Enabled"
