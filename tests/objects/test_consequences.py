"""What follows from a change of a version is written by the commit that makes the change, and by no other."""

import asyncio

import pytest
from msgspec.structs import replace

from s3ish.errors import NoSuchKey, PreconditionFailed
from s3ish.index.protocol import Put
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import run_once
from s3ish.model import Tag
from s3ish.objects import buckets, delete, versions
from s3ish.objects import put as write
from s3ish.objects.conditions import WriteConditions
from s3ish.objects.consequences import BY_SERVER, Cause, Consequences
from s3ish.objects.lifecycle import Rule
from s3ish.tables.catalogue import STATE, VERSIONS
from tests.objects.support import (
    OWNER,
    PLAIN,
    Bytes,
    World,
    add_part,
    begin,
    complete,
    copy_to,
    head,
    make_bucket,
    put,
    remove,
    versions_of,
)

CAUSE = Cause("PutObject", "someone", "192.0.2.1", "REQUEST")


class Diary:
    """What was told of changes, each with a row that tells whether it was committed."""

    def __init__(self, store):
        self.store, self.told = store, []
        store.consequences = Consequences(self.note)

    def note(self, happening):
        self.told.append(happening)
        return [Put(STATE.name, b"diary/%d" % len(self.told), b"x")]

    @property
    def ids(self):
        return [(it.before and it.before.id, it.after and it.after.id) for it in self.told]

    async def committed(self):
        rows = await STATE.rows(self.store.index, b"diary/", b"diary0", 1000)
        return sorted(int(key.removeprefix(b"diary/")) for key, _ in rows)


@pytest.fixture
def diary(store):
    return Diary(store)


async def tag(store, key="k", value="v", **options):
    def change(version):
        return replace(version, attributes=replace(version.attributes, tags=(Tag("t", value),)))

    return await versions.amend_version(store, "b", key, None, change, **options)


async def test_without_versioning_a_new_object_replaces_the_old_one(store, diary):
    first, second = await put(store, "k", b"one"), await put(store, "k", b"other")
    await remove(store, "k")
    assert [(it.before, it.after) for it in diary.told] == [(None, first), (first, second), (second, None)]
    assert not any(it.is_amendment for it in diary.told)
    assert await diary.committed() == [1, 2, 3]


async def test_with_versioning_nothing_goes_until_it_is_removed_by_its_id(store, diary):
    await buckets.set_versioning(store, "b", enabled=True)
    first = await put(store, "k")
    marker = await remove(store, "k")
    await remove(store, "k", marker.version_id)
    await remove(store, "k", first.id)
    assert diary.ids == [(None, first.id), (None, marker.version_id), (marker.version_id, None), (first.id, None)]
    assert diary.told[1].after.marker


async def test_a_null_version_that_something_newer_covers_is_told_as_replaced(store, diary):
    null = await put(store, "k", b"null")
    await buckets.set_versioning(store, "b", enabled=True)
    newer = await put(store, "k", b"newer")
    await buckets.set_versioning(store, "b", enabled=False)
    await remove(store, "k")
    assert diary.ids == [(None, "null"), (None, newer.id), ("null", "null")]
    assert diary.told[2].before == null
    assert diary.told[2].after.marker


async def test_copies_and_uploads_are_told_once(store, diary, small_parts):
    source = await put(store, "k", b"data")
    copied = await copy_to(store, source, "copy", cause=CAUSE)
    upload = await begin(store, "long")
    part = await add_part(store, upload, 1, b"x" * 300)
    whole = await complete(store, upload, [part], cause=CAUSE)
    assert [it.after for it in diary.told] == [source, copied, whole]
    assert [it.cause for it in diary.told] == [BY_SERVER, CAUSE, CAUSE]
    assert await diary.committed() == [1, 2, 3]


async def test_an_amendment_is_told_with_both_states(store, diary):
    before = await put(store, "k")
    after = await tag(store, cause=CAUSE)
    assert diary.told[-1].is_amendment
    assert (diary.told[-1].before, diary.told[-1].after, diary.told[-1].cause) == (before, after, CAUSE)
    assert diary.told[-1].floor == after.revision
    assert await diary.committed() == [1, 2]


