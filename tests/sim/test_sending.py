"""Replication to another server, cut off by a crash of either machine at each of its steps."""

import random

import pytest

from s3ish.jobs.send import SendingJob
from s3ish.peers import unfinished
from s3ish.tables.catalogue import SENDINGS
from tests.sim.disk import Dropped, Some
from tests.sim.machine import simulated
from tests.sim.model import Violation
from tests.sim.run import VERSIONED
from tests.sim.sent import Pair

SOME = 2
"""One of so many crashes is looked at."""
NEW = (*VERSIONED, ("complete", "b"), ("annotate", "b", "a", "large"), ("copy", "b", "a", "e"))
CHANGES = (
    ("tag", "b", "a", 0),
    ("tag", "b", "a", 1),
    ("bare", "b", "a"),
    ("annotate", "b", "e", "small"),
    ("put", "b", "e", "small"),
    ("remove", "b", "e"),
)


@pytest.fixture
def system():
    with simulated() as system:
        yield system


async def cut_off(pair, choose):
    """Send, and return what a crash of either machine at each step would leave of both, by step."""
    images = {}

    def note(name, *choices):
        found = pair.images(*choices)
        images.setdefault((found[0].key, found[1].key), found)

    def watch_sender(name):
        for choice in (Dropped(), Some(choose)):
            note(name, choice, None)

    def watch_receiver(name):
        for choice in (Dropped(), Some(choose)):
            note(name, None, choice)

    pair.sender.watch, pair.receiver.watch = watch_sender, watch_receiver
    await pair.send()
    pair.sender.watch = pair.receiver.watch = None
    await pair.check()
    await pair.off()
    return list(images.values())


async def go_on(system, images):
    """Start both from images, and send the rest."""
    pair = Pair(system, images)
    await pair.start()
    await pair.send()
    await pair.check()
    for machine in (pair.sender, pair.receiver):
        await machine.work()
    await pair.check()
    await pair.off()


async def go_on_from_each(system, pair, *, least):
    """Send, and send the rest after a crash at each step, of which there are more than ``least``."""
    images = await cut_off(pair, random.Random(1))
    assert len(images) > least
    for image in images[::SOME]:
        await go_on(system, image)
    assert not system.open_descriptors


@pytest.mark.parametrize("noted", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("volumes", [1, 3])
async def test_new_versions_arrive_once(system, monkeypatch, volumes, noted):
    """With uploads that begin again, and with such as go on where they were cut off."""
    if noted:
        monkeypatch.setattr(unfinished, "_NOTED_BYTES", 0)
    pair = Pair(system, volumes=volumes)
    await pair.begin(NEW)
    await go_on_from_each(system, pair, least=100)


@pytest.mark.parametrize("volumes", [1, 3])
async def test_changes_of_versions_arrive(system, volumes):
    pair = Pair(system, volumes=volumes)
    client = await pair.begin(NEW)
    await pair.send()
    for operation in CHANGES:
        assert client.can(operation), operation
        await client.do(operation)
    await go_on_from_each(system, pair, least=30)


async def test_forgetting_that_a_version_waits_before_it_is_there_is_noticed(system, monkeypatch):
    one = SendingJob._one

    async def hasty(self, row, value):
        await self._store.index.commit([SENDINGS.drop(row)])
        return await one(self, row, value)

    monkeypatch.setattr(SendingJob, "_one", hasty)
    with pytest.raises(Violation):
        await test_new_versions_arrive_once(system, monkeypatch, 1, False)
