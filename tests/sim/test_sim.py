"""A short run of the simulation, and stores that are broken on purpose, which it must not let pass.

``python -m tests.sim.run`` is the long one.
"""

import random

import pytest

from s3ish.blob.erasure import amending
from s3ish.blob.erasure.shard_files import ShardFiles
from s3ish.blob.volumes.volume import Volume
from s3ish.index.memory import MemoryIndex
from s3ish.integrity import orphans, startup
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.orphans import SweepJob
from s3ish.jobs.runner import Step
from s3ish.objects import settling
from s3ish.objects.snapshots import START
from s3ish.objects.store import Store
from tests.sim.machine import EncodingMachine, EncryptingMachine, Machine, SimIndex, simulated
from tests.sim.run import PLAIN, VERSIONED, all_sequences, random_history


@pytest.fixture
def system():
    with simulated() as system:
        yield system


async def crashes(system, volumes=3, *, limit=1, **options):
    """Return what is wrong after crashes in single operations."""
    beginning = PLAIN if volumes == 1 else VERSIONED
    simulation = await all_sequences(system, volumes, beginning, 1, random.Random(1), limit=limit, **options)
    return simulation.failures


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("machine", [Machine, EncodingMachine, EncryptingMachine])
async def test_a_crash_at_any_step_of_any_operation(system, volumes, machine):  # cases 1 to 5, 14, 15
    assert await crashes(system, volumes, machine=machine) == []
    assert not system.open_descriptors


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("machine", [Machine, EncodingMachine, EncryptingMachine])
async def test_random_histories_over_several_crashes(system, volumes, machine):  # cases 11, 12
    simulation = await random_history(system, volumes, 5, operations=20, machine=machine)
    assert simulation.failures == []
    assert simulation.counts["crashes"]
    assert not system.open_descriptors


@pytest.mark.parametrize("volumes", [1, 3])
async def test_a_crash_while_the_keys_of_an_object_in_parts_are_sealed_again(system, volumes):
    beginning = (*PLAIN, ("part", "b", 2, "small"), ("complete", "b"))
    options = {"alphabet": (("rewrap", "b", "a", 0),), "machine": EncryptingMachine, "limit": 1}
    simulation = await all_sequences(system, volumes, beginning, 1, random.Random(1), **options)
    assert (simulation.failures, simulation.counts["sequences"]) == ([], 1)


TAKING_OVER = [
    ("rename", "b", "a", "e"),
    ("append", "b", "c/d", "large"),
    ("append", "b", "c/d", "small"),
    ("copy", "b", "c/d", "c/d"),
    ("complete", "b"),
]


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("before", [("wait",), ("append", "b", "a", "large")])
async def test_bytes_that_stay_are_not_gone_with_what_named_them_before(system, volumes, before):
    """Not if the index goes with the power, either: an old object would be lost by getting another name."""
    simulation = await all_sequences(system, volumes, (*PLAIN, before), 1, random.Random(1), alphabet=TAKING_OVER)
    assert (simulation.failures, simulation.counts["sequences"]) == ([], len(TAKING_OVER))


