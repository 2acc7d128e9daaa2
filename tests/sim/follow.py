"""Random histories of writes, deliveries, replication and days that pass, over crashes and drives that stop.

``python -m tests.sim.follow --seeds 100 --seed 1`` runs many of them. Time is virtual: days pass at once. Of each
change one event waits until it is delivered, each version gets one replica, nothing expires before its time, what is
due goes, and the counters are what a walk over all rows finds.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import suppress

from s3ish.blob.protocol import BlobError
from s3ish.errors import S3Error
from s3ish.index.protocol import IndexFailure
from s3ish.jobs.lifecycle import LifecycleJob
from s3ish.jobs.runner import run_once
from s3ish.model import NULL_VERSION
from s3ish.objects.lifecycle import Rule
from tests.objects.support import counted
from tests.sim.disk import Dropped, Kept, Some
from tests.sim.judge import check_whole
from tests.sim.machine import blank, simulated
from tests.sim.model import Violation, copied, items_of, observe
from tests.sim.run import VERSIONED, random_operation
from tests.sim.served import ServedMachine, Shelf, Told, changes, check_followed, check_single, heal, served

DAY_NS = 86_400 * 10**9
DAYS, NONCURRENT_DAYS = 3, 2
PREFIX = "a/"
"""What expires begins with it."""
RULES = (
    Rule(id="old", prefix=PREFIX, days=DAYS, noncurrent_days=NONCURRENT_DAYS),
    Rule(id="markers", prefix=PREFIX, markers=True),
    Rule(id="uploads", upload_days=DAYS),
)
JOBS = ("deliver", "replicate", "days", "work", "restart")
CRASHES, STOPS = 0.3, 0.3
"""How often what is done ends in a crash, and how often drives stop during a job."""


class History:
    """One history: a machine, what it must hold, the events of what has happened, and what the target has of them.

    Args:
        system: on which machines run.
        volumes: how many.
        choose: a ``random.Random``.
    """

    def __init__(self, system, volumes, choose):
        self._system, self._volumes, self._choose = system, volumes, choose
        self.done, self.counts, self.local = [], Counter(), set()

    async def run(self, operations):
        """Do so many operations; then everything that waits. Raises Violation."""
        self.machine = ServedMachine(self._system, blank(self._volumes))
        self.client, self.events = await served(self.machine, VERSIONED)
        self.taken = []
        while len(self.done) < operations:
            operation = self._next()
            if operation[0] in JOBS or self.client.can(operation):
                self.done.append(operation)
                await self._step(operation)
        await self._end()

    def _next(self):
        """Return an operation that may or may not make sense."""
        if self._choose.random() < 0.35:
            return (self._choose.choice(JOBS), self._choose.randrange(1, 4))
        while (operation := random_operation(self._choose))[0] in {"make", "drop", "wait", "work"}:
            pass
        return (operation[0], "b", *operation[2:])

    async def _step(self, operation):
        """Do an operation, and look at what it did; or let a crash cut it off, and go on with what is left."""
        before, taken = copied(self.client.state), list(self.taken)
        rows = await self.machine.versions("b")
        latest = max((it.sequence for it in rows), default=0)
        images = await self._disturbed(operation)
        if images:
            image, self.taken = self._choose.choice(images)
            await self._boot(image)
        found = await observe(self.machine.store)
        if operation[0] in JOBS:
            if operation[0] != "days":
                _require(items_of(_source(found)) == items_of(_source(before)), "a job changed what clients see")
        elif images:
            _require(_source(found) in [_source(before), _source(self.client.state)], "an operation was done in part")
        else:
            _require(_source(found) == _source(self.client.state), "an answered operation was not done")
        if operation[0] == "days":
            self._check_expired(before["b"], found["b"], _ages(rows), whole=not images)
            self.local |= {(it.key, it.id) for it in await self.machine.versions("b") if it.sequence > latest}
        self.client.state = found
        self.events += changes(rows, await self.machine.versions("b"), versioned=bool(found["b"].versioning))
        if operation[0] == "days":
            self.events += (Counter(await self.machine.waiting()) - self.events) & _passing(before["b"], found["b"])
        missing = self.events - Counter(await self.machine.waiting()) - Counter(self.taken)
        _require(not missing, f"events are lost: {missing}")
        surplus = Counter(await self.machine.waiting()) - self.events
        _require(not surplus, f"events of what did not happen: {surplus}")
        await check_single(self.machine)
        _require(len(taken) <= len(self.taken), "the target lost something")

    async def _disturbed(self, operation):
        """Do an operation; return images from which to go on, each with what the target had, if it is cut off."""
        images, chance = [], self._choose.random()
        if operation[0] in JOBS and self._volumes > 1 and chance > 1 - STOPS:
            return [await self._while_drives_stop(operation)]

        def watch(_):
            images.append((self.machine.image(self._loss()), list(self.taken)))

        self.machine.watch = watch if chance < CRASHES else None
        await self._do(operation)
        self.machine.watch = None
        if images:
            self.done[-1] = ("crash in", *operation)
            self.counts["crashes"] += 1
        return images

    async def _while_drives_stop(self, operation):
        """Let drives stop at steps of a job, too many of them now and then; the power goes, and they are back."""
        stopping = self._choose.sample(range(self._volumes), self._choose.randrange(1, self._volumes))
        stops, steps = {position: self._choose.randrange(1, 40) for position in stopping}, 0
        self.done[-1] = (f"stop of {stops} in", *operation)
        self.counts["stops of drives"] += 1

        def watch(_):
            nonlocal steps
            steps += 1
            for position, at in stops.items():
                self.machine.disks[position].stopped |= steps >= at

        self.machine.watch = watch
        with suppress(S3Error, BlobError, IndexFailure, ExceptionGroup):
            await self._do(operation)
        self.machine.watch = None
        for disk in self.machine.disks:
            disk.stopped = False
        return self.machine.image(self._loss()), self.taken

    def _loss(self):
        return self._choose.choice([Dropped(), Kept(), Some(self._choose)])

    async def _do(self, operation):
        name = operation[0]
        if name == "deliver":
            shelf = Shelf(self.machine, self.taken)
            self.taken = shelf.taken
            await self.machine.deliver(shelf)
        elif name == "replicate":
            await self.machine.replicate()
        elif name == "days":
            self.machine.clock.ns += operation[1] * DAY_NS
            for _ in range(3):  # what is covered, and a marker that covers nothing any more, goes in the next passes
                await run_once(LifecycleJob(self.machine.store, lambda bucket: RULES if bucket.name == "b" else ()))
        elif name == "work":
            await self.machine.work()
        elif name == "restart":
            await self._boot(self.machine.image())
        else:
            await self.client.do(operation)

    async def _boot(self, image):
        await self.machine.off()
        self.machine = self.client.machine = ServedMachine(self._system, image)
        await self.machine.start()

    def _check_expired(self, before, after, ages, *, whole):
        """What went was due, and what was due went, if the pass came to its end. Raises Violation."""
        now = self.machine.clock.ns
        for key, held in before.keys.items():
            left = {version.id for version in after.keys.get(key, ())}
            for number, version in enumerate(held):
                made, covered = ages[key, version.id]
                least = made + DAYS * DAY_NS if number == 0 else covered + NONCURRENT_DAYS * DAY_NS
                if version.marker:
                    least = made
                gone = version.id not in left or (not number and not version.marker and after.newest(key) is None)
                _require(not gone or (key.startswith(PREFIX) and now >= least), f"{key} {version.id} went early")
                due = key.startswith(PREFIX) and not version.marker and now >= least + DAY_NS
                self.counts["expired"] += gone
                _require(gone or not due or not whole, f"{key} {version.id} is due and stays")

    async def _end(self):
        image = self.machine.image(self._loss())
        await self._boot(image)
        _require(await observe(self.machine.store) == self.client.state, "something is lost in the end")
        await self.machine.work()
        await heal(self.machine)
        await check_followed(self.machine, self.events, self.taken, self.local)
        kept, found = await counted(self.machine.store)
        _require(kept == found, f"the counters say {kept} for {found}")
        await self.machine.flush()
        await check_whole(self.machine)
        self.counts["operations"] += len(self.done)
        self.counts["events"] += self.events.total()
        self.counts["replicas"] += len(await self.machine.versions("r"))
        await self.machine.off()


def _ages(versions):
    """Return when each version was made, and when it was covered by another one, by key and id."""
    ages, newer = {}, None
    for version in versions:
        covered = newer.modified_ns if newer and newer.key == version.key else None
        ages[version.key, version.id] = version.modified_ns, covered
        newer = version
    return ages


def _passing(before, after):
    """Return the markers that may have come and gone between: that of a null version covers nothing, and goes next."""
    expired = [key for key, held in before.keys.items() if held[0].id == NULL_VERSION and key not in after.keys]
    return Counter(Told("marked", key, NULL_VERSION) for key in expired)


def _source(state):
    """Return the part of a state that clients change."""
    return {"b": state["b"]}


def _require(holds, message):
    if not holds:
        raise Violation(message)


async def run(system, seeds, volumes=(1, 3), operations=40):
    """Run a history for each seed; return counts, and what was wrong."""
    counts, wrong = Counter(), []
    for seed in seeds:
        for number in volumes:
            history = History(system, number, random.Random(f"{seed}/{number}"))
            try:
                await history.run(operations)
            except AssertionError as error:
                steps = "\n".join(f"    {operation}" for operation in history.done)
                wrong.append(f"seed {seed}, {number} volumes: {error}\n  after\n{steps}")
            counts += history.counts
            counts["histories"] += 1
    return counts, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--operations", type=int, default=40, help="of each history")
    parser.add_argument("--volumes", type=int, nargs="+", default=[1, 3])
    chosen = parser.parse_args()
    started = time.monotonic()
    seeds = range(chosen.seed, chosen.seed + chosen.seeds)
    with simulated() as system:
        counts, wrong = asyncio.run(run(system, seeds, chosen.volumes, chosen.operations))
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"seed {chosen.seed} and on: {told}; {len(wrong)} wrong, {time.monotonic() - started:.0f} s")
    print("\n".join(wrong[:20]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
