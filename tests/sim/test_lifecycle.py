"""The pass of lifecycle rules, cut off by a crash at each of its steps: nothing goes early, and nothing half."""

import random

import pytest

from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import run_once
from s3ish.objects import buckets
from s3ish.objects.lifecycle import Move, Rule
from tests.objects.support import OWNER, add_part, begin, counted, put, remove, sample
from tests.sim.disk import Dropped, Kept, Some
from tests.sim.judge import check_whole
from tests.sim.machine import Machine, blank, simulated
from tests.sim.model import items_of, observe

DAY_NS = 86_400 * 10**9
RULES = (
    Rule(id="old", prefix="old", days=1, noncurrent_days=1),
    Rule(id="markers", prefix="old", markers=True),
    Rule(id="cold", prefix="cold", moves=(Move(storage_class="GLACIER_IR", days=1),)),
    Rule(id="young", prefix="young", days=30, moves=(Move(storage_class="GLACIER_IR", days=30),)),
    Rule(id="uploads", upload_days=1),
)

PASSES = (3, 3, 3, 3)
"""How many days each pass comes after the one before: what one covers goes in the next, and then the marker."""


@pytest.fixture
def system():
    with simulated() as system:
        yield system


async def fill(store):
    """Make a bucket with versions of each size in each state, and an upload."""
    await buckets.create_bucket(store, "b", OWNER, "us-east-1")
    await buckets.set_versioning(store, "b", enabled=True)
    for key in ("cold", "old/large", "old/small", "old/covered", "young"):
        await put(store, key, sample(300 if "large" in key else 10))
    await put(store, "old/covered", sample(300))
    await remove(store, "old/small")
    await add_part(store, await begin(store, "old/upload"), 1, sample(200))


async def carry_out(machine, days):
    """Do what is due after so many days, to the end."""
    machine.clock.ns += days * DAY_NS
    await run_once(LifecycleJob(machine.store, lambda _: RULES))


async def classes(store):
    """Return the classes of all current objects, as versions and listings say them."""
    rows = await store.index.scan("current", b"", b"\xff", 100)
    keys = [key.partition(b"\0")[2].decode() for key, _ in rows]
    return {key: (await store.newest("b", key))[0].record.attributes.storage_class for key in keys}


@pytest.mark.parametrize("volumes", [1, 3])
async def test_a_pass_that_a_crash_cuts_off_removes_and_moves_the_same_in_the_end(system, volumes):
    machine = Machine(system, blank(volumes))
    await machine.start()
    await fill(machine.store)
    await machine.flush()
    before, images, choose = items_of(await observe(machine.store)), {}, random.Random(1)
    await carry_out(machine, 0)
    assert items_of(await observe(machine.store)) == before, "nothing goes before its day"

    def watch(_):
        for choice in (Dropped(), Kept(), Some(choose)):
            image = machine.image(choice)
            images.setdefault(image.key, image)

    machine.watch = watch
    for days in PASSES:
        await carry_out(machine, days)
    machine.watch = None
    wanted = items_of(await observe(machine.store))
    assert {item[2] for item in wanted if item[0] != "bucket"} == {"cold", "young"}
    assert await classes(machine.store) == {"cold": "GLACIER_IR", "young": "STANDARD"}
    await machine.off()
    assert len(images) > 20
    for image in images.values():
        again = Machine(system, image)
        await again.start()
        found = items_of(await observe(again.store))  # all that is there is whole
        gone = {item[2] for item in before - found if item[0] == "version"}
        assert not gone & {"cold", "young"}
        for days in PASSES:
            await carry_out(again, days)
        await again.work()
        left = {(item[0], item[2]) for item in items_of(await observe(again.store))}
        assert left == {(item[0], item[2]) for item in wanted}
        assert await classes(again.store) == {"cold": "GLACIER_IR", "young": "STANDARD"}
        kept, recounted = await counted(again.store)
        assert kept == recounted
        await check_whole(again)
        await again.off()
