"""The rule "seal, commit, answer", held against what a crash left.

A restart, as a server does it, must find everything acknowledged, what was under way wholly or not at all, and nothing
else changed. After the jobs no file is left that nothing names, every blob is whole, and an index that is built from
the sidecars is the one that is there. Further restarts of the same image lose the index or a volume as well.
"""

from typing import NamedTuple

from s3ish.blob.erasure.layout import shard_name
from s3ish.blob.erasure.sidecar import UNSEALED
from s3ish.blob.protocol import BlobError
from s3ish.errors import S3Error
from s3ish.index.protocol import IndexFailure
from s3ish.integrity.rebuild import rebuild
from s3ish.objects import snapshots, worlds
from s3ish.objects.pins import part_of
from s3ish.tables import keys
from s3ish.tables.catalogue import TABLES
from s3ish.tables.table import SealedTable
from tests.sim.client import WORLD, Client
from tests.sim.machine import Image, Inside, Machine
from tests.sim.model import LOST, Violation, copied, items_of, observe

FACTS = tuple(
    table.name for table in TABLES if table.name not in {"state", "garbage", "intents", "snapshots", "kept", "worlds"}
)
"""The tables that must be the same in an index that was built anew."""


class Case(NamedTuple):
    """An image and what is known of it.

    ``allowed`` are the states that it may show. ``flushed`` is what was there when everything had been flushed last,
    ``since`` what may have been there at any time since then. ``doubtful`` is what operations would have removed that a
    crash interrupted and no sweep has undone. ``kept`` are what snapshots may hold, each by the names of all.
    """

    image: Image
    allowed: list
    flushed: frozenset
    since: frozenset
    doubtful: frozenset = frozenset()
    kept: list = [{}]  # noqa: RUF012 - of a tuple


class Judge:
    """Judges crashes; what cannot come out otherwise than before is not looked at again.

    Args:
        system: on which machines run.
        choose: a ``random.Random`` for what is not done in every case.
    """

    def __init__(self, system, choose):
        self._system, self._choose = system, choose
        self._seen, self._settled = set(), set()
        self.judged = 0

    async def check(self, case):
        """Check a case. Raises Violation."""
        key = (case.image.key, len(case.allowed) > 1)
        if key in self._seen:
            return
        self._seen.add(key)
        self.judged += 1
        try:
            await self._restart(case)
            await self._restart_without_index(case)
            if len(case.image.trees) > 1:
                await self._restart_without_volume(case, self._choose.randrange(len(case.image.trees)))
        except (S3Error, BlobError, IndexFailure) as error:
            raise Violation(f"{type(error).__name__}: {error}") from error

    async def _restart(self, case):
        machine = Machine(self._system, case.image)
        await machine.start()
        found = await observe(machine.store)
        _require_allowed(found, case, "after the restart")
        before = facts(machine)
        await machine.work()
        _require_equal("the jobs changed the index", before, facts(machine))
        image = machine.image()
        if image.key not in self._settled:
            self._settled.add(image.key)
            await check_whole(machine)
            kept = await observe_kept(self._system, image)
            if kept not in case.kept:
                raise Violation(f"the snapshots {sorted(kept)} hold what none did")
            await self._rebuild(machine)
            await _write_again(machine, found)
        await machine.off()

    async def _rebuild(self, machine):
        """An index that is built from the sidecars equals the one that is there."""
        image = machine.image()
        again = Machine(self._system, image._replace(rows=frozenset()))
        await rebuild(again.store)
        await again.start()
        await again.work()
        _require_equal("the rebuilt index differs", facts(machine), facts(again))
        bare = Machine(self._system, image)
        for name, _ in await snapshots.listed(bare.store):
            await snapshots.remove(bare.store, name)
        for name in await worlds.listed(bare.store):
            await worlds.remove(bare.store, name)
        await bare.work()
        await check_whole(bare)
        _require_equal("the rebuild changed files", files(bare), files(again))
        await again.off()
        await bare.off()

    async def _restart_without_index(self, case):
        """The index is lost together with the power."""
        machine = Machine(self._system, case.image._replace(rows=frozenset()))
        await rebuild(machine.store)
        await machine.start()
        have = items_of(await observe(machine.store, tolerant=True))
        _require_rebuilt(have, case, "after the loss of the index", lazy=machine.store.blobs.core.lazy)
        if self._choose.random() < 0.2:
            await machine.work()
            _require_equal(
                "the jobs changed a rebuilt store", have, items_of(await observe(machine.store, tolerant=True))
            )
        await machine.off()

    async def _restart_without_volume(self, case, lost):
        """A volume is lost together with the power; with the first one goes the index."""
        image = case.image if lost else case.image._replace(rows=frozenset())
        machine = Machine(self._system, image, lost=(lost,))
        if lost:
            await machine.start()
            _require_allowed(await observe(machine.store), case, f"without volume {lost}")
        else:
            await rebuild(machine.store)
            await machine.start()
            have = items_of(await observe(machine.store, tolerant=True))
            _require_rebuilt(have, case, "after the loss of the first volume", lazy=False)
        await machine.off()