async def test_an_amendment_to_the_same_is_told_too(store, diary):
    await put(store, "k")
    await tag(store)
    await tag(store)
    assert len(diary.told) == 3
    assert await diary.committed() == [1, 2, 3]


async def test_what_is_refused_brings_no_row(store, diary):
    await put(store, "k")
    with pytest.raises(PreconditionFailed):
        await put(store, "k", conditions=WriteConditions(if_none_match="*"))
    with pytest.raises(NoSuchKey):
        await tag(store, "missing")
    await remove(store, "missing")
    assert await diary.committed() == [1]


async def test_the_bucket_is_told_as_it_is_and_causes_as_they_were_given(store, diary):
    await write.put_object(store, "b", "k", Bytes(b"x"), owner=OWNER, attributes=PLAIN, cause=CAUSE)
    await delete.delete_object(store, "b", "k", owner=OWNER, cause=CAUSE)
    assert {it.cause for it in diary.told} == {CAUSE}
    assert [it.bucket for it in diary.told] == [await _bucket(store)] * 2


async def _bucket(store):
    return (await store.bucket("b")).record


async def test_what_expires_says_so(store, diary):
    await put(store, "k")
    clock = store.clock
    clock.service.set(clock.service_ns() + 3 * 86_400 * 10**9, clock.now_ns())
    await run_once(LifecycleJob(store, lambda _: [Rule(id="r", days=1)]))
    assert [(it.before is None, it.after is None, it.cause.job) for it in diary.told] == [
        (True, False, ""),
        (False, True, "lifecycle"),
    ]


class Recorded:
    """An index whose commits are remembered."""

    def __init__(self, index):
        self._index, self.commits_made = index, []

    async def commit(self, changes, expect=()):
        await self._index.commit(changes, expect)
        self.commits_made.append([(change.table, change.key) for change in changes])

    def __getattr__(self, name):
        return getattr(self._index, name)


async def test_without_sources_nothing_is_made_of_a_change(tmp_path):
    world = World(tmp_path)
    store = world.open(wrap=Recorded)
    await make_bucket(store)
    await put(store, "k")
    assert {table for table, _ in store.index.commits_made[-1]} == {"versions", "current", "inline", "usage"}
    await world.close()


async def test_a_row_is_in_the_commit_of_its_change(tmp_path):
    world = World(tmp_path)
    store = world.open(wrap=Recorded)
    await make_bucket(store)
    diary = Diary(store)
    await put(store, "k")
    await tag(store)
    await put(store, "k")
    await remove(store, "k")
    having = [
        [table for table, _ in made] for made in store.index.commits_made if (STATE.name, b"diary") in _names(made)
    ]
    assert len(having) == len(diary.told) == 4
    assert all(VERSIONS.name in tables for tables in having)
    await world.close()


def _names(made):
    return {(table, key.partition(b"/")[0]) for table, key in made}


async def test_of_writers_that_race_each_is_told_as_it_was_committed(tmp_path):
    """What a loser was told before it looked again is not committed: the rows make a chain from version to version."""
    world = World(tmp_path, inline_offload=False)
    stores = [world.open(), world.open()]
    await make_bucket(stores[0])
    chain = {}

    def note(happening):
        before, after = happening.before, happening.after
        name = b"chain/%d" % (before.sequence if before else 0)
        return [Put(STATE.name, name, b"%d" % after.sequence)]

    for store in stores:
        store.consequences = Consequences(note)
    await asyncio.gather(*(put(stores[number % 2], "k", b"%d" % number) for number in range(20)))
    chain = dict(await STATE.rows(stores[0].index, b"chain/", b"chain0", 100))
    at, links = 0, 0
    while (following := chain.get(b"chain/%d" % at)) is not None:
        at, links = int(following), links + 1
    assert (links, len(chain)) == (20, 20)
    assert (await head(stores[0], "k")).sequence == at
    assert len(await versions_of(stores[0])) == 1
    await world.close()
    world.offload.close()
