"""All writers of versions go through one door, and what they change is counted: see ``tests/witness.py``."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

import s3ish
from s3ish.model import Tag, Usage
from s3ish.objects import annotations, buckets, replica, versions
from s3ish.objects.conditions import ReadConditions
from s3ish.objects.consequences import BY_SERVER, Consequences
from s3ish.objects.rename import rename_object
from s3ish.objects.transition import move_version
from s3ish.tables import keys
from s3ish.tables.catalogue import VERSIONS, UsageTable
from tests.objects.support import (
    OTHER,
    PLAIN,
    Bytes,
    add_part,
    begin,
    complete,
    copy_to,
    head,
    make_bucket,
    put,
    remove,
)
from tests.witness import Miscounted

SOURCE = Path(s3ish.__file__).parent


async def tag(store):
    def change(version):
        return replace(version, attributes=replace(version.attributes, tags=(Tag("t", "v"),)))

    await versions.amend_version(store, "b", "k", None, change)


async def upload(store):
    begun = await begin(store, "k")
    await complete(store, begun, [await add_part(store, begun, 1, b"x" * 300)])


async def mark(store):
    await buckets.set_versioning(store, "b", enabled=True)
    await remove(store, "k")


async def rename(store):
    conditions = {"of_source": ReadConditions(), "of_destination": ReadConditions()}
    await rename_object(store, "b", "k", "other", **conditions)


async def replicate(store):
    await buckets.set_versioning(store, "d", enabled=True)

    async def give():
        return replica.Given(PLAIN)

    await replica.replicate_here(store, await head(store, "k"), "d", OTHER, PLAIN, give)


async def move(store):
    await move_version(store, await head(store, "k"), "GLACIER", BY_SERVER)


async def annotate(store):
    await annotations.put_annotation(store, await head(store, "k"), None, "n", Bytes(b"text"))


async def copy(store):
    await copy_to(store, await head(store, "k"), "copy")


WRITERS = {
    "put": lambda store: put(store, "k", b"other"),
    "remove": lambda store: remove(store, "k"),
    "mark": mark,
    "copy": copy,
    "upload": upload,
    "tag": tag,
    "annotate": annotate,
    "rename": rename,
    "move": move,
    "replicate": replicate,
}


@pytest.fixture
async def filled(store):
    """A store with an object, and an empty bucket."""
    await make_bucket(store, "d")
    await put(store, "k", b"data")
    return store


@pytest.mark.parametrize("name", WRITERS)
async def test_every_writer_asks_what_follows(filled, name):
    told = []
    filled.consequences = Consequences(lambda happening: told.append(happening) or ())
    before = await rows(filled)
    await WRITERS[name](filled)
    after = await rows(filled)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {row(it) for one in told for it in (one.before, one.after) if it} == changed
    assert changed


async def rows(store):
    return dict(await VERSIONS.rows(store.index, b"", keys.END, 1000))


def row(version):
    return VERSIONS.key(version.bucket, version.key, version.sequence)


async def test_a_commit_takes_no_row_of_a_version_that_is_no_happening(filled):
    held = (await filled.newest("b", "k"))[0]
    for change in (VERSIONS.drop(held.key), VERSIONS.put(held.record)):
        with pytest.raises(AssertionError):
            await filled.commit([change], [])
    assert (await filled.newest("b", "k"))[0] == held


async def test_who_writes_uploads_counts_what_it_changes(filled, monkeypatch):
    upload = await begin(filled, "k")
    monkeypatch.setattr(UsageTable, "add", lambda *_: [])
    for write in (begin(filled, "k"), add_part(filled, upload, 1, b"x" * 300)):
        with pytest.raises(Miscounted, match="counted"):
            await write


async def test_counting_too_much_is_noticed(filled, monkeypatch):
    add = UsageTable.add
    monkeypatch.setattr(UsageTable, "add", lambda self, bucket, change: add(self, bucket, change + Usage(bytes=1)))
    with pytest.raises(Miscounted):
        await put(filled, "k", b"other")


_WRITES = re.compile(r"VERSIONS\.(put|drop|store|delete)\(")
_WRITERS = {"objects/consequences.py", "integrity/rebuild.py", "integrity/renames.py"}
"""What a commit of the store writes of versions, and a rebuild, which changes none in the eyes of clients."""


def test_one_module_writes_the_rows_of_versions():
    """A commit of the store takes no others; this sees what passes the store, to the index."""
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if _WRITES.search(path.read_text())}
    assert found == _WRITERS
