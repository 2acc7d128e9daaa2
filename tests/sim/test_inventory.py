"""The making of a list of objects, cut off by a crash at each of its steps: one list comes of it, and no more files."""

import json
import random

import pytest

from s3ish.api.inventory import lister
from s3ish.jobs import inventory
from s3ish.jobs.inventory import InventoryJob
from s3ish.jobs.runner import run_once
from s3ish.objects import buckets
from s3ish.objects.inventory import List
from tests.objects.support import OWNER, counted, get, keys_of, put, sample
from tests.sim.disk import Dropped, Some
from tests.sim.judge import check_whole
from tests.sim.machine import Machine, blank, simulated

KEYS = [f"k{number}" for number in range(5)]
MINUTES_NS = 20 * 60 * 10**9


async def make(machine):
    """Make what is due, to the end."""
    wanted = [List(id="all", target="lists")]
    job = InventoryJob(machine.store, lambda it: wanted if it.name == "b" else [], lister(machine.store))
    await run_once(job)


@pytest.mark.parametrize("file_rows", [1, 100])
async def test_a_list_that_a_crash_cuts_off_is_made_once(monkeypatch, file_rows):
    monkeypatch.setattr(inventory, "FILE_ROWS", file_rows)
    monkeypatch.setattr(inventory, "_ROWS_A_STEP", 2)
    with simulated() as system:
        machine = Machine(system, blank(1))
        await machine.start()
        for name in ("b", "lists"):
            await buckets.create_bucket(machine.store, name, OWNER, "us-east-1")
        for key in KEYS:
            await put(machine.store, key, sample(10))
        images, choose = {}, random.Random(file_rows)

        def watch(_):
            for choice in (Dropped(), Some(choose)):
                image = machine.image(choice)
                images.setdefault(image.key, image)

        machine.watch = watch
        await make(machine)
        machine.watch = None
        files = len(await names(machine, "/data/"))
        assert files == (3 if file_rows == 1 else 1)
        await machine.off()
        assert len(images) > 10
        for image in images.values():
            again = Machine(system, image._replace(ns=image.ns + MINUTES_NS))
            await again.start()
            await make(again)
            (manifest,) = await names(again, "manifest.json")
            told = json.loads(await get(again.store, manifest, bucket="lists"))["files"]
            assert sorted(it["key"] for it in told) == await names(again, "/data/")
            assert len(told) == files
            kept, found = await counted(again.store)
            assert kept == found
            await again.work()
            await check_whole(again)
            await again.off()


async def names(machine, part):
    """Return the keys of the bucket for lists that hold a text."""
    return [key for key in await keys_of(machine.store, bucket="lists") if part in key]
