"""Listings: in order, in pages, rolled up, and at the cost of the page."""

import pytest

from s3ish.model import Version
from s3ish.objects import listing
from s3ish.objects.store import Store
from s3ish.tables import keys
from s3ish.tables.catalogue import CURRENT, VERSIONS
from tests.objects.support import NO_BLOB, OWNER, keys_of, make_bucket, put, remove


def fabricated(key, sequence=1, marker=False):
    return Version(
        bucket="b",
        key=key,
        id=f"v{sequence}",
        sequence=sequence,
        modified_ns=1,
        owner=OWNER,
        blob=NO_BLOB,
        marker=marker,
    )


async def fill(store, versions):
    """Put rows into the index at once, as if many had been written."""
    changes = [change for version in versions for change in (VERSIONS.put(version), CURRENT.show(version))]
    await store.index.commit(changes)


async def list_all(store, prefix="", delimiter="", limit=1000, after=""):
    """Return items and prefixes of all pages."""
    items, prefixes, pages = [], [], 0
    while True:
        page = await listing.list_objects(store, listing.Query("b", prefix, delimiter, limit), after)
        items += [key for key, _ in page.items]
        prefixes += page.prefixes
        pages += 1
        assert page.count <= limit
        if not page.truncated:
            return items, prefixes
        assert page.count == limit
        after = page.last


class Counting:
    """An index that counts what is read from it."""

    def __init__(self, index):
        self._index = index
        self.scans = self.rows = 0

    async def scan(self, table, start, stop, limit):
        rows = await self._index.scan(table, start, stop, limit)
        self.scans += 1
        self.rows += len(rows)
        return rows

    def __getattr__(self, name):
        return getattr(self._index, name)


@pytest.fixture
def counting(store):
    """The same store over an index that counts."""
    counted = Counting(store.index)
    return Store(counted, store.blobs, store.clock, store.offload, store.region), counted


KEYS = ["a", "a/", "a/1", "a/2", "a//", "a//x", "b", "b/1", "b/1/2", "c", "é/1", "é/2", "\U0001f600", "\uffff"]


async def test_keys_come_in_the_order_of_their_bytes(store):
    await fill(store, [fabricated(key) for key in reversed(KEYS)])
    assert (await list_all(store))[0] == sorted(KEYS, key=str.encode)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("prefix", "delimiter", "items", "prefixes"),
    [
        ("", "/", ["a", "b", "c", "\uffff", "\U0001f600"], ["a/", "b/", "é/"]),
        ("a", "/", ["a"], ["a/"]),
        ("a/", "/", ["a/", "a/1", "a/2"], ["a//"]),
        ("a//", "/", ["a//", "a//x"], []),
        ("b/", "/", ["b/1"], ["b/1/"]),
        ("", "//", ["a", "a/", "a/1", "a/2", "b", "b/1", "b/1/2", "c", "é/1", "é/2", "\uffff", "\U0001f600"], ["a//"]),
        ("", "é", ["a", "a/", "a//", "a//x", "a/1", "a/2", "b", "b/1", "b/1/2", "c", "\uffff", "\U0001f600"], ["é"]),
        ("é", "", ["é/1", "é/2"], []),
        ("nothing", "/", [], []),
        ("", "x" * 1024, sorted(KEYS, key=str.encode), []),
    ],
)
async def test_keys_are_rolled_up_behind_the_prefix(store, prefix, delimiter, items, prefixes, limit):
    await fill(store, [fabricated(key) for key in KEYS])
    assert await list_all(store, prefix, delimiter, limit) == (items, prefixes)


async def test_a_page_of_nothing(store):
    await fill(store, [fabricated("a")])
    page = await listing.list_objects(store, listing.Query("b", "", "", 0), "")
    assert (page.count, page.truncated) == (0, False)


@pytest.mark.parametrize(
    ("after", "items", "prefixes"),
    [
        ("a", ["b", "c", "\uffff", "\U0001f600"], ["a/", "b/", "é/"]),
        ("a/1", ["b", "c", "\uffff", "\U0001f600"], ["a/", "b/", "é/"]),
        ("a/", ["b", "c", "\uffff", "\U0001f600"], ["b/", "é/"]),
        ("bzzz", ["c", "\uffff", "\U0001f600"], ["é/"]),
        ("\U0001f600", [], []),
        ("\U0010ffff", [], []),
    ],
)
async def test_a_listing_begins_behind_a_name(store, after, items, prefixes):  # case 127
    await fill(store, [fabricated(key) for key in KEYS])
    assert await list_all(store, "", "/", after=after) == (items, prefixes)


