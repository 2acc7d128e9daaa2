"""The scrub finds damage that nobody read, at a steady pace, and goes on where it was."""

import os

import pytest

from s3ish.blob.protocol import NewerFormat
from s3ish.index.protocol import Damaged, Delete, Put
from s3ish.integrity.scrub import ScrubJob, note_look
from s3ish.objects import buckets
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import SCRUB, ScrubProgress
from tests.objects.support import SteadyClock, World, add_part, begin, flip, get, make_bucket, put, sample

SECOND = 10**9
PERIOD = 30 * 86_400.0
SMALL, LARGE = sample(50), sample(2500, 2)


class FakeClock(SteadyClock):
    """Time that goes on only when told, on both clocks together."""

    def now_ns(self):
        return self.ns

    def monotonic(self):
        return self.ns / 1e9


class Watch(Observer):
    """What a scrub tells, kept in order."""

    def __init__(self):
        super().__init__()
        self.found, self.ratios, self.passes, self.bytes = [], [], 0, 0

    def finding(self, name, problems, state):
        super().finding(name, problems, state)
        self.found.append((name.split(" version")[0], problems, state))

    def scrub_progress(self, ratio):
        super().scrub_progress(ratio)
        self.ratios.append(ratio)

    def scrub_passed(self):
        super().scrub_passed()
        self.passes += 1

    def scrubbed(self, size):
        super().scrubbed(size)
        self.bytes += size


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path, clock=FakeClock())
    yield world
    await world.close()


@pytest.fixture
async def store(world):
    """A store with a small and a large object, and an upload with a part."""
    store = world.open()
    await make_bucket(store)
    await put(store, "small", SMALL)
    await put(store, "large", LARGE)
    await add_part(store, await begin(store, "many"), 1, LARGE)
    return store


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def scrub(store, watch):
    return ScrubJob(store, watch, PERIOD)


async def ref_of(store, key):
    return (await store.newest("b", key))[0].record.blob


async def run_pass(world, job, watch, passes=1):
    """Step as a runner would, with time going on by itself. Returns the seconds that it took."""
    begun = world.clock.ns
    stop = watch.passes + passes
    for _ in range(100_000):
        step = await job.step()
        if watch.passes >= stop:
            return (world.clock.ns - begun) / SECOND
        world.clock.ns += 0 if step.more else int(step.pause_seconds * SECOND) + 1
    raise AssertionError("the pass never ended")


async def test_damage_that_nobody_read_is_found_and_repaired(world, store, scrub, watch):  # cases 17, 19, 20, 25
    ref = await ref_of(store, "large")
    shards = world.files_of(ref)
    os.truncate(shards[1], os.path.getsize(shards[1]) + 1)
    flip(shards[-1], 20)
    small = await ref_of(store, "small")
    flip(world.files_of(small)[0], 40)
    await store.index.commit([Delete("inline", keys.inline_key(small.id))])
    await run_pass(world, scrub, watch)
    assert watch.found == [
        ("b/large", ("data.1", f"metadata.json@{ref.volumes[-1]}"), "repaired"),
        ("b/small", (f"metadata.json@{small.volumes[0]}", "no valid row of its bytes"), "repaired"),
    ]
    watch.found.clear()
    await run_pass(world, scrub, watch)
    assert watch.found == []
    assert await get(store, "large") == LARGE
    text = watch.render()[1].decode()
    assert "s3ish_repaired_total 2.0" in text
    assert "s3ish_scrub_passes_total 2.0" in text


async def test_a_pass_looks_through_the_pages_of_the_index(world, store, scrub, watch, monkeypatch):  # case 157
    """Rows on pages that changed places are hidden from it."""

    async def verify():
        raise Damaged("pages out of order")

    with monkeypatch.context() as patched:
        patched.setattr(store.index, "verify", verify)
        with pytest.raises(Damaged):
            await run_pass(world, scrub, watch)
    assert watch.passes == 0
    await run_pass(world, scrub, watch)
    assert watch.passes == 1


async def test_everything_is_looked_at_once_a_pass(world, scrub, watch):
    await run_pass(world, scrub, watch)
    assert watch.bytes == len(SMALL) + 2 * len(LARGE)


