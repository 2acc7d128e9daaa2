"""A seeded simulation: sequences of operations on a store, with a crash at every step of every operation.

``python -m tests.sim.run --seeds 100 --seed 1`` runs random histories, each over several crashes; ``--all 3`` all
sequences of up to three operations, from two beginnings; ``--volumes`` says on how many volumes (default: 1 and 3);
``--encoded`` puts a chain of encodings between what is sent and what is stored, ``--encrypted`` a cipher.
A failure prints the seed, the step and the operations before it.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from itertools import product

from s3ish.model import NULL_VERSION
from tests.sim.client import Client
from tests.sim.disk import Dropped, Kept, Some
from tests.sim.judge import Case, Judge, observe_kept
from tests.sim.machine import EncodingMachine, EncryptingMachine, Machine, blank, simulated
from tests.sim.model import Violation, copied, items_of, observe

PLAIN = (
    ("make", "b"),
    ("put", "b", "a", "small"),
    ("put", "b", "c/d", "large"),
    ("begin", "b", "a"),
    ("part", "b", 1, "large"),
)
VERSIONED = (
    PLAIN[0],
    ("versioning", "b", "Enabled"),
    *PLAIN[1:],
    ("put", "b", "a", "large"),
    ("remove", "b", "c/d"),
)
ALPHABET = (
    ("put", "b", "a", "small"),
    ("put", "b", "a", "large"),
    ("remove", "b", "a"),
    ("erase", "b", "a", 0),
    ("erase", "b", "a", 1),
    ("tag", "b", "a", 0),
    ("tag", "b", "a", 1),
    ("rewrap", "b", "a", 0),
    ("rewrap", "b", "c/d", 0),
    ("copy", "b", "a", "c/d"),
    ("copy", "b", "c/d", "a"),
    ("copy", "b", "c/d", "c/d"),
    ("annotate", "b", "a", "small"),
    ("annotate", "b", "c/d", "large"),
    ("bare", "b", "a"),
    ("append", "b", "a", "small"),
    ("append", "b", "c/d", "large"),
    ("rename", "b", "a", "c/d"),
    ("rename", "b", "c/d", "e"),
    ("begin", "b", "a"),
    ("part", "b", 1, "large"),
    ("part", "b", 2, "small"),
    ("complete", "b"),
    ("abort", "b"),
    ("versioning", "b", "Enabled"),
    ("versioning", "b", "Suspended"),
    ("make", "b2"),
    ("drop", "b2"),
    ("take_snapshot", "s"),
    ("restore_snapshot", "s"),
    ("remove_snapshot", "s"),
    ("wait",),
)
"""What all short sequences are made of."""

FAILURES_TOLD = 20
"""How many failures of one run are told."""


class Simulation:
    """A history of one store: operations, each judged at every step, and crashes from which it goes on.

    Args:
        system: on which machines run.
        volumes: how many.
        choose: a ``random.Random``.
        machine: the class of the machine that the client works on; the judge's are sound in any case.

    ``flushed`` is what was there when everything had been flushed last, and ``since`` what was there, or could have
    been after a crash, at any time since then. After a crash only a sweep gets everything flushed.
    ``doubtful`` is what operations would have removed that a crash interrupted since then.
    """

    def __init__(self, system, volumes, choose, *, machine=Machine):
        self.volumes, self.choose, self.judge = volumes, choose, Judge(system, choose)
        self.failures = []
        self.counts = Counter()
        self._system, self._machine_type = system, machine

    async def begin(self, image=None, state=None, kept=None):
        """Boot a machine, a new one or from an image that shows a state, with snapshots that keep some."""
        self.machine = self._machine_type(self._system, image or blank(self.volumes))
        await self.machine.start()
        self.client = Client(self.machine, state, self.counts["operations"], kept)
        self.swept = image is None
        if image is None:
            self.history, self.flushed, self.since, self.doubtful = [], frozenset(), frozenset(), frozenset()

    async def end(self):
        """Leave the machine."""
        await self.machine.off()

    async def do(self, operation, *, watched=True):
        """Do an operation; judge what a crash at each of its steps would leave. Returns these images."""
        self.history.append(operation)
        self.counts["operations"] += 1
        before, kept, images = copied(self.client.state), dict(self.client.kept), {}
        self._known_before = self.flushed, self.since
        steps = 0

        def watch(step):
            nonlocal steps
            steps += 1
            for choice in (Dropped(), Kept(), Some(self.choose), Some(self.choose)):
                image = self.machine.image(choice)
                images.setdefault(image.key, (image, f"step {steps} ({step}), {choice.name}"))

        if watched:
            self.machine.watch = watch
        between = await self.client.do(operation)
        self.machine.watch = None
        self.counts["steps"] += steps
        self.since |= items_of(self.client.state)
        self.flushed -= {item for item in items_of(before) if replaces(operation, item)}
        allowed = [before, *between, copied(self.client.state)]
        self._removed = items_of(before) - items_of(self.client.state)
        self._kept = [kept, dict(self.client.kept)]
        for image, where in images.values():
            await self._check(image, allowed, where)
        self._kept = self._kept[1:]
        self.swept = self.swept or operation[0] == "work"
        if operation[0] == "wait" and self.swept:
            self.flushed = self.since = frozenset(items_of(self.client.state))
            self.doubtful = frozenset()
        if watched:
            await self._check_answered(allowed[-1])
        return [image for image, _ in images.values()]

    async def crash(self, images):
        """Let the last operation end in a crash, and go on with what it left, with or without the jobs done."""
        await self.end()
        self.history.append(("crash",))
        self.flushed, since = self._known_before
        self.since |= since
        self.doubtful |= self._removed
        self.counts["crashes"] += 1
        image = self.choose.choice(images)
        machine = Machine(self._system, image)
        await machine.start()
        state = await observe(machine.store)
        self._kept = [await observe_kept(self._system, image)]
        if self.choose.random() < 0.5:
            images = await self._recover_watched(machine, state)
            image = self.choose.choice(images)
        await machine.off()
        await self.begin(image, state, await observe_kept(self._system, image))

    async def _recover_watched(self, machine, state):
        """Do the jobs, and judge what a crash at each of their steps would leave."""
        images = {}

        def watch(step):
            for choice in (Dropped(), Kept(), Some(self.choose)):
                image = machine.image(choice)
                images.setdefault(image.key, (image, f"a step of the jobs ({step}), {choice.name}"))

        machine.watch = watch
        await machine.work()
        machine.watch = None
        for image, where in images.values():
            await self._check(image, [state], where)
        return [image for image, _ in images.values()] or [machine.image()]

    async def _check_answered(self, state):
        for choice in (Dropped(), Kept(), Some(self.choose)):
            await self._check(self.machine.image(choice), [state], f"after the answer, {choice.name}")

    async def _check(self, image, allowed, where):
        self.counts["images"] += 1
        try:
            await self.judge.check(Case(image, allowed, self.flushed, self.since, self.doubtful, self._kept))
        except Violation as error:
            history = "\n".join(f"    {operation}" for operation in self.history)
            self.failures.append(f"{self.volumes} volumes, crash at {where}:\n  {error}\n  after\n{history}")


def replaces(operation, item):
    """Whether an operation may put another one of the same content in an item's place, which is not flushed yet."""
    kind = operation[0]
    if kind in {"part", "part_copy"}:
        return item[0] == "part" and item[2] == operation[2]
    return kind == "remove" and item[:4] == ("version", *operation[1:3], NULL_VERSION) and item[6]  # a marker


