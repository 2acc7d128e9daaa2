"""Values of rows: what was written comes back, anything else is noticed before it is used."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3ish.index.protocol import Damaged, NewerFormat
from s3ish.model import Attributes, BlobRef, Bucket, Checksum, Entry, Owner, Part, Tag, Upload, Version
from s3ish.tables import records

repeatable = settings(derandomize=True, deadline=None, max_examples=100)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.integers(0, 2**63 - 1)
OWNERS = st.builds(Owner, TEXT, TEXT)
REFS = st.builds(
    BlobRef, TEXT, NUMBERS, NUMBERS, TEXT, st.integers(1, 20), st.integers(0, 9), NUMBERS,
    st.lists(st.integers(0, 20), max_size=4).map(tuple), st.booleans(),
)  # fmt: skip
CHECKSUMS = st.none() | st.builds(Checksum, TEXT, TEXT, st.sampled_from(["FULL_OBJECT", "COMPOSITE"]))
PARTS = st.builds(
    Part, number=st.integers(1, 10_000), size=NUMBERS, etag=TEXT, modified_ns=NUMBERS, blob=REFS, checksum=CHECKSUMS
)
ATTRIBUTES = st.builds(
    Attributes,
    headers=st.dictionaries(TEXT, TEXT, max_size=2),
    metadata=st.dictionaries(TEXT, TEXT, max_size=2),
    tags=st.lists(st.builds(Tag, TEXT, TEXT), max_size=2).map(tuple),
)
BUCKETS = st.builds(
    Bucket,
    name=TEXT,
    created_ns=NUMBERS,
    owner=OWNERS,
    blob=REFS,
    region=TEXT,
    versioning=st.sampled_from(["", "Enabled", "Suspended"]),
)
VERSIONS = st.builds(
    Version,
    bucket=TEXT,
    key=TEXT,
    id=TEXT,
    sequence=NUMBERS,
    modified_ns=NUMBERS,
    owner=OWNERS,
    blob=REFS,
    marker=st.booleans(),
    size=NUMBERS,
    etag=TEXT,
    checksum=CHECKSUMS,
    attributes=ATTRIBUTES,
    parts=st.lists(PARTS, max_size=2).map(tuple),
    upload=TEXT,
)
UPLOADS = st.builds(
    Upload,
    bucket=TEXT,
    key=TEXT,
    id=TEXT,
    created_ns=NUMBERS,
    owner=OWNERS,
    initiator=OWNERS,
    blob=REFS,
    attributes=ATTRIBUTES,
)
RECORDS = BUCKETS | VERSIONS | UPLOADS | PARTS | st.builds(Entry, NUMBERS, TEXT, NUMBERS, TEXT, TEXT, TEXT)


@given(RECORDS, st.binary(max_size=4))
@repeatable
def test_a_record_comes_back(record, key):
    assert records.decode("versions", key, records.encode("versions", key, record), type(record)) == record


@given(st.binary(max_size=50), st.binary(max_size=4))
@repeatable
def test_bytes_come_back(payload, key):
    assert records.decode_bytes("inline", key, records.encode_bytes("inline", key, payload)) == payload


@given(st.lists(VERSIONS, max_size=4))
@repeatable
def test_many_records_come_back(versions):
    rows = [(b"%d" % n, records.encode("versions", b"%d" % n, version)) for n, version in enumerate(versions)]
    assert records.decode_rows("versions", rows, Version) == versions


def test_any_flipped_bit_in_one_of_many_rows_is_damage():  # case 22
    rows = [(b"%d" % n, records.encode("state", b"%d" % n, Owner("id", "name"))) for n in range(3)]
    for place, (key, value) in enumerate(rows):
        for position in range(len(value)):
            broken = bytearray(value)
            broken[position] ^= 1
            damaged = [*rows[:place], (key, bytes(broken)), *rows[place + 1 :]]
            with pytest.raises((Damaged, NewerFormat)):
                records.decode_rows("state", damaged, Owner)
    with pytest.raises(Damaged, match="not a Version"):
        records.decode_rows("state", rows, Version)
    with pytest.raises(Damaged):
        records.decode_rows("state", [(rows[0][0], rows[1][1])], Owner)


def test_any_flipped_bit_is_damage():  # case 22
    value = records.encode("state", b"k", Owner("id", "name"))
    for position in range(len(value)):
        for bit in range(8):
            broken = bytearray(value)
            broken[position] ^= 1 << bit
            with pytest.raises((Damaged, NewerFormat)):
                records.decode("state", b"k", bytes(broken), Owner)


def test_any_other_length_is_damage():  # case 22
    value = records.encode_bytes("state", b"k", b"payload")
    for length in range(len(value)):
        with pytest.raises(Damaged):
            records.decode_bytes("state", b"k", value[:length])
    with pytest.raises(Damaged):
        records.decode_bytes("state", b"k", value + b"\0")


def test_a_value_in_another_row_or_table_is_damage():  # case 25
    value = records.encode_bytes("versions", b"k", b"payload")
    for table, key in (("versions", b"other"), ("current", b"k"), ("versions", b"")):
        with pytest.raises(Damaged):
            records.decode_bytes(table, key, value)


def test_a_record_of_another_kind_is_damage():
    value = records.encode("versions", b"k", Owner("id"))
    with pytest.raises(Damaged, match="not a Version"):
        records.decode("versions", b"k", value, Version)


def test_a_newer_format_is_refused_by_its_number(monkeypatch):  # case 147
    monkeypatch.setattr(records, "FORMAT", 3)
    value = records.encode_bytes("versions", b"k", b"payload")
    monkeypatch.setattr(records, "FORMAT", 2)
    with pytest.raises(NewerFormat, match="format 3; this release reads up to 2"):
        records.decode_bytes("versions", b"k", value)


def test_a_flip_in_the_format_is_damage():
    value = records.encode_bytes("versions", b"k", b"payload")
    with pytest.raises(Damaged):
        records.decode_bytes("versions", b"k", b"\x03" + value[1:])


@given(st.binary(max_size=40))
@repeatable
def test_random_bytes_are_damage(value):
    with pytest.raises((Damaged, NewerFormat)):
        records.decode("versions", b"k", value, Version)


@pytest.mark.parametrize("value", [7, 0.5, "text", None])
def test_what_is_no_bytes_is_damage(value):  # case 22
    """A flipped bit in SQLite's header of a row can make a number of its value."""
    with pytest.raises(Damaged):
        records.decode_bytes("versions", b"key", value)
