"""A key of which no version is found does not exist, unless the index contradicts itself.

The checksum of a page covers its bytes and not its place: pages that a drive has written to each other's place pass it,
and rows that stand on them are not found where they belong.
"""

from collections import Counter
from contextlib import closing

import apsw
import pytest

from s3ish.errors import InternalError, NoSuchKey, ServiceUnavailable
from s3ish.index.protocol import Damaged, Put
from s3ish.objects.listing import Query, list_objects
from s3ish.tables.catalogue import CURRENT, VERSIONS
from tests.integrity.test_salvage import PAGE, leaves
from tests.objects.support import World, get, head, keys_of, make_bucket, outcome, put, remove, run_jobs, sealed

KEYS = [f"k{number:03}" for number in range(120)]


@pytest.fixture
async def filled(tmp_path):
    """A world with objects on many pages, whose store is closed."""
    world = World(tmp_path, volumes=1)
    store = world.open()
    await make_bucket(store)
    for key in KEYS:
        await put(store, key, b"x")
    await store.settle()
    await world.close()
    with closing(apsw.Connection(str(world.index_path))) as connection:
        connection.pragma("wal_checkpoint(TRUNCATE)")
    yield world
    await world.close()


def exchange(path, table):
    """Have two pages of a table change places."""
    numbers = leaves(path, table)
    first, second = (number * PAGE for number in (numbers[1], numbers[-2]))
    content = bytearray(path.read_bytes())
    content[first : first + PAGE], content[second : second + PAGE] = (
        content[second : second + PAGE],
        content[first : first + PAGE],
    )
    path.write_bytes(content)


async def answers(store):
    counts = Counter()
    for key in KEYS:
        try:
            counts[await outcome(get(store, key))] += 1
        except Damaged:
            counts["damaged"] += 1
    return counts


async def test_no_object_seems_to_be_gone_whose_page_is_elsewhere(filled):  # case 157
    exchange(filled.index_path, VERSIONS)
    store = filled.open()
    found = await answers(store)
    assert found["damaged"] > 5
    assert found == {b"x": len(KEYS) - found["damaged"], "damaged": found["damaged"]}
    assert await outcome(head(store, "none")) is NoSuchKey


async def test_no_delete_is_answered_that_found_nothing_because_a_page_is_elsewhere(filled):
    exchange(filled.index_path, VERSIONS)
    store = filled.open()
    outcomes = [await outcome(remove(store, key)) for key in KEYS]
    hidden = sum(found in (InternalError, ServiceUnavailable) for found in outcomes)
    assert hidden > 5
    await remove(store, "none")
    assert len(await sealed(store)) == hidden + 1  # and the bucket


async def test_no_key_that_does_not_exist_is_taken_for_another_one(filled):  # case 157
    """Behind the last row of a page the next page is read, whatever it holds by then."""
    exchange(filled.index_path, VERSIONS)
    store = filled.open()
    before = await sealed(store)
    for key in KEYS:
        found = await outcome(get(store, f"{key}-not"))
        assert found in (NoSuchKey, InternalError)
        assert await outcome(put(store, f"{key}-not", b"new")) is InternalError or found is NoSuchKey
    assert set(before) <= set(await sealed(store))


async def test_pages_of_listings_that_changed_places_hide_no_object(filled):
    exchange(filled.index_path, CURRENT)
    assert await answers(filled.open()) == {b"x": len(KEYS)}


async def test_who_meets_a_damaged_page_is_to_ask_again(filled):
    """The server begins anew at once with an index that is whole, and a client that is told so repeats its request."""
    content = bytearray(filled.index_path.read_bytes())
    for number in leaves(filled.index_path, VERSIONS):
        content[number * PAGE + 2048] ^= 1
    filled.index_path.write_bytes(content)
    assert await outcome(remove(filled.open(), KEYS[0])) is ServiceUnavailable


@pytest.mark.parametrize("table", [VERSIONS, CURRENT])
async def test_a_look_through_the_index_finds_pages_that_changed_places(filled, table):
    exchange(filled.index_path, table)
    with pytest.raises(Damaged):
        await filled.open().index.verify()


async def test_a_sweep_removes_nothing_that_pages_which_changed_places_hide(filled):  # case 157
    exchange(filled.index_path, VERSIONS)
    store = filled.open()
    before = await sealed(store)
    with pytest.raises(Damaged):
        await run_jobs(store, filled.clock)
    assert await sealed(store) == before


async def test_a_contradiction_is_looked_into_once(filled, monkeypatch):
    store = filled.open()
    looks = []

    async def verify():
        looks.append(1)

    monkeypatch.setattr(store.index, "verify", verify)
    held = (await store.newest("b", "k000"))[0]
    entry = await store.index.get(CURRENT.name, CURRENT.key("b", "k000"))
    await remove(store, "k000")
    assert await outcome(head(store, "k000")) is NoSuchKey
    await store.index.commit([Put(CURRENT.name, CURRENT.key("b", "k000"), entry)])
    for _ in range(3):
        with pytest.raises(Damaged):
            await head(store, "k000")
    assert looks == [1]
    await put(store, "k000", b"x")
    assert (await head(store, "k000")).key == held.record.key
    assert await keys_of(store) == KEYS


async def test_a_row_answers_for_no_other_key(filled):
    store = filled.open()
    for table, look in ((VERSIONS, lambda: head(store, "k001")), (CURRENT, lambda: list_objects(store, ALL, ""))):
        (_, value), (key, _) = await table.rows(store.index, b"", b"\xff", 2)
        await store.index.commit([Put(table.name, key, value)])
        with pytest.raises(Damaged):
            await look()


ALL = Query("b", "", "", 1000)