async def all_sequences(
    system, volumes, beginning, length, choose, *, alphabet=ALPHABET, machine=Machine, limit=FAILURES_TOLD
):
    """Try every sequence of a length from the alphabet, until there are too many failures.

    Crashes are at the steps of its last operation, since those of the others are in shorter sequences.
    """
    simulation = Simulation(system, volumes, choose, machine=machine)
    for sequence in product(alphabet, repeat=length):
        await simulation.begin()
        for operation in (*beginning, *sequence[:-1]):
            if not simulation.client.can(operation):
                break
            await simulation.do(operation, watched=False)
        else:
            if simulation.client.can(sequence[-1]):
                simulation.counts["sequences"] += 1
                await simulation.do(sequence[-1])
        await simulation.end()
        if len(simulation.failures) >= limit:
            break
    return simulation


async def random_history(system, volumes, seed, *, operations=25, machine=Machine):
    """Run one random history, over crashes."""
    choose = random.Random(f"{seed}/{volumes}")
    simulation = Simulation(system, volumes, choose, machine=machine)
    simulation.counts["sequences"] += 1
    await simulation.begin()
    while simulation.counts["operations"] < operations and not simulation.failures:
        operation = random_snapshot(choose) if choose.random() < 0.15 else random_operation(choose)
        if not simulation.client.can(operation):
            continue
        watched = choose.random() < 0.4
        images = await simulation.do(operation, watched=watched)
        if images and choose.random() < 0.3:
            await simulation.crash(images)
    await simulation.end()
    return simulation


