"""Users in the store: what survives, who sees a change when, what is on the drive, and what damage leaves of it."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from s3ish.auth.credentials import User
from s3ish.errors import EntityAlreadyExists, InternalError, LimitExceeded, ServiceUnavailable
from s3ish.identity import holders, keys, users
from s3ish.identity.records import UserRecord
from s3ish.identity.registry import Registry, Replace
from s3ish.identity.resealing import reseal
from s3ish.identity.secrets import Secrets
from s3ish.index.protocol import Put, Unavailable
from s3ish.integrity.check import Check
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Owner
from s3ish.objects.encodings.keyring import Keyring
from s3ish.tables.catalogue import SYSTEM
from s3ish.tables.state import ACCESS_KEYS_USED, SWEEP, SYSTEM_MARK
from tests.objects.support import sealed

ROOT = User("root", "root-secret", Owner("root", "root"), root=True)
FIXED = User("fixed-key", "fixed-secret", Owner("fixed"), name="fixed")
READ_ONLY = "arn:aws:iam::aws:policy/readonly"


def master(letter):
    return letter.encode() * 32


def registry_of(store, *masters, shared=None):
    ring = Keyring([master(letter) for letter in masters], os.urandom) if masters else None
    return Registry(store, [ROOT, FIXED], Secrets(ring), shared)


@pytest.fixture
def store(world):
    return world.open()


@pytest.fixture
async def registry(store):
    registry = registry_of(store)
    await registry.look()
    return registry


async def make(registry, name="alice", **arguments):
    """Make a user with a key; return the key."""
    new = keys.make_key(registry)
    await users.create_user(registry, name, attached=[READ_ONLY], key=new, **arguments)
    return new


def seen(registry):
    """Return all that can be told of users: who signs with which key, what they are called, and their groups."""
    directory = registry.directory
    signers = {key.id: directory.find(key.id) for user in directory.all(UserRecord) for key in user.keys}
    return signers, directory.all(UserRecord)


async def problems(store):
    checked = Check(store, repair=False, before_ns=2**62)
    found = [(finding.name, finding.state) async for some in checked.rows() for finding in some]
    return found + [(finding.name, finding.state) async for finding in checked.orphans()]


async def test_users_survive_a_rebuild_of_the_index(world, store, registry):
    new = await make(registry, boundary="arn:aws:iam::aws:policy/readwrite")
    await make(registry, "bob")
    await users.delete_user(registry, "bob", with_all=True)
    await holders.attach(registry, UserRecord, "alice", "arn:aws:iam::aws:policy/readwrite")
    await keys.set_active(registry, "alice", (await _second(registry)).key.id, active=False)
    await store.settle()
    fresh = world.open(world.index_path.with_name("fresh.db"))
    await rebuild(fresh)
    again = registry_of(fresh)
    await again.look()
    assert seen(again) == seen(registry)
    assert again.find(new.key.id).secret_key == new.secret_key
    assert (await problems(store), await problems(fresh)) == ([], [])


async def _second(registry):
    new = keys.make_key(registry)
    await keys.add_key(registry, "alice", new)
    return new


def open_to_others(folder):
    """Return what below a folder anybody but its owner may use, and how many files there are."""
    paths = list(Path(folder).rglob("*"))
    return [path for path in paths if path.stat().st_mode & 0o077], sum(path.is_file() for path in paths)


async def test_nobody_but_the_owner_reads_what_holds_secrets(world, tmp_path):
    before = os.umask(0)  # whatever the server was started with
    try:
        world.index_path.touch(0o644)  # as an earlier version made it
        store = world.open()
        registry = registry_of(store)
        await registry.look()
        await make(registry)
        (row,) = await SYSTEM.rows(store.index, b"", b"\xff", 9)
        for path in world.files_of(SYSTEM.hold(*row).record.blob):
            os.unlink(path)
        await store.index.commit([SWEEP.put()])
        job = SweepJob(store, 2**62)
        while (await job.step()).more:
            pass
        assert job.mended == 1
        await _second(registry)
        await store.settle()
        await rebuild(world.open(world.index_path.with_name("fresh.db")))
    finally:
        os.umask(before)
    found, files = open_to_others(tmp_path)
    assert found == []
    assert files > 6


async def test_a_removed_user_leaves_nothing_on_the_volumes(store, registry):
    before = await sealed(store)
    await make(registry)
    assert len(await sealed(store)) == len(before) + 1
    await users.delete_user(registry, "alice", with_all=True)
    assert await sealed(store) == before


async def test_the_sweep_keeps_users_and_brings_back_their_sidecars(world, store, registry):
    await make(registry)
    (row,) = await SYSTEM.rows(store.index, b"", b"\xff", 9)
    for path in world.files_of(SYSTEM.hold(*row).record.blob):
        os.unlink(path)
    await store.index.commit([SWEEP.put()])
    job = SweepJob(store, 2**62)
    while (await job.step()).more:
        pass
    assert (job.mended, job.removed) == (1, 0)
    assert await problems(store) == []


async def test_another_process_sees_a_change_as_soon_as_it_is_made(world, registry):
    other = registry_of(world.open(), shared=registry.shared)
    await other.keep_up()
    new = await make(registry)
    assert other.find(new.key.id) is None
    await other.keep_up()
    assert other.find(new.key.id).name == "alice"
    await keys.set_active(registry, "alice", new.key.id, active=False)
    assert registry.find(new.key.id) is None
    await other.keep_up()
    assert other.find(new.key.id) is None


async def test_another_process_sees_a_change_that_was_made_while_it_was_reading(world, registry):
    other = registry_of(world.open(), shared=registry.shared)
    await other.keep_up()

    def change():
        async def add():
            store = world.open()
            await make(registry_of(store, shared=registry.shared))
            await store.index.close()

        asyncio.run(add())

    await other.store.index.get("buckets", b"any")  # what is read in this turn of the loop is of this moment
    with ThreadPoolExecutor() as beside:
        beside.submit(change).result()
    await other.keep_up()
    assert other.directory.named(UserRecord, "alice") is not None


async def test_a_change_that_nobody_told_of_is_seen_by_who_looks(world, registry):
    other = registry_of(world.open())
    await other.keep_up()
    new = await make(registry)
    await other.keep_up()
    assert other.find(new.key.id) is None
    await other.look()
    assert other.find(new.key.id).name == "alice"


async def test_a_request_reads_the_index_for_users_only_when_they_changed(registry, monkeypatch):
    await registry.keep_up()

    async def fail(*_):
        raise AssertionError("the index was read")

    monkeypatch.setattr(registry.store.index, "get", fail)
    await registry.keep_up()
    registry.tell()
    with pytest.raises(AssertionError):
        await registry.keep_up()


async def test_of_many_changes_at_once_none_is_lost(world, registry):
    other = registry_of(world.open())
    await asyncio.gather(*(make(one, f"user{n}") for n, one in enumerate([registry, other] * 5)))
    await registry.look()
    await other.look()
    assert seen(registry) == seen(other)
    assert len(registry.directory.all(UserRecord)) == 11
    outcomes = await asyncio.gather(*(make(one, "same") for one in [registry, other] * 3), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, tuple)] == [EntityAlreadyExists] * 5
    assert sum(user.name == "same" for user in registry.directory.all(UserRecord)) == 1


async def test_an_access_key_is_one_users(world, registry):
    other = registry_of(world.open())
    new = keys.make_key(registry, "chosen-key", "chosen-secret")
    await users.create_user(registry, "alice", key=new)
    with pytest.raises(EntityAlreadyExists):
        await users.create_user(other, "bob", key=keys.make_key(other, "chosen-key", "another-secret"))
    with pytest.raises(EntityAlreadyExists):
        await keys.add_key(other, "alice", keys.make_key(other, "fixed-key", "another-secret"))
    assert other.find("fixed-key").secret_key == "fixed-secret"
    assert registry.find("chosen-key").secret_key == "chosen-secret"


async def test_keys_of_a_user_are_limited(registry, monkeypatch):
    monkeypatch.setattr(keys, "MOST_KEYS", 2)
    await make(registry)
    await _second(registry)
    with pytest.raises(LimitExceeded):
        await _second(registry)


async def test_with_a_master_key_no_secret_is_on_the_drive(world, store):
    registry = registry_of(store, "a")
    new = await make(registry)
    await store.settle()
    written = b"".join(Path(folder, name).read_bytes() for folder, _, names in os.walk(world.root) for name in names)
    assert new.key.id.encode() in written
    assert new.secret_key.encode() not in written
    assert registry.find(new.key.id).secret_key == new.secret_key


@pytest.mark.parametrize(("masters", "known"), [(("a",), True), (("b", "a"), True), (("b",), False), ((), False)])
async def test_a_secret_opens_with_its_master_key_alone(store, masters, known, quiet):
    new = await make(registry_of(store, "a"))
    again = registry_of(store, *masters)
    await again.look()
    user = again.find(new.key.id)
    assert (user is not None and user.secret_key == new.secret_key) == known
    assert any(line["event"] == "a user cannot sign in" for line in quiet) != known


async def test_a_sealed_secret_is_of_one_access_key(store):
    secrets = Secrets(Keyring([master("a")], os.urandom))
    kept = secrets.keep("one", "a secret")
    assert secrets.reveal("one", kept) == "a secret"
    for access_key, text in (("two", kept), ("one", kept[:-4] + "AAAA"), ("one", "sealed:x"), ("one", "else:x")):
        with pytest.raises(ValueError, match=r"key|Incorrect|kept"):
            secrets.reveal(access_key, text)


async def test_where_a_group_or_policy_cannot_be_read_its_users_do_not_sign_in(store, registry):
    new = await make(registry)
    await registry.change(
        lambda directory: (_replaced(directory.named(UserRecord, "alice"), groups=("AGPANOTTHERE",)), None)
    )
    assert registry.find(new.key.id) is None


def _replaced(record, **changes):
    return Replace(replace(record, **changes))


async def test_a_damaged_row_stops_its_user_and_no_other(store, registry):
    alice, bob = await make(registry), await make(registry, "bob")
    record = registry.directory.named(UserRecord, "alice")
    key = SYSTEM.key(record.row)
    value = await store.index.get(SYSTEM.name, key)
    damaged = value[:-1] + bytes([value[-1] ^ 1])
    await store.index.commit([Put(SYSTEM.name, key, damaged), SYSTEM_MARK.put(b"another")])
    await registry.look()
    assert registry.find(alice.key.id) is None
    assert registry.find(bob.key.id) is not None
    with pytest.raises(InternalError):  # whether a name is free cannot be known
        await users.create_user(registry, "alice")
    await store.index.commit([Put(SYSTEM.name, key, value)])
    await registry.look()
    assert registry.find(alice.key.id) is not None


async def test_where_the_index_cannot_be_read_nothing_is_decided_on_what_was(store, registry, monkeypatch):
    await make(registry)

    async def fail(*_):
        raise Unavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(store.index, "get", fail)
        with pytest.raises(ServiceUnavailable):
            await registry.look()
        registry.tell()
        for _ in range(2):
            with pytest.raises(ServiceUnavailable):
                await registry.keep_up()
    await registry.keep_up()


async def test_uses_of_keys_are_kept_and_those_of_removed_keys_forgotten(world, store, registry):
    alice, bob = await make(registry), await make(registry, "bob")
    for new in (alice, bob):
        registry.note_use(registry.find(new.key.id))
    registry.note_use(ROOT)
    await registry.used.flush()
    other = registry_of(world.open())
    await other.look()
    assert await other.used.of(alice.key.id) == await registry.used.of(alice.key.id) > 0
    await users.delete_user(registry, "bob", with_all=True)
    registry.note_use(registry.find(alice.key.id))
    await registry.used.flush()
    assert await registry.used.of(bob.key.id) == 0
    rows = await ACCESS_KEYS_USED.family(store.index, 9)
    assert [key.decode() for key, _ in rows] == [alice.key.id]


async def test_secrets_follow_the_master_key(store, quiet):
    plain = registry_of(store)
    new = [await make(plain, f"user{number}") for number in range(3)]
    for masters in (("a",), ("b", "a"), ("c", "b")):
        registry = registry_of(store, *masters)
        await reseal(registry)
        before = await SYSTEM.rows(store.index, b"", b"\xff", 9)
        await reseal(registry)
        assert await SYSTEM.rows(store.index, b"", b"\xff", 9) == before
    last = registry_of(store, "c")
    await last.look()
    assert [last.find(it.key.id).secret_key for it in new] == [it.secret_key for it in new]
    lost = registry_of(store, "d")
    await reseal(lost)
    assert lost.find(new[0].key.id) is None
    again = registry_of(store, "c")
    await again.look()
    assert again.find(new[0].key.id).secret_key == new[0].secret_key
    assert await problems(store) == []