async def test_a_bucket_shows_its_own_keys_alone(store):
    for name in ("b-2", "b.2", "bb"):
        await make_bucket(store, name)
        await put(store, "k", bucket=name)
    await put(store, "mine")
    assert await keys_of(store) == ["mine"]
    assert await keys_of(store, bucket="b-2") == ["k"]


async def test_a_page_costs_the_page_and_not_the_bucket(store, counting):  # case 126
    counted, counter = counting
    await fill(store, [fabricated(f"{n:02}/{m:03}") for n in range(30) for m in range(100)])
    page = await listing.list_objects(counted, listing.Query("b", "", "/", 5), "")
    assert page.prefixes == ["00/", "01/", "02/", "03/", "04/"]
    assert counter.scans <= 7, "one seek for each common prefix"
    assert counter.rows <= 30
    counter.scans = counter.rows = 0
    page = await listing.list_objects(counted, listing.Query("b", "", "", 100), "")
    assert (page.count, counter.scans, counter.rows) == (100, 1, 101)


async def test_rows_under_common_prefixes_are_hardly_read(store, counting):  # case 126
    counted, counter = counting
    await fill(store, [fabricated(f"{n:02}/{m:03}") for n in range(50) for m in range(100)])
    await fill(store, [fabricated(f"z{n:03}") for n in range(500)])
    page = await listing.list_objects(counted, listing.Query("b", "", "/", 1000), "")
    assert len(page.prefixes) == 50
    assert len(page.items) == 500
    assert counter.rows <= 128 + 50 * 2 + 2 * 500, "few rows a prefix, and more at once where all are shown"
    assert counter.scans <= 70


async def test_history_costs_a_listing_nothing(store, counting):
    counted, counter = counting
    await fill(store, [fabricated("old", sequence) for sequence in range(1, 500)])
    await fill(store, [fabricated(f"gone {n:03}", 1, marker=True) for n in range(500)])
    await fill(store, [fabricated("z")])
    page = await listing.list_objects(counted, listing.Query("b", "", "", 1000), "")
    assert [key for key, _ in page.items] == ["old", "z"]
    assert counter.rows == 2


async def test_versions_skip_common_prefixes_too(store, counting):
    counted, counter = counting
    await fill(store, [fabricated(f"{n}/{m}", s) for n in range(9) for m in range(20) for s in (1, 2, 3)])
    page = await listing.list_versions(counted, listing.Query("b", "", "/", 1000), "", "")
    assert page.prefixes == [f"{n}/" for n in range(9)]
    assert counter.scans <= 10


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 1000])
async def test_versions_come_newest_first_and_say_which_is_latest(store, limit):
    await fill(store, [fabricated(key, sequence) for key in ("a", "a\x01", "b") for sequence in (1, 2, 3)])
    expected = [(key, f"v{s}", s == 3) for key in ("a", "a\x01", "b") for s in (3, 2, 1)]
    found, key, row = [], "", b""
    while True:
        page = await list_versions_from(store, limit, key, row)
        found += [(name, item.version.id, item.latest) for name, item in page.items]
        if not page.truncated:
            break
        key, last = page.last, page.items[-1][1].version
        row = keys.version_key("b", key, last.sequence)
    assert found == expected


async def list_versions_from(store, limit, key, row):
    """List behind a version; the marker is an id as the store mints them, of which only the sequence counts."""
    marker = ""
    if row:
        from s3ish.objects import versions

        sequence = 2**64 - 1 - int.from_bytes(row[-8:], "big")
        marker = versions.mint(sequence, store.clock)
    return await listing.list_versions(store, listing.Query("b", "", "", limit), key, marker)


async def test_versions_of_a_key_that_looks_like_a_row_of_another(store):
    """A delimiter counts within keys, never in what follows them in the row."""
    await fill(store, [fabricated("k", sequence) for sequence in (0x2F, 2**64 - 1 - 0x2F2F2F2F)])
    page = await listing.list_versions(store, listing.Query("b", "", "/", 10), "", "")
    assert (len(page.items), page.prefixes) == (2, [])


async def test_what_was_written_before_is_listed_and_what_was_removed_is_not(store):  # case 49
    for number in range(20):
        await put(store, f"{number:02}")
    for number in range(0, 20, 2):
        await remove(store, f"{number:02}")
    assert await keys_of(store) == [f"{number:02}" for number in range(1, 20, 2)]