def random_snapshot(choose):
    """Return what may be done with a snapshot, or a world."""
    taking, restoring, removing = "take_snapshot", "restore_snapshot", "remove_snapshot"
    name, world = choose.choice("st"), choose.choice("vw")
    if choose.random() < 0.4:
        fork, end = ("fork", name, world), ("end_world", world)
        return choose.choice([fork, fork, end, *[("within", world, *random_operation(choose, inside=True))] * 5])
    return choose.choice([taking, taking, restoring, restoring, restoring, removing]), name


def random_operation(choose, *, inside=False):
    """Return an operation that may or may not make sense."""
    bucket, key, other = (choose.choice(names) for names in (["b", "b", "c"], KEYS, KEYS))
    size, number = choose.choice(["empty", "small", "large"]), choose.randrange(1, 4)
    return choose.choice(
        [
            ("make", bucket),
            *[("drop", bucket)] * (not inside),
            ("versioning", bucket, choose.choice(["Enabled", "Suspended"])),
            *[("put", bucket, key, size)] * 5,
            *[("remove", bucket, key)] * 3,
            *[("erase", bucket, key, choose.randrange(3))] * 3,
            *[("tag", bucket, key, choose.randrange(3))] * 3,
            *[("copy", bucket, key, other)] * 3,
            *[("append", bucket, key, size)] * 3,
            *[("rename", bucket, key, other)] * 3,
            *[("annotate", bucket, key, "small" if size == "empty" else size)] * 2,
            ("bare", bucket, key),
            *[("rewrap", bucket, key, choose.randrange(3))] * 2,
            *[("begin", bucket, key)] * 2,
            *[("part", bucket, number, size)] * 4,
            ("part_copy", bucket, number, key),
            *[("complete", bucket)] * 2,
            ("complete", bucket, (number,)),
            ("abort", bucket),
            *[("wait",), ("work",)] * (not inside),
        ]
    )


KEYS = ["a", "a/b", "metadata.json"]


def report(what, simulation, started, seed):
    """Print one line of counts, and the failures."""
    counts = simulation.counts
    print(
        f"{what}, {simulation.volumes} volumes, seed {seed}: {counts['sequences']} sequences, "
        f"{counts['operations']} operations, {counts['steps']} steps, {simulation.judge.judged} different crashes, "
        f"{len(simulation.failures)} failures, {time.monotonic() - started:.0f} s",
        flush=True,
    )
    for failure in simulation.failures[:FAILURES_TOLD]:
        print(f"seed {seed}: {failure}", flush=True)
    return len(simulation.failures)


async def run(system, chosen):
    """Do what the command line says; return how many failures there were."""
    failures, started = 0, time.monotonic()
    machine = EncryptingMachine if chosen.encrypted else EncodingMachine if chosen.encoded else Machine
    for length in range(1, chosen.all + 1):
        for volumes, (name, beginning) in product(chosen.volumes, (("plain", PLAIN), ("versioned", VERSIONED))):
            choose = random.Random(chosen.seed)
            simulation = await all_sequences(system, volumes, beginning, length, choose, machine=machine)
            failures += report(f"all {name} sequences of {length}", simulation, started, chosen.seed)
    for volumes in chosen.volumes if chosen.seeds else ():
        whole = None
        for seed in range(chosen.seed, chosen.seed + chosen.seeds):
            simulation = await random_history(system, volumes, seed, machine=machine)
            if simulation.failures:
                failures += report("random history", simulation, started, seed)
            if whole:
                simulation.counts.update(whole.counts)
                simulation.judge.judged += whole.judge.judged
            whole = simulation
        whole.failures.clear()
        report(f"{chosen.seeds} random histories", whole, started, f"{chosen.seed} and on")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many random histories")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--all", type=int, default=0, help="try all sequences of up to so many operations")
    parser.add_argument("--volumes", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--encoded", action="store_true", help="store other bytes than are sent, and more of them")
    parser.add_argument("--encrypted", action="store_true", help="encrypt, and seal data keys again now and then")
    chosen = parser.parse_args()
    with simulated() as system:
        sys.exit(bool(asyncio.run(run(system, chosen))))


if __name__ == "__main__":
    main()