async def _write_again(machine, found):
    """What is under way can be completed, every object replaced, and the store is whole again then."""
    client = Client(machine, copied(found), count=1000)
    for name in found:
        operations = [("complete", name)] * len(found[name].uploads)
        operations += [("put", name, key, "small") for key in found[name].keys] + [("put", name, "new", "large")]
        for operation in operations:
            if client.can(operation):
                await client.do(operation)
    _require_equal(
        "a write after the restart went wrong", items_of(client.state), items_of(await observe(machine.store))
    )
    await check_whole(machine)


async def check_whole(machine):
    """Every blob that the index names is whole, and there is no other file. Raises Violation."""
    expected = set()
    pinned = await _pinned(machine)
    for name in await worlds.listed(machine.store):
        pinned |= await worlds.names_of(machine.store, part_of(machine.index, name))
    for ref in pinned.values():
        shards = () if ref.inline else enumerate(ref.volumes)
        expected.update((position, f"{ref.id}/{shard_name(number, ref.k)}") for number, position in shards)
    for ref in refs(machine):
        shards = () if ref.inline else enumerate(ref.volumes)
        expected.update((position, f"{ref.id}/{shard_name(number, ref.k)}") for number, position in shards)
        expected.update((position, f"{ref.id}/metadata.json") for position in ref.volumes)
        health = await machine.store.blobs.check(ref, repair=False)
        if not health.whole:
            raise Violation(f"damaged after the jobs: {health.damaged} of {ref.id}")
    found = {place for place, data in files(machine) if data is not None}
    beside = {(position, f"{ref.id}/{UNSEALED}") for ref in pinned.values() for position in ref.volumes}
    expected |= found & beside  # none where it was never sealed
    _require_equal("wrong files after the jobs", expected, found)
    folders = {place for place, data in files(machine) if data is None}
    needed = {(number, path[:at]) for number, path in expected for at in range(len(path)) if path[at] == "/"}
    alone = {place for place in folders if place[1] in pinned}  # what was in it was never flushed
    needed |= alone | {(number, path[:at]) for number, path in alone for at in range(len(path)) if path[at] == "/"}
    _require_equal("wrong folders after the jobs", needed, folders)
    await machine.store.settle()
    left = [row for row in _main(machine) if row[0] == "intents" or (row[0] == "garbage" and not _stays(row, pinned))]
    if left:
        raise Violation(f"garbage or intents are left: {left}")


async def _pinned(machine):
    """Return the references of the garbage that snapshots name, by the ids; of what goes with it, too."""
    found = {}
    for name, key, value in _main(machine):
        if name == "garbage":
            garbage = TABLES[name].decode(key, value)
            held = [ref for ref in (garbage.ref, *garbage.parts) if await machine.store.removal.pins.hold(ref.id)]
            found.update((ref.id, ref) for ref in held)
    return found


def _stays(row, pinned):
    """Whether a row of garbage names something that a snapshot names."""
    garbage = TABLES[row[0]].decode(*row[1:])
    return not pinned.keys().isdisjoint(ref.id for ref in (garbage.ref, *garbage.parts))


async def observe_kept(system, image):
    """Return what the snapshots in an image hold, by their names: each is restored on a machine of its own."""
    rows = [(table, key) for table, key, _ in image.rows if not key.startswith(keys.END)]
    found, names = {}, [key.decode() for table, key in rows if table == "snapshots"]
    machine = Machine(system, image)
    await machine.start()
    for name in [key.decode() for table, key in rows if table == "worlds"]:
        found[WORLD + name] = await observe(Inside(machine, name).store)
    await machine.off()
    for name in names:
        machine = Machine(system, image)
        await machine.start()
        await snapshots.restore(machine.store, name)
        found[name] = await observe(machine.store)
        await machine.work()
        await check_whole(machine)
        _require_equal("the jobs changed what was restored", found[name], await observe(machine.store))
        await machine.off()
    return found


