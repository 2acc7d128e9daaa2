"""The rows of the state table: what stands in one is what was put there, and their list is whole."""

from pathlib import Path

import pytest

import s3ish
from s3ish.index.memory import MemoryIndex
from s3ish.index.protocol import Conflict, Put
from s3ish.tables import state
from s3ish.tables.catalogue import TABLES
from s3ish.tables.state import AWAY, GAPS, LEASES, STATE, STATE_ROWS, SWEEP, Lease, StateRow


@pytest.fixture
def index():
    return MemoryIndex(TABLES.layouts)


async def test_a_mark_is_kept_as_it_is(index):
    assert await SWEEP.value(index) is None
    await index.commit([SWEEP.put(b"token")], [SWEEP.expect(None)])
    assert await SWEEP.value(index) == await index.get(STATE.name, b"sweep") == b"token"
    with pytest.raises(Conflict):
        await index.commit([SWEEP.drop()], [SWEEP.expect(b"another")])
    await index.commit([SWEEP.drop()])
    assert await SWEEP.value(index) is None


async def test_a_record_is_read_as_it_was_put(index):
    await index.commit([AWAY.put([0, 2])])
    assert AWAY.read(await AWAY.value(index)) == [0, 2]


def test_a_record_that_is_absent_or_damaged_says_nothing():
    value = AWAY.put([0, 2]).value
    assert AWAY.read(None) is None
    assert AWAY.read(value[:-1]) is None
    assert LEASES.read(LEASES.of(b"scrub").put(Lease("holder", 1)).value) is None, "it is of another row"


async def test_rows_of_a_family_are_found_together(index):
    await index.commit([GAPS.of(b"b/").put(b"why"), GAPS.of(b"").put(b"all"), Put(STATE.name, b"gap0", b"another")])
    assert await GAPS.family(index, 10) == [(b"", b"all"), (b"b/", b"why")]
    assert await GAPS.family(index, 1) == [(b"", b"all")]


def test_every_row_is_in_the_list():
    declared = {name: row for name, row in vars(state).items() if isinstance(row, StateRow)}
    assert sorted(row.name for row in declared.values()) == [row.name for row in STATE_ROWS]


@pytest.mark.parametrize("row", STATE_ROWS, ids=lambda row: row.name)
def test_a_row_is_written_where_its_declaration_says(row):
    (name,) = (name for name, it in vars(state).items() if it is row)
    package = Path(s3ish.__file__).parent
    writers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "s3ish.tables.state import" in (text := path.read_text())
        and (f"{name}.put(" in text or f"{name}.of(" in text)
    }
    assert writers == set(row.writers)
