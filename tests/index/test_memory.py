"""Snapshots of the index in memory: what is changed later does not show in them."""

from s3ish.index.memory import MemoryIndex
from s3ish.index.protocol import Delete, Put
from tests.index.conftest import LAYOUTS

END = b"\xff"


async def rows(index):
    return [row for table in ("versions", "current") for row in await index.scan(table, b"", END, 10)]


async def test_each_copy_goes_its_own_way():
    index = MemoryIndex(LAYOUTS)
    await index.commit([Put("versions", b"a", b"1"), Put("current", b"b", b"1")])
    snapshot = index.snapshot()
    await index.commit([Put("versions", b"a", b"2"), Put("versions", b"c", b"2"), Delete("current", b"b")])
    one, other = MemoryIndex(LAYOUTS, snapshot), MemoryIndex(LAYOUTS, snapshot)
    await one.commit([Delete("versions", b"a")])
    assert await rows(index) == [(b"a", b"2"), (b"c", b"2")]
    assert await rows(one) == [(b"b", b"1")]
    assert await rows(other) == [(b"a", b"1"), (b"b", b"1")]


async def test_a_snapshot_of_what_was_restored():
    index = MemoryIndex(LAYOUTS)
    await index.commit([Put("versions", b"a", b"1")])
    copy = MemoryIndex(LAYOUTS, index.snapshot())
    second = copy.snapshot()
    await copy.commit([Delete("versions", b"a")])
    assert await rows(MemoryIndex(LAYOUTS, second)) == [(b"a", b"1")]
