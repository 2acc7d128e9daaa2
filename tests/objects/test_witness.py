"""No writer of versions forgets what follows from a change, nor to count it: see ``tests/witness.py``."""

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
from s3ish.tables.catalog import UsageTable
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
from tests.witness import Forgotten

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
UNCOUNTED = {"tag", "move", "rename"}
"""These make nothing more and nothing less."""


@pytest.fixture
async def filled(store):
    """A store with an object, and an empty bucket."""
    await make_bucket(store, "d")
    await put(store, "k", b"data")
    return store


@pytest.mark.parametrize("name", WRITERS)
async def test_every_writer_asks_what_follows(filled, name):
    filled.consequences = Consequences()  # the default one is every store's
    filled.consequences.rows = lambda *_: []
    with pytest.raises(Forgotten, match="was asked of"):
        await WRITERS[name](filled)


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - UNCOUNTED))
async def test_every_writer_counts_what_it_changes(filled, name, monkeypatch):
    monkeypatch.setattr(UsageTable, "add", lambda *_: [])
    with pytest.raises(Forgotten, match="counted"):
        await WRITERS[name](filled)


async def test_counting_too_much_is_noticed(filled, monkeypatch):
    add = UsageTable.add
    monkeypatch.setattr(UsageTable, "add", lambda self, bucket, change: add(self, bucket, change + Usage(bytes=1)))
    with pytest.raises(Forgotten):
        await put(filled, "k", b"other")


async def test_asking_about_another_version_is_noticed(filled, monkeypatch):
    rows = Consequences.rows
    monkeypatch.setattr(
        Consequences, "rows", lambda self, bucket, _, after, cause: rows(self, bucket, None, after, cause)
    )
    with pytest.raises(Forgotten):
        await put(filled, "k", b"other")


_WRITES = re.compile(
    r"VERSIONS\.(put|drop|store|delete)\(|amend(_once)?\(store, VERSIONS|amend_with_parts\(store, held"
)
_ELSEWHERE = ("integrity/", "objects/rewind.py", "objects/amend.py")
"""What changes no version in the eyes of clients, or is called by who asks."""


def test_every_module_that_writes_versions_asks_what_follows():
    """The witness sees what tests do; this sees a writer that no test lets write."""
    found = {path.relative_to(SOURCE).as_posix(): path.read_text() for path in SOURCE.rglob("*.py")}
    writers = {name for name, text in found.items() if _WRITES.search(text) and not name.startswith(_ELSEWHERE)}
    assert {"objects/put.py", "objects/delete.py", "objects/versions.py"} <= writers
    assert [name for name in sorted(writers) if ".consequences.rows(" not in found[name]] == []
