"""What every index must do, whatever it is made of."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3ish.index.memory import MemoryIndex
from s3ish.index.protocol import Add, AtMost, Conflict, Delete, Index, Put, RangeEmpty, RowIs, Untouched
from s3ish.index.sqlite import SQLiteIndex
from tests.index.conftest import LAYOUTS, TABLES

EDGES = [
    b"\0",
    b"\0\0",
    b"\0\xff",
    b"\x01",
    b"a",
    b"a\0",
    b"a\0\xff",
    b"a\x01",
    b"ab",
    b"b",
    b"\xff",
    b"\xff\0",
    b"\xff" * 9,
]
END = b"\xff" * 20


def put(key, value=b"v", table="state"):
    return Put(table, key, value)


async def everything(index: Index, table="state"):
    return list(await index.scan(table, b"", END, 10_000))


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_is_there_once_it_is_committed_and_gone_once_it_is_deleted(index, table):
    assert await index.get(table, b"k") is None
    await index.commit([Put(table, b"k", b"one")])
    assert await index.get(table, b"k") == b"one"
    await index.commit([Put(table, b"k", b"")])
    assert await index.get(table, b"k") == b""
    await index.commit([Delete(table, b"k"), Delete(table, b"never was")])
    assert await index.get(table, b"k") is None
    assert await everything(index, table) == []


async def test_what_depends_on_all_rows_conflicts_with_any_commit(index):
    seen = index.commits
    await index.commit([put(b"a")], [Untouched(seen)])
    for stale in (seen, seen + 2):
        with pytest.raises(Conflict):
            await index.commit([put(b"b")], [Untouched(stale)])
    with contextlib.suppress(Conflict):
        await index.commit([put(b"c")], [RowIs("state", b"a", None)])  # changes nothing
    await index.commit([put(b"d")], [Untouched(index.commits)])
    assert [key for key, _ in await everything(index)] == [b"a", b"d"]


async def test_of_commits_that_wait_together_no_later_one_finds_it_untouched(index):
    seen = index.commits
    commits = [index.commit([put(key)], [Untouched(seen)]) for key in (b"a", b"b", b"c")]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert [isinstance(outcome, Conflict) for outcome in outcomes] == [False, True, True]
    assert [key for key, _ in await everything(index)] == [b"a"]


async def test_tables_do_not_share_rows(index):
    await index.commit([Put(table, b"k", table.encode()) for table in TABLES])
    assert [await index.get(table, b"k") for table in TABLES] == [table.encode() for table in TABLES]


async def test_rows_come_in_the_order_of_their_bytes(index):
    await index.commit([put(key, key * 2) for key in reversed(EDGES)])
    assert await everything(index) == [(key, key * 2) for key in sorted(EDGES)]


async def test_a_range_has_its_start_and_not_its_stop(index):
    await index.commit([put(key) for key in EDGES])
    for start in EDGES:
        for stop in EDGES:
            rows = await index.scan("state", start, stop, 100)
            assert [key for key, _ in rows] == sorted(key for key in EDGES if start <= key < stop), (start, stop)


async def test_pages_of_any_length_make_the_whole(index):
    await index.commit([put(key) for key in EDGES])
    for limit in range(1, len(EDGES) + 2):
        found, start = [], b""
        while rows := await index.scan("state", start, END, limit):
            assert len(rows) <= limit
            found += [key for key, _ in rows]
            start = rows[-1][0] + b"\0"
        assert found == sorted(EDGES)


async def test_no_rows_are_asked_for(index):
    await index.commit([put(b"a")])
    assert list(await index.scan("state", b"", END, 0)) == []


async def test_large_keys_and_values_come_back(index):
    key, value = b"\0\xff" * 4096, bytes(range(256)) * 8192
    await index.commit([Put("inline", key, value)])
    assert await index.get("inline", key) == value


async def test_changes_apply_in_their_order(index):
    await index.commit(
        [put(b"a", b"1"), Delete("state", b"a"), put(b"b", b"1"), put(b"b", b"2"), Delete("state", b"c")]
    )
    assert await everything(index) == [(b"b", b"2")]


@pytest.mark.parametrize(
    ("expected", "holds"),
    [
        (RowIs("state", b"k", b"v"), True),
        (RowIs("state", b"k", b"w"), False),
        (RowIs("state", b"k", b""), False),
        (RowIs("state", b"k", None), False),
        (RowIs("state", b"other", None), True),
        (RowIs("state", b"other", b""), False),
        (RowIs("buckets", b"k", None), True),
        (RangeEmpty("state", b"a", b"k"), True),
        (RangeEmpty("state", b"k", b"l"), False),
        (RangeEmpty("state", b"k\0", END), True),
        (RangeEmpty("state", b"", END), False),
        (RangeEmpty("state", b"z", b"a"), True),
        (RangeEmpty("state", b"k", b"k"), True),
        (RangeEmpty("buckets", b"", END), True),
    ],
)
async def test_a_commit_happens_only_if_what_it_expects_is_so(index, expected, holds):
    await index.commit([put(b"k", b"v")])
    changes = [put(b"k", b"new"), put(b"n"), Put("buckets", b"x", b"y")]
    if holds:
        await index.commit(changes, [expected])
        assert await everything(index) == [(b"k", b"new"), (b"n", b"v")]
        assert await index.get("buckets", b"x") == b"y"
    else:
        with pytest.raises(Conflict):
            await index.commit(changes, [expected])
        assert await everything(index) == [(b"k", b"v")]
        assert await index.get("buckets", b"x") is None


async def test_one_broken_expectation_of_many_undoes_all(index):
    await index.commit([put(b"a", b"1"), put(b"b", b"2")])
    expect = [
        RowIs("state", b"a", b"1"),
        RowIs("state", b"b", b"2"),
        RangeEmpty("state", b"c", END),
        RowIs("state", b"a", b"3"),
    ]
    with pytest.raises(Conflict):
        await index.commit([Delete("state", b"a"), Delete("state", b"b"), put(b"c")], expect)
    assert await everything(index) == [(b"a", b"1"), (b"b", b"2")]


async def test_expectations_see_the_state_before_the_changes_of_their_commit(index):
    await index.commit([put(b"a", b"1")])
    await index.commit([put(b"a", b"2"), put(b"b")], [RowIs("state", b"a", b"1"), RangeEmpty("state", b"b", END)])
    with pytest.raises(Conflict):
        await index.commit([Delete("state", b"a")], [RowIs("state", b"a", None)])


async def test_an_expectation_alone_may_be_committed(index):
    await index.commit([], [RowIs("state", b"a", None)])
    with pytest.raises(Conflict):
        await index.commit([], [RowIs("state", b"a", b"")])


def more(key, *numbers):
    return Add("sums", key, numbers)


async def test_sums_begin_at_zero_and_end_there_without_a_row(index):
    await index.commit([more(b"k", 3, 0), more(b"other", 1, 1)])
    await index.commit([more(b"k", -1, 2**62)])
    assert await index.get("sums", b"k") == b"2,%d" % 2**62
    await index.commit([more(b"k", -2, -(2**62)), more(b"never", 0, 0)])
    assert await everything(index, "sums") == [(b"other", b"1,1")]


async def test_sums_and_other_changes_apply_in_their_order(index):
    await index.commit([Put("sums", b"k", b"7,7"), more(b"k", 1, 0), more(b"k", 1, 0), Delete("sums", b"k")])
    assert await everything(index, "sums") == []
    await index.commit([more(b"k", 5, 5), Put("sums", b"k", b"1,1"), more(b"k", 1, 1)])
    assert await index.get("sums", b"k") == b"2,2"


async def test_what_is_refused_adds_nothing(index):
    await index.commit([more(b"k", 1, 1)])
    with pytest.raises(Conflict):
        await index.commit([more(b"k", 1, 1)], [RowIs("state", b"a", b"")])
    assert await index.get("sums", b"k") == b"1,1"


async def test_expectations_see_what_was_added_by_commits_that_wait_together(index):
    async def at_most(limit):
        for _ in range(20):
            old = await index.get("sums", b"k")
            if old and int(old.split(b",")[0]) >= limit:
                return
            with contextlib.suppress(Conflict):
                await index.commit([more(b"k", 1, 0)], [RowIs("sums", b"k", old)])

    await asyncio.gather(*(at_most(5) for _ in range(10)))
    assert await index.get("sums", b"k") == b"5,0"


async def test_a_sum_is_held_to_a_most_in_each_race(index):
    async def one():
        with contextlib.suppress(Conflict):
            await index.commit([more(b"k", 1, 2)], [AtMost("sums", b"k", (0, 1), 15 - 3)])

    await asyncio.gather(*(one() for _ in range(30)))
    assert await index.get("sums", b"k") == b"5,10"
    await index.commit([], [AtMost("sums", b"k", (0,), 5), AtMost("sums", b"none", (0, 1), 0)])
    await index.commit([Put("sums", b"k", b"damaged")])
    await index.commit([], [AtMost("sums", b"k", (0,), 0)])


async def test_a_damaged_sum_stays_and_fails_no_commit(index):
    await index.commit([Put("sums", b"k", b"damaged")])
    await index.commit([more(b"k", 1, 1), put(b"a")])
    assert await index.get("sums", b"k") == b"damaged"
    assert await index.get("state", b"a") == b"v"


async def test_nothing_that_many_add_at_once_is_lost(index):
    async def one(number):
        for _ in range(20):
            await index.commit([more(b"all", 1, number), more(b"%d" % (number % 3), 1, 0)])

    await asyncio.gather(*(one(number) for number in range(30)))
    assert await index.get("sums", b"all") == b"600,%d" % (20 * sum(range(30)))
    assert [await index.get("sums", key) for key in (b"0", b"1", b"2")] == [b"200,0"] * 3


async def test_what_a_task_committed_it_reads(index):
    async def one(number):
        key = b"%d" % number
        for turn in range(10):
            await index.commit([put(key, b"%d" % turn)])
            assert await index.get("state", key) == b"%d" % turn

    await asyncio.gather(*(one(number) for number in range(20)))


async def add(index, key, times):
    """Count up by compare and set; return how many attempts were refused."""
    refused = 0
    for _ in range(times):
        while True:
            old = await index.get("state", key)
            try:
                await index.commit([put(key, b"%d" % (int(old or 0) + 1))], [RowIs("state", key, old)])
            except Conflict:
                refused += 1
            else:
                break
    return refused


async def test_no_increment_of_many_tasks_is_lost(index):
    await asyncio.gather(*(add(index, b"counter", 10) for _ in range(20)))
    assert await index.get("state", b"counter") == b"200"


async def test_of_many_that_expect_nothing_exactly_one_creates(index):
    async def create(number):
        try:
            await index.commit([put(b"k", b"%d" % number)], [RowIs("state", b"k", None)])
        except Conflict:
            return None
        return number

    outcomes = await asyncio.gather(*(create(number) for number in range(100)))
    winners = [number for number in outcomes if number is not None]
    assert len(winners) == 1
    assert await index.get("state", b"k") == b"%d" % winners[0]


async def test_of_many_that_expect_an_empty_range_exactly_one_writes_into_it(index):
    async def create(number):
        try:
            await index.commit([put(b"r/%d" % number)], [RangeEmpty("state", b"r/", b"r0")])
        except Conflict:
            return 0
        return 1

    assert sum(await asyncio.gather(*(create(number) for number in range(50)))) == 1
    assert len(await everything(index)) == 1


async def test_readers_never_see_half_a_commit(index):
    """Ten accounts, always a hundred in all, while money moves."""
    accounts = [b"%d" % number for number in range(10)]
    await index.commit([put(account, b"10") for account in accounts])

    async def move(seed):
        for step in range(20):
            source, target = accounts[(seed + step) % 10], accounts[(seed * 3 + step * 7 + 1) % 10]
            if source == target:
                continue
            here, there = await index.get("state", source), await index.get("state", target)
            try:
                await index.commit(
                    [put(source, b"%d" % (int(here) - 1)), put(target, b"%d" % (int(there) + 1))],
                    [RowIs("state", source, here), RowIs("state", target, there)],
                )
            except Conflict:
                continue

    async def look():
        for _ in range(50):
            rows = await everything(index)
            assert sum(int(value) for _, value in rows) == 100
            await asyncio.sleep(0)

    await asyncio.gather(*(move(seed) for seed in range(8)), look(), look())
    assert sum(int(value) for _, value in await everything(index)) == 100


KEYS = st.binary(max_size=3) | st.sampled_from(EDGES)
CHANGES = st.lists(
    st.builds(Put, st.just("state"), KEYS, st.binary(max_size=2)) | st.builds(Delete, st.just("state"), KEYS),
    max_size=4,
)
EXPECTATIONS = st.lists(
    st.builds(RowIs, st.just("state"), KEYS, st.none() | st.binary(max_size=1))
    | st.builds(RangeEmpty, st.just("state"), KEYS, KEYS),
    max_size=1,
)
COMMITS = st.lists(st.tuples(CHANGES, EXPECTATIONS, KEYS, KEYS, st.integers(0, 5)), max_size=8)


@given(commits=COMMITS)
@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_indexes_give_the_same_answers(tmp_path, commits):
    async def run():
        memory, sqlite = MemoryIndex(LAYOUTS), SQLiteIndex(tmp_path / "same.db", LAYOUTS, durable=False)
        try:
            await sqlite.commit([Delete("state", key) for key, _ in await everything(sqlite)])
            for changes, expect, start, stop, limit in commits:
                assert await outcome(memory, changes, expect) == await outcome(sqlite, changes, expect)
                assert list(await memory.scan("state", start, stop, limit)) == await sqlite.scan(
                    "state", start, stop, limit
                )
                assert await everything(memory) == await everything(sqlite)
        finally:
            await sqlite.close()

    asyncio.run(run())


async def outcome(index, changes, expect):
    try:
        await index.commit(changes, expect)
    except Conflict:
        return "conflict"
    return "done"
