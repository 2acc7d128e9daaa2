"""Events of restores that take time, and of those that have ended: once each, in time, after a rebuild too."""

import pytest

from s3ish.api.events import Events
from s3ish.index.protocol import Put
from s3ish.integrity.rebuild import rebuild
from s3ish.jobs.restores import RestoresJob
from s3ish.jobs.runner import run_once
from s3ish.model import Attributes
from s3ish.objects import archive, buckets, rename
from s3ish.objects.conditions import ReadConditions
from s3ish.objects.consequences import Cause, Consequences
from s3ish.objects.outbox import Targets
from s3ish.objects.restores import Restores
from s3ish.tables import keys
from s3ish.tables.catalogue import OUTBOX, RESTORES
from tests.objects.support import head, make_bucket, put, remove

ARN = "arn:aws:sqs:us-east-1:000000000000:q"
DOCUMENT = (
    '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration><Id>i</Id>'
    f"<Queue>{ARN}</Queue><Event>s3:ObjectRestore:*</Event></QueueConfiguration></NotificationConfiguration>"
)
HOUR, DAY = 3600 * 10**9, 86_400 * 10**9
AWAY = Attributes(storage_class="GLACIER")
ALWAYS = ReadConditions()


class Told:
    """A store whose bucket ``b`` tells of restores, which take an hour of service time."""

    def __init__(self, store):
        self.store = store
        events = Events(store.clock, Targets([ARN]))
        store.consequences = Consequences(events, Restores(store.clock).rows, tell=events.tell)
        self.to(1_800_000_000 * 10**9 // DAY * DAY)

    def to(self, at_ns):
        self.now_ns = at_ns
        self.store.clock.service.set(at_ns, self.store.clock.now_ns(), running=False)

    async def restore(self, key="k", days=1):
        cause = Cause("RestoreObject", "who")
        await archive.restore_object(self.store, "b", key, None, days, expedited=False, cause=cause)

    async def events(self):
        await run_once(RestoresJob(self.store))
        rows = await OUTBOX.rows(self.store.index, *keys.outbox_range(ARN), 100)
        return [OUTBOX.decode(*row) for row in rows]

    async def names(self):
        return [event.name.removeprefix("ObjectRestore:") for event in await self.events()]

    async def waiting(self):
        return len(await RESTORES.rows(self.store.index, b"", keys.END, 100))


@pytest.fixture
async def told(store, monkeypatch):
    monkeypatch.setattr(store.clock.service, "restore_ns", HOUR)
    await buckets.set_documents(store, "b", {"notification": DOCUMENT})
    told = Told(store)
    yield told
    store.clock.service.reset()


async def test_a_restore_that_takes_time_is_complete_later_and_ends(store, told):
    await put(store, "k", b"data", attributes=AWAY)
    await told.restore()
    begun = told.now_ns
    assert await told.names() == ["Post"]
    told.to(begun + HOUR - 1)
    assert await told.names() == ["Post"]
    told.to(begun + HOUR)
    assert await told.names() == ["Post", "Completed"]
    ends = (await head(store, "k")).restore.until_ns
    told.to(ends - 1)
    assert await told.names() == ["Post", "Completed"]
    told.to(ends)
    posted, done, ended = await told.events()
    assert ended.name == "ObjectRestore:Delete"
    assert (done.until_ns, done.storage_class, done.principal) == (ends, "GLACIER", "s3.amazonaws.com")
    assert {(it.key, it.size, it.etag, it.version_id) for it in (posted, done, ended)} == {("k", 4, done.etag, "")}
    assert posted.sequencer < done.sequencer < ended.sequencer
    assert await told.waiting() == 0


async def test_a_restore_that_takes_no_time_is_complete_at_once_and_ends_later(store, told, monkeypatch):
    monkeypatch.setattr(store.clock.service, "restore_ns", 0)
    await put(store, "k", attributes=AWAY)
    await told.restore()
    assert await told.names() == ["Post", "Completed"]
    told.to((await head(store, "k")).restore.until_ns)
    assert await told.names() == ["Post", "Completed", "Delete"]


async def test_a_restore_that_was_prolonged_ends_once(store, told):
    await put(store, "k", attributes=AWAY)
    await told.restore()
    told.to(told.now_ns + HOUR)
    assert await told.names() == ["Post", "Completed"]
    await told.restore(days=3)
    assert await told.names() == ["Post", "Completed", "Post"]
    for _ in range(5):
        told.to(told.now_ns + DAY)
        await told.events()
    assert (await told.names()).count("Delete") == 1
    assert await told.waiting() == 0


async def test_nothing_is_told_of_what_is_gone_or_not_archived_any_more(store, told):
    for key in ("removed", "overwritten", "asked for no more"):
        await put(store, key, attributes=AWAY)
        await told.restore(key)
    await remove(store, "removed")
    await put(store, "overwritten")
    assert await told.names() == ["Post"] * 3
    await buckets.set_documents(store, "b", {"notification": None})
    told.to(told.now_ns + 3 * DAY)
    assert await told.names() == ["Post"] * 3
    assert await told.waiting() == 0


async def test_a_damaged_bucket_holds_up_no_other(store, told):
    await make_bucket(store, "a")
    for bucket in ("a", "b"):
        await put(store, "k", bucket=bucket, attributes=AWAY)
        await archive.restore_object(store, bucket, "k", None, 1, expedited=False)
    held = await store.find_bucket("a")
    await store.index.commit([Put(held.table, held.key, held.value[:-1] + bytes([held.value[-1] ^ 1]))])
    told.to(told.now_ns + HOUR)
    assert await told.names() == ["Completed"]


async def test_no_moment_waits_that_is_none_any_more(store, told):
    """Each may be thousands of years away: nobody may have any number of them wait."""
    await put(store, "k", attributes=AWAY)
    for days in range(1, 5):
        await told.restore(days=days)
        told.to(told.now_ns + HOUR)
        await told.events()
        assert await told.waiting() == 1
    await put(store, "k", attributes=AWAY)
    assert await told.waiting() == 0
    await told.restore()
    assert await told.waiting() == 2
    await remove(store, "k")
    assert await told.waiting() == 0


async def test_a_renamed_object_tells_what_is_to_come_and_nothing_again(store, told):
    for key in ("complete", "begun"):
        await put(store, key, attributes=AWAY)
        await told.restore(key)
        told.to(told.now_ns + HOUR - (key == "begun"))
        assert (await told.names()).count("Completed") == 1
    for key in ("complete", "begun"):
        await rename.rename_object(store, "b", key, f"{key} renamed", of_source=ALWAYS, of_destination=ALWAYS)
    assert await told.waiting() == 3
    assert (await told.names()).count("Completed") == 1
    told.to(told.now_ns + 3 * DAY)
    events = sorted((it.key, it.name.removeprefix("ObjectRestore:")) for it in await told.events())
    assert [it for it in events if it[1] != "Post"] == [
        ("begun renamed", "Completed"),
        ("begun renamed", "Delete"),
        ("complete", "Completed"),
        ("complete renamed", "Delete"),
    ]


async def test_a_rebuild_finds_the_moments_that_are_to_come(store, told, world, tmp_path):
    for key in ("complete", "begun"):
        await put(store, key, attributes=AWAY)
        await told.restore(key)
        told.to(told.now_ns + HOUR - 1)
    anew = world.open(tmp_path / "anew.db")
    await rebuild(anew)
    found = [RESTORES.split(row)[3] for row, _ in await RESTORES.rows(anew.index, b"", keys.END, 100)]
    assert sorted(found) == ["begun", "begun", "complete"]
    told.to(told.now_ns + HOUR)
    again = world.open(tmp_path / "again.db")
    await rebuild(again)
    left = [RESTORES.decode(*row) for row in await RESTORES.rows(again.index, b"", keys.END, 100)]
    assert left == ["ObjectRestore:Delete"] * 2