async def test_a_pass_takes_its_period(world, store, scrub, watch):
    for number in range(40):
        await put(store, f"more{number}", sample(300 * (number % 5) + 1))
    await run_pass(world, scrub, watch)
    took = await run_pass(world, scrub, watch)
    assert took == pytest.approx(PERIOD, rel=0.05)
    assert (
        watch.ratios
        == sorted(watch.ratios[: watch.ratios.index(max(watch.ratios)) + 1])
        + watch.ratios[watch.ratios.index(max(watch.ratios)) + 1 :]
    )
    assert max(watch.ratios) > 0.9


async def test_pauses_are_even_and_weighed_by_size(world, store, watch):
    job = ScrubJob(store, watch, 3000.0)
    await put(store, "huge", bytes(1_000_000))
    pauses = {}
    while watch.passes < 1:
        before = watch.bytes
        step = await job.step()
        if watch.bytes > before:
            pauses[watch.bytes - before] = step.pause_seconds
        world.clock.ns += int(step.pause_seconds * SECOND) + 1 if not step.more else 0
    total = 6 * 65_536 + 1_000_000 + len(SMALL) + 2 * len(LARGE)
    assert pauses[1_000_000] == pytest.approx(3000 * (65_536 + 1_000_000) / total, rel=0.01)


async def test_many_small_objects_share_a_step(world, store, watch):
    for number in range(60):
        await put(store, f"more{number}", SMALL)
    job = ScrubJob(store, watch, 64.0)  # a step covers ten seconds: ten blobs
    await job.step()
    await job.step()
    assert watch.bytes >= 9 * len(SMALL)
    assert watch.bytes < 12 * len(LARGE)
    assert SCRUB.read(await SCRUB.value(store.index)).key


async def test_it_goes_on_where_it_was_after_a_restart(world, store, watch):
    """Every step is made by another process; nothing is looked at twice or left out."""
    begun = world.clock.ns
    for _ in range(1000):
        step = await ScrubJob(store, watch, PERIOD).step()
        if watch.passes:
            break
        world.clock.ns += 0 if step.more else int(step.pause_seconds * SECOND) + 1
    assert watch.passes == 1
    assert watch.bytes == len(SMALL) + 2 * len(LARGE)
    assert (world.clock.ns - begun) / SECOND > PERIOD / 2


async def test_another_process_keeps_the_same_pace(world, store, scrub, watch):
    other = ScrubJob(world.open(), watch, PERIOD)
    await scrub.step()
    await scrub.step()
    at = watch.bytes
    for _ in range(20):
        step = await other.step()
        assert not step.more
    assert watch.bytes == at, "not due yet, whoever asks"


async def test_two_that_step_at_once_count_it_once(world, store, scrub, watch):
    await scrub.step()
    other = ScrubJob(world.open(), watch, PERIOD)
    found = await SCRUB.value(store.index)
    look = scrub._look

    async def slow(item):
        scrub._look = look
        await other.step()
        await look(item)

    scrub._look = slow
    await scrub.step()
    after = SCRUB.read(await SCRUB.value(store.index))
    before = SCRUB.read(found)
    assert after.done - before.done == 65_536


@pytest.mark.parametrize("days", [-20_000, -400, 400])
async def test_a_clock_that_jumps_does_not_stop_it(world, scrub, watch, days):  # case 143
    await scrub.step()
    await scrub.step()
    at = SCRUB.read(await SCRUB.value(scrub._store.index)).done
    world.clock.ns += days * 86_400 * SECOND
    await scrub.step()
    await scrub.step()
    assert SCRUB.read(await SCRUB.value(scrub._store.index)).done > at


@pytest.mark.parametrize("value", [b"", b"rubbish" * 5])
async def test_a_damaged_row_of_progress_begins_a_new_pass(world, store, scrub, watch, value):  # case 22
    await store.index.commit([Put("state", SCRUB.key, value)])
    await run_pass(world, scrub, watch)
    assert watch.bytes == len(SMALL) + 2 * len(LARGE)


async def test_an_empty_store_is_no_work(tmp_path):
    world = World(tmp_path, clock=FakeClock())
    job = ScrubJob(world.open(), Watch(), PERIOD)
    steps = [await job.step() for _ in range(6)]
    assert [step.more for step in steps] == [True, False, True, False, False, False], "weighed, passed, weighed again"
    assert {step.pause_seconds for step in steps if not step.more} == {3600}
    await world.close()