class HurriedMachine(Machine):
    """Its requests remove nothing: they were killed behind their commits, or have not come so far. Its jobs do."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._discard, self.store.discard = self.store.discard, self._leave

    async def _leave(self, garbage, **options):
        pass

    async def work(self):
        self.store.discard = self._discard
        await super().work()
        self.store.discard = self._leave


@pytest.mark.parametrize("operation", TAKING_OVER)
async def test_bytes_that_stay_are_not_gone_if_a_job_removes_what_named_them(system, operation):
    """A request that was killed behind its commit has flushed nothing, nor has one that has not come so far."""
    beginning, options = (*PLAIN, ("wait",), operation), {"alphabet": (("work",),), "machine": HurriedMachine}
    simulation = await all_sequences(system, 1, beginning, 1, random.Random(1), **options)
    assert (simulation.failures, simulation.counts["sequences"]) == ([], 1)


SINCE = {
    "overwritten": (("put", "b", "a", "large"), ("put", "b", "c/d", "small"), ("put", "b", "e", "large")),
    "removed": (("remove", "b", "a"), ("remove", "b", "c/d"), ("abort", "b"), ("drop", "b")),
    "amended": (("tag", "b", "a", 0), ("annotate", "b", "c/d", "small"), ("append", "b", "a", "large")),
    "renamed": (("rename", "b", "a", "c/d"), ("put", "b", "a", "small")),
    "completed": (("part", "b", 2, "small"), ("complete", "b"), ("remove", "b", "a"), ("work",)),
    "versioned": (("versioning", "b", "Enabled"), ("remove", "b", "a"), ("put", "b", "c/d", "small")),
    "restored": (("remove", "b", "a"), ("take_snapshot", "t"), ("restore_snapshot", "s"), ("wait",)),
}


@pytest.fixture(params=["singly", "together"])
def many(request, monkeypatch):
    """Whether sidecars are written as few are, or as many."""
    if request.param == "together":
        monkeypatch.setattr(settling, "_FEW", 0)
        monkeypatch.setattr(amending, "_TOGETHER", 1)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("since", SINCE)
async def test_a_crash_at_any_step_of_a_snapshot_or_a_restore(system, volumes, since):
    """It is done or not done, and a removal, too; and no snapshot holds anything else afterwards."""
    beginning = (*PLAIN, ("take_snapshot", "s"), *SINCE[since])
    alphabet = (("restore_snapshot", "s"), ("take_snapshot", "s"), ("remove_snapshot", "s"))
    simulation = await all_sequences(system, volumes, beginning, 1, random.Random(1), alphabet=alphabet, limit=1)
    assert (simulation.failures, simulation.counts["sequences"]) == ([], 3)
    assert not system.open_descriptors


INSIDE = (
    ("within", "w", "put", "b", "a", "large"),
    ("within", "w", "put", "b", "e", "small"),
    ("within", "w", "remove", "b", "c/d"),
    ("within", "w", "tag", "b", "c/d", 0),
    ("within", "w", "copy", "b", "c/d", "a"),
    ("within", "w", "append", "b", "c/d", "large"),
    ("within", "w", "rename", "b", "c/d", "e"),
    ("within", "w", "part", "b", 1, "large"),
    ("within", "w", "complete", "b"),
    ("within", "w", "restore_snapshot", START),
    ("fork", "s", "w"),
    ("end_world", "w"),
    ("remove", "b", "c/d"),
    ("restore_snapshot", "s"),
    ("remove_snapshot", "s"),
)
CHANGED = {
    "as it began": (),
    "changed": (INSIDE[0], INSIDE[2], ("part", "b", 2, "small"), ("work",)),
    "without the snapshot": (("remove_snapshot", "s"), ("remove", "b", "c/d"), ("put", "b", "a", "large")),
}


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("changed", CHANGED)
async def test_a_crash_at_any_step_of_a_fork_or_within_a_world(system, volumes, changed):
    """The world is begun or not, and ended or not; neither it nor the main one loses anything that it names."""
    beginning = (*PLAIN, ("take_snapshot", "s"), ("fork", "s", "w"), *CHANGED[changed])
    simulation = await all_sequences(system, volumes, beginning, 1, random.Random(1), alphabet=INSIDE, limit=1)
    assert simulation.failures == []
    assert simulation.counts["sequences"] >= len(INSIDE) - 4
    assert not system.open_descriptors


async def test_a_run_is_the_same_for_the_same_seed(system):
    first, second = [await random_history(system, 1, 9, operations=6) for _ in range(2)]
    assert (first.history, first.counts, first.judge.judged) == (second.history, second.counts, second.judge.judged)


class HastyIndex(SimIndex):
    """A commit is durable only with the next one."""

    def __init__(self, machine, rows):
        super().__init__(machine, rows)
        self._durable = rows

    async def commit(self, changes, expect=()):
        self._durable = super().rows
        await super().commit(changes, expect)

    @property
    def rows(self):
        return self._durable


class HastyMachine(Machine):
    """Answers before the index is durable."""

    index_type = HastyIndex


class TestBrokenStores:
    """Each is one promise less; the simulation must notice."""

    async def test_answering_before_the_index_is_durable(self, system):
        assert "missing" in (await crashes(system, machine=HastyMachine))[0]

    @pytest.mark.parametrize("volumes", [1, 3])
    async def test_not_syncing_shards(self, system, monkeypatch, volumes):
        monkeypatch.setattr(ShardFiles, "sync", lambda self, position: None)
        assert await crashes(system, volumes)

    @pytest.mark.parametrize("volumes", [1, 3])
    async def test_not_syncing_directories(self, system, monkeypatch, volumes):
        monkeypatch.setattr(Volume, "sync_entries", lambda self, blob: None)
        assert await crashes(system, volumes)

    async def test_not_syncing_the_folders_above(self, system, monkeypatch):
        monkeypatch.setattr(Volume, "sync_entries", lambda self, blob: self._sync_folder(blob))
        assert await crashes(system)

    async def test_not_syncing_sidecars(self, system, monkeypatch):
        original = ShardFiles.write_sidecar
        monkeypatch.setattr(
            ShardFiles,
            "write_sidecar",
            lambda self, position, text, token, *, again, flush: original(
                self, position, text, token, again=again, flush=False
            ),
        )
        assert await crashes(system)

    async def test_renaming_many_sidecars_before_they_are_flushed(self, system, monkeypatch):
        monkeypatch.setattr(settling, "_FEW", 0)
        monkeypatch.setattr(amending, "_TOGETHER", 1)
        monkeypatch.setattr(amending, "_flush", lambda volume, numbers: {})
        alphabet = [("restore_snapshot", "s")]
        beginning = (*PLAIN, ("take_snapshot", "s"), *SINCE["removed"])
        simulation = await all_sequences(system, 3, beginning, 1, random.Random(1), alphabet=alphabet, limit=1)
        assert simulation.failures

    async def test_committing_in_two_steps(self, system, monkeypatch):
        original = MemoryIndex.commit

        async def commit(self, changes, expect=()):
            await original(self, changes[:1], expect)
            self._seen = None
            self._machine.step("the rest of a commit")
            await original(self, changes[1:])

        monkeypatch.setattr(MemoryIndex, "commit", commit)
        assert await crashes(system)

    @pytest.mark.parametrize("volumes", [1, 3])
    async def test_amending_without_an_intent(self, system, monkeypatch, volumes):
        original = SimIndex.commit

        async def commit(self, changes, expect=()):
            await original(self, [change for change in changes if change.table != "intents"], expect)

        monkeypatch.setattr(SimIndex, "commit", commit)
        assert "the rebuilt index differs" in (await crashes(system, volumes))[0]

    async def test_answering_before_the_sidecar_is_amended(self, system, monkeypatch):
        async def nothing(*_):
            return True

        monkeypatch.setattr("s3ish.objects.amend.write_sidecar", nothing)
        assert await crashes(system)

    async def test_leaving_orphans(self, system, monkeypatch):
        async def step(self):
            return Step(more=False)

        monkeypatch.setattr(SweepJob, "step", step)
        assert "wrong files" in "".join(await crashes(system))

    async def test_leaving_folders(self, system, monkeypatch):
        monkeypatch.setattr(Volume, "prune", lambda self, before_ns: iter(()))
        assert "wrong folders" in "".join(await crashes(system, alphabet=[("make", "b2")]))

    async def test_leaving_what_was_overwritten(self, system, monkeypatch):
        async def nothing(self, *_, **__):
            return Step(more=False)

        monkeypatch.setattr(Store, "discard", nothing)
        monkeypatch.setattr(GarbageJob, "_step", nothing)
        assert await crashes(system)

    @pytest.mark.parametrize("volumes", [1, 3])
    async def test_not_settling_what_was_amended(self, system, monkeypatch, volumes):
        async def settle(*_):
            return 0

        monkeypatch.setattr(startup, "settle_all", settle)
        monkeypatch.setattr(orphans, "settle_all", settle)
        assert "intents are left" in (await crashes(system, volumes))[0]
