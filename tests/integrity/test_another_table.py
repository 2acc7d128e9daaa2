"""A kind of record that only this test knows: its declaration is all that rebuild, check, scrub and sweep need."""

import os
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from s3ish.blob.protocol import Unwritable
from s3ish.errors import ServiceUnavailable
from s3ish.index.protocol import Delete, Put
from s3ish.integrity.check import Check
from s3ish.integrity.named_blobs import count_rows, find
from s3ish.integrity.orphans import SweepJob
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.scrub import ScrubJob
from s3ish.integrity.startup import recover
from s3ish.model import BlobRef
from s3ish.objects.amend import amend
from s3ish.observe.observer import Observer
from s3ish.tables import keys
from s3ish.tables.catalogue import INLINE, TABLES
from s3ish.tables.state import SWEEP
from s3ish.tables.table import SealedTable, Tables
from tests.objects.support import get, make_bucket, put, sample, sealed


class Note(Struct, frozen=True, kw_only=True):
    """A note on an object; its text is the bytes of its blob."""

    bucket: str
    key: str
    name: str
    made_ns: int
    blob: BlobRef
    colour: str = ""
    revision: int = 0


def note_key(bucket, key, name):
    return keys.versions_prefix(bucket, key) + name.encode()


NOTES = SealedTable(
    "notes",
    Note,
    note_key,
    keys.split_upload_key,
    title="{}/{} note {}",
    kind="note",
    key_of=lambda note: note_key(note.bucket, note.key, note.name),
    made_ns=lambda note: note.made_ns,
    home=lambda bucket, key, _: f"{bucket}/{key}",
    at_home=keys.of_home,
)
ALL = Tables(*TABLES, NOTES)


@pytest.fixture
async def store(world):
    store = world.open(tables=ALL)
    await make_bucket(store)
    await put(store, "k", sample(1500))
    return store


async def write(store, name, data, *, commit=True, made_ns=None):
    """Write a note; without ``commit`` it is what a crash leaves."""
    async with store.blobs.create(NOTES.home("b", "k", name), len(data)) as writer:
        await writer.write(data)
        made_ns = store.clock.now_ns() if made_ns is None else made_ns
        note = Note(bucket="b", key="k", name=name, made_ns=made_ns, blob=await writer.finish())
        inline = await writer.seal(NOTES.seal(note))
        if commit:
            await store.commit([NOTES.put(note), *INLINE.keep(note.blob, inline)], [NOTES.absent("b", "k", name)])
    return note


async def rows(store):
    return await NOTES.rows(store.index, b"", b"\xff", 100)


async def check(store, *, repair=False):
    """Return the names and states of all findings."""
    checked = Check(store, repair=repair, before_ns=2**62)
    found = [(finding.name, finding.state) async for some in checked.rows() for finding in some]
    return found + [(finding.name, finding.state) async for finding in checked.orphans()]


async def sweep(store):
    await store.index.commit([SWEEP.put()])
    job = SweepJob(store, 2**62)
    while (await job.step()).more:
        pass
    return job.mended, job.removed


async def read(store, note):
    reader = await store.blobs.open(note.blob)
    return b"".join([bytes(piece) async for piece in reader])


async def test_an_index_without_the_table_gets_it(world):
    old = world.open(world.index_path.with_name("old.db"))
    await make_bucket(old)
    again = world.open(world.index_path.with_name("old.db"), tables=ALL)
    note = await write(again, "n", b"text")
    assert (await NOTES.get(again.index, "b", "k", "n")).record == note


@pytest.mark.parametrize("size", [10, 1500])
async def test_a_rebuild_brings_its_rows_back(world, store, size):
    made = [await write(store, name, sample(size)) for name in ("one", "two")]
    fresh = world.open(world.index_path.with_name("fresh.db"), tables=ALL)
    found = await rebuild(fresh)
    assert found["notes"] == 2
    assert await rows(fresh) == await rows(store)
    assert [(await find(fresh, note.blob.id)).ref for note in made] == [note.blob for note in made]
    assert await check(fresh) == []


