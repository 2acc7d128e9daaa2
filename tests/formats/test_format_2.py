"""What is written in format 2 is read as it was meant, and a record can grow without another format."""

import json
from pathlib import Path

import msgspec
import pytest

from s3ish.index.protocol import NewerFormat
from s3ish.model import BlobRef, Part
from s3ish.tables import formats, records
from s3ish.tables.catalogue import GARBAGE, TABLES
from tests.formats.grown import as_then
from tests.formats.make_samples_2 import ROWS as MADE
from tests.formats.make_samples_2 import SIDECARS as TOLD
from tests.formats.make_samples_2 import says, spelled

SAMPLES = Path(__file__).parent / "2"
ROWS = json.loads((SAMPLES / "rows.json").read_text())
EARLIER = json.loads((SAMPLES / "earlier.json").read_text())
SIDECARS = json.loads((SAMPLES / "sidecars.json").read_text())


@pytest.mark.parametrize("sample", ROWS, ids=lambda sample: sample["name"])
def test_a_row_says_what_it_said(sample):
    table = TABLES[sample["table"]]
    row = table.expect(bytes.fromhex(sample["key"]), bytes.fromhex(sample["value"]))
    assert as_then(says(row), sample["says"]) == sample["says"]
    assert row.value == MADE[sample["name"]].value, "it is still written so"


@pytest.mark.parametrize("sample", EARLIER, ids=lambda sample: sample["name"])
def test_a_row_that_has_grown_since_says_what_it_said(sample):
    """Events wait for their targets while the server is replaced by a later one."""
    row = TABLES[sample["table"]].expect(bytes.fromhex(sample["key"]), bytes.fromhex(sample["value"]))
    assert as_then(says(row), sample["says"]) == sample["says"]


@pytest.mark.parametrize("sample", SIDECARS, ids=lambda sample: sample["name"])
def test_a_sidecar_says_what_it_said(sample):
    told = TABLES.read_sidecar(sample["text"].encode())
    assert told.same(TOLD[sample["name"]])
    assert list(told.beside) == sample["beside"]
    assert as_then(spelled(told.record), sample["says"]) == sample["says"]
    assert told.text.decode() == sample["text"], "it is still written so"


def test_every_table_and_every_kind_of_sidecar_has_a_sample():
    assert {it["table"] for it in ROWS} == {table.name for table in TABLES}
    assert {json.loads(it["text"])["kind"] for it in SIDECARS} == {table.kind for table in TABLES.sealed}


def test_a_sidecar_of_a_newer_format_is_refused():  # case 147
    text = TOLD["version"].text.replace(b'"format":2', b'"format":3')
    with pytest.raises(NewerFormat, match="format 3; this release reads up to 2"):
        TABLES.read_sidecar(text)


def test_a_sidecar_of_an_unknown_kind_is_no_sidecar():
    for text in (b'{"kind":"hologram"}', b"{}", b"[]", b'{"kind":"version"}', b'{"kind":"version","format":"x"}', b""):
        with pytest.raises(ValueError, match=r"."):
            TABLES.read_sidecar(text)


class LongerRef(BlobRef, frozen=True, array_like=True):
    """A reference as a later release may make it."""

    pieces: tuple[str, ...] = ()


class LongerGarbage(msgspec.Struct, frozen=True, array_like=True):
    """What names such blobs as garbage."""

    ref: LongerRef
    parts: tuple[LongerRef, ...] = ()


def test_a_reference_to_a_blob_can_gain_a_field():
    """In format 1 garbage was a reference with something behind it, so that neither could."""
    written = MADE["garbage with parts"]
    read = records.decode("garbage", written.key, written.value, LongerGarbage)
    assert [ref.pieces for ref in (read.ref, *read.parts)] == [(), (), ()]
    grown = LongerGarbage(msgspec.structs.replace(read.ref, pieces=("p",)), read.parts)
    value = records.encode("garbage", written.key, grown)
    assert records.decode("garbage", written.key, value, LongerGarbage) == grown
    assert GARBAGE.decode(written.key, value).ref.id == read.ref.id


class Part3(msgspec.Struct, frozen=True, kw_only=True):
    """What a part may be in a later format."""

    name: str
    size: int


def test_a_record_goes_through_every_step_between_its_format_and_now(monkeypatch):
    put = MADE["plain part"]
    old = records.decode("parts", put.key, put.value, Part)

    class Middle(msgspec.Struct, frozen=True):
        number: int
        size: int

    steps = {
        (Part3, 2): formats.Step(Part, lambda part: Middle(part.number, part.size)),
        (Part3, 3): formats.Step(Middle, lambda part: Part3(name=f"part {part.number}", size=part.size)),
    }
    monkeypatch.setattr(formats, "STEPS", steps)
    monkeypatch.setattr(formats, "FORMAT", 4)
    formats.steps.cache_clear()
    try:
        now = formats.migrate(Part3, 2, lambda kind: msgspec.msgpack.decode(put.value[9:], type=kind))
        assert now == Part3(name="part 2", size=old.size)
        middle = msgspec.msgpack.encode(Middle(5, 6))
        assert formats.migrate(Part3, 3, lambda kind: msgspec.msgpack.decode(middle, type=kind)).name == "part 5"
    finally:
        formats.steps.cache_clear()


def test_rows_of_both_formats_are_read_together():
    """A store that an older release wrote has both for as long as it lives."""
    old = json.loads((SAMPLES.parent / "1" / "rows.json").read_text())
    for name in ("garbage", "current"):
        rows = [
            (bytes.fromhex(it["key"]), bytes.fromhex(it["value"])) for it in (*old, *ROWS, *old) if it["table"] == name
        ]
        table = TABLES[name]
        assert table.decode_rows(rows) == [table.decode(key, value) for key, value in rows]
        assert len({value[0] for _, value in rows}) == 2