async def test_a_store_that_grows_is_weighed_again(world, store, scrub, watch):
    await scrub.step()
    before = SCRUB.read(await SCRUB.value(store.index)).total
    for number in range(50):
        await put(store, f"more{number}", LARGE)
    world.clock.ns += 86_401 * SECOND
    await scrub.step()
    after = SCRUB.read(await SCRUB.value(store.index)).total
    assert after == before + 50 * (65_536 + len(LARGE) + 64), "with the rows that listings show"


async def test_what_is_lost_and_what_cannot_be_judged_hold_up_nothing(world, store, scrub, watch, monkeypatch):
    for path in world.files_of(await ref_of(store, "large"))[:2]:
        os.unlink(path)
    small, check = await ref_of(store, "small"), store.blobs.check

    async def refuse(ref, *, repair):
        if ref.id == small.id:
            raise NewerFormat("from the future")
        return await check(ref, repair=repair)

    monkeypatch.setattr(store.blobs, "check", refuse)
    await store.index.commit([Put("buckets", keys.bucket_key("a"), b"rubbish")])
    await run_pass(world, scrub, watch)
    assert [(name, state) for name, _, state in watch.found] == [
        ("bucket a", "damaged"),
        ("b/large", "lost"),
        ("b/small", "damaged"),
    ]
    assert "s3ish_unrepaired_total 3.0" in watch.render()[1].decode()


async def test_a_sidecar_that_differs_is_written_anew(world, store, scrub, watch):
    ref = await ref_of(store, "small")
    told = await store.blobs.read_sidecar(ref)
    await store.blobs.amend(ref, told.replace(b'"etag":"', b'"etag":"0'))
    await run_pass(world, scrub, watch)
    assert watch.found == [("b/small", ("the sidecar differs from the index",), "repaired")]
    assert await store.blobs.read_sidecar(ref) == told


async def test_an_amendment_under_way_is_no_finding(world, store, scrub, watch, monkeypatch):
    """The row was committed and the sidecar not yet written when the scrub comes by."""
    real = store.blobs.amend

    async def held_up(ref, text, **options):
        await run_pass(world, scrub, watch)
        await real(ref, text, **options)

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", held_up)
        await buckets.set_versioning(store, "b", enabled=True)
    assert watch.found == []
    await run_pass(world, scrub, watch)
    assert watch.found == []
    bucket = (await store.bucket("b")).record
    assert TABLES.read_sidecar(await store.blobs.read_sidecar(bucket.blob)).record == bucket
    assert bucket.versioning == "Enabled"


async def test_a_pass_remembers_what_is_missing_where(world, store, scrub, watch):
    ref = (await store.newest("b", "large"))[0].record.blob
    for path in world.files_of(ref)[:2]:
        os.unlink(path)
    small = (await store.newest("b", "small"))[0].record.blob
    os.unlink(world.files_of(small)[0])
    await run_pass(world, scrub, watch)
    found = SCRUB.read(await SCRUB.value(store.index))
    assert found.lacked == dict.fromkeys(ref.volumes[:2], 1), "what was repaired is not missing"
    assert found.looked_ns
    await note_look(store, {2: 7}, 0)
    assert SCRUB.read(await SCRUB.value(store.index)).lacked == {2: 7}


async def test_a_pass_under_way_remembers_it_too(world, store, scrub, watch):
    ref = (await store.newest("b", "large"))[0].record.blob
    for path in world.files_of(ref)[:2]:
        os.unlink(path)
    while not (found := SCRUB.read(await SCRUB.value(store.index)) or ScrubProgress()).lacking:
        await scrub.step()
        world.clock.ns += int(3600 * SECOND)
        assert not watch.passes
    assert found.lacking == dict.fromkeys(ref.volumes[:2], 1)


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_volume_that_was_away_is_complete_when_a_pass_that_began_later_has_found_it_so(
    world, store, scrub, watch, damaged
):  # case 160
    ref = (await store.newest("b", "large"))[0].record.blob
    marks = store.blobs.volumes.at(ref.volumes[0]).marks
    await run_pass(world, scrub, watch)
    world.clock.ns += 1
    marks.fall_behind(world.clock.now_ns())
    marks.catch_up()
    for path in world.files_of(ref)[:2] if damaged else ():
        os.unlink(path)
    await run_pass(world, scrub, watch)
    assert marks.lacking(), "it was back after that pass had begun"
    await run_pass(world, scrub, watch)
    assert bool(marks.lacking()) is damaged
    await note_look(store, {}, marks.lacking() - 1)
    assert bool(marks.lacking()) is damaged
    await note_look(store, {}, world.clock.now_ns())
    assert not marks.lacking()