async def test_of_two_for_one_row_a_rebuild_takes_the_later_one(world, store):
    later = await write(store, "n", b"later")
    earlier = await write(store, "n", b"earlier", commit=False, made_ns=later.made_ns - 1)
    fresh = world.open(world.index_path.with_name("fresh.db"), tables=ALL)
    await rebuild(fresh)
    assert (await NOTES.get(fresh.index, "b", "k", "n")).record == later
    assert await sweep(fresh) == (0, 1)
    assert earlier.blob.id not in await sealed(fresh)


@pytest.mark.parametrize("size", [10, 1500])
async def test_a_check_finds_and_repairs_its_damage(world, store, size):
    note = await write(store, "n", sample(size))
    assert await check(store) == []
    for path in world.files_of(note.blob)[-1:]:
        Path(path).write_bytes(b"damage")
    assert await check(store) == [("b/k note n", "damaged")]
    assert await check(store, repair=True) == [("b/k note n", "repaired")]
    assert await check(store) == []
    for path in world.files_of(note.blob):
        if path.endswith("metadata.json"):
            os.unlink(path)
    assert await check(store, repair=True) == [("b/k note n", "repaired")]
    assert (await check(store), await read(store, note)) == ([], sample(size))


async def test_its_damaged_rows_are_restored(store):
    await write(store, "n", b"text")
    ((key, value),) = await rows(store)
    await store.index.commit([Put("notes", key, value[:-1] + b"\1")])
    assert await check(store, repair=True) == [("b/k note n", "repaired")]
    assert await rows(store) == [(key, value)]
    await store.index.commit([Delete("notes", key), Put("notes", key + b"x", value)])
    assert await check(store, repair=True) == [("b/k note nx", "repaired")]
    assert await rows(store) == [(key, value)]


async def test_a_check_and_a_sweep_remove_its_orphans_and_nothing_else(store):
    kept = await write(store, "kept", sample(1500))
    left = await write(store, "left", sample(1500), commit=False)
    assert await check(store) == [(left.blob.id, "orphan")]
    assert await sweep(store) == (0, 1)
    assert left.blob.id not in await sealed(store)
    left = await write(store, "left", sample(10), commit=False)
    assert await check(store, repair=True) == [(left.blob.id, "repaired")]
    assert (await check(store), await read(store, kept)) == ([], sample(1500))
    assert await get(store, "k") == sample(1500)


async def test_the_sweep_restores_its_lost_sidecars(world, store):
    note = await write(store, "n", sample(10))
    for path in world.files_of(note.blob):
        os.unlink(path)
    assert await sweep(store) == (1, 0)
    assert await read(store, note) == sample(10)


async def test_the_scrub_repairs_it(world, store):
    note = await write(store, "n", sample(1500))
    os.unlink(world.files_of(note.blob)[0])
    before = await count_rows(store)
    scrub = ScrubJob(store, Observer(shared=False), 3600)
    for _ in range(2000):
        step = await scrub.step()
        world.clock.ns += int(step.pause_seconds * 1e9)
        if (await store.blobs.check(note.blob, repair=False)).whole:
            break
    assert (await store.blobs.check(note.blob, repair=False)).whole
    assert await count_rows(store) == before


async def test_it_is_amended_and_recovered_like_any_other(store, monkeypatch):
    note = await write(store, "n", b"text")

    async def refuse(*_, **__):
        raise Unwritable("read-only")

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", refuse)
        with pytest.raises(ServiceUnavailable):
            await amend(
                store, NOTES, await NOTES.get(store.index, "b", "k", "n"), lambda it: replace(it, colour="blue")
            )
    await recover(store)
    held = await NOTES.get(store.index, "b", "k", "n")
    assert held.record.colour == "blue"
    told = ALL.read_sidecar(await store.blobs.read_sidecar(note.blob))
    assert told.same(NOTES.sidecar(held.record))
    assert await read(store, note) == b"text"