def refs(machine):
    """Yield the references of all blobs that the index names."""
    for name, key, value in _main(machine):
        table = TABLES[name]
        if isinstance(table, SealedTable):
            record = table.decode(key, value)
            yield from (record.blob, *(part.blob for part in getattr(record, "parts", ())))
            yield from (one.part.blob for one in getattr(record, "annotations", ()))


def _main(machine):
    """Return the rows of the main world, and of none other."""
    return [row for row in machine.index.rows if not row[1].startswith(keys.END)]


def facts(machine):
    """Return the rows that say what the store holds."""
    named = {ref.id.encode() for ref in refs(machine)}
    rows = (row for row in _main(machine) if row[0] in FACTS)
    return frozenset(row for row in rows if row[0] != "inline" or row[1] in named)


def files(machine):
    """Return all files with their volumes, and None for directories."""
    trees = enumerate(machine.image().trees)
    return {((number, path), data) for number, tree in trees for path, data in tree.items()}


def _require_allowed(found, case, when):
    if found in case.allowed:
        return
    have = items_of(found)
    wanted = [items_of(state) for state in case.allowed]
    if have in wanted:
        raise Violation(f"{when}: the versions of a key are in another order: {found}")
    least, most = set.intersection(*wanted), set.union(*wanted)
    if least <= have <= most:
        raise Violation(f"{when}: an operation was done in part: {_brief(have - least)}")
    raise Violation(f"{when}: missing {_brief(least - have)}, unexpected {_brief(have - most)}")


def _require_rebuilt(have, case, when, *, lazy):
    """The index was lost in the same moment as the power.

    Two things are flushed up to a second after the answer, and may be otherwise then: on a single volume sidecars,
    whose rows are their durable copies; and everywhere the removal of files, so that what was removed may come back.
    And what a crash interrupted before its commit may have been sealed: until a sweep removes that, an index built from
    the sidecars takes it for done, and an upload that it completed has no more parts.
    """
    wanted = [items_of(state) for state in case.allowed]
    completed = {item[3] for item in case.doubtful if item[0] == "upload"}
    least = {
        item for item in set.intersection(*wanted) - case.doubtful if item[0] != "part" or item[1] not in completed
    }
    if lazy:
        least &= case.flushed
    most = set.union(*wanted) | case.since
    if missing := least - have:
        raise Violation(f"{when}: missing {_brief(missing)}")
    _require_one_name(have, wanted, case, when, lazy=lazy)
    if unexpected := {item for item in have if LOST not in item} - most:
        raise Violation(f"{when}: unexpected {_brief(unexpected)}")


def _require_one_name(have, wanted, case, when, *, lazy):
    """What is renamed is under one of its names: never under both, never under none."""
    names = [name for name, keys in _keys_by_note(have).items() if len(keys) > 1]
    if names:
        raise Violation(f"{when}: under two names: {_brief(names)}")
    sure = set.intersection(*(set(_keys_by_note(state)) for state in wanted)) - set(_keys_by_note(case.doubtful))
    if lazy:
        sure &= set(_keys_by_note(case.flushed)) | _completed(case, wanted)
        sure -= {(item[1], item[4]) for item in have if item[0] == "upload"}  # it can be completed once more
    if gone := sure - set(_keys_by_note(have)):
        raise Violation(f"{when}: under no name: {_brief(gone)}")


def _keys_by_note(items):
    """Return the keys of the versions that are there, by bucket and note: no two objects have the same note."""
    found = {}
    for item in items:
        if item[0] == "version" and item[5] and LOST not in item:
            found.setdefault((item[1], item[5]), set()).add(item[2])
    return found


def _completed(case, wanted):
    """Return buckets and notes of the objects that are in every state, of whose bytes all were flushed as parts."""
    parts = {}
    for _, upload, _, data in sorted(item for item in case.flushed if item[0] == "part"):
        parts[upload] = parts.get(upload, b"") + data
    flushed = {(item[1], item[4], parts.get(item[3])) for item in case.flushed if item[0] == "upload"}
    objects = [{(item[1], item[5], item[4]) for item in state if item[0] == "version"} for state in wanted]
    return {(bucket, note) for bucket, note, _ in set.intersection(*objects) & flushed}


def _require_equal(message, expected, found):
    if found != expected:
        raise Violation(f"{message}: missing {_brief(expected - found)}, unexpected {_brief(found - expected)}")


def _brief(items):
    return [tuple(str(field)[:100] for field in item) for item in sorted(items, key=str)]
